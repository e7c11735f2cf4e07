"""What a grasp comes to, and by what name it is called."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Lessons
from scenery import placed, scene_of

from grasplearn.errors import SceneError
from grasplearn.geometry import transform
from grasplearn.sim.demonstrator import replay
from grasplearn.sim.judge import judge
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.robot import PARKED
from grasplearn.sim.world import REQUIRED_LIFT, World
from grasplearn.types import Array, Grasp, GraspReport, Lesson, Outcome

OBJECT = "hammer_00"


@pytest.fixture(scope="module")
def lesson(lessons: Lessons) -> Lesson:
    return lessons(OBJECT)


def test_a_world_without_a_scene_says_so(catalogue: Catalogue) -> None:
    fresh = World(catalogue)
    try:
        with pytest.raises(SceneError, match="reset"):
            fresh.observe()
    finally:
        fresh.close()


# -- outcomes ----------------------------------------------------------------------------------


def test_lifted_means_that_the_gripped_point_rose_by_15_cm(world: World, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    world.reset(lesson.scene)
    in_object = transform(np.linalg.inv(world.T_world_object(0)), grasp.center_world)
    assert world.execute(grasp) == GraspReport(Outcome.LIFTED, 0)
    now = transform(world.T_world_object(0), in_object)
    assert now[2] - grasp.center_world[2] >= REQUIRED_LIFT - 0.003
    # What was not grasped stayed on the table.
    for index, told in enumerate(lesson.scene.objects[1:], 1):
        assert abs(world.poses()[index][0][2] - told.position[2]) < 0.03


@pytest.mark.parametrize("direction", [0.0, np.pi / 2])
def test_beside_the_object_is_missed(world: World, catalogue: Catalogue, direction: float) -> None:
    world.reset(scene_of(placed(catalogue, OBJECT, 0.4, -0.08)))
    report = world.execute(Grasp((0.55, 0.1, 0.03), direction, 0.05))
    assert report == GraspReport(Outcome.MISSED)
    assert np.allclose(world.poses()[0][0][:2], (0.4, -0.08), atol=1e-3)


def test_above_the_object_is_missed(world: World, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    world.reset(lesson.scene)
    above = grasp.center_world + np.array([0, 0, 0.1])
    assert world.execute(Grasp(above, grasp.yaw, grasp.width)).outcome is Outcome.MISSED


def test_a_neighbour_in_the_hand_is_told_by_its_index(
    world: World, catalogue: Catalogue, lessons: Lessons
) -> None:
    """Lifting another than the taught object: the report names it, the judge calls it wrong."""
    lesson = lessons("can_00")
    taught, shown = catalogue.get("can_00"), lesson.scene.objects[0]
    beside = placed(catalogue, OBJECT, shown.position[0], -0.19 if shown.position[1] > 0 else 0.19)
    scene = scene_of(beside, shown)
    world.reset(scene)
    report = world.execute(lesson.demonstration.grasp)
    assert report == GraspReport(Outcome.LIFTED, 1)
    verdict = judge(lesson, taught, scene, lesson.demonstration.grasp, report)
    assert verdict.outcome is Outcome.WRONG_OBJECT
    assert not verdict.success and not verdict.lifted


@pytest.mark.parametrize("center", [(0.95, 0.3, 0.05), (0.5, 0.0, 0.75), (0.1, 0.0, 0.05)])
def test_out_of_reach_is_unreachable_and_moves_nothing(
    world: World, lesson: Lesson, center: tuple[float, float, float]
) -> None:
    world.reset(lesson.scene)
    before = world.poses()
    assert world.execute(Grasp(center, 0, 0.05)) == GraspReport(Outcome.UNREACHABLE)
    assert world.poses() == before and np.allclose(world.joint_positions[:7], PARKED)


def test_coming_down_onto_something_is_a_collision(world: World, catalogue: Catalogue) -> None:
    """Jaws that are all but closed come down on a box, and go for a place far below its top."""
    world.reset(scene_of(placed(catalogue, "box_00", 0.5, 0.0)))
    assert world.bounds(0)[1][2] > 0.03
    report = world.execute(Grasp((0.5, 0.0, 0.01), 0.3, 0.01))
    assert report == GraspReport(Outcome.COLLIDED, 0)


@pytest.mark.parametrize("object_id", ["box_00", "box_02", "padlock_00", "toy_car_00"])
def test_nothing_is_pushed_into_the_table(
    world: World, catalogue: Catalogue, object_id: str
) -> None:
    """What the hand cannot span it collides with, whichever way it comes down on its middle."""
    for width in (0.006, 0.02):
        for yaw in (0.3, 1.2):
            world.reset(scene_of(placed(catalogue, object_id, 0.5, 0.0)))
            at_rest = world.poses()[0][0][2]
            deepest = [at_rest]

            def watch(watched: World, phase: str, deepest: list[float] = deepest) -> None:
                deepest.append(watched.poses()[0][0][2])

            report = world.execute(Grasp((0.5, 0.0, 0.01), yaw, width), watch)
            assert report.outcome is not Outcome.LIFTED
            assert min(deepest) > at_rest - 0.008
            assert report == GraspReport(Outcome.COLLIDED, 0), (width, yaw)


def test_a_tall_thing_that_is_run_into_is_a_collision(world: World, catalogue: Catalogue) -> None:
    world.reset(scene_of(placed(catalogue, "can_00", 0.5, 0.0)))
    assert world.bounds(0)[1][2] > 0.1, "the can must stand"
    for width in (0.006, 0.03):
        world.reset(scene_of(placed(catalogue, "can_00", 0.5, 0.0)))
        assert world.execute(Grasp((0.5, 0.0, 0.04), 0.3, width)).outcome is Outcome.COLLIDED


def test_into_the_table_is_a_collision(world: World, catalogue: Catalogue) -> None:
    world.reset(scene_of(placed(catalogue, "can_00", 0.4, 0.1)))
    report = world.execute(Grasp((0.55, -0.1, -0.03), 0.3, 0.05))
    assert report == GraspReport(Outcome.COLLIDED, None)


def test_a_slippery_object_slips(world: World, lesson: Lesson) -> None:
    grasp = lesson.demonstration.grasp
    world.reset(lesson.scene)
    client = world._client
    arm = world._arm
    assert arm is not None
    for body, links in ((world._bodies[0].id, (-1,)), (arm.body, (9, 10))):
        for link in links:
            client.changeDynamics(
                body, link, lateralFriction=0.004, spinningFriction=0, rollingFriction=0
            )
    report = world.execute(grasp)
    assert report.outcome is not Outcome.LIFTED
    assert report.outcome in (Outcome.SLIPPED, Outcome.MISSED)
    assert world.poses()[0][0][2] < 0.1


def test_what_is_lost_on_the_way_up_has_slipped(world: World, lesson: Lesson) -> None:
    """It is pushed out of the hand while it is held: the report is about the end."""
    grasp = lesson.demonstration.grasp

    def push(watched: World, phase: str) -> None:
        if phase == "hold":
            body = watched._bodies[0].id
            at = watched.poses()[0][0]
            client = watched._client
            client.applyExternalForce(body, -1, [0, 0, -400], at, client.WORLD_FRAME)

    world.reset(lesson.scene)
    assert world.execute(grasp, push) == GraspReport(Outcome.SLIPPED, 0)


def test_a_heavier_object_is_not_lifted_by_its_end(world: World, lesson: Lesson) -> None:
    """The hand's strength is finite: fifty times the mass is too much for it."""
    world.reset(lesson.scene)
    body = world._bodies[0].id
    mass = world._client.getDynamicsInfo(body, -1)[0]
    world._client.changeDynamics(body, -1, mass=50 * mass)
    assert world.execute(lesson.demonstration.grasp).outcome is not Outcome.LIFTED


