"""From a prediction's maps to a grasp with numpy alone: ``codec.decode`` and ``probe.is_found``."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.edge.picture import SPAN, View, to_pixels, to_world
from grasplearn.errors import NoGraspError
from grasplearn.room import Room
from grasplearn.types import MAX_WIDTH, Grasp

Maps = NDArray[np.float32]
Array = NDArray[np.float64]

# As in ``geometry``, ``codec`` and ``probe``; a test compares.
FAINTEST, MOST = 6.0, 8
MIN_STANDING, WIDTH_RANGE = 0.004, (0.004, MAX_WIDTH)
PAD_HALF_BREADTH, INSERTION_DEPTH, MIN_CENTER_HEIGHT = 0.009, 0.018, 0.010
CELLS, TURN = 2, math.radians(33)


def best_place(quality: Maps, stride: int) -> tuple[float, float, float, float]:
    """Returns u, v, turn and probability of the best place of (R, h, w) logits."""
    probability = probability_of(quality)
    best = int(np.add.reduce(_near(probability, 0.0)).argmax())
    return around(probability, best, stride)


def probability_of(quality: Maps) -> Array:
    logits = quality.astype(np.float64)
    probability = np.exp(logits - logits.max())
    return np.asarray(probability / probability.sum())


def _near(volume: Array, outside: float) -> list[Array]:
    """(R, h, w) as every neighbour of a place sees it: 27 of them; turns go round."""
    turns, height, width = volume.shape
    ring = np.concatenate([volume[-1:], volume, volume[:1]])
    ring = np.pad(ring, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    return [ring[r : r + turns, y : y + height, x : x + width] for r, y, x in np.ndindex(3, 3, 3)]


def peaks(quality: Maps, faintest: float = FAINTEST, most: int = MOST) -> list[int]:
    """The likely peaks of (R, h, w) logits, the best first; ``codec.peaks``.

    Args:
        faintest: how much less likely (log) than the best one they may be.
    """
    logits = quality.astype(np.float64)
    highest = np.maximum.reduce(_near(logits, -np.inf))
    likely = (logits >= highest) & (logits >= logits.max() - faintest)
    found = np.flatnonzero(likely)
    return [int(i) for i in found[np.argsort(-logits.ravel()[found], kind="stable")][:most]]


def around(probability: Array, best: int, stride: int) -> tuple[float, float, float, float]:
    """Returns u, v, turn of the mean place around a cell, and the probability there."""
    turns, height, width = probability.shape
    r, y, x = best // (height * width), best // width % height, best % width
    rs = np.arange(r - 1, r + 2)
    ys = np.arange(max(y - 1, 0), min(y + 2, height))
    xs = np.arange(max(x - 1, 0), min(x + 2, width))
    window = probability[np.ix_(rs % turns, ys, xs)]
    share = window / window.sum()
    row, column = float((share.sum((0, 2)) * ys).sum()), float((share.sum((0, 1)) * xs).sum())
    turn = float((share.sum((1, 2)) * rs).sum()) * 2 * math.pi / turns
    middle = (stride - 1) / 2
    return column * stride + middle, row * stride + middle, turn, float(window.sum())


def decode(
    quality: Maps, widths: Maps, view: View, shown_yaw: float, tolerated: float = 0.0
) -> tuple[Grasp, float]:
    """Returns the best grasp of (R, h, w) maps, and the probability around its place.

    ``tolerated``: see ``room``.

    Raises:
        NoGraspError: nothing stands on the table, or the maps hold no finite peak.
    """
    if not (_median(view.height)[view.known] > MIN_STANDING).any():
        raise NoGraspError("nothing stands on the table")
    if not np.isfinite(quality).all():
        raise NoGraspError("the net's maps are not finite; teach again with a smaller step")
    stride = len(view.height) // quality.shape[-1]
    probability = probability_of(quality)
    places = [best_place(quality, stride)]
    places += [around(probability, cell, stride) for cell in peaks(quality)]
    width = float(widths.ravel()[int(quality.argmax())]) * MAX_WIDTH
    width = min(max(width, WIDTH_RANGE[0]), WIDTH_RANGE[1])

    def grasp_at(place: tuple[float, float, float, float]) -> Grasp:
        xy, yaw = to_world(*place[:2]), shown_yaw + place[2]
        return Grasp(np.array([*xy, _height(view, xy, yaw, width)]), yaw, width)

    room = room_in(view, tolerated)
    number, grasp = room.best([*map(grasp_at, places)], [place[3] for place in places])
    return grasp, places[number][3]


def room_in(view: View, tolerated: float = 0.0) -> Room:
    """As ``geometry.room_in``."""
    return Room(view.height, view.known, to_pixels, partial(_height, view), tolerated)


def is_found(quality: Maps, right: Maps, stride: int) -> bool:
    """As ``probe.is_found``: whether the best place is near any mass of the target (R, h, w)."""
    if not np.isfinite(quality).all():
        return False
    u, v, turn, _ = best_place(quality, stride)
    turns = len(quality)
    x, y = (round((q - (stride - 1) / 2) / stride) for q in (u, v))
    near = right[:, max(y - CELLS, 0) : y + CELLS + 1, max(x - CELLS, 0) : x + CELLS + 1]
    angle = 2 * math.pi * np.arange(turns) / turns - turn
    off = (angle + math.pi / 2) % math.pi - math.pi / 2
    return bool(near[np.abs(off) <= TURN].sum() > 0)


def loss(quality: Maps, widths: Maps, right: Maps, width: float, weight: float) -> float:
    """As ``head.maps_loss`` of one sample; ``weight``: of the width's error."""
    logits = quality.astype(np.float64)
    log_place = logits - logits.max()
    log_place -= math.log(np.exp(log_place).sum())
    return float((right * (weight * (widths.astype(np.float64) - width) ** 2 - log_place)).sum())


def _median(height: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every cell and its eight neighbours."""
    wide = np.pad(height, 1, mode="edge")
    n, m = height.shape
    near = np.stack([wide[y : y + n, x : x + m] for y, x in np.ndindex(3, 3)])
    return np.asarray(np.median(near, 0))


def _height(view: View, xy: Any, yaw: float, width: float) -> float:
    """As ``geometry.grasp_height``: a little below the top of what is between the jaws."""
    step = SPAN / len(view.height) / 2
    along = np.arange(-width / 2, width / 2 + step, step)
    across = np.arange(-PAD_HALF_BREADTH, PAD_HALF_BREADTH + step, step)
    a, b = np.meshgrid(along, across)
    x, y = xy
    places: Any = np.stack(
        [x + a * np.cos(yaw) - b * np.sin(yaw), y + a * np.sin(yaw) + b * np.cos(yaw)], -1
    )
    cells = np.rint(to_pixels(places)).astype(int).reshape(-1, 2)
    cells = cells[((cells >= 0) & (cells < len(view.height))).all(axis=1)]
    heights = view.height[cells[:, 1], cells[:, 0]].astype(np.float64)
    top = max(float(np.percentile(heights, 90)) if heights.size else 0.0, 0.0)
    return max(top - min(INSERTION_DEPTH, top / 2), MIN_CENTER_HEIGHT)
