"""What the feed-forward rule promises beyond the common suite."""

from __future__ import annotations

import conformance
import numpy as np
import pytest
import torch

from grasplearn.edge.memory import MemoryMeter
from grasplearn.errors import InvalidValueError
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import SGD
from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.head import Target
from grasplearn.nets.weights import digest
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.backprop_checkpointed import CheckpointedBackprop
from grasplearn.rules.base import Guard
from grasplearn.rules.sgm import SGM, SGMs
from grasplearn.rules.static_sgm import StaticSGM

KINDS = ("exact", "cached", "target")


@pytest.mark.parametrize("error", KINDS)
def test_no_autograd_graph_is_ever_recorded(error: str, monkeypatch) -> None:
    net, batch = conformance.problem()
    recorded = []

    def refuse(*_, **__):
        raise AssertionError("the feed-forward rule asked autograd for a gradient")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    monkeypatch.setattr(torch.autograd, "backward", refuse)
    for block in net.blocks:
        block.register_forward_hook(lambda _, __, out: recorded.append(out.grad_fn))
    rule, rng = StaticSGM(error=error), np.random.default_rng(0)
    state = rule.init(net, rng)
    with torch.enable_grad():
        for _ in range(2):
            for update in rule.block_grads(net, batch, state, rng):
                assert all(g.grad_fn is None for g in update.grads.values())
                assert torch.is_grad_enabled()  # the caller's mode is its own
    assert recorded and not any(recorded)


def test_backprop_does_ask_autograd(monkeypatch) -> None:
    """The trap above is one that a rule with a backward pass falls into."""
    net, batch = conformance.problem()
    monkeypatch.setattr(torch.autograd, "grad", None)
    with pytest.raises(TypeError):
        conformance.gradient(net, Backprop(), batch)


@pytest.mark.parametrize("error", KINDS)
def test_blocks_come_in_forward_order(error: str) -> None:
    net, batch = conformance.problem()
    rule, rng = StaticSGM(error=error), np.random.default_rng(0)
    updates = rule.block_grads(net, batch, rule.init(net, rng), rng)
    order = [u.index for u in updates if u.index < len(net.blocks)]
    assert order == sorted(order)


def test_modules_are_static_and_smaller_than_the_net() -> None:
    net = GraspNet()
    modules = SGMs.untrained(net, np.random.default_rng(0))
    assert _size(modules) < _size(net) / 3
    assert _size(net) < 400_000
    small, batch = conformance.problem()
    modules = SGMs.untrained(small, np.random.default_rng(0))
    before = digest(modules.state_dict())
    settings = FineTuning(optimizer=SGD(0.02))
    rng = np.random.default_rng(0)
    fine_tune(small, [batch] * 3, StaticSGM(modules=modules), rng, settings, steps=3)
    assert digest(modules.state_dict()) == before


def _size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("reach", [0, 2])
def test_module_is_linear_in_the_error_and_alike_with_and_without_a_graph(reach: int) -> None:
    torch.manual_seed(0)
    module = SGM(8, 4, reach).double()
    for p in module.parameters():
        torch.nn.init.normal_(p)
    h, e, f = torch.randn(3, 2, 8, 5, 5).double()
    with torch.no_grad():
        both = module(h, 2 * e + f)
        assert torch.allclose(both, 2 * module(h, e) + module(h, f))
    with torch.enable_grad():
        assert torch.allclose(module(h, 2 * e + f), both)
    # The error at one cell is heard as far as the module looks, and no farther.
    e = torch.zeros(1, 8, 9, 9).double()
    e[..., 4, 4] = 1
    with torch.no_grad():
        heard = module(torch.randn(1, 8, 9, 9).double(), e)[0].abs().sum(0) > 0
    rows, columns = heard.nonzero().T
    assert (rows - 4).abs().max() == (columns - 4).abs().max() == 1 + reach


