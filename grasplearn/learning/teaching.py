"""Teaching: one demonstration is imprinted into a pre-trained net, refined, and checked.

Imprinting takes milliseconds and is exact. Where the demonstration holds something that the imprint
could take for the shown spot, or where it misses the spot in samples made from the one picture,
refining fine-tunes features and decoder on such samples; then the demonstration is imprinted once
more, into the features that it has now. On other samples, and on the demonstration itself, the
refined net must be better than the imprinted one, or the imprint is kept.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.geometry import Heightmap, heightmap
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.backdrops import load_backdrops
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.fine_tune import After, FineTuning, Watch, fine_tune
from grasplearn.learning.last_block import LastBlock
from grasplearn.learning.likeness import likeness
from grasplearn.learning.methods import IMPRINT, LAST_BLOCK, LEARNED, UNTAUGHT, UNVERIFIED
from grasplearn.learning.optimizers import OPTIMIZERS, Optimizer
from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.probe import Probe, SecondLook, shown_batch
from grasplearn.learning.reference import Reference
from grasplearn.learning.taught import Taught
from grasplearn.learning.threads import ahead, threads
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import imprint, place_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.verifier import Verifier
from grasplearn.rules import RULES
from grasplearn.rules.base import LearningRule
from grasplearn.rules.static_sgm import StaticSGM
from grasplearn.types import Demonstration, Grasp

__all__ = [
    "LEARNED",
    "RATES",
    "Look",
    "Progress",
    "Teaching",
    "batches",
    "fine_tuning",
    "optimizer_of",
    "teach",
    "teaching_of",
]

# The head's step size of every method that fine-tunes, in steps of ``lars``: of those 5e-3 to 5e-2
# were looked at, on validation objects beside look-alikes. benchmarks/rates.py tries each method.
LARS = "lars"
RATES: dict[str, float] = {**dict.fromkeys(RULES, 1.5e-2), LAST_BLOCK: 1.5e-2}
# Where weights' card notes how they are to be refined, and what may be noted there; ``rates``: by
# method, where it is not ``rate``.
REFINING, BY_METHOD = "refining", "rates"
NOTED = ("steps", "optimizer", "rate", "blocks", "share", "doubt", BY_METHOD)
# What may be kept, beside IMPRINT and UNTAUGHT.
REFINED = "refined"
# A rule that remembers a sample's error must meet it again: so many batches take turns.
RECURRING_BATCHES = 4


@dataclass(frozen=True)
class Teaching:
    """Settings of teaching.

    Attributes:
        method: one of LEARNED.
        steps: of fine-tuning; batch: samples a step.
        optimizer: lars, sgd or adam. Steps of ``lars`` are shares of what is there and keep what
            the weights know; ``adam`` moves every weight about equally far.
        rate: the head's step size; None for the method's own out of RATES, or the optimizer's.
            blocks: the blocks' / the head's. Large ones cost more than they brought.
        share: of the way from the imprint that is kept, 1 for all; less keeps more of what the
            weights knew (Wortsman et al., arXiv 2109.01903).
        augmentation: how the samples differ from the demonstration.
        probe: samples, besides the demonstration, on which refined and imprinted are compared.
        doubt: share of them that the imprint must miss before anything is refined: what it already
            finds, refining could only lose. 0 refines always, more than 1 never for this reason.
        rival: something else in the demonstration that the imprint finds at least this share as
            probable as the shown spot calls for refining as well; likewise.
        measure_memory: follow the first step's live bytes (that step takes longer).
        threads: that torch works with; the bytes that come out depend on it.

    Raises:
        UnknownNameError: there is no such method.
        InvalidValueError: a value is out of its range.
    """

    method: str = "static-sgm"
    steps: int = 16
    batch: int = 4
    optimizer: str = LARS
    rate: float | None = None
    blocks: float = 0.02
    share: float = 0.5
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(side=160, hue=0.3))
    probe: int = 23
    doubt: float = 0.2
    rival: float = 0.1
    measure_memory: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        if self.method not in LEARNED:
            raise UnknownNameError("learned method", self.method, LEARNED)
        if self.optimizer not in OPTIMIZERS:
            raise InvalidValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}")
        for name, least in (("steps", 1), ("batch", 1), ("probe", 0), ("threads", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidValueError(f"{name} must be a whole number from {least} on: {value}")
        for name in ("doubt", "rival"):
            if not getattr(self, name) >= 0:
                raise InvalidValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("blocks", "share"):
            if not 0 < getattr(self, name) <= 1:
                raise InvalidValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise InvalidValueError(f"rate must be above 0 and finite, got {self.rate}")


def teaching_of(pretrained: Pretrained, method: str = Teaching.method) -> Teaching:
    """Returns the settings with which a method teaches some weights, as far as their card notes
    any: what was pre-trained on less has to change more.

    Raises:
        UnknownNameError: there is no such method.
        FileFormatError: what is noted is none of NOTED, or out of its range.
    """
    noted = dict(pretrained.card.get(REFINING, {}))
    try:
        if set(noted) - set(NOTED):
            raise InvalidValueError(f"only {', '.join(NOTED)} can be noted")
        own = dict(noted.pop(BY_METHOD, {}))
        if method in own:
            noted["rate"] = own[method]
        return Teaching(method, **noted)
    except (ValueError, TypeError) as error:
        raise FileFormatError(
            f"the weights' card asks for refining that is none ({error}); meta-train them again"
        ) from error


@dataclass(frozen=True, eq=False)
class Progress:
    """How far teaching has come.

    Attributes:
        net: as it is now; to be looked at and left alone.
        step: steps of fine-tuning done, 0 for the imprint; steps: how many there will be.
        loss: of the last step, before its update; None before the first.
        peak_bytes: most live bytes of a step so far, where they are followed.
    """

    net: GraspNet
    step: int
    steps: int
    loss: float | None = None
    peak_bytes: int | None = None


Look = Callable[[Progress], None]


def teach(
    demonstration: Demonstration,
    pretrained: Pretrained,
    teaching: Teaching,
    seed: int,
    watch: Watch | None = None,
    look: Look | None = None,
) -> Taught:
    """Teaches a copy of a pre-trained net one demonstration.

    The same seed gives the same bytes on one machine.

    Args:
        pretrained: stays as it is. seed: of the samples, at least 0.
        watch: is told every update of every step.
        look: is shown the imprinted net, and the net after every step. What it raises ends
            teaching.

    Raises:
        InvalidValueError: nothing stands at the demonstrated grasp, or the weights have no modules
            for the method.
    """
    with threads(teaching.threads):
        return _teach(demonstration, pretrained, teaching, seed, watch, look)


def _teach(
    demonstration: Demonstration,
    pretrained: Pretrained,
    teaching: Teaching,
    seed: int,
    watch: Watch | None,
    look: Look | None,
) -> Taught:
    start = time.perf_counter()
    rule = _rule(teaching.method, pretrained)
    view = heightmap(demonstration.observation)
    shown = shown_batch(view, demonstration.grasp, pretrained.net)
    net = copy.deepcopy(pretrained.net)
    report, probe_loss, missed, kept, warnings = None, None, None, UNTAUGHT, []
    if teaching.method != UNTAUGHT:
        imprint(net, demonstration, view)
        kept = IMPRINT
    if look:
        look(Progress(net, 0, 0 if rule is None else teaching.steps))
    if rule is not None:
        support, rival = support_set(net, view, demonstration.grasp, teaching, seed)
        probe = Probe.draw(shown, support, teaching.probe, teaching.batch)
        imprinted_loss, missed = probe.look(net, _second_look(net, view, demonstration, pretrained))
        if rival >= teaching.rival or missed >= teaching.doubt:
            refined, report = fine_tune(
                net,
                ahead(batches(support, teaching, rule)),
                rule,
                np.random.default_rng(seed),
                fine_tuning(teaching, len(net.blocks)),
                teaching.steps,
                watch,
                _after(look, teaching.steps),
            )
            _go_back(refined, net, 1 - teaching.share)
            imprint(refined, demonstration, view)
            second = _second_look(refined, view, demonstration, pretrained)
            refined_loss, misses = probe.look(refined, second)
            probe_loss = imprinted_loss, refined_loss
            better = bool(np.isfinite(report.losses).all()) and refined_loss < imprinted_loss
            if better and misses <= missed:
                net, kept = refined, REFINED
            else:
                warnings.append("refining did not help on samples held out: the imprint was kept")
            # A loss that rose from sample to sample means nothing where the probe's has fallen.
            if kept == IMPRINT or any(report.guards.values()):
                warnings.insert(0, report.warning)
    if kept != UNTAUGHT and not _loss(net, shown) < _loss(pretrained.net, shown):
        warnings.append("on its own demonstration the taught net is no better than an untaught one")
    return Taught(
        net,
        demonstration.grasp.yaw,
        demonstration,
        teaching,
        report,
        kept,
        probe_loss,
        missed,
        "; ".join(w for w in warnings if w),
        time.perf_counter() - start,
        verifier_of(teaching.method, kept, pretrained),
    )


@torch.no_grad()
def _go_back(refined: GraspNet, imprinted: GraspNet, share: float) -> None:
    """Takes back, in place, a share of what fine-tuning changed; to the bit nothing for 0."""
    if share:
        for new, old in zip(refined.parameters(), imprinted.parameters(), strict=True):
            new.lerp_(old, share)


def _after(look: Look | None, steps: int) -> After[GraspNet] | None:
    if look is None:
        return None
    return lambda step, loss, peak, net: look(Progress(net, step + 1, steps, loss, peak))


def _rule(method: str, pretrained: Pretrained) -> LearningRule | None:
    """What fine-tunes, or None where nothing is."""
    if method in (IMPRINT, UNVERIFIED, UNTAUGHT):
        return None
    return LastBlock() if method == LAST_BLOCK else pretrained.rule(method)


def _second_look(
    net: GraspNet, view: Heightmap, demonstration: Demonstration, pretrained: Pretrained
) -> SecondLook | None:
    """What a net's answers go through before they are believed."""
    verifier = pretrained.verifier
    if verifier is None:
        return None
    reference = Reference.of(net, view, place_of(view, demonstration.grasp))
    return partial(reference.verified, verifier, net)


