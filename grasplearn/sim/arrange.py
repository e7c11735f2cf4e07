"""Puts objects on the table by physics: beside each other, against each other, onto each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.geometry import WORKSPACE_CENTER, transform
from grasplearn.sim.camera import overhead_camera
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.world import World
from grasplearn.tiers import Tier
from grasplearn.types import Array, Camera, Grasp, Light, PlacedObject

# The taught object's middle stays within this of the workspace's, m; its neighbours within that.
TARGET_REACH = 0.11
NEIGHBOUR_REACH = 0.19
MARGIN = 0.03
# Room beside the taught object for a finger (18 mm) and the jaws' extra opening (12 mm).
TARGET_GAP = 0.035
NEIGHBOUR_GAP = 0.008
TOUCH_GAP = 0.006
DROP_HEIGHT = 0.002
DROP_STEPS = 120
SETTLE_STEPS = 120
MAX_SETTLE_STEPS = 960
RESTING_SPEED = 0.004
MAX_TOPPLE = np.deg2rad(10)
HAND_CLEARANCE = 0.0015
PLACEMENT_TRIES = 40
SLIDE_TRIES = 10
COVER_TRIES = 8
_LOOK = overhead_camera(side=96)


@dataclass(frozen=True)
class Twin:
    """How a look-alike differs from the object it resembles."""

    scale: float = 1.0
    hue_shift: float = 0.0


@dataclass(frozen=True)
class Wish:
    """What a scene is to hold.

    Attributes:
        target: the object to be lifted. pose_index: how it lies.
        others: what its neighbours are drawn from.
        twin: how the look-alike differs, in tiers that have one.
        grasps_object: (n, 4, 4) grasps in the target's frame; the hand must have room to come down
            on one of them at least. Empty: no such condition.
        grasp_width: m, opening of these grasps.
        sensor: model the depth sensor's and the camera's noise.
    """

    target: ObjectModel
    pose_index: int
    others: Sequence[ObjectModel]
    twin: Twin | None = None
    grasps_object: Sequence[Array] = ()
    grasp_width: float = 0.08
    sensor: bool = True


def free_grasps(world: World, wish: Wish) -> list[Grasp]:
    """Those of the wish's grasps that point down and that the hand has room for now."""
    T_world_object = world.T_world_object(0)
    grasps = [flattened(T_world_object @ T, wish.grasp_width) for T in wish.grasps_object]
    return [g for g in grasps if g is not None and world.clearance(g) > HAND_CLEARANCE]


def arrange(
    world: World, wish: Wish, tier: Tier, rng: np.random.Generator
) -> tuple[PlacedObject, ...] | None:
    """Arranges target and neighbours as the tier wants, settled; None if this draw did not work."""
    return _Arrangement(world, wish, tier, rng).run()


def hidden_from(world: World, objects: Sequence[PlacedObject], camera: Camera) -> float:
    """Fraction of the first object's pixels that the others hide from the camera, in [0, 1]."""
    counts = []
    for shown in (objects[:1], objects):
        world.eye.show_objects(shown)
        labels = world.eye.render(camera, Light(shadow=False), labels=True)[2]
        counts.append(int((labels == 0).sum()))
    return 1.0 - counts[1] / counts[0] if counts[0] else 1.0


