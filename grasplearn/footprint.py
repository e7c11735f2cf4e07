"""How well the shown thing, turned and moved to a place, fits what is seen there.

A verifier compares the surroundings of a spot cell by cell, and what is farther away coarsely.
Where on a round rim the handle is, which of two ends it is, whether the thing is another: that
shows in the outline and the colours of the whole thing, pixel by pixel.

Needs numpy alone: the full program and a device's runner share it.

Source: robust registration; a point's error counts as log(1 + error^2), the Lorentzian of Black and
Anandan (The Robust Estimation of Multiple Motions, CVIU 1996), since sensors lose and smear depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grasplearn.whole import Picture, Pixel, island_at

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
# u, v in pixels, and the turn since the demonstration, rad counter-clockwise.
Place = tuple[float, float, float]

# Lower than this, in units of a picture's height channel (4 mm), is the bare table.
BARE = np.float32(0.08)
# So many points of the thing, and so many of the bare table up to so many pixels around it.
POINTS, AROUND_POINTS, AROUND = 160, 80, 6
# By how much two sights of one thing differ: height (8 mm, in the channel's units), the logs of red
# and of blue against green, and of brightness.
NOISE = np.array([0.16, 0.3, 0.3, 0.8], np.float32)
# What is by so much higher than shown, in units of its noise, is hidden by something: such a point
# speaks against a place by so much at most, and one that was not seen by just so much.
HIDDEN, BY_HIDDEN, BY_UNKNOWN = np.float32(1.25), np.float32(1.2), np.float32(1.0)
# How much of the fit is the thing's points; the table's around it have the rest.
SHARE = np.float32(0.7)
# A place is moved by so many pixels and turned by so many rad, time after time, to where it fits.
MOVES = ((2.0, 0.087), (2.0, 0.087), (1.0, 0.033), (1.0, 0.033))
# How much a fit counts in a logit, and how bad it may count at worst: most kin fit no better, and
# are left to the verifier.
WEIGHT, WORST = 5.0, -1.3
# Places that are less probable than the best by this factor's log are not looked at.
FAINTEST = 8.0


@dataclass(frozen=True, eq=False)
class Footprint:
    """The shown thing and the bare table around it, as points.

    Attributes:
        offsets: (2, P), pixels u and v from the thing's middle.
        middle: (2, 1), where that is, from the shown spot.
        looks: (P, 4), what is compared, in units of NOISE.
        things: how many of the points, the first ones, are the thing's.
    """

    offsets: Floats
    middle: Floats
    looks: Floats
    things: int

    @classmethod
    def of(cls, picture: Picture, spot: Pixel) -> Self | None:
        """Takes the thing at a spot (u, v) of a demonstration (5, H, W), see ``nets.codec.encode``;
        None where none stands. Things that touch are one."""
        thing = island_at(picture, spot)
        if thing is None:
            return None
        around = _grown(thing, AROUND) & ~_grown(thing, 1) & (picture[3] < BARE)
        points = _some(thing, POINTS), _some(around & (picture[4] > 0), AROUND_POINTS)
        rows, columns = np.concatenate(points).T
        offsets = np.stack([columns - spot[0], rows - spot[1]]).astype(np.float32)
        things = len(points[0])
        middle = offsets[:, :things].mean(1, keepdims=True)
        return cls(offsets - middle, middle, _looks(picture)[rows, columns, :-1], things)

    def scores(
        self, picture: Picture, places: Sequence[Place], logits: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns (K,), what to add to the logits (K,) of places in a picture (5, H, W)."""
        worth = np.flatnonzero(logits > logits.max() - FAINTEST)
        fits: NDArray[np.float64] = np.full(len(places), WORST)
        fits[worth] = self.fits(picture, [places[int(i)] for i in worth])
        return np.asarray(WEIGHT * np.maximum(fits, WORST))

    def fits(self, picture: Picture, places: Sequence[Place]) -> NDArray[np.float64]:
        """Returns (K,), how well the thing fits near places at best: minus the mean over points of
        how unlike they are, on the scale of a log likelihood."""
        looks = _looks(picture)
        u, v, turn = np.array(places, np.float32).T[:, :, None]
        # It is moved and turned about its own middle.
        x, y = _turned(self.middle, turn)
        u, v = u + x, v + y
        every, shifts = np.arange(len(places)), np.array([-1, 0, 1], np.float32)
        for step, angle in MOVES:
            a, b, c = (d.ravel() for d in np.meshgrid(*[shifts] * 3))
            tried = u + np.float32(step) * a, v + np.float32(step) * b, turn + np.float32(angle) * c
            best = self._fit(looks, *tried).argmax(1)
            u, v, turn = (part[every, best][:, None] for part in tried)
        return self._fit(looks, u, v, turn)[:, 0].astype(np.float64)

    def _fit(self, looks: Floats, u: Floats, v: Floats, turn: Floats) -> Floats:
        """Returns (K, N), how well the thing fits with its middle at (u, v)."""
        rows, columns = looks.shape[:2]
        x, y = _turned(self.offsets, turn[..., None])
        x = np.rint(x + u[..., None]).astype(np.int32)
        y = np.rint(y + v[..., None]).astype(np.int32)
        at = np.clip(y, 0, rows - 1) * columns + np.clip(x, 0, columns - 1)
        seen = looks.reshape(rows * columns, -1)[at]
        unknown = (seen[..., -1] <= 0) | (x < 0) | (x >= columns) | (y < 0) | (y >= rows)
        off = seen[..., :-1] - self.looks
        # Of the table around it only the height is foretold.
        off[..., self.things :, 1:] = 0
        unlike = np.log1p(np.einsum("...c,...c", off, off))
        unlike = np.where(off[..., 0] > HIDDEN, np.minimum(unlike, BY_HIDDEN), unlike)
        unlike[unknown] = BY_UNKNOWN
        own = unlike[..., : self.things].mean(-1)
        if len(self.looks) == self.things:
            return np.asarray(-own)
        return np.asarray(-(SHARE * own + (1 - SHARE) * unlike[..., self.things :].mean(-1)))


