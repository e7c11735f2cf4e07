"""Trials of one skill, or of two in the same scenes: filmed, drawn, scored, and put on a page."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.film import SPEED, Film
from grasplearn.lessons import is_complete, load_lesson
from grasplearn.library import DEMONSTRATION, find_skill
from grasplearn.results import to_row, versions
from grasplearn.seeing import Seeing
from grasplearn.show.overlay import demonstration_picture, depth_picture
from grasplearn.show.page import AGAIN, DemoPage, Figure, TrialPicture, write_page
from grasplearn.show.style import Frame, verdict
from grasplearn.sim.judge import correct_grasp
from grasplearn.sim.world import World
from grasplearn.skill import Skill
from grasplearn.statistics import MEAN, rates, wilson
from grasplearn.studio.settings import Settings
from grasplearn.studio.table import Table, encoded
from grasplearn.tiers import TIERS
from grasplearn.trial import run_trial, trial_scene, trial_seed
from grasplearn.types import Grasp, Lesson, TrialResult, TrialSpec

VIDEO, REPORT = "trials.mp4", "report.html"
# So many runs stay on disk.
KEPT_RUNS = 8
PICTURE_SIDE = 448
# Where 'grasplearn pick' looks for skills by itself.
LIBRARY = "skills"
AGAIN_EACH = (
    "Each command tries one skill by itself. Scenes are drawn so that the shown grasp is free in "
    "them: here both met those of the first skill, and by itself the second may meet others."
)


class Trying:
    """A run of trials.

    Args:
        job: names the run. skills: by the names that stand above the columns.
        settings: say where the skills lie and where the run's folder goes.
        table: lends its world.
        tell, check: see ``Workbench``.

    Raises:
        InvalidValueError: a skill was shown on an own picture, or the two on different objects.
    """

    def __init__(
        self,
        job: int,
        skills: dict[str, Skill],
        settings: Settings,
        table: Table,
        tell: Callable[[dict[str, Any]], None],
        check: Callable[[], None],
    ) -> None:
        self.job, self.skills, self.table = job, skills, table
        self.library, self.out = settings.library, settings.runs / str(job)
        self._tell, self._check = tell, check
        self.lessons = {name: _lesson(name, find_skill(self.library, name)) for name in skills}
        self.first: Lesson = next(iter(self.lessons.values()))
        for name, lesson in self.lessons.items():
            if lesson.object_id not in table.catalogue:
                raise InvalidValueError(
                    f"'{name}' was taught on '{lesson.object_id}', which is not among the objects; "
                    "drop its mesh here first, or start the studio with --objects"
                )
            if lesson.object_id != self.first.object_id:
                raise InvalidValueError(
                    f"'{name}' was taught on {lesson.object_id}, the other one on "
                    f"{self.first.object_id}; only skills of one object meet the same scenes"
                )
        self.results: list[TrialResult] = []
        self.pictures: list[TrialPicture] = []
        self.portrait: Frame | None = None

    def run(self, tier: str, trials: int, seed: int) -> dict[str, Any]:
        """Holds the trials; returns the score.

        Raises:
            UnknownNameError: no such tier. SceneError: see ``trial_scene``.
            InvalidValueError: no look-alike stood there when the skill was shown.
        """
        if tier not in TIERS:
            raise UnknownNameError("tier", tier, TIERS)
        if TIERS[tier].look_alike and not TIERS[self.first.scene.tier].look_alike:
            raise InvalidValueError(
                f"no look-alike was there when this was shown; teach it on a scene of "
                f"tier '{tier}' to try it in that tier"
            )
        self.out.mkdir(parents=True, exist_ok=True)
        _forget_old(self.out.parent)
        world, names = self.table.world, tuple(self.skills)
        others = self.table.catalogue.neighbours_of(self.first.object_id)
        total = trials * len(names)
        with Film(self.table.catalogue, self.out / VIDEO, names, trials, self._live) as film:
            for trial in range(trials):
                self._told(f"setting up scene {trial + 1}", total)
                number = trial_seed(seed, tier, self.first.object_id, 0, trial)
                scene = trial_scene(world, self.first, tier, others, number)
                for name in names:
                    self._told(f"{name}, trial {trial + 1} of {trials}", total)
                    spec = TrialSpec(name, tier, self.first.object_id, 0, trial, number)
                    seeing = Seeing(self.skills[name])

                    def watch(world: World, phase: str) -> None:
                        self._check()
                        film.watch(world, phase)

                    lesson, seconds = self.lessons[name], self.skills[name].taught.seconds
                    result = run_trial(world, lesson, scene, seeing, spec, seconds, watch)
                    film.end_column(world, result)
                    world.reset(scene)
                    predicted = Grasp.from_dict(result.grasp) if result.grasp else None
                    correct = correct_grasp(lesson, scene, world, predicted)
                    self._keep(result, seeing, correct)
                film.end_trial()
        self._told("writing the report", total)
        self._write_report(tier, trials, seed)
        return {
            "run": self.job,
            "scores": self._scores(),
            "tier": tier,
            "trials": trials,
            "seed": seed,
            "video": VIDEO,
            "report": REPORT,
        }

    def _live(self, frame: Frame, phase: str) -> None:
        if self.portrait is None or (phase == "hold" and not self._held):
            self.portrait, self._held = frame, phase == "hold"
        self._tell({"say": "frame", "kind": "trial", "frame": encoded(frame, ".jpg")})

    _held = False

    def _keep(self, result: TrialResult, seeing: Seeing, correct: Grasp | None) -> None:
        whole = seeing.picture(correct, side=PICTURE_SIDE)
        size = (PICTURE_SIDE, PICTURE_SIDE)
        picture = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
        file = f"trial-{result.trial + 1:02d}-{list(self.skills).index(result.method) + 1}.webp"
        (self.out / file).write_bytes(encoded(picture, ".webp"))
        self.results.append(result)
        shown = TrialPicture(result, picture)
        self.pictures.append(shown)
        ended = verdict(result)
        self._tell(
            {
                "say": "trial",
                "job": self.job,
                "trial": {
                    "skill": result.method,
                    "trial": result.trial + 1,
                    "kind": ended.kind,
                    "label": ended.label,
                    "advice": ended.advice,
                    "error": shown.error,
                    "picture": file,
                },
                "scores": self._scores(),
            }
        )

    def _scores(self) -> list[dict[str, Any]]:
        """Every skill's successes with the 95 % Wilson interval."""
        scores = []
        for name in self.skills:
            won = [result.success for result in self.results if result.method == name]
            low, high = wilson(sum(won), len(won))
            scores.append(
                {"skill": name, "successes": sum(won), "trials": len(won), "low": low, "high": high}
            )
        return scores

    def _told(self, phase: str, total: int) -> None:
        self._check()
        progress = {"phase": phase, "step": len(self.results), "steps": total}
        self._tell({"say": "progress", "job": self.job, "progress": progress})

    def _write_report(self, tier: str, trials: int, seed: int) -> None:
        shown = self.first.demonstration
        names = ", ".join(self.skills)
        summary = [row for row in rates(map(to_row, self.results)) if row["tier"] != MEAN]
        page = DemoPage(
            object_name=self.table.catalogue.get(self.first.object_id).category.replace("_", " "),
            part=self.first.part.replace("_", " "),
            object_picture=self.portrait
            if self.portrait is not None
            else demonstration_picture(shown, None),
            shown=(
                Figure(
                    demonstration_picture(shown, None),
                    "What the camera above the table saw, and the grasp that was shown on it.",
                ),
                Figure(
                    depth_picture(shown.observation, None),
                    "Its depth, bright is near; pink is where the sensor saw nothing.",
                ),
            ),
            summary=summary,
            trials=tuple(self.pictures),
            command=self._commands(tier, trials, seed),
            again=AGAIN if len(self.skills) == 1 else AGAIN_EACH,
            seed=seed,
            versions=versions(),
            video=self.out / VIDEO,
            video_caption=f"Every trial at {SPEED:g} times the speed, from the left: {names}.",
            learnt=tuple(
                Figure(skill.heatmap(), f"Where '{name}' sees the spot on its own demonstration.")
                for name, skill in self.skills.items()
            ),
        )
        write_page(page, self.out / REPORT)

    def _commands(self, tier: str, trials: int, seed: int) -> str:
        """What tries each skill by itself, in the folder that the studio was started in."""
        told = ["--tier", tier, "--trials", str(trials), "--seed", str(seed)]
        # Relative: the report is passed on, and says nothing of where a person keeps things.
        if (library := os.path.relpath(self.library)) != LIBRARY:
            told += ["--library", library]
        if objects := self.table.sources.get(self.first.object_id):
            told += ["--objects", os.path.relpath(objects)]
        return "\n".join(shlex.join(["grasplearn", "pick", name, *told]) for name in self.skills)


def _lesson(name: str, folder: Path) -> Lesson:
    if not is_complete(folder / DEMONSTRATION):
        raise InvalidValueError(
            f"'{name}' was shown on a picture of your own, which no simulated object fits; drop "
            "another picture and use 'find it here' instead"
        )
    return load_lesson(folder / DEMONSTRATION)


def _forget_old(runs: Path) -> None:
    old = sorted((p for p in runs.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    for folder in old[:-KEPT_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)
