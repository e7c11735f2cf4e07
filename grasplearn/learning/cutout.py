"""Things cut out of a heightmap by their height, and the table that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap
from grasplearn.nets.codec import Place, encode

# What is higher than this, m, stands on the table; smaller islands than this, cells, are noise.
STANDING = 0.006
MIN_CELLS = 25
# What is lower on average, m, and whose channels differ from the table's by less in sum, is one of
# the sensor's errors.
BUMP, TABLE_COLOR = 0.011, 30
# How far from the demonstrated grasp, m, the thing that it is on may begin (rings, handles).
REACH = 0.025
# Colours are compared over squares of so many cells: at an edge, and of an island with the table.
EDGE, NEARBY = 11, 41


@dataclass(frozen=True, eq=False)
class CutOut:
    """layers: (6, S, S), the five channels and the mask; place: u, v that is moved about in it."""

    layers: Tensor
    place: Place


@dataclass(frozen=True, eq=False)
class Pieces:
    """A heightmap taken apart: the demonstrated thing, all others, the bare table (5, N, N)."""

    thing: CutOut
    others: tuple[CutOut, ...]
    table: Tensor


def take_apart(view: Heightmap, place: Place) -> Pieces:
    """Cuts a demonstration's heightmap into the thing at a place, the others and the table.

    Things that touch stay in one piece.

    Raises:
        InvalidValueError: nothing stands at the place.
    """
    stands = standing(view)
    _, labels, stats, middles = cv2.connectedComponentsWithStats(stands, connectivity=8)
    big = [i for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] >= MIN_CELLS]
    rows, columns = np.nonzero(np.isin(labels, big))
    if not len(rows):
        raise InvalidValueError("nothing stands on the table of the demonstration")
    distance = np.hypot(columns - place.u, rows - place.v)
    nearest = int(distance.argmin())
    if distance[nearest] * view.metres_per_pixel > REACH:
        raise InvalidValueError("nothing stands at the demonstrated grasp; show it on an object")
    own = labels[rows[nearest], columns[nearest]]
    is_thing = _is_thing(view, labels)
    picture = encode(view)
    others = tuple(
        CutOut(_layers(picture, labels == i), Place(float(middles[i][0]), float(middles[i][1]), 0))
        for i in big
        if i != own and is_thing[i]
    )
    return Pieces(CutOut(_layers(picture, labels == own), place), others, _table(view, stands))


def standing(view: Heightmap) -> NDArray[np.uint8]:
    """Where it is higher than the table (N, N), 1 or 0; a handle two cells wide stays whole.

    A depth sensor smears heights over edges, where a colour picture is sharp: what has the table's
    colour there is left out.
    """
    high, table = _high_and_table(view)
    return _without_fringe(view.rgb, high, table)


def things(view: Heightmap) -> NDArray[np.uint8]:
    """Where things surely stand (N, N), 1 or 0: islands that are no errors of the sensor's."""
    stands = standing(view)
    _, labels = cv2.connectedComponents(stands, connectivity=8)
    return np.asarray(_is_thing(view, labels)[labels], np.uint8)


def _high_and_table(view: Heightmap) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    high = np.asarray(cv2.medianBlur(view.height, 3) > STANDING, np.uint8)
    return high, np.asarray(1 - cv2.dilate(high, np.ones((3, 3), np.uint8)), np.uint8)


def _without_fringe(
    rgb: NDArray[np.uint8], high: NDArray[np.uint8], table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Leaves out cells at an edge whose colour is more the table's nearby than the thing's."""
    core = np.asarray(cv2.erode(high, np.ones((3, 3), np.uint8), iterations=2), np.uint8)
    to_thing, has_thing = _off(rgb, core, EDGE)
    to_table, has_table = _off(rgb, table, EDGE)
    fringe = (core == 0) & has_thing & has_table & (to_table < to_thing)
    return np.asarray((high > 0) & ~fringe, np.uint8)


def _is_thing(view: Heightmap, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which islands are neither tiny nor low and of the table's own colour; 0 is the table."""
    _, table = _high_and_table(view)
    flat = labels.ravel()
    cells = np.maximum(np.bincount(flat), 1)
    to_table, _ = _off(view.rgb, table, NEARBY)
    height = np.bincount(flat, view.height.ravel()) / cells
    color = np.bincount(flat, to_table.ravel()) / cells
    found = (cells >= MIN_CELLS) & ((height > BUMP) | (color > TABLE_COLOR))
    found[0] = False
    return np.asarray(found)


def _off(
    rgb: NDArray[np.uint8], where: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How far every cell's colour is from the mean colour of some cells around it, if any."""
    share = cv2.blur(where.astype(np.float32), (side, side))
    total = cv2.blur(rgb * where[..., None].astype(np.float32), (side, side))
    mean = total / np.maximum(share, 1e-6)[..., None]
    return np.abs(rgb - mean).sum(2), share > 0.5 / side**2


def _layers(picture: Tensor, mask: NDArray[np.bool_]) -> Tensor:
    return torch.cat([picture, torch.from_numpy(mask)[None].to(picture.dtype)])


def _table(view: Heightmap, stands: NDArray[np.uint8]) -> Tensor:
    # Shadows and mixed cells at a thing's foot go with it.
    foot = cv2.dilate(stands, np.ones((7, 7), np.uint8))
    rgb = cv2.inpaint(view.rgb, foot, 3, cv2.INPAINT_TELEA)
    height = np.where(foot > 0, np.float32(0), view.height)
    known = view.known | (foot > 0)
    return encode(Heightmap(np.asarray(rgb, np.uint8), height, known, view.span, view.center))
