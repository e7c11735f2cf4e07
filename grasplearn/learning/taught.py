"""What teaching makes of a net, and what that says about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.geometry import Heightmap, heightmap, seen_inside
from grasplearn.learning.fine_tune import Report
from grasplearn.learning.reference import Reference
from grasplearn.nets.codec import decode, encode, place_of, quality_map
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.head import Maps
from grasplearn.nets.verifier import Verifier
from grasplearn.types import Demonstration, Grasp, Observation

if TYPE_CHECKING:
    from grasplearn.learning.teaching_settings import Teaching


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a taught net says about a picture.

    Attributes:
        grasp: the best one.
        quality: (h, w) float32, per cell of the heightmap the probability that the demonstrated
            spot is there; sums to 1.
        confidence: the probability around its place, in [0, 1].
    """

    grasp: Grasp
    quality: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, eq=False)
class Taught:
    """What teaching makes of a net.

    Attributes:
        net: the taught one.
        demonstrated_yaw: rad, of the shown grasp; predicted turns are counted from it.
        demonstration, teaching: what it was made with.
        report: of fine-tuning; None where nothing was fine-tuned.
        kept: which weights won: teaching's REFINED, IMPRINT or UNTAUGHT.
        probe_loss: the imprint's and the refined net's on the probe; None without fine-tuning.
        missed: share of the probe in which the imprint misses the spot; None for methods that never
            fine-tune.
        warning: what a person should know, or nothing.
        seconds: wall time of teaching, checks included.
        verifier: takes a second look at what the net proposes, beside the demonstration; None: the
            net alone answers.
    """

    net: GraspNet
    demonstrated_yaw: float
    demonstration: Demonstration
    teaching: Teaching
    report: Report | None
    kept: str
    probe_loss: tuple[float, float] | None
    missed: float | None
    warning: str
    seconds: float
    verifier: Verifier | None

    @cached_property
    def _shown(self) -> Heightmap:
        return heightmap(self.demonstration.observation)

    @cached_property
    def _tolerated(self) -> float:
        return seen_inside(self._shown, self.demonstration.grasp)

    @cached_property
    def _reference(self) -> Reference:
        return Reference.of(self.net, self._shown, place_of(self._shown, self.demonstration.grasp))

    def predict(self, observation: Observation) -> Prediction:
        """Finds the demonstrated spot in a picture.

        Raises:
            NoGraspError: nothing stands on the table, or the net's maps are not finite.
            InvalidValueError: the picture does not show the workspace.
        """
        view = heightmap(observation)
        picture = encode(view).to(next(self.net.parameters()))
        maps = self._answer(picture[None])
        grasp, confidence = decode(maps, view, self.demonstrated_yaw, self._tolerated)
        return Prediction(grasp, quality_map(maps).float().cpu().numpy(), confidence)

    @torch.no_grad()
    def _answer(self, pictures: Tensor) -> Maps:
        """The maps of one picture (1, 5, H, W), the quality verified where that can be done."""
        features = self.net.features(pictures)
        maps: Maps = self.net.head(features)
        if self.verifier is None or not bool(torch.isfinite(maps.quality).all()):
            return maps
        verified = self._reference.verified(
            self.verifier, self.net, pictures, features, maps.quality[0]
        )
        return Maps(verified[None], maps.width)