def _looks(picture: Picture) -> Floats:
    """Returns (H, W, 5): of every pixel what is compared, in units of NOISE, and whether known."""
    height, width = picture.shape[1:]
    wide = np.pad(picture[:4], ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    smooth = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / np.float32(9)
    red, green, blue = np.log(smooth[:3] + np.float32(1.1))
    looks = np.empty((height, width, 5), np.float32)
    parts = smooth[3], red - green, blue - green, (red + green + blue) / 3
    for i, (part, noise) in enumerate(zip(parts, NOISE, strict=True)):
        looks[..., i] = part / noise
    looks[..., 4] = picture[4]
    return looks


def _turned(offsets: Floats, turn: Floats) -> tuple[Floats, Floats]:
    """Turns offsets u, v (2, P) counter-clockwise as seen; v grows downwards."""
    (x, y), c, s = offsets, np.cos(turn), np.sin(turn)
    return c * x + s * y, c * y - s * x


def _grown(mask: Mask, by: int) -> Mask:
    """A mask (H, W) and what lies in a square of so many pixels around it."""
    height, width = mask.shape
    wide = np.pad(mask, ((by, by), (0, 0)))
    mask = np.any([wide[d : d + height] for d in range(2 * by + 1)], axis=0)
    wide = np.pad(mask, ((0, 0), (by, by)))
    return np.asarray(np.any([wide[:, d : d + width] for d in range(2 * by + 1)], axis=0))


def _some(mask: Mask, most: int) -> NDArray[np.int64]:
    """Returns rows and columns (n, 2) of at most so many pixels of a mask, spread evenly."""
    found = np.argwhere(mask)
    if len(found) <= most:
        return found
    return found[np.linspace(0, len(found) - 1, most).round().astype(np.int64)]
