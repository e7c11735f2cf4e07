"""SPSA: the slope along a random direction from two forward passes and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Batch, Chain, HeadStep
from grasplearn.rules.base import BlockGrad, Memory
from grasplearn.rules.directions import (
    Trained,
    check_settings,
    combined,
    direction,
    draw_seeds,
    moved,
)


@dataclass(frozen=True)
class SPSA:
    """``[l(w + eps z) - l(w - eps z)] / (2 eps) z``, or its sign alone times z, averaged over m
    directions. A block's weights are moved for the moment in which they are used; z is made again
    from its seed, so that memory is inference's.

    When to choose it: on an engine that can run the net and nothing more (a quantised accelerator).
    When not: wherever anything else can be had. As with forward gradients few numbers are trained
    by it by default, every kernel's scale and every bias, and the end is exact: a closed form that
    needs no backward pass.

    Source: sign-m-SPSA as in arXiv 2411.04036; scale and bias and the exact end are ours.

    Attributes:
        directions: m, how many are averaged in a step.
        signed: only the sign of a slope counts (biased towards shallow directions, but robust).
        size: eps, in units of a bias, or of a kernel's length.
        trained, exact_end: as of ForwardGradient.

    Raises:
        InvalidValueError: a setting is out of its range.
    """

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "flat"
    directions: int = 3
    signed: bool = True
    size: float = 1e-3
    trained: Trained = "scale-bias"
    exact_end: bool = True

    def __post_init__(self) -> None:
        check_settings(self.trained, self.directions)
        if not 0 < self.size < float("inf"):
            raise InvalidValueError(f"size must be above 0 and finite, got {self.size}")

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        count = len(net.blocks)
        moving = count - self.exact_end
        seeds = draw_seeds(rng, self.directions)
        slopes = []
        losses = []
        for seed in seeds:
            up, down = (self._loss(net, batch, seed, by) for by in (self.size, -self.size))
            slope = (up - down) / (2 * self.size)
            slopes.append(float(np.sign(slope)) if self.signed else slope)
            losses += [up, down]
        if self.exact_end:
            h = batch.pictures
            for index in range(moving):
                h = net.block(index)(h)
            out = net.block(moving)(h)
            head: HeadStep = net.head.step(out, batch.target)
            yield BlockGrad(count, head.grads, head.loss)
            grads, _ = net.block(moving).vjp(h, out, head.error, need_input=False)
            del h, out, head
            yield BlockGrad(moving, grads)
        else:
            grads = combined(net.head, self.trained, seeds, slopes, count)
            # To second order in eps the loss in between.
            yield BlockGrad(count, grads, batch.pictures.new_tensor(float(np.mean(losses))))
        for index in range(moving):
            yield BlockGrad(index, combined(net.block(index), self.trained, seeds, slopes, index))

    def _loss(self, net: Chain, batch: Batch, seed: int, by: float) -> float:
        """Returns the loss of the net with all weights moved along a direction."""
        count = len(net.blocks)
        h = batch.pictures
        for index in range(count + 1):
            part = net.part(index)
            with ExitStack() as stack:
                if index < count - self.exact_end or (index == count and not self.exact_end):
                    stack.enter_context(moved(part, direction(part, self.trained, seed, index), by))
                if index == count:
                    return float(net.head.loss(h, batch.target))
                h = part(h)
        raise AssertionError("a chain ends in its head")
