"""The arm's kinematics: it reaches the workspace, says so where it does not, keeps its limits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasplearn.geometry import HEIGHTMAP_SPAN, WORKSPACE_CENTER
from grasplearn.sim.arrange import TARGET_REACH
from grasplearn.sim.robot import (
    ARM_JOINTS,
    FINGER_JOINTS,
    GRASP_LINK,
    LOWER,
    PARKED,
    READY,
    UPPER,
    Kinematics,
)
from grasplearn.sim.world import APPROACH_DISTANCE, LIFT_DISTANCE, World
from grasplearn.types import MAX_WIDTH, Array, Grasp

YAWS = np.linspace(-np.pi / 2, np.pi / 2, 8, endpoint=False)


@pytest.fixture(scope="module")
def kinematics() -> Iterator[Kinematics]:
    made = Kinematics()
    yield made
    made.close()


def forward(kinematics: Kinematics, q: Array) -> tuple[Array, Rotation]:
    """Where the pads' middle is for joint angles: position and the link's rotation."""
    client, arm = kinematics._client, kinematics._arm
    for joint, angle in zip(ARM_JOINTS, q, strict=True):
        client.resetJointState(arm, joint, angle)
    state = client.getLinkState(arm, GRASP_LINK, computeForwardKinematics=True)
    return np.array(state[4]), Rotation.from_quat(state[5])


def either_way(kinematics: Kinematics, T: Array) -> tuple[Array, Array]:
    """Solves a pose or, where the wrist cannot turn that far, the jaws turned by half a turn."""
    for pose in (T, T @ np.diag([-1.0, -1, 1, 1])):
        q = kinematics.solve(pose)
        if q is not None:
            return q, pose
    raise AssertionError(f"neither way round is {T[:3, 3]} reached")


def test_the_joint_limits_are_those_of_the_arm_s_file(kinematics: Kinematics) -> None:
    client, arm = kinematics._client, kinematics._arm
    told = np.array([client.getJointInfo(arm, j)[8:10] for j in ARM_JOINTS])
    assert np.abs(told[:, 0] - LOWER).max() < 1e-3 and np.abs(told[:, 1] - UPPER).max() < 1e-3
    stroke = sum(client.getJointInfo(arm, j)[9] for j in FINGER_JOINTS)
    assert stroke == pytest.approx(MAX_WIDTH)
    for posture in (READY, PARKED):
        assert (posture > LOWER).all() and (posture < UPPER).all()


def test_the_jaws_close_along_the_grasp_s_x(kinematics: Kinematics) -> None:
    """Found from the fingers themselves, not from the frames that are told."""
    client, arm = kinematics._client, kinematics._arm
    for yaw in YAWS:
        grasp = Grasp((0.5, 0.05, 0.1), yaw, 0.05)
        q, _ = either_way(kinematics, grasp.T_world_grasp)
        forward(kinematics, q)
        places = []
        for finger in FINGER_JOINTS:
            client.resetJointState(arm, finger, 0.04)
            places.append(client.getLinkState(arm, finger, computeForwardKinematics=True)[0])
        closing = np.subtract(*np.array(places))
        along = closing[:2] / np.linalg.norm(closing)
        assert abs(along @ [np.cos(yaw), np.sin(yaw)]) == pytest.approx(1, abs=1e-3)
        assert np.mean(places, axis=0)[:2] == pytest.approx((0.5, 0.05), abs=2e-3)


def test_a_solution_reaches_its_pose_within_the_limits(kinematics: Kinematics) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        xy = np.array(WORKSPACE_CENTER) + rng.uniform(-0.2, 0.2, 2)
        T = Grasp((*xy, rng.uniform(0.01, 0.3)), rng.uniform(-2, 2), 0.05).T_world_grasp
        q, T = either_way(kinematics, T)
        assert (q >= LOWER).all() and (q <= UPPER).all()
        position, rotation = forward(kinematics, q)
        assert np.abs(position - T[:3, 3]).max() < 1e-3
        # The approach axis of the grasp is the link's own.
        assert rotation.apply([0, 0, 1]) == pytest.approx(T[:3, 2], abs=0.011)


def test_solving_does_not_depend_on_what_was_solved_before(kinematics: Kinematics) -> None:
    T = Grasp((0.55, 0.1, 0.05), 0.7, 0.05).T_world_grasp
    first = kinematics.solve(T)
    for x in (0.3, 0.7):
        kinematics.solve(Grasp((x, -0.2, 0.2), -1.0, 0.05).T_world_grasp)
    again = kinematics.solve(T)
    assert first is not None and again is not None and np.array_equal(first, again)


@pytest.mark.parametrize("height", [0.01, 0.12])
def test_every_place_where_objects_stand_is_reached_at_every_yaw(
    world: World, height: float
) -> None:
    """Approach from above, lift and shake included."""
    offsets = np.linspace(-TARGET_REACH - 0.04, TARGET_REACH + 0.04, 4)
    for dx in offsets:
        for dy in offsets:
            for yaw in YAWS:
                center = (WORKSPACE_CENTER[0] + dx, WORKSPACE_CENTER[1] + dy, height)
                assert world.reachable(Grasp(center, yaw, 0.05)), (center, yaw)


def test_the_corners_of_the_heightmap_are_reached_near_the_table(world: World) -> None:
    half = HEIGHTMAP_SPAN / 2
    for dx in (-half, half):
        for dy in (-half, half):
            for yaw in YAWS:
                center = (WORKSPACE_CENTER[0] + dx, WORKSPACE_CENTER[1] + dy, 0.01)
                assert world.reachable(Grasp(center, yaw, 0.05)), (center, yaw)


@pytest.mark.parametrize(
    "center", [(1.2, 0.0, 0.1), (0.5, 0.9, 0.1), (0.5, 0.0, 0.9), (-0.6, 0.0, 0.1), (0, 0, 0.05)]
)
def test_what_is_out_of_reach_is_said_to_be(
    world: World, kinematics: Kinematics, center: tuple[float, float, float]
) -> None:
    grasp = Grasp(center, 0.3, 0.05)
    assert kinematics.solve(grasp.T_world_grasp) is None
    assert not world.reachable(grasp)


def test_a_path_is_smooth_and_straight(kinematics: Kinematics) -> None:
    T = Grasp((0.5, 0.1, 0.03), 0.4, 0.05).T_world_grasp
    poses = []
    for s in np.linspace(APPROACH_DISTANCE + LIFT_DISTANCE, 0, 12):
        poses.append(T.copy())
        poses[-1][2, 3] += s
    path = kinematics.path(poses)
    assert path is not None
    assert np.abs(np.diff(path, axis=0)).max() < 0.25
    halfway = [(a + b) / 2 for a, b in pairwise(path)]
    for q in halfway:
        position, rotation = forward(kinematics, q)
        assert np.linalg.norm(position[:2] - T[:2, 3]) < 0.002
        assert rotation.apply([0, 0, 1]) == pytest.approx([0, 0, -1], abs=0.02)
    assert kinematics.path([*poses, np.array(Grasp((2, 0, 0), 0, 0.05).T_world_grasp)]) is None
