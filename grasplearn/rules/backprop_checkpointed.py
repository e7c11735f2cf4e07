"""Backprop with activation checkpointing: segments are forgotten and computed again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.base import BlockGrad, Memory


@dataclass(frozen=True)
class CheckpointedBackprop:
    """Keeps the inputs of about sqrt(L) segments; each is run again when the gradient arrives.

    When to choose it: backprop does not fit, and a quarter more time does. In shallow nets it comes
    near the memory of the feed-forward rules. When not: as backprop, it needs a backward pass.

    Source: Chen et al., arXiv 1604.06174, section 4.

    Attributes:
        segments: how many; 0 for the square root of the number of blocks.
    """

    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    memory: ClassVar[Memory] = "sqrt"
    segments: int = 0

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        count = len(net.blocks)
        length = math.ceil(count / (self.segments or round(math.sqrt(count))))
        starts = list(range(0, count, length))
        kept: list[Tensor] = []
        with torch.no_grad():
            h = batch.pictures
            for index, block in enumerate(net.blocks):
                if index in starts:
                    kept.append(h)
                h = block(h)
        head = net.head.step(h, batch.target)
        del h
        yield BlockGrad(count, head.grads, head.loss)
        g = head.error
        del head
        for start in reversed(starts):
            some = [net.blocks[i] for i in range(start, min(start + length, count))]
            parameters = [p for block in some for p in block.parameters()]
            with torch.enable_grad():
                first = kept.pop().detach().requires_grad_(start > 0)
                out = first
                for block in some:
                    out = block(out)
            wanted = [*parameters, first] if start else parameters
            grads = list(torch.autograd.grad(out, wanted, g))
            if start:
                g = grads.pop()
            del out, first
            rest = iter(grads)
            found = [{name: next(rest) for name, _ in block.named_parameters()} for block in some]
            for offset in reversed(range(len(some))):
                yield BlockGrad(start + offset, found[offset])
