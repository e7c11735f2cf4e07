"""Questions for the second look: a demonstration, and scenes in which its spot is to be found.

In some of them a kin of the object is the demonstration. In nearly half of the others a twin of the
object, in other colours or another size, stands in the demonstration and again in the questions:
what tells the two apart was shown then, and only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor

from grasplearn.geometry import Heightmap
from grasplearn.learning.compose import Twin, compose, laid, stranger, twin
from grasplearn.learning.episodes import (
    EpisodeSettings,
    changed,
    choose,
    seen_from_kin,
    strangers_of,
)
from grasplearn.learning.families import View, Views, load_family
from grasplearn.learning.reference import Reference
from grasplearn.nets.codec import Place, encode, patches
from grasplearn.nets.graspnet import GraspNet
from grasplearn.types import MAX_WIDTH, Array

# Of a case whose demonstration holds no twin, and of one whose does: share of crowded questions.
CROWDED, CROWDED_WITH_TWIN = 0.5, 0.75
WITH_TWIN = 0.45


@dataclass(frozen=True, eq=False)
class Questions:
    """A demonstration and scenes that ask for it.

    Attributes:
        view, place, yaw, width: of the demonstration, pixels, rad and m.
        scenes: that ask. grasp: the number of the demonstrated one in them.
        tiers: of the scenes; "twin" or "by kin" stands before it where the demonstration held one
            or was one.
    """

    view: Heightmap
    place: Place
    yaw: float
    width: float
    scenes: tuple[View, ...]
    grasp: int
    tiers: tuple[str, ...]

    def right_places(self, scene: View) -> Array:
        """Returns (k, 3): where the demonstrated spot lies in a scene, u, v and the turn."""
        places: Array = scene.judged(self.grasp) - [0, 0, self.yaw]
        return places

    def shown_to(self, net: GraspNet) -> Reference:
        """Imprints the demonstration into a net; returns what its proposals are held against.

        Raises:
            InvalidValueError: the shown thing is too flat to be cut out.
        """
        patch = patches(encode(self.view), self.place, net.spec)
        features: Tensor = net.imprint(patch, self.width / MAX_WIDTH)
        return Reference.of(net, self.view, self.place, features)


def draw_questions(
    path: Path,
    rng: np.random.Generator,
    count: int,
    others: Sequence[Path] = (),
    kin: float = 0.0,
) -> Questions:
    """Draws a demonstration and questions from a family's file.

    Args:
        count: of questions; 0 for every other scene of the family once, and as it is unless a twin
            stands in the demonstration: to measure with.
        others: families that strangers come from.
        kin: share of demonstrations that a kin gives; all questions are then about a kin.

    Raises:
        FileFormatError: see ``load_family``.
    """
    plain = 0.0 if count == 0 else 0.5
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
    asked = [i for i, w in enumerate(family.views) if i != shown and len(w.judged(k))]
    if count:
        asked = _some(asked, count, rng)
    before = "twin " if other else "by kin " if of_kin else ""
    return Questions(
        demonstration.heightmap(),
        Place(u, v, 0.0),
        yaw,
        demonstration.widths[k],
        tuple(_scene(family.views[i], family, k, other, strangers, rng) for i in asked),
        k,
        tuple(before + family.views[i].tier for i in asked),
    )


def _some(numbers: list[int], count: int, rng: np.random.Generator) -> list[int]:
    """Draws so many, none a second time before all were drawn."""

    def rounds() -> Iterator[int]:
        while True:
            yield from map(int, rng.permutation(numbers))

    return list(islice(rounds(), count))


def _scene(
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
