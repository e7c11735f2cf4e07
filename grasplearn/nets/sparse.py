"""Which part of a gradient is kept, and a convolution's gradients from that part alone.

Scattered entries leave a dense product as large as it was. Whole channels or whole positions (cells
of the picture) do not: their rows or columns are gathered into a smaller dense product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.nets.conv import conv_grads

Over = Literal["entries", "channels", "positions"]


@dataclass(frozen=True)
class Keep:
    """The part of a gradient that is kept: its largest, by magnitude.

    Attributes:
        share: how much of it, in (0, 1]; at least one is always kept.
        over: what is large or small: single ``entries``, whole ``channels`` (always the same for
            all samples), or whole ``positions`` of a map.
        unified: whether all samples of a batch keep the same, by the sum of their magnitudes.

    Raises:
        InvalidValueError: a value is out of its range.
    """

    share: float
    over: Over = "entries"
    unified: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidValueError(f"the share that is kept must be in (0, 1], got {self.share}")
        if self.over not in get_args(Over):
            raise InvalidValueError(
                f"what is kept must be one of {', '.join(get_args(Over))}; got '{self.over}'"
            )

    def largest(self, sizes: Tensor) -> Tensor:
        """Returns indices (B, k) of the largest of sizes (B, n), each row's or all rows' sum's."""
        count = max(1, round(self.share * sizes.shape[1]))
        if self.unified or self.over == "channels":
            return sizes.sum(0).topk(count).indices.expand(len(sizes), -1)
        return sizes.topk(count, 1).indices

    def sizes(self, g: Tensor) -> Tensor:
        """Returns what is compared (B, n), of a gradient (B, C, ...)."""
        if g.dim() < 3 or self.over == "entries":
            return g.abs().flatten(1)
        if self.over == "channels":
            return g.flatten(2).abs().sum(2)
        return g.flatten(2).abs().sum(1)

    def thin_(self, g: Tensor) -> Tensor:
        """Sets everything else to 0 in place; returns g (B, C, ...)."""
        sizes = self.sizes(g)
        mask = torch.zeros_like(sizes).scatter_(1, self.largest(sizes), 1)
        if sizes.shape[1] == g[0].numel():
            return g.mul_(mask.view_as(g))
        if self.over == "channels":
            return g.mul_(mask.view(*mask.shape, *[1] * (g.dim() - 2)))
        return g.mul_(mask.view(len(g), 1, *g.shape[2:]))


def sparse_conv_grads(
    x: Tensor,
    weight: Tensor,
    g: Tensor,
    keep: Keep,
    *,
    stride: int = 1,
    padding: int = 0,
    need_input: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Returns the gradients for input (or None), weight and bias from a part of g alone.

    Args:
        x: (B, I, H, W); weight: (O, I, k, k); g: (B, O, H', W'), dloss/doutput; it stays.
    """
    if keep.over == "entries":
        part = keep.thin_(g.clone())
        for_input, for_weight = conv_grads(
            x, weight, part, stride=stride, padding=padding, need_input=need_input
        )
        return for_input, for_weight, part.sum((0, 2, 3))
    if keep.over == "channels":
        chosen = keep.largest(keep.sizes(g))[0]
        part = g[:, chosen]
        for_input, some = conv_grads(
            x, weight[chosen], part, stride=stride, padding=padding, need_input=need_input
        )
        for_weight = torch.zeros_like(weight).index_copy_(0, chosen, some)
        return (
            for_input,
            for_weight,
            g.new_zeros(len(weight)).index_copy_(0, chosen, part.sum((0, 2, 3))),
        )
    return _at_positions(x, weight, g, keep, stride, padding, need_input)


def _at_positions(
    x: Tensor, weight: Tensor, g: Tensor, keep: Keep, stride: int, padding: int, need_input: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The kept cells as the columns of a matrix: n of H' W' of them are multiplied."""
    (samples, channels), (out, _, side, _) = x.shape[:2], weight.shape
    cells = keep.largest(keep.sizes(g))
    columns = g.flatten(2).gather(2, cells[:, None].expand(-1, out, -1))
    padded = F.pad(x, [padding] * 4)
    width = padded.shape[-1]
    offsets = torch.arange(side, device=x.device)
    offsets = (offsets[:, None] * width + offsets).flatten()
    corner = cells // g.shape[-1] * stride * width + cells % g.shape[-1] * stride
    # (B, k k n): where in the padded picture every kept cell's window lies.
    where = (corner[:, None] + offsets[:, None]).flatten(1)[:, None].expand(-1, channels, -1)
    windows = padded.flatten(2).gather(2, where).view(samples, channels * side * side, -1)
    for_weight = torch.bmm(columns, windows.transpose(1, 2)).sum(0).view_as(weight)
    if not need_input:
        return None, for_weight, columns.sum((0, 2))
    spread = torch.matmul(weight.flatten(1).T, columns).view(samples, channels, -1)
    total = torch.zeros_like(padded).flatten(2).scatter_add_(2, where, spread).view_as(padded)
    height, wide = x.shape[-2:]
    inner = total[:, :, padding : padding + height, padding : padding + wide]
    return inner.contiguous(), for_weight, columns.sum((0, 2))
