"""What the things that proposals stand on are like as a whole: size, height and colour.

A verifier compares the surroundings of a spot. Where the demonstration itself held something that
could be taken for the shown thing, what tells the two apart is often the whole: how large it is and
which colour most of it has.

Needs numpy alone: the full program and a device's runner share it. ``learning.cutout`` takes things
apart more finely, with OpenCV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Pixel = tuple[float, float]

# Higher than this, in units of a picture's height channel (6 mm), something stands there.
STANDING = np.float32(0.12)
# Smaller islands than this, pixels, are noise; a spot's thing may begin so many pixels off it.
MIN_PIXELS, NEAR = 12, 8
# How far two pictures of one thing are apart, as a rule, in the logs of area and height and of red
# and blue against green.
NOISE = np.array([0.35, 0.2, 0.3, 0.3])
# How much that counts, and how soon something is like neither (as of Student's t, of 3 degrees).
WEIGHT, TAIL = 0.8, 3.0
# A rival that is less probable than this share of the shown spot is none.
LEAST_LIKENESS = 0.02


def islands(picture: Picture) -> NDArray[np.int64]:
    """Numbers (H, W) from 1 on of what stands in a picture (5, H, W), see ``nets.codec.encode``;
    0 is the table. Islands touch by an edge or a corner of a pixel."""
    wide = np.pad(picture[3] > STANDING, 1, mode="edge").astype(np.uint8)
    height, width = picture.shape[1:]
    # The median of nine neighbours: no speck, no pinhole.
    count = sum(wide[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return _connected(np.asarray(count) >= 5)


def _connected(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers the connected parts of a mask (H, W), row by row from stretches of it."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    above = 0
    for i, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] < start):
            above += 1
        j = above
        while rows[j] == row - 1 and starts[j] <= end:
            parent[root(j)] = root(i)
            j += 1
    numbers = np.zeros(mask.shape, np.int64)
    found: dict[int, int] = {}
    for i, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        numbers[row, start:end] = found.setdefault(root(i), len(found) + 1)
    return numbers


def _whole(picture: Picture, inside: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Logs of an island's area and height, of red and of blue against green; None: a speck."""
    seen = picture[:, inside].astype(np.float64)
    if seen.shape[1] < MIN_PIXELS:
        return None
    red, green, blue = np.maximum(np.median(seen[:3], axis=1) + 1, 0.03)
    height = max(float(np.quantile(seen[3], 0.8)), 0.1)
    return np.log([seen.shape[1], height, red / green, blue / green])


def wholes(picture: Picture, spots: Sequence[Pixel]) -> list[tuple[int, Any]]:
    """Returns of every spot (u, v) the number of the island that it is on, and what that is like
    (4,); 0 and None where there is none."""
    numbers = islands(picture)
    found: dict[int, Any] = {0: None}
    told = []
    for spot in spots:
        number = _nearest(numbers, spot)
        if number not in found:
            found[number] = _whole(picture, numbers == number)
        told.append((number if found[number] is not None else 0, found[number]))
    return told


def island_at(picture: Picture, spot: Pixel) -> NDArray[np.bool_] | None:
    """Where the island that a spot (u, v) is on lies in a picture (5, H, W); None: on none."""
    numbers = islands(picture)
    number = _nearest(numbers, spot)
    inside = np.asarray(numbers == number)
    return inside if number and inside.sum() >= MIN_PIXELS else None


def island_numbers(picture: Picture, spots: Sequence[Pixel]) -> list[int]:
    """Returns of every spot (u, v) the number of the island that it is on; 0 for none."""
    numbers = islands(picture)
    return [_nearest(numbers, spot) for spot in spots]


def _nearest(numbers: NDArray[np.int64], spot: Pixel) -> int:
    u, v = round(spot[0]), round(spot[1])
    top, left = max(v - NEAR, 0), max(u - NEAR, 0)
    window = numbers[top : max(v + NEAR + 1, 0), left : max(u + NEAR + 1, 0)]
    rows, columns = np.nonzero(window)
    if not len(rows):
        return 0
    nearest = np.hypot(rows + top - v, columns + left - u).argmin()
    return int(window[rows[nearest], columns[nearest]])


def middles(cells: Iterable[tuple[int, int]], stride: int) -> list[Pixel]:
    """Returns the pixels (u, v) in the middle of cells, rows and columns of a map."""
    return [(x * stride + (stride - 1) / 2, y * stride + (stride - 1) / 2) for y, x in cells]


@dataclass(frozen=True, eq=False)
class Contrast:
    """What the shown thing and its rival are like as wholes (4,), in one and the same picture."""

    shown: NDArray[np.float64]
    rival: NDArray[np.float64]

    @classmethod
    def of(cls, picture: Picture, shown: Pixel, rival: Pixel, likeness: float) -> Self | None:
        """Compares two spots of a demonstration (5, H, W); None where that tells nothing: the two
        are on one island or none, or the rival is no likely one.

        Args:
            likeness: how probable the rival is beside the shown spot, in [0, 1].
        """
        if likeness < LEAST_LIKENESS:
            return None
        (own, thing), (other, rivalling) = wholes(picture, (shown, rival))
        if not own or not other or own == other:
            return None
        return cls(thing, rivalling)

    def scores(self, picture: Picture, spots: Sequence[Pixel]) -> NDArray[np.float64]:
        """Returns (K,), what to add to the logits of spots (u, v): the log of how much more likely
        it is that the shown thing stands there than that its rival does, and 0 for what is like
        neither: things that touch are one island."""
        return np.array(
            [
                0.0 if like is None else WEIGHT * (_off(like, self.rival) - _off(like, self.shown))
                for _, like in wholes(picture, spots)
            ]
        )


def _off(like: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How unlike two wholes are, on the scale of a log likelihood."""
    return float(np.log1p((((like - other) / NOISE) ** 2).sum() / TAIL))
