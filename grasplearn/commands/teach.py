"""``grasplearn teach``: one demonstration becomes a skill."""

from __future__ import annotations

import sys
from dataclasses import replace

from grasplearn.commands.common import Report, load_objects, progress, write_figures
from grasplearn.commands.own_picture import own_grasp, own_picture
from grasplearn.config import Teach
from grasplearn.edge.budget import choose, parse_bytes, told_bytes
from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.teaching_settings import teaching_of
from grasplearn.library import HEATMAP, check_replaceable, skill_folder
from grasplearn.policies.learned import one_thread, weights_digest
from grasplearn.skill import Skill
from grasplearn.tiers import TIERS
from grasplearn.types import Demonstration, Lesson

MIB = 2**20


def run(options: Teach) -> None:
    folder = skill_folder(options.library, options.name)
    if folder.exists() and not options.force:
        raise InvalidValueError(f"{folder} is there already; choose another name or add --force")
    check_replaceable(folder)
    if options.tier not in TIERS:
        raise UnknownNameError("tier", options.tier, TIERS)
    # What cannot work is told before seconds of work.
    weights_digest([options.rule], options.weights)
    own = teaching_of(load_pretrained(options.weights), options.rule)
    steps = own.steps if options.steps is None else options.steps
    teaching = replace(own, steps=steps, measure_memory=True)
    if options.budget is not None:
        choice = choose(load_pretrained(options.weights), teaching, parse_bytes(options.budget))
        teaching = choice.teaching(teaching)
        print(f"budget {options.budget}: {choice}, which holds {told_bytes(choice.bytes)} at most")
    try:
        with progress(options.quiet) as report, one_thread([options.rule]):
            demonstration, lesson = _demonstration(options, report)
            options.library.mkdir(parents=True, exist_ok=True)
            skill = Skill.teach(
                demonstration,
                teaching,
                weights=options.weights,
                seed=options.seed,
                watch=lambda step, update: report("teaching", step + 1, teaching.steps),
            )
        skill.save(folder, lesson=lesson, replace=options.force)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; no skill was saved") from None
    print("\n".join(_told(skill)))
    if skill.taught.warning:
        print(f"warning: {skill.taught.warning}", file=sys.stderr)
    print(f"skill: {folder}, what it sees: {folder / HEATMAP}")
    write_figures(options.json, {"skill": str(folder), "name": options.name, **skill.card()})


def _demonstration(options: Teach, report: Report) -> tuple[Demonstration, Lesson | None]:
    """The one shot, and for one from the simulator what only judges may know."""
    observation = own_picture(options)
    if options.object is not None and (observation is not None or options.grasp is not None):
        raise InvalidValueError(
            "give --object for the simulator, or a picture of your own with --grasp, not both"
        )
    if observation is not None:
        if options.grasp is None:
            raise InvalidValueError("say with --grasp U,V,YAW_DEG where on the picture to grasp")
        return Demonstration(observation, own_grasp(observation, options.grasp)), None
    if options.object is None:
        raise InvalidValueError(
            "say what is shown: --object ID, or --rgb, --depth, --camera and --grasp"
        )
    from grasplearn.evaluate import make_lesson
    from grasplearn.sim.world import World

    catalogue = load_objects(options.objects, report)
    catalogue.get(options.object)  # an unknown one is told before the simulator starts
    world = World(catalogue)
    try:
        report("demonstration", 0, 1)
        look_alike = TIERS[options.tier].look_alike
        lesson = make_lesson(world, options.object, options.seed, 0, look_alike, options.part)
        report("demonstration", 1, 1)
    finally:
        world.close()
    return lesson.demonstration, lesson


def _told(skill: Skill) -> list[str]:
    """What a person wants to know of the teaching."""
    taught, report = skill.taught, skill.taught.report
    if report is None:
        told = f"taught by {skill.method} in {taught.seconds:.2f} s"
        if taught.missed is not None:
            told += f": the imprint misses {taught.missed:.0%} of samples held out and was kept"
        return [told]
    lines = [
        f"taught by {skill.method}: {len(report.losses)} steps in {report.seconds:.1f} s, "
        f"loss {report.losses[0]:.2f} to {report.losses[-1]:.2f}"
        + ("" if report.peak_bytes is None else f", peak memory {report.peak_bytes / MIB:.0f} MiB")
    ]
    if taught.probe_loss is not None:
        imprinted, refined = taught.probe_loss
        lines.append(
            f"on samples held out: imprinted {imprinted:.2f}, refined {refined:.2f}; kept: "
            f"{taught.kept}"
        )
    return lines
