"""What counts as a success; the written definition is docs/METRIC.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from grasplearn.geometry import PAD_HALF_BREADTH, invert, pose_matrix
from grasplearn.sim.demonstrator import equal_grasps
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.world import World
from grasplearn.types import Array, Grasp, GraspReport, Lesson, Outcome, SceneSpec, wrap_yaw

MAX_POSITION_ERROR = 0.02
MAX_YAW_ERROR = math.radians(30)


@dataclass(frozen=True)
class Verdict:
    """``success`` is ``lifted`` and ``on_part``; the errors are against the nearest correct grasp.

    Attributes:
        position_error: m, in the table's plane. yaw_error: rad, between jaw lines.
            Both None for a kin, which has no demonstrated grasp of its own, and without a grasp.
    """

    outcome: Outcome
    success: bool
    lifted: bool
    on_part: bool
    position_error: float | None
    yaw_error: float | None


def judge(
    lesson: Lesson, model: ObjectModel, scene: SceneSpec, grasp: Grasp | None, report: GraspReport
) -> Verdict:
    """Judges an executed grasp.

    Args:
        lesson: what was shown. model: the object to be lifted in ``scene``, its first.
        grasp: what was predicted, or None. report: what came of it.
    """
    outcome = report.outcome
    if outcome is Outcome.LIFTED and report.object_index != 0:
        outcome = Outcome.WRONG_OBJECT
    lifted = outcome is Outcome.LIFTED
    if grasp is None:
        return Verdict(outcome, False, False, False, None, None)
    target = scene.objects[0]
    T_object_grasp = invert(pose_matrix(target.position, target.quaternion)) @ grasp.T_world_grasp
    if model.object_id != lesson.object_id:
        on_part = near_part(model, T_object_grasp, lesson.part, grasp.width)
        return Verdict(outcome, lifted and on_part, lifted, on_part, None, None)
    position_error, yaw_error = grasp_error(
        model, lesson.T_object_grasp, T_object_grasp, target_up(scene)
    )
    on_part = bool(position_error < MAX_POSITION_ERROR and yaw_error < MAX_YAW_ERROR)
    return Verdict(outcome, lifted and on_part, lifted, on_part, position_error, yaw_error)


def target_up(scene: SceneSpec) -> Array:
    """(3,) the world's up in the taught object's frame."""
    target = scene.objects[0]
    return pose_matrix(target.position, target.quaternion)[2, :3]


def grasp_error(
    model: ObjectModel, T_object_shown: Array, T_object_grasp: Array, up_object: Array
) -> tuple[float, float]:
    """Distance (m) and angle (rad) to the nearest grasp that symmetry makes equal to the shown one.

    The distance is taken in the table's plane: a top-down grasp's height follows from the picture.
    Nearest is what is least in units of the two tolerances; jaws may be turned by half a turn. An
    equal grasp that would come from below the table counts as a quarter turn off.
    """
    shown = np.stack(equal_grasps(model, T_object_shown))
    offset = shown[:, :3, 3] - T_object_grasp[:3, 3]
    flat = offset - np.outer(offset @ up_object, up_object)
    distance = np.linalg.norm(flat, axis=1)
    cosine = np.abs(shown[:, :3, 0] @ T_object_grasp[:3, 0])
    from_above = -(shown[:, :3, 2] @ up_object) > np.cos(np.deg2rad(15))
    angle = np.where(from_above, np.arccos(np.clip(cosine, 0, 1)), math.pi / 2)
    cost = np.maximum(distance / MAX_POSITION_ERROR, angle / MAX_YAW_ERROR)
    best = int(np.argmin(cost))
    return float(distance[best]), float(angle[best])


def near_part(model: ObjectModel, T_object_grasp: Array, part: str, width: float) -> bool:
    """Whether the surface nearest to a grasp's centre is the part's, and near enough.

    Near enough is within the tolerance, or on both sides between jaws that are ``width`` (m) open:
    around a cup's rim the grasp's middle is in the air.
    """
    center = T_object_grasp[:3, 3]
    if model.part_at(center) != part:
        return False
    distance, _ = model.surface.tree.query(center)
    if distance < MAX_POSITION_ERROR:
        return True
    surface = model.surface
    own = surface.points[surface.part == model.parts.index(part)]
    along, aside, down = ((own - center) @ T_object_grasp[:3, :3]).T
    between = (np.abs(aside) < PAD_HALF_BREADTH) & (np.abs(down) < MAX_POSITION_ERROR)
    reached = along[between & (np.abs(along) < width / 2)]
    return bool((reached > 0).any() and (reached < 0).any())


def correct_grasp(
    lesson: Lesson, scene: SceneSpec, world: World, predicted: Grasp | None
) -> Grasp | None:
    """The demonstrated grasp in this scene: of all that symmetry makes equal, the nearest one.

    None where another object lies in the taught one's place.
    """
    target = scene.objects[0]
    if target.object_id != lesson.object_id:
        return None
    T_world_object = pose_matrix(target.position, target.quaternion)
    poses = [
        T_world_object @ T
        for T in equal_grasps(world.catalogue.get(target.object_id), lesson.T_object_grasp)
    ]
    width = lesson.demonstration.grasp.width
    grasps = [Grasp(T[:3, 3], math.atan2(T[1, 0], T[0, 0]), width) for T in poses if T[2, 2] < -0.9]
    if predicted is None:
        return next(iter(grasps), None)

    def error(grasp: Grasp) -> float:
        offset = float(np.linalg.norm(grasp.center_world[:2] - predicted.center_world[:2]))
        turn = abs(wrap_yaw(grasp.yaw - predicted.yaw))
        return max(offset / MAX_POSITION_ERROR, turn / MAX_YAW_ERROR)

    return min(grasps, key=error, default=None)