def test_exploding_guess_is_scaled_and_a_nan_is_skipped() -> None:
    net, batch = conformance.problem()
    modules = SGMs.untrained(net, np.random.default_rng(0))
    with torch.no_grad():
        modules.each[0].carry.mul_(1e9)
        modules.each[1].carry.mul_(float("nan"))
    rule, rng = StaticSGM(modules=modules), np.random.default_rng(0)
    told = {}
    for update in rule.block_grads(net, batch, rule.init(net, rng), rng):
        told[update.index] = update.guard
        assert all(bool(torch.isfinite(g).all()) for g in update.grads.values())
    assert told[0] is Guard.SCALED and told[1] is Guard.SKIPPED and told[2] is Guard.FINE
    settings = FineTuning(optimizer=SGD(0.02))
    _, report = fine_tune(net, [batch] * 2, rule, rng, settings, steps=2)
    assert report.guards == {Guard.SCALED: 2, Guard.SKIPPED: 2}
    assert "2 of 10 updates were not finite" in report.warning


def test_cached_error_saves_the_first_pass() -> None:
    net, batch = conformance.problem()
    passes = []
    net.block(0).register_forward_hook(lambda *_: passes.append(1))
    rule, rng = StaticSGM(error="cached"), np.random.default_rng(0)
    state = rule.init(net, rng)
    for expected in (2, 3, 4):
        list(rule.block_grads(net, batch, state, rng))
        assert len(passes) == expected
    with pytest.raises(InvalidValueError, match="keys"):
        list(rule.block_grads(net, Batch(batch.pictures, batch.target), state, rng))


def test_memory_beside_inference_and_backprop() -> None:
    flat = conformance.peaks(StaticSGM())
    linear = conformance.peaks(Backprop())
    root = conformance.peaks(CheckpointedBackprop())
    assert flat.inference[0] == flat.inference[2]
    assert flat.step[2] < root.step[2] < linear.step[2]


def test_peak_of_the_shipped_net_is_within_half_of_inference() -> None:
    found = []
    for times in (1, 2):
        net = GraspNet(NetSpec().deeper(times))
        place = torch.zeros(4, 16, 28, 28)
        place[:, 0, 9, 9] = 1
        batch = Batch(torch.zeros(4, 5, 112, 112), Target(place, torch.zeros(4)))
        rule, rng = StaticSGM(), np.random.default_rng(0)
        state = rule.init(net, rng)
        with MemoryMeter() as meter:
            for _ in rule.block_grads(net, batch, state, rng):
                pass
        with MemoryMeter() as inference:
            net.predict(batch.pictures)
        found.append(meter.peak / inference.peak)
    assert max(found) <= 1.5
    assert abs(found[1] / found[0] - 1) < 0.02


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="exact, cached or target"):
        StaticSGM(error="none")
    with pytest.raises(InvalidValueError, match="limit"):
        StaticSGM(limit=0)


def test_rules_know_nothing_of_grasps() -> None:
    """Any chain will do: here layers without a closed form, and classes as targets."""
    torch.manual_seed(0)
    layers = [conformance.Layer(6) for _ in range(3)]
    net = Chain(layers, conformance.Classes(6)).double()
    batch = Batch(torch.randn(10, 6).double(), torch.randint(3, (10,)))
    wanted = conformance.true_gradient(net, batch)
    for rule in (Backprop(), CheckpointedBackprop()):
        conformance.assert_equal(conformance.gradient(net, rule, batch), wanted)

    class Straight:
        def guess(self, index, h, e):
            return e.clone()

    found = conformance.gradient(net, StaticSGM(modules=Straight()), batch)
    exact = [n for n in wanted if n.startswith(("head", "blocks.2"))]
    conformance.assert_equal({n: found[n] for n in exact}, {n: wanted[n] for n in exact})
    with pytest.raises(InvalidValueError, match="tells no error"):
        conformance.gradient(net, StaticSGM(error="target", modules=Straight()), batch)
