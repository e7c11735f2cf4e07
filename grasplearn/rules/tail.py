"""Any rule for the end of a net: the first blocks stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.base import BlockGrad, LearningRule, Memory, State


@dataclass(frozen=True, eq=False)
class Tail:
    """Runs the first blocks forward, once a step, and leaves all others to another rule.

    When to choose it: the first blocks have little to learn from one demonstration, or a rule knows
    little about them. Nothing of them is kept but what they put out, whatever the rule. No entry of
    RULES, which hold a gradient for every block.

    Attributes:
        rule: for a chain that begins after the first blocks: modules that it brings are for that.
        first: how many blocks stay as they are.
    """

    rule: LearningRule
    first: int

    @property
    def exact(self) -> bool:
        return self.rule.exact

    @property
    def unbiased(self) -> bool:
        return self.rule.unbiased

    @property
    def memory(self) -> Memory:
        return self.rule.memory

    def init(self, net: Chain, rng: np.random.Generator) -> State:
        return self.rule.init(net.after(self.first), rng)

    def block_grads(
        self, net: Chain, batch: Batch, state: State, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        h = batch.pictures
        with torch.no_grad():
            for index in range(self.first):
                h = net.block(index)(h)
        rest = replace(batch, pictures=h)
        for update in self.rule.block_grads(net.after(self.first), rest, state, rng):
            yield replace(update, index=update.index + self.first)
