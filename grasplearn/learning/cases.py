"""Cases for the verifier: demonstrations, and what a frozen net proposes in other scenes.

In some of them a kin of the object is the demonstration. In nearly half of the others a twin of the
object, in other colours or another size, stands in the demonstration and again in the questions:
what tells the two apart was shown then, and only then.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import write_files
from grasplearn.geometry import HEIGHTMAP_SIDE, HEIGHTMAP_SPAN
from grasplearn.learning.compose import Twin, compose, laid, stranger, twin
from grasplearn.learning.episodes import (
    EpisodeSettings,
    changed,
    choose,
    is_right,
    seen_from_kin,
    strangers_of,
)
from grasplearn.learning.families import View, Views, load_family
from grasplearn.learning.reference import Reference
from grasplearn.nets.codec import Place, encode, patches, probability_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.proposals import MOST, Proposal, propose
from grasplearn.nets.verifier import Look
from grasplearn.types import MAX_WIDTH, Array

# Of a case whose demonstration holds no twin, and of one whose does: share of crowded questions.
CROWDED, CROWDED_WITH_TWIN = 0.5, 0.75
WITH_TWIN = 0.45
# What stands for a proposal that there is none of, as log probability.
NONE = -99.0
# How far a right place is moved before it is cut out in a proposal's stead: pixels, rad.
JITTER_PX, JITTER = 1.5, 0.15


@dataclass(frozen=True, eq=False)
class Case:
    """A demonstration and Q questions with K proposals each.

    Attributes:
        likeness: see ``Reference``.
        agreements: (Q, K, KINDS G, WINDOW, WINDOW), pixels: (Q, K, 15, WINDOW, WINDOW); float16,
            see ``nets.verifier.evidence``.
        pairs: (Q, K, 10, SIDE, SIDE) float16, see ``nets.overview``.
        log_probability: (Q, K), NONE where there is no proposal.
        right: (Q, K), whether it answers the question.
        tiers: (Q,) of the questions; "twin" stands before it where the demonstration held one.
    """

    likeness: float
    agreements: NDArray[np.float16]
    pixels: NDArray[np.float16]
    pairs: NDArray[np.float16]
    log_probability: NDArray[np.float32]
    right: NDArray[np.bool_]
    tiers: tuple[str, ...]


@torch.no_grad()
def draw_case(
    path: Path,
    net: GraspNet,
    rng: np.random.Generator,
    questions: int,
    others: Sequence[Path] = (),
    kin: float = 0.0,
) -> Case | None:
    """Draws a case from a family's file; None where the shown thing is too flat to be cut out.

    Args:
        net: proposes; its kernels are overwritten.
        questions: how many; 0 for every other scene of the family once, and as it is unless a twin
            stands in the demonstration: to measure with.
        others: families that strangers come from.
        kin: share of cases that a kin demonstrates, all of whose questions are then about a kin.

    Raises:
        FileFormatError: see ``load_family``.
    """
    plain = 0.0 if questions == 0 else 0.5
    family = changed(load_family(path), rng, EpisodeSettings(mirror=plain, hue=plain))
    of_kin = kin > 0 and rng.random() < kin
    if of_kin:
        family = seen_from_kin(family)
    shown, k = choose(family, rng)
    strangers = strangers_of(family, others, rng)
    demonstration, other = family.views[shown], None
    if not of_kin and rng.random() < WITH_TWIN:
        other = twin(demonstration, k, rng)
        demonstration = _crowded(demonstration, k, [demonstration], other, rng)
        if demonstration is family.views[shown]:
            other = None
    u, v, yaw = demonstration.places[k][int(rng.integers(len(demonstration.places[k])))]
    view, place = demonstration.heightmap(), Place(u, v, 0.0)
    patch = patches(encode(view), place, net.spec)
    features = net.imprint(patch, demonstration.widths[k] / MAX_WIDTH)
    try:
        reference = Reference.of(net, view, place, features)
    except InvalidValueError:
        return None
    asked = [i for i, w in enumerate(family.views) if i != shown and len(w.judged(k))]
    if questions:
        asked = [asked[int(i)] for i in rng.integers(0, len(asked), questions)]
    seen = [_question(family.views[i], family, k, other, strangers, rng) for i in asked]
    found = [_proposed(w, k, yaw, reference, net, rng, bool(questions)) for w in seen]
    before = "twin " if other else ""
    agreements, pixels, pairs, told, right = (np.stack(part) for part in zip(*found, strict=True))
    return Case(
        reference.likeness,
        agreements,
        pixels,
        pairs,
        told,
        right,
        tuple(before + family.views[i].tier for i in asked),
    )


def _question(
    view: View,
    family: Views,
    k: int,
    other: Twin | None,
    strangers: tuple[View, ...],
    rng: np.random.Generator,
) -> View:
    """Returns a scene, now and then with the twin or a stranger in it."""
    if rng.random() >= (CROWDED_WITH_TWIN if other else CROWDED):
        return view
    # Beside a kin no twin: nothing tells which of the two is meant.
    if other and view.tier != "kin" and (not strangers or rng.random() < 0.6):
        return _crowded(
            view, k, [w for w in family.views if len(w.places[k]) and w.tier != "kin"], other, rng
        )
    return _crowded(view, k, strangers, None, rng) if strangers else view


def _crowded(
    view: View, k: int, further: Sequence[View], other: Twin | None, rng: np.random.Generator
) -> View:
    """Returns a scene with another one's things in it, or as it is if they would cover the spot."""
    one = further[int(rng.integers(len(further)))]
    more = stranger(one, rng) if other is None else laid(one, other, rng)
    made = compose(view, more, on_top=bool(rng.random() < 0.5))
    return made if len(made.judged(k)) else view


