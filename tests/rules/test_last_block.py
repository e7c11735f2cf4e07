"""Fine-tuning of the last block alone, against the same oracle as the rules."""

from __future__ import annotations

import conformance
import numpy as np
import torch

from grasplearn.edge.memory import MemoryMeter
from grasplearn.learning.last_block import LastBlock
from grasplearn.rules.backprop import Backprop


def test_its_gradients_are_autograds_and_no_others_come() -> None:
    net, batch = conformance.problem()
    true = conformance.true_gradient(net, batch)
    found = list(LastBlock().block_grads(net, batch, None, np.random.default_rng(0)))
    count = len(net.blocks)
    assert [update.index for update in found] == [count, count - 1]
    assert torch.allclose(found[0].loss, net.loss(batch).detach())
    for update, prefix in zip(found, ("head.", f"blocks.{count - 1}."), strict=True):
        assert update.grads.keys() == {
            name.removeprefix(prefix) for name in true if name.startswith(prefix)
        }
        for name, grad in update.grads.items():
            assert torch.allclose(grad, true[prefix + name], rtol=1e-9, atol=1e-12), name


def test_no_other_activation_is_kept() -> None:
    def peak(rule) -> int:
        net, batch = conformance.problem()
        with MemoryMeter() as meter:
            for _ in rule.block_grads(net, batch, None, np.random.default_rng(0)):
                pass
        return meter.peak

    assert peak(LastBlock()) < peak(Backprop())
