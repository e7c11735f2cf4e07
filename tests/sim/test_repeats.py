"""The same scene and grasp give the same bytes: again, elsewhere, and whoever watches."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from conftest import Lessons
from scenery import placed, scene_of

from grasplearn.errors import DisplayError
from grasplearn.lessons import scene_to_dict
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.viewer import Recorder, Window
from grasplearn.sim.world import HOLD_TIME, REQUIRED_LIFT, World
from grasplearn.types import Grasp, GraspReport, Lesson, Outcome, SceneSpec

Call = tuple[str, tuple[float, ...]]


@pytest.fixture(scope="module")
def lesson(lessons: Lessons) -> Lesson:
    return lessons("hammer_00")


def everything(world: World, scene: SceneSpec, grasp: Grasp) -> tuple[Any, ...]:
    """All that a trial leaves, to the last bit."""
    world.reset(scene)
    seen = world.observe()
    before = world.poses()
    report = world.execute(grasp)
    return (
        seen.rgb.tobytes(),
        seen.depth.tobytes(),
        before,
        report,
        world.poses(),
        tuple(world.joint_positions),
    )


# -- the same again ----------------------------------------------------------------------------


def test_a_reset_repeats_everything_to_the_last_bit(
    world: World, lesson: Lesson, lessons: Lessons
) -> None:
    grasp = lesson.demonstration.grasp
    first = everything(world, lesson.scene, grasp)
    assert first[3] == GraspReport(Outcome.LIFTED, 0)
    assert everything(world, lesson.scene, grasp) == first
    # Other things happen in between: another scene, a grasp broken off, a ghost of the hand.
    other = lessons("can_00")
    everything(world, other.scene, other.demonstration.grasp)
    world.reset(lesson.scene)
    world.clearance(grasp)
    world.step(50)
    world.execute(Grasp((2.0, 0, 0), 0, 0.05))
    assert everything(world, lesson.scene, grasp) == first


def test_even_a_crash_repeats_to_the_last_bit(
    world: World, catalogue: Catalogue, lesson: Lesson
) -> None:
    """Things knocked over are the most sensitive to any difference."""
    cans = [placed(catalogue, "can_00", 0.46, -0.06 * i) for i in range(2)]
    scene = scene_of(*cans, placed(catalogue, "bottle_00", 0.5, 0.12))
    crash = Grasp((0.46, 0.019, 0.1), 0.0, 0.08)  # the jaws close beside the can's middle
    first = everything(world, scene, crash)
    moved = np.subtract(first[4][0][0], cans[0].position)
    assert np.linalg.norm(moved) > 0.02, "nothing was knocked over"
    everything(world, lesson.scene, lesson.demonstration.grasp)
    assert everything(world, scene, crash) == first


def test_a_new_world_gives_the_same(world: World, catalogue: Catalogue, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    fresh = World(catalogue)
    try:
        assert everything(fresh, lesson.scene, grasp) == everything(world, lesson.scene, grasp)
    finally:
        fresh.close()


_ELSEWHERE = """
import json, sys
from zlib import crc32
from grasplearn.lessons import scene_from_dict
from grasplearn.sim.judge import judge
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.types import Grasp
scene, grasp = json.load(sys.stdin)
world = World(Catalogue.builtin())
world.reset(scene_from_dict(scene))
seen = world.observe()
report = world.execute(Grasp.from_dict(grasp))
pictures = [crc32(seen.rgb.tobytes()), crc32(seen.depth.tobytes())]
print(json.dumps([pictures, report.outcome.value, world.poses()]))
"""


def test_another_process_gives_the_same(world: World, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    told = json.dumps([scene_to_dict(lesson.scene), grasp.to_dict()])
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE], input=told, capture_output=True, text=True, check=True
    )
    assert done.stderr == "", "bullet's chatter came through"
    pictures, outcome, poses = json.loads(done.stdout)
    here = everything(world, lesson.scene, grasp)
    assert pictures == [crc32(here[0]), crc32(here[1])]
    assert (outcome, poses) == (here[3].outcome.value, json.loads(json.dumps(here[4])))


def test_what_was_drawn_stands_where_it_was_written_down(world: World, lesson: Lesson) -> None:
    """And stays there: a scene is settled before it is shown."""
    world.reset(lesson.scene)
    for pose, told in zip(world.poses(), lesson.scene.objects, strict=True):
        assert np.abs(np.subtract(pose[0], told.position)).max() < 1e-7  # bullet tells floats
        assert abs(np.dot(pose[1], told.quaternion)) == pytest.approx(1, abs=1e-6)
    world.step(240)
    for pose, told in zip(world.poses(), lesson.scene.objects, strict=True):
        assert np.linalg.norm(np.subtract(pose[0], told.position)) < 0.002


# -- who watches changes nothing ---------------------------------------------------------------


def test_watching_changes_nothing(world: World, catalogue: Catalogue, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    unwatched = everything(world, lesson.scene, grasp)
    frames: list[tuple[str, float]] = []
    recorder = Recorder(
        catalogue, lambda frame, phase: frames.append((phase, float(frame.mean()))), every=12
    )
    heights: list[float] = []

    def watch(watched: World, phase: str) -> None:
        heights.append(watched.poses()[0][0][2])
        if len(heights) % 20 == 0:
            watched.observe()
        recorder(watched, phase)

    try:
        world.reset(lesson.scene)
        report = world.execute(grasp, watch)
    finally:
        recorder.close()
    assert (report, world.poses(), tuple(world.joint_positions)) == unwatched[3:]
    assert {phase for phase, _ in frames} == {"approach", "close", "lift", "hold", "shake"}
    assert len({mean for _, mean in frames}) > 5, "the film stands still"
    assert max(heights) - heights[0] > REQUIRED_LIFT - 0.03


def calls_during(world: World, lesson: Lesson) -> list[Call]:
    calls: list[Call] = []

    def watch(watched: World, phase: str) -> None:
        calls.append((phase, watched.poses()[0][0]))

    world.reset(lesson.scene)
    world.execute(lesson.demonstration.grasp, watch)
    return calls


def test_a_film_of_a_grasp_is_the_same_film_each_time(world: World, lesson: Lesson) -> None:
    """Whatever was executed before: frames are counted from the grasp's own start."""
    films = []
    for before in (0, 1, 2):
        for _ in range(before):  # each leaves another count of ticks
            world.reset(lesson.scene)
            world.execute(Grasp((0.5, 0.15, 0.01), 0, 0.02))
        films.append(calls_during(world, lesson))
    assert films[0] == films[1] == films[2]
    assert len(films[0]) == pytest.approx(30 * (1.5 + 0.45 + 0.8 + HOLD_TIME + 1.2), abs=3)


def test_a_watcher_is_let_go_when_a_grasp_ends_early(world: World, lesson: Lesson) -> None:
    calls: list[str] = []
    world.reset(lesson.scene)
    missed = Grasp((0.35, 0.15, 0.05), 0, 0.02)
    world.execute(missed, lambda w, phase: calls.append(phase))
    count = len(calls)
    assert count > 30
    world.reset(lesson.scene)
    world.execute(missed)
    assert len(calls) == count


def test_a_window_without_a_display_is_refused_in_one_sentence(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="needs a display"):
        Window(catalogue)
