"""Scenes for training, put together without physics: quick, and near enough to what physics makes.

Things lie in their stable poses; footprints on a coarse grid keep them apart or let them touch.
Where something is to lie on the taught object it floats there, tilted: from above that looks like
leaning. Trials never use these scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from grasplearn.geometry import WORKSPACE_CENTER, pose_matrix, transform
from grasplearn.sim.arrange import NEIGHBOUR_REACH, TARGET_REACH, Twin
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.tiers import Tier
from grasplearn.types import Array, PlacedObject

CELL = 0.006
CELLS = 96
# Cells between things that stand apart, and around the taught one, where jaws must come down.
GAP, TARGET_GAP = 1, 4
TRIES = 25
MAX_LEAN = np.deg2rad(35)


@dataclass
class Spread:
    """One scene in the making: the taught object first."""

    others: Sequence[ObjectModel]
    rng: np.random.Generator
    placed: list[PlacedObject] = field(default_factory=list)
    taken: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((CELLS, CELLS), bool))

    def arrange(
        self, target: PlacedObject, model: ObjectModel, tier: Tier, twin: Twin | None
    ) -> tuple[PlacedObject, ...]:
        """Returns the scene's objects.

        Args:
            target: how the taught object lies, wherever; model: what it is.
            tier: how many neighbours, and how near; twin: how the look-alike differs, if any.
        """
        cells = self._put(target, model, self.rng.uniform(-TARGET_REACH, TARGET_REACH, 2))
        own = self._footprint(cells)
        if twin is not None:
            scale = target.scale * twin.scale
            height = target.position[2] * twin.scale
            other = replace(
                turned(target, self.rng.uniform(-np.pi, np.pi)),
                position=(0.0, 0.0, height),
                scale=scale,
                hue_shift=target.hue_shift + twin.hue_shift,
            )
            self._beside(other, model, own, TARGET_GAP)
        count = tier.neighbours - (twin is not None)
        lying = int(self.rng.integers(1, 3)) if tier.touching else 0
        for _ in range(count - lying):
            near = tier.touching and self.rng.random() < 0.7
            other, kind = self._drawn()
            if near:
                self._against(other, kind, own)
            else:
                self._beside(other, kind, own, GAP if tier.touching else TARGET_GAP)
        for _ in range(lying):
            self._over(cells)
        return tuple(self.placed)

    def _drawn(self) -> tuple[PlacedObject, ObjectModel]:
        model = self.others[int(self.rng.integers(len(self.others)))]
        weights = np.array([p.probability for p in model.stable_poses])
        pose = int(self.rng.choice(len(weights), p=weights / weights.sum()))
        return lying(model, pose, self.rng.uniform(-np.pi, np.pi)), model

    def _put(self, placed: PlacedObject, model: ObjectModel, offset: Array) -> Array:
        """Adds an object with its bounding box's middle at an offset (m) from the workspace's.

        Returns its points (n, 3) in the world.
        """
        points = _points(placed, model)
        middle = (points.min(0) + points.max(0))[:2] / 2
        shift = np.array([*(np.array(WORKSPACE_CENTER) + offset - middle), 0.0])
        position = np.array(placed.position) + shift
        self.placed.append(replace(placed, position=tuple(map(float, position))))
        points += shift
        self.taken |= self._footprint(points)
        return points

    def _footprint(self, points: Array) -> NDArray[np.bool_]:
        grid = np.zeros((CELLS, CELLS), bool)
        at = np.floor((points[:, :2] - WORKSPACE_CENTER) / CELL).astype(int) + CELLS // 2
        at = at[((at >= 0) & (at < CELLS)).all(axis=1)]
        grid[at[:, 1], at[:, 0]] = True
        return np.asarray(binary_dilation(grid), bool)

    def _beside(
        self, placed: PlacedObject, model: ObjectModel, own: NDArray[np.bool_], gap: int
    ) -> None:
        """Anywhere free; not at all, if nowhere is."""
        blocked = binary_dilation(self.taken, iterations=GAP) | binary_dilation(own, iterations=gap)
        for _ in range(TRIES):
            offset = self.rng.uniform(-NEIGHBOUR_REACH, NEIGHBOUR_REACH, 2)
            if self._fits(placed, model, offset, blocked):
                self._put(placed, model, offset)
                return

    def _against(self, placed: PlacedObject, model: ObjectModel, own: NDArray[np.bool_]) -> None:
        """Out from a spot of the taught object until it no longer overlaps anything."""
        rows, columns = np.nonzero(own)
        pick = int(self.rng.integers(len(rows)))
        spot = (np.array([columns[pick], rows[pick]]) - CELLS // 2) * CELL
        angle = self.rng.uniform(-np.pi, np.pi)
        away = np.array([np.cos(angle), np.sin(angle)])
        for reach in np.arange(0.01, 0.25, CELL):
            if self._fits(placed, model, spot + reach * away, self.taken):
                self._put(placed, model, spot + reach * away)
                return

    def _over(self, target_points: Array) -> None:
        """One end of a tilted thing over some spot of the taught object."""
        placed, model = self._drawn()
        lean = Rotation.from_rotvec(
            self.rng.uniform(0.1, MAX_LEAN) * np.array([*_direction(self.rng), 0.0])
        )
        quaternion = (lean * Rotation.from_quat(placed.quaternion)).as_quat()
        placed = replace(placed, quaternion=tuple(map(float, quaternion)))
        points = _points(placed, model)
        spot = target_points[int(self.rng.integers(len(target_points)))]
        half = np.ptp(points[:, :2], axis=0).max() / 2
        offset = (
            spot[:2] - WORKSPACE_CENTER + self.rng.uniform(0.4, 1.0) * half * _direction(self.rng)
        )
        z = placed.position[2] - points[:, 2].min() + 0.7 * spot[2]
        self._put(replace(placed, position=(0.0, 0.0, float(z))), model, offset)

    def _fits(
        self, placed: PlacedObject, model: ObjectModel, offset: Array, blocked: NDArray[np.bool_]
    ) -> bool:
        points = _points(placed, model)[:, :2]
        middle = (points.min(0) + points.max(0)) / 2
        at = np.floor((points - middle + offset) / CELL).astype(int) + CELLS // 2
        inside = ((at >= 0) & (at < CELLS)).all()
        return bool(inside and not blocked[at[:, 1], at[:, 0]].any())


def lying(model: ObjectModel, pose_index: int, yaw: float) -> PlacedObject:
    """An object in a stable pose, turned by ``yaw`` rad about the vertical."""
    pose = model.stable_poses[pose_index]
    placed = PlacedObject(model.object_id, (0.0, 0.0, pose.height), pose.quaternion)
    return turned(placed, yaw)


def turned(placed: PlacedObject, yaw: float) -> PlacedObject:
    """The same, turned about the vertical by ``yaw`` rad."""
    turn = Rotation.from_euler("z", yaw) * Rotation.from_quat(placed.quaternion)
    return replace(placed, quaternion=tuple(map(float, turn.as_quat())))


def _direction(rng: np.random.Generator) -> Array:
    angle = rng.uniform(-np.pi, np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _points(placed: PlacedObject, model: ObjectModel) -> Array:
    T = pose_matrix(placed.position, placed.quaternion)
    moved: Array = transform(T, model.surface.points * placed.scale)
    return moved
