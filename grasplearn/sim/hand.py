"""A stand-in for the open hand that tells, without motion, whether it would hit something."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.room import FINGER, PALM, PALM_ABOVE
from grasplearn.sim.client import Client
from grasplearn.types import MAX_WIDTH, Array, Grasp

# Half extents (closing direction, across it, vertical) and height of the middle above the pads'
# middle, of the boxes of ``room``.
FINGER_HALF = (FINGER[0] / 2, FINGER[1] / 2, 0.027)
FINGER_MIDDLE = 0.020
PALM_HALF = (PALM[0] / 2, PALM[1] / 2, 0.04)
PALM_MIDDLE = PALM_ABOVE + PALM_HALF[2]
# Free room beside the object on either side when the hand comes down.
SIDE_ROOM = 0.012
REACH = 0.05


def approach_width(contact_width: float) -> float:
    """Opening (m) to come down with around something ``contact_width`` m wide."""
    return min(contact_width + 2 * SIDE_ROOM, MAX_WIDTH)


class HandGhost:
    """Two fingers and a palm as boxes in a client's world; they take no part in its physics."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._fingers = [self._box(FINGER_HALF) for _ in range(2)]
        self._palm = self._box(PALM_HALF)
        self.hide()

    def _box(self, half: tuple[float, float, float]) -> int:
        shape = self._client.createCollisionShape(self._client.GEOM_BOX, halfExtents=half)
        body = int(self._client.createMultiBody(0, shape))
        self._client.setCollisionFilterGroupMask(body, -1, 0, 0)
        return body

    def hide(self) -> None:
        for body in (*self._fingers, self._palm):
            self._client.resetBasePositionAndOrientation(body, [0, 0, -10], [0, 0, 0, 1])

    def clearance(self, grasp: Grasp, bodies: Iterable[int]) -> float:
        """Least distance (m, at most REACH) from the hand, open at the grasp, to the bodies.

        Negative when it overlaps one of them.
        """
        quaternion = Rotation.from_euler("z", grasp.yaw).as_quat().tolist()
        along = np.array([np.cos(grasp.yaw), np.sin(grasp.yaw), 0.0])
        middle: Array = grasp.center_world
        offset = (grasp.width / 2 + FINGER_HALF[0]) * along
        places = [
            (self._fingers[0], middle + offset, FINGER_MIDDLE),
            (self._fingers[1], middle - offset, FINGER_MIDDLE),
            (self._palm, middle, PALM_MIDDLE),
        ]
        least = REACH
        targets = list(bodies)
        for box, position, above in places:
            at = [position[0], position[1], position[2] + above]
            self._client.resetBasePositionAndOrientation(box, at, quaternion)
            for body in targets:
                points = self._client.getClosestPoints(box, body, REACH)
                least = min([least, *(p[8] for p in points)])
        self.hide()
        return float(least)
