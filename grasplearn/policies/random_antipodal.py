"""The control that any grasping method must beat: a random pair of opposed edges in the depth."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError, NoGraspError
from grasplearn.geometry import Heightmap, grasp_height, heightmap
from grasplearn.policies.depth_heuristic import (
    CLEARANCE,
    STANDING_HEIGHT,
    nothing_stands,
    opening,
    standing,
)
from grasplearn.types import MAX_WIDTH, Array, Demonstration, Grasp, Observation

# Fingers narrower than this apart would close on noise.
MIN_DISTANCE = 0.006


@dataclass(frozen=True)
class RandomAntipodal:
    """Draws one of the picture's antipodal pairs of edges. It ignores what was taught.

    A pair is antipodal when the line between its ends lies inside both friction cones about the
    heightmap's gradients there.

    Attributes:
        friction: coefficient; the cone's half-angle is its arctangent.
        edge_slope: rise per run from which a cell counts as an edge.
        edges: at most this many edge cells are paired with each other.

    Source: the antipodal condition as in Mahler et al. 2017 (arXiv 1703.09312), section IV, here on
    edges of a heightmap instead of depth pixels.
    """

    name: ClassVar[str] = "random"
    friction: float = 0.5
    edge_slope: float = 1.0
    edges: int = 600

    def __post_init__(self) -> None:
        if min(self.friction, self.edge_slope) <= 0 or self.edges < 2:
            raise InvalidValueError("friction and edge_slope must be positive, edges at least 2")

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> RandomGrasper:
        return RandomGrasper(self, int(rng.integers(2**32)))


@dataclass(frozen=True)
class RandomGrasper:
    """Draws a grasp; the draw depends on the taught seed and the picture, not on earlier calls."""

    settings: RandomAntipodal
    seed: int = field(repr=False)

    def __call__(self, observation: Observation) -> Grasp:
        view = heightmap(observation)
        rng = np.random.default_rng((self.seed, zlib.crc32(observation.depth.tobytes())))
        points, outward = _edges(view, self.settings.edge_slope)
        if len(points) == 0:
            raise nothing_stands()
        chosen = rng.permutation(len(points))[: self.settings.edges]
        first, second = _pairs(view, points[chosen], outward[chosen], self.settings.friction)
        if len(first) == 0:
            raise NoGraspError("no two opposed edges in the depth are near enough for the hand")
        pick = rng.integers(len(first))
        a, b = points[chosen[first[pick]]], points[chosen[second[pick]]]
        yaw = float(np.arctan2(*(b - a)[::-1]))
        width = opening(float(np.linalg.norm(b - a)))
        center = (a + b) / 2
        return Grasp(np.array([*center, grasp_height(view, center, yaw, width)]), yaw, width)


def _edges(view: Heightmap, slope: float) -> tuple[Array, Array]:
    """Returns edge points (k, 2) m in the world and unit vectors (k, 2) that point downhill."""
    smooth = cv2.GaussianBlur(cv2.medianBlur(view.height, 3), (0, 0), 1.0).astype(np.float64)
    rise_v, rise_u = np.gradient(smooth, view.metres_per_pixel)
    steep = np.hypot(rise_u, rise_v)
    beside = cv2.dilate(standing(view).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero((steep > slope) & beside)
    # v runs along -y: the world's uphill direction is (rise_u, -rise_v).
    uphill = np.stack([rise_u, -rise_v], -1)[rows, columns] / steep[rows, columns][:, None]
    return view.to_world(np.stack([columns, rows], -1)), -uphill


def _pairs(
    view: Heightmap, points: Array, outward: Array, friction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns index arrays (m,), (m,) of the antipodal pairs among ``points``."""
    line = points[None] - points[:, None]
    distance = np.linalg.norm(line, axis=-1)
    reach = (distance > MIN_DISTANCE) & (distance < MAX_WIDTH - CLEARANCE)
    cone = np.cos(np.arctan(friction))
    along_first = -np.einsum("ijk,ik->ij", line, outward)
    along_second = np.einsum("ijk,jk->ij", line, outward)
    opposed = np.minimum(along_first, along_second) >= cone * distance
    first, second = np.nonzero(np.triu(reach & opposed))
    # Two walls that face each other across a gap pass the test when seen from outside.
    middle = np.rint(view.to_pixels((points[first] + points[second]) / 2)).astype(int)
    solid = view.height[middle[:, 1], middle[:, 0]] > STANDING_HEIGHT
    return first[solid], second[solid]
