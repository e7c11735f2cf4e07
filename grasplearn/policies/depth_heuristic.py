"""The control that knows nothing: grasp the blob that stands up, across its narrow side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError, NoGraspError
from grasplearn.geometry import PAD_HALF_BREADTH, Heightmap, grasp_height, heightmap
from grasplearn.types import MAX_WIDTH, Array, Demonstration, Grasp, Observation

Mask = NDArray[np.bool_]
Pick = Literal["largest", "tallest"]

# Four times the depth noise at the overhead camera's distance (1.4 mm), rounded up.
STANDING_HEIGHT = 0.006
# 0.8 cm^2: less is noise, or too small for the hand.
MIN_BLOB_CELLS = 20
# Free room on both sides between what is grasped and the open pads.
CLEARANCE = 0.008
MIN_WIDTH = 0.02


def standing(view: Heightmap) -> Mask:
    """Returns (N, N) where something stands on the table, without specks of noise."""
    smooth = cv2.medianBlur(view.height, 3)
    raised = ((smooth > STANDING_HEIGHT) & view.known).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(raised, connectivity=8)
    kept = stats[:count, cv2.CC_STAT_AREA] >= MIN_BLOB_CELLS
    kept[0] = False
    return np.asarray(kept[labels], dtype=bool)


def nothing_stands() -> NoGraspError:
    return NoGraspError(
        f"nothing stands more than {STANDING_HEIGHT * 1000:.0f} mm above the table in the workspace"
    )


def opening(extent: float) -> float:
    """Returns the jaws' width (m) for something ``extent`` m across, clipped to the hand's."""
    return float(np.clip(extent + 2 * CLEARANCE, MIN_WIDTH, MAX_WIDTH))


@dataclass(frozen=True)
class DepthHeuristic:
    """Closes across the minor axis of a blob at its centroid. It ignores what was taught.

    Attributes:
        pick: the ``largest`` blob by area or the ``tallest``, among those that fit into the hand
            (among all, if none does).
    """

    name: ClassVar[str] = "depth-heuristic"
    pick: Pick = "largest"

    def __post_init__(self) -> None:
        if self.pick not in get_args(Pick):
            raise InvalidValueError(
                f"pick must be one of {', '.join(get_args(Pick))}; got '{self.pick}'"
            )

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> DepthHeuristic:
        return self

    def __call__(self, observation: Observation) -> Grasp:
        view = heightmap(observation)
        count, labels = cv2.connectedComponents(standing(view).astype(np.uint8), connectivity=8)
        if count < 2:
            raise nothing_stands()
        blobs = [_Blob.of(view, np.asarray(labels == label)) for label in range(1, count)]
        best = max(blobs, key=lambda b: (b.fits, b.area if self.pick == "largest" else b.top))
        width = opening(best.extent)
        z = grasp_height(view, best.center, best.yaw, width)
        return Grasp(np.array([*best.center, z]), best.yaw, width)


@dataclass(frozen=True)
class _Blob:
    """A connected thing on the table: (x, y) m of its middle, how to close on it, how big it is."""

    center: Array
    yaw: float
    extent: float
    area: int
    top: float

    @property
    def fits(self) -> bool:
        return self.extent + 2 * CLEARANCE <= MAX_WIDTH

    @staticmethod
    def of(view: Heightmap, mask: Mask) -> _Blob:
        rows, columns = np.nonzero(mask)
        xy = view.to_world(np.stack([columns, rows], axis=-1))
        center = xy.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov((xy - center).T))
        minor, major = axes[:, 0], axes[:, 1]
        # Only what lies between the pads has to fit, not the whole blob.
        between = np.abs((xy - center) @ major) <= PAD_HALF_BREADTH
        across = (xy[between] - center) @ minor
        low, high = (across.min(), across.max()) if across.size else (0.0, 0.0)
        return _Blob(
            center=center + minor * (low + high) / 2,
            yaw=float(np.arctan2(minor[1], minor[0])),
            extent=float(high - low) + view.metres_per_pixel,
            area=len(xy),
            top=float(np.percentile(view.height[mask], 95)),
        )
