"""A trial as it happened over time: what every export of episodes is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError
from grasplearn.show.style import Frame
from grasplearn.types import Array, Grasp, Observation

# The arm's seven joints (rad) and the two fingers (m), in the order of ``Episode.states``.
JOINTS = (*(f"panda_joint{i}" for i in range(1, 8)), "panda_finger_joint1", "panda_finger_joint2")


@dataclass(frozen=True, eq=False)
class Episode:
    """One trial, sampled evenly.

    Attributes:
        task: what was to be done, in words.
        row: of results.jsonl.
        observation: what the policy saw before anything moved.
        demonstrated, predicted: the grasp that was shown, and the one that was executed.
        frames: T pictures (H, W, 3) uint8 from the side, of one size.
        states: (T, 9) joint positions, as JOINTS. phases: what the robot did then, T names.
        fps: pictures per simulated second.
    """

    task: str
    row: dict[str, Any]
    observation: Observation
    demonstrated: Observation
    predicted: Grasp
    frames: list[Frame]
    states: Array
    phases: list[str]
    fps: int

    def __post_init__(self) -> None:
        count = len(self.frames)
        if count == 0 or self.states.shape != (count, len(JOINTS)) or len(self.phases) != count:
            raise InvalidValueError(
                f"an episode needs as many states (T, {len(JOINTS)}) and phases as pictures, at "
                f"least one; got {self.states.shape}, {len(self.phases)} and {count}"
            )

    @property
    def actions(self) -> NDArray[np.float32]:
        """(T, 9): where the joints were one picture later, which is what they were told to do."""
        following = np.vstack([self.states[1:], self.states[-1:]])
        return following.astype(np.float32)

    @property
    def success(self) -> bool:
        return bool(self.row["success"])
