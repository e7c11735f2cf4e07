"""Loading catalogue objects into a client, and their poses.

PyBullet reports and sets the pose of a body's *centre of mass*; everywhere in GraspLearn a pose is
that of the object's own frame. This module is where one becomes the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grasplearn.sim.client import Client
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.types import PlacedObject

Vector = Sequence[float]
Pose = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Body:
    """A loaded object: PyBullet's id and where its centre of mass lies in the object's frame."""

    client: Client
    id: int
    inertial: Pose
    inverse_inertial: Pose

    @property
    def pose(self) -> Pose:
        """Position and quaternion of the object's frame in the world."""
        at = self.client.getBasePositionAndOrientation(self.id)
        position, quaternion = self.client.multiplyTransforms(*at, *self.inverse_inertial)
        return tuple(position), tuple(quaternion)

    def place(self, position: Vector, quaternion: Vector) -> None:
        """Puts the object there, at rest."""
        at = self.client.multiplyTransforms(position, quaternion, *self.inertial)
        self.client.resetBasePositionAndOrientation(self.id, *at)
        self.client.resetBaseVelocity(self.id, [0, 0, 0], [0, 0, 0])

    def sleep(self) -> None:
        """Takes the resting object out of the solver until something touches it."""
        client = self.client
        client.changeDynamics(
            self.id,
            -1,
            activationState=client.ACTIVATION_STATE_ENABLE_SLEEPING
            | client.ACTIVATION_STATE_ENABLE_WAKEUP
            | client.ACTIVATION_STATE_SLEEP,
        )


def load_body(client: Client, model: ObjectModel, placed: PlacedObject, *, visual: bool) -> Body:
    """Loads what can be seen of an object (``visual``), or else what can be touched."""
    body = client.loadURDF(
        str(model.urdf),
        placed.position,
        placed.quaternion,
        useFixedBase=visual,
        globalScaling=placed.scale,
        flags=client.URDF_IGNORE_COLLISION_SHAPES if visual else client.URDF_IGNORE_VISUAL_SHAPES,
    )
    info = client.getDynamicsInfo(body, -1)
    inertial = (tuple(info[3]), tuple(info[4]))
    loaded = Body(client, body, inertial, client.invertTransform(*inertial))
    loaded.place(placed.position, placed.quaternion)
    return loaded
