"""Cases for the verifier: what a frozen net proposes, held against what was demonstrated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import HEIGHTMAP_SIDE, HEIGHTMAP_SPAN
from grasplearn.learning.archives import reading_arrays, write_arrays
from grasplearn.learning.episodes import is_right
from grasplearn.learning.families import View
from grasplearn.learning.questions import draw_questions
from grasplearn.learning.reference import Reference
from grasplearn.nets.codec import Place, encode, probability_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.proposals import MOST, Proposal, propose
from grasplearn.nets.verifier import Look, evidence
from grasplearn.types import Array

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
        log_probability: (Q, K), NONE where there is no proposal.
        right: (Q, K), whether it answers the question.
        tiers: (Q,) of the questions, see ``Questions``.
    """

    likeness: float
    agreements: NDArray[np.float16]
    pixels: NDArray[np.float16]
    log_probability: NDArray[np.float32]
    right: NDArray[np.bool_]
    tiers: tuple[str, ...]


@torch.no_grad()
def draw_case(
    path: Path,
    net: GraspNet,
    rng: np.random.Generator,
    count: int,
    others: Sequence[Path] = (),
    kin: float = 0.0,
) -> Case | None:
    """Draws a case from a family's file; None where the shown thing is too flat to be cut out.

    Args:
        net: proposes; its kernels are overwritten.
        count, others, kin: see ``draw_questions``.

    Raises:
        FileFormatError: see ``load_family``.
    """
    asked = draw_questions(path, rng, count, others, kin)
    try:
        reference = asked.shown_to(net)
    except InvalidValueError:
        return None
    found = [
        _compared(reference, net, answer(net, scene, asked.right_places(scene), rng, count > 0))
        for scene in asked.scenes
    ]
    agreements, pixels, told, right = (np.stack(part) for part in zip(*found, strict=True))
    return Case(reference.likeness, agreements, pixels, told, right, asked.tiers)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a net proposes in a scene.

    Attributes:
        picture: (1, 5, N, N); features: (1, C, n, n), the trunk's of it.
        proposals: K of them. right: of each, whether it is.
    """

    picture: Tensor
    features: Tensor
    proposals: list[Proposal]
    right: list[bool]


def answer(
    net: GraspNet, scene: View, places: Array, rng: np.random.Generator, with_right: bool
) -> Answer:
    """Asks an imprinted net about a scene.

    Args:
        places: (k, 3), the right ones.
        with_right: a right place stands in the last proposal's stead if none of them is right.
    """
    picture = encode(scene.heightmap())[None]
    features = net.features(picture)
    quality = net.head(features).quality[0]
    found = propose(quality, net.spec.stride)
    right = [is_right(p.place, places, HEIGHTMAP_SPAN / HEIGHTMAP_SIDE) for p in found]
    if with_right and not any(right):
        found, right = found[: MOST - 1], right[: MOST - 1]
        found.append(_right_one(quality, places, net.spec.stride, rng))
        right.append(True)
    return Answer(picture, features, found, right)


def _compared(reference: Reference, net: GraspNet, given: Answer) -> tuple[NDArray[Any], ...]:
    """Returns of an answer: evidence, log probabilities, whether right."""
    short = MOST - len(given.proposals)
    seen = Look.at(net, given.picture, given.features)
    maps = evidence(reference.shown, reference.rival, seen, [p.cell for p in given.proposals])
    return (
        *(F.pad(some, [0] * 7 + [short]).half().numpy() for some in maps),
        np.array([p.log_probability for p in given.proposals] + [NONE] * short, np.float32),
        np.array(given.right + [False] * short),
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
    write_arrays(path, {name: np.array(value) for name, value in vars(case).items()})


def load_case(path: Path) -> Case:
    """Reads a case.

    Raises:
        FileFormatError: the file is damaged or something else.
    """
    with reading_arrays(path, "case", "run the command again") as data:
        return Case(
            float(data["likeness"]),
            data["agreements"],
            data["pixels"],
            data["log_probability"],
            data["right"],
            tuple(map(str, data["tiers"])),
        )
