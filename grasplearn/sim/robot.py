"""A Franka Panda with its parallel hand: kinematics and motion, nothing about grasps.

The arm is the one in ``pybullet_data`` (Apache 2.0). Its hand closes with 40 N; Franka gives 70 N
as the real hand's continuous force.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.geometry import pose_parts
from grasplearn.sim.client import DATA, Client
from grasplearn.types import MAX_WIDTH, Array

URDF = str(DATA / "franka_panda" / "panda.urdf")
ARM_JOINTS = tuple(range(7))
FINGER_JOINTS = (9, 10)
HAND_LINKS = (8, 9, 10)
GRASP_LINK = 11  # midway between the pads, 0.105 m below the hand's flange
ARM_FORCES = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # N m, the URDF's effort limits
LOWER = np.array([-2.9671, -1.8326, -2.9671, -3.1416, -2.9671, -0.0873, -2.9671])
UPPER = np.array([2.9671, 1.8326, 2.9671, 0.0, 2.9671, 3.8223, 2.9671])
# Elbow up over the middle of the workspace, the jaws closing along world x.
READY = np.array([0.0, -0.25, 0.0, -2.25, 0.0, 2.0, np.pi / 4])
# Turned to the side: nothing of the arm is in any camera's view of the workspace.
PARKED = np.array([-1.75, -0.6, 0.0, -2.4, 0.0, 1.8, np.pi / 4])
CLOSING_FORCE = 40.0
HOLD_SQUEEZE = 0.002  # m past contact: bounds how far the closed jaws drift as a pair
POSITION_TOLERANCE = 1e-3
ANGLE_TOLERANCE = np.deg2rad(0.6)
# The grasp frame's x is the closing direction; the link's own closing direction is its y.
_LINK_FROM_GRASP = Rotation.from_euler("z", 90, degrees=True)

STEPS_PER_TICK = 4  # 240 Hz physics, joint targets at 60 Hz
TICK = STEPS_PER_TICK / 240.0


def load(client: Client, visual: bool = False) -> int:
    flags = 0 if visual else client.URDF_IGNORE_VISUAL_SHAPES
    return int(client.loadURDF(URDF, useFixedBase=True, flags=flags))


class Kinematics:
    """Inverse kinematics on a private copy of the arm, so that solving never disturbs a scene."""

    def __init__(self) -> None:
        self._client = Client()
        self._arm = load(self._client)

    def solve(self, T_world_grasp: Array, seed: Array | None = None) -> Array | None:
        """Returns joint angles (7,) within their limits that reach the pose, or None.

        Without a ``seed`` the search starts from the ready posture, turned towards the pose.
        """
        orientation = Rotation.from_matrix(T_world_grasp[:3, :3]) * _LINK_FROM_GRASP
        position = T_world_grasp[:3, 3]
        if seed is None:
            base = np.arctan2(position[1], position[0])
            yaw = np.arctan2(T_world_grasp[1, 0], T_world_grasp[0, 0])
            wrist = (np.pi / 4 + base - yaw + np.pi) % (2 * np.pi) - np.pi
            seed = np.array([base, *READY[1:6], wrist])
        return self._descend(seed, position, orientation)

    def _descend(self, q: Array, position: Array, orientation: Rotation) -> Array | None:
        # Damped least squares without bullet's null space: it pulls away from the solution.
        for _ in range(5):
            self._set(q)
            solution = self._client.calculateInverseKinematics(
                self._arm,
                GRASP_LINK,
                position.tolist(),
                orientation.as_quat().tolist(),
                maxNumIterations=50,
                residualThreshold=1e-6,
            )
            q = np.array(solution[:7])
            if (q < LOWER).any() or (q > UPPER).any():
                return None
            if self._reaches(q, position, orientation):
                return q
        return None

    def path(self, poses: Sequence[Array]) -> list[Array] | None:
        """Solves a chain of nearby poses, each from the last; None if one cannot be reached."""
        joints: list[Array] = []
        for pose in poses:
            q = self.solve(pose, joints[-1] if joints else None)
            if q is None:
                return None
            joints.append(q)
        return joints

    def _set(self, q: Array) -> None:
        for joint, angle in zip(ARM_JOINTS, q, strict=True):
            self._client.resetJointState(self._arm, joint, angle)

    def _reaches(self, q: Array, position: Array, orientation: Rotation) -> bool:
        self._set(q)
        state = self._client.getLinkState(self._arm, GRASP_LINK, computeForwardKinematics=True)
        off = np.linalg.norm(np.array(state[4]) - position)
        turn = (Rotation.from_quat(state[5]).inv() * orientation).magnitude()
        return bool(off < POSITION_TOLERANCE and turn < ANGLE_TOLERANCE)

    def close(self) -> None:
        self._client.close()


class Panda:
    """The arm in a simulated scene. ``step`` is called after every physics step."""

    def __init__(self, client: Client, step: Callable[[], None]) -> None:
        self._client = client
        self._step = step
        self.body = load(client)
        for finger in FINGER_JOINTS:
            client.changeDynamics(
                self.body, finger, lateralFriction=1.0, spinningFriction=0.02, frictionAnchor=True
            )
        self._q = PARKED.copy()
        for joint, angle in zip(ARM_JOINTS, PARKED, strict=True):
            client.resetJointState(self.body, joint, angle)
        for finger in FINGER_JOINTS:
            client.resetJointState(self.body, finger, MAX_WIDTH / 2)
        self._drive_arm(self._q)
        self.open(MAX_WIDTH)

    def move(
        self,
        waypoints: Sequence[Array],
        duration: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Follows joint waypoints (7,) each, evenly in time with a smooth start and stop.

        Stands still from when ``stop``, which is asked 60 times a second, says so.
        """
        ticks = max(1, round(duration / TICK))
        knots = np.stack([self._q, *waypoints])
        for tick in range(1, ticks + 1):
            s = tick / ticks
            s = s * s * (3 - 2 * s) * (len(knots) - 1)
            i = min(int(s), len(knots) - 2)
            self._q = knots[i] + (s - i) * (knots[i + 1] - knots[i])
            self._drive_arm(self._q)
            self._run_tick()
            if stop():
                return
        self._q = knots[-1]

    def swing(self, amplitudes: Sequence[Array], frequency: float, duration: float) -> None:
        """Shakes about the present posture: each joint amplitude (7,) in turn, a sine each."""
        ticks = max(1, round(duration / len(amplitudes) / TICK))
        for amplitude in amplitudes:
            for tick in range(1, ticks + 1):
                angle = 2 * np.pi * frequency * tick * TICK
                self._drive_arm(self._q + np.sin(angle) * amplitude)
                self._run_tick()
        self._drive_arm(self._q)

    def wait(self, duration: float) -> None:
        for _ in range(max(1, round(duration / TICK))):
            self._run_tick()

    def open(self, width: float) -> None:
        """Sets the opening between the pads (m); takes effect as time passes."""
        self._drive_fingers([width / 2, width / 2], CLOSING_FORCE, 0.2)

    def close_hand(self, duration: float) -> None:
        """Closes until the pads press on something, then holds there."""
        self._drive_fingers([0.0, 0.0], CLOSING_FORCE, 0.12)
        self.wait(duration)
        at = [self._client.getJointState(self.body, f)[0] for f in FINGER_JOINTS]
        self._drive_fingers([max(a - HOLD_SQUEEZE, 0.0) for a in at], CLOSING_FORCE, 0.2)

    @property
    def opening(self) -> float:
        """Present opening between the pads, m."""
        return float(sum(self._client.getJointState(self.body, f)[0] for f in FINGER_JOINTS))

    @property
    def joint_positions(self) -> list[float]:
        count = self._client.getNumJoints(self.body)
        return [s[0] for s in self._client.getJointStates(self.body, range(count))]

    @property
    def grasp_position(self) -> Array:
        """(3,) m in the world: where the pads' middle is now."""
        state = self._client.getLinkState(self.body, GRASP_LINK, computeForwardKinematics=True)
        return np.array(state[4])

    def _drive_arm(self, q: Array) -> None:
        self._client.setJointMotorControlArray(
            self.body,
            ARM_JOINTS,
            self._client.POSITION_CONTROL,
            targetPositions=q.tolist(),
            forces=ARM_FORCES,
            positionGains=[0.35] * 7,
            velocityGains=[1.0] * 7,
        )

    def _drive_fingers(self, targets: Sequence[float], force: float, speed: float) -> None:
        for finger, target in zip(FINGER_JOINTS, targets, strict=True):
            self._client.setJointMotorControl2(
                self.body,
                finger,
                self._client.POSITION_CONTROL,
                targetPosition=target,
                force=force,
                maxVelocity=speed,
            )

    def _run_tick(self) -> None:
        for _ in range(STEPS_PER_TICK):
            self._client.stepSimulation()
        self._step()


def parked_hand_pose() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Position and quaternion of the parked hand; a test checks that no camera sees it."""
    kinematics = Kinematics()
    try:
        kinematics._set(PARKED)
        state = kinematics._client.getLinkState(
            kinematics._arm, GRASP_LINK, computeForwardKinematics=True
        )
        T = np.eye(4)
        T[:3, 3] = state[4]
        T[:3, :3] = Rotation.from_quat(state[5]).as_matrix()
        return pose_parts(T)
    finally:
        kinematics.close()
