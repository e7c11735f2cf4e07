"""The imprinted head and its loss in integers, a sample at a time."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from grasplearn.nets.integer import (
    LOSS_EXPONENT,
    Fit,
    Fixed,
    add_bias,
    columns,
    convolve,
    log_sum_exp,
    product,
    rows,
    square_root,
)

# Bits of the projected features before they are normalised, and of the correlations that the
# logits are made of: the last sums, which no convolution reads.
_FEATURE_BITS, _MAP_BITS = 12, 16
# A normalised feature is between -1 and 1.
_NORMAL_EXPONENT = 7
_PLACE_EXPONENT = 16


@cache
def _edges(exponent: int, count: int, kind: torch.dtype, device: torch.device) -> Tensor:
    """Where a number from 0 on changes its integer, made beforehand."""
    edges = [(code + 0.5) / 2.0**exponent for code in range(count)]
    return torch.tensor(edges, dtype=kind, device=device)


def _codes(x: Tensor, exponent: int, largest: int) -> Tensor:
    """Returns ``x * 2 ** exponent`` as integers up to ``largest``, by comparisons alone."""
    return torch.bucketize(x, _edges(exponent, largest, x.dtype, x.device))


def imprinted_loss(
    h: Fixed,
    weights: dict[str, Fixed],
    groups: int,
    place: Tensor,
    width: Tensor,
    width_weight: int,
    fit: Fit,
) -> int:
    """Returns the loss of one sample with LOSS_EXPONENT; see ``maps_loss``.

    Args:
        h: (C, 1, h, w) int8. weights: of the head by name. place: (R, h, w) and width: (), floats,
            which are only compared with.
    """
    logits, widths = imprinted_maps(h, weights, groups, fit)
    share = _codes(place, _PLACE_EXPONENT, 1 << _PLACE_EXPONENT)
    total = int(share.sum())
    wanted = int(_codes(width, LOSS_EXPONENT, 2 << LOSS_EXPONENT))
    off = (widths - wanted) ** 2 >> LOSS_EXPONENT
    terms = log_sum_exp(logits) - logits + width_weight * off
    return int((share * terms).sum()) // max(total, 1)


def imprinted_maps(
    h: Fixed, weights: dict[str, Fixed], groups: int, fit: Fit
) -> tuple[Tensor, Tensor]:
    """Returns quality and width (R, h, w) int64 with LOSS_EXPONENT."""
    high, wide = h.values.shape[2:]
    project, kernels = weights["project"], weights["kernels"]
    projected = product(project.values, h.values.flatten(1))
    x = fit.narrow("head.project", Fixed(projected, project.exponent + h.exponent), _FEATURE_BITS)
    grouped = x.values.to(torch.int64).unflatten(0, (groups, -1))
    # The 1 in (|x|^2 + 1)^-1/2 at the square's exponent.
    one = 1 << max(0, 2 * x.exponent) if x.exponent >= 0 else 0
    length = square_root(((grouped**2).sum(1, keepdim=True) + one).clamp_(min=1))
    normal = ((grouped << _NORMAL_EXPONENT) // length).clamp_(-127, 127).to(torch.int8)
    turns, side = len(kernels.values), kernels.values.shape[-1]
    one_group = zip(kernels.values.chunk(groups, 1), normal, strict=True)
    found = [
        product(rows(kernel), columns(x.view(-1, 1, high, wide), side, 1, side // 2))
        for kernel, x in one_group
    ]
    maps = Fixed(
        torch.stack(found).view(groups, turns, high, wide), kernels.exponent + _NORMAL_EXPONENT
    )
    fine = fit.narrow("head.maps", maps, _MAP_BITS)
    hidden = convolve(fit.narrow("head.coarse", maps), weights["spread"], padding=1)
    summed = add_bias(hidden, weights["spread_bias"])
    hidden = fit.narrow("head.hidden", Fixed(summed.values.clamp_(min=0), summed.exponent))
    gather, link = weights["gather"], weights["link"]
    decoded = Fixed(
        product(gather.values, hidden.values.flatten(1)), gather.exponent + hidden.exponent
    )
    # Elementwise: an 8-bit product would lose the fine maps.
    linked = (link.values.to(torch.int64)[:, :, None] * fine.values.flatten(1)).sum(1)
    both = decoded.at(LOSS_EXPONENT) + Fixed(linked, link.exponent + fine.exponent).at(
        LOSS_EXPONENT
    )
    quality, width = both.view(2, turns, high, wide)
    return quality, width + weights["width"].at(LOSS_EXPONENT)
