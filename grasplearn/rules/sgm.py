"""Synthetic gradient modules: small nets that guess the gradient at a block's output.

They see the block's own output h and the error e at the head's input, brought to every block alike:
``g = (skip * e + conv3x3((W e) * gate1(h))) * gate2(h)``. Without biases outside the gates, so linear
in e: no error, no gradient, and the gradient's scale is the error's. The trunk is residual, so e
itself, a factor per channel, is already a fair guess; that is what an untrained module says.

Source: the idea is Static SGMs (arXiv 2009.09675); the module's form, its broadcast error and the
skip are ours.
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

    The gates are ``2 sigmoid(...)`` and start at 1, the convolution starts at 0, the skip at 1.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.reduce = nn.Parameter(torch.randn(inner, channels) / math.sqrt(channels))
        self.gate_in = nn.Parameter(torch.zeros(inner, channels))
        self.gate_in_bias = nn.Parameter(torch.zeros(inner))
        self.widen = nn.Parameter(torch.zeros(channels, inner, 3, 3))
        self.skip = nn.Parameter(torch.ones(channels))
        self.gate_out = nn.Parameter(torch.zeros(channels, inner))
        self.gate_out_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        sensed = mix(self.gate_in, h) + self.gate_in_bias.view(-1, 1, 1)
        inner = mix(self.reduce, e) * (2 * sensed.sigmoid())
        g = F.conv2d(inner, self.widen, padding=1)
        g = g.addcmul_(e, self.skip.view(-1, 1, 1)) if _free(g) else g + e * self.skip.view(-1, 1, 1)
        # The outer gate looks through the inner one's few channels: a tenth of the arithmetic.
        gate = mix(self.gate_out, sensed.tanh()).add_(self.gate_out_bias.view(-1, 1, 1))
        return g.mul_(gate.sigmoid_().mul_(2)) if _free(g) else g * (2 * gate.sigmoid())


def _free(tensor: Tensor) -> bool:
    """Whether no graph is being recorded, so that a tensor may be written over."""
    return not tensor.requires_grad


class SGMs(nn.Module):
    """The modules of a chain: one for every block but the last, whose gradient is the error itself."""

    def __init__(self, channels: int, count: int, inner: int = 6) -> None:
        super().__init__()
        self.each = nn.ModuleList([SGM(channels, inner) for _ in range(count)])

    @staticmethod
    def untrained(net: Chain, rng: np.random.Generator, inner: int = 6) -> SGMs:
        """Returns fresh modules for a chain whose blocks all put out the same number of channels."""
        first = next(net.block(0).parameters())
        channels = len(first)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            made = SGMs(channels, len(net.blocks) - 1, inner)
        return made.to(first).requires_grad_(False)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.each)

    def guess(self, index: int, h: Tensor, e: Tensor) -> Tensor:
        """Returns the guessed gradient at block ``index``'s output, in memory of its own."""
        guessed: Tensor = self.each[index](h, e)
        return guessed
