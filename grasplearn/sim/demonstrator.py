"""The scripted demonstrator: it may look into the simulator, finds a grasp on a named part, and
believes only what physics confirms. It gives the demonstrations and is every table's ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.errors import DemonstrationError, SceneError, UnknownNameError
from grasplearn.geometry import invert
from grasplearn.sim.arrange import Twin, Wish, free_grasps
from grasplearn.sim.grasp_search import Found, find_grasps, sturdy_grasps
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.scenes import draw_twin, sample_scene
from grasplearn.sim.world import World
from grasplearn.types import (
    Array,
    Demonstration,
    Grasp,
    Lesson,
    Outcome,
    SceneSpec,
)

# A demonstration shows a part best where that part is so much nearer than any other, m: a grasp on
# the border of two parts does not tell which of them is meant. Several cells of a heightmap.
CLEAR = 0.005
SCENE_TRIES = 4


def demonstrate(
    world: World,
    model: ObjectModel,
    others: Sequence[ObjectModel],
    rng: np.random.Generator,
    *,
    part: str | None = None,
    pose_index: int | None = None,
    kin: Sequence[ObjectModel] = (),
    look_alike: bool = False,
    sensor: bool = True,
) -> Lesson:
    """Shows once how to grasp an object, in a scene of tier ``same`` or ``alike``.

    Where it can be had, the grasp is clear of every other part (``CLEAR``).

    Args:
        world: used for trying; left without a scene.
        model: the object. others: what its neighbours are drawn from.
        part: at which named part; any graspable one by default.
        pose_index: in which stable pose; drawn by probability by default.
        kin: if there are any, the same part must be graspable on one of them too; where no part
            is, that wish is dropped.
        look_alike: a twin stands in the scene too.

    Raises:
        DemonstrationError: no grasp there survived the physical test.
        UnknownNameError: the object has no such part.
    """
    if part is not None and part not in model.parts:
        raise UnknownNameError(f"part of {model.object_id}", part, model.parts)
    wanted = [part] if part is not None else [str(p) for p in rng.permutation(model.graspable)]
    poses = _pose_order(model, rng) if pose_index is None else [pose_index]
    ways = list(product(poses, wanted))
    twin = draw_twin(model, is_colorful(model), rng) if look_alike else None
    tier = "alike" if look_alike else "same"
    for with_kin in (True, False) if kin else (False,):
        for clear, (pose, name) in product((CLEAR, 0.0), ways):
            if with_kin and not any(kin_grasps(world, model, pose, name, k) for k in kin):
                continue
            for found in sturdy_grasps(world, model, pose, name, rng, clear):
                lesson = _show(world, model, pose, found, others, tier, twin, sensor, rng)
                if lesson is not None:
                    return lesson
    raise DemonstrationError(
        f"no grasp on {model.object_id} ({', '.join(wanted)}) could be lifted, held and "
        f"shaken; its graspable parts are: {', '.join(model.graspable)}"
    )


def _show(
    world: World,
    model: ObjectModel,
    pose_index: int,
    found: Found,
    others: Sequence[ObjectModel],
    tier: str,
    twin: Twin | None,
    sensor: bool,
    rng: np.random.Generator,
) -> Lesson | None:
    wish = Wish(model, pose_index, others, twin, (found.T_object_grasp,), found.grasp.width, sensor)
    for _ in range(SCENE_TRIES):
        try:
            scene = sample_scene(world, wish, tier, rng)
        except SceneError:
            return None
        world.reset(scene)
        T_world_object = world.T_world_object(0)
        free = free_grasps(world, wish)
        if not free:
            continue
        observation = world.observe()
        report = world.execute(free[0])
        if report.outcome is Outcome.LIFTED and report.object_index == 0:
            return Lesson(
                demonstration=Demonstration(observation, free[0]),
                object_id=model.object_id,
                part=found.part,
                scene=scene,
                T_object_grasp=invert(T_world_object) @ free[0].T_world_grasp,
                pose_index=pose_index,
            )
    return None


def replay(
    world: World, lesson: Lesson, scene: SceneSpec, rng: np.random.Generator
) -> Grasp | None:
    """The ceiling: the grasp a demonstrator who sees the simulator's state would choose.

    On the demonstrated object: the demonstrated grasp or one equal to it by symmetry, whichever the
    hand has most room for. On a kin: a grasp on the same part, tried out in the very scene first.
    The world is left reset to ``scene``.
    """
    model = world.catalogue.get(scene.objects[0].object_id)
    width = lesson.demonstration.grasp.width
    world.reset(scene)
    if model.object_id == lesson.object_id:
        poses = equal_grasps(model, lesson.T_object_grasp)
        wish = Wish(model, lesson.pose_index, (), None, poses, width)
        free = free_grasps(world, wish)
        room = [world.clearance(g) for g in free]
        ranked = sorted(zip(room, free, strict=True), key=lambda pair: -pair[0])
        best = next((grasp for _, grasp in ranked if world.reachable(grasp)), None)
        world.reset(scene)
        return best
    shown = world.catalogue.get(lesson.object_id)
    pose_index = kin_pose(shown, lesson.pose_index, model)
    known = kin_grasps(world, shown, lesson.pose_index, lesson.part, model)
    for T_object_grasp, width in (*known, *_fresh(world, model, pose_index, lesson.part, rng)):
        world.reset(scene)
        places = equal_grasps(model, T_object_grasp)
        wish = Wish(model, pose_index, (), None, places, width)
        for grasp in free_grasps(world, wish)[:2]:
            report = world.execute(grasp)
            world.reset(scene)
            if report.outcome is Outcome.LIFTED and report.object_index == 0:
                return grasp
    world.reset(scene)
    return None


def kin_grasps(
    world: World, shown: ObjectModel, shown_pose: int, part: str, kin: ObjectModel
) -> list[tuple[Array, float]]:
    """A grasp (pose in the kin's frame, width in m) on its same part that physics confirms.

    Empty if none was found. Depends on nothing but the part and the pose; found once per world.
    """
    pose_index = kin_pose(shown, shown_pose, kin)
    if part not in kin.parts:
        return []
    key = (kin.object_id, part, pose_index)
    if key not in world.memo:
        rng = np.random.default_rng(0)
        found = islice(sturdy_grasps(world, kin, pose_index, part, rng), 1)
        world.memo[key] = [(f.T_object_grasp, f.grasp.width) for f in found]
    return list(world.memo[key])


def _fresh(
    world: World, model: ObjectModel, pose_index: int, part: str, rng: np.random.Generator
) -> Iterator[tuple[Array, float]]:
    for found in islice(find_grasps(world, model, pose_index, part, rng), 8):
        yield found.T_object_grasp, found.grasp.width


def equal_grasps(model: ObjectModel, T_object_grasp: Array) -> list[Array]:
    """The grasp in every place that the object's symmetry makes equal to it."""
    turns = model.symmetry_rotations
    out = np.tile(T_object_grasp, (len(turns), 1, 1))
    out[:, :3, :] = turns @ T_object_grasp[:3, :]
    return list(out)


def kin_pose(shown: ObjectModel, shown_pose: int, kin: ObjectModel) -> int:
    """Which of the kin's stable poses has the same side up as the shown object's."""
    up = _up_object(shown, shown_pose)
    return int(np.argmax([_up_object(kin, i) @ up for i in range(len(kin.stable_poses))]))


def _up_object(model: ObjectModel, pose_index: int) -> Array:
    quaternion = model.stable_poses[pose_index].quaternion
    return np.asarray(Rotation.from_quat(quaternion).inv().apply([0, 0, 1]))


def is_colorful(model: ObjectModel) -> bool:
    """Whether a turn of hues would show: the texture's mean chroma is above 40 of 255."""
    picture = model.texture().astype(int)
    return bool((picture.max(axis=2) - picture.min(axis=2)).mean() > 40)


def _pose_order(model: ObjectModel, rng: np.random.Generator) -> list[int]:
    weights = np.array([p.probability for p in model.stable_poses])
    order = rng.choice(len(weights), len(weights), replace=False, p=weights / weights.sum())
    return [int(i) for i in order]
