"""Several processes that train one net together; torch's own engine does the work."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Team:
    """This process among those that ``torchrun`` started; alone without it.

    Attributes:
        rank: this process's number; size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @staticmethod
    def of_environment(device: str) -> Team:
        """Joins the team that torchrun's variables describe, if they are set."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Team()
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        return Team(torch.distributed.get_rank(), torch.distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def number(self) -> tuple[int, ...]:
        """What distinguishes this process's random numbers; nothing where it is alone."""
        return () if self.size == 1 else (self.rank,)

    def shared(self, module: nn.Module) -> nn.Module:
        """Returns the module with its gradients averaged over the team."""
        return module if self.size == 1 else DistributedDataParallel(module)
