"""Many trials: planned, run in parallel processes, written row by row, resumed, summed up.

Three phases, all resumable: every lesson (a demonstration) is made and saved, every learned method
is taught every lesson, and all methods meet the same scenes. Workers compute, this process writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from grasplearn.files import write_files, write_json
from grasplearn.jobs import Job, failed, hold, make_lesson, show, specs_of, teach_lesson
from grasplearn.lessons import is_complete, load_lesson, save_lesson
from grasplearn.plan import (
    EvaluationSettings,
    LessonName,
    Task,
    lessons_of,
    load_catalogue,
    plan,
    select_objects,
)
from grasplearn.policies import LEARNED
from grasplearn.policies.entered import entered_digest
from grasplearn.policies.learned import weights_digest
from grasplearn.results import (
    RESULTS,
    TEACHING,
    Key,
    RowFile,
    claimed,
    commit,
    read_lines,
    read_rows,
    row_key,
    summarize,
)
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.statistics import widest
from grasplearn.types import Lesson
from grasplearn.workers import Crew, Lost

__all__ = ["evaluate", "make_lesson"]

LESSONS, FAILED = "lessons", "failed.json"
# The scene that this very process is at, when it works alone.
AT_WORK = "at-work.json"

Progress = Callable[[str, int, int], None]


def evaluate(
    settings: EvaluationSettings,
    out: Path,
    *,
    workers: int = 1,
    crew: Crew | None = None,
    resume: bool = False,
    progress: Progress = lambda phase, done, total: None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Runs what is missing and returns the summary that is written to ``out``/summary.json.

    Args:
        workers: processes of this machine; ``crew``: more exactly who works, instead.
        facts: what else the run's settings are to say, as JSON values.

    Raises:
        FileFormatError: ``out`` holds another run, or any run without ``resume``; or another
            process is at work there.
        InvalidValueError: a setting is out of range, or the weights do not serve a method.
        UnknownNameError: there are no such weights.
        WorkerError: Ray or its cluster is not there.
    """
    crew = crew or Crew(workers)
    commit()
    told = asdict(settings) | {
        "weights_digest": weights_digest(settings.methods, settings.weights),
        "entered_digest": entered_digest(settings.methods),
        **(facts or {}),
    }
    with crew.ready(), claimed(out, told, resume):
        _Run(settings, out, crew, told["weights_digest"], progress).all_phases()
        return summarize(out, told)


