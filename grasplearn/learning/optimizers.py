"""Optimizers that take a block's gradient when it arrives; torch's own, one for each block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Grads


class Optimizer(Protocol):
    """A frozen dataclass with the settings; makes torch's optimizer of one part's parameters."""

    @property
    def rate(self) -> float:
        """Step size."""
        ...

    def of(self, groups: list[dict[str, object]]) -> torch.optim.Optimizer: ...


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent: no memory beyond the weights, or one copy with momentum."""

    rate: float = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rate)

    def of(self, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, self.rate, self.momentum)


@dataclass(frozen=True)
class Adam:
    """Adam; keeps two copies of the weights."""

    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)

    def __post_init__(self) -> None:
        _check(self.rate)

    def of(self, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, self.rate, self.betas)


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
        groups: list[dict[str, object]] = [{"params": [p]} for p in self._parameters.values()]
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
