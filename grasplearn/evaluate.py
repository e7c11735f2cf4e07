"""Many trials: planned, run in parallel processes, written row by row, resumed, summed up.

Two phases, both resumable: first every lesson (a demonstration) is made and saved, then each task,
one object x demonstration x tier, draws its scenes and lets every method meet the same ones.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from grasplearn.errors import (
    DemonstrationError,
    InvalidValueError,
    SceneError,
    UnknownNameError,
    WorkerError,
)
from grasplearn.files import write_json
from grasplearn.lessons import is_complete, load_lesson, save_lesson
from grasplearn.policies import POLICIES
from grasplearn.results import RESULTS, Key, claimed, read_rows, row_key, summarize, to_row
from grasplearn.sim.demonstrator import demonstrate
from grasplearn.sim.mesh_checks import ImportReport
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import USER_SPLIT, Catalogue
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import SCRIPTED, run_trial, teach, trial_scene, trial_seed
from grasplearn.types import SPLITS, Grasp, Lesson, Observation, Outcome, TrialResult, TrialSpec

METHODS = (SCRIPTED, *POLICIES)
ALL_SPLITS = "all"
FAILED = "failed.json"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EvaluationSettings:
    """What is evaluated; equal settings give equal rows, time fields apart.

    Attributes:
        methods: names out of METHODS. tiers: names out of TIERS.
        split: ``train``, ``validation``, ``test`` or ``all`` of the catalogue.
        objects: a user's own folder instead of the catalogue.
        max_objects: at most so many, spread over the categories; None: all.
        demos: demonstrations per object. trials: per object, demonstration and tier.
        seed: of everything.
    """

    methods: tuple[str, ...]
    tiers: tuple[str, ...]
    split: str = "test"
    objects: str | None = None
    max_objects: int | None = None
    demos: int = 1
    trials: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, names, known in (("method", self.methods, METHODS), ("tier", self.tiers, TIERS)):
            if not names:
                raise InvalidValueError(f"name at least one {kind}: {', '.join(known)}")
            for name in names:
                if name not in known:
                    raise UnknownNameError(kind, name, known)
        if self.split not in (*SPLITS, ALL_SPLITS):
            raise UnknownNameError("split", self.split, (*SPLITS, ALL_SPLITS))
        for what in ("demos", "trials"):
            if getattr(self, what) < 1:
                raise InvalidValueError(f"{what} must be at least 1, got {getattr(self, what)}")
        if self.max_objects is not None and self.max_objects < 1:
            raise InvalidValueError(f"max_objects must be at least 1, got {self.max_objects}")


@dataclass(frozen=True)
class Task:
    """The unit of parallel work: all trials of all methods on one object, lesson and tier."""

    object_id: str
    demonstration: int
    tier: str
    trials: tuple[int, ...]
    methods: dict[int, tuple[str, ...]]  # per trial, those still to be run


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
        InvalidValueError: a setting is out of range.
        WorkerError: a worker process was killed; what was made is kept.
    """
    if workers < 1:
        raise InvalidValueError(f"workers must be at least 1, got {workers}")
    with claimed(out, asdict(settings), resume):
        try:
            return _evaluate(settings, out, workers, progress)
        except TerminatedWorkerError as error:
            raise WorkerError(
                f"a worker process was killed, perhaps for memory; what was made is in {out}: "
                "go on with --resume and fewer --workers"
            ) from error


def _evaluate(
    settings: EvaluationSettings, out: Path, workers: int, progress: Progress
) -> dict[str, Any]:
    models = select_objects(load_catalogue(settings.objects)[0], settings)
    lessons = [
        (model.object_id, demonstration, look_alike)
        for model in models
        for demonstration in range(settings.demos)
        for look_alike in sorted({TIERS[t].look_alike for t in settings.tiers})
        if not _is_made(_lesson_folder(out, model.object_id, demonstration, look_alike))
    ]
    with joblib.Parallel(n_jobs=workers, return_as="generator") as pool:
        made = pool(joblib.delayed(_make_lesson)(settings, out, *lesson) for lesson in lessons)
        for count, _ in enumerate(made, 1):
            progress("demonstrations", count, len(lessons))

        known = read_rows(out / RESULTS)
        tasks = list(_plan(settings, models, {row_key(r) for r in known}))
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
    return summarize(out, asdict(settings))


