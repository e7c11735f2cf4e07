"""Fine-tuning as a user meets it."""

from __future__ import annotations

import conformance
import numpy as np
import pytest
import torch

from grasplearn.errors import InvalidValueError
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import SGD, Adam, Lars, PartOptimizer
from grasplearn.nets.weights import digest
from grasplearn.rules import RULES
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.static_sgm import StaticSGM


def tune(settings: FineTuning, rule=None, steps: int = 4, watch=None):
    net, batch = conformance.problem()
    rng = np.random.default_rng(0)
    return net, *fine_tune(net, [batch] * steps, rule or Backprop(), rng, settings, steps, watch)


def test_the_net_that_was_given_stays_as_it_was() -> None:
    fresh, _ = conformance.problem()
    net, taught, report = tune(FineTuning())
    assert digest(net.state_dict()) == digest(fresh.state_dict())
    assert digest(taught.state_dict()) != digest(fresh.state_dict())
    assert len(report.losses) == 4 and report.seconds > 0 and report.peak_bytes is None


def test_adam_equals_torchs_own_loop() -> None:
    """Block by block as the gradients arrive is the same as all at once."""
    net, batch = conformance.problem()
    settings = FineTuning(optimizer=Adam(0.01), last=1.0, head={})
    _, taught, _ = tune(settings, steps=5)
    optimizer = torch.optim.Adam(net.parameters(), 0.01, (0.9, 0.99))
    for _ in range(5):
        optimizer.zero_grad()
        net.loss(batch).backward()
        optimizer.step()
    for (name, a), b in zip(net.named_parameters(), taught.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-9), name


def test_the_step_size_decays_and_parameters_have_factors() -> None:
    settings = FineTuning(optimizer=SGD(0.1), last=0.1, head={"kernels": 0.5, "link": 0.0})
    net, batch = conformance.problem()
    grads = conformance.true_gradient(net, batch)
    _, taught, _ = tune(settings, steps=1)
    head = taught.head
    assert torch.equal(head.link, net.head.link)
    for name, factor in (("kernels", 0.05), ("project", 0.1)):
        moved = getattr(net.head, name) - getattr(head, name)
        assert torch.allclose(moved, factor * grads[f"head.{name}"])


def test_frozen_blocks_stay() -> None:
    net, taught, _ = tune(FineTuning(frozen=frozenset({0, 4})))
    same = [digest(a.state_dict()) == digest(b.state_dict()) for a, b in _parts(net, taught)]
    assert same == [True, False, False, False, True]


def _parts(a, b):
    return [(a.part(i), b.part(i)) for i in range(len(a.blocks) + 1)]


@pytest.mark.parametrize("name", RULES)
def test_agreement_with_backprop_is_recorded(name: str) -> None:
    _, _, report = tune(FineTuning(agreement=frozenset({0, 2})), RULES[name]())
    assert sorted(report.cosines) == [0, 2]
    for cosines in report.cosines.values():
        if name == "fixed-point":  # its head, too, is estimated
            assert all(-1 <= c <= 1 for c in cosines)
            continue
        end = cosines[-1:] if name == "meprop" else cosines[-2:]
        exact = cosines if RULES[name]().exact else end
        assert exact == pytest.approx([1.0] * len(exact))
        if name in ("static-sgm", "static-sgm-one-pass", "meprop"):
            assert min(cosines) > 0


def test_looking_on_changes_nothing() -> None:
    seen = []
    looked = FineTuning(agreement=frozenset({1}), measure_memory=True)
    _, a, _ = tune(FineTuning(), StaticSGM())
    _, b, report = tune(looked, StaticSGM(), watch=lambda step, u: seen.append((step, u.index)))
    assert digest(a.state_dict()) == digest(b.state_dict())
    assert report.peak_bytes > 0
    assert seen[:5] == [(0, 4), (0, 0), (0, 1), (0, 2), (0, 3)]


def test_a_rising_loss_is_told() -> None:
    _, _, report = tune(FineTuning(optimizer=SGD(1e4), last=1.0), steps=12)
    assert report.warning


def test_too_few_batches_and_bad_rates_are_refused() -> None:
    net, batch = conformance.problem()
    with pytest.raises(InvalidValueError, match="2 steps need as many batches, got 1"):
        fine_tune(net, [batch], Backprop(), np.random.default_rng(0), steps=2)
    for make in (SGD, Adam, Lars):
        with pytest.raises(InvalidValueError):
            make(-1.0)
    with pytest.raises(InvalidValueError):
        FineTuning(last=0)


def test_a_layer_wise_step_is_a_share_of_the_tensor_s_length() -> None:
    """However large the gradient and the tensor are; along the smoothed gradient, downhill."""
    part = torch.nn.Linear(3, 2)
    with torch.no_grad():
        part.weight.copy_(torch.tensor([[3.0, 0, 0], [0, 4, 0]]))
        part.bias.zero_()
    optimizer = PartOptimizer(part, Lars(0.1, momentum=0.5), {})
    steep = torch.tensor([[0.0, 0, 7e5], [0, 0, 0]])
    optimizer.step({"weight": steep, "bias": torch.ones(2)}, factor=0.5)
    wanted = torch.tensor([[3.0, 0, -0.25], [0, 4, 0]])
    assert torch.allclose(part.weight, wanted), "5 percent of a length of 5"
    assert not part.bias.any(), "what has no length stays"
    before = part.weight.detach().clone()
    turned = torch.tensor([[0.0, 0, 0], [0, 0, 3.5e5]])
    optimizer.step({"weight": turned, "bias": torch.ones(2)}, factor=1.0)
    moved = part.weight.detach() - before
    assert moved[0, 2] == pytest.approx(float(moved[1, 2])), "half old, half new"
    assert float(moved.norm()) == pytest.approx(0.1 * float(before.norm()), rel=1e-5)
