"""The optimizers as graph nodes: a tensor's new value and new state from its gradient.

As ``learning.optimizers`` makes them, torch's own SGD and Adam included; a test compares whole
teachings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grasplearn.edge.graph import Graph, Value
from grasplearn.errors import UnknownNameError
from grasplearn.learning.optimizers import OPTIMIZERS, SGD, Adam, Lars, Optimizer

# Torch's own: what keeps Adam from dividing by nothing.
ADAM_EPS = 1e-8


@dataclass(frozen=True)
class Told:
    """What every update is told, beside its tensor: scalars.

    Attributes:
        rate: step size; step: how many steps there have been, this one included.
    """

    rate: Value
    step: Value


# Graph, gradient, tensor, its state by kind, what is told -> new tensor, new state.
Update = Callable[[Graph, Value, Value, Mapping[str, Value], Told], tuple[Value, dict[str, Value]]]


@dataclass(frozen=True)
class Form:
    """An optimizer's form in a graph.

    Attributes:
        name: lars, sgd or adam; rate: the step size that a runner starts with.
        states: kinds of tensors that are kept for each weight, of its shape.
        update: writes the nodes.
    """

    name: str
    rate: float
    states: tuple[str, ...]
    update: Update


def form_of(optimizer: Optimizer) -> Form:
    """Returns an optimizer's form in a graph.

    Raises:
        UnknownNameError: it has none.
    """
    match optimizer:
        case Lars(rate, momentum):
            return Form("lars", rate, ("smooth",), _lars(momentum))
        case SGD(rate, momentum):
            return Form("sgd", rate, ("momentum",) if momentum else (), _sgd(momentum))
        case Adam(rate, betas):
            return Form("adam", rate, ("mean", "square"), _adam(*betas))
    raise UnknownNameError("optimizer in a graph", type(optimizer).__name__, OPTIMIZERS)


def _lars(momentum: float) -> Update:
    def update(
        g: Graph, grad: Value, weight: Value, state: Mapping[str, Value], told: Told
    ) -> tuple[Value, dict[str, Value]]:
        old = state["smooth"]
        smooth = g.add(old, g.mul(g.sub(grad, old), 1 - momentum))
        length = g.reduce("ReduceL2", smooth)
        share = g.div(g.mul(told.rate, g.reduce("ReduceL2", weight)), length)
        share = g.where(g.greater(length, 0.0), share, 0.0)
        return g.sub(weight, g.mul(smooth, share)), {"smooth": smooth}

    return update


def _sgd(momentum: float) -> Update:
    def update(
        g: Graph, grad: Value, weight: Value, state: Mapping[str, Value], told: Told
    ) -> tuple[Value, dict[str, Value]]:
        if not momentum:
            return g.sub(weight, g.mul(grad, told.rate)), {}
        speed = g.add(g.mul(state["momentum"], momentum), grad)
        return g.sub(weight, g.mul(speed, told.rate)), {"momentum": speed}

    return update


def _adam(beta_1: float, beta_2: float) -> Update:
    def update(
        g: Graph, grad: Value, weight: Value, state: Mapping[str, Value], told: Told
    ) -> tuple[Value, dict[str, Value]]:
        mean = g.add(state["mean"], g.mul(g.sub(grad, state["mean"]), 1 - beta_1))
        square = g.add(g.mul(state["square"], beta_2), g.mul(g.mul(grad, grad), 1 - beta_2))

        def whole(beta: float) -> Value:
            """How much of the weights' sum there has been time for: 1 - beta ** step."""
            power = g.node("Pow", [g.constant(beta), told.step], ())
            return g.sub(g.constant(1.0), power)

        root = g.div(g.map("Sqrt", square), g.map("Sqrt", whole(beta_2)))
        by = g.div(told.rate, whole(beta_1))
        moved = g.mul(g.div(mean, g.add(root, ADAM_EPS)), by)
        return g.sub(weight, moved), {"mean": mean, "square": square}

    return update