def select_objects(catalogue: Catalogue, settings: EvaluationSettings) -> list[ObjectModel]:
    """The objects to evaluate; ``max_objects`` of them are spread evenly over the categories."""
    split = None if settings.split == ALL_SPLITS else settings.split
    if settings.objects is not None:
        split = USER_SPLIT
    models = list(catalogue.select(split=split))
    if settings.max_objects is None or settings.max_objects >= len(models):
        return models
    seen: dict[str, int] = defaultdict(int)
    ranked = []
    for model in models:
        ranked.append((seen[model.category], model.category, model))
        seen[model.category] += 1
    ranked.sort(key=lambda r: r[:2])
    return [model for _, _, model in ranked[: settings.max_objects]]


@cache
def load_catalogue(objects: str | None) -> tuple[Catalogue, tuple[ImportReport, ...]]:
    """The built-in objects, or a user's own with the built-in ones to stand beside them; and what
    is wrong with any of the user's."""
    builtin = Catalogue.builtin()
    if objects is None:
        return builtin, ()
    own, reports = Catalogue.from_folder(Path(objects))
    return own.joined(builtin), tuple(reports)


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


def _plan(
    settings: EvaluationSettings, models: Sequence[ObjectModel], done: set[Key]
) -> Iterator[Task]:
    for model in models:
        for demonstration in range(settings.demos):
            for tier in settings.tiers:
                missing = {
                    trial: tuple(
                        m
                        for m in settings.methods
                        if (m, tier, model.object_id, demonstration, trial) not in done
                    )
                    for trial in range(settings.trials)
                }
                methods = {trial: names for trial, names in missing.items() if names}
                if methods:
                    yield Task(model.object_id, demonstration, tier, tuple(methods), methods)


def _run_task(settings: EvaluationSettings, out: Path, task: Task) -> list[dict[str, Any]]:
    world = _world(settings.objects)
    model = world.catalogue.get(task.object_id)
    folder = _lesson_folder(out, task.object_id, task.demonstration, TIERS[task.tier].look_alike)
    failed = folder / FAILED
    if failed.exists():
        message = json.loads(failed.read_text())["message"]
        return [row for t in task.trials for row in _error_rows(settings, task, model, t, message)]
    lesson = load_lesson(folder)
    taught = {}
    for method in {m for names in task.methods.values() for m in names}:
        start = time.perf_counter()
        seed = zlib.crc32(f"{settings.seed}/teach/{task.object_id}/{task.demonstration}".encode())
        try:
            grasper = teach(method, world, lesson, seed)
        except Exception as error:  # it fails its trials, not the evaluation
            grasper = partial(_fail, error)
        taught[method] = (grasper, time.perf_counter() - start)
    rows = []
    for trial in task.trials:
        rows += _run_scene(settings, task, world, lesson, trial, taught)
    return rows


def _fail(error: Exception, observation: Observation) -> Grasp:
    raise error


def _run_scene(
    settings: EvaluationSettings,
    task: Task,
    world: World,
    lesson: Lesson,
    trial: int,
    taught: dict[str, Any],
) -> list[dict[str, Any]]:
    model = world.catalogue.get(task.object_id)
    seed = trial_seed(settings.seed, task.tier, task.object_id, task.demonstration, trial)
    try:
        others = world.catalogue.neighbours_of(model.object_id)
        scene = trial_scene(world, lesson, task.tier, others, seed)
    except SceneError as error:
        return _error_rows(settings, task, model, trial, str(error))
    rows = []
    for method in task.methods[trial]:
        spec = TrialSpec(method, task.tier, task.object_id, task.demonstration, trial, seed)
        grasper, teach_time = taught[method]
        try:
            rows.append(to_row(run_trial(world, lesson, scene, grasper, spec, teach_time)))
        except Exception as error:  # a policy that breaks has failed its trial, not the evaluation
            message = f"{type(error).__name__}: {error}"
            rows.append(_error_row(spec, model.category, message))
    return rows


def _error_rows(
    settings: EvaluationSettings, task: Task, model: ObjectModel, trial: int, message: str
) -> list[dict[str, Any]]:
    seed = trial_seed(settings.seed, task.tier, task.object_id, task.demonstration, trial)
    return [
        _error_row(
            TrialSpec(method, task.tier, task.object_id, task.demonstration, trial, seed),
            model.category,
            message,
        )
        for method in task.methods[trial]
    ]


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
