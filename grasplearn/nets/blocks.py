"""The links of the feature trunk: convolutions without any normaliser.

A normaliser over the picture (batch, group, instance) would make features depend on what else is in
the crop; a kernel cut from the demonstration would then not fit the same thing in a full picture.
So the trunk is kept in scale by its initial weights and by residual links alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.chain import Block, Grads
from grasplearn.nets.conv import conv_grads, relu_grad_, scale_grads
from grasplearn.nets.integer import Fit, Fixed, add_bias, convolve
from grasplearn.nets.sparse import Keep, sparse_conv_grads


class Stem(Block):
    """Picture (B, I, H, W) -> (B, C, H / stride, W / stride): strided convolution and ReLU.

    A cell's middle lies in the middle of its ``stride`` x ``stride`` pixels.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, stride // 2
        side = 2 * stride
        fan_in = channels_in * side * side
        self.weight = nn.Parameter(
            torch.randn(channels, channels_in, side, side) * math.sqrt(2 / fan_in)
        )
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        return F.conv2d(h, self.weight, self.bias, self.stride, self.padding).relu_()

    def vjp(
        self, h: Tensor, out: Tensor, g: Tensor, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        relu_grad_(g, out)
        for_input, weight = conv_grads(
            h, self.weight, g, stride=self.stride, padding=self.padding, need_input=need_input
        )
        return {"weight": weight, "bias": g.sum((0, 2, 3))}, for_input

    def scale_vjp(self, h: Tensor, out: Tensor, g: Tensor) -> Grads:
        return scale_grads(self.weight, self.bias, relu_grad_(g, out), out)

    def sparse_vjp(
        self, h: Tensor, out: Tensor, g: Tensor, keep: Keep, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        relu_grad_(g, out)
        for_input, weight, bias = sparse_conv_grads(
            h, self.weight, g, keep, stride=self.stride, padding=self.padding, need_input=need_input
        )
        return {"weight": weight, "bias": bias}, for_input

    def integer(self, x: Fixed, weights: dict[str, Fixed], name: str, fit: Fit) -> Fixed:
        summed = convolve(x, weights["weight"], self.stride, self.padding)
        summed = add_bias(summed, weights["bias"])
        return fit.narrow(name, Fixed(summed.values.clamp_(min=0), summed.exponent))


class Residual(Block):
    """(B, C, h, w) -> the same: ``relu(h + conv3x3(h))``.

    The link lies inside the ReLU, so that the output alone tells the ReLU's mask and nothing but
    input and output is needed for the gradient.
    """

    def __init__(self, channels: int, depth: int) -> None:
        """``depth``: how many such blocks follow each other; their variances add up to one."""
        super().__init__()
        deviation = math.sqrt(1 / (9 * channels * depth))
        self.weight = nn.Parameter(torch.randn(channels, channels, 3, 3) * deviation)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        return F.conv2d(h, self.weight, self.bias, padding=1).add_(h).relu_()

    def vjp(
        self, h: Tensor, out: Tensor, g: Tensor, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        relu_grad_(g, out)
        for_input, weight = conv_grads(h, self.weight, g, padding=1, need_input=need_input)
        grads = {"weight": weight, "bias": g.sum((0, 2, 3))}
        return grads, None if for_input is None else for_input.add_(g)

    def scale_vjp(self, h: Tensor, out: Tensor, g: Tensor) -> Grads:
        made = (after - before for after, before in zip(out, h, strict=True))
        return scale_grads(self.weight, self.bias, relu_grad_(g, out), made)

    def sparse_vjp(
        self, h: Tensor, out: Tensor, g: Tensor, keep: Keep, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        """The convolution sees a part of g; along the link, which costs nothing, all of it goes."""
        relu_grad_(g, out)
        for_input, weight, bias = sparse_conv_grads(
            h, self.weight, g, keep, padding=1, need_input=need_input
        )
        grads = {"weight": weight, "bias": bias}
        return grads, None if for_input is None else for_input.add_(g)

    def integer(self, x: Fixed, weights: dict[str, Fixed], name: str, fit: Fit) -> Fixed:
        summed = add_bias(convolve(x, weights["weight"], padding=1), weights["bias"])
        linked = summed.values.add_(x.at(summed.exponent))
        return fit.narrow(name, Fixed(linked.clamp_(min=0), summed.exponent))
