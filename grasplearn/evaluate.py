"""Many trials: planned, run in parallel processes, written row by row, resumed, summed up.

Two phases, both resumable: first every lesson (a demonstration) is made and saved, then in each
task, all tiers of one lesson, every method is taught it once and meets the same scenes.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from grasplearn.errors import DemonstrationError, InvalidValueError, SceneError, WorkerError
from grasplearn.files import write_json
from grasplearn.lessons import is_complete, load_lesson, save_lesson
from grasplearn.plan import (
    EvaluationSettings,
    Task,
    load_catalogue,
    look_alikes,
    plan,
    select_objects,
)
from grasplearn.policies import Grasper
from grasplearn.policies.learned import one_thread, weights_digest
from grasplearn.results import RESULTS, claimed, read_rows, row_key, summarize, to_row
from grasplearn.sim.demonstrator import demonstrate
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.world import World
from grasplearn.trial import run_trial, teach, trial_scene, trial_seed
from grasplearn.types import Grasp, Lesson, Observation, Outcome, TrialResult, TrialSpec

FAILED = "failed.json"

Progress = Callable[[str, int, int], None]


def evaluate(
    settings: EvaluationSettings,
    out: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    progress: Progress = lambda phase, done, total: None,
) -> dict[str, Any]:
    """Runs what is missing and returns the summary that is written to ``out``/summary.json.

    Raises:
        FileFormatError: ``out`` holds another run, or any run without ``resume``; or another
            process is at work there.
        InvalidValueError: a setting is out of range, or the weights do not serve a method.
        UnknownNameError: there are no such weights.
        WorkerError: a worker process was killed; what was made is kept.
    """
    if workers < 1:
        raise InvalidValueError(f"workers must be at least 1, got {workers}")
    digest = weights_digest(settings.methods, settings.weights)
    told = asdict(settings) | {"weights_digest": digest}
    with claimed(out, told, resume):
        try:
            _evaluate(settings, out, workers, progress)
            return summarize(out, told)
        except TerminatedWorkerError as error:
            raise WorkerError(
                f"a worker process was killed, perhaps for memory; what was made is in {out}: "
                "go on with --resume and fewer --workers"
            ) from error


def _evaluate(settings: EvaluationSettings, out: Path, workers: int, progress: Progress) -> None:
    models = select_objects(load_catalogue(settings.objects)[0], settings)
    lessons = [
        (model.object_id, demonstration, look_alike)
        for model in models
        for demonstration in range(settings.demos)
        for look_alike in look_alikes(settings)
        if not _is_made(_lesson_folder(out, model.object_id, demonstration, look_alike))
    ]
    with joblib.Parallel(n_jobs=workers, return_as="generator") as pool:
        made = pool(joblib.delayed(_make_lesson)(settings, out, *lesson) for lesson in lessons)
        for count, _ in enumerate(made, 1):
            progress("demonstrations", count, len(lessons))

        known = read_rows(out / RESULTS)
        tasks = list(plan(settings, models, {row_key(r) for r in known}))
        total = sum(len(names) for t in tasks for names in t.methods.values())
        done = 0
        progress("trials", done, total)
        with (out / RESULTS).open("a", encoding="utf-8") as file:
            for rows in pool(joblib.delayed(_run_task)(settings, out, task) for task in tasks):
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
                done += len(rows)
                progress("trials", done, total)


@cache
def _world(objects: str | None) -> World:
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


def _lesson_folder(out: Path, object_id: str, demonstration: int, look_alike: bool) -> Path:
    kind = "alike" if look_alike else "same"
    return out / "lessons" / f"{object_id}-{demonstration}-{kind}"


def _make_lesson(
    settings: EvaluationSettings, out: Path, object_id: str, demonstration: int, look_alike: bool
) -> None:
    """Makes and saves a lesson; an object that cannot be demonstrated leaves its reason there."""
    folder = _lesson_folder(out, object_id, demonstration, look_alike)
    try:
        lesson = make_lesson(
            _world(settings.objects), object_id, settings.seed, demonstration, look_alike
        )
        save_lesson(folder, lesson)
    except DemonstrationError as error:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FAILED, {"message": str(error)})


def _is_made(folder: Path) -> bool:
    return is_complete(folder) or (folder / FAILED).exists()


def _run_task(settings: EvaluationSettings, out: Path, task: Task) -> list[dict[str, Any]]:
    world = _world(settings.objects)
    model = world.catalogue.get(task.object_id)
    folder = _lesson_folder(out, task.object_id, task.demonstration, task.look_alike)
    failed = folder / FAILED
    if failed.exists():
        message = json.loads(failed.read_text())["message"]
        return [row for specs in _specs(settings, task) for row in _failed(specs, model, message)]
    lesson = load_lesson(folder)
    with one_thread(task.taught):
        taught = {method: _teach(settings, task, world, lesson, method) for method in task.taught}
        return [
            row
            for specs in _specs(settings, task)
            for row in _run_scene(world, lesson, specs, taught)
        ]


def _teach(
    settings: EvaluationSettings, task: Task, world: World, lesson: Lesson, method: str
) -> tuple[Grasper, float]:
    """A method's grasper, and how long teaching it took, s."""
    seed = zlib.crc32(f"{settings.seed}/teach/{task.object_id}/{task.demonstration}".encode())
    start = time.perf_counter()
    grasper: Grasper
    try:
        grasper = teach(method, world, lesson, seed, settings.weights)
    except Exception as error:  # it fails its trials, not the evaluation
        grasper = partial(_fail, error)
    return grasper, time.perf_counter() - start


def _fail(error: Exception, observation: Observation) -> Grasp:
    raise error


def _specs(settings: EvaluationSettings, task: Task) -> Iterator[list[TrialSpec]]:
    """Scene by scene, a trial of each method."""
    name, demonstration = task.object_id, task.demonstration
    for (tier, trial), methods in task.methods.items():
        seed = trial_seed(settings.seed, tier, name, demonstration, trial)
        yield [TrialSpec(method, tier, name, demonstration, trial, seed) for method in methods]


def _run_scene(
    world: World,
    lesson: Lesson,
    specs: list[TrialSpec],
    taught: dict[str, tuple[Grasper, float]],
) -> list[dict[str, Any]]:
    model = world.catalogue.get(lesson.object_id)
    others = world.catalogue.neighbours_of(model.object_id)
    try:
        scene = trial_scene(world, lesson, specs[0].tier, others, specs[0].seed)
    except SceneError as error:
        return _failed(specs, model, str(error))
    rows = []
    for spec in specs:
        grasper, teach_time = taught[spec.method]
        try:
            rows.append(to_row(run_trial(world, lesson, scene, grasper, spec, teach_time)))
        except Exception as error:  # a policy that breaks has failed its trial, not the evaluation
            rows += _failed([spec], model, f"{type(error).__name__}: {error}")
    return rows


def _failed(specs: list[TrialSpec], model: ObjectModel, message: str) -> list[dict[str, Any]]:
    return [_error_row(spec, model.category, message) for spec in specs]


def _error_row(spec: TrialSpec, category: str, message: str) -> dict[str, Any]:
    """A trial that could not be held counts as failed; it is never dropped."""
    return to_row(
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
