"""A convolution and its gradients as plain functions, without a graph."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def conv_grads(
    x: Tensor,
    weight: Tensor,
    g: Tensor,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    need_input: bool = True,
) -> tuple[Tensor | None, Tensor]:
    """Returns the gradients of ``conv2d(x, weight)`` for its input (or None) and its weight.

    Args:
        x: (B, I, H, W); weight: (O, I / groups, k, k); g: (B, O, H', W'), dloss/doutput.
    """
    # With few channels a forward convolution by the mirrored kernel is four times as fast.
    mirrored = need_input and stride == 1 and groups == 1
    needed = [need_input and not mirrored, True, False]
    for_input, for_weight, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, needed
    )
    if mirrored:
        turned = weight.transpose(0, 1).flip(2, 3)
        for_input = torch.nn.functional.conv2d(g, turned, padding=weight.shape[-1] - 1 - padding)
    return for_input, for_weight


def scale_grads(
    weight: Tensor, bias: Tensor, g: Tensor, made: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Returns the gradients of a convolution's weight, along every kernel alone, and of its bias.

    Args:
        weight: (O, I, k, k); bias: (O,); g: (B, O, H, W), dloss/doutput.
        made: of every sample (O, H, W) the output, or anything where g is 0.
    """
    for_bias = g.sum((0, 2, 3))
    slopes = -bias * for_bias
    for one, output in zip(g, made, strict=True):
        slopes += (one * output).sum((1, 2))
    return {"weight": weight.detach() * slopes.view(-1, 1, 1, 1), "bias": for_bias}


def relu_grad_(g: Tensor, out: Tensor) -> Tensor:
    """Sets g to 0 in place where a ReLU put out 0; returns g."""
    masked: Tensor = torch.ops.aten.threshold_backward.grad_input(g, out, 0, grad_input=g)
    return masked


def mix(weight: Tensor, x: Tensor) -> Tensor:
    """A 1x1 convolution as the matrix product it is: weight (O, I), x (B, I, H, W).

    For a handful of channels this is several times as fast as a convolution on a CPU.
    """
    # Not matmul, which copies x to fold the batch into the columns.
    many = weight.expand(len(x), -1, -1)
    mixed: Tensor = torch.bmm(many, x.flatten(2)).unflatten(2, x.shape[2:])
    return mixed


def mix_grads(weight: Tensor, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradients of ``mix(weight, x)`` for x and for the weight; g (B, O, H, W)."""
    for_weight = torch.bmm(g.flatten(2), x.flatten(2).transpose(1, 2)).sum(0)
    return mix(weight.T, g), for_weight
