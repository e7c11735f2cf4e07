"""What of a teaching step fits into so many bytes.

How much a step needs follows from shapes alone. So the real step, rule and optimizer included, is
run on tensors that have a shape and no content, under the memory meter: exact, and done in the time
that torch takes to call its operators. What counts is what the meter counts: live tensor bytes
above the weights, the gradient modules and the samples themselves.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from grasplearn.edge.memory import MemoryMeter
from grasplearn.errors import InvalidValueError
from grasplearn.learning.augment import Augmentation
from grasplearn.learning.fine_tune import FineTuning, finite
from grasplearn.learning.optimizers import Optimizer, PartOptimizer
from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.teaching_settings import (
    RECURRING_BATCHES,
    REMEMBERING,
    Teaching,
    optimizer_of,
    rule_of,
    teaching_of,
)
from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.graspnet import CHANNELS, GraspNet
from grasplearn.nets.head import Target
from grasplearn.rules.base import LearningRule

# The rules whose step is flat in the net's depth.
FORMS = ("static-sgm", "static-sgm-one-pass")
# ``Augmentation``'s least side, and how much smaller the next one that is tried is.
LEAST_SIDE, SIDE_STEP = 64, 16
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Choice:
    """A teaching step that fits.

    Attributes:
        method: one of FORMS; batch: samples a step; side: of a sample, pixels.
        bytes: a step's peak of live bytes.
    """

    method: str
    batch: int
    side: int
    bytes: int

    def teaching(self, own: Teaching) -> Teaching:
        """``own`` with this step."""
        samples = Augmentation(**{**asdict(own.augmentation), "side": self.side})
        return replace(own, method=self.method, batch=self.batch, augmentation=samples)

    def __str__(self) -> str:
        samples = "sample" if self.batch == 1 else "samples"
        return f"{self.method}, {self.batch} {samples} of {self.side} pixels a step"


def parse_bytes(text: str) -> int:
    """Returns the bytes that a size like 8MiB stands for.

    Raises:
        InvalidValueError: it is no number above 0 with one of UNITS.
    """
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", text.strip())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < 1:
        raise InvalidValueError(f"a budget is a number with KiB, MiB or GiB, as 8MiB; got '{text}'")
    return size


def told_bytes(size: int) -> str:
    """A size as people read it, rounded up, so that what is told suffices: 8.1MiB."""
    unit = next((u for u in reversed(UNITS) if size >= UNITS[u]), "KiB")
    return f"{-(-size * 10 // UNITS[unit]) / 10:.1f}{unit}"


class _NoContent(TorchDispatchMode):
    """Lets tensors without content be asked for a number: it is always 1, so that guards that look
    at a gradient's size find nothing to do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 1.0
        return func(*args, **(kwargs or {}))


def peak_of_steps(
    net: Chain, rule: LearningRule, optimizer: Optimizer, batches: list[Batch]
) -> int:
    """Returns the peak of live bytes over some steps, updates and all that is kept between steps
    (the optimizer's state, remembered errors) included.

    Runs what ``fine_tune`` runs; a test compares. The net's weights change.
    """
    settings = FineTuning(optimizer=optimizer)
    count, rng = len(net.blocks), np.random.default_rng(0)
    parts = {
        i: PartOptimizer(net.part(i), optimizer, settings.head if i == count else {})
        for i in range(count + 1)
    }
    state = rule.init(net, rng)
    with MemoryMeter() as meter:
        for batch in batches:
            for update in rule.block_grads(net, batch, state, rng):
                if finite(update.grads):
                    parts[update.index].step(update.grads, 1.0)
    return int(meter.peak)


def step_bytes(pretrained: Pretrained, method: str, batch: int, side: int) -> int:
    """Returns the peak of live bytes of a teaching step of the program's own optimizer, once all
    that is kept between steps is there.

    Args:
        method: one of FORMS; batch: samples; side: of a sample, pixels.

    Raises:
        InvalidValueError: the weights have no modules for the method.
    """
    teaching = teaching_of(pretrained, method)
    net: GraspNet = copy.deepcopy(pretrained.net).to("meta")
    modules = {name: copy.deepcopy(m).to("meta") for name, m in pretrained.modules.items()}
    rule = rule_of(teaching, Pretrained(net, modules))
    assert rule is not None
    # As many different batches as teaching has in turn, and then one that was seen before.
    turns = RECURRING_BATCHES if method in REMEMBERING else 1
    batches = list(_batches(net, batch, side, turns))
    with _NoContent():
        return peak_of_steps(net, rule, optimizer_of(teaching), [*batches, batches[0]])


def _batches(net: GraspNet, batch: int, side: int, count: int) -> Iterator[Batch]:
    cells = side // net.spec.stride
    for number in range(count):
        place = torch.empty(batch, net.spec.turns, cells, cells, device="meta")
        target = Target(place, torch.empty(batch, device="meta"))
        pictures = torch.empty(batch, CHANNELS, side, side, device="meta")
        yield Batch(pictures, target, tuple(range(number * batch, (number + 1) * batch)))


def choose(pretrained: Pretrained, own: Teaching, budget: int) -> Choice:
    """Returns the teaching step nearest to the program's own whose peak fits into a budget.

    The sample's side is kept as long as one sample of it fits, for a smaller one holds less of a
    scene; then come as many samples as fit; the form that was asked for goes before the other.
    The order was chosen, not measured.

    Args:
        own: what would be done with all memory; its method is one of FORMS. budget: bytes.

    Raises:
        InvalidValueError: the method is another one, or nothing fits; the message says what would.
    """
    if own.method not in FORMS:
        raise InvalidValueError(
            f"a budget chooses between {' and '.join(FORMS)}; leave out --rule or name one of them,"
            f" not {own.method}"
        )
    known: dict[tuple[str, int, int], int] = {}

    def need(method: str, batch: int, side: int) -> int:
        key = method, batch, side
        if key not in known:
            known[key] = step_bytes(pretrained, *key)
        return known[key]

    forms = [own.method, *(form for form in FORMS if form != own.method)]
    forms = [form for form in forms if form in pretrained.modules]
    sides = range(own.augmentation.side, LEAST_SIDE - 1, -SIDE_STEP)[::-1]

    def fits(batch: int, side: int) -> Choice | None:
        for form in forms:
            size = need(form, batch, side)
            if size <= budget:
                return Choice(form, batch, side, size)
        return None

    # A larger side never needs less: halve what is left until one is found.
    low, high = 0, len(sides)
    while low < high:
        middle = (low + high + 1) // 2 if high < len(sides) else len(sides)
        if fits(1, sides[middle - 1]):
            low = middle
        else:
            high = middle - 1
    if low == 0:
        form = min(forms, key=lambda name: need(name, 1, sides[0]))
        least = Choice(form, 1, sides[0], need(form, 1, sides[0]))
        raise InvalidValueError(
            f"no teaching step fits into {told_bytes(budget)}; the least is {least}, "
            f"with --budget {told_bytes(least.bytes)}"
        )
    for batch in range(own.batch, 0, -1):
        found = fits(batch, sides[low - 1])
        if found is not None:
            return found
    raise AssertionError("one sample was found to fit")
