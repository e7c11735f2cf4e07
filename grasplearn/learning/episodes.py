"""Episodes of training: a demonstration and questions about it, drawn from a family of scenes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap, hue_rotation
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.backdrops import load_backdrops
from grasplearn.learning.compose import compose, look_alike, stranger
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.families import View, Views, load_family
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import Place, encode, patches, place_of, place_target
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
        composed: share of questions into which a further scene's things are laid: another
            object's, or the same one's in other colours or another size.
        kin: share of episodes that are demonstrated on the kin of the family's object where its
            scenes show one; all questions are then about a kin.
        augmented: share of episodes whose questions are made from the demonstration by the
            teaching augmentation instead of other scenes, where the thing can be cut out of it.
    """

    questions: int = 5
    side: int = 160
    mirror: float = 0.5
    hue: float = 0.5
    composed: float = 0.0
    kin: float = 0.0
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
    path: Path,
    spec: NetSpec,
    rng: np.random.Generator,
    settings: EpisodeSettings,
    others: Sequence[Path] = (),
) -> Episode:
    """Draws an episode from a family's file.

    Args:
        others: families that further things come from where questions are composed.

    Raises:
        FileFormatError: see ``load_family``.
    """
    family = changed(load_family(path), rng, settings)
    if settings.kin and rng.random() < settings.kin:
        family = seen_from_kin(family)
    shown, k = choose(family, rng)
    demonstration = family.views[shown]
    u, v, yaw = demonstration.places[k][int(rng.integers(len(demonstration.places[k])))]
    view = demonstration.heightmap()
    width = demonstration.widths[k]
    grasp = Grasp(np.array([*view.to_world((u, v)), 0.02]), yaw, width)
    patch = patches(encode(view), Place(u, v, 0.0), spec)
    if rng.random() < settings.augmented:
        batch = _support(view, grasp, spec, rng, settings)
        if batch is not None:
            return Episode(patch, width / MAX_WIDTH, batch, (), (), view, grasp)
    left = [i for i, w in enumerate(family.views) if i != shown and len(w.places[k])]
    asked = [left[i] for i in rng.permutation(len(left))[: settings.questions]]
    seen = [family.views[i] for i in asked]
    if settings.composed:
        strangers = strangers_of(family, others, rng)
        seen = [_crowded(view, family, k, strangers, rng, settings.composed) for view in seen]
    questions = [_question(view, k, yaw, rng, settings.side) for view in seen]
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


def choose(family: Views, rng: np.random.Generator) -> tuple[int, int]:
    """Draws which scene demonstrates which grasp; another scene shows it too.

    Raises:
        IndexError: none can.
    """
    options = [
        (scene, k)
        for scene in range(family.plain)
        for k, places in enumerate(family.views[scene].places)
        if len(places) and any(len(v.places[k]) for i, v in enumerate(family.views) if i != scene)
    ]
    return options[int(rng.integers(len(options)))]


def seen_from_kin(family: Views) -> Views:
    """Returns the family with its kin's scene as the plain one; as it is if none can be shown."""
    for number, view in enumerate(family.views):
        if view.tier == "kin" and any(len(places) for places in view.places):
            others = family.views[:number] + family.views[number + 1 :]
            return replace(family, views=(view, *(replace(w, tier="kin") for w in others)), plain=1)
    return family


def strangers_of(
    family: Views, others: Sequence[Path], rng: np.random.Generator
) -> tuple[View, ...]:
    """Returns the plain scenes of a family of another category, or none."""
    if not others:
        return ()
    found = load_family(others[int(rng.integers(len(others)))], most=2)
    same = found.object_id.rsplit("_", 1)[0] == family.object_id.rsplit("_", 1)[0]
    return () if same else found.views


def _crowded(
    view: View,
    family: Views,
    k: int,
    strangers: tuple[View, ...],
    rng: np.random.Generator,
    share: float,
) -> View:
    """Returns the scene with further things in it, or as it is where they would cover the spot."""
    if rng.random() >= share:
        return view
    # Beside a kin no look-alike: nothing tells which of the two is meant.
    twins = [] if view.tier == "kin" else [w for w in family.views if len(w.places[k])]
    if twins and (not strangers or rng.random() < 0.5):
        further = look_alike(twins[int(rng.integers(len(twins)))], k, rng)
    elif strangers:
        further = stranger(strangers[int(rng.integers(len(strangers)))], rng)
    else:
        return view
    made = compose(view, further, on_top=bool(rng.random() < 0.5))
    return made if len(made.places[k]) else view


def _support(
    view: Heightmap,
    grasp: Grasp,
    spec: NetSpec,
    rng: np.random.Generator,
    settings: EpisodeSettings,
) -> Batch | None:
    """Samples of the demonstration; None where the thing is too flat to be cut out of it."""
    seed = int(rng.integers(2**31))
    try:
        pieces = take_apart(view, place_of(view, grasp))
    except InvalidValueError:
        return None
    augmentation = Augmentation(side=settings.side)
    support = SupportSet(pieces, grasp, spec, seed, augmentation, load_backdrops())
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

    def mirrored(places: Array) -> Array:
        return np.stack([side - 1 - places[:, 0], places[:, 1], np.pi - places[:, 2]], axis=1)

    return replace(
        view,
        picture=np.ascontiguousarray(view.picture[:, ::-1]),
        height=np.ascontiguousarray(view.height[:, ::-1]),
        known=np.ascontiguousarray(view.known[:, ::-1]),
        things=np.ascontiguousarray(view.things[:, ::-1]),
        places=tuple(map(mirrored, view.places)),
        parts=tuple(map(mirrored, view.parts)),
    )


def is_right(found: Place, places: Array, metres_per_pixel: float) -> bool:
    """Whether a place answers a question: within 2 cm, and 30 degrees up to the jaws' half turn."""
    distance = np.hypot(*(places[:, :2] - [found.u, found.v]).T) * metres_per_pixel
    turn = np.abs((places[:, 2] - found.turn + np.pi / 2) % np.pi - np.pi / 2)
    return bool(((distance < 0.02) & (turn < np.deg2rad(30))).any())
