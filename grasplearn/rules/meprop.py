"""meProp: backprop that passes only the largest part of every layer's output gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.sparse import Keep, Over
from grasplearn.rules.base import BlockGrad, Memory


@dataclass(frozen=True)
class MeProp:
    """Every block's weight and input gradient is made from the largest entries alone of the
    gradient at its convolution's output; along residual links, which cost nothing, all of it goes.

    When to choose it: where the backward pass's arithmetic is what hurts. Whole ``positions`` (and
    ``channels``) are gathered into a smaller dense product, which is really less work, but more of
    them must be kept than of scattered ``entries`` (the paper's); those are as much work as
    backprop in dense kernels, and the selection comes on top. When not: to save memory. What is
    large is known only in the backward pass, so every activation is stored, as by backprop.

    Source: arXiv 1709.05804 (per sample: section 3; unified over the batch: the same paper's simple
    unified top-k). Whole positions and the dense link are ours.

    Attributes:
        keep: share of each layer's output gradient, in (0, 1]; 1 is backprop.
        over: ``entries``, ``channels`` or ``positions`` are kept or dropped.
        unified: whether all samples of a batch keep the same ones.

    Raises:
        InvalidValueError: a setting is out of its range.
    """

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "linear"
    keep: float = 0.05
    over: Over = "entries"
    unified: bool = False

    def __post_init__(self) -> None:
        _ = self.part

    @property
    def part(self) -> Keep:
        return Keep(self.keep, self.over, self.unified)

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        stored = [batch.pictures]
        for block in net.blocks:
            stored.append(block(stored[-1]))
        head = net.head.step(stored[-1], batch.target)
        yield BlockGrad(len(net.blocks), head.grads, head.loss)
        g: Tensor | None = head.error
        del head
        for index in reversed(range(len(net.blocks))):
            out = stored.pop()
            assert g is not None
            grads, g = net.block(index).sparse_vjp(stored[-1], out, g, self.part, index > 0)
            yield BlockGrad(index, grads)
