"""Optimizers that take a block's gradient when it arrives, one for each block; torch's own where
torch has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Grads


class Stepper(Protocol):
    """What of ``torch.optim.Optimizer`` is used."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any: ...


class Optimizer(Protocol):
    """A frozen dataclass with the settings; makes torch's optimizer of one part's parameters."""

    @property
    def rate(self) -> float:
        """Step size."""
        ...

    def of(self, groups: list[dict[str, Any]]) -> Stepper: ...


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent: no memory beyond the weights, or one copy with momentum."""

    rate: float = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rate)

    def of(self, groups: list[dict[str, Any]]) -> Stepper:
        return torch.optim.SGD(groups, self.rate, self.momentum)


@dataclass(frozen=True)
class Adam:
    """Adam; keeps two copies of the weights."""

    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)

    def __post_init__(self) -> None:
        _check(self.rate)

    def of(self, groups: list[dict[str, Any]]) -> Stepper:
        return torch.optim.Adam(groups, self.rate, self.betas)


@dataclass(frozen=True)
class Lars:
    """Moves every tensor by a share of its own length, along its smoothed gradient; one copy.

    What a tensor has learned before stays in proportion: Adam moves every weight about equally far,
    those of no concern to the task too, and so forgets more.

    Source: layer-wise adaptive rates, arXiv 1708.03888; here the smoothed gradient is what is
    scaled, and there is no weight decay.

    Attributes:
        rate: length of a step / length of the tensor; momentum: share of the gradients before.
    """

    rate: float = 0.005
    momentum: float = 0.8

    def __post_init__(self) -> None:
        _check(self.rate)

    def of(self, groups: list[dict[str, Any]]) -> Stepper:
        return _Lars(groups, self.momentum)


# By name; each takes its step size.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"lars": Lars, "sgd": SGD, "adam": Adam}


class _Lars:
    """Not one of torch's: to make the first of those in a process loads torch's compiler, which
    takes as long as half of a lesson."""

    def __init__(self, groups: list[dict[str, Any]], momentum: float) -> None:
        self.param_groups, self.momentum = groups, momentum
        self._smooth: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p not in self._smooth:
                    self._smooth[p] = torch.zeros_like(p)
                smooth = self._smooth[p]
                smooth.lerp_(p.grad, 1 - self.momentum)
                length = float(smooth.norm())
                if length > 0:
                    p.sub_(smooth, alpha=group["lr"] * float(p.norm()) / length)


def _check(rate: float) -> None:
    if not 0 < rate < float("inf"):
        raise InvalidValueError(f"a step size must be above 0 and finite, got {rate}")


class PartOptimizer:
    """Steps the parameters of one block or head, each by its own multiple of the step size."""

    def __init__(self, part: nn.Module, optimizer: Optimizer, factors: dict[str, float]) -> None:
        """``factors``: of the step size by parameter name, 1 where none is named, 0 for frozen."""
        self._parameters: dict[str, Tensor] = {
            name: p for name, p in part.named_parameters() if factors.get(name, 1.0) > 0
        }
        self._rates = [optimizer.rate * factors.get(name, 1.0) for name in self._parameters]
        groups: list[dict[str, Any]] = [{"params": [p]} for p in self._parameters.values()]
        self._optimizer = optimizer.of(groups) if groups else None

    def step(self, grads: Grads, factor: float) -> None:
        """Applies one part's gradients with ``factor`` times the step sizes."""
        if self._optimizer is None:
            return
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        for name, parameter in self._parameters.items():
            parameter.grad = grads.get(name)
        self._optimizer.step()
        for parameter in self._parameters.values():
            parameter.grad = None