def verifier_of(method: str, kept: str, pretrained: Pretrained) -> Verifier | None:
    """What takes a second look at a taught net's answers, beside the demonstration, which an
    untaught one must not know."""
    return None if kept == UNTAUGHT or method == UNVERIFIED else pretrained.verifier


def optimizer_of(teaching: Teaching) -> Optimizer:
    """What refines, with its step size."""
    own = {"rate": RATES[teaching.method]} if teaching.optimizer == LARS else {}
    told = own if teaching.rate is None else {"rate": teaching.rate}
    return OPTIMIZERS[teaching.optimizer](**told)


def fine_tuning(teaching: Teaching, blocks: int) -> FineTuning:
    """How a net of so many blocks is refined."""
    frozen = range(blocks - 1) if teaching.method == LAST_BLOCK else ()
    return FineTuning(
        optimizer=optimizer_of(teaching),
        blocks=teaching.blocks,
        frozen=frozenset(frozen),
        measure_memory=teaching.measure_memory,
    )


def support_set(
    net: GraspNet, view: Heightmap, grasp: Grasp, teaching: Teaching, seed: int
) -> tuple[SupportSet, float]:
    """Returns what an imprinted net is refined on, and how probable the best rival is.

    Raises:
        InvalidValueError: nothing stands at the grasp.
    """
    place = place_of(view, grasp)
    pieces = take_apart(view, place)
    alike = likeness(net, view, pieces.thing, place)
    # Of a rival, colour may be all that tells the thing.
    distinct = teaching.augmentation
    if alike.rival >= teaching.rival:
        distinct = replace(distinct, hue=0.0)
    support = SupportSet(pieces, grasp, net.spec, seed, distinct, load_backdrops(), alike.equals)
    return support, alike.rival


def batches(support: SupportSet, teaching: Teaching, rule: LearningRule) -> Iterator[Batch]:
    """Fresh samples at every step, or the same few batches in turn where a rule must know them."""
    recurring = isinstance(rule, StaticSGM) and rule.error == "cached"
    for step in range(teaching.steps):
        first = (step % RECURRING_BATCHES if recurring else step) * teaching.batch
        yield support.batch(range(first, first + teaching.batch))


@torch.no_grad()
def _loss(net: GraspNet, batch: Batch) -> float:
    return float(net.loss(batch))
