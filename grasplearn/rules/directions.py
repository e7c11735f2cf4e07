"""Random directions in weight space, made again from their seed whenever they are needed.

A direction is never stored: a step keeps its seed and one number, so that memory stays inference's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Grads

# What a random direction may move: every weight by itself, or every kernel's scale and every bias.
Trained = Literal["all", "scale-bias"]


def check_trained(trained: str) -> None:
    """Raises InvalidValueError for anything else."""
    if trained not in ("all", "scale-bias"):
        raise InvalidValueError(f"trained must be all or scale-bias; got '{trained}'")


def check_settings(trained: str, directions: int) -> None:
    """Raises:
    InvalidValueError: a value is out of its range.
    """
    check_trained(trained)
    if type(directions) is not int or directions < 1:
        raise InvalidValueError(f"directions must be a whole number from 1 on: {directions}")


def draw_seeds(rng: np.random.Generator, count: int) -> list[int]:
    return [int(seed) for seed in rng.integers(2**53, size=count)]


def signs(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Returns int8 of -1 and 1, each as likely."""
    return torch.randint(0, 2, tuple(shape), generator=generator, dtype=torch.int8) * 2 - 1


def generator_of(seed: int, index: int) -> torch.Generator:
    """The random numbers of part ``index`` in direction ``seed``."""
    mixed = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed) >> 1)


def direction(part: nn.Module, trained: Trained, seed: int, index: int) -> Grads:
    """Returns a direction by parameter name.

    With ``all`` every entry is -1 or 1. With ``scale-bias`` so is every bias's (of one dimension),
    and a kernel moves along the signs of its own weights, one step of length 1: all of them grow or
    shrink together. (Not along the weights themselves: an optimizer that normalises each entry by
    itself, such as Adam, would turn that into the signs and so leave the line that was measured.)

    The mean over many directions of slope x direction is the gradient, or its part in the space
    that is moved in.
    """
    generator = generator_of(seed, index)
    made: Grads = {}
    for name, p in part.named_parameters():
        if trained == "all" or p.dim() < 2:
            made[name] = signs(p.shape, generator).to(p)
        else:
            turned = signs([len(p)] + [1] * (p.dim() - 1), generator).to(p)
            made[name] = p.detach().sign() * turned / p[0].numel() ** 0.5
    return made


def combined(
    part: nn.Module, trained: Trained, seeds: Sequence[int], slopes: Sequence[float], index: int
) -> Grads:
    """Returns the mean of slope x direction."""
    total: Grads = {name: torch.zeros_like(p) for name, p in part.named_parameters()}
    for seed, slope in zip(seeds, slopes, strict=True):
        for name, v in direction(part, trained, seed, index).items():
            total[name].add_(v, alpha=slope / len(seeds))
    return total


def slope_along(grads: Grads, way: Grads) -> float:
    return sum(float((g * way[name]).sum()) for name, g in grads.items())


@contextmanager
def moved(part: nn.Module, way: Grads, by: float) -> Iterator[None]:
    """Inside, the part's weights are moved; afterwards they are the same tensors as before."""
    kept = {name: p.data for name, p in part.named_parameters()}
    try:
        for name, p in part.named_parameters():
            p.data = kept[name] + by * way[name]
        yield
    finally:
        for name, p in part.named_parameters():
            p.data = kept[name]
