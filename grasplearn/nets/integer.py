"""A net's forward pass in integers: 8-bit activations, 16- or 8-bit weights, wide sums.

A number is an integer times a power of two, so that scales are shifts. Maps are (C, B, h, w):
channels first, so that a convolution is one matrix product. What is between two convolutions has
8 bits; sums inside a layer are 64 bits wide.

Source: fixed-point nets as in arXiv 2411.04036.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

# So that the higher byte, rounded, has 8 bits too.
LARGEST = {8: 127, 16: 32512}
# No activation is told apart more finely than 2 ** -14, so that sums of nothing do not overflow.
_FINEST = 14
# Bits of the mantissa, and the integer type of the same size.
_LAYOUT = {torch.float32: (23, torch.int32), torch.float64: (52, torch.int64)}


@dataclass(frozen=True, eq=False)
class Fixed:
    """``values * 2 ** -exponent``; values are integers of any type."""

    values: Tensor
    exponent: int

    def at(self, exponent: int) -> Tensor:
        """Returns the values (int64) for another exponent, rounded to the nearest."""
        wide, shift = self.values.to(torch.int64), exponent - self.exponent
        if shift >= 0:
            return wide << shift
        return (wide + (1 << (-shift - 1))) >> -shift


@dataclass
class Fit:
    """The exponents of a net's activations, found on the first batch and kept: a scale that moved
    between two passes would drown the difference of their losses."""

    exponents: dict[str, int] = field(default_factory=dict)

    def narrow(self, name: str, wide: Fixed, bits: int = 8) -> Fixed:
        """Returns a wide sum in ``bits`` bits; what does not fit is clipped."""
        largest = (1 << (bits - 1)) - 1
        if name not in self.exponents:
            found = int(wide.values.abs().max())
            fits = wide.exponent - max(0, found.bit_length() - (bits - 1))
            self.exponents[name] = min(fits, _FINEST)
        values = wide.at(self.exponents[name]).clamp_(-largest, largest)
        kind = torch.int8 if bits <= 8 else torch.int32
        return Fixed(values.to(kind), self.exponents[name])

    def picture(self, pictures: Tensor) -> Fixed:
        """Returns float pictures (B, C, H, W) as 8 bits (C, B, H, W), by comparisons alone."""
        if "picture" not in self.exponents:
            self.exponents["picture"] = exponent_for(float(pictures.abs().max()), 8)
        exponent = self.exponents["picture"]
        edges = [(code + 0.5) / 2.0**exponent for code in range(-127, 127)]
        codes = torch.bucketize(pictures, pictures.new_tensor(edges), out_int32=True) - 127
        return Fixed(codes.to(torch.int8).transpose(0, 1).contiguous(), exponent)


def exponent_for(largest: float, bits: int) -> int:
    """Returns the exponent at which numbers up to ``largest`` just fit into ``bits`` bits."""
    return bits - 1 - math.frexp(largest)[1] if largest > 0 else bits - 1


def to_integers(p: Tensor, exponent: int, bits: int) -> Tensor:
    """Returns the nearest integers (int16) of ``p * 2 ** exponent``; no multiplication is done."""
    scaled = _times_power(p.detach(), exponent).round()
    return scaled.clamp_(-LARGEST[bits], LARGEST[bits]).to(torch.int16)


def to_floats(values: Tensor, exponent: int, like: Tensor) -> Tensor:
    """Returns ``values * 2 ** -exponent`` in ``like``'s type, exactly; nothing is multiplied."""
    return _times_power(values.to(like), -exponent)


def _times_power(x: Tensor, power: int) -> Tensor:
    """x * 2 ** power by adding to the floats' own exponents; what is tiny becomes 0."""
    mantissa, kind = _LAYOUT[x.dtype]
    bits = x.contiguous().view(kind)
    own = (bits >> mantissa) & ((1 << (x.element_size() * 8 - 1 - mantissa)) - 1)
    moved = bits + (power << mantissa)
    return torch.where((own > 0) & (own + power > 0), moved, torch.zeros_like(bits)).view(x.dtype)


