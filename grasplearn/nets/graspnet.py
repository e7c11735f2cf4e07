"""GraspNet: a trunk of blocks over a heightmap, and a head that the demonstration imprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from grasplearn.errors import InvalidValueError
from grasplearn.nets.blocks import Residual, Stem
from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.head import ImprintedHead, Maps, Target, maps_loss

# Red, green, blue, height, known.
CHANNELS = 5


@dataclass(frozen=True)
class NetSpec:
    """A GraspNet's shape; with the weights it is all there is to know.

    Attributes:
        width: channels of the trunk; depth: its residual blocks behind the stem.
        stride: pixels per cell; a picture's side is a multiple of it.
        features: channels that are correlated; groups: how many normalised groups they form.
        turns: rotations of the kernels, evenly over the FULL turn: a demonstrated spot has a front
            and a back, only the jaws have not.
        kernel: cells along a kernel's side, odd.
        hidden: channels of the decoder.

    Raises:
        InvalidValueError: a value is out of its range.
    """

    width: int = 48
    depth: int = 8
    stride: int = 4
    features: int = 32
    groups: int = 4
    turns: int = 16
    kernel: int = 7
    hidden: int = 8

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or value < 1:
                raise InvalidValueError(f"a net's {name} must be a whole number above 0: {value}")
        if self.features % self.groups:
            raise InvalidValueError(
                f"{self.features} features do not make {self.groups} equal groups"
            )
        if self.kernel % 2 == 0 or self.turns < 4 or self.stride not in (2, 4):
            raise InvalidValueError("kernel must be odd, turns at least 4, stride 2 or 4")

    def deeper(self, times: int) -> NetSpec:
        """Returns the same net with ``times`` as many residual blocks."""
        return NetSpec(**{**asdict(self), "depth": self.depth * times})

    @property
    def patch_cells(self) -> int:
        """Cells along the side of a patch for the imprint, odd: the kernel and what it can see.

        Every residual block sees one cell further, the stem half a cell; a seam of at most 12
        cells keeps the patches of very deep nets affordable.
        """
        return self.kernel + 2 * min(self.depth + 1, 12)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> NetSpec:
        try:
            return NetSpec(**data)
        except TypeError as error:
            raise InvalidValueError(f"these are not a net's settings: {data}") from error


class GraspNet(Chain):
    """Pictures (B, 5, H, W) as ``codec.encode`` makes them -> Maps (B, turns, H/4, W/4).

    Before a demonstration is imprinted its kernels are noise, and so is what it says.
    """

    head: ImprintedHead

    def __init__(self, spec: NetSpec | None = None, seed: int = 0) -> None:
        """``seed`` fixes the initial weights, whatever else has drawn random numbers."""
        spec = spec or NetSpec()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            blocks = [Residual(spec.width, spec.depth) for _ in range(spec.depth)]
            head = ImprintedHead(
                spec.width, spec.features, spec.turns, spec.kernel, spec.groups, spec.hidden
            )
            super().__init__([Stem(CHANNELS, spec.width, spec.stride), *blocks], head)
        self.spec = spec

    @torch.no_grad()
    def imprint(self, patches: Tensor, width: float) -> Tensor:
        """Makes a demonstration the head's kernels: feed-forward, in milliseconds.

        Args:
            patches: (turns, 5, S, S) from ``codec.patches``; width: opening / MAX_WIDTH.

        Returns:
            The trunk's features of the patches.
        """
        features = self.features(patches)
        self.head.kernels.copy_(self.head.kernels_of(features))
        self.head.width.fill_(width)
        return features

    def episode_loss(
        self, patches: Tensor, widths: Tensor, batch: Batch, questions: Sequence[int]
    ) -> Tensor:
        """Returns the mean loss () of episodes, each after its own imprint, for pre-training.

        The net's own kernels are neither read nor changed; autograd looks through the imprint.

        Args:
            patches: (E, turns, 5, S, S), widths: (E,), of the demonstrations, as ``imprint`` takes
                them. batch: the questions of all episodes; questions: how many each has.
        """
        shown = self.features(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        asked = self.features(batch.pictures).split(list(questions))
        places = batch.target.place.split(list(questions))
        openings = batch.target.width.split(list(questions))
        losses = []
        for one, width, h, place, opening in zip(
            shown, widths, asked, places, openings, strict=True
        ):
            own = {"kernels": self.head.kernels_of(one), "width": width.view(1)}
            maps = functional_call(self.head, own, (h,))
            losses.append(maps_loss(maps, Target(place, opening)))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def predict(self, pictures: Tensor) -> Maps:
        """Returns the maps of pictures (B, 5, H, W), without a graph."""
        maps: Maps = self(pictures)
        return maps
