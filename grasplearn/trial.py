"""The main path on one screen: a scene, a picture, a grasp, what became of it."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass

import numpy as np

from grasplearn.errors import NoGraspError, SceneError
from grasplearn.policies import make_policy
from grasplearn.policies.base import Grasper
from grasplearn.policies.learned import SHIPPED
from grasplearn.sim.arrange import Twin, Wish
from grasplearn.sim.demonstrator import equal_grasps, kin_grasps, kin_pose, replay
from grasplearn.sim.judge import judge
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.scenes import sample_scene
from grasplearn.sim.world import Watcher, World, ignore
from grasplearn.tiers import TIERS
from grasplearn.types import (
    Array,
    Grasp,
    GraspReport,
    Lesson,
    Observation,
    Outcome,
    SceneSpec,
    TrialResult,
    TrialSpec,
)

SCRIPTED = "scripted"


@dataclass(frozen=True)
class Scripted:
    """The demonstrator itself as a policy: the only one that looks into the simulator."""

    world: World
    lesson: Lesson
    seed: int

    def __call__(self, observation: Observation) -> Grasp:
        scene = self.world.scene
        assert scene is not None
        grasp = replay(self.world, self.lesson, scene, np.random.default_rng(self.seed))
        if grasp is None:
            raise NoGraspError("the demonstrator itself found no free grasp in this scene")
        return grasp


def teach(
    method: str,
    world: World,
    lesson: Lesson,
    seed: int,
    weights: str = SHIPPED,
    remember: bool = False,
) -> Grasper:
    """Makes a method's grasper from a lesson; all but ``scripted`` see the demonstration alone.

    Args:
        weights: name or file of the pre-trained weights that learned methods start from.
        remember: whether those keep on disk what they were taught.
    """
    if method == SCRIPTED:
        return Scripted(world, lesson, seed)
    policy = make_policy(method, weights, remember)
    return policy.teach(lesson.demonstration, np.random.default_rng(seed))


def trial_seed(run_seed: int, tier: str, object_id: str, demonstration: int, trial: int) -> int:
    """One seed per scene, the same for every method: comparisons are paired."""
    key = f"{run_seed}/{tier}/{object_id}/{demonstration}/{trial}".encode()
    return zlib.crc32(key)


def trial_scene(
    world: World, lesson: Lesson, tier: str, others: list[ObjectModel], seed: int
) -> SceneSpec:
    """Draws the scene of one trial of a lesson. In ``kin`` the target is another member.

    Raises:
        SceneError: see ``sample_scene``; or the object has no kin.
    """
    rng = np.random.default_rng(seed)
    model = world.catalogue.get(lesson.object_id)
    pose, shown_grasp = lesson.pose_index, lesson.T_object_grasp
    width = lesson.demonstration.grasp.width
    twin = None
    if TIERS[tier].other_member:
        model, (shown_grasp, width) = _graspable_kin(world, lesson, rng)
        shown = world.catalogue.get(lesson.object_id)
        pose = kin_pose(shown, lesson.pose_index, model)
    if TIERS[tier].look_alike:
        look_alike = lesson.scene.objects[1]
        twin = Twin(look_alike.scale, look_alike.hue_shift)
    wish = Wish(model, pose, others, twin, equal_grasps(model, shown_grasp), width)
    return sample_scene(world, wish, tier, rng)


def _graspable_kin(
    world: World, lesson: Lesson, rng: np.random.Generator
) -> tuple[ObjectModel, tuple[Array, float]]:
    """Another member of the category whose same part can be grasped at all, and that grasp."""
    shown = world.catalogue.get(lesson.object_id)
    kin = world.catalogue.kin_of(lesson.object_id)
    for index in rng.permutation(len(kin)):
        other = kin[int(index)]
        for known in kin_grasps(world, shown, lesson.pose_index, lesson.part, other):
            return other, known
    raise SceneError(
        f"no kin of {lesson.object_id} in its split can be grasped by its {lesson.part}"
    )


def run_trial(
    world: World,
    lesson: Lesson,
    scene: SceneSpec,
    grasper: Grasper,
    spec: TrialSpec,
    teach_time: float = 0.0,
    watch: Watcher = ignore,
) -> TrialResult:
    """Observes, predicts, executes and judges; a failure of any kind is an outcome, not a gap."""
    world.reset(scene)
    observation = world.observe()

    start = time.perf_counter()
    grasp: Grasp | None = None
    message = ""
    try:
        grasp = grasper(observation)
    except NoGraspError as error:
        message = str(error)
    predicted = time.perf_counter()

    report = world.execute(grasp, watch) if grasp else GraspReport(Outcome.NO_GRASP)
    model = world.catalogue.get(scene.objects[0].object_id)
    verdict = judge(lesson, model, scene, grasp, report)
    return TrialResult(
        method=spec.method,
        tier=spec.tier,
        object=lesson.object_id,
        category=world.catalogue.get(lesson.object_id).category,
        demonstration=spec.demonstration,
        trial=spec.trial,
        scene_seed=spec.seed,
        outcome=verdict.outcome,
        success=verdict.success,
        lifted=verdict.lifted,
        on_part=verdict.on_part,
        position_error_m=verdict.position_error,
        yaw_error_rad=verdict.yaw_error,
        grasp=grasp.to_dict() if grasp else None,
        teach_time_s=teach_time,
        predict_time_s=predicted - start,
        execute_time_s=time.perf_counter() - predicted,
        target=model.object_id,
        hidden=scene.hidden,
        message=message,
        extra=dict(getattr(grasper, "facts", {})),
    )
