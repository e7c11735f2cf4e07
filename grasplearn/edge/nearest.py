"""Which measured cell lies nearest to every cell of a grid, as OpenCV finds it, with numpy alone.

The net was trained on pictures whose holes OpenCV had filled. The truly nearest cell is often
another one: then several hundred cells of a picture differ, and now and then the grasp does.

Source: the two-pass chamfer transform of Borgefors (1986) with a mask of 5 x 5, as OpenCV's
``distanceTransformWithLabels`` has it: its weights, its fixed point, its order among equals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A cell's distance to its neighbours in OpenCV's fixed point (2 ** 16 is one cell): beside,
# diagonal, and a knight's move.
ONE = 1 << 16
BESIDE, DIAGONAL, KNIGHT = (round(length * ONE) for length in (1.0, 1.4, 2.1969))
# (row, column, distance) of a cell itself and of its neighbours above, in OpenCV's order.
ABOVE = (
    (0, 0, 0),
    (-2, -1, KNIGHT),
    (-2, 1, KNIGHT),
    (-1, -2, KNIGHT),
    (-1, -1, DIAGONAL),
    (-1, 0, BESIDE),
    (-1, 1, DIAGONAL),
    (-1, 2, KNIGHT),
)
EDGE = 2
# Farther than any cell, and small enough to be added to.
FAR = 1 << 40


def nearest(hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns every cell's nearest hit one's flat index (N, N), and how far it is (N, N), cells.

    Args:
        hit: (N, N); at least one is True.
    """
    inner = slice(EDGE, -EDGE)
    far = np.pad(np.where(hit, 0, FAR), EDGE, constant_values=FAR)
    source = np.pad(np.arange(hit.size).reshape(hit.shape), EDGE)
    # The way back up is the way down over the grid turned by half.
    for turn in (slice(None), slice(None, None, -1)):
        _sweep(far[turn, turn], source[turn, turn])
    return source[inner, inner], far[inner, inner] / ONE


def _sweep(far: NDArray[np.int64], source: NDArray[np.int64]) -> None:
    """Lowers the distances of a padded grid, row by row, by what lies above and to the left."""
    side = far.shape[1] - 2 * EDGE
    columns = np.arange(side)
    for row in range(EDGE, len(far) - EDGE):
        seen = [(row + dy, slice(EDGE + dx, EDGE + dx + side)) for dy, dx, _ in ABOVE]
        costs = np.stack([far[at] + cost for at, (_, _, cost) in zip(seen, ABOVE, strict=True)])
        # The first of equals: OpenCV takes the next one only if it is nearer.
        best = costs.argmin(0)
        # A cell then looks at its left neighbour, which has done so before. So it is the least of
        # all to the left, each as much farther as it is away; of equals the last.
        level = costs[best, columns] - BESIDE * columns
        lowest = np.minimum.accumulate(level)
        taken = np.maximum.accumulate(np.where(level == lowest, columns, 0))
        found = np.stack([source[at] for at in seen])[best, columns]
        far[row, EDGE:-EDGE] = lowest + BESIDE * columns
        source[row, EDGE:-EDGE] = found[taken]
