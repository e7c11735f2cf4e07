"""A trial of a run once more, for its pictures: what was seen, said, right, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grasplearn.errors import GraspLearnError, InvalidValueError, NoGraspError, SceneError
from grasplearn.evaluate import LESSONS
from grasplearn.jobs import teaching_seed, world_of
from grasplearn.lessons import load_lesson
from grasplearn.plan import LessonName
from grasplearn.policies import LEARNED
from grasplearn.policies.learned import LearnedGrasper, one_thread, weights_digest
from grasplearn.results import Row
from grasplearn.runs import Run
from grasplearn.show.heat import heat_picture
from grasplearn.show.style import Frame
from grasplearn.sim.judge import correct_grasp
from grasplearn.sim.world import Watcher, World
from grasplearn.tiers import TIERS
from grasplearn.trial import teach, trial_scene
from grasplearn.types import Grasp, GraspReport, Lesson, Observation


@dataclass(frozen=True)
class Replay:
    """A trial that is set up again, in the simulator that ``world`` is.

    Attributes:
        observation: what the policy saw. predicted: what it said; correct: what was shown, here.
    """

    world: World
    lesson: Lesson
    observation: Observation
    predicted: Grasp | None
    correct: Grasp | None

    def execute(self, watch: Watcher) -> GraspReport | None:
        """Executes the predicted grasp again; None where there was none."""
        return None if self.predicted is None else self.world.execute(self.predicted, watch)


def lesson_name(row: Row) -> LessonName:
    """Of which lesson a row's trial was."""
    return LessonName(row["object"], row["demonstration"], TIERS[row["tier"]].look_alike)


def lesson_folder(run: Run, name: LessonName) -> Path:
    return run.folder / LESSONS / name.folder


def replay(run: Run, row: Row) -> Replay:
    """Sets a trial up again.

    Raises:
        GraspLearnError: the objects or the lesson are gone, or the scene comes out otherwise here.
    """
    world = world_of(run.settings.objects)
    lesson = load_lesson(lesson_folder(run, lesson_name(row)))
    others = world.catalogue.neighbours_of(row["object"])
    scene = trial_scene(world, lesson, row["tier"], others, row["scene_seed"])
    if scene.hidden != row["hidden"] or scene.objects[0].object_id != row["target"]:
        raise SceneError(f"the scene of trial {row['trial']} comes out otherwise on this machine")
    world.reset(scene)
    predicted = Grasp.from_dict(row["grasp"]) if row["grasp"] else None
    correct = correct_grasp(lesson, scene, world, predicted)
    return Replay(world, lesson, world.observe(), predicted, correct)


def heat(run: Run, row: Row, seen: Replay, side: int) -> Frame | None:
    """Where the taught net saw the spot; None for what is no net, or if the weights are gone."""
    if row["method"] not in LEARNED:
        return None
    try:
        grasper = _taught(run, row, seen)
        if grasper is None:
            return None
        with one_thread([row["method"]]):
            prediction = grasper.taught.predict(seen.observation)
    except (NoGraspError, InvalidValueError):
        return None
    return heat_picture(
        seen.observation, prediction.quality, predicted=prediction.grasp, caption=None, side=side
    )


def _taught(run: Run, row: Row, seen: Replay) -> LearnedGrasper | None:
    """The method as it was taught for this trial, mostly from the disk."""
    settings, method = run.settings, row["method"]
    try:
        digest = weights_digest([method], settings.weights)
    except GraspLearnError:
        return None
    if digest != run.facts.get("weights_digest"):
        return None
    seed = teaching_seed(settings, lesson_name(row))
    with one_thread([method]):
        grasper = teach(method, seen.world, seen.lesson, seed, settings.weights, remember=True)
    return grasper if isinstance(grasper, LearnedGrasper) else None
