"""What a worker of an evaluation does: shows a lesson, teaches it, holds a scene's trials.

Every job carries all it needs but the objects and the weights, which a worker reads once.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np

from grasplearn.errors import DemonstrationError, FileFormatError, SceneError
from grasplearn.plan import EvaluationSettings, LessonName, Task, load_catalogue
from grasplearn.policies import Grasper
from grasplearn.policies.learned import LearnedGrasper, one_thread, weights_digest
from grasplearn.results import Row, to_row
from grasplearn.sim.demonstrator import demonstrate
from grasplearn.sim.world import World
from grasplearn.trial import run_trial, teach, trial_scene, trial_seed
from grasplearn.types import Grasp, Lesson, Observation, Outcome, TrialResult, TrialSpec

# A method's grasper, and how long teaching it took, s.
Taught = tuple[Grasper, float]


@dataclass(frozen=True)
class Job:
    """Work on one lesson.

    Attributes:
        settings: of the whole evaluation; digest: of its weights.
        name, lesson: the lesson, or in its stead why there is none.
        task: the trials to hold; None where only ``method`` is to be taught.
    """

    settings: EvaluationSettings
    digest: str
    name: LessonName
    lesson: Lesson | str
    task: Task | None = None
    method: str = ""

    def split(self) -> Iterator[Job]:
        """A job for every single trial."""
        if self.task is None:
            yield self
            return
        for method in self.task.methods:
            yield replace(self, task=replace(self.task, methods=(method,)))


@cache
def world_of(objects: str | None) -> World:
    """One simulator per process."""
    return World(load_catalogue(objects)[0])


def make_lesson(
    world: World,
    object_id: str,
    seed: int,
    demonstration: int = 0,
    look_alike: bool = False,
    part: str | None = None,
) -> Lesson:
    """An object's n-th demonstration in a run of this seed.

    Raises:
        DemonstrationError, UnknownNameError: see ``demonstrate``.
    """
    model = world.catalogue.get(object_id)
    key = f"{seed}/lesson/{object_id}/{demonstration}/{look_alike}"
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    return demonstrate(
        world,
        model,
        world.catalogue.neighbours_of(model.object_id),
        rng,
        part=part,
        kin=world.catalogue.kin_of(object_id),
        look_alike=look_alike,
    )


def show(settings: EvaluationSettings, name: LessonName) -> Lesson | str:
    """Makes a lesson; where the object cannot be demonstrated, the reason."""
    world = world_of(settings.objects)
    try:
        return make_lesson(
            world, name.object_id, settings.seed, name.demonstration, name.look_alike
        )
    except DemonstrationError as error:
        return str(error)


def teach_lesson(job: Job) -> dict[str, Any] | None:
    """Teaches a learned method, which stays on disk; returns how it went, as JSON values."""
    lesson = job.lesson
    assert isinstance(lesson, Lesson)
    with one_thread([job.method]):
        grasper, _ = _taught(job, lesson, job.method)
    if not isinstance(grasper, LearnedGrasper):
        return None  # it broke; its trials will tell
    report = grasper.taught.report
    return {
        "method": job.method,
        "object": job.name.object_id,
        "demonstration": job.name.demonstration,
        "look_alike": job.name.look_alike,
        "losses": [] if report is None else [_plain(loss) for loss in report.losses],
        "seconds": grasper.taught.seconds,
        **grasper.facts,
    }


def hold(job: Job) -> list[Row]:
    """Holds a scene's trials; every one of them has its row, whatever happens."""
    settings, task, lesson = job.settings, job.task, job.lesson
    assert task is not None
    world = world_of(settings.objects)
    model = world.catalogue.get(job.name.object_id)
    specs = specs_of(settings, task)
    if isinstance(lesson, str):
        return failed(specs, model.category, lesson)
    with one_thread(task.methods):
        others = world.catalogue.neighbours_of(model.object_id)
        try:
            scene = trial_scene(world, lesson, task.tier, others, specs[0].seed)
        except SceneError as error:
            return failed(specs, model.category, str(error))
        rows = []
        for spec in specs:
            grasper, seconds = _taught(job, lesson, spec.method)
            try:
                rows.append(to_row(run_trial(world, lesson, scene, grasper, spec, seconds)))
            except Exception as error:  # a policy that breaks fails its trial, not the evaluation
                rows += failed([spec], model.category, f"{type(error).__name__}: {error}")
        return rows


def specs_of(settings: EvaluationSettings, task: Task) -> list[TrialSpec]:
    name, demonstration = task.lesson.object_id, task.lesson.demonstration
    seed = trial_seed(settings.seed, task.tier, name, demonstration, task.trial)
    return [TrialSpec(m, task.tier, name, demonstration, task.trial, seed) for m in task.methods]


def failed(specs: list[TrialSpec], category: str, message: str) -> list[Row]:
    """Trials that could not be held count as failed; they are never dropped."""
    return [
        to_row(
            TrialResult(
                method=spec.method,
                tier=spec.tier,
                object=spec.object_id,
                category=category,
                demonstration=spec.demonstration,
                trial=spec.trial,
                scene_seed=spec.seed,
                outcome=Outcome.ERROR,
                success=False,
                lifted=False,
                on_part=False,
                position_error_m=None,
                yaw_error_rad=None,
                grasp=None,
                teach_time_s=0.0,
                predict_time_s=0.0,
                execute_time_s=0.0,
                message=message,
            )
        )
        for spec in specs
    ]


def teaching_seed(settings: EvaluationSettings, name: LessonName) -> int:
    return zlib.crc32(f"{settings.seed}/teach/{name.object_id}/{name.demonstration}".encode())


def _taught(job: Job, lesson: Lesson, method: str) -> Taught:
    """A method's grasper; it stays in memory while the same lesson is at hand."""
    known = _at_hand(job.settings, job.digest, job.name)
    if method not in known:
        known[method] = _teach(job, lesson, method)
    return known[method]


@lru_cache(maxsize=2)
def _at_hand(settings: EvaluationSettings, digest: str, name: LessonName) -> dict[str, Taught]:
    return {}


def _teach(job: Job, lesson: Lesson, method: str) -> Taught:
    settings = job.settings
    if weights_digest([method], settings.weights) not in ("", job.digest):
        raise FileFormatError(
            f"a worker finds other weights at '{settings.weights}' than the run began with; give "
            "every machine the same file"
        )
    world, seed = world_of(settings.objects), teaching_seed(settings, job.name)
    start = time.perf_counter()
    try:
        grasper = teach(method, world, lesson, seed, settings.weights, remember=True)
    except Exception as error:  # it fails its trials, not the evaluation
        return partial(_fail, error), time.perf_counter() - start
    if isinstance(grasper, LearnedGrasper):  # perhaps it was taught before
        return grasper, grasper.taught.seconds
    return grasper, time.perf_counter() - start


def _fail(error: Exception, observation: Observation) -> Grasp:
    raise error


def _plain(loss: float) -> float | None:
    """JSON has no NaN."""
    return float(loss) if np.isfinite(loss) else None
