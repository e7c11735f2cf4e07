"""The one interface behind which every method stands: taught once, it turns pictures into grasps.

Policies see pictures and the demonstration, nothing else; no simulator is imported on this floor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grasplearn.types import Demonstration, Grasp, Observation


class Grasper(Protocol):
    """What a policy has become after one demonstration.

    It is a function of the picture alone: the same picture gives the same grasp whatever was asked
    before, so that a run that was broken off and resumed has the same rows.

    It may have ``facts``, JSON values about how it was taught, which every row of its trials
    repeats; like all but the times they must be the same in two runs of one seed.
    """

    def __call__(self, observation: Observation) -> Grasp:
        """Returns a grasp for the picture.

        Raises:
            NoGraspError: nothing to grasp was found in it.
        """
        ...


class Policy(Protocol):
    """A way of learning from one demonstration: a frozen dataclass, its fields are its settings."""

    @property
    def name(self) -> str:
        """The method's name in tables and on the command line."""
        ...

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> Grasper:
        """Learns from the demonstration; all randomness, now and later, comes from ``rng``."""
        ...


@dataclass(frozen=True)
class FromFunction:
    """Enters any callable as a policy.

    Attributes:
        name: the method's name in tables.
        function: (demonstration, observation) -> Grasp; may raise NoGraspError.
    """

    name: str
    function: Callable[[Demonstration, Observation], Grasp]

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> Grasper:
        return lambda observation: self.function(demonstration, observation)
