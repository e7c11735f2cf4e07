"""The control to beat: the demonstrated spot is looked for in the picture at every rotation.

Coarse: masked squared difference of height and colour at all places and rotations, with OpenCV's
correlations on 4 mm cells. Fine: the best places are moved and turned in ever smaller steps under a
truncated difference, which forgives what is hidden or beside the object.

Source: masked squared difference as in OpenCV's ``matchTemplate``; the weights on the picture's
side (unknown cells), the exposure fitted at every place and the truncation are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from grasplearn.errors import InvalidValueError, NoGraspError
from grasplearn.geometry import grasp_height, heightmap, room_in, seen_inside
from grasplearn.policies.cloud import COARSE, Cloud, Floats, Layers, cut_cloud, turned
from grasplearn.policies.depth_heuristic import Mask, nothing_stands, standing
from grasplearn.types import Array, Demonstration, Grasp, Observation

# Less of the template than this on known cells is too little to judge by.
MIN_SUPPORT = 0.5
# How the fine search narrows: (steps in m, steps in coarse rotations, places kept afterwards).
FINE_STEPS = ((0.003, 0.5, 10), (0.0015, 0.25, 4), (0.0008, 0.12, 2), (0.0004, 0.06, 1))


@dataclass(frozen=True)
class TemplateMatching:
    """Rotated template matching around the demonstrated grasp; teaching takes some milliseconds.

    Attributes:
        radius: m, of the disc around the grasp; what is compared is the thing that stands there,
            as far as the disc reaches.
        rotations: how many, evenly over the full turn, the coarse search tries.
        candidates: how many coarse places the fine search starts from.
        color_weight: of the colours against the heights' weight of 1; 0 compares heights only.
        surround_weight: of the rim of table around the thing against its own weight of 1. It tells
            the outline, but something else may touch there in another scene.
        height_tolerance: m, and color_tolerance, of a unit RGB cube: differences from which on a
            cell counts as fully different.
        exposure: the brightness may differ by up to this factor, one factor for a place.

    Raises:
        InvalidValueError: a setting is outside its range.
    """

    name: ClassVar[str] = "template"
    radius: float = 0.12
    rotations: int = 36
    candidates: int = 20
    color_weight: float = 0.3
    surround_weight: float = 0.2
    height_tolerance: float = 0.012
    color_tolerance: float = 0.3
    exposure: float = 1.3

    def __post_init__(self) -> None:
        if not 0.01 <= self.radius <= 0.15:
            raise InvalidValueError(f"radius must be in [0.01, 0.15] m, got {self.radius}")
        if self.rotations < 4 or self.candidates < 1:
            raise InvalidValueError("rotations must be at least 4 and candidates at least 1")
        if self.color_weight < 0 or self.surround_weight < 0 or self.exposure < 1:
            raise InvalidValueError("weights must not be negative and exposure not below 1")
        if min(self.height_tolerance, self.color_tolerance) <= 0:
            raise InvalidValueError("height_tolerance and color_tolerance must be positive")

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> TemplateMatcher:
        """Cuts the template out of the demonstration; ``rng`` is not used.

        Raises:
            InvalidValueError: nothing stands at the demonstrated grasp.
        """
        view = heightmap(demonstration.observation)
        place = demonstration.grasp.center_world[:2]
        cloud = cut_cloud(view, place, self.radius, self.surround_weight, self.height_tolerance)
        tolerated = seen_inside(view, demonstration.grasp)
        return TemplateMatcher(self, cloud, demonstration.grasp, tolerated)


@dataclass(frozen=True)
class DepthTemplateMatching(TemplateMatching):
    """Template matching on the heights alone."""

    name: ClassVar[str] = "template-depth"
    color_weight: float = 0.0


@dataclass(frozen=True)
class TemplateMatcher:
    """A taught template; the best match gives place and yaw, the demonstration the width.

    As every method that was taught it makes room for the hand, see ``room``.
    """

    settings: TemplateMatching
    template: Cloud
    grasp: Grasp
    tolerated: float

    def __call__(self, observation: Observation) -> Grasp:
        view = heightmap(observation)
        raised = standing(view)
        if not raised.any():
            raise nothing_stands()
        layers = Layers.of(view)
        poses = self._coarse(layers, raised)
        for step, turn, kept in FINE_STEPS:
            poses = self._refine(layers, poses, step, turn * 2 * np.pi / self.settings.rotations)
            poses = poses[:kept]
        x, y, angle = poses[0]
        yaw, width = self.grasp.yaw + angle, self.grasp.width
        grasp = Grasp(np.array([x, y, grasp_height(view, (x, y), yaw, width)]), yaw, width)
        return room_in(view, self.tolerated).fitted(grasp) or grasp

    def _coarse(self, layers: Layers, raised: Mask) -> Array:
        """Returns the best distinct poses (candidates, 3) as (x m, y m, rad)."""
        angles = np.arange(self.settings.rotations) * 2 * np.pi / self.settings.rotations
        costs = self._cost_volume(layers, angles)
        reach = 2 * int(self.settings.radius / 2 / layers.grid.metres_per_pixel) + 1
        near = cv2.dilate(raised.astype(np.uint8), np.ones((reach, reach), np.uint8))
        side = costs.shape[1]
        costs[:, cv2.resize(near, (side, side), interpolation=cv2.INTER_NEAREST) == 0] = np.inf
        found: list[tuple[Any, ...]] = []
        for _ in range(self.settings.candidates):
            turn, row, column = np.unravel_index(np.argmin(costs), costs.shape)
            if not np.isfinite(costs[turn, row, column]):
                break
            found.append((column, row, turn))
            turns = np.arange(turn - 2, turn + 3) % len(angles)
            costs[turns, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = np.inf
        if not found:
            raise NoGraspError("too little of what stands on the table is known to compare it")
        places = np.array(found, dtype=np.float64)
        # Coarse cells lie between the fine ones.
        xy = layers.grid.to_world(places[:, :2] * COARSE + (COARSE - 1) / 2)
        return np.column_stack([xy, angles[places[:, 2].astype(int)]])

    def _cost_volume(self, layers: Layers, angles: Array) -> Floats:
        """Returns the mean weighted squared difference (rotation, row, column) on coarse cells."""
        s, cell = self.settings, layers.grid.metres_per_pixel * COARSE
        color, height, known = layers.coarse()
        height = np.minimum(height, self.template.ceiling)
        reach = int(np.linalg.norm(self.template.offsets, axis=1).max() / cell) + 1
        volume = []
        shape_picture = _padded(known, reach, height**2, height, np.ones_like(height))
        color_picture = _padded(known, reach, *np.moveaxis(color, -1, 0))
        squared_picture = _padded(known, reach, (color**2).sum(-1))
        known_picture = _padded(known, reach, np.ones_like(known))
        for offsets in turned(self.template.offsets, angles):
            kernel = self.template.raster(offsets, reach, cell)
            cost = _share(
                _correlation(shape_picture, kernel.shape),
                _correlation(known_picture, kernel.shape_weight),
                float(kernel.shape_weight.sum()),
            )
            cost /= s.height_tolerance**2
            if s.color_weight:
                cross = _correlation(color_picture, kernel.color)
                own = _correlation(known_picture, kernel.color_squared)
                seen = _correlation(squared_picture, kernel.color_weight)
                gain = np.clip(cross / np.maximum(own, 1e-6), 1 / s.exposure, s.exposure)
                cost += (s.color_weight / s.color_tolerance**2) * _share(
                    gain**2 * own - 2 * gain * cross + seen,
                    _correlation(known_picture, kernel.color_weight),
                    float(kernel.color_weight.sum()),
                )
            volume.append(cost)
        return np.stack(volume)

    def _refine(self, layers: Layers, poses: Array, step: float, turn: float) -> Array:
        """Moves every pose (p, 3) to its best neighbour; returns them by rising cost."""
        moves = np.stack(np.meshgrid(*[(0.0, -1.0, 1.0)] * 3), -1).reshape(-1, 3)
        around = poses[:, None] + moves * (step, step, turn)
        costs = self._costs(layers, around.reshape(-1, 3)).reshape(len(poses), -1)
        best = costs.argmin(axis=1)
        every = np.arange(len(poses))
        return np.asarray(around[every, best][np.argsort(costs[every, best], kind="stable")])

    def _costs(self, layers: Layers, poses: Array) -> Floats:
        """Returns the mean truncated difference (p,) of poses (p, 3) as (x m, y m, rad)."""
        s, t = self.settings, self.template.thinned()
        color, height, known = layers.sample(poses[:, None, :2] + turned(t.offsets, poses[:, 2]))
        height = np.minimum(height, t.ceiling)
        weight = known * t.shape_weight
        off = np.minimum(((height - t.height) / s.height_tolerance) ** 2, 1)
        cost = _share((weight * off).sum(1), weight.sum(1), float(t.shape_weight.sum()))
        if s.color_weight:
            weight = known * t.color_weight
            cross = (weight * (color * t.color).sum(-1)).sum(1)
            own = (weight * (t.color**2).sum(-1)).sum(1)
            gain = np.clip(cross / np.maximum(own, 1e-6), 1 / s.exposure, s.exposure)
            apart = ((color - gain[:, None, None] * t.color) ** 2).sum(-1)
            off = np.minimum(apart / s.color_tolerance**2, 1)
            share = _share((weight * off).sum(1), weight.sum(1), float(t.color_weight.sum()))
            cost += s.color_weight * share
        return cost


def _share(total: Floats, support: Floats, full: float) -> Floats:
    """Returns total / support, infinite where too little of the ``full`` support is known."""
    enough = support >= MIN_SUPPORT * full
    return np.where(enough, total / np.maximum(support, 1e-6), np.inf).astype(np.float32)


def _padded(known: Floats, reach: int, *channels: Floats) -> Floats:
    """Returns (n + 2 reach, n + 2 reach, c): the channels times known, nothing known outside."""
    stack = np.dstack([known * channel for channel in channels])
    return np.pad(stack, ((reach, reach), (reach, reach), (0, 0)))


def _correlation(picture: Floats, kernel: Floats) -> Floats:
    """Returns (n, n), summed over the channels."""
    return np.asarray(cv2.matchTemplate(picture, kernel, cv2.TM_CCORR), np.float32)
