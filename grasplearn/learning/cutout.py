"""Things cut out of a heightmap by their height, and the table that is left."""

from __future__ import annotations

from dataclasses import dataclass

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
# What does not reach higher, m, may be the sensor's error: no other thing is made of it.
BUMP = 0.012
# How far from the demonstrated grasp, m, the thing that it is on may begin (rings, handles).
REACH = 0.025


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
    standing = _standing(view)
    _, labels, stats, middles = cv2.connectedComponentsWithStats(standing, connectivity=8)
    big = [i for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] >= MIN_CELLS]
    rows, columns = np.nonzero(np.isin(labels, big))
    if not len(rows):
        raise InvalidValueError("nothing stands on the table of the demonstration")
    distance = np.hypot(columns - place.u, rows - place.v)
    nearest = int(distance.argmin())
    if distance[nearest] * view.metres_per_pixel > REACH:
        raise InvalidValueError("nothing stands at the demonstrated grasp; show it on an object")
    own = labels[rows[nearest], columns[nearest]]
    picture = encode(view)
    others = tuple(
        CutOut(_layers(picture, labels == i), Place(float(middles[i][0]), float(middles[i][1]), 0))
        for i in big
        if i != own and np.percentile(view.height[labels == i], 90) > BUMP
    )
    return Pieces(CutOut(_layers(picture, labels == own), place), others, _table(view, standing))


def _standing(view: Heightmap) -> NDArray[np.uint8]:
    """Where things stand, without single cells of noise; a handle two cells wide stays whole."""
    return np.asarray(cv2.medianBlur(view.height, 3) > STANDING, np.uint8)


def _layers(picture: Tensor, mask: NDArray[np.bool_]) -> Tensor:
    return torch.cat([picture, torch.from_numpy(mask)[None].to(picture.dtype)])


def _table(view: Heightmap, standing: NDArray[np.uint8]) -> Tensor:
    # Shadows and mixed cells at a thing's foot go with it.
    foot = cv2.dilate(standing, np.ones((7, 7), np.uint8))
    rgb = cv2.inpaint(view.rgb, foot, 3, cv2.INPAINT_TELEA)
    height = np.where(foot > 0, np.float32(0), view.height)
    known = view.known | (foot > 0)
    return encode(Heightmap(np.asarray(rgb, np.uint8), height, known, view.span, view.center))
