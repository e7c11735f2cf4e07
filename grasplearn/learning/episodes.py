"""Episodes of training: a demonstration and questions about it, drawn from a family of scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap, hue_rotation
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.families import View, Views, load_family
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import Place, encode, patches, place_target
from grasplearn.nets.graspnet import NetSpec
from grasplearn.nets.head import Target
from grasplearn.types import MAX_WIDTH, Array, Grasp

# A question's crop keeps the right place this far from its edges, pixels.
MARGIN = 10


@dataclass(frozen=True)
class EpisodeSettings:
    """How episodes are drawn.

    Attributes:
        questions: scenes per episode.
        side: pixels of a question's crop; the whole heightmap's side for no crop.
        mirror: probability that all is seen in a mirror; hue: that all colours are turned. The
            object then is another one, in the demonstration and in the questions alike.
        augmented: share of episodes whose questions are made from the demonstration by the
            teaching augmentation instead of other scenes.
    """

    questions: int = 5
    side: int = 160
    mirror: float = 0.5
    hue: float = 0.5
    augmented: float = 0.0

    def __post_init__(self) -> None:
        if self.questions < 1 or self.side < 64 or self.side % 4:
            raise InvalidValueError(
                "an episode needs a question, and a side that is a multiple of 4, 64 at least"
            )


@dataclass(frozen=True, eq=False)
class Episode:
    """patches (turns, 5, S, S) and width are the demonstration's, as ``imprint`` takes them.

    Attributes:
        batch: the questions. tiers: of each question.
        places: of each question (k, 3): u, v in its crop and the turn since the demonstration.
        view, grasp: the demonstration itself.
    """

    patches: Tensor
    width: float
    batch: Batch
    tiers: tuple[str, ...]
    places: tuple[Array, ...]
    view: Heightmap
    grasp: Grasp


def draw_episode(
    path: Path, spec: NetSpec, rng: np.random.Generator, settings: EpisodeSettings
) -> Episode:
    """Draws an episode from a family's file.

    Raises:
        FileFormatError: see ``load_family``.
    """
    family = changed(load_family(path), rng, settings)
    options = [
        (scene, k)
        for scene in range(family.plain)
        for k, places in enumerate(family.views[scene].places)
        if len(places) and any(len(v.places[k]) for i, v in enumerate(family.views) if i != scene)
    ]
    shown, k = options[int(rng.integers(len(options)))]
    demonstration = family.views[shown]
    u, v, yaw = demonstration.places[k][int(rng.integers(len(demonstration.places[k])))]
    view = demonstration.heightmap()
    width = demonstration.widths[k]
    grasp = Grasp(np.array([*view.to_world((u, v)), 0.02]), yaw, width)
    patch = patches(encode(view), Place(u, v, 0.0), spec)
    if rng.random() < settings.augmented:
        batch = _support(view, grasp, spec, rng, settings)
        return Episode(patch, width / MAX_WIDTH, batch, (), (), view, grasp)
    others = [i for i, w in enumerate(family.views) if i != shown and len(w.places[k])]
    asked = [others[i] for i in rng.permutation(len(others))[: settings.questions]]
    questions = [_question(family.views[i], k, yaw, rng, settings.side) for i in asked]
    places = [[Place(*p) for p in found] for _, found in questions]
    target = Target(
        place_target(places, spec, settings.side),
        torch.tensor([family.views[i].widths[k] / MAX_WIDTH for i in asked], dtype=torch.float32),
    )
    return Episode(
        patch,
        width / MAX_WIDTH,
        Batch(torch.stack([picture for picture, _ in questions]), target),
        tuple(family.views[i].tier for i in asked),
        tuple(found for _, found in questions),
        view,
        grasp,
    )


def _support(
    view: Heightmap,
    grasp: Grasp,
    spec: NetSpec,
    rng: np.random.Generator,
    settings: EpisodeSettings,
) -> Batch:
    seed = int(rng.integers(2**31))
    support = SupportSet(view, grasp, spec, seed, Augmentation(side=settings.side))
    return support.batch(range(settings.questions))


def _question(
    view: View, k: int, yaw: float, rng: np.random.Generator, side: int
) -> tuple[Tensor, Array]:
    """Returns a crop (5, side, side) that holds a right place, and the places (k, 3) in it."""
    whole = len(view.picture)
    places = view.places[k].copy()
    anchor = places[int(rng.integers(len(places)))]
    start = []
    for at in anchor[:2]:
        low = max(0, math.ceil(at) - side + MARGIN)
        high = min(whole - side, math.floor(at) - MARGIN)
        start.append(int(rng.integers(low, high + 1)) if high >= low else min(low, whole - side))
    x, y = start
    places -= [x, y, yaw]
    inside = ((places[:, :2] >= 0) & (places[:, :2] <= side - 1)).all(axis=1)
    picture = encode(view.heightmap())[:, y : y + side, x : x + side]
    return picture, places[inside]


def changed(family: Views, rng: np.random.Generator, settings: EpisodeSettings) -> Views:
    """Returns the family as if of another object: mirrored, in other colours."""
    views = family.views
    if rng.random() < settings.mirror:
        views = tuple(_mirrored(view) for view in views)
    if rng.random() < settings.hue:
        turn = hue_rotation(rng.uniform(-np.pi, np.pi)).astype(np.float32)
        views = tuple(
            replace(v, picture=np.clip(v.picture @ turn.T, 0, 255).astype(np.uint8)) for v in views
        )
    return replace(family, views=views)


def _mirrored(view: View) -> View:
    side = len(view.picture)
    places = tuple(
        np.stack([side - 1 - p[:, 0], p[:, 1], np.pi - p[:, 2]], axis=1) for p in view.places
    )
    return replace(
        view,
        picture=np.ascontiguousarray(view.picture[:, ::-1]),
        height=np.ascontiguousarray(view.height[:, ::-1]),
        known=np.ascontiguousarray(view.known[:, ::-1]),
        places=places,
    )


def is_right(found: Place, places: Array, metres_per_pixel: float) -> bool:
    """Whether a place answers a question: within 2 cm, and 30 degrees up to the jaws' half turn."""
    distance = np.hypot(*(places[:, :2] - [found.u, found.v]).T) * metres_per_pixel
    turn = np.abs((places[:, 2] - found.turn + np.pi / 2) % np.pi - np.pi / 2)
    return bool(((distance < 0.02) & (turn < np.deg2rad(30))).any())
