"""What template matching compares: heightmaps to interpolate in, and the cells around a grasp."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap
from grasplearn.policies.depth_heuristic import Mask, standing
from grasplearn.types import MAX_WIDTH, Array

Floats = NDArray[np.floating[Any]]

# Fine cells per coarse cell.
COARSE = 2
# Of a cloud, in the fine search.
FINE_CELLS = 700
# Dilation by 8 mm: how much of the table around the taught thing is compared.
RIM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


@dataclass(frozen=True)
class Layers:
    """A heightmap for interpolation: values are multiplied by ``known``, so unknown ones drop out.

    Attributes:
        maps: (N, N, 4) float32, RGB in [0, 1] times known, and known itself; (N, N) float32, height
            in m times known.
        grid: where the cells lie.
    """

    maps: tuple[Floats, Floats]
    grid: Heightmap

    @staticmethod
    def of(view: Heightmap) -> Layers:
        known = view.known.astype(np.float32)
        color = np.dstack([view.rgb / np.float32(255) * known[..., None], known])
        return Layers((color, np.maximum(view.height, 0) * known), view)

    def sample(self, xy_world: Array) -> tuple[Floats, Floats, Floats]:
        """Returns RGB (p, k, 3), height (p, k) and known in [0, 1] (p, k) at points (p, k, 2)."""
        u, v = np.moveaxis(self.grid.to_pixels(xy_world).astype(np.float32), -1, 0)
        linear, border = cv2.INTER_LINEAR, cv2.BORDER_CONSTANT
        return _divided(*(cv2.remap(m, u, v, linear, None, border) for m in self.maps))

    def coarse(self) -> tuple[Floats, Floats, Floats]:
        """Returns RGB (n, n, 3), height and known (n, n) on cells ``COARSE`` times as wide."""
        size = (self.grid.side // COARSE,) * 2
        return _divided(*(cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in self.maps))


def _divided(color: Any, height: Any) -> tuple[Floats, Floats, Floats]:
    known = color[..., 3]
    full = np.maximum(known, 1e-6)
    return color[..., :3] / full[..., None], height / full, known


@dataclass(frozen=True)
class Cloud:
    """What surrounds the demonstrated grasp, as a cloud of k cells.

    Attributes:
        offsets: (k, 2) m from the grasp's centre, in the demonstration's world axes.
        color: (k, 3) in [0, 1]; height: (k,) m.
        shape_weight, color_weight: (k,), what a cell counts in either comparison.
        ceiling: m; what is higher than this is cut down to it, here and in pictures.
    """

    offsets: Array
    color: Floats
    height: Floats
    shape_weight: Floats
    color_weight: Floats
    ceiling: float

    def thinned(self) -> Cloud:
        """Returns every n-th cell, at most ``FINE_CELLS``: enough to tell places apart."""
        every = slice(None, None, -(-len(self.offsets) // FINE_CELLS))
        return replace(
            self,
            offsets=self.offsets[every],
            color=self.color[every],
            height=self.height[every],
            shape_weight=self.shape_weight[every],
            color_weight=self.color_weight[every],
        )

    def raster(self, offsets: Array, reach: int, cell: float) -> Kernel:
        """Drops the turned cloud onto a grid of 2 reach + 1 cells a side, to be correlated."""
        column, row = np.rint(offsets * (1, -1) / cell).astype(int).T + reach
        side = 2 * reach + 1

        def layer(values: Floats) -> Floats:
            flat = np.bincount(row * side + column, values, side * side)
            return flat.reshape(side, side).astype(np.float32)

        w, c = self.shape_weight, self.color_weight
        squares = [layer(w), layer(-2 * w * self.height), layer(w * self.height**2)]
        return Kernel(
            shape=np.dstack(squares),
            shape_weight=squares[0],
            color=np.dstack([layer(c * channel) for channel in self.color.T]),
            color_squared=layer(c * (self.color**2).sum(-1)),
            color_weight=layer(c),
        )


@dataclass(frozen=True)
class Kernel:
    """One rotation's template on coarse cells: weighted sums whose correlations give the costs."""

    shape: Floats
    shape_weight: Floats
    color: Floats
    color_squared: Floats
    color_weight: Floats


def cut_cloud(
    view: Heightmap, center: Array, radius: float, surround_weight: float, margin: float
) -> Cloud:
    """Cuts out the thing that stands nearest to a grasp, and a rim of table around it.

    Args:
        view: the demonstration. center: (2,) m, the grasp's place in the world.
        radius: m, nothing farther from the grasp is taken.
        surround_weight: of the rim's cells. margin: m, the ceiling above the thing's top.

    Raises:
        InvalidValueError: nothing stands between jaws at the grasp.
    """
    cell = view.metres_per_pixel
    steps = np.arange(-int(radius / cell), int(radius / cell) + 1) * cell
    offsets = np.stack(np.meshgrid(steps, -steps), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(offsets, axis=1)
    xy = center + offsets
    color, height, known = (values[0] for values in Layers.of(view).sample(xy[None]))
    raised = standing(view)
    blob = _nearest_blob(raised, view.to_pixels(center))
    # Whatever else is near will be somewhere else the next time.
    rim = (cv2.dilate(blob.astype(np.uint8), RIM) > 0) & ~raised
    near = (distance <= radius) & (known > 0.5)
    taught = near & _at(blob, view, xy)
    if not (taught & (distance <= MAX_WIDTH / 2)).any():
        raise InvalidValueError(
            f"nothing stands within {MAX_WIDTH / 2 * 100:.0f} cm of the demonstrated grasp: check "
            "its position, and the depth picture's unit"
        )
    ceiling = float(height[taught].max()) + margin
    weight = known * np.where(taught, 1.0, surround_weight)
    kept = taught | (near & _at(rim, view, xy))
    return Cloud(
        offsets[kept],
        color[kept],
        np.minimum(height, ceiling)[kept],
        weight[kept].astype(np.float32),
        (known * taught)[kept],
        ceiling,
    )


def _nearest_blob(mask: Mask, pixel: Array) -> Mask:
    """Returns the connected part of ``mask`` nearest to ``pixel``; empty if there is none."""
    # Sensor holes cut thin things into pieces that still belong together.
    joined = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    labels = np.asarray(cv2.connectedComponents(joined)[1])
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return mask
    nearest = int(np.argmin((columns - pixel[0]) ** 2 + (rows - pixel[1]) ** 2))
    return np.asarray(mask & (labels == labels[rows[nearest], columns[nearest]]))


def _at(mask: Mask, view: Heightmap, xy_world: Array) -> Mask:
    u, v = np.rint(view.to_pixels(xy_world)).astype(int).T
    inside = (u >= 0) & (u < view.side) & (v >= 0) & (v < view.side)
    return np.asarray(inside & mask[np.clip(v, 0, view.side - 1), np.clip(u, 0, view.side - 1)])


def turned(offsets: Array, angles: Array) -> Array:
    """Rotates offsets (k, 2) by angles (p,) rad about z: (p, k, 2)."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = offsets[:, 0], offsets[:, 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)