@dataclass
class _Arrangement:
    world: World
    wish: Wish
    tier: Tier
    rng: np.random.Generator
    placed: list[PlacedObject] = field(default_factory=list)
    kept: Grasp | None = None

    def run(self) -> tuple[PlacedObject, ...] | None:
        self.world.build([])
        self._put(self._lying(self.wish.target, self.wish.pose_index), TARGET_REACH)
        if self.wish.grasps_object:
            free = free_grasps(self.world, self.wish)
            if not free:
                return None
            # Neighbours keep clear of one of the correct grasps; which one is drawn.
            self.kept = free[int(self.rng.integers(len(free)))]
        arranged = self._clutter() if self.tier.touching else self._spread()
        if not (arranged and self._settle() and self._as_wished()):
            return None
        return self._standing()

    def _spread(self) -> bool:
        """Neighbours apart from each other; the look-alike, if there is one, comes first."""
        count = self.tier.neighbours
        if self.tier.look_alike and self.wish.twin is not None:
            twin = self._lying(self.wish.target, self.wish.pose_index)
            twin = replace(twin, scale=self.wish.twin.scale, hue_shift=self.wish.twin.hue_shift)
            if not self._place_apart(twin):
                return False
            count -= 1
        placed = sum(self._place_apart(self._other()) for _ in range(count))
        return 2 * placed >= count

    def _clutter(self) -> bool:
        """Some slid up to the target, others leant on it until a drawn share is hidden.

        Best effort: from above, little can hide a small upright thing and leave room for the hand.
        """
        slid = sum(self._slide_up(self._other()) for _ in range(self.tier.neighbours - 2))
        if not slid or not self._settle():
            return False
        most = self.tier.hidden[1]
        goal = self.rng.uniform(0.4, 1.0) * most
        for _ in range(COVER_TRIES):
            hidden = hidden_from(self.world, self._standing(), _LOOK)
            if hidden >= goal or len(self.placed) > self.tier.neighbours + 1:
                break
            self._lean_on(most)
        return True

    # -- one object ------------------------------------------------------------------------

    def _other(self) -> PlacedObject:
        """A neighbour in any of its stable poses."""
        model = self.wish.others[int(self.rng.integers(len(self.wish.others)))]
        weights = np.array([p.probability for p in model.stable_poses])
        return self._lying(model, int(self.rng.choice(len(weights), p=weights / weights.sum())))

    def _lying(self, model: ObjectModel, pose_index: int) -> PlacedObject:
        pose = model.stable_poses[pose_index]
        turn = Rotation.from_euler("z", self.rng.uniform(-np.pi, np.pi))
        quaternion = (turn * Rotation.from_quat(pose.quaternion)).as_quat()
        return PlacedObject(model.object_id, (0.0, 0.0, pose.height), tuple(map(float, quaternion)))

    def _put(self, placed: PlacedObject, reach: float) -> int:
        """Adds an object with the middle of its bounding box within ``reach``, just above rest."""
        index = self.world.add(placed)
        self.placed.append(placed)
        offset = self.rng.uniform(-reach, reach, 2)
        self._center(index, np.array(WORKSPACE_CENTER) + offset, placed.position[2] * placed.scale)
        return index

    def _center(self, index: int, xy: Array, z: float) -> None:
        low, high = self.world.bounds(index)
        position, quaternion = self.world.poses()[index]
        at = np.array(position[:2]) + xy - (low + high)[:2] / 2
        self.world.place(index, ((float(at[0]), float(at[1]), z + DROP_HEIGHT), quaternion))

    def _take_back(self) -> bool:
        self.world.remove_last()
        self.placed.pop()
        return False

    def _place_apart(self, placed: PlacedObject) -> bool:
        index = self._put(placed, 0.0)
        z = self.world.poses()[index][0][2] - DROP_HEIGHT
        for _ in range(PLACEMENT_TRIES):
            xy = self.rng.uniform(-NEIGHBOUR_REACH, NEIGHBOUR_REACH, 2)
            self._center(index, np.array(WORKSPACE_CENTER) + xy, z)
            clear = self._within(index) and all(
                self.world.distance(index, i, 0.1) > (TARGET_GAP if i == 0 else NEIGHBOUR_GAP)
                for i in range(index)
            )
            if clear and self._has_room():
                return True
        return self._take_back()

    def _slide_up(self, placed: PlacedObject) -> bool:
        """Moves away from inside the target until nothing overlaps: then it touches."""
        index = self._put(placed, 0.0)
        z = self.world.poses()[index][0][2] - DROP_HEIGHT
        low, high = self.world.bounds(0)
        for _ in range(SLIDE_TRIES):
            aim = self.rng.uniform(low, high)[:2]
            angle = self.rng.uniform(-np.pi, np.pi)
            away = np.array([np.cos(angle), np.sin(angle)])
            for reach in np.arange(0.0, 0.3, TOUCH_GAP):
                self._center(index, aim + reach * away, z)
                if all(self.world.distance(index, i, 0.02) > 0 for i in range(index)):
                    break
            touches = 0 < self.world.distance(index, 0, 0.02) < 1.5 * TOUCH_GAP
            if touches and self._within(index) and self._has_room():
                return True
        return self._take_back()

    def _lean_on(self, most: float) -> bool:
        """Lets a neighbour fall with one end over the target, the other beside it.

        All is put back if that spoils the scene.
        """
        before = self.world.poses()
        model = self.wish.target
        spots = transform(self.world.T_world_object(0), model.surface.points)[:, :2]
        top = max(self.world.bounds(i)[1][2] for i in range(len(before)))
        index = self._put(self._other(), 0.0)
        for _ in range(PLACEMENT_TRIES):
            spot = spots[int(self.rng.integers(len(spots)))]
            self._lay_over(index, spot, top)
            if self._within(index) and self._has_room():
                self.world.step(DROP_STEPS)
                good = self._settle() and self._as_wished() and self._has_room()
                if good and hidden_from(self.world, self._standing(), _LOOK) <= most:
                    return True
                break
        self._take_back()
        for i, pose in enumerate(before):
            self.world.place(i, pose)
        return False

    def _lay_over(self, index: int, spot: Array, top: float) -> None:
        """Turns an object's long side towards the spot and holds its end over it, ``top`` m up."""
        placed = self.placed[index]
        points = self.world.catalogue.get(placed.object_id).surface.points
        flat = Rotation.from_quat(placed.quaternion).apply(points)[:, :2]
        _, _, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
        half = np.ptp(flat @ axes[0]) / 2
        heading = self.rng.uniform(-np.pi, np.pi)
        turn = Rotation.from_euler("z", heading - np.arctan2(axes[0][1], axes[0][0]))
        quaternion = (turn * Rotation.from_quat(placed.quaternion)).as_quat()
        self.world.place(index, (placed.position, tuple(map(float, quaternion))))
        away = np.array([np.cos(heading), np.sin(heading)])
        middle = spot + self.rng.uniform(0.1, 0.8) * half * away
        self._center(index, middle, placed.position[2] * placed.scale + top)

    # -- conditions ------------------------------------------------------------------------

    def _within(self, index: int) -> bool:
        low, high = self.world.bounds(index)
        middle, reach = np.array(WORKSPACE_CENTER), NEIGHBOUR_REACH + MARGIN
        return bool((low[:2] > middle - reach).all() and (high[:2] < middle + reach).all())

    def _has_room(self) -> bool:
        return self.kept is None or self.world.clearance(self.kept) > HAND_CLEARANCE

    def _settle(self) -> bool:
        """Steps until everything rests; False if it never does."""
        self.world.step(SETTLE_STEPS)
        for _ in range((MAX_SETTLE_STEPS - SETTLE_STEPS) // 60):
            if all(self.world.speed(i) < RESTING_SPEED for i in range(len(self.placed))):
                return True
            self.world.step(60)
        return False

    def _as_wished(self) -> bool:
        """All inside; the target in its pose; the hand has room for one of the grasps."""
        if not all(self._within(i) for i in range(len(self.placed))):
            return False
        pose = self.wish.target.stable_poses[self.wish.pose_index]
        up_object = Rotation.from_quat(pose.quaternion).inv().apply([0, 0, 1])
        tilt = np.arccos(np.clip(self.world.T_world_object(0)[2, :3] @ up_object, -1, 1))
        if tilt > MAX_TOPPLE:
            return False
        free = free_grasps(self.world, self.wish)
        return not self.wish.grasps_object or any(self.world.reachable(g) for g in free)

    def _standing(self) -> tuple[PlacedObject, ...]:
        return tuple(
            replace(p, position=pose[0], quaternion=pose[1])
            for p, pose in zip(self.placed, self.world.poses(), strict=True)
        )


def flattened(T_world_grasp: Array, width: float) -> Grasp | None:
    """A grasp pose as a top-down Grasp; None if it approaches from elsewhere (> 15 deg off)."""
    if T_world_grasp[2, 2] > -np.cos(np.deg2rad(15)):
        return None
    yaw = float(np.arctan2(T_world_grasp[1, 0], T_world_grasp[0, 0]))
    return Grasp(T_world_grasp[:3, 3], yaw, width)
