"""Antipodal grasps from above on a part of a lone object, and which of them physics confirms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.geometry import WORKSPACE_CENTER, grasp_height, heightmap, invert, transform
from grasplearn.sim.arrange import HAND_CLEARANCE, flattened
from grasplearn.sim.camera import overhead_camera, table_textures
from grasplearn.sim.hand import approach_width
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.world import World
from grasplearn.types import MAX_WIDTH, Array, Grasp, Light, Outcome, PlacedObject, SceneSpec

# Opposite faces count when their normals are within this of the closing direction.
MAX_FACE_ANGLE = np.deg2rad(30)
MAX_CONTACT_WIDTH = MAX_WIDTH - 0.008
# The start of a grasp lies this near to the height of the pads' middle, m.
MAX_HEIGHT_ERROR = 0.015
SAMPLES = 400
CANDIDATES = 40
# So that a scene in which the object settled a little differently still leaves room.
SPARE_CLEARANCE = 0.001
# A candidate must lift the lone object with each of these errors (m, m, rad), the object itself
# turned by the last figure (rad).
PERTURBATIONS = (
    (0.0, 0.0, 0.0, 0.0),
    (0.004, 0.003, 0.10, 0.0),
    (-0.004, -0.003, -0.10, 0.8),
    (0.003, -0.004, 0.05, -1.3),
    (-0.003, 0.004, -0.05, 2.5),
)
TRIED = 8


@dataclass(frozen=True)
class Found:
    part: str
    grasp: Grasp  # with the object at its canonical place
    T_object_grasp: Array


def find_grasps(
    world: World,
    model: ObjectModel,
    pose_index: int,
    part: str,
    rng: np.random.Generator,
    clear: float = 0.0,
    undisturbed: bool = False,
) -> Iterator[Found]:
    """Antipodal grasps from above on a part of the lone object, drawn at random.

    The height follows from a noise-free picture by the rule that policies use too.

    Args:
        clear: how much nearer (m) than any other part this one must be.
        undisturbed: the caller leaves the world alone between two of them, which is much quicker;
            otherwise it may do with the world what it likes.
    """
    world.reset(_alone(model, pose_index))
    view = heightmap(world.observe())
    T_world_object = world.T_world_object(0)
    surface = model.surface
    points = transform(T_world_object, surface.points)
    normals = surface.normals @ T_world_object[:3, :3].T
    on_part = surface.part == model.parts.index(part)
    sides = np.flatnonzero(on_part & (np.abs(normals[:, 2]) < np.sin(np.deg2rad(40))))
    if not len(sides):
        return
    given = 0
    for start in rng.choice(sides, size=min(SAMPLES, 4 * len(sides))):
        inward = -normals[start, :2] / np.linalg.norm(normals[start, :2])
        for width in _contact_widths(points, normals, points[start], inward):
            middle = points[start, :2] + inward * width / 2
            yaw = float(np.arctan2(inward[1], inward[0]))
            z = grasp_height(view, middle, yaw, width + 0.006)
            center = np.array([*middle, z])
            if abs(points[start, 2] - z) > MAX_HEIGHT_ERROR:
                continue
            if not model.lead(transform(invert(T_world_object), center), part) > clear:
                continue
            grasp = Grasp(center, yaw, approach_width(width))
            if world.clearance(grasp) < HAND_CLEARANCE + SPARE_CLEARANCE:
                continue
            yield Found(part, grasp, invert(T_world_object) @ grasp.T_world_grasp)
            if not undisturbed:
                world.reset(_alone(model, pose_index))
            given += 1
            if given >= CANDIDATES:
                return


def sturdy_grasps(
    world: World,
    model: ObjectModel,
    pose_index: int,
    part: str,
    rng: np.random.Generator,
    clear: float = 0.0,
) -> Iterator[Found]:
    """Those of a few grasps on a part that lift the lone object, errors and all."""
    found = islice(find_grasps(world, model, pose_index, part, rng, clear), TRIED)
    return (f for f in found if _sturdy(world, model, pose_index, f))


def _contact_widths(points: Array, normals: Array, start: Array, inward: Array) -> list[float]:
    """Distances (m) from a side face along ``inward`` to faces that look the other way.

    The nearest and the farthest that the hand can span: a wall, and the whole of a hollow thing.
    """
    offset = points[:, :2] - start[:2]
    along = offset @ inward
    across = offset @ np.array([-inward[1], inward[0]])
    opposite = normals[:, :2] @ inward > np.cos(MAX_FACE_ANGLE)
    near = (np.abs(across) < 0.008) & (np.abs(points[:, 2] - start[2]) < 0.012)
    reached = along[near & opposite & (along > 0.002)]
    if not len(reached):
        return []
    nearest, farthest = float(reached.min()), float(reached.max())
    widths = [nearest] if farthest - nearest < 0.004 else [nearest, farthest]
    return [w for w in widths if w <= MAX_CONTACT_WIDTH]


def _sturdy(world: World, model: ObjectModel, pose_index: int, found: Found) -> bool:
    for dx, dy, turn, object_turn in PERTURBATIONS:
        world.reset(_alone(model, pose_index, object_turn))
        grasp = flattened(world.T_world_object(0) @ found.T_object_grasp, found.grasp.width)
        if grasp is None:
            return False
        center = grasp.center_world + np.array([dx, dy, 0.0])
        off = Grasp(center, grasp.yaw + turn, grasp.width)
        if world.execute(off).outcome is not Outcome.LIFTED:
            return False
    return True


def _alone(model: ObjectModel, pose_index: int, turn: float = 0.0) -> SceneSpec:
    pose = model.stable_poses[pose_index]
    turned = Rotation.from_euler("z", turn) * Rotation.from_quat(pose.quaternion)
    return SceneSpec(
        objects=(
            PlacedObject(
                model.object_id, (*WORKSPACE_CENTER, pose.height), tuple(turned.as_quat())
            ),
        ),
        camera=overhead_camera(),
        light=Light(shadow=False),
        table_texture=next(iter(table_textures())),
        table_tint=(1.0, 1.0, 1.0),
        sensor_seed=None,
    )
