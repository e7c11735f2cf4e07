"""The one shot: it is on its part, it holds, and it comes back from its files as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Lessons

from grasplearn.errors import DemonstrationError, FileFormatError, UnknownNameError
from grasplearn.geometry import grasp_height, heightmap, invert, transform, yaw_difference
from grasplearn.lessons import PRIVATE, is_complete, load_lesson, save_lesson
from grasplearn.policies import CONTROLS
from grasplearn.sim import grasp_search
from grasplearn.sim.demonstrator import CLEAR, demonstrate, equal_grasps, kin_pose, replay
from grasplearn.sim.grasp_search import find_grasps
from grasplearn.sim.judge import judge, near_part
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.trial import trial_scene
from grasplearn.types import Outcome

# Shared with the tests of scenes: a lesson takes seconds.
SHOWN = ("hammer_00", "cup_00", "banana_06")
every_object = pytest.mark.parametrize("object_id", SHOWN)


@every_object
def test_a_lesson_s_grasp_lies_on_its_part(
    world: World, catalogue: Catalogue, lessons: Lessons, object_id: str
) -> None:
    lesson, model = lessons(object_id), catalogue.get(object_id)
    grasp = lesson.demonstration.grasp
    assert lesson.part in model.graspable
    world.reset(lesson.scene)
    in_object = transform(invert(world.T_world_object(0)), grasp.center_world)
    assert near_part(model, lesson.T_object_grasp, lesson.part, grasp.width)
    assert np.allclose(in_object, lesson.T_object_grasp[:3, 3], atol=1e-6)
    assert np.allclose(
        world.T_world_object(0) @ lesson.T_object_grasp, grasp.T_world_grasp, atol=1e-5
    )


@every_object
@pytest.mark.parametrize("look_alike", [False, True])
def test_a_lesson_is_a_success_by_the_judge_s_own_measure(
    world: World, catalogue: Catalogue, lessons: Lessons, object_id: str, look_alike: bool
) -> None:
    lesson = lessons(object_id, look_alike)
    world.reset(lesson.scene)
    grasp = lesson.demonstration.grasp
    report = world.execute(grasp)
    verdict = judge(lesson, catalogue.get(object_id), lesson.scene, grasp, report)
    assert verdict.success and verdict.position_error == pytest.approx(0, abs=1e-6)
    assert lesson.scene.tier == ("alike" if look_alike else "same")


@every_object
def test_the_picture_is_of_the_scene_before_the_grasp(
    world: World, lessons: Lessons, object_id: str
) -> None:
    lesson = lessons(object_id)
    world.reset(lesson.scene)
    assert world.observe() == lesson.demonstration.observation


@every_object
def test_the_height_is_nearly_what_the_picture_suggests(lessons: Lessons, object_id: str) -> None:
    """The rule by which policies choose a height must fit the grasps they are shown."""
    demonstration = lessons(object_id).demonstration
    grasp = demonstration.grasp
    view = heightmap(demonstration.observation)
    z = grasp_height(view, grasp.center_world[:2], grasp.yaw, grasp.width)
    assert abs(z - grasp.center_world[2]) < 0.012


@every_object
@pytest.mark.parametrize("tier", ["same", "view"])
def test_replays_succeed(
    world: World, catalogue: Catalogue, lessons: Lessons, object_id: str, tier: str
) -> None:
    lesson, model = lessons(object_id), catalogue.get(object_id)
    won = 0
    for seed in range(4):
        scene = trial_scene(world, lesson, tier, catalogue.neighbours_of(model.object_id), seed)
        grasp = replay(world, lesson, scene, np.random.default_rng(0))
        assert grasp is not None and world.scene is scene, "left reset to the scene"
        report = world.execute(grasp)
        verdict = judge(lesson, model, scene, grasp, report)
        assert verdict.on_part
        won += verdict.success
    assert won >= 3


def test_a_part_and_a_pose_can_be_asked_for(world: World, catalogue: Catalogue) -> None:
    model = catalogue.get("hammer_00")
    others = catalogue.neighbours_of(model.object_id)
    for part in model.graspable:
        rng = np.random.default_rng(1)
        lesson = demonstrate(world, model, others, rng, part=part, pose_index=0)
        assert (lesson.part, lesson.pose_index) == (part, 0)


def test_the_same_seed_shows_the_same(world: World, catalogue: Catalogue) -> None:
    model = catalogue.get("can_00")
    others = catalogue.neighbours_of(model.object_id)
    first, again, other = (
        demonstrate(world, model, others, np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    assert first == again and first != other


def test_an_unknown_part_is_refused_with_the_known_ones(world: World, catalogue: Catalogue) -> None:
    model = catalogue.get("hammer_00")
    with pytest.raises(UnknownNameError, match=r"did you mean 'handle'.*head"):
        demonstrate(world, model, (), np.random.default_rng(0), part="handel")


def test_what_cannot_be_spanned_has_no_demonstration(
    world: World, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grasp_search, "MAX_CONTACT_WIDTH", 0.0005)
    model = catalogue.get("hammer_00")
    with pytest.raises(DemonstrationError, match=r"hammer_00 \(.*graspable parts are: handle"):
        demonstrate(world, model, (), np.random.default_rng(0))


def test_a_demonstration_keeps_clear_of_other_parts_where_it_can(
    world: World, catalogue: Catalogue
) -> None:
    leads = {}
    # Every part of the box is within a cell of another, at the height at which it is grasped.
    for name in ("brush_04", "can_04", "box_04"):
        model = catalogue.get(name)
        for seed in range(3):
            others = catalogue.neighbours_of(name)
            rng = np.random.default_rng(seed)
            lesson = demonstrate(world, model, others, rng, sensor=False)
            leads[name, seed] = model.lead(lesson.T_object_grasp[:3, 3], lesson.part)
    assert min(leads.values()) > 0, "each on the part that it names"
    assert all(lead > CLEAR for (name, _), lead in leads.items() if name != "box_04"), leads


def test_a_found_grasp_closes_on_opposite_faces(world: World, catalogue: Catalogue) -> None:
    model = catalogue.get("banana_06")
    part = model.graspable[0]
    found = list(find_grasps(world, model, 0, part, np.random.default_rng(0)))
    assert len(found) >= 10
    for way in found:
        T = way.T_object_grasp
        offset = model.surface.points - T[:3, 3]
        along, across = offset @ T[:3, 0], offset @ T[:3, 1]
        # The surface between the jaws ends on both sides before the pads do.
        between = along[(np.abs(across) < 0.009) & (np.abs(offset @ T[:3, 2]) < 0.007)]
        between = between[np.abs(between) < way.grasp.width / 2 + 0.01]
        assert between.min() < -0.001 and between.max() > 0.001
        assert np.abs(between).max() < way.grasp.width / 2
        assert model.part_at(T[:3, 3]) == part


def test_equal_grasps_keep_the_grasp_itself_first(catalogue: Catalogue, lessons: Lessons) -> None:
    lesson = lessons("cup_00")
    places = equal_grasps(catalogue.get("cup_00"), lesson.T_object_grasp)
    assert np.array_equal(places[0], lesson.T_object_grasp)
    heights = [T[2, 3] for T in places]
    assert np.ptp(heights) < 1e-9


def test_a_kin_lies_as_the_shown_one_does(catalogue: Catalogue) -> None:
    for category in ("hammer", "mug", "bottle", "pan"):
        shown = catalogue.get(f"{category}_00")
        for index in range(len(shown.stable_poses)):
            assert kin_pose(shown, index, shown) == index


# -- files -------------------------------------------------------------------------------------


@every_object
@pytest.mark.parametrize("look_alike", [False, True])
def test_a_lesson_comes_back_from_its_files_to_the_last_bit(
    lessons: Lessons, tmp_path: Path, object_id: str, look_alike: bool
) -> None:
    lesson = lessons(object_id, look_alike)
    assert not is_complete(tmp_path)
    save_lesson(tmp_path, lesson)
    assert is_complete(tmp_path)
    back = load_lesson(tmp_path)
    assert back.demonstration.observation.rgb.tobytes() == (
        lesson.demonstration.observation.rgb.tobytes()
    )
    assert back.demonstration.observation.depth.tobytes() == (
        lesson.demonstration.observation.depth.tobytes()
    )
    assert back == lesson


@pytest.mark.parametrize("method", CONTROLS)
def test_a_policy_learns_the_same_from_the_files(
    world: World, catalogue: Catalogue, lessons: Lessons, tmp_path: Path, method: str
) -> None:
    lesson = lessons("hammer_00")
    save_lesson(tmp_path, lesson)
    others = catalogue.neighbours_of("hammer_00")
    world.reset(trial_scene(world, lesson, "same", others, 1))
    seen = world.observe()
    grasps = [
        CONTROLS[method]().teach(shown, np.random.default_rng(0))(seen)
        for shown in (lesson.demonstration, load_lesson(tmp_path).demonstration)
    ]
    assert grasps[0] == grasps[1]
    assert yaw_difference(grasps[0].yaw, grasps[1].yaw) == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"object_id": "a"}'])
def test_a_broken_lesson_is_refused_by_name(lessons: Lessons, tmp_path: Path, content: str) -> None:
    save_lesson(tmp_path, lessons("hammer_00"))
    (tmp_path / PRIVATE).write_text(content)
    with pytest.raises(FileFormatError, match=PRIVATE):
        load_lesson(tmp_path)


def test_a_replay_is_lifted_only_if_physics_says_so(world: World, lessons: Lessons) -> None:
    """The ceiling is executed like anyone's grasp: on a slippery object it fails, too."""
    lesson = lessons("hammer_00")
    grasp = replay(world, lesson, lesson.scene, np.random.default_rng(0))
    assert grasp is not None
    for link in (9, 10):
        world._client.changeDynamics(world._arm.body, link, lateralFriction=0.004)
    world._client.changeDynamics(world._bodies[0].id, -1, lateralFriction=0.004)
    assert world.execute(grasp).outcome is not Outcome.LIFTED
