"""Fine-tuning: any rule, any optimizer; every update is applied as it arrives."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from grasplearn.edge.memory import MemoryMeter
from grasplearn.errors import InvalidValueError
from grasplearn.learning.optimizers import Lars, Optimizer, PartOptimizer
from grasplearn.nets.chain import Batch, Chain, Grads
from grasplearn.nets.head import IMPRINTED
from grasplearn.rules.base import BlockGrad, Guard, LearningRule

Net = TypeVar("Net", bound=Chain)
Watch = Callable[[int, BlockGrad], None]
# Told after every step: its number, its loss before the update, most live bytes of a step so far
# (None where they are not followed), and the net as it has become, to be looked at and left alone.
After = Callable[[int, float, int | None, Net], None]


@dataclass(frozen=True)
class FineTuning:
    """Settings of fine-tuning.

    Attributes:
        optimizer: of every block and the head; its step size decays on a cosine to ``last`` of it.
        last: step size at the end / at the start.
        blocks: the blocks' step size / the head's.
        head: factors of the step size by name of the head's parameters; 0 for one that stays as it
            is (kernels and the width of the jaws: the demonstration has told them).
        frozen: indices of blocks that stay as they are; ``len(blocks)`` is the head.
        measure_memory: follow the first step's live bytes (that step takes longer).
        agreement: at these steps, compare with backprop (costs a backprop step each).
    """

    optimizer: Optimizer = field(default_factory=Lars)
    last: float = 0.1
    blocks: float = 1.0
    head: dict[str, float] = field(default_factory=lambda: dict.fromkeys(IMPRINTED, 0.0))
    frozen: frozenset[int] = frozenset()
    measure_memory: bool = False
    agreement: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.last <= 1:
            raise InvalidValueError(f"last must be in (0, 1], got {self.last}")
        if not 0 < self.blocks <= 1:
            raise InvalidValueError(f"blocks must be in (0, 1], got {self.blocks}; or freeze them")


@dataclass(frozen=True)
class Report:
    """What fine-tuning did.

    Attributes:
        losses: of every step, before its update.
        seconds: wall time of all steps, batches included.
        peak_bytes: most live bytes of a step, or None.
        guards: how often a block's gradient was scaled, skipped.
        cosines: step -> cosine of every block's (and last the head's) weight gradient with
            backprop's.
        warning: what a person should know, or nothing.
    """

    losses: tuple[float, ...]
    seconds: float
    peak_bytes: int | None = None
    guards: dict[Guard, int] = field(default_factory=dict)
    cosines: dict[int, tuple[float, ...]] = field(default_factory=dict)
    warning: str = ""


def fine_tune(
    net: Net,
    batches: Iterable[Batch],
    rule: LearningRule,
    rng: np.random.Generator,
    settings: FineTuning | None = None,
    steps: int = 40,
    watch: Watch | None = None,
    after: After[Net] | None = None,
) -> tuple[Net, Report]:
    """Returns a fine-tuned copy of a net, one batch a step.

    Within a step all gradients are those at the weights of its start (``rules.base``): an update
    changes a block's weights at once, but no activation that a later block is given.

    Args:
        net: stays as it is; batches: at least ``steps`` of them; watch: is told every update;
            after: is told every step.

    Raises:
        InvalidValueError: there are fewer batches than steps.
    """
    settings = settings or FineTuning()
    net = copy.deepcopy(net)
    count = len(net.blocks)
    optimizers = {
        index: PartOptimizer(net.part(index), settings.optimizer, _factors(net, index, settings))
        for index in range(count + 1)
        if index not in settings.frozen
    }
    state = rule.init(net, rng)
    losses: list[float] = []
    guards = dict.fromkeys((Guard.SCALED, Guard.SKIPPED), 0)
    cosines: dict[int, tuple[float, ...]] = {}
    peak: int | None = None
    source = iter(batches)
    start = time.perf_counter()
    for step in range(steps):
        batch = next(source, None)
        if batch is None:
            raise InvalidValueError(f"{steps} steps need as many batches, got {step}")
        if step in settings.agreement:
            cosines[step] = agreement(net, batch, rule, state, copy.deepcopy(rng))
        factor = settings.last + (1 - settings.last) * (1 + np.cos(np.pi * step / steps)) / 2
        measured = settings.measure_memory and step == 0
        loss = float("nan")
        with MemoryMeter() if measured else nullcontext() as meter:
            for update in rule.block_grads(net, batch, state, rng):
                guard = update.guard if finite(update.grads) else Guard.SKIPPED
                if guard is not Guard.FINE:
                    guards[guard] += 1
                if update.loss is not None:
                    loss = float(update.loss)
                if guard is not Guard.SKIPPED and update.index in optimizers:
                    if update.weights is not None:
                        _put(net.part(update.index), update.weights)
                    else:
                        optimizers[update.index].step(update.grads, factor)
                if watch:
                    watch(step, update)
        peak = meter.peak if meter else peak
        losses.append(loss)
        if after:
            after(step, loss, peak, net)
    seconds = time.perf_counter() - start
    return net, Report(
        tuple(losses), seconds, peak, guards, cosines, _warning(losses, guards, count + 1)
    )


def _factors(net: Chain, index: int, settings: FineTuning) -> dict[str, float]:
    """Of the step size, by name of a part's parameters."""
    if index == len(net.blocks):
        return settings.head
    return {name: settings.blocks for name, _ in net.part(index).named_parameters()}


@torch.no_grad()
def _put(part: torch.nn.Module, weights: Grads) -> None:
    for name, p in part.named_parameters():
        p.copy_(weights[name])


def finite(grads: Grads) -> bool:
    """Whether no gradient is NaN or infinite."""
    return all(bool(torch.isfinite(g).all()) for g in grads.values())


def agreement(
    net: Chain, batch: Batch, rule: LearningRule, state: object, rng: np.random.Generator
) -> tuple[float, ...]:
    """Returns the cosine of every block's (last: the head's) weight gradient with backprop's."""
    with torch.enable_grad():
        loss = net.loss(batch)
        named = dict(net.named_parameters())
        true = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
    cosines = [float("nan")] * (len(net.blocks) + 1)
    for update in rule.block_grads(net, batch, copy.deepcopy(state), rng):
        last = update.index == len(net.blocks)
        prefix = "head." if last else f"blocks.{update.index}."
        grads = update.grads
        if update.weights is not None:  # the way back is the gradient that was followed
            part = dict(net.part(update.index).named_parameters())
            grads = {name: part[name].detach() - w for name, w in update.weights.items()}
        if grads:
            a = torch.cat([g.flatten() for g in grads.values()])
            b = torch.cat([true[prefix + name].flatten() for name in grads])
            cosines[update.index] = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
    return tuple(cosines)


def _warning(losses: list[float], guards: dict[Guard, int], parts: int) -> str:
    if not np.isfinite(losses).all():
        return "the loss was not finite in some steps, which were left out; use a smaller step size"
    if guards[Guard.SKIPPED]:
        return f"{guards[Guard.SKIPPED]} of {parts * len(losses)} updates were not finite, left out"
    if len(losses) >= 10 and np.mean(losses[-5:]) > np.mean(losses[:5]):
        return "the loss rose: teaching did not help; keep the imprint or use a smaller step size"
    return ""
