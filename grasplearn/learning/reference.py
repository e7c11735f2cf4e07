"""What a demonstration holds against which later proposals are verified."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from grasplearn.geometry import Heightmap
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.likeness import Likeness, likeness
from grasplearn.nets.codec import Place, encode
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.proposals import propose, weighed
from grasplearn.nets.verifier import Look, Verifier, evidence
from grasplearn.whole import Contrast, middles


@dataclass(frozen=True, eq=False)
class Reference:
    """The shown spot and its best rival, which is the shown spot itself where there is none.

    Attributes:
        likeness: how much of a rival it is, in [0, 1]; 0 where there is none.
        contrast: how the two things differ as wholes; None where they do not.
    """

    shown: Look
    rival: Look
    likeness: float
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
        if alike.rival_place is None:
            return cls(shown, shown, 0.0)
        rival = alike.rival_place
        contrast = Contrast.of(
            picture.cpu().numpy(), (place.u, place.v), (rival.u, rival.v), alike.rival
        )
        # The root: a spot a hundredth as probable is still worth a tenth of a look.
        return cls(shown, Look.spot(net, picture, rival), math.sqrt(alike.rival), contrast)

    @torch.no_grad()
    def verified(
        self, verifier: Verifier, net: GraspNet, picture: Tensor, features: Tensor, quality: Tensor
    ) -> Tensor:
        """Returns quality (R, h, w) as logits after a second look at its best places.

        Args:
            picture: (1, 5, H, W); features: (1, C, h, w), the trunk's of it.
        """
        proposals = propose(quality, net.spec.stride)
        told = torch.tensor([[p.log_probability for p in proposals]]).to(features)
        seen = Look.at(net, picture, features)
        agreements, pixels = evidence(self.shown, self.rival, seen, [p.cell for p in proposals])
        likeness = told.new_tensor([self.likeness])
        scores = verifier(agreements[None], pixels[None], likeness, told)[0].double().cpu()
        if self.contrast is not None:
            spots = middles([p.cell[1:] for p in proposals], net.spec.stride)
            scores += torch.from_numpy(self.contrast.scores(picture[0].cpu().numpy(), spots))
        return weighed(quality, proposals, scores)
