"""What a demonstration holds against which later proposals are verified."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from grasplearn.geometry import Heightmap
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.likeness import likeness
from grasplearn.nets.codec import Place, encode
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.proposals import Proposal, propose, weighed
from grasplearn.nets.verifier import Template, Verifier, evidence


@dataclass(frozen=True, eq=False)
class Reference:
    """The shown spot and its best rival, which is the shown spot itself where there is none.

    Attributes:
        likeness: how much of a rival it is, in [0, 1]; 0 where there is none.
    """

    shown: Template
    rival: Template
    likeness: float

    @classmethod
    def of(cls, net: GraspNet, view: Heightmap, place: Place) -> Reference:
        """Looks at a demonstration with the net that it was imprinted into.

        Raises:
            InvalidValueError: nothing stands at the place.
        """
        alike = likeness(net, view, take_apart(view, place).thing, place)
        picture = encode(view).to(next(net.parameters()))
        shown = Template.of(net, picture, place)
        if alike.rival_place is None:
            return cls(shown, shown, 0.0)
        # The root: a spot a hundredth as probable is still worth a tenth of a look.
        return cls(shown, Template.of(net, picture, alike.rival_place), math.sqrt(alike.rival))

    def evidence(self, net: GraspNet, features: Tensor, proposals: list[Proposal]) -> Tensor:
        """Returns what the verifier sees; ``features`` (1, C, h, w) are the picture's."""
        normal, liveliness = net.head.normalised(features)
        cells = [proposal.cell for proposal in proposals]
        return evidence(self.shown, self.rival, normal[0], liveliness[0], cells)

    @torch.no_grad()
    def verified(
        self, verifier: Verifier, net: GraspNet, features: Tensor, quality: Tensor
    ) -> Tensor:
        """Returns quality (R, h, w) as logits after a second look at its best places."""
        proposals = propose(quality, net.spec.stride)
        told = torch.tensor([[p.log_probability for p in proposals]]).to(features)
        seen = self.evidence(net, features, proposals)
        scores = verifier(seen[None], told.new_tensor([self.likeness]), told)
        return weighed(quality, proposals, scores[0])
