"""The memory meter against sums that can be done by hand."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch

from grasplearn.edge.memory import Event, MemoryMeter, Span, peak_memory, timeline
from grasplearn.edge.step_cost import Size, batch_of, parts_of, stepper
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.rules import RULES

KIB = 1024


def floats(kib: int) -> torch.Tensor:
    return torch.ones(kib * KIB // 4)


def test_one_tensor_counts_its_bytes() -> None:
    assert peak_memory(floats, 3).peak == 3 * KIB


def test_what_is_freed_no_longer_counts() -> None:
    def run() -> None:
        a = floats(4)
        del a
        floats(3)

    use = peak_memory(run)
    assert (use.peak, use.live) == (4 * KIB, 0)


def test_inputs_are_the_baseline_even_when_written_to_or_freed() -> None:
    inputs = [floats(8)]

    def run() -> torch.Tensor:
        inputs[0].add_(1)
        half = inputs[0].view(2, -1)[0]
        inputs.clear()
        return half + 1

    assert peak_memory(run).peak == 4 * KIB


def test_views_and_in_place_operations_are_free() -> None:
    def run() -> None:
        a = floats(2)
        a.view(2, -1).transpose(0, 1).mul_(2).relu_()
        a[3:].zero_()

    assert peak_memory(run).peak == 2 * KIB


def test_what_autograd_keeps_counts_until_it_is_used() -> None:
    x = floats(1).requires_grad_()

    def chain(length: int) -> None:
        h = x
        for _ in range(length):
            h = h.sin()
        del h

    def keep(length: int) -> torch.Tensor:
        h = x
        for _ in range(length):
            h = h.sin()
        return h

    assert peak_memory(chain, 5).live == 0
    with MemoryMeter() as meter:
        out = keep(5)
        assert meter.live == 5 * KIB
        (grad,) = torch.autograd.grad(out, x, torch.ones_like(out))
        del out
        assert meter.live == KIB
    with torch.no_grad():
        assert peak_memory(keep, 5).peak == 2 * KIB
    assert grad.shape == x.shape


def test_marks_divide_the_time() -> None:
    with MemoryMeter() as meter:
        a = floats(2)
        meter.mark("a")
        b = floats(3)
        del b
        meter.mark("b")
        del a
        meter.mark("none")
    assert meter.use.spans == (
        Span("a", 2 * KIB, 2 * KIB),
        Span("b", 5 * KIB, 2 * KIB),
        Span("none", 2 * KIB, 0),
    )


def test_a_resized_storage_counts_anew() -> None:
    def run() -> None:
        a = torch.empty(0)
        a.resize_(KIB)

    assert peak_memory(run).peak == 4 * KIB


def test_what_outlives_the_meter_does_no_harm() -> None:
    with MemoryMeter() as meter:
        a = floats(2)
    del a
    assert meter.peak == 2 * KIB


def test_an_error_inside_leaves_the_meter() -> None:
    with pytest.raises(ZeroDivisionError), MemoryMeter():
        floats(1)
        1 / 0  # noqa: B018
    assert peak_memory(floats, 1).peak == KIB


def test_a_timeline_tells_who_is_at_work() -> None:
    a, b = torch.ones(KIB // 4, requires_grad=True), torch.ones(KIB // 4, requires_grad=True)

    def forward() -> torch.Tensor:
        return (floats(1) * a).exp() * b

    use = timeline({"a": [a], "b": [b]}, forward)
    # A constant before any part; the product and its exponential, of which autograd keeps the
    # latter; the second product, of which nothing is left when it is dropped.
    assert use.events[0] == Event("", KIB)
    assert [event.part for event in use.events] == sorted(event.part for event in use.events)
    assert (use.events[-1], use.peaks()["b"]) == (Event("b", 0), use.peak)
    assert max(event.live for event in use.events) == use.peak

    def both() -> None:
        torch.autograd.grad(forward().sum(), (a, b))

    order = [event.part for event in timeline({"a": [a], "b": [b]}, both).events]
    # Backward: autograd meets b again first; a's weight is not read on the way back to a.
    assert order.index("a") < order.index("b")
    assert peak_memory(both).events == ()


@pytest.mark.parametrize("rule", ["static-sgm", "backprop"])
def test_blocks_work_in_the_order_of_their_rule(rule: str) -> None:
    net = GraspNet(NetSpec(width=8, depth=3, features=8, groups=2, turns=8, kernel=3, hidden=4))
    batch = batch_of(net.spec, Size(1, 32, 1), 0)
    made = RULES[rule]()
    parts = parts_of(net, made)
    assert list(parts) == ["block 0", "block 1", "block 2", "block 3", "head"]
    use = timeline(parts, stepper(net, made, batch, 0))
    order = [part for part, _ in groupby(event.part for event in use.events if event.part)]
    forward = list(parts)
    if rule == "backprop":
        assert order[: len(parts)] == forward
        # The stem's weight is not needed for its own gradient, but that of block 1 is for its.
        assert order[len(parts) :][:3] == ["block 3", "block 2", "block 1"]
    else:
        # A pass that finds the error, and one that updates: both from the first to the last.
        assert order == [*forward, *forward[:-1]]
    assert max(use.peaks().values()) == use.peak == peak_memory(stepper(net, made, batch, 0)).peak
