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
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from grasplearn.geometry import Heightmap, heightmap
from grasplearn.learning.augment import SupportSet
from grasplearn.learning.backdrops import load_backdrops
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.fine_tune import After, Watch, fine_tune
from grasplearn.learning.likeness import Likeness, likeness
from grasplearn.learning.methods import IMPRINT, UNTAUGHT, UNVERIFIED
from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.probe import Probe, SecondLook, shown_batch
from grasplearn.learning.reference import Reference
from grasplearn.learning.taught import Taught
from grasplearn.learning.teaching_settings import (
    RECURRING_BATCHES,
    REMEMBERING,
    Teaching,
    fine_tuning,
    rule_of,
)
from grasplearn.learning.threads import ahead, threads
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import imprint, place_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.verifier import Verifier
from grasplearn.types import Demonstration, Grasp

# What may be kept, beside IMPRINT and UNTAUGHT.
REFINED = "refined"


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
    rule = rule_of(teaching, pretrained)
    view = heightmap(demonstration.observation)
    shown = shown_batch(view, demonstration.grasp, pretrained.net)
    net = copy.deepcopy(pretrained.net)
    report, probe_loss, missed, kept, warnings = None, None, None, UNTAUGHT, []
    if teaching.method != UNTAUGHT:
        features = imprint(net, demonstration, view)
        kept = IMPRINT
    if look:
        look(Progress(net, 0, 0 if rule is None else teaching.steps))
    if rule is not None:
        support, alike = support_set(net, view, demonstration.grasp, teaching, seed)
        probe = Probe.draw(shown, support, teaching.probe, teaching.batch)
        look_again = partial(_second_look, view=view, grasp=demonstration.grasp)
        second = look_again(net, pretrained.verifier, features=features, alike=alike)
        imprinted_loss, missed = probe.look(net, second)
        if alike.rival >= teaching.rival or missed >= teaching.doubt:
            refined, report = fine_tune(
                net,
                ahead(batches(support, teaching)),
                rule,
                np.random.default_rng(seed),
                fine_tuning(teaching),
                teaching.steps,
                watch,
                _after(look, teaching.steps),
            )
            _go_back(refined, net, 1 - teaching.share)
            features = imprint(refined, demonstration, view)
            second = look_again(refined, pretrained.verifier, features=features)
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


def _second_look(
    net: GraspNet,
    verifier: Verifier | None,
    view: Heightmap,
    grasp: Grasp,
    features: Tensor,
    alike: Likeness | None = None,
) -> SecondLook | None:
    """What a net's answers go through before they are believed."""
    if verifier is None:
        return None
    reference = Reference.of(net, view, place_of(view, grasp), features, alike)
    return partial(reference.verified, verifier, net)


def verifier_of(method: str, kept: str, pretrained: Pretrained) -> Verifier | None:
    """What takes a second look at a taught net's answers, beside the demonstration, which an
    untaught one must not know."""
    return None if kept == UNTAUGHT or method == UNVERIFIED else pretrained.verifier


def support_set(
    net: GraspNet, view: Heightmap, grasp: Grasp, teaching: Teaching, seed: int
) -> tuple[SupportSet, Likeness]:
    """Returns what an imprinted net is refined on, and what it takes for the shown spot.

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
    return support, alike


def batches(support: SupportSet, teaching: Teaching) -> Iterator[Batch]:
    """Fresh samples at every step, or the same few batches in turn where a rule must know them."""
    recurring = teaching.method in REMEMBERING
    for step in range(teaching.steps):
        first = (step % RECURRING_BATCHES if recurring else step) * teaching.batch
        yield support.batch(range(first, first + teaching.batch))


@torch.no_grad()
def _loss(net: GraspNet, batch: Batch) -> float:
    return float(net.loss(batch))