def test_the_ghost_of_the_hand_tells_room_from_none(world: World, catalogue: Catalogue) -> None:
    world.reset(scene_of(placed(catalogue, "can_00", 0.5, 0.0)))
    low, high = world.bounds(0)
    across, top = float(high[0] - low[0]), float(high[2])
    room = world.clearance(Grasp((0.5, 0.0, top - 0.02), 0, min(across + 0.024, 0.08)))
    assert 0.004 < room < 0.03
    assert world.clearance(Grasp((0.5, 0.0, top - 0.02), 0, 0.03)) < 0
    assert world.clearance(Grasp((0.5, 0.0, 0.0), 0, 0.08)) < 0  # into the table
    far = world.clearance(Grasp((0.35, 0.2, 0.2), 0, 0.08))
    assert far > 0.04


def test_a_distance_between_objects_is_negative_inside(world: World, catalogue: Catalogue) -> None:
    apart = [placed(catalogue, "can_00", 0.5, 0.0), placed(catalogue, "can_00", 0.5, 0.1)]
    world.build(apart)
    across = float(np.ptp(np.array(world.bounds(0)), axis=0)[1])
    assert world.distance(0, 1) == pytest.approx(0.1 - across, abs=0.006)
    world.place(1, ((0.5, 0.02, apart[1].position[2]), apart[1].quaternion))
    assert world.distance(0, 1) < -0.01


def test_the_demonstrator_reaches_what_it_showed(world: World, lesson: Lesson) -> None:
    grasp = replay(world, lesson, lesson.scene, np.random.default_rng(0))
    assert grasp is not None
    assert np.linalg.norm(grasp.center_world - lesson.demonstration.grasp.center_world) < 1e-3


def test_bounds_hold_the_object_s_surface(world: World, catalogue: Catalogue) -> None:
    world.reset(scene_of(placed(catalogue, OBJECT, 0.5, 0.05)))
    points: Array = transform(world.T_world_object(0), catalogue.get(OBJECT).surface.points)
    low, high = world.bounds(0)
    assert (points.min(axis=0) > low - 0.006).all() and (points.max(axis=0) < high + 0.006).all()
    # Bullet's boxes carry a margin; nearly nothing more.
    assert (high - low < np.ptp(points, axis=0) + 0.02).all()
