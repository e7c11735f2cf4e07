"""Samples that no step of teaching sees: whether refining is called for, and whether it helped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap
from grasplearn.learning.augment import SupportSet
from grasplearn.learning.threads import side_by_side
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import best_place, encode, place_of, place_target
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.head import Target, maps_loss
from grasplearn.types import MAX_WIDTH, Grasp

SecondLook = Callable[[Tensor, Tensor, Tensor], Tensor]

# Keys of the probe's samples: no step ever comes so far.
FIRST_KEY = 1 << 32
# A place is found if it is missed by no more cells (2 cm) and turns of 16 (30 degrees) than this.
CELLS, TURN = 2, math.radians(33)


@dataclass(frozen=True, eq=False)
class Probe:
    """The demonstration itself and samples of it, in batches as small as a step's."""

    batches: tuple[Batch, ...]

    @staticmethod
    def draw(shown: Batch, support: SupportSet, samples: int, at_once: int) -> Probe:
        """Draws ``samples`` of the support set's beside the demonstration."""
        keys = range(FIRST_KEY, FIRST_KEY + samples)
        parts = [keys[first : first + at_once] for first in range(0, samples, at_once)]
        return Probe((shown, *(support.batch(part) for part in parts)))

    def look(self, net: GraspNet, second: SecondLook | None = None) -> tuple[float, float]:
        """Returns a net's mean loss, and the share of samples in which it misses the spot.

        Args:
            second: makes of a picture (1, 5, H, W), its features (1, C, h, w) and quality
                (R, h, w) the quality that is asked where the spot is; the loss stays the net's own.
        """
        looks = side_by_side(partial(_look, net, second), self.batches)
        losses, missed = zip(*looks, strict=True)
        counts = [len(batch.pictures) for batch in self.batches]
        return float(np.average(losses, weights=counts)), sum(missed) / sum(counts)


@torch.no_grad()
def _look(net: GraspNet, second: SecondLook | None, batch: Batch) -> tuple[float, int]:
    """Returns the mean loss of a batch, and in how many of its samples the spot is missed."""
    features = net.features(batch.pictures)
    maps = net.head(features)
    missed = 0
    for i, (quality, right) in enumerate(zip(maps.quality, batch.target.place, strict=True)):
        if second is not None and bool(torch.isfinite(quality).all()):
            one = slice(i, i + 1)
            quality = second(batch.pictures[one], features[one], quality)
        missed += not is_found(quality, right, net.spec.stride)
    return float(maps_loss(maps, batch.target)), missed


def is_found(quality: Tensor, right: Tensor, stride: int) -> bool:
    """Whether the best place of (R, h, w) logits is near any mass of the target (R, h, w).

    The jaws' half turn makes no difference.
    """
    if not bool(torch.isfinite(quality).all()):
        return False
    found, _ = best_place(quality, stride)
    turns = len(quality)
    x, y = (round((q - (stride - 1) / 2) / stride) for q in (found.u, found.v))
    near = right[:, max(y - CELLS, 0) : y + CELLS + 1, max(x - CELLS, 0) : x + CELLS + 1]
    angle = 2 * math.pi * torch.arange(turns) / turns - found.turn
    off = (angle + math.pi / 2) % math.pi - math.pi / 2
    return bool(near[off.abs() <= TURN].sum() > 0)


def shown_batch(view: Heightmap, grasp: Grasp, net: GraspNet) -> Batch:
    """Returns the demonstration as a batch of one: the grasp at its own place, not turned.

    Raises:
        InvalidValueError: the grasp lies outside the workspace.
    """
    place = place_of(view, grasp)
    if not (0 <= place.u < view.side and 0 <= place.v < view.side):
        raise InvalidValueError("the demonstrated grasp lies outside the workspace")
    volume = place_target([[place]], net.spec, view.side)
    width = torch.tensor([grasp.width / MAX_WIDTH])
    return Batch(encode(view)[None], Target(volume, width))
