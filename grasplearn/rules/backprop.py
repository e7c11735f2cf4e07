"""Backprop, the reference: the gradient is pulled back through all stored activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.base import BlockGrad, Memory


@dataclass(frozen=True)
class Backprop:
    """Torch's autograd through the whole trunk.

    When to choose it: memory is no concern. When not: on a device whose runtime has no backward
    pass, or whose memory does not hold every block's activation.
    """

    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    memory: ClassVar[Memory] = "linear"

    def init(self, net: Chain, rng: np.random.Generator) -> None:
        return None

    def block_grads(
        self, net: Chain, batch: Batch, state: None, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        with torch.enable_grad():
            h = net.features(batch.pictures)
        head = net.head.step(h.detach(), batch.target)
        parameters = list(net.blocks.parameters())
        grads = iter(torch.autograd.grad(h, parameters, head.error))
        del h
        found = [
            {name: next(grads) for name, _ in block.named_parameters()} for block in net.blocks
        ]
        yield BlockGrad(len(found), head.grads, head.loss)
        for index in reversed(range(len(found))):
            yield BlockGrad(index, found[index])
