"""Rules for the end of a net alone, against the same oracle as the rules."""

from __future__ import annotations

import conformance
import numpy as np
import pytest
import torch

from grasplearn.edge.memory import MemoryMeter
from grasplearn.rules import RULES
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.base import LearningRule
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.static_sgm import StaticSGM
from grasplearn.rules.tail import Tail


@pytest.mark.parametrize("first", [1, 2, 3])
def test_its_gradients_are_autograds_and_none_come_for_the_first_blocks(first: int) -> None:
    net, batch = conformance.problem()
    true = conformance.true_gradient(net, batch)
    found = conformance.gradient(net, Tail(Backprop(), first), batch)
    still = tuple(f"blocks.{index}." for index in range(first))
    conformance.assert_equal(found, {n: g for n, g in true.items() if not n.startswith(still)})


@pytest.mark.parametrize("name", RULES)
def test_any_rule_leaves_the_first_blocks_as_they_are(name: str) -> None:
    net, batch = conformance.problem()
    rule = Tail(RULES[name](), 2)
    inner = rule.rule
    assert (rule.exact, rule.unbiased, rule.memory) == (inner.exact, inner.unbiased, inner.memory)
    rng = np.random.default_rng(0)
    state = rule.init(net, rng)
    for _ in range(2):
        updates = list(rule.block_grads(net, batch, state, rng))
        assert sorted(u.index for u in updates) == list(range(2, len(net.blocks) + 1))
        assert [u.index for u in updates if u.loss is not None] == [len(net.blocks)]


def test_the_modules_are_those_of_the_blocks_that_learn() -> None:
    net, batch = conformance.problem()
    modules = SGMs.untrained(net, np.random.default_rng(0)).double()
    with torch.no_grad():
        for number, module in enumerate(modules):
            for p in module.parameters():
                p.mul_(1 + number)
    whole = conformance.gradient(net, StaticSGM(modules=modules), batch)
    tail = conformance.gradient(net, Tail(StaticSGM(modules=modules.after(2)), 2), batch)
    assert tail.keys() < whole.keys()
    conformance.assert_equal(tail, {name: whole[name] for name in tail})


def test_nothing_of_the_first_blocks_is_kept() -> None:
    def peak(rule: LearningRule) -> int:
        net, batch = conformance.problem()
        with MemoryMeter() as meter:
            for _ in rule.block_grads(net, batch, None, np.random.default_rng(0)):
                pass
        return meter.peak

    assert peak(Tail(Backprop(), 3)) < peak(Tail(Backprop(), 2)) < peak(Backprop())
