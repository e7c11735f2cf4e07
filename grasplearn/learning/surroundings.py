"""Overviews cut out of sightings, as they are or changed about for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.learning.cases import NONE
from grasplearn.learning.sightings import from_bytes, load_sighting
from grasplearn.nets.overview import HEIGHT, SIDE, without_table

# In training, of a question about a kin and of any other: how much larger or smaller the scene is
# laid down, how much it is stretched along one side, how much higher it is; as logs.
SIZE, STRETCH, TALLER = (0.26, 0.04), (0.14, 0.02), (0.26, 0.04)
# How much brighter a picture is, as a whole and a colour, and by how much all is lifted.
LIGHT, TINT, LIFT = 0.125, 0.06, 0.075
# Share of questions whose colours change places, and of those without any.
RECOLOURED, GREY = 0.6, 0.15
# Of colours and heights: a sensor's noise. Of proposals and the shown spot: pixels, rad.
NOISE = (0.05, 0.015)
MOVED, TURNED = (1.5, 0.7), (0.08, 0.03)


@dataclass(frozen=True, eq=False)
class Sightings:
    """Many sightings' questions, N of them, ready to be looked at.

    Attributes:
        pictures: (P, 5, n, n) uint8; shown, seen: (N,), which of them is the demonstration and
            which the question.
        spot: (N, 2), places: (N, K, 3), told, right: (N, K): see ``Sighting``.
        of_kin: (N,), whether the question is about a kin.
        stride: pixels along a cell.
    """

    pictures: Tensor
    shown: Tensor
    seen: Tensor
    spot: Tensor
    places: Tensor
    told: Tensor
    right: Tensor
    of_kin: Tensor
    tiers: tuple[str, ...]
    stride: int

    @classmethod
    def load(cls, files: Sequence[Path], stride: int, device: str = "cpu") -> Self:
        """Reads sightings.

        Raises:
            FileFormatError: see ``load_sighting``.
        """
        found = [load_sighting(file) for file in files]
        sizes = np.array([len(one.tiers) for one in found])
        first = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
        tiers = tuple(tier for one in found for tier in one.tiers)

        def joined(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(s, name) for s in found])).to(device)

        shown = np.repeat(first, sizes)
        seen = np.setdiff1d(np.arange((sizes + 1).sum()), first)
        spots = np.repeat(np.stack([one.spot for one in found]), sizes, 0)
        return cls(
            joined("pictures"),
            torch.from_numpy(shown).to(device),
            torch.from_numpy(seen).to(device),
            torch.from_numpy(spots).to(device),
            joined("places"),
            joined("told"),
            joined("right"),
            torch.tensor([tier.endswith("kin") for tier in tiers], device=device),
            tiers,
            stride,
        )

    @property
    def there(self) -> Tensor:
        """(N, K), whether there is such a proposal."""
        return self.told > NONE

    def overviews(self, some: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what ``Comparison`` takes of some questions (M,)."""
        seen, shown = self._pixels(some)
        return self._cut(some, seen, shown, Changes.none(some))

    def changed_overviews(self, some: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns what ``Comparison`` takes of some questions (M,), seen as if of other objects, in
        another light, of other sizes where they are about a kin, and not quite where they are."""
        changes = Changes.drawn(self.of_kin[some], self.places.shape[1], rng)
        seen, shown = (changes.colored(pixels, rng) for pixels in self._pixels(some))
        seen = torch.cat([seen[:, :HEIGHT], seen[:, HEIGHT:] * changes.taller], 1)
        places, spot = self._cut(some, seen, shown, changes)
        for which, flipped in enumerate((changes.mirrored, changes.upset)):
            places = torch.where(flipped.view(-1, 1, 1, 1, 1), places.flip(-1 - which), places)
            spot = torch.where(flipped.view(-1, 1, 1, 1), spot.flip(-1 - which), spot)
        return places, spot

    def _pixels(self, some: Tensor) -> tuple[Tensor, Tensor]:
        seen, shown = (from_bytes(self.pictures[n[some]]) for n in (self.seen, self.shown))
        return seen, shown

    def _cut(
        self, some: Tensor, seen: Tensor, shown: Tensor, changes: Changes
    ) -> tuple[Tensor, Tensor]:
        places = self.places[some] + changes.moved
        count = places.shape[1]
        spot = torch.cat([self.spot[some], torch.zeros_like(changes.turned)[:, None]], 1)
        spot = spot + torch.cat([changes.spot, changes.turned[:, None]], 1)
        wide = seen.repeat_interleave(count, 0)
        scale = changes.scale.repeat_interleave(count, 0)
        cut = surroundings(wide, places.flatten(0, 1), self.stride, scale)
        own = surroundings(shown, spot, self.stride, torch.ones_like(changes.scale))
        return cut.unflatten(0, (-1, count)), own


@dataclass(frozen=True, eq=False)
class Changes:
    """In what M questions are changed about.

    Attributes:
        order: (M, 3), which colour stands where. grey: (M, 1, 1, 1), 1 where there are none.
        scale: (M, 2), how much larger a scene is laid down, along either side of an overview.
        taller: (M, 2, 1, 1), what heights and whether they are known are multiplied with.
        moved: (M, K, 3) and spot: (M, 2), turned: (M,): how far places and the shown spot are off.
        mirrored, upset: (M,), whether overviews are flipped.
    """

    order: Tensor
    grey: Tensor
    scale: Tensor
    taller: Tensor
    moved: Tensor
    spot: Tensor
    turned: Tensor
    mirrored: Tensor
    upset: Tensor

    @classmethod
    def none(cls, some: Tensor) -> Self:
        zero = torch.zeros(len(some), device=some.device)
        return cls(
            torch.arange(3, device=some.device).expand(len(some), 3),
            zero.view(-1, 1, 1, 1),
            torch.ones_like(zero)[:, None].expand(-1, 2),
            torch.ones_like(zero).view(-1, 1, 1, 1).expand(-1, 2, 1, 1),
            zero.view(-1, 1, 1),
            zero[:, None].expand(-1, 2),
            zero,
            zero > 0,
            zero > 0,
        )

    @classmethod
    def drawn(cls, of_kin: Tensor, count: int, rng: torch.Generator) -> Self:
        many, device = len(of_kin), of_kin.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(many, *shape, generator=rng, device=device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(many, *shape, generator=rng, device=device)

        def factor(most: tuple[float, float]) -> Tensor:
            # Half of the kin are changed no more than others: some differ in their colours alone.
            far = of_kin & (uniform() < 0.5)
            return torch.exp((2 * uniform() - 1) * torch.where(far, *most))

        kept = torch.arange(3, device=device).expand(many, 3)
        order = torch.where(uniform(1) < RECOLOURED, uniform(3).argsort(1), kept)
        size, stretch, tall = factor(SIZE), factor(STRETCH), factor(TALLER)
        steps = normal(count, 3) * torch.tensor([MOVED[0], MOVED[0], TURNED[0]], device=device)
        return cls(
            order,
            (uniform(1, 1, 1) < GREY).float(),
            torch.stack([size * stretch, size / stretch], 1),
            torch.stack([tall, torch.ones_like(tall)], 1).view(-1, 2, 1, 1),
            steps,
            MOVED[1] * normal(2),
            TURNED[1] * normal(),
            uniform() < 0.5,
            uniform() < 0.5,
        )

    def colored(self, pixels: Tensor, rng: torch.Generator) -> Tensor:
        """Returns pictures (M, 5, n, n) recoloured, in a light of their own, with noise."""
        many, device = len(pixels), pixels.device

        def uniform(channels: int) -> Tensor:
            some = torch.rand(many, channels, 1, 1, generator=rng, device=device)
            return 2 * some - 1

        index = self.order[:, :, None, None].expand(-1, -1, *pixels.shape[2:])
        colors = pixels[:, :HEIGHT].gather(1, index)
        light = 1 + LIGHT * uniform(1) + TINT * uniform(3)
        colors = ((colors + 1) * light - 1 + LIFT * uniform(1)).clamp(-1, 1)
        colors = torch.lerp(colors, colors.mean(1, keepdim=True).expand_as(colors), self.grey)
        noise = torch.randn(many, HEIGHT + 1, *pixels.shape[2:], generator=rng, device=device)
        colors = colors + NOISE[0] * noise[:, :HEIGHT]
        height, known = pixels[:, HEIGHT:].split(1, 1)
        return torch.cat([colors, height + NOISE[1] * noise[:, HEIGHT:], known], 1)


def surroundings(pixels: Tensor, places: Tensor, stride: int, scale: Tensor) -> Tensor:
    """Returns (M, 5, SIDE, SIDE): as ``overviews``, a place each of M pictures, on any device.

    Args:
        pixels: (M, 5, h, w). places: (M, 3), u, v and the turn. scale: (M, 2), how much larger what
            is seen is shown, along the width and along the height of the overview.
    """
    axis = torch.arange(SIDE, device=pixels.device, dtype=pixels.dtype) - (SIDE - 1) / 2
    x, y = axis[None, None] / scale[:, :1, None], axis[None, :, None] / scale[:, 1:, None]
    c, s = (f(places[:, 2]).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    u, v = ((places[:, i].view(-1, 1, 1) - (stride - 1) / 2) / stride for i in (0, 1))
    # Back by the turn; v grows downwards, hence the signs.
    found = torch.stack([u + c * x + s * y, v - s * x + c * y], -1)
    height, width = pixels.shape[-2:]
    grid = found * found.new_tensor([2 / (width - 1), 2 / (height - 1)]) - 1
    return without_table(F.grid_sample(pixels, grid, "bilinear", "zeros", align_corners=True))
