"""Whether the open hand has room to come down around a grasp, as far as a picture tells.

The net knows where the demonstrated spot is and nothing of the hand. Here two fingers and a palm,
as boxes, are held against the heights that were seen. Where one would come to stand inside
something, jaws that are opened wider, moved or turned a little often have room. Where nothing near
has any, the spot is hardly the demonstrated one: that was grasped. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.types import MAX_WIDTH, Array, Grasp

# The Panda's open hand as boxes, m, from its collision meshes. Along and across the closing
# direction, fingers (10 mm thick at the pads, 26 mm at the root) and palm; how far the tips reach
# below the pads' middle, and how high above it the palm begins.
FINGER, TIP_BELOW = (0.018, 0.021), 0.007
PALM, PALM_ABOVE = (0.204, 0.064), 0.039
# Percentiles of the heights below a finger and below the palm that count as the top of what is
# there: a speck of noise stops neither.
FINGER_TOP, PALM_TOP = 90, 99
# So deep (m) a fingertip may be seen inside something, for heights are noisy and edges blurred.
TOLERANCE = 0.007
# Room (m) that a changed grasp has to have beyond that.
MARGIN = 0.002
# No tip is stopped by less than this (m): the table itself is seen a little high or low.
FLOOR = 0.003

# How a grasp may be changed, so much of each counting as 1: opened (m), moved along the closing
# direction and across it (m), turned (rad). No more than MOST in all (squares are added): a spot
# counts as the demonstrated one within 2 cm and 30 degrees, and the net is some of that off.
CHANGES = (
    (0.016, (0.0, 0.008, 0.016, 0.024, 0.032, -0.008, -0.016)),
    (0.006, (0.0, -0.004, 0.004, -0.008, 0.008)),
    (0.008, (0.0, -0.005, 0.005, -0.010, 0.010)),
    (0.25, (0.0, -0.15, 0.15, -0.3, 0.3)),
)
MOST = 4.0
LEAST_WIDTH = 0.010
# The demonstrated grasp had room, so a spot that has less is less likely the demonstrated one.
CRAMPED = 1 / 3

# What lies below the hand is looked up in steps of so many m.
STEP = 0.002

# Makes the height (m) of a grasp's centre from (x, y), yaw and width.
HeightOf = Callable[[Array, float, float], float]


@dataclass(frozen=True, eq=False)
class Room:
    """What was seen around the hand.

    Attributes:
        height: (N, N) m; known: (N, N), where that was measured.
        to_pixels: world (..., 2) m to pixels (..., 2) as (u, v).
        height_of: the rule by which a grasp's height follows from the picture.
        tolerated: m, how much deeper than usual the hand may be seen inside something: as deep as
            the demonstrated grasp was in its own picture, which is known to have room.
    """

    height: NDArray[np.float32]
    known: NDArray[np.bool_]
    to_pixels: Callable[[Any], Array]
    height_of: HeightOf
    tolerated: float = 0.0

    def lacking(self, grasp: Grasp) -> float:
        """Returns how much too deep (m) the hand would stand inside something; negative if it does
        not."""
        z = float(grasp.center_world[2])
        out = (grasp.width + FINGER[0]) / 2
        tip = max(z - TIP_BELOW, FLOOR) + TOLERANCE
        fingers = (self._top(grasp, side * out, FINGER, FINGER_TOP) - tip for side in (-1, 1))
        palm = self._top(grasp, 0.0, PALM, PALM_TOP) - (z + PALM_ABOVE)
        return max(*fingers, palm) - self.tolerated

    def fitted(self, grasp: Grasp) -> Grasp | None:
        """Returns the least changed grasp that the hand has room for; None if there is none."""
        if self.lacking(grasp) <= 0:
            return grasp
        return next((g for g in self._changed(grasp) if self.lacking(g) <= -MARGIN), None)

    def best(self, grasps: Sequence[Grasp], probabilities: Sequence[float]) -> tuple[int, Grasp]:
        """Returns the number of the most probable of some grasps, and it, fitted.

        One that there is no room for counts by ``CRAMPED`` of its probability if it can be fitted,
        and not at all if it cannot. Where there is room for none it is the first, as it is.
        """
        weights = [
            probability * (1.0 if self.lacking(grasp) <= 0 else CRAMPED)
            for grasp, probability in zip(grasps, probabilities, strict=True)
        ]
        for number in sorted(range(len(grasps)), key=lambda i: -weights[i]):
            fitted = self.fitted(grasps[number])
            if fitted is not None:
                return number, fitted
        return 0, grasps[0]

    def _changed(self, grasp: Grasp) -> Iterator[Grasp]:
        """The grasp changed in every way, the least changed first."""
        c, s = np.cos(grasp.yaw), np.sin(grasp.yaw)
        for opened, along, across, turned in _ORDER:
            width = float(grasp.width + opened)
            if not LEAST_WIDTH <= width <= MAX_WIDTH:
                continue
            moved = np.array([along * c - across * s, along * s + across * c])
            xy = np.asarray(grasp.center_world[:2] + moved)
            yaw = float(grasp.yaw + turned)
            yield Grasp(np.array([*xy, self.height_of(xy, yaw, width)]), yaw, width)

    def _top(self, grasp: Grasp, at: float, extents: tuple[float, float], share: int) -> float:
        """The height (m) of what was measured below a box ``at`` m along the closing direction."""
        along, across = (np.arange(-e / 2, e / 2 + STEP / 2, STEP) for e in extents)
        a, b = np.meshgrid(along + at, across)
        c, s = np.cos(grasp.yaw), np.sin(grasp.yaw)
        x, y = grasp.center_world[:2]
        below = self.to_pixels(np.stack([x + a * c - b * s, y + a * s + b * c], -1))
        cells = np.rint(below).astype(int).reshape(-1, 2)
        columns, rows = cells[((cells >= 0) & (cells < len(self.height))).all(1)].T
        seen = self.height[rows, columns][self.known[rows, columns]]
        return float(np.percentile(seen, share)) if seen.size else 0.0


def _order() -> Array:
    """Every change (opened, along, across, turned), the least first."""
    every = np.array(list(product(*(steps for _, steps in CHANGES))))
    size = ((every / [unit for unit, _ in CHANGES]) ** 2).sum(1)
    order = np.argsort(size, kind="stable")
    return np.asarray(every[order[(size[order] > 0) & (size[order] <= MOST)]])


_ORDER = _order()
