"""The verifier: a second look at the few places that the head proposes.

The head sums up how well a place's features agree with the demonstration's; much weak agreement
then outweighs little strong disagreement. The verifier sees WHERE and in which group of features
the two agree, cell by cell, and how well the place agrees with what else the demonstration held
that is NOT meant. It knows no feature itself, so that it does not care which object is shown: it is
trained once and never taught.

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
from grasplearn.nets.graspnet import GraspNet

# Cells along the side of what is compared.
WINDOW = 9
# A cell may agree with one that lies so many cells off where it should.
REACH = 1
# Kinds of maps, a map per group of features each: agreement with the shown spot and with its rival,
# cell on cell and with the best neighbour; how lively the place is, and the shown spot.
KINDS = 6


@dataclass(frozen=True, eq=False)
class Template:
    """A spot of the demonstration, as features.

    Attributes:
        features: (R, F, WINDOW, WINDOW), normalised, for every turn.
        liveliness: (R, G, WINDOW, WINDOW), log of the groups' size before they were normalised.
    """

    features: Tensor
    liveliness: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, net: GraspNet, picture: Tensor, place: Place) -> Template:
        """Returns a place of a picture (5, N, N), turned back by its turn."""
        normal, liveliness = net.head.normalised(net.features(patches(picture, place, net.spec)))
        edge = (normal.shape[-1] - WINDOW) // 2
        inner = slice(edge, edge + WINDOW)
        return cls(normal[:, :, inner, inner], liveliness[:, :, inner, inner])


@torch.no_grad()
def evidence(
    shown: Template,
    rival: Template,
    normal: Tensor,
    liveliness: Tensor,
    cells: list[tuple[int, int, int]],
) -> Tensor:
    """Returns (K, KINDS G, WINDOW, WINDOW): what the verifier sees of proposals.

    Args:
        normal, liveliness: (F, h, w) and (G, h, w), of the picture.
        cells: the proposals' turns, rows and columns.
    """
    groups, half = len(liveliness), WINDOW // 2
    wide = F.pad(normal, [half + REACH] * 4)
    lively = F.pad(liveliness, [half] * 4)
    moves = range(2 * REACH + 1)

    def agreement(template: Template, turn: int, y: int, x: int) -> tuple[Tensor, Tensor]:
        found = torch.stack(
            [
                (template.features[turn] * wide[:, y + a : y + a + WINDOW, x + b : x + b + WINDOW])
                .unflatten(0, (groups, -1))
                .sum(1)
                for a in moves
                for b in moves
            ]
        )
        return found[len(found) // 2], found.amax(0)

    return torch.stack(
        [
            torch.cat(
                [
                    *agreement(shown, turn, y, x),
                    *agreement(rival, turn, y, x),
                    lively[:, y : y + WINDOW, x : x + WINDOW],
                    shown.liveliness[turn],
                ]
            )
            for turn, y, x in cells
        ]
    )


class Verifier(nn.Module):
    """Logits over proposals.

    Args:
        groups: of the net's features. channels: of its own.
    """

    scale: Tensor

    def __init__(self, groups: int, channels: int = 48) -> None:
        super().__init__()
        self.groups, self.channels = groups, channels
        # What counts as 1 in each map.
        self.register_buffer("scale", torch.ones(KINDS * groups))
        self.first = nn.Conv2d(KINDS * groups + 1, channels, 1)
        self.body = nn.Sequential(_Residual(channels), _Residual(channels), nn.ReLU())
        self.score = nn.Linear(3 * channels, 1)
        # Untrained, it leaves everything as the head said.
        self.trust = nn.Parameter(torch.ones(()))
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    @property
    def shape(self) -> dict[str, int]:
        """What it is made with again."""
        return {"groups": self.groups, "channels": self.channels}

    def forward(self, seen: Tensor, likeness: Tensor, log_probability: Tensor) -> Tensor:
        """Returns (N, K), logits over the K proposals of each of N pictures.

        Args:
            seen: (N, K, KINDS G, WINDOW, WINDOW), see ``evidence``.
            likeness: (N,), in [0, 1], how much the demonstration's rival is to be looked at.
            log_probability: (N, K), what the head said.
        """
        share = likeness.view(-1, 1, 1, 1, 1)
        shown, rival, lively = (seen / self.scale.view(-1, 1, 1)).split(2 * self.groups, 2)
        told = share.expand(*seen.shape[:2], 1, WINDOW, WINDOW)
        maps = self.body(
            self.first(torch.cat([shown, share * rival, lively, told], 2).flatten(0, 1))
        )
        middle = maps[:, :, WINDOW // 2, WINDOW // 2]
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), middle], 1)
        logits: Tensor = self.trust * log_probability + self.score(pooled).view_as(log_probability)
        return logits


class _Residual(nn.Module):
    """Two convolutions beside a skip; the identity before any training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + found