def columns(x: Tensor, side: int, stride: int = 1, padding: int = 0) -> Tensor:
    """Returns the windows of maps (C, B, H, W) as columns (side side C, B h w) int32.

    Each lies in one piece, the channels innermost: torch's integer products are twice as fast so,
    and long runs are copied.
    """
    if side == 1 and stride == 1 and padding == 0:
        return x.flatten(1)
    last = F.pad(x, [padding] * 4).permute(1, 2, 3, 0).to(torch.int32).contiguous()
    windows = last.unfold(1, side, stride).unfold(2, side, stride)
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, len(x) * side * side).T


def rows(kernels: Tensor) -> Tensor:
    """Returns kernels (O, C, side, side) as a matrix (O, side side C) that meets ``columns``."""
    return kernels.permute(0, 2, 3, 1).flatten(1)


def product(weights: Tensor, x: Tensor) -> Tensor:
    """Returns the matrix product int64 of weights (O, n) of up to 16 bits and x (n, m) of up to 8.

    Of 32-bit integers: torch's products of bytes are thirty times as slow where the processor has
    no instruction for them. Weights whose sums could come to more are split into two bytes.
    """
    wide, x = weights.to(torch.int32), x.to(torch.int32)
    if int(wide.abs().sum(1).max()) << 7 < 1 << 31:
        return (wide @ x).to(torch.int64)
    high = (wide + 128) >> 8
    return ((high @ x).to(torch.int64) << 8) + (wide - (high << 8)) @ x


def convolve(x: Fixed, weights: Fixed, stride: int = 1, padding: int = 0) -> Fixed:
    """Returns the convolution (O, B, h, w) of x (C, B, H, W) with weights (O, C, k, k)."""
    (_, samples, height, width), side = x.values.shape, weights.values.shape[-1]
    summed = product(rows(weights.values), columns(x.values, side, stride, padding))
    high, wide = ((size + 2 * padding - side) // stride + 1 for size in (height, width))
    return Fixed(summed.view(-1, samples, high, wide), weights.exponent + x.exponent)


def add_bias(wide: Fixed, bias: Fixed) -> Fixed:
    return Fixed(wide.values + bias.at(wide.exponent).view(-1, 1, 1, 1), wide.exponent)


def square_root(values: Tensor) -> Tensor:
    """Returns the integer part of the square root of int64 values from 1 on.

    Source: Newton's (Heron's) rule from above, in integers.
    """
    bits = int(values.max()).bit_length()
    root = torch.full_like(values, 1 << ((bits + 1) // 2))
    for _ in range(bits // 2 + 6):  # halving all the way down, then a few quadratic steps
        root = torch.minimum(root, (root + values // root) >> 1)
    return root


# What a softmax needs, made beforehand: e^-d for d up to 16 and ln(1 + f), in fixed point.
LOSS_EXPONENT = 12
_EXP_EXPONENT = 20
_EXP = [
    round(math.exp(-code / (1 << LOSS_EXPONENT)) * (1 << _EXP_EXPONENT))
    for code in range(16 << LOSS_EXPONENT)
]
_EXP_TABLE = torch.tensor(_EXP, dtype=torch.int32)
_LN = [round(math.log1p(code / 4096) * (1 << LOSS_EXPONENT)) for code in range(4096)]
_LN_2 = round(math.log(2) * (1 << LOSS_EXPONENT))


def log_sum_exp(logits: Tensor) -> int:
    """Returns ln of the sum of e^logits over a tensor; both with LOSS_EXPONENT."""
    most = logits.max()
    below = (most - logits).clamp_(max=len(_EXP) - 1)
    total = int(_EXP_TABLE.to(below.device)[below].sum())
    bits = total.bit_length() - 1
    fraction = (total << 12 >> bits) - 4096
    return int(most) + (bits - _EXP_EXPONENT) * _LN_2 + _LN[fraction]
