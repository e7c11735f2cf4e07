"""Every tier's scenes meet what the tier promises, and the same seed draws the same scene."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from conftest import Lessons
from scipy.spatial.transform import Rotation

from grasplearn.errors import SceneError
from grasplearn.geometry import WORKSPACE_CENTER, project, transform
from grasplearn.lessons import scene_to_dict
from grasplearn.sim.arrange import (
    HAND_CLEARANCE,
    MARGIN,
    NEIGHBOUR_REACH,
    TARGET_GAP,
    Wish,
    free_grasps,
    hidden_from,
)
from grasplearn.sim.camera import CAMERA_HEIGHT
from grasplearn.sim.demonstrator import equal_grasps, kin_pose
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.scenes import sample_camera, sample_scene
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene, trial_seed
from grasplearn.types import SPLITS, Camera, Lesson, SceneSpec

# Long, round and tall, curved, hollow; one of them of the test split.
TAUGHT = ("hammer_00", "can_00", "banana_06", "cup_00")
SCENES = 2


@pytest.fixture(scope="module")
def draw(world: World, catalogue: Catalogue, lessons: Lessons):  # type: ignore[no-untyped-def]
    """(tier, object, number) -> lesson and scene, drawn as an evaluation draws it."""

    @cache
    def drawn(tier: str, object_id: str, number: int) -> tuple[Lesson, SceneSpec]:
        lesson = lessons(object_id, TIERS[tier].look_alike)
        others = catalogue.neighbours_of(object_id)
        seed = trial_seed(0, tier, object_id, 0, number)
        return lesson, trial_scene(world, lesson, tier, others, seed)

    return drawn


every_tier = pytest.mark.parametrize("tier", TIERS)
every_object = pytest.mark.parametrize("object_id", TAUGHT)
numbers = range(SCENES)


@every_tier
@every_object
def test_nothing_overlaps_and_all_stands_inside(
    world: World, catalogue: Catalogue, draw, tier: str, object_id: str
) -> None:
    for number in numbers:
        _, scene = draw(tier, object_id, number)
        world.reset(scene)
        count = len(scene.objects)
        for a in range(count):
            # The object's own surface: bullet's boxes about what is tilted are generous.
            model = catalogue.get(scene.objects[a].object_id)
            scaled = model.surface.points * scene.objects[a].scale
            points = transform(world.T_world_object(a), scaled)
            low, high = points.min(axis=0), points.max(axis=0)
            reach = NEIGHBOUR_REACH + MARGIN
            assert (low[:2] > np.array(WORKSPACE_CENTER) - reach).all()
            assert (high[:2] < np.array(WORKSPACE_CENTER) + reach).all()
            assert low[2] > -0.003 and high[2] < 0.45
            for b in range(a):
                assert world.distance(a, b, 0.02) >= -0.001, (number, a, b)


@every_tier
@every_object
def test_the_scene_rests(world: World, draw, tier: str, object_id: str) -> None:
    _, scene = draw(tier, object_id, 0)
    world.reset(scene)
    world.step(240)
    for pose, told in zip(world.poses(), scene.objects, strict=True):
        assert np.linalg.norm(np.subtract(pose[0], told.position)) < 0.004


@pytest.mark.parametrize("tier", [name for name in TIERS if not TIERS[name].other_member])
@every_object
def test_the_hand_has_room_for_a_correct_grasp(
    world: World, catalogue: Catalogue, draw, tier: str, object_id: str
) -> None:
    for number in numbers:
        lesson, scene = draw(tier, object_id, number)
        world.reset(scene)
        poses = equal_grasps(catalogue.get(object_id), lesson.T_object_grasp)
        wish = Wish(
            catalogue.get(object_id),
            lesson.pose_index,
            (),
            None,
            poses,
            lesson.demonstration.grasp.width,
        )
        free = free_grasps(world, wish)
        assert free and any(world.reachable(g) for g in free)
        assert all(world.clearance(g) > HAND_CLEARANCE for g in free)


@every_tier
@every_object
def test_what_is_hidden_is_told_and_within_the_tier_s_range(
    world: World, draw, tier: str, object_id: str
) -> None:
    low, high = TIERS[tier].hidden
    for number in numbers:
        _, scene = draw(tier, object_id, number)
        assert low <= scene.hidden <= high
        assert hidden_from(world, scene.objects, scene.camera) == pytest.approx(
            scene.hidden, abs=1e-4
        )


@every_tier
@every_object
def test_the_whole_taught_object_is_in_the_picture(
    world: World, catalogue: Catalogue, draw, tier: str, object_id: str
) -> None:
    for number in numbers:
        _, scene = draw(tier, object_id, number)
        world.reset(scene)
        points = catalogue.get(scene.objects[0].object_id).surface.points
        pixels = project(scene.camera, transform(world.T_world_object(0), points))
        assert (pixels > 0).all()
        assert (pixels < [scene.camera.width - 1, scene.camera.height - 1]).all()


@every_tier
@every_object
def test_no_object_comes_from_another_split(
    catalogue: Catalogue, draw, tier: str, object_id: str
) -> None:
    split = catalogue.split_of(object_id)
    for number in numbers:
        lesson, scene = draw(tier, object_id, number)
        for shown in (lesson.scene, scene):
            assert {catalogue.split_of(o.object_id) for o in shown.objects} == {split}


@pytest.mark.parametrize("split", SPLITS)
def test_neighbours_are_of_the_same_split_and_another_category(
    catalogue: Catalogue, split: str
) -> None:
    """Over the whole catalogue, so that no test object is ever trained on as a neighbour."""
    for model in catalogue.select(split=split):
        others = catalogue.neighbours_of(model.object_id)
        assert {catalogue.split_of(o.object_id) for o in others} == {split}
        assert model.category not in {o.category for o in others}
        assert len({o.category for o in others}) >= 3


# -- one tier's own promise each ---------------------------------------------------------------


@every_object
def test_same_shows_the_object_beside_others_apart(world: World, draw, object_id: str) -> None:
    for number in numbers:
        _, scene = draw("same", object_id, number)
        assert scene.objects[0].object_id == object_id
        assert 2 <= len(scene.objects) - 1 <= TIERS["same"].neighbours
        world.reset(scene)
        for other in range(1, len(scene.objects)):
            assert world.distance(0, other, 0.1) > TARGET_GAP - 0.012


@every_object
def test_clutter_touches(world: World, draw, object_id: str) -> None:
    for number in numbers:
        _, scene = draw("clutter", object_id, number)
        assert scene.objects[0].object_id == object_id
        world.reset(scene)
        nearest = min(world.distance(0, i, 0.05) for i in range(1, len(scene.objects)))
        assert nearest < 0.01, "no neighbour touches it"


def test_clutter_hides_what_can_be_hidden(draw) -> None:
    """Little can hide a tall thing from above: at least half of all scenes."""
    hidden = [draw("clutter", o, n)[1].hidden for o in TAUGHT for n in numbers]
    assert np.mean(np.array(hidden) > 0.02) >= 0.5
    assert max(hidden) > 0.1


@every_object
def test_alike_has_the_lesson_s_twin_beside_it(draw, object_id: str) -> None:
    for number in numbers:
        lesson, scene = draw("alike", object_id, number)
        taught, twin = scene.objects[:2]
        shown = lesson.scene.objects[1]
        assert taught.object_id == twin.object_id == shown.object_id == object_id
        assert (taught.scale, taught.hue_shift) == (1.0, 0.0)
        difference = (twin.scale, twin.hue_shift)
        assert difference == (shown.scale, shown.hue_shift) != (1.0, 0.0)
        assert (twin.scale == 1.0) != (twin.hue_shift == 0.0), "one difference, not two"


@every_object
def test_kin_is_another_member_with_the_same_side_up(
    world: World, catalogue: Catalogue, draw, object_id: str
) -> None:
    for number in numbers:
        lesson, scene = draw("kin", object_id, number)
        shown, other = catalogue.get(object_id), catalogue.get(scene.objects[0].object_id)
        assert other.object_id != object_id and other.category == shown.category
        assert catalogue.split_of(other.object_id) == catalogue.split_of(object_id)
        assert lesson.part in other.parts
        pose = other.stable_poses[kin_pose(shown, lesson.pose_index, other)]
        world.reset(scene)
        up_object = Rotation.from_quat(pose.quaternion).inv().apply([0, 0, 1])
        assert world.T_world_object(0)[2, :3] @ up_object > np.cos(np.deg2rad(10.5))


@every_tier
def test_a_tier_s_cameras_are_tilted_and_moved_as_it_says(tier: str) -> None:
    rng = np.random.default_rng(0)
    wanted = TIERS[tier]
    found = np.array([_tilt_and_distance(sample_camera(wanted, rng)) for _ in range(200)])
    tilt, distance = found.T
    assert tilt.min() >= wanted.tilt[0] - 1e-6 and tilt.max() <= wanted.tilt[1] + 1e-6
    assert np.ptp(tilt) > 0.9 * (wanted.tilt[1] - wanted.tilt[0])
    change = distance / CAMERA_HEIGHT - 1
    assert np.abs(change).max() <= wanted.height_change + 1e-6
    assert np.ptp(change) > 1.8 * wanted.height_change


def _tilt_and_distance(camera: Camera) -> tuple[float, float]:
    """Angle of the line of sight from the vertical, and its length to the table."""
    forward, eye = camera.T_world_cam[:3, 2], camera.T_world_cam[:3, 3]
    return float(np.arccos(-forward[2])), float(eye[2] / -forward[2])


def test_what_varies_varies(draw) -> None:
    scenes = [draw("same", o, n)[1] for o in TAUGHT for n in numbers]
    assert len({s.light.direction for s in scenes}) == len(scenes)
    assert len({s.sensor_seed for s in scenes}) == len(scenes)
    assert len({s.table_tint for s in scenes}) == len(scenes)
    assert len({s.table_texture for s in scenes}) > 2
    assert len({s.objects[0].position for s in scenes}) == len(scenes)


# -- seeds -------------------------------------------------------------------------------------


@every_tier
def test_the_seed_is_all_that_a_scene_depends_on(
    world: World, catalogue: Catalogue, draw, tier: str
) -> None:
    lesson, first = draw(tier, "hammer_00", 0)
    others = catalogue.neighbours_of("hammer_00")
    # A new world, which has seen and remembers nothing.
    fresh = World(catalogue)
    try:
        seed = trial_seed(0, tier, "hammer_00", 0, 0)
        again = trial_scene(fresh, lesson, tier, others, seed)
    finally:
        fresh.close()
    assert scene_to_dict(again) == scene_to_dict(first)
    assert again == first
    assert draw(tier, "hammer_00", 1)[1] != first


def test_every_trial_has_a_seed_of_its_own() -> None:
    keys = [
        (run, tier, name, demonstration, trial)
        for run in range(3)
        for tier in TIERS
        for name in TAUGHT
        for demonstration in range(3)
        for trial in range(10)
    ]
    assert len({trial_seed(*key) for key in keys}) == len(keys)


def test_an_impossible_wish_is_refused_in_one_sentence(world: World, catalogue: Catalogue) -> None:
    model = catalogue.get("hammer_00")
    others = catalogue.neighbours_of(model.object_id)
    from_below = np.eye(4)
    wish = Wish(model, 0, others, grasps_object=[from_below])
    with pytest.raises(SceneError, match="hammer_00"):
        sample_scene(world, wish, "same", np.random.default_rng(0))
    with pytest.raises(SceneError, match="look-alike"):
        sample_scene(world, Wish(model, 0, others), "alike", np.random.default_rng(0))
