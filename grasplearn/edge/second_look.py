"""The second look at what a prediction proposes, with numpy and one graph.

What ``learning.reference``, ``nets.proposals``, ``nets.verifier`` and ``nets.overview`` do; a test
compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasplearn.edge.answer import around, peaks, probability_of
from grasplearn.edge.names import (
    AGREEMENTS,
    COMPARED,
    LIKENESS,
    OVERVIEWS,
    PIXELS,
    SCORES,
    SHOWN,
    TOLD,
)
from grasplearn.edge.picture import patch
from grasplearn.edge.runtime import Array, Bound
from grasplearn.footprint import Footprint
from grasplearn.whole import STANDING, Contrast, middles

# As in ``nets.verifier``, ``nets.overview``, ``nets.proposals`` and ``learning.cases``; a test
# compares.
WINDOW, REACH = 13, 1
SIDE, HEIGHT, NEAR = 49, 3, 4.0
MOST, FAINTEST, NONE = 8, 14.0, -99.0

Cell = tuple[int, int, int]
Place = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Look:
    """As ``nets.verifier.Look``, of one picture or of a spot at every turn."""

    features: Array
    liveliness: Array
    pixels: Array

    @staticmethod
    def of(looks: list[Look]) -> Look:
        """Returns one look of many, a turn each."""
        parts = ("features", "liveliness", "pixels")
        return Look(*(np.stack([getattr(look, part) for look in looks]) for part in parts))

    def inner(self) -> Look:
        """Returns the WINDOW cells in the middle."""
        edge = (self.features.shape[-1] - WINDOW) // 2
        inside = (..., slice(edge, edge + WINDOW), slice(edge, edge + WINDOW))
        return Look(self.features[inside], self.liveliness[inside], self.pixels[inside])


def pooled(pictures: Array, stride: int) -> Array:
    """Returns the means (..., H / stride, W / stride) over cells."""
    *lead, height, width = pictures.shape
    cells = pictures.reshape(*lead, height // stride, stride, width // stride, stride)
    return np.asarray(cells.mean((-3, -1)), np.float32)


def overview(pixels: Array, place: Place, stride: int) -> Array:
    """As one of ``nets.overview.overviews``: (5, SIDE, SIDE)."""
    x, y = ((q - (stride - 1) / 2) / stride for q in place[:2])
    seen = patch(pixels, x, y, -place[2], SIDE)
    seen[:HEIGHT] *= seen[HEIGHT] > STANDING
    return seen


@dataclass(frozen=True, eq=False)
class Reference:
    """As ``learning.reference.Reference``."""

    shown: Look
    rival: Look
    likeness: float
    overview: Array
    stride: int
    footprint: Footprint | None
    contrast: Contrast | None = None

    @staticmethod
    def of(
        shown: Look,
        quality: Array,
        picture: Array,
        place: Place,
        own: Array,
        stride: int,
        look: Callable[[Place], Look],
    ) -> Reference:
        """Looks at a demonstration with the weights that it was imprinted into.

        Args:
            shown: the shown spot. quality: (R, h, w), what is said of the demonstration, which is
            picture: (5, H, W). place: of the shown spot. own: (h, w), 1 where the thing or its
                surroundings are. look: at another place of the demonstration.
        """
        x, y = (round((q - (stride - 1) / 2) / stride) for q in place[:2])
        near = quality[[-1, 0, 1], max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        elsewhere = np.where(own > 0.5, -np.inf, quality)
        best = float(elsewhere.max())
        surroundings = overview(pooled(picture, stride), place, stride)
        footprint = Footprint.of(picture, place[:2])
        if not math.isfinite(best):
            return Reference(shown, shown, 0.0, surroundings, stride, footprint)
        rival = math.exp(min(best - float(near.max()), 0.0))
        probability = probability_of(elsewhere)
        u, v, turn, _ = around(probability, peaks(elsewhere, 0.0, 1)[0], stride)
        contrast = Contrast.of(picture, place[:2], (u, v), rival)
        other = look((u, v, turn))
        return Reference(shown, other, math.sqrt(rival), surroundings, stride, footprint, contrast)

    def verified(self, verifier: Bound, seen: Look, picture: Array, quality: Array) -> Array:
        """Returns quality (R, h, w) as logits after a second look at the best places of a picture
        (5, H, W)."""
        probability = probability_of(quality)
        found = [
            (around(probability, flat, self.stride), np.unravel_index(flat, quality.shape))
            for flat in peaks(quality, FAINTEST, MOST)
        ]
        found.sort(key=lambda one: -one[0][3])
        told = np.log([max(share, 1e-12) for (*_, share), _ in found])
        cells = [(int(r), int(y), int(x)) for _, (r, y, x) in found]
        count = len(cells)
        given = dict(zip((AGREEMENTS, PIXELS), self._evidence(seen, cells), strict=True))
        if OVERVIEWS in verifier.inputs:
            there = [overview(seen.pixels, place[:3], self.stride) for place, _ in found]
            given[OVERVIEWS] = np.stack(there)
            verifier.inputs[SHOWN][0] = self.overview
        for name, maps in given.items():
            verifier.inputs[name][:] = 0
            verifier.inputs[name][:count] = maps
        verifier.inputs[LIKENESS][...] = self.likeness
        verifier.inputs[TOLD][:] = NONE
        verifier.inputs[TOLD][:count] = told
        said = verifier.run()
        scores = said[SCORES][:count].astype(np.float64)
        if self.contrast is not None:
            spots = middles([(y, x) for _, y, x in cells], self.stride)
            scores += self.contrast.scores(picture, spots)
        if self.footprint is not None:
            places = [place[:3] for place, _ in found]
            scores += self.footprint.scores(picture, places, scores)
        if COMPARED in said:
            compared = said[COMPARED][:count].astype(np.float64)
            near = scores > scores.max() - NEAR
            scores += np.where(near, compared, compared[near].min())
        shifts = scores - _log_sum_exp(scores) + _log_sum_exp(told) - told
        logits = quality.astype(np.float64)
        logits -= _log_sum_exp(logits)
        shift = np.zeros_like(logits)
        # Where neighbourhoods overlap the more probable proposal's counts.
        for (r, y, x), by in reversed(list(zip(cells, shifts, strict=True))):
            for turn in (r - 1, r, r + 1):
                shift[turn % len(logits), max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = by
        return np.asarray(logits + shift, np.float64)

    def _evidence(self, seen: Look, cells: list[Cell]) -> tuple[Array, Array]:
        """As ``nets.verifier.evidence``."""
        turns = [turn for turn, _, _ in cells]
        groups = len(seen.liveliness)

        def windows(maps: Array, reach: int) -> Array:
            edge, side = WINDOW // 2 + reach, WINDOW + 2 * reach
            wide = np.pad(maps, ((0, 0), (edge, edge), (edge, edge)))
            return np.stack([wide[:, y : y + side, x : x + side] for _, y, x in cells])

        around_them = windows(seen.features, REACH)

        def agreement(spot: Look) -> list[Array]:
            found = []
            for a, b in np.ndindex(2 * REACH + 1, 2 * REACH + 1):
                moved = around_them[:, :, a : a + WINDOW, b : b + WINDOW] * spot.features[turns]
                found.append(moved.reshape(len(cells), groups, -1, WINDOW, WINDOW).sum(2))
            return [found[len(found) // 2], np.maximum.reduce(found)]

        agreements: list[NDArray[np.float32]] = [
            *agreement(self.shown),
            *agreement(self.rival),
            windows(seen.liveliness, 0),
            self.shown.liveliness[turns],
        ]
        pixels = [windows(seen.pixels, 0), self.shown.pixels[turns], self.rival.pixels[turns]]
        return np.concatenate(agreements, 1), np.concatenate(pixels, 1)


def _log_sum_exp(x: NDArray[np.float64]) -> float:
    most = float(x.max())
    return most + math.log(float(np.exp(x - most).sum()))
