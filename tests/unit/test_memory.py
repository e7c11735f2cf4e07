"""The memory meter against sums that can be done by hand."""

from __future__ import annotations

import pytest
import torch

from grasplearn.edge.memory import MemoryMeter, Span, peak_memory

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
