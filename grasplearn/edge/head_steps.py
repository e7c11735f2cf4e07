"""The head's own teaching step as small graphs, each run sample by sample or turn by turn.

In one graph the head would be by far the widest of the chain's: with some thousand nodes, for each
of which a runtime keeps some bytes. Here all turns share two graphs, and what one graph hands to
the next lies in memory that is lent to them: ``chain_head`` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from grasplearn.edge.graph import Graph, Value
from grasplearn.edge.head_layers import TURNS_AT_ONCE, HeadLayers
from grasplearn.edge.names import (
    GRAD,
    INVERSE,
    JUDGE,
    LOOK,
    LOSS,
    NEW,
    NEW_ERROR,
    NORMAL,
    NORMALISE,
    PLACE,
    PULLED,
    QUALITY,
    RETURN,
    SEND,
    TURN,
    WIDTH,
    H,
)
from grasplearn.nets.graspnet import NetSpec

PREFIX = "head."
# What the head is found gradients for; kernels and the jaws' opening are the demonstration's own.
LEARNT = ("link", "spread", "spread_bias", "gather", "project")

Shapes = Mapping[str, tuple[int, ...]]


def _turns_at_once(turns: int) -> int:
    """How many turns a graph is made for: as many as all graphs of one head can share."""
    return next(n for n in range(TURNS_AT_ONCE, 0, -1) if turns % n == 0)


def head_models(
    spec: NetSpec, shapes: Shapes, samples: int, cells: int, notes: Mapping[str, str]
) -> dict[str, onnx.ModelProto]:
    """Returns the graphs by name, all of one sample; together they put out what
    ``HeadLayers.head_step`` does: the loss, the head's gradients and the error at its input.

    Args:
        shapes: of the net's weights; samples: of a step; cells: along a map's side.
    """
    few = _turns_at_once(spec.turns)
    shapes = {**shapes, "head.kernels": (few, *shapes["head.kernels"][1:])}
    made = _Maker(spec, few, shapes, samples, cells)
    graphs = {
        NORMALISE: made.normalise,
        LOOK: made.look,
        JUDGE: made.judge,
        TURN: made.turn,
        RETURN: made.back,
        SEND: made.send,
    }
    models = {}
    for name, write in graphs.items():
        graph = Graph(name)
        write(graph)
        models[name] = graph.model(notes)
    return models


class _Maker:
    """Writes each of the graphs; ``few``: turns of those that all turns share."""

    def __init__(self, spec: NetSpec, few: int, shapes: Shapes, samples: int, cells: int) -> None:
        self._spec, self._few, self._shapes = spec, few, shapes
        self._samples, self._cells = samples, cells
        self._groups = range(spec.groups)

    def normalise(self, g: Graph) -> None:
        """Features (1, C, h, w) -> every group's normalised ones and factors; see
        ``HeadLayers.normal``."""
        h, each = self._maps(g, H, self._spec.width), self._each
        project = g.input(f"{PREFIX}project", self._shapes[f"{PREFIX}project"])
        weight = g.reshape(project, (*project.shape, 1, 1))
        for group in self._groups:
            x = g.conv(h, g.part(weight, 0, group * each, (group + 1) * each))
            length = g.add(g.reduce("ReduceSumSquare", x, [1], keep=True), 1.0)
            inverse = g.map("Reciprocal", g.map("Sqrt", length))
            g.output(f"{NORMAL}.{group}", g.mul(x, inverse))
            g.output(f"{INVERSE}.{group}", inverse)

    def look(self, g: Graph) -> None:
        """Normalised features, kernels of some turns -> their quality (t, 1, h, w)."""
        layers = self._layers(g)
        g.output(QUALITY, layers.quality(self._maps(g, NORMAL, self._spec.features)))

    def judge(self, g: Graph) -> None:
        """Quality and target (R, 1, h, w) -> the gradient in the quality's place; adds to the
        loss."""
        quality = g.input(QUALITY, (self._spec.turns, 1, self._cells, self._cells))
        share = self._share(g, self._spec.turns)
        loss, for_quality = self._layers(g).place_loss(quality, share, self._samples)
        g.output(f"{NEW}{LOSS}", g.sub(g.input(LOSS, ()), loss))
        g.output(f"{NEW}{QUALITY}", for_quality)

    def turn(self, g: Graph) -> None:
        """Some turns' target and gradient of their quality; adds to the loss, to the gradients of
        the head's weights and of the normalised features."""
        spec, layers = self._spec, self._layers(g)
        normal = self._maps(g, NORMAL, spec.features)
        for_quality = g.input(QUALITY, (self._few, 1, self._cells, self._cells))
        told = self._share(g, self._few), for_quality, g.input(WIDTH, (1,))
        before = [self._maps(g, f"{PULLED}.{group}", self._each) for group in self._groups]
        grads, pulled = layers.turns_grads(normal, *told, before)
        g.output(f"{NEW}{LOSS}", g.add(g.input(LOSS, ()), grads.pop("off")))
        for group, value in enumerate(pulled):
            g.output(f"{NEW}{PULLED}.{group}", value)
        self._add(g, grads)

    def back(self, g: Graph) -> None:
        """The gradient of the normalised features -> that of the projected ones, in the normalised
        ones' place: n = x s with s = (|x|^2 + 1)^-1/2, hence dx = s (dn - n (n . dn))."""
        for group in self._groups:
            normal, pulled = (
                self._maps(g, f"{name}.{group}", self._each) for name in (NORMAL, PULLED)
            )
            inverse = self._maps(g, f"{INVERSE}.{group}", 1)
            along = g.sum(g.mul(normal, pulled), [1], keep=True)
            g.output(f"{NEW}{NORMAL}.{group}", g.mul(g.sub(pulled, g.mul(normal, along)), inverse))

    def send(self, g: Graph) -> None:
        """The gradient of the projected features -> the error at the head's input (1, C, h, w);
        adds to the projection's gradient."""
        spec, cells = self._spec, self._cells**2
        for_x, h = self._maps(g, NORMAL, spec.features), self._maps(g, H, spec.width)
        # The narrower of the two is transposed.
        turned = g.transpose(g.reshape(for_x, (spec.features, cells)), (1, 0))
        grad = g.matmul(g.reshape(h, (spec.width, cells)), turned)
        self._add(g, {"project": g.transpose(grad, (1, 0))})
        project = g.input(f"{PREFIX}project", self._shapes[f"{PREFIX}project"])
        back = g.reshape(g.transpose(project, (1, 0)), (spec.width, spec.features, 1, 1))
        g.output(NEW_ERROR, g.conv(for_x, back))

    @property
    def _each(self) -> int:
        return self._spec.features // self._spec.groups

    def _maps(self, g: Graph, name: str, channels: int) -> Value:
        return g.input(name, (1, channels, self._cells, self._cells))

    def _share(self, g: Graph, turns: int) -> Value:
        """What the target says of some turns, as this sample's share of the step's."""
        place = g.input(PLACE, (turns, 1, self._cells, self._cells))
        return place if self._samples == 1 else g.mul(place, 1 / self._samples)

    def _layers(self, g: Graph) -> HeadLayers:
        weights = {
            name: g.input(name, shape)
            for name, shape in self._shapes.items()
            if name.startswith(PREFIX)
        }
        return HeadLayers(g, self._spec, weights)

    def _add(self, g: Graph, grads: Mapping[str, Value]) -> None:
        for name, grad in grads.items():
            before = g.input(f"{GRAD}{name}", grad.shape)
            g.output(f"{NEW}{GRAD}{name}", g.add(before, grad))
