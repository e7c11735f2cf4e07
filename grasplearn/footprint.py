"""How well the shown thing, turned and moved to a place, fits what is seen there.

A verifier compares the surroundings of a spot cell by cell, and what is farther away coarsely.
Where on a round rim the handle is, which of two ends it is, whether the thing is another: that
shows in the outline and the colours of the whole thing, pixel by pixel.

Needs numpy alone: the full program and a device's runner share it.

Source: robust registration; a point's error counts as log(1 + error^2), the Lorentzian of Black and
Anandan (The Robust Estimation of Multiple Motions, CVIU 1996), since sensors lose and smear depth.
A point is compared with the range of what is seen around it, after Birchfield and Tomasi (A Pixel
Dissimilarity Measure That Is Insensitive to Image Sampling, PAMI 1998): a rim is 2 pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grasplearn.whole import Picture, Pixel, island_at, island_numbers

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
# A point of the thing is as it was shown if anything within so many pixels of it is.
REACH = 2
# What is by so much higher than shown, in units of its noise, is hidden by something: such a point
# speaks against a place by so much at most, and one that was not seen by just so much.
HIDDEN, BY_HIDDEN, BY_UNKNOWN = np.float32(1.25), np.float32(1.2), np.float32(1.0)
# How much of the fit is the thing's points; the table's around it have the rest.
SHARE = np.float32(0.7)
# A place is moved by so many pixels and turned by so many rad, time after time, to where it fits.
MOVES = ((2.0, 0.087), (2.0, 0.087), (1.0, 0.033), (1.0, 0.033))
# How much the best fit on a thing counts in a logit, and how bad it may be: most kin fit no better,
# and are left to the verifier.
WEIGHT, WORST = 5.0, -0.8
# How much it counts by how much another place on the same thing fits worse, and the most that is:
# the less, the worse the best one is, and nothing where it is worse than WORST by FADE.
WITHIN, MOST_WORSE, FADE = 8.0, 1.5, 0.2
# There those points count that tell the thing from itself, turned in TURNS ways by APART rad or
# more: the more, the easier it is confused with itself so turned (SURENESS: of a fit, as a logit).
# EVEN of the mean, and of LEAST_TOLD at least, is every point's.
TURNS, APART, SURENESS, EVEN, LEAST_TOLD = 21, math.pi / 6, 4.0, 0.3, 1e-3
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
        shares: (P,), how much each counts; telling: (P,), where on the thing a place is known to be
            and only its turn is not. Both sum to 1.
    """

    offsets: Floats
    middle: Floats
    looks: Floats
    things: int
    shares: Floats
    telling: Floats

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
        counts = [len(some) for some in points]
        parts = (SHARE, 1 - SHARE) if counts[1] else (1.0, 0.0)
        shares = np.repeat(np.array(parts, np.float32) / np.maximum(counts, 1), counts)
        middle = offsets[:, : counts[0]].mean(1, keepdims=True)
        seen = _Seen.of(picture)
        looks = seen.looks[rows * picture.shape[2] + columns]
        made = cls(offsets - middle, middle, looks, counts[0], shares, shares)
        return replace(made, telling=made._telling(seen, spot))

    def _telling(self, seen: _Seen, spot: Pixel) -> Floats:
        """Returns (P,), see ``telling``, from the demonstration and the shown spot (u, v)."""
        turns = np.linspace(APART, 2 * math.pi - APART, TURNS, dtype=np.float32)[:, None]
        u, v = (np.full_like(turns, q) for q in (self.middle[:, 0] + spot))
        unlike = self._unlike(seen, u, v, turns)[:, 0]
        fits = -SURENESS * _mean(unlike, self.shares)
        confused = np.exp(fits - fits.max())
        found = _mean(unlike.T, confused / confused.sum())
        # A disc tells no turn from another: then all points are alike.
        found = found + EVEN * max(float(found.mean()), LEAST_TOLD)
        return np.asarray(found / found.sum(), np.float32)

    def scores(
        self, picture: Picture, places: Sequence[Place], logits: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns (K,), what to add to the logits (K,) of places in a picture (5, H, W)."""
        worth = np.flatnonzero(logits > logits.max() - FAINTEST)
        unlike = self._laid(picture, [places[int(i)] for i in worth])
        things = np.array(island_numbers(picture, [place[:2] for place in places]))
        best = _best(things, worth, -_mean(unlike, self.shares))
        trust = np.clip(1 + (best - WORST) / FADE, 0, 1)
        turned = -_mean(unlike, self.telling)
        worse = np.full(len(places), -MOST_WORSE)
        worse[worth] = np.maximum(turned - _best(things, worth, turned)[worth], -MOST_WORSE)
        return np.asarray(WEIGHT * np.maximum(best, WORST) + WITHIN * trust * worse)

    def fits(self, picture: Picture, places: Sequence[Place]) -> NDArray[np.float64]:
        """Returns (K,), how well the thing fits near places at best: minus the mean over points of
        how unlike they are, on the scale of a log likelihood."""
        return np.asarray(-_mean(self._laid(picture, places), self.shares), np.float64)

    def _laid(self, picture: Picture, places: Sequence[Place]) -> Floats:
        """Returns (K, P), how unlike the points are near places where the thing fits best."""
        seen = _Seen.of(picture)
        u, v, turn = np.array(places, np.float32).T[:, :, None]
        # It is moved and turned about its own middle.
        x, y = _turned(self.middle, turn)
        u, v = u + x, v + y
        every, shifts = np.arange(len(places)), np.array([-1, 0, 1], np.float32)
        for step, angle in MOVES:
            a, b, c = (d.ravel() for d in np.meshgrid(*[shifts] * 3))
            tried = u + np.float32(step) * a, v + np.float32(step) * b, turn + np.float32(angle) * c
            best = _mean(self._unlike(seen, *tried), self.shares).argmin(1)
            u, v, turn = (part[every, best][:, None] for part in tried)
        return self._unlike(seen, u, v, turn)[:, 0]

    def _unlike(self, seen: _Seen, u: Floats, v: Floats, turn: Floats) -> Floats:
        """Returns (K, N, P), how unlike the points are with the thing's middle at (u, v)."""
        x, y = _turned(self.offsets, turn[..., None])
        at, unknown = seen.at(x + u[..., None], y + v[..., None])
        own, table = np.split(at, [self.things], -1)
        looks, height = self.looks[: self.things], self.looks[self.things :, 0]
        off = np.maximum(seen.low[own] - looks, 0) + np.minimum(seen.high[own] - looks, 0)
        # Of the table around it only the height is foretold.
        bare = seen.looks[table, 0] - height
        squares = np.concatenate([np.einsum("...c,...c", off, off), np.square(bare)], -1)
        higher = np.concatenate([off[..., 0], bare], -1) > HIDDEN
        unlike = np.log1p(squares)
        unlike = np.where(higher, np.minimum(unlike, BY_HIDDEN), unlike)
        unlike[unknown] = BY_UNKNOWN
        return np.asarray(unlike)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture's looks, H W pixels in a row.

    Attributes:
        looks: (H W, 4); low, high: likewise, the least and the most within REACH.
        known: (H W,). shape: H, W.
    """

    looks: Floats
    low: Floats
    high: Floats
    known: Mask
    shape: tuple[int, int]

    @classmethod
    def of(cls, picture: Picture) -> Self:
        looks = _looks(picture)
        rows, columns = looks.shape[:2]
        known = np.asarray(picture[4].reshape(-1) > 0)
        own, low, high = (
            maps.reshape(rows * columns, -1)
            for maps in (looks, _over(looks, np.minimum), _over(looks, np.maximum))
        )
        return cls(own, low, high, known, (rows, columns))

    def at(self, x: Floats, y: Floats) -> tuple[NDArray[np.intp], Mask]:
        """Returns which pixels are at columns x and rows y, and which are not seen."""
        rows, columns = self.shape
        column, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
        pixels = np.clip(row, 0, rows - 1) * columns + np.clip(column, 0, columns - 1)
        outside = (column < 0) | (column >= columns) | (row < 0) | (row >= rows)
        return pixels, np.asarray(~self.known[pixels] | outside)


def _over(maps: Floats, extreme: np.ufunc) -> Floats:
    """Returns (H, W, C), the extreme of maps within REACH of each pixel."""
    rows, columns, channels = maps.shape
    edge, shifts = (REACH, REACH), range(2 * REACH + 1)
    wide = np.pad(maps, (edge, edge, (0, 0)), mode="edge").reshape(rows + 2 * REACH, -1)
    width = columns * channels
    across = reduce(extreme, [wide[:, d * channels : d * channels + width] for d in shifts])
    over = reduce(extreme, [across[d : d + rows] for d in shifts])
    return np.asarray(over.reshape(maps.shape))


def _best(things: NDArray[np.int64], worth: NDArray[np.intp], fits: Floats) -> Floats:
    """Returns (K,), the best of the fits of places that are worth it, on the thing of each; where
    none is, less than any."""
    found: Floats = np.full(len(things), -np.inf)
    np.maximum.at(found, worth, fits)
    return np.array([found[things == thing].max() for thing in things])


def _mean(unlike: Floats, weights: Floats) -> Floats:
    """Returns (...,), of (..., P). By loops and not by BLAS: the same sums with any threads."""
    return np.asarray(np.einsum("...p,p", unlike, weights))


def _looks(picture: Picture) -> Floats:
    """Returns (H, W, 4): of every pixel what is compared, in units of NOISE."""
    height, width = picture.shape[1:]
    wide = np.pad(picture[:4], ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    smooth = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / np.float32(9)
    red, green, blue = np.log(smooth[:3] + np.float32(1.1))
    parts = smooth[3], red - green, blue - green, (red + green + blue) / 3
    looks = np.empty((height, width, len(parts)), np.float32)
    for i, (part, noise) in enumerate(zip(parts, NOISE, strict=True)):
        looks[..., i] = part / noise
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
