"""What a learning rule is: a generator of block updates.

A rule yields a block's gradient as soon as it has found it, and never reads that block's stored
activation afterwards; whoever runs it applies each update as it arrives. Every rule here computes
its gradients with PRE-update activations: block i + 1 sees what block i made before its update of
the same step. So a rule with a perfect gradient equals backprop to rounding, whatever the order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from grasplearn.nets.chain import Batch, Chain, Grads

Memory = Literal["flat", "linear", "sqrt"]
# Whatever a rule keeps between steps; only the rule looks inside.
State = Any


class Guard(StrEnum):
    """What a rule had to do to a block's gradient."""

    FINE = "fine"
    SCALED = "scaled"
    SKIPPED = "skipped"


@dataclass(frozen=True, eq=False)
class BlockGrad:
    """One block's gradient.

    Attributes:
        index: of the block in ``net.blocks``; ``len(net.blocks)`` is the head.
        grads: by parameter name, of the parameters' shapes; empty where the block was skipped.
        loss: (), told by the head alone; None from all others.
        guard: what was done to the gradient.
        weights: from a rule that makes its own update: what the block's parameters become, instead
            of a gradient; no optimizer touches them.
    """

    index: int
    grads: Grads
    loss: Tensor | None = None
    guard: Guard = Guard.FINE
    weights: Grads | None = None


class LearningRule(Protocol):
    """A frozen dataclass; its fields are its settings."""

    @property
    def exact(self) -> bool:
        """Whether its gradient equals autograd's."""
        ...

    @property
    def unbiased(self) -> bool:
        """Whether its gradient equals autograd's in expectation."""
        ...

    @property
    def memory(self) -> Memory:
        """How a step's peak of live bytes grows with the number of blocks."""
        ...

    def init(self, net: Chain, rng: np.random.Generator) -> State:
        """Returns what the rule keeps between steps; ``net`` is not changed."""
        ...

    def block_grads(
        self, net: Chain, batch: Batch, state: State, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        """Yields every block's and the head's gradient once, in the order they are found.

        Between two of them the caller may change the weights of blocks that have been yielded.
        """
        ...


def root_mean_square(tensor: Tensor) -> float:
    """Returns a gradient's size, whatever its shape."""
    return float(torch.linalg.vector_norm(tensor)) / math.sqrt(tensor.numel())
