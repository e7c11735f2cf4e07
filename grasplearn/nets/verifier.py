"""The verifier: a second look at the few places that the head proposes.

The head sums up how well a place's features agree with the demonstration's; much weak agreement
then outweighs little strong disagreement. The verifier sees WHERE and in which group of features
the two agree, cell by cell, and how well the place agrees with what else the demonstration held
that is NOT meant; and, coarsely, what stands around the two (``nets.overview``). It knows no
feature itself, so that it does not care which object is shown: it is trained once and never taught.

Source: two stages, proposals and a learned comparison, as in region proposals (Ren et al., arXiv
1506.01497) and relation networks (Sung et al., arXiv 1711.06025); comparing maps of agreement
instead of features, and the demonstration's own rival, are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.codec import Place, patches
from grasplearn.nets.graspnet import CHANNELS, GraspNet
from grasplearn.nets.overview import Comparison
from grasplearn.nets.verdict import Refinement, pooled

# Cells along the side of what is compared.
WINDOW = 13
# A cell may agree with one that lies so many cells off where it should.
REACH = 1
# Kinds of maps, a map per group of features each: agreement with the shown spot and with its rival,
# cell on cell and with the best neighbour; how lively the place is, and the shown spot.
KINDS = 6
# Pictures whose pixels are compared: the place's, the shown spot's, its rival's. How either differs
# from the place is worked out.
SPOTS, DIFFERENCES = 3, 2


@dataclass(frozen=True, eq=False)
class Look:
    """What is compared of a picture, or of a spot of it at every turn (R before each shape).

    Attributes:
        features: (F, h, w), normalised.
        liveliness: (G, h, w), log of the groups' size before they were normalised.
        pixels: (5, h, w), what ``codec.encode`` says, averaged over each cell.
    """

    features: Tensor
    liveliness: Tensor
    pixels: Tensor

    @classmethod
    @torch.no_grad()
    def at(cls, net: GraspNet, pictures: Tensor, features: Tensor | None = None) -> Look:
        """Looks at pictures (B, 5, H, W); ``features``: of the trunk, where they are known."""
        if features is None:
            features = net.features(pictures)
        normal, liveliness = net.head.normalised(features)
        return cls(normal, liveliness, F.avg_pool2d(pictures, net.spec.stride))

    @classmethod
    def spot(
        cls, net: GraspNet, picture: Tensor, place: Place, features: Tensor | None = None
    ) -> Look:
        """Returns a place of a picture (5, N, N), turned back by its turn: WINDOW cells a side.

        Args:
            features: of the trunk, of the place's patches, where they are known.
        """
        seen = cls.at(net, patches(picture, place, net.spec), features)
        edge = (seen.features.shape[-1] - WINDOW) // 2
        inner = (..., slice(edge, edge + WINDOW), slice(edge, edge + WINDOW))
        return cls(seen.features[inner], seen.liveliness[inner], seen.pixels[inner])


@torch.no_grad()
def evidence(
    shown: Look, rival: Look, seen: Look, cells: list[tuple[int, int, int]]
) -> tuple[Tensor, Tensor]:
    """Returns what the verifier sees of K proposals.

    Args:
        shown, rival: spots. seen: a batch of one picture.
        cells: the proposals' turns, rows and columns.

    Returns:
        Agreements (K, KINDS G, WINDOW, WINDOW) and pixels (K, 15, WINDOW, WINDOW) of the place,
        the shown spot and its rival.
    """
    turns = [turn for turn, _, _ in cells]
    groups, half = seen.liveliness.shape[1], WINDOW // 2

    def windows(maps: Tensor, reach: int) -> Tensor:
        wide, side = F.pad(maps[0], [half + reach] * 4), WINDOW + 2 * reach
        return torch.stack([wide[:, y : y + side, x : x + side] for _, y, x in cells])

    around = windows(seen.features, REACH)
    moved = around.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1).flatten(2, 3)

    def agreement(spot: Look) -> list[Tensor]:
        products = moved * spot.features[turns][:, :, None]
        found = products.unflatten(1, (groups, -1)).sum(2)
        return [found[:, :, found.shape[2] // 2], found.amax(2)]

    agreements = [
        *agreement(shown),
        *agreement(rival),
        windows(seen.liveliness, 0),
        shown.liveliness[turns],
    ]
    pixels = [windows(seen.pixels, 0), shown.pixels[turns], rival.pixels[turns]]
    return torch.cat(agreements, 1), torch.cat(pixels, 1)


class Verifier(nn.Module):
    """Logits over proposals.

    Args:
        groups: of the net's features. channels: of its own. overview: of what compares overviews,
            see ``Comparison``; 0: nothing does, as in earlier weights.
    """

    scale: Tensor

    def __init__(self, groups: int, channels: int = 48, overview: int = 0) -> None:
        super().__init__()
        self.groups, self.channels = groups, channels
        # What counts as 1 in each map of agreement.
        self.register_buffer("scale", torch.ones(KINDS * groups))
        self.first = nn.Conv2d(KINDS * groups + CHANNELS * (SPOTS + DIFFERENCES) + 1, channels, 1)
        self.body = nn.Sequential(Refinement(channels), Refinement(channels), nn.ReLU())
        self.score = nn.Linear(3 * channels, 1)
        self.overview = Comparison(overview) if overview else None
        # Untrained, it leaves everything as the head said.
        self.trust = nn.Parameter(torch.ones(()))
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    @property
    def shape(self) -> dict[str, int]:
        """What it is made with again."""
        overview = 0 if self.overview is None else self.overview.channels
        return {"groups": self.groups, "channels": self.channels, "overview": overview}

    def forward(
        self,
        agreements: Tensor,
        pixels: Tensor,
        likeness: Tensor,
        log_probability: Tensor,
    ) -> Tensor:
        """Returns (N, K), logits over the K proposals of each of N pictures, before any of them are
        compared by their overviews.

        Args:
            agreements: (N, K, KINDS G, WINDOW, WINDOW) and pixels: (N, K, 15, WINDOW, WINDOW), see
                ``evidence``.
            likeness: (N,), in [0, 1], how much the demonstration's rival is to be looked at.
            log_probability: (N, K), what the head said.
        """
        share = likeness.view(-1, 1, 1, 1, 1)
        scaled = agreements / self.scale.view(-1, 1, 1)
        shown, rival, lively = scaled.split(2 * self.groups, 2)
        place, spot, other = pixels.split(CHANNELS, 2)
        told = share.expand(*agreements.shape[:2], 1, WINDOW, WINDOW)
        compared = [place, spot, (place - spot).abs(), share * other, share * (place - other).abs()]
        maps = self.first(
            torch.cat([shown, share * rival, lively, *compared, told], 2).flatten(0, 1)
        )
        scores = self.score(pooled(self.body(maps)))
        logits: Tensor = self.trust * log_probability + scores.view_as(log_probability)
        return logits
