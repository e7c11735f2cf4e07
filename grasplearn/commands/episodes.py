"""``grasplearn episodes``: trials of an evaluation over time, in the forms of other tools."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grasplearn.commands.common import Report, names, progress, write_figures
from grasplearn.commands.replay import replay
from grasplearn.config_evaluation import Episodes
from grasplearn.errors import GraspLearnError, InvalidValueError, UnknownNameError
from grasplearn.results import Row
from grasplearn.runs import Run, read_run
from grasplearn.show.episode import JOINTS, Episode
from grasplearn.show.lerobot import write_lerobot
from grasplearn.show.rerun_file import write_rerun
from grasplearn.show.style import Frame
from grasplearn.sim.robot import ARM_JOINTS, FINGER_JOINTS
from grasplearn.sim.viewer import Recorder, side_camera
from grasplearn.sim.world import World

SIZE = (320, 240)
# Of the world's 30 calls per simulated second every third: 10 pictures a second.
EVERY, FPS = 3, 10
MOVING = (*ARM_JOINTS, *FINGER_JOINTS)
assert len(MOVING) == len(JOINTS)


def run(options: Episodes) -> None:
    if options.lerobot is None and options.rerun is None:
        raise InvalidValueError("say what to write: --lerobot DIR, --rerun FILE, or both")
    if options.most < 1:
        raise InvalidValueError(f"most must be at least 1, got {options.most}")
    evaluated = read_run(options.run)
    methods = evaluated.methods
    if options.methods is not None:
        methods = names(options.methods, evaluated.methods)
        for name in methods:
            if name not in evaluated.methods:
                raise UnknownNameError("method of this run", name, evaluated.methods)
    rows = [row for row in evaluated.rows if row["method"] in methods and row["grasp"]]
    rows = rows[: options.most]
    written = 0
    with progress(options.quiet) as report:
        if options.lerobot is not None:
            written = write_lerobot(options.lerobot, _episodes(evaluated, rows, report))
        if options.rerun is not None:
            written = write_rerun(options.rerun, _episodes(evaluated, rows, report))
    places = [str(place) for place in (options.lerobot, options.rerun) if place]
    print(f"{written} episodes: {', '.join(places)}")
    write_figures(options.json, {"episodes": written, "written": places})


def _episodes(evaluated: Run, rows: list[Row], report: Report) -> Iterator[Episode]:
    """The trials once more, one at a time; those that cannot be set up again are left out."""
    for count, row in enumerate(rows):
        report("episodes", count, len(rows))
        try:
            yield _episode(evaluated, row)
        except GraspLearnError:
            continue
    report("episodes", len(rows), len(rows))


def _episode(evaluated: Run, row: Row) -> Episode:
    seen = replay(evaluated, row)
    assert seen.predicted is not None
    frames: list[Frame] = []
    states: list[list[float]] = []
    phases: list[str] = []
    calls = 0
    recorder = Recorder(seen.world.catalogue, lambda frame, phase: None, side_camera(SIZE))

    def keep(world: World, phase: str) -> None:
        nonlocal calls
        if calls % EVERY == 0:
            frames.append(recorder.frame(world))
            positions = world.joint_positions
            states.append([positions[joint] for joint in MOVING])
            phases.append(phase)
        calls += 1

    try:
        seen.execute(keep)
    finally:
        recorder.close()
    category = row["category"].replace("_", " ")
    part = seen.lesson.part.replace("_", " ")
    return Episode(
        task=f"grasp the {category} at its {part}, as it was shown once, and lift it",
        row=row,
        observation=seen.observation,
        demonstrated=seen.lesson.demonstration.observation,
        predicted=seen.predicted,
        frames=frames,
        states=np.array(states, np.float64).reshape(-1, len(MOVING)),
        phases=phases,
        fps=FPS,
    )
