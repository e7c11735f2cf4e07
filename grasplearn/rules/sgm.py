"""Synthetic gradient modules: small nets that guess the gradient at a block's output.

They see the block's own output h and the error e at the head's input, brought to every block alike:
``g = (M e + conv3x3(s + S s)) * gate2(h)`` with ``s = (W e) * gate1(h)``. S is a wide kernel for
each of s's few channels: what a cell says reaches the error through all blocks that come after it,
and each of those looks one cell farther. It is linear in e: no error, no gradient, and the
gradient's scale is the error's. The trunk is residual, so e itself is already a fair guess; that is
what an untrained module says (M is then the identity).

Source: the idea is Static SGMs (arXiv 2009.09675); the module's form, its broadcast error and the
carried error are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.chain import Chain
from grasplearn.nets.conv import mix


class SGM(nn.Module):
    """One block's module, (B, C, h, w) and (B, C, h, w) -> (B, C, h, w).

    Both gates are 1 + a little of what ``inner`` channels sense in h. Untrained it says e itself.

    Attributes:
        spread: (inner, 1, 2 r + 1, 2 r + 1), S; None where the module does not look so far.
    """

    spread: nn.Parameter | None

    def __init__(self, channels: int, inner: int, reach: int = 0) -> None:
        super().__init__()
        side = 2 * reach + 1
        self.spread = nn.Parameter(torch.zeros(inner, 1, side, side)) if reach else None
        self.sense = nn.Parameter(torch.randn(inner, channels) / channels)
        self.sense_bias = nn.Parameter(torch.zeros(inner))
        self.reduce = nn.Parameter(torch.randn(inner, channels) / math.sqrt(channels))
        self.widen = nn.Parameter(torch.zeros(channels, inner, 3, 3))
        self.carry = nn.Parameter(torch.eye(channels))
        self.gate = nn.Parameter(torch.zeros(channels, inner))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        sensed = torch.tanh(mix(self.sense, h) + self.sense_bias.view(-1, 1, 1))
        told = mix(self.reduce, e) * (1 + sensed)
        if self.spread is not None:
            padding, groups = self.spread.shape[-1] // 2, len(self.spread)
            told = told + F.conv2d(told, self.spread, padding=padding, groups=groups)
        g = F.conv2d(told, self.widen, padding=1)
        if torch.is_grad_enabled():  # in meta-training a graph needs the values in between
            return (g + mix(self.carry, e)) * (1 + mix(self.gate, sensed))
        g.flatten(2).baddbmm_(self.carry.expand(len(e), -1, -1), e.flatten(2))
        # On a CPU sample by sample, so that the gate of all samples never lives at once.
        size = len(g) if g.is_cuda else 1
        for first in range(0, len(g), size):
            some = slice(first, first + size)
            g[some].mul_(mix(self.gate, sensed[some]).add_(1))
        return g


class SGMs(nn.Module):
    """A chain's modules: one for every block but the last, whose gradient is the error itself.

    Attributes:
        inner: channels inside each module; reach: cells it looks to each side, beside the next one.
    """

    def __init__(self, channels: int, count: int, inner: int = 8, reach: int = 0) -> None:
        super().__init__()
        self.inner, self.reach = inner, reach
        self.each = nn.ModuleList([SGM(channels, inner, reach) for _ in range(count)])

    @staticmethod
    def untrained(net: Chain, rng: np.random.Generator, inner: int = 8, reach: int = 0) -> SGMs:
        """Returns fresh modules for a chain whose blocks all put out as many channels."""
        first = next(net.block(0).parameters())
        channels = len(first)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            made = SGMs(channels, len(net.blocks) - 1, inner, reach)
        return made.to(first).requires_grad_(False)

    def after(self, first: int) -> SGMs:
        """Returns the modules of the chain without its first blocks (``Chain.after``); shared."""
        rest = SGMs(0, 0, self.inner, self.reach)
        rest.each.extend(self.each[first:])
        return rest

    @property
    def shape(self) -> tuple[int, int]:
        """Inner channels and reach: what modules for a chain are made with."""
        return self.inner, self.reach

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.each)

    def guess(self, index: int, h: Tensor, e: Tensor) -> Tensor:
        """Returns the guessed gradient at block ``index``'s output, in memory of its own."""
        guessed: Tensor = self.each[index](h, e)
        return guessed
