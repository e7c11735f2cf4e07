"""The physics: a table, an arm and objects; executes a grasp and says what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grasplearn.errors import SceneError
from grasplearn.geometry import invert, pose_matrix, transform
from grasplearn.sim.bodies import Body, Pose, load_body
from grasplearn.sim.camera import TABLE_CENTER_X, TABLE_SIZE, Eye
from grasplearn.sim.client import Client, muted
from grasplearn.sim.hand import HandGhost
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.robot import HAND_LINKS, Kinematics, Panda
from grasplearn.types import (
    Array,
    Grasp,
    GraspReport,
    Observation,
    Outcome,
    PlacedObject,
    SceneSpec,
)

APPROACH_DISTANCE = 0.12
# A little more than the 0.15 m that counts, so that what is held surely passes it.
LIFT_DISTANCE = 0.17
REQUIRED_LIFT = 0.15
HOLD_TIME = 2.0
SHAKE_AMPLITUDE = 0.02  # m, along x and then along y
SHAKE_FREQUENCY = 3.0  # Hz: peaks at 0.7 g
SHAKE_TIME = 1.0
# The hand counts as blocked when it stops this far from where it should be.
BLOCKED_DISTANCE = 0.008
# ... or when it presses down on something harder than this, N: hands that come down beside an
# object feel nothing, those that come down on one more than 100 N, which drives it into the table.
MAX_PRESS = 40.0
MISSED_OPENING = 0.0015
TABLE_FRICTION = 0.6
SOLVER_ITERATIONS = 50

Watcher = Callable[["World", str], None]


def ignore(world: World, phase: str) -> None:
    """The default watcher."""


@dataclass
class _Held:
    """An object between the pads: where it was gripped, in its own frame, and how high."""

    index: int
    point_object: Array
    start_height: float


@dataclass
class World:
    """One scene at a time; ``reset`` to an equal SceneSpec and equal calls give equal bytes.

    Physics never depends on whether anybody watches: pictures come from an Eye of their own.
    """

    catalogue: Catalogue
    _client: Client = field(default_factory=Client)
    _kinematics: Kinematics = field(default_factory=Kinematics)
    _bodies: list[Body] = field(default_factory=list)

    def __post_init__(self) -> None:
        # What was found out by trying, by key; holds for as long as the catalogue does.
        self.memo: dict[tuple[object, ...], list[Any]] = {}
        self.eye = Eye(self.catalogue)
        self.scene: SceneSpec | None = None
        self._arm: Panda | None = None
        self._ghost: HandGhost | None = None
        self._watch: Watcher = ignore
        self._phase = "rest"
        self._ticks = 0

    # -- the scene -------------------------------------------------------------------------

    def reset(self, scene: SceneSpec) -> None:
        """Builds the scene from nothing, objects at rest, the arm parked to the side."""
        self.build(scene.objects)
        for body in self._bodies[1:]:
            body.sleep()
        self.eye.show(scene)
        self.scene = scene

    def build(self, objects: Sequence[PlacedObject]) -> None:
        """Builds only the physics: what sampling a scene needs."""
        client = self._client
        with muted():
            client.resetSimulation()
            client.setGravity(0, 0, -9.81)
            client.setPhysicsEngineParameter(
                numSolverIterations=SOLVER_ITERATIONS,
                deterministicOverlappingPairs=1,
                enableFileCaching=1,
            )
            box = client.createCollisionShape(
                client.GEOM_BOX, halfExtents=[s / 2 for s in TABLE_SIZE]
            )
            self._table = client.createMultiBody(
                0, box, -1, [TABLE_CENTER_X, 0, -TABLE_SIZE[2] / 2]
            )
            client.changeDynamics(self._table, -1, lateralFriction=TABLE_FRICTION)
            self._arm = Panda(client, self._tick)
            self._bodies = []
            for placed in objects:
                self.add(placed)
        self._ghost = None
        self.scene = None

    def add(self, placed: PlacedObject) -> int:
        """Adds an object to the physics; returns its index."""
        model = self.catalogue.get(placed.object_id)
        body = load_body(self._client, model, placed, visual=False)
        # Rolling and spinning friction would take a third of the solver's time; a little damping
        # stops a can as well.
        self._client.changeDynamics(
            body.id, -1, rollingFriction=0.0, spinningFriction=0.0, angularDamping=0.3
        )
        self._bodies.append(body)
        return len(self._bodies) - 1

    def remove_last(self) -> None:
        self._client.removeBody(self._bodies.pop().id)

    def step(self, count: int) -> None:
        """Lets time pass, 1/240 s a step, the arm standing still."""
        for _ in range(count):
            self._client.stepSimulation()

    def poses(self) -> list[Pose]:
        """Every object's pose, in the scene's order."""
        return [body.pose for body in self._bodies]

    def place(self, index: int, pose: Pose) -> None:
        self._bodies[index].place(*pose)

    def T_world_object(self, index: int) -> Array:
        return pose_matrix(*self._bodies[index].pose)

    def speed(self, index: int) -> float:
        """Greatest of the object's linear (m/s) and 5 cm times its angular speed."""
        linear, angular = self._client.getBaseVelocity(self._bodies[index].id)
        return float(max(np.linalg.norm(linear), 0.05 * np.linalg.norm(angular)))

    def distance(self, a: int, b: int, reach: float = 0.5) -> float:
        """Distance (m) between two objects' surfaces, negative when they overlap."""
        points = self._client.getClosestPoints(self._bodies[a].id, self._bodies[b].id, reach)
        return min((p[8] for p in points), default=reach)

    def bounds(self, index: int) -> tuple[Array, Array]:
        """Axis-aligned bounding box in the world: lower and upper corner, m."""
        low, high = self._client.getAABB(self._bodies[index].id)
        return np.array(low), np.array(high)

    def observe(self) -> Observation:
        """Takes the picture of the scene as it is now.

        Raises:
            SceneError: the world was not reset to a scene.
        """
        if self.scene is None:
            raise SceneError("the world shows no scene; call reset(scene) first")
        self.eye.move(self.poses())
        return self.eye.observe(self.scene)

    def clearance(self, grasp: Grasp) -> float:
        """Least distance (m, at most hand.REACH) from the hand, open at the grasp, to all else."""
        if self._ghost is None:
            self._ghost = HandGhost(self._client)
        return self._ghost.clearance(grasp, [self._table, *(b.id for b in self._bodies)])

    @property
    def joint_positions(self) -> list[float]:
        return self._arm.joint_positions if self._arm else []

    # -- the grasp -------------------------------------------------------------------------

    def reachable(self, grasp: Grasp) -> bool:
        return self._plan(grasp) is not None

    def execute(self, grasp: Grasp, watch: Watcher = ignore) -> GraspReport:
        """Approaches from above, closes, lifts, holds 2 s, shakes; judges what is in the hand.

        Args:
            grasp: where; in the world's frame.
            watch: called about 30 times per simulated second with the world and the phase.
        """
        plan = self._plan(grasp)
        if plan is None or self._arm is None:
            return GraspReport(Outcome.UNREACHABLE)
        arm, (approach, lift, shakes) = self._arm, plan
        self._watch, self._ticks = watch, 0

        self._phase = "approach"
        arm.open(grasp.width)
        arm.move([approach[0]], 1.0)
        arm.move(approach[1:], 0.5, stop=self._presses)
        if (
            self._presses()
            or np.linalg.norm(arm.grasp_position - grasp.center_world) > BLOCKED_DISTANCE
        ):
            return GraspReport(Outcome.COLLIDED, self._touched())

        self._phase = "close"
        arm.close_hand(0.45)
        held = self._between_pads(arm)
        if not held:
            return GraspReport(Outcome.MISSED)

        self._phase = "lift"
        arm.move(lift, 0.8)
        self._phase = "hold"
        arm.wait(HOLD_TIME)
        self._phase = "shake"
        arm.swing(shakes, SHAKE_FREQUENCY, SHAKE_TIME)
        arm.wait(0.2)

        self._phase = "judge"
        self._watch = ignore
        kept = [h.index for h in held if self._still_held(h)]
        if not kept:
            return GraspReport(Outcome.SLIPPED, held[0].index)
        # Two things in the hand at once are not the taught one lifted.
        return GraspReport(Outcome.LIFTED, max(kept))

    def _plan(self, grasp: Grasp) -> tuple[list[Array], list[Array], list[Array]] | None:
        """Joint paths of approach and lift, and the shake's joint amplitudes; None: unreachable."""
        T = grasp.T_world_grasp
        for turn in (np.diag([1.0, 1.0, 1.0, 1.0]), np.diag([-1.0, -1.0, 1.0, 1.0])):
            T_world_grasp = T @ turn
            down = [_raised(T_world_grasp, APPROACH_DISTANCE * s) for s in np.linspace(1, 0, 7)]
            up = [_raised(T_world_grasp, LIFT_DISTANCE * s) for s in np.linspace(0, 1, 7)[1:]]
            moved = [up[-1].copy(), up[-1].copy()]
            for axis in (0, 1):
                moved[axis][axis, 3] += SHAKE_AMPLITUDE
            approach = self._kinematics.path(down)
            lift = self._kinematics.path([down[-1], *up]) if approach else None
            if approach and lift:
                tips = [self._kinematics.solve(m, lift[-1]) for m in moved]
                if all(t is not None for t in tips):
                    return approach, lift[1:], [t - lift[-1] for t in tips if t is not None]
        return None

    def _touching(self, index: int, link: int) -> bool:
        assert self._arm is not None
        points = self._client.getContactPoints(
            self._arm.body, self._bodies[index].id, linkIndexA=link
        )
        return any(p[9] > 0 for p in points)

    def _presses(self) -> bool:
        """Whether the hand pushes against something below or above it with more than MAX_PRESS."""
        assert self._arm is not None
        points = self._client.getContactPoints(self._arm.body)
        return bool(sum(p[9] * abs(p[7][2]) for p in points if p[3] in HAND_LINKS) > MAX_PRESS)

    def _touched(self) -> int | None:
        for index in range(len(self._bodies)):
            if any(self._touching(index, link) for link in HAND_LINKS):
                return index
        return None

    def _between_pads(self, arm: Panda) -> list[_Held]:
        if arm.opening < MISSED_OPENING:
            return []
        point = arm.grasp_position
        return [
            _Held(i, transform(invert(self.T_world_object(i)), point), float(point[2]))
            for i in range(len(self._bodies))
            if all(self._touching(i, link) for link in HAND_LINKS[1:])
        ]

    def _still_held(self, held: _Held) -> bool:
        """Between both pads, off the table, and its gripped point 15 cm above its start."""
        rise = transform(self.T_world_object(held.index), held.point_object)[2] - held.start_height
        gripped = all(self._touching(held.index, link) for link in HAND_LINKS[1:])
        body = self._bodies[held.index].id
        on_table = bool(self._client.getContactPoints(body, self._table))
        return bool(gripped and rise >= REQUIRED_LIFT and not on_table)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % 2 == 0:
            self._watch(self, self._phase)

    def close(self) -> None:
        self.eye.close()
        self._kinematics.close()
        self._client.close()


def _raised(T: Array, height: float) -> Array:
    out = T.copy()
    out[2, 3] += height
    return out
