"""A skill at work, and a picture of what it saw and said."""

from __future__ import annotations

from dataclasses import dataclass

from grasplearn.learning.taught import Prediction
from grasplearn.show.heat import heat_picture
from grasplearn.show.overlay import SIDE, prediction_picture
from grasplearn.show.style import Frame
from grasplearn.skill import Skill
from grasplearn.types import Grasp, Observation


@dataclass
class Seeing:
    """A skill as a grasper that remembers its last picture and its answer."""

    skill: Skill
    observation: Observation | None = None
    prediction: Prediction | None = None

    def __call__(self, observation: Observation) -> Grasp:
        """Returns the grasp.

        Raises:
            NoGraspError, InvalidValueError: see ``Taught.predict``.
        """
        self.observation, self.prediction = observation, None
        self.prediction = self.skill.predict(observation)
        return self.prediction.grasp

    def picture(
        self, correct: Grasp | None = None, caption: str | None = None, side: int = SIDE
    ) -> Frame:
        """The last picture with heat and grasp; without them where there was none to grasp.

        Args:
            correct: a grasp to be drawn beside it; side: of the picture at most, pixels.
        """
        assert self.observation is not None
        if self.prediction is None:
            return prediction_picture(self.observation, None, correct, caption, side)
        return heat_picture(
            self.observation,
            self.prediction.quality,
            shown=correct,
            predicted=self.prediction.grasp,
            caption=caption,
            side=side,
        )
