"""From maps to a verdict: layers that ``nets.verifier`` and ``nets.overview`` have in common."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Refinement(nn.Module):
    """Two convolutions beside a skip; the identity before any training.

    Activated before each convolution and not after (He et al., arXiv 1603.05027).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + found


def pooled(maps: Tensor) -> Tensor:
    """Returns (N, 3 C): the mean of maps (N, C, n, n), n odd, their maximum and their middle."""
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), middle], 1)