class _Run:
    """One evaluation at work in its folder."""

    def __init__(
        self,
        settings: EvaluationSettings,
        out: Path,
        crew: Crew,
        digest: str,
        progress: Progress,
    ) -> None:
        self.settings, self.out, self.crew, self.digest = settings, out, crew, digest
        self.progress = progress
        self.models: list[ObjectModel] = select_objects(
            load_catalogue(settings.objects)[0], settings
        )
        self.known = read_rows(out / RESULTS)
        self.done: set[Key] = {row_key(row) for row in self.known}

    def all_phases(self) -> None:
        self._demonstrate()
        trials = self.settings.trials
        while True:
            self._teach(trials)
            self._hold(trials)
            if self.settings.until_halfwidth is None:
                return
            if widest(read_rows(self.out / RESULTS)) <= self.settings.until_halfwidth:
                return
            trials += self.settings.trials

    def _demonstrate(self) -> None:
        missing = [
            (self.settings, name)
            for name in lessons_of(self.settings, self.models)
            if not self._is_made(name)
        ]
        made = self.crew.do(_show, missing)
        for count, ((_, name), lesson) in enumerate(made, 1):
            self._keep(name, lesson.message if isinstance(lesson, Lost) else lesson)
            self.progress("demonstrations", count, len(missing))

    def _keep(self, name: LessonName, lesson: Lesson | str) -> None:
        folder = self._folder(name)
        if isinstance(lesson, Lesson):
            save_lesson(folder, lesson)
        else:  # an object that cannot be demonstrated leaves its reason there
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FAILED, {"message": lesson})

    def _teach(self, trials: int) -> None:
        """Has every method taught that needs it, once for all tiers; the nets stay on disk."""
        taught = {_taught_key(row) for row in read_lines(self.out / TEACHING, _taught_key)}
        wanted = {
            (task.lesson, method): None
            for task in plan(self.settings, self.models, self.done, trials)
            for method in task.methods
            if method in LEARNED and (method, *_parts(task.lesson)) not in taught
        }
        if not wanted:
            return
        jobs = (
            replace(self._job(name), method=method)
            for name, method in wanted
            if not (self._folder(name) / FAILED).exists()
        )
        with RowFile(self.out / TEACHING) as file:
            for count, (_, row) in enumerate(self.crew.do(teach_lesson, jobs), 1):
                if isinstance(row, dict):  # else its trials will tell
                    file.append([row])
                self.progress("teaching", count, len(wanted))
        from grasplearn.policies.taught_cache import forget_the_oldest

        forget_the_oldest()

    def _hold(self, trials: int) -> None:
        tasks = list(plan(self.settings, self.models, self.done, trials))
        total, count = sum(len(task.methods) for task in tasks), 0
        self.progress("trials", count, total)
        with RowFile(self.out / RESULTS) as file:
            for job, rows in self._rows(tasks):
                if isinstance(rows, Lost):
                    rows = self._failed(job, rows.message)
                file.append(rows)
                self.done.update(map(row_key, rows))
                count += len(rows)
                self.progress("trials", count, total)
        (self.out / AT_WORK).unlink(missing_ok=True)

    def _rows(self, tasks: list[Task]) -> Iterator[tuple[Job, Any]]:
        """Every task's rows; where this process works alone, first what ended it the last time."""
        suspect = self._was_at_work(tasks)
        if suspect is not None:
            tasks = [task for task in tasks if task != suspect]
            for part in self._job(suspect.lesson, suspect).split():
                yield part, self.crew.alone(hold, part)
        jobs: Iterable[Job] = (self._job(task.lesson, task) for task in tasks)
        if self.crew.alone_here:
            jobs = map(self._noted, jobs)
        yield from self.crew.do(hold, jobs, Job.split)

    def _noted(self, job: Job) -> Job:
        """Notes what begins now, in case this process does not live to tell."""
        assert job.task is not None
        note = {"scene": _scene(job.task)}
        write_files(self.out, {AT_WORK: json.dumps(note).encode()})
        return job

    def _was_at_work(self, tasks: list[Task]) -> Task | None:
        path = self.out / AT_WORK
        if not path.exists():
            return None
        scene = json.loads(path.read_bytes())["scene"]
        return next((task for task in tasks if _scene(task) == scene), None)

    def _failed(self, job: Job, message: str) -> list[dict[str, Any]]:
        assert job.task is not None
        model = load_catalogue(self.settings.objects)[0].get(job.name.object_id)
        return failed(specs_of(self.settings, job.task), model.category, message)

    def _job(self, name: LessonName, task: Task | None = None) -> Job:
        return Job(self.settings, self.digest, name, _read(self._folder(name)), task)

    def _folder(self, name: LessonName) -> Path:
        return self.out / LESSONS / name.folder

    def _is_made(self, name: LessonName) -> bool:
        folder = self._folder(name)
        return is_complete(folder) or (folder / FAILED).exists()


@lru_cache(maxsize=4)
def _read(folder: Path) -> Lesson | str:
    """A lesson, or why there is none; tasks come lesson by lesson."""
    failure = folder / FAILED
    if failure.exists():
        return str(json.loads(failure.read_text(encoding="utf-8"))["message"])
    return load_lesson(folder)


def _show(asked: tuple[EvaluationSettings, LessonName]) -> Lesson | str:
    return show(*asked)


def _scene(task: Task) -> list[Any]:
    return [*_parts(task.lesson), task.tier, task.trial]


def _parts(name: LessonName) -> tuple[str, int, bool]:
    return name.object_id, name.demonstration, name.look_alike


def _taught_key(row: dict[str, Any]) -> tuple[str, str, int, bool]:
    return row["method"], row["object"], row["demonstration"], row["look_alike"]
