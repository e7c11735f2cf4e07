"""Forward gradients: the slope along a random direction, by forward-mode differentiation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call

from grasplearn.nets.chain import Batch, Chain, HeadStep
from grasplearn.rules.base import BlockGrad, Memory
from grasplearn.rules.directions import (
    Trained,
    check_settings,
    combined,
    direction,
    draw_seeds,
    slope_along,
)


@dataclass(frozen=True)
class ForwardGradient:
    """``g = (grad l . z) z``: a tangent is carried forward beside the activations; what arrives at
    the end is the exact slope along z, and no graph is recorded.

    As many directions as trained numbers are needed before the estimate is mostly signal. So, by
    default, few numbers are trained by it: every kernel's scale and every bias; and what is known
    exactly without any backward pass, the head's gradient and the last block's, is not estimated.

    When to choose it: where forward-mode differentiation is all there is, or as the yardstick of
    unbiased estimates. When not: wherever a static SGM or backprop can be had; it learns little
    more than the last block alone does, and every direction costs two forward passes.

    Source: the estimator is that of arXiv 2202.08587, as cited by arXiv 2411.04036; directions of
    -1 and 1 (less variance than normal ones), scale and bias and the exact end are ours.

    Attributes:
        directions: how many are averaged in a step.
        trained: ``all``: every weight by itself (unbiased); ``scale-bias``.
        exact_end: head and last block by their own exact gradients.

    Raises:
        InvalidValueError: a setting is out of its range.
    """

    exact: ClassVar[bool] = False
    memory: ClassVar[Memory] = "flat"
    directions: int = 4
    trained: Trained = "scale-bias"
    exact_end: bool = True

    def __post_init__(self) -> None:
        check_settings(self.trained, self.directions)

    @property
    def unbiased(self) -> bool:
        return self.trained == "all"

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        count = len(net.blocks)
        moving = count - self.exact_end
        seeds = draw_seeds(rng, self.directions)
        head: HeadStep | None = None
        before = last = None
        slopes: list[float] = []
        for seed in seeds:
            h, out, tangent = self._carry(net, batch, seed, moving)
            if head is None:
                head = net.head.step(out, batch.target)
                if self.exact_end:
                    before, last = h, out
            slope = 0.0 if tangent is None else float((tangent * head.error).sum())
            if not self.exact_end:
                slope += slope_along(head.grads, direction(net.head, self.trained, seed, count))
            slopes.append(slope)
            del h, out, tangent
        assert head is not None
        if before is None or last is None:
            grads = combined(net.head, self.trained, seeds, slopes, count)
            yield BlockGrad(count, grads, head.loss)
        else:
            yield BlockGrad(count, head.grads, head.loss)
            grads, _ = net.block(moving).vjp(before, last, head.error, need_input=False)
            yield BlockGrad(moving, grads)
        del head, before, last
        for index in range(moving):
            yield BlockGrad(index, combined(net.block(index), self.trained, seeds, slopes, index))

    def _carry(
        self, net: Chain, batch: Batch, seed: int, moving: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns the last block's input and output, and the output's tangent."""
        with forward_ad.dual_level():
            before = h = batch.pictures
            for index in range(len(net.blocks)):
                block, before = net.block(index), h
                if index < moving:
                    way = direction(block, self.trained, seed, index)
                    both = {
                        name: forward_ad.make_dual(p.detach(), way[name])
                        for name, p in block.named_parameters()
                    }
                    h = functional_call(block, both, (h,))
                    del both, way
                else:
                    h = block(h)
            out, tangent = forward_ad.unpack_dual(h)
            plain, _ = forward_ad.unpack_dual(before)
            # Plain tensors: neither keeps its tangent after the level has been left.
            return plain.detach(), out.detach(), tangent
