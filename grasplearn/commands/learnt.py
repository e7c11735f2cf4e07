"""What a demo shows of teaching: where each net looks, how it was taught, and the skill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grasplearn.errors import NoGraspError
from grasplearn.learning.methods import UNTAUGHT
from grasplearn.policies.base import Grasper
from grasplearn.policies.learned import LearnedGrasper
from grasplearn.show.heat import heat_picture
from grasplearn.show.overlay import draw_grasps, save_png
from grasplearn.show.page import Figure
from grasplearn.show.style import Frame
from grasplearn.types import Grasp, Lesson, Observation

HEAT, SKILL = "heat", "skill"


def learned(graspers: Mapping[str, Grasper]) -> dict[str, LearnedGrasper]:
    """Those of the methods that are nets."""
    return {name: g for name, g in graspers.items() if isinstance(g, LearnedGrasper)}


def draw_heat(
    graspers: Mapping[str, Grasper], lesson: Lesson, new: Observation, out: Path
) -> tuple[Figure, ...]:
    """Draws what every net sees in the demonstration and in a new scene, into ``out``/heat.

    Returns the pictures, the demonstration's first; none without nets.
    """
    for old in (out / HEAT).glob("*.png"):
        old.unlink()  # of an earlier demo, which may have had other methods
    shown, figures = lesson.demonstration, []
    scenes = (
        ("demonstration", shown.observation, shown.grasp),
        ("first-trial", new, None),
    )
    for scene, observation, grasp in scenes:
        for name, grasper in learned(graspers).items():
            picture = _seen(grasper, observation, grasp)
            save_png(out / HEAT / f"{scene}-{name}.png", picture)
            told = _told(name, grasper) if grasp else f"{name}, in the first new scene."
            figures.append(Figure(picture, told))
    return tuple(figures)


def save_skill(
    graspers: Mapping[str, Grasper], lesson: Lesson, weights: str, out: Path
) -> Path | None:
    """Saves what the first taught net has learnt as ``out``/skill, and returns its place."""
    taught = next((g for n, g in learned(graspers).items() if n != UNTAUGHT), None)
    if taught is None:
        return None
    from grasplearn.skill import Skill  # with torch, which controls do without

    skill = Skill.of(taught.taught, taught.pretrained, weights, taught.seed)
    skill.save(out / SKILL, lesson=lesson, replace=True)
    return out / SKILL


def _seen(grasper: LearnedGrasper, observation: Observation, shown: Grasp | None) -> Frame:
    try:
        prediction = grasper.taught.predict(observation)
    except NoGraspError:
        return draw_grasps(observation, [])
    predicted = None if shown else prediction.grasp
    return heat_picture(
        observation, prediction.quality, shown=shown, predicted=predicted, caption=None
    )


def _told(name: str, grasper: LearnedGrasper) -> str:
    """How a net was taught, for a person."""
    taught = grasper.taught
    if name == UNTAUGHT:
        return f"{name}: it has not seen the demonstration."
    if taught.report is None:
        return f"{name}: taught in {taught.seconds:.2f} s."
    losses = taught.report.losses
    told = (
        f"{name}: taught in {taught.seconds:.1f} s, {len(losses)} steps of fine-tuning, loss "
        f"{losses[0]:.2f} to {losses[-1]:.2f}."
    )
    return f"{told} Note: {taught.warning}." if taught.warning else told
