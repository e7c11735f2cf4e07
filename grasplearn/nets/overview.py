"""The overview: what stands within 20 cm of a place, coarsely, turned back as it was shown.

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

# Squares along the side of an overview, and cells of the net along a square's.
SIDE, CELLS = 25, 2
HEIGHT = 3


@torch.no_grad()
def overviews(pixels: Tensor, places: Sequence[Place], stride: int) -> Tensor:
    """Returns (K, 5, SIDE, SIDE): the surroundings of places, each turned back by its turn.

    The table's own colours are left out: they tell where a thing lies, not what it is.

    Args:
        pixels: (5, h, w), what ``codec.encode`` says, averaged over each cell.
        places: in the picture's pixels. stride: pixels along a cell.
    """
    maps = []
    for place in places:
        x, y = ((q - (stride - 1) / 2) / stride for q in (place.u, place.v))
        back = torch.tensor([-place.turn], dtype=torch.float64, device=pixels.device)
        maps.append(turned_about(Place(x, y, 0.0), back, (SIDE * CELLS - 1) / 2))
    seen = F.avg_pool2d(warp(pixels, torch.cat(maps), SIDE * CELLS), CELLS)
    colors, others = seen[:, :HEIGHT], seen[:, HEIGHT:]
    return torch.cat([colors * (others[:, :1] > float(STANDING)), others], 1)


class Comparison(nn.Module):
    """Pairs of overviews -> what to add to the verifier's logits.

    Args:
        channels: of the first half; the second, on a map half as wide, has twice as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.near = nn.Conv2d(CHANNELS, channels, 3, stride=2, padding=1)
        self.far = nn.Conv2d(channels, channels, 3, padding=1)
        self.join = nn.Conv2d(3 * channels, channels, 1)
        self.fine = Refinement(channels)
        self.halve = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.coarse = Refinement(2 * channels)
        self.score = nn.Linear(6 * channels, 1)
        # Untrained, it has no say.
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pairs: Tensor) -> Tensor:
        """Returns (P,).

        Args:
            pairs: (P, 10, SIDE, SIDE), a place's overview and the shown one.
        """
        both = pairs.unflatten(1, (2, CHANNELS)).flatten(0, 1)
        seen = F.relu(self.far(F.relu(self.near(both)))).unflatten(0, (-1, 2))
        place, shown = seen.unbind(1)
        maps = self.join(torch.cat([place, shown, (place - shown).abs()], 1))
        maps = F.relu(self.coarse(self.halve(F.relu(self.fine(maps)))))
        scores: Tensor = self.score(pooled(maps))[:, 0]
        return scores
