"""What a demonstration holds against which later proposals are verified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.footprint import Footprint
from grasplearn.geometry import Heightmap
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.likeness import Likeness, likeness
from grasplearn.nets.codec import Place, encode
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.overview import NEAR, Comparison, overviews
from grasplearn.nets.proposals import Proposal, propose, weighed
from grasplearn.nets.verifier import Look, Verifier, evidence
from grasplearn.whole import Contrast, middles


@dataclass(frozen=True, eq=False)
class Reference:
    """The shown spot and its best rival, which is the shown spot itself where there is none.

    Attributes:
        likeness: how much of a rival it is, in [0, 1]; 0 where there is none.
        overview: (5, SIDE, SIDE), of the shown spot, see ``nets.overview``.
        footprint: of the shown thing; None where too little stands.
        contrast: how the two things differ as wholes; None where they do not.
    """

    shown: Look
    rival: Look
    likeness: float
    overview: Tensor
    footprint: Footprint | None
    contrast: Contrast | None = None

    @classmethod
    def of(
        cls,
        net: GraspNet,
        view: Heightmap,
        place: Place,
        features: Tensor | None = None,
        alike: Likeness | None = None,
    ) -> Reference:
        """Looks at a demonstration with the net that it was imprinted into.

        Args:
            features: what ``imprint`` returned, where that is at hand; alike: what ``likeness``
                did, likewise.

        Raises:
            InvalidValueError: nothing stands at the place.
        """
        if alike is None:
            alike = likeness(net, view, take_apart(view, place).thing, place)
        picture = encode(view).to(next(net.parameters()))
        shown = Look.spot(net, picture, place, features)
        stride = net.spec.stride
        overview = overviews(F.avg_pool2d(picture, stride), [place], stride)[0]
        pixels, spot = picture.cpu().numpy(), (place.u, place.v)
        footprint = Footprint.of(pixels, spot)
        if alike.rival_place is None:
            return cls(shown, shown, 0.0, overview, footprint)
        rival = alike.rival_place
        contrast = Contrast.of(pixels, spot, (rival.u, rival.v), alike.rival)
        # The root: a spot a hundredth as probable is still worth a tenth of a look.
        other = Look.spot(net, picture, rival)
        return cls(shown, other, math.sqrt(alike.rival), overview, footprint, contrast)

    @torch.no_grad()
    def verified(
        self, verifier: Verifier, net: GraspNet, picture: Tensor, features: Tensor, quality: Tensor
    ) -> Tensor:
        """Returns quality (R, h, w) as logits after a second look at its best places.

        Args:
            picture: (1, 5, H, W); features: (1, C, h, w), the trunk's of it.
        """
        proposals = propose(quality, net.spec.stride)
        scores = self.scores(verifier, net, picture, features, proposals)
        if verifier.overview is not None:
            stride = net.spec.stride
            scores = self.compared(verifier.overview, picture, proposals, stride, scores)
        return weighed(quality, proposals, torch.from_numpy(scores))

    @torch.no_grad()
    def scores(
        self,
        verifier: Verifier,
        net: GraspNet,
        picture: Tensor,
        features: Tensor,
        proposals: Sequence[Proposal],
    ) -> NDArray[np.float64]:
        """Returns logits (K,) over proposals in a picture, before their overviews are compared."""
        told = torch.tensor([[p.log_probability for p in proposals]]).to(features)
        seen = Look.at(net, picture, features)
        maps = evidence(self.shown, self.rival, seen, [p.cell for p in proposals])
        likeness = told.new_tensor([self.likeness])
        found = verifier(*(some[None] for some in maps), likeness, told)
        scores: NDArray[np.float64] = found[0].double().cpu().numpy()
        pixels = picture[0].cpu().numpy()
        if self.contrast is not None:
            spots = middles([p.cell[1:] for p in proposals], net.spec.stride)
            scores = scores + self.contrast.scores(pixels, spots)
        if self.footprint is not None:
            places = [(p.place.u, p.place.v, p.place.turn) for p in proposals]
            scores = scores + self.footprint.scores(pixels, places, scores)
        return scores

    @torch.no_grad()
    def compared(
        self,
        comparison: Comparison,
        picture: Tensor,
        proposals: Sequence[Proposal],
        stride: int,
        scores: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Returns the logits (K,) after those that are near the best were compared by overviews."""
        near = np.flatnonzero(scores > scores.max() - NEAR)
        if len(near) == 1:
            return scores
        places = [proposals[int(i)].place for i in near]
        there = overviews(F.avg_pool2d(picture, stride)[0], places, stride)
        found = comparison(there[None], self.overview[None])[0].double().cpu().numpy()
        # Of the others nobody knows; they stay behind.
        added: NDArray[np.float64] = np.full(len(scores), found.min())
        added[near] = found
        return np.asarray(scores + added)
