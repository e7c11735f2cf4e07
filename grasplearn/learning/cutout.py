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
# Higher than this, m, with channels that differ so much from the table's in sum, it stands too.
FLAT, DISTINCT = 0.003, 75
# With such a share of distinct cells all of a thing is taken to be distinct where it is low.
DISTINCT_SHARE = 0.4
# What is lower on average, m, and whose channels differ from the table's by less in sum, is one of
# the sensor's errors.
BUMP, TABLE_COLOR = 0.011, 30
# How far from the demonstrated grasp, m, the thing that it is on may begin (rings, handles).
REACH = 0.025
# Colours are compared over squares of so many cells: at an edge, and of an island with the table.
EDGE, NEARBY = 11, 41
# A colour is not the table's if it is off by more than so many times what the table's pattern is.
PATTERN = 2
# A sensor tears narrow things apart. Gaps of less than so many cells are the thing's where their
# colour is distinct, and between parts of things whatever it is.
GAP, TEAR = 9, 5
# The straight lines along which gaps are closed, halves of their length.
DIRECTIONS = ((2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (-1, 2), (-2, 2), (-2, 1))


@dataclass(frozen=True, eq=False)
class CutOut:
    """layers: (6, H, W), the five channels and the mask, no larger than the thing and a seam.

    Attributes:
        place: u, v in the layers, that is moved about.
    """

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
    big = stats[:, cv2.CC_STAT_AREA] >= MIN_CELLS
    big[0] = False
    is_thing = _is_thing(view, labels)
    own = _nearest(labels, is_thing, place, view) or _nearest(labels, big, place, view)
    mask = _led_to(view, stands, place) if own is None else labels == own
    picture = encode(view)
    others = tuple(
        _cut(picture, labels == i, Place(float(middles[i][0]), float(middles[i][1]), 0))
        for i in np.flatnonzero(is_thing)
        if not mask[labels == i].any()
    )
    return Pieces(_cut(picture, mask, place), others, _table(view, stands))


def _led_to(view: Heightmap, stands: NDArray[np.uint8], place: Place) -> NDArray[np.bool_]:
    """Returns where the thing is that specks at a place lead to, from gap to gap: of a thin part in
    the table's colour a sensor may leave no more.

    Raises:
        InvalidValueError: they lead to none.
    """
    _, labels = cv2.connectedComponents(_closed(stands, GAP), connectivity=8)
    own = _nearest(labels, _is_thing(view, labels), place, view)
    if own is None:
        raise InvalidValueError("nothing stands at the demonstrated grasp; show it on an object")
    return np.asarray(labels == own)


def _nearest(
    labels: NDArray[Any], which: NDArray[np.bool_], place: Place, view: Heightmap
) -> int | None:
    """Returns the nearest of some islands that is within reach of a place."""
    rows, columns = np.nonzero(which[labels])
    if not len(rows):
        return None
    distance = np.hypot(columns - place.u, rows - place.v)
    nearest = int(distance.argmin())
    within = distance[nearest] * view.metres_per_pixel <= REACH
    return int(labels[rows[nearest], columns[nearest]]) if within else None


def standing(view: Heightmap) -> NDArray[np.uint8]:
    """Where something stands on the table (N, N), 1 or 0; a handle two cells wide stays whole.

    Height decides first. A depth sensor smears it over edges, where a colour picture is sharp, and
    loses flat things and the inside of hollow ones: there colour has its say.
    """
    height = cv2.medianBlur(view.height, 3)
    table = _table_cells(view)
    to_table, pattern = _off_table(view)
    high = (height > STANDING) | ((height > FLAT) & (to_table > DISTINCT))
    stands = _without_fringe(view.rgb, np.asarray(high, np.uint8), table)
    stands &= ~_low_and_grown(stands, (height < BUMP) & (to_table < TABLE_COLOR), to_table)
    stands |= _holes(stands, to_table)
    stands |= _closed(stands, GAP) & (to_table > np.maximum(DISTINCT, PATTERN * pattern))
    return stands | _closed(_things(view, stands), TEAR)


def things(view: Heightmap) -> NDArray[np.uint8]:
    """Where things surely stand (N, N), 1 or 0: islands that are no errors of the sensor's."""
    return _things(view, standing(view))


def _things(view: Heightmap, stands: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, labels = cv2.connectedComponents(stands, connectivity=8)
    return np.asarray(_is_thing(view, labels)[labels], np.uint8)


def _closed(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A mask and what lies straight between cells of it that are less than ``side`` cells apart.

    A square in place of the lines would not reach from tip to tip of what lies aslant.
    """
    closed, middle = mask, side // 2
    for along, across in DIRECTIONS:
        line, end = np.zeros((side, side), np.uint8), (middle * along // 2, middle * across // 2)
        cv2.line(line, (middle - end[0], middle - end[1]), (middle + end[0], middle + end[1]), 1)
        straight = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, line)
        closed = np.maximum(closed, np.asarray(straight, np.uint8))
    return closed


def _table_cells(view: Heightmap) -> NDArray[np.uint8]:
    high = np.asarray(cv2.medianBlur(view.height, 3) > STANDING, np.uint8)
    return np.asarray(1 - cv2.dilate(high, np.ones((3, 3), np.uint8)), np.uint8)


def _without_fringe(
    rgb: NDArray[np.uint8], high: NDArray[np.uint8], table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Leaves out the outermost cells whose colour is more the table's nearby than the thing's."""
    core = np.asarray(cv2.erode(high, np.ones((3, 3), np.uint8)), np.uint8)
    to_thing, has_thing = _off(rgb, core, EDGE)
    to_table, has_table = _off(rgb, table, EDGE)
    fringe = (core == 0) & has_thing & has_table & (to_table < to_thing)
    return np.asarray((high > 0) & ~fringe, np.uint8)


def _low_and_grown(
    stands: NDArray[np.uint8], like_table: NDArray[np.bool_], to_table: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Bumps of the table that have grown together with a thing of clearly another colour."""
    _, labels = cv2.connectedComponents(stands, connectivity=8)
    flat = labels.ravel()
    distinct = np.bincount(flat, (to_table > DISTINCT).ravel()) / np.maximum(np.bincount(flat), 1)
    return np.asarray((distinct > DISTINCT_SHARE)[labels] & like_table, np.uint8)


def _holes(stands: NDArray[np.uint8], to_table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Where a thing encloses what is low but has not the table's colour: the inside of a mug."""
    _, labels = cv2.connectedComponents(1 - stands, connectivity=4)
    flat = labels.ravel()
    color = np.bincount(flat, to_table.ravel()) / np.maximum(np.bincount(flat), 1)
    inside = color > TABLE_COLOR
    inside[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    return np.asarray(inside[labels] & (stands == 0), np.uint8)


def _is_thing(view: Heightmap, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which islands are neither tiny nor low and of the table's own colour; 0 is the table."""
    flat = labels.ravel()
    cells = np.maximum(np.bincount(flat), 1)
    to_table, pattern = _off_table(view)
    strange = to_table / np.maximum(TABLE_COLOR, PATTERN * pattern)
    height = np.bincount(flat, view.height.ravel()) / cells
    color = np.bincount(flat, strange.ravel()) / cells
    found = (cells >= MIN_CELLS) & ((height > BUMP) | (color > 1))
    found[0] = False
    return np.asarray(found)


def _off_table(view: Heightmap) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far every cell's colour is from the table's nearby, and how far the table's own are."""
    table = _table_cells(view)
    off, _ = _off(view.rgb, table, NEARBY)
    side = (NEARBY, NEARBY)
    share = np.maximum(cv2.blur(table.astype(np.float32), side), np.float32(1e-6))
    return off, np.asarray(cv2.blur(off * table, side) / share, np.float32)


def _off(
    rgb: NDArray[np.uint8], where: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How far every cell's colour is from the mean colour of some cells around it, if any."""
    share = cv2.blur(where.astype(np.float32), (side, side))
    total = cv2.blur(rgb * where[..., None].astype(np.float32), (side, side))
    mean = total / np.maximum(share, 1e-6)[..., None]
    r, g, b = cv2.split(np.abs(rgb - mean))
    return np.asarray(r + g + b, np.float32), share > 0.5 / side**2


def _cut(picture: Tensor, mask: NDArray[np.bool_], place: Place) -> CutOut:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    box = slice(top, rows[-1] + 2), slice(left, columns[-1] + 2)
    layers = torch.cat([picture, torch.from_numpy(mask)[None].to(picture.dtype)])
    moved = Place(place.u - float(left), place.v - float(top), place.turn)
    return CutOut(layers[:, *box].contiguous(), moved)


def _table(view: Heightmap, stands: NDArray[np.uint8]) -> Tensor:
    # Shadows and mixed cells at a thing's foot go with it.
    foot = cv2.dilate(stands, np.ones((7, 7), np.uint8))
    rgb = cv2.inpaint(view.rgb, foot, 3, cv2.INPAINT_TELEA)
    height = np.where(foot > 0, np.float32(0), view.height)
    known = view.known | (foot > 0)
    return encode(Heightmap(np.asarray(rgb, np.uint8), height, known, view.span, view.center))
