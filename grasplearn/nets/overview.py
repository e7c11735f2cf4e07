"""The overview: what stands within 20 cm of a place, turned back as it was shown.

The verifier's windows end 5 cm from a spot. Which of two handles is meant, and which of a tool's
two ends, is told by what lies farther away.

Source: siamese comparison (Bromley et al., NIPS 1993) of two maps instead of two vectors, which
keeps where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.codec import Place, turned_about, warp
from grasplearn.nets.graspnet import CHANNELS
from grasplearn.nets.verdict import Refinement, pooled
from grasplearn.whole import STANDING

# Cells of the net along the side of an overview.
SIDE = 49
HEIGHT = 3
# Refinements of each overview alone, of the two together, and of the two at half the size.
ALONE, TOGETHER, COARSE = 1, 2, 2
# A place that is less probable by this (log) than the best, before any is compared, is not: it
# would not become the best.
NEAR = 4.0


@torch.no_grad()
def overviews(pixels: Tensor, places: Sequence[Place], stride: int) -> Tensor:
    """Returns (K, 5, SIDE, SIDE): the surroundings of places, each turned back by its turn.

    Args:
        pixels: (5, h, w), what ``codec.encode`` says, averaged over each cell.
        places: in the picture's pixels. stride: pixels along a cell.
    """
    maps = []
    for place in places:
        x, y = ((q - (stride - 1) / 2) / stride for q in (place.u, place.v))
        back = torch.tensor([-place.turn], dtype=torch.float64, device=pixels.device)
        maps.append(turned_about(Place(x, y, 0.0), back, (SIDE - 1) / 2))
    return without_table(warp(pixels, torch.cat(maps), SIDE))


def without_table(seen: Tensor) -> Tensor:
    """Leaves out the table's own colours of (K, 5, n, n): they tell where a thing lies, not what it
    is."""
    colors, others = seen[:, :HEIGHT], seen[:, HEIGHT:]
    return torch.cat([colors * (others[:, :1] > float(STANDING)), others], 1)


class Comparison(nn.Module):
    """Overviews of places and of the shown spot -> what to add to the verifier's logits.

    Args:
        channels: of an overview's first maps, half as wide as it; maps half as wide as those have
            twice as many, and so on.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.near = nn.Conv2d(CHANNELS, channels, 5, stride=2, padding=2)
        self.far = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.alone = _refinements(ALONE, 2 * channels)
        self.join = nn.Conv2d(8 * channels, 2 * channels, 1)
        self.together = _refinements(TOGETHER, 2 * channels)
        self.halve = nn.Conv2d(2 * channels, 4 * channels, 3, stride=2, padding=1)
        self.coarse = _refinements(COARSE, 4 * channels)
        self.score = nn.Linear(12 * channels, 1)
        # Untrained, it has no say.
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    def forward(self, places: Tensor, shown: Tensor) -> Tensor:
        """Returns (N, K).

        Args:
            places: (N, K, 5, SIDE, SIDE), overviews of K places each; shown: (N, 5, SIDE, SIDE).
        """
        count = places.shape[1]
        spots = self.seen(shown).repeat_interleave(count, 0)
        return self.compared(self.seen(places.flatten(0, 1)), spots).view(-1, count)

    def seen(self, overviews: Tensor) -> Tensor:
        """Returns what overviews (P, 5, SIDE, SIDE) are each by itself."""
        maps: Tensor = self.alone(self.far(F.relu(self.near(overviews))))
        return maps

    def compared(self, places: Tensor, spots: Tensor) -> Tensor:
        """Returns (P,), of pairs of what ``seen`` makes."""
        both = torch.cat([places, spots, (places - spots).abs(), places * spots], 1)
        maps = self.halve(F.relu(self.together(self.join(F.relu(both)))))
        scores: Tensor = self.score(pooled(F.relu(self.coarse(maps))))[:, 0]
        return scores


def _refinements(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(Refinement(channels) for _ in range(count)))