def _proposed(
    view: View,
    k: int,
    yaw: float,
    reference: Reference,
    net: GraspNet,
    rng: np.random.Generator,
    with_right: bool,
) -> tuple[NDArray[Any], ...]:
    """Returns what is proposed in a scene: evidence, log probabilities, whether right.

    Args:
        k: the number of the grasp; yaw: the demonstrated one's.
        with_right: a right place stands in the last proposal's stead if none of them is right.
    """
    picture = encode(view.heightmap())[None]
    features = net.features(picture)
    quality = net.head(features).quality[0]
    found = propose(quality, net.spec.stride)
    places = view.judged(k) - [0, 0, yaw]
    right = [is_right(p.place, places, HEIGHTMAP_SPAN / HEIGHTMAP_SIDE) for p in found]
    if with_right and not any(right):
        found, right = found[: MOST - 1], right[: MOST - 1]
        found.append(_right_one(quality, places, net.spec.stride, rng))
        right.append(True)
    short = MOST - len(found)
    seen = Look.at(net, picture, features)
    maps = reference.evidence(seen, found, net.spec.stride)
    return (
        *(F.pad(some, [0] * 7 + [short]).half().numpy() for some in maps),
        np.array([p.log_probability for p in found] + [NONE] * short, np.float32),
        np.array(right + [False] * short),
    )


def _right_one(quality: Tensor, places: Array, stride: int, rng: np.random.Generator) -> Proposal:
    """Returns a right place, a little moved, as if it had been proposed."""
    u, v, turn = places[int(rng.integers(len(places)))] + rng.normal(
        0, [JITTER_PX, JITTER_PX, JITTER]
    )
    turns, rows, columns = quality.shape
    r = round(turn / (2 * math.pi) * turns)
    y, x = (round((q - (stride - 1) / 2) / stride) for q in (v, u))
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    probability = probability_of(quality)
    around = probability[[(r + d) % turns for d in (-1, 0, 1)], max(y - 1, 0) : y + 2]
    share = float(around[:, :, max(x - 1, 0) : x + 2].sum())
    return Proposal(Place(u, v, turn), math.log(max(share, 1e-12)), (r % turns, y, x))


def save_case(path: Path, case: Case) -> None:
    """Writes a case; the file appears complete or not at all.

    Raises:
        InvalidValueError: it cannot be written.
    """
    stream = io.BytesIO()
    np.savez(stream, **{**vars(case), "tiers": np.array(case.tiers)})
    write_files(path.parent, {path.name: stream.getvalue()})


def load_case(path: Path) -> Case:
    """Reads a case.

    Raises:
        FileFormatError: the file is damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return Case(
                float(data["likeness"]),
                data["agreements"],
                data["pixels"],
                data["pairs"],
                data["log_probability"],
                data["right"],
                tuple(map(str, data["tiers"])),
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{path} is no whole case ({error}); delete it and run the command again"
        ) from error
