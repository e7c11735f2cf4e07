"""Fine-tuning of the head and the last block alone: what a rule for ALL blocks must beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.base import BlockGrad, Memory


@dataclass(frozen=True)
class LastBlock:
    """Exact gradients of the head and the last block; all others are run forward and stay.

    No entry of RULES, which hold a gradient for every block.
    """

    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    memory: ClassVar[Memory] = "flat"

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        last = len(net.blocks) - 1
        h = batch.pictures
        for index in range(last):
            h = net.block(index)(h)
        out = net.block(last)(h)
        head = net.head.step(out, batch.target)
        yield BlockGrad(last + 1, head.grads, head.loss)
        grads, _ = net.block(last).vjp(h, out, head.error, need_input=False)
        yield BlockGrad(last, grads)
