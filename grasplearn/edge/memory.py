"""The exact peak of live tensor bytes of any callable.

Python's and torch's allocators keep freed memory, so a process's size hides what a method needs.
Here every storage that an operation makes is followed until it is freed. What existed before
(weights, inputs) is the baseline and does not count. Not seen: scratch memory inside one operation.

Source: the idea of following storages from a dispatch mode is that of torch's own memory trackers;
the marks and the baseline are ours.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Span:
    """A stretch of a measurement, up to a mark.

    Attributes:
        label: the mark's; peak: most live bytes within the stretch; live: bytes at its end.
    """

    label: str
    peak: int
    live: int


@dataclass(frozen=True)
class Event:
    """A moment at which the live bytes changed.

    Attributes:
        part: who was at work: the part whose tensors an operation was given last; "" before any.
        live: bytes above the baseline, just afterwards.
    """

    part: str
    live: int


@dataclass(frozen=True)
class MemoryUse:
    """What a measurement found.

    Attributes:
        peak: most live bytes above the baseline; live: bytes left at the end.
        spans: in between, where there were marks.
        events: every change in its order, where parts were named.
    """

    peak: int
    live: int
    spans: tuple[Span, ...] = field(default=())
    events: tuple[Event, ...] = field(default=())

    def peaks(self) -> dict[str, int]:
        """Most live bytes while each part was at work, in the order in which they first were."""
        found: dict[str, int] = {}
        for event in self.events:
            found[event.part] = max(found.get(event.part, 0), event.live)
        return found


class MemoryMeter(TorchDispatchMode):
    """Counts live bytes while it is entered.

    Example:
        with MemoryMeter() as meter:
            for update in rule.block_grads(net, batch, state, rng):
                meter.mark(f"block {update.index}")
        meter.use.peak

    Attributes:
        live, peak: bytes above the baseline, now and at most.

    Args:
        parts: tensors (weights, as a rule) by the name of the part that works with them. Then every
            change is kept, with the part at work: the timeline of whatever is called, be it a
            forward pass or a backward one that autograd runs.
    """

    def __init__(self, parts: Mapping[str, Iterable[Tensor]] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Held, so that no other storage comes to lie at the address of one of them.
        self._held = {name: list(tensors) for name, tensors in (parts or {}).items()}
        self._owners = {
            tensor.untyped_storage()._cdata: name
            for name, tensors in self._held.items()
            for tensor in tensors
        }
        self._part, self._events = "", list[Event]()
        self.live = self.peak = 0
        self._span_peak = 0
        self._spans: list[Span] = []
        # Sizes of followed storages by address, -1 for the baseline's; an entry ends with its
        # storage.
        self._sizes: dict[int, int] = {}
        self._guards: dict[int, weakref.ReferenceType[Any]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = tree_leaves((args, kwargs))
        for leaf in given:
            self._follow(leaf, baseline=True)
        if self._owners:
            self._look_for_part(given)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            self._follow(leaf, baseline=False)
        # An operation may resize a storage it was given.
        for leaf in given:
            self._follow(leaf, baseline=False)
        del given
        return result

    def mark(self, label: str) -> None:
        """Ends a stretch under a label."""
        self._spans.append(Span(label, self._span_peak, self.live))
        self._span_peak = self.live

    @property
    def use(self) -> MemoryUse:
        return MemoryUse(self.peak, self.live, tuple(self._spans), tuple(self._events))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, value, trace)  # type: ignore[no-untyped-call]
        self._guards.clear()

    def _look_for_part(self, given: list[Any]) -> None:
        for leaf in given:
            if isinstance(leaf, Tensor) and not leaf.is_sparse:
                self._part = self._owners.get(leaf.untyped_storage()._cdata, self._part)

    def _follow(self, leaf: Any, baseline: bool) -> None:
        if not isinstance(leaf, Tensor) or leaf.is_sparse:
            return
        storage = leaf.untyped_storage()
        key = storage._cdata
        known = self._sizes.get(key)
        if known is None:
            self._guards[key] = weakref.ref(storage, partial(self._freed, key))
            known = 0
            self._sizes[key] = -1 if baseline else 0
            if baseline:
                return
        if known < 0:
            return
        size = storage.nbytes()
        self._sizes[key] = size
        self._change(size - known)

    def _freed(self, key: int, _: object) -> None:
        size = self._sizes.pop(key, 0)
        self._guards.pop(key, None)
        self._change(-max(size, 0))

    def _change(self, by: int) -> None:
        self.live += by
        self.peak = max(self.peak, self.live)
        self._span_peak = max(self._span_peak, self.live)
        if self._owners and by:
            self._events.append(Event(self._part, self.live))


def peak_memory(call: Callable[..., Any], *args: Any, **kwargs: Any) -> MemoryUse:
    """Runs a callable once and returns its memory; its result is dropped within the measurement."""
    return timeline({}, call, *args, **kwargs)


def timeline(
    parts: Mapping[str, Iterable[Tensor]], call: Callable[..., Any], *args: Any, **kwargs: Any
) -> MemoryUse:
    """As ``peak_memory``, with every change of the live bytes and the part that was at work.

    Example:
        blocks = {f"block {i}": b.parameters() for i, b in enumerate(net.blocks)}
        timeline(blocks, net.predict, pictures).events

    Args:
        parts: tensors by the name of the part that works with them.
    """
    meter = MemoryMeter(parts)
    with meter:
        call(*args, **kwargs)
    return meter.use
