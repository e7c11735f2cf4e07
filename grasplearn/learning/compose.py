"""Scenes put together from two: the things of one laid among those of the other.

Seen from straight above, pictures compose: at every place the higher thing is seen. So two rendered
scenes make as many crowded ones as there are ways to lay one onto the other, and the demonstrated
thing itself, in other colours or another size, makes its own look-alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.geometry import hue_rotation
from grasplearn.learning.cutout import STANDING
from grasplearn.learning.families import View
from grasplearn.types import Array

# A look-alike's colours are turned by at least this, rad, or it is that much smaller or larger.
LEAST_HUE = np.pi / 4
SMALLER, LARGER = (0.6, 0.82), (1.2, 1.6)
# Colours can be turned where the strongest and the weakest channel are this far apart.
COLORFUL = 40
# A place stays right if less than this share of its surroundings is covered or was not cut out.
COVERED, REACH_PX = 0.35, 4


def compose(view: View, other: View, on_top: bool) -> View:
    """Returns a scene that holds the things of both.

    Args:
        view: whose places are kept, where the other's things do not cover them.
        on_top: whether the other's things are laid into ``view``; else those of ``view`` onto the
            other's table. What is cut out shows at its edges, so that both must happen.
    """
    higher = other.things & (other.height > view.height)
    if on_top:
        theirs = lost = higher
    else:
        theirs = ~view.things | higher
        lost = theirs & (other.things | (view.height > STANDING))
    return replace(
        view,
        picture=np.where(theirs[..., None], other.picture, view.picture),
        height=np.where(theirs, other.height, view.height),
        known=np.where(theirs, other.known, view.known),
        things=other.things | view.things,
        places=tuple(_kept(places, lost) for places in view.places),
        parts=tuple(_kept(places, lost) for places in view.parts),
    )


def _kept(places: Array, lost: NDArray[np.bool_]) -> Array:
    def is_seen(u: float, v: float) -> bool:
        x, y, r = round(u), round(v), REACH_PX
        around = lost[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1]
        return bool(around.mean() < COVERED)

    return places[[is_seen(u, v) for u, v, _ in places]] if len(places) else places


def stranger(view: View, rng: np.random.Generator) -> View:
    """Returns another object's scene laid down anyhow; it has no right places."""
    hue = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else 0.0
    return laid(view, Twin(hue, 1.0), rng)


@dataclass(frozen=True)
class Twin:
    """In what a look-alike differs: its colours, turned by ``hue`` (rad), or its size."""

    hue: float
    scale: float


def look_alike(view: View, grasp: int, rng: np.random.Generator) -> View:
    """Returns the object's own scene in clearly other colours or sizes, laid down anyhow.

    Args:
        grasp: which of the view's places tell where the object is.
    """
    return laid(view, twin(view, grasp, rng), rng)


def twin(view: View, grasp: int, rng: np.random.Generator) -> Twin:
    """Draws clearly other colours, of an object that has any, or another size."""
    if _is_colorful(view, view.places[grasp]) and rng.random() < 0.6:
        return Twin(float(rng.choice([-1, 1]) * rng.uniform(LEAST_HUE, np.pi)), 1.0)
    return Twin(0.0, float(rng.uniform(*(SMALLER if rng.random() < 0.5 else LARGER))))


def _is_colorful(view: View, places: Array) -> bool:
    u, v = np.rint(places[0, :2]).astype(int)
    r = REACH_PX
    around = view.picture[max(v - r, 0) : v + r + 1, max(u - r, 0) : u + r + 1].astype(int)
    return bool((around.max(2) - around.min(2)).mean() > COLORFUL)


def laid(view: View, other: Twin, rng: np.random.Generator) -> View:
    """Makes a whole scene a twin's; turns, mirrors and moves it; what is outside is unknown."""
    side = len(view.height)
    middle = (side - 1) / 2
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    c, s = other.scale * np.cos(angle), other.scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]]) * [mirror, 1.0]
    to = middle + rng.uniform(-side / 6, side / 6, 2)
    M = np.column_stack([linear, to - linear @ [middle, middle]])
    picture = view.picture
    if other.hue:
        turned = picture @ hue_rotation(other.hue).astype(np.float32).T
        picture = np.clip(turned, 0, 255).astype(np.uint8)
    size = (side, side)

    def moved(cells: NDArray[Any]) -> NDArray[Any]:
        return cv2.warpAffine(cells, M, size, flags=cv2.INTER_NEAREST)

    return replace(
        view,
        picture=np.asarray(cv2.warpAffine(picture, M, size), np.uint8),
        height=np.float32(other.scale) * moved(view.height),
        known=moved(view.known.astype(np.uint8)) > 0,
        things=moved(view.things.astype(np.uint8)) > 0,
        places=tuple(places[:0] for places in view.places),
        parts=tuple(places[:0] for places in view.parts),
    )
