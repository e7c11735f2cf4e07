"""The head: the demonstration's own features are its kernels.

Source: weight imprinting (Qi et al., arXiv 1712.07136) carried over from class vectors to rotated
spatial kernels, which are correlated with the features as Transporter networks do
(arXiv 2010.14406); the groups, their normalisation and the decoder are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.chain import Grads, Head, HeadStep
from grasplearn.nets.conv import conv_grads, mix, mix_grads, relu_grad_
from grasplearn.nets.integer import Fit, Fixed
from grasplearn.nets.integer_head import imprinted_loss

# Of a head's parameters, what an imprint makes and refining leaves alone.
IMPRINTED = ("kernels", "width")
# What the width's squared error (in units of the hand's opening) counts beside the place's entropy.
WIDTH_WEIGHT = 10.0


@dataclass(frozen=True, eq=False)
class Maps:
    """What the net says about a batch of pictures.

    Attributes:
        quality: (B, R, h, w), logits over all turns and cells together: where the demonstrated spot
            is, and how far it has been turned since the demonstration.
        width: (B, R, h, w), the jaws' opening there / MAX_WIDTH.
    """

    quality: Tensor
    width: Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """What it should have said.

    Attributes:
        place: (B, R, h, w), a distribution (sums to 1 per sample) over turns and cells. Several
            correct grasps share it.
        width: (B,), opening / MAX_WIDTH.
    """

    place: Tensor
    width: Tensor

    def to(self, device: str | torch.device) -> Target:
        return Target(self.place.to(device), self.width.to(device))


def maps_loss(maps: Maps, target: Target) -> Tensor:
    """Cross-entropy of the place + weighted squared error of the width, mean over samples."""
    log_place = maps.quality.flatten(1).log_softmax(1)
    off = (maps.width - target.width.view(-1, 1, 1, 1)) ** 2
    terms = WIDTH_WEIGHT * off.flatten(1) - log_place
    loss: Tensor = (target.place.flatten(1) * terms).sum(1).mean()
    return loss


class ImprintedHead(Head):
    """Features (B, C, h, w) -> Maps.

    A window (G, k, k), learned in pre-training, says how far around the spot a group looks: the
    demonstrated part itself returns in a kin of another size, its surroundings move.

    1x1 projection to signed features; soft normalisation of every cell's groups, so that a cell
    the trunk finds dull (small) stays small; correlation with the kernels, group by group; one
    small decoder for all turns. The turns are worked through a few at a time, forward and backward,
    so that the many maps of all turns never live at once.
    """

    window: Tensor

    def __init__(
        self,
        channels: int,
        features: int = 32,
        turns: int = 16,
        kernel: int = 7,
        groups: int = 4,
        hidden: int = 8,
        turns_at_once: int = 8,
    ) -> None:
        super().__init__()
        self.groups, self.kernel = groups, kernel
        self.turns_at_once = turns_at_once
        self.project = nn.Parameter(torch.randn(features, channels) / math.sqrt(channels))
        cells = kernel * kernel
        self.kernels = nn.Parameter(torch.randn(turns, features, kernel, kernel) / cells)
        # Only an imprint reads it, so that pre-training learns it and teaching cannot.
        self.register_buffer("window", torch.ones(groups, kernel, kernel))
        # Before any training the sum of the groups' correlations IS the quality.
        self.link = nn.Parameter(torch.zeros(2, groups))
        self.link.data[0] = 32 / groups
        self.spread = nn.Parameter(torch.randn(hidden, groups, 3, 3) * math.sqrt(2 / (9 * groups)))
        self.spread_bias = nn.Parameter(torch.zeros(hidden))
        self.gather = nn.Parameter(torch.zeros(2, hidden))
        # Of the width alone: the quality is a softmax, which ignores a constant.
        self.width = nn.Parameter(torch.tensor([0.5]))

    @property
    def turns(self) -> int:
        """How many rotations the kernels hold; training may lend fewer."""
        return len(self.kernels)

    def learn_window(self, learn: bool) -> None:
        """Makes the window a parameter, for pre-training, or a buffer again."""
        window = self.window.detach()
        del self.window
        if learn:
            self.window = nn.Parameter(window)
        else:
            self.register_buffer("window", window)

    def kernels_of(self, features: Tensor) -> Tensor:
        """Returns the kernels (R, F, k, k) that a demonstration's features become.

        Autograd can look through it, so that pre-training can shape features by what their
        imprint finds.

        Args:
            features: (R, C, n, n), the trunk's, of the demonstration turned R times about the
                grasp, which lies in the middle of the middle cell; n odd, at least the kernel's.
        """
        normal, _ = self._normal(features)
        edge = (features.shape[-1] - self.kernel) // 2
        inner = slice(edge, edge + self.kernel)
        window = self.window.repeat_interleave(normal.shape[1] // self.groups, 0)
        kernels: Tensor = normal[:, :, inner, inner] * window / self.kernel**2
        return kernels

    def forward(self, h: Tensor) -> Maps:
        normal, _ = self._normal(h)
        both = self._both(normal)
        return Maps(both[:, :, 0], both[:, :, 1])

    def loss(self, h: Tensor, target: Target) -> Tensor:
        return maps_loss(self(h), target)

    @torch.no_grad()
    def step(self, h: Tensor, target: Target) -> HeadStep:
        """The closed form of what autograd makes of ``loss``; a test compares them."""
        normal, inverse = self._normal(h)
        loss, both = self._loss_and_error(normal, target)
        grads = {name: torch.zeros_like(p) for name, p in self.named_parameters()}
        for_normal = torch.zeros_like(normal)
        for ones, some in self._pieces(normal):
            g = both[ones, some].flatten(0, 1)
            for_normal[ones] += self._pull_back(normal[ones], some, g, grads)
        # n = x s with s = (|x|^2 + 1)^-1/2, hence dx = s (dn - n (n . dn)).
        grouped = normal.unflatten(1, (self.groups, -1))
        pulled = for_normal.unflatten(1, (self.groups, -1))
        along = (grouped * pulled).sum(2, keepdim=True)
        pulled.addcmul_(grouped, along, value=-1).mul_(inverse)
        del both, g, normal, grouped, along, inverse
        error, grads["project"] = mix_grads(self.project, h, for_normal)
        return HeadStep(loss, grads, error)

    def integer_loss(self, x: Fixed, weights: dict[str, Fixed], target: Target, fit: Fit) -> int:
        total = 0
        for sample in range(x.values.shape[1]):
            one = Fixed(x.values[:, sample : sample + 1], x.exponent)
            place, width = target.place[sample], target.width[sample]
            total += imprinted_loss(one, weights, self.groups, place, width, int(WIDTH_WEIGHT), fit)
        return total // x.values.shape[1]

    @torch.no_grad()
    def target_error(self, target: Target) -> Tensor:
        """Returns (B, C, h, w): the part of the error that the target alone tells.

        The kernels, put down where they belong: what the features there should become more like.
        What they should become less like elsewhere is not in it.
        """
        total: Tensor | None = None
        for start in range(0, self.turns, self.turns_at_once):
            some = slice(start, start + self.turns_at_once)
            g = -target.place[:, some] / len(target.place)
            for_maps = mix(self.link[:1].T, g.flatten(0, 1)[:, None])
            for_maps = self._by_group(for_maps, len(target.place))
            part = F.conv_transpose2d(
                for_maps, self._weights(some), padding=self.kernel // 2, groups=self.groups
            )
            total = part if total is None else total.add_(part)
        assert total is not None
        return mix(self.project.T, total)

    def normalised(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the features (B, F, h, w) that are correlated, their groups of length up to 1,
        and the log of each group's length before that, softened (B, G, h, w)."""
        normal, inverse = self._normal(features)
        return normal, -inverse[:, :, 0].log()

    def _pieces(self, normal: Tensor) -> Iterator[tuple[slice, slice]]:
        """Yields samples and turns that are worked through together: few, but all on a GPU."""
        samples, turns = (len(normal), self.turns) if normal.is_cuda else (1, self.turns_at_once)
        for first in range(0, len(normal), samples):
            for start in range(0, self.turns, turns):
                yield slice(first, first + samples), slice(start, start + turns)

    def _both(self, normal: Tensor) -> Tensor:
        """Returns quality and width (B, R, 2, h, w)."""
        both = normal.new_empty(len(normal), self.turns, 2, *normal.shape[-2:])
        for ones, some in self._pieces(normal):
            _, part = self._decode(self._correlate(normal[ones], some))
            both[ones, some] = part.view_as(both[ones, some])
        return both

    def _normal(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Returns normalised features (B, F, h, w) and the factors (B, G, 1, h, w)."""
        x = mix(self.project, h).unflatten(1, (self.groups, -1))
        inverse = ((x * x).sum(2, keepdim=True) + 1).rsqrt()
        return (x * inverse).flatten(1, 2), inverse

    def _weights(self, some: slice) -> Tensor:
        """Kernels of some turns as a grouped convolution's weight (G t, F / G, k, k)."""
        grouped: Tensor = self.kernels[some].unflatten(1, (self.groups, -1))
        return grouped.transpose(0, 1).flatten(0, 1)

    def _correlate(self, normal: Tensor, some: slice) -> Tensor:
        """Returns every group's correlation (B t, G, h, w)."""
        found = F.conv2d(normal, self._weights(some), padding=self.kernel // 2, groups=self.groups)
        grouped: Tensor = found.unflatten(1, (self.groups, -1))
        return grouped.transpose(1, 2).flatten(0, 1)

    def _by_group(self, maps: Tensor, samples: int) -> Tensor:
        """(B t, G, h, w) back to the convolution's order (B, G t, h, w)."""
        grouped: Tensor = maps.unflatten(0, (samples, -1))
        return grouped.transpose(1, 2).flatten(1, 2)

    def _decode(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Returns hidden maps (B t, D, h, w), and quality and width (B t, 2, h, w)."""
        hidden = F.conv2d(maps, self.spread, self.spread_bias, padding=1).relu_()
        both = mix(self.gather, hidden).add_(mix(self.link, maps))
        both[:, 1] += self.width
        return hidden, both

    def _loss_and_error(self, normal: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """Returns the loss () and its gradient (B, R, 2, h, w) for both maps."""
        both = self._both(normal)
        share = target.place / len(normal)
        quality, width = both[:, :, 0], both[:, :, 1]
        total = quality.flatten(1).logsumexp(1).view(-1, 1, 1, 1)
        width -= target.width.view(-1, 1, 1, 1)
        quality -= total
        loss = (share * (WIDTH_WEIGHT * width**2 - quality)).sum()
        quality.exp_().div_(len(normal)).sub_(share)
        width.mul_(share).mul_(2 * WIDTH_WEIGHT)
        return loss, both

    def _pull_back(self, normal: Tensor, some: slice, g: Tensor, grads: Grads) -> Tensor:
        """Adds some turns' share to ``grads``; returns their gradient for ``normal``.

        ``g``: (B t, 2, h, w), the loss's gradient for both maps.
        """
        maps = self._correlate(normal, some)
        hidden, _ = self._decode(maps)
        grads["width"] += g[:, 1].sum()
        for_hidden, gather = mix_grads(self.gather, hidden, g)
        for_maps, link = mix_grads(self.link, maps, g)
        grads["gather"] += gather
        grads["link"] += link
        relu_grad_(for_hidden, hidden)
        del hidden, g
        grads["spread_bias"] += for_hidden.sum((0, 2, 3))
        through, spread = conv_grads(maps, self.spread, for_hidden, padding=1)
        del maps, for_hidden
        grads["spread"] += spread
        assert through is not None
        for_maps = self._by_group(for_maps.add_(through), len(normal))
        for_normal, kernels = conv_grads(
            normal, self._weights(some), for_maps, padding=self.kernel // 2, groups=self.groups
        )
        grads["kernels"][some] += (
            kernels.unflatten(0, (self.groups, -1)).transpose(0, 1).flatten(1, 2)
        )
        assert for_normal is not None
        return for_normal
