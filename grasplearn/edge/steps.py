"""The graphs that leave for a device: predict, imprint, and the teaching step in its two forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from grasplearn.edge.graph import Graph, Value
from grasplearn.edge.head_layers import HeadLayers
from grasplearn.edge.layers import GradOf, Strip, total
from grasplearn.edge.updates import Form, Told
from grasplearn.nets.graspnet import CHANNELS, NetSpec

# Names of the graphs' own inputs and outputs; all others are named after weights.
PICTURE, PLACE, WIDTH, RATE, STEP, ERROR = "picture", "place", "width", "rate", "step", "error"
QUALITY, WIDTHS, KERNELS = "quality", "widths", "kernels"
LOSS, SCALED, SKIPPED, NEW_ERROR = "loss", "scaled", "skipped", "new_error"
NEW = "new."
# Teaching leaves the jaws' opening as the demonstration told it, as ``FineTuning.head`` does.
FIXED = ("head.width",)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Step:
    """What a teaching step's graph is made for.

    Attributes:
        spec: the net's shape; shapes: of its weights, by name.
        batch: samples; size: pixels along a picture's side.
        modules: tensors of every block's gradient module but the last's, in order.
        limit: how many times the error's size a guess may have (``StaticSGM.limit``).
        form: of the optimizer.
    """

    spec: NetSpec
    shapes: Shapes
    batch: int
    size: int
    modules: tuple[Mapping[str, NDArray[np.float32]], ...]
    limit: float
    form: Form

    @property
    def cells(self) -> int:
        return self.size // self.spec.stride


def predict_model(
    spec: NetSpec, shapes: Shapes, batch: int, size: int, notes: Mapping[str, str]
) -> onnx.ModelProto:
    """picture (B, 5, S, S) and weights -> quality and widths (B, R, s, s), as ``Maps``."""
    g = Graph("predict")
    layers = _layers(g, spec, shapes)
    picture = g.input(PICTURE, (batch, CHANNELS, size, size))
    normal, _ = layers.normal(layers.features(picture))
    both = [layers.both(g.part(normal, 0, i, i + 1)) for i in range(batch)]
    for name, maps in zip((QUALITY, WIDTHS), zip(*both, strict=True), strict=True):
        g.output(name, g.concat([g.reshape(m, (1, *m.shape)) for m in maps], 0))
    return g.model(notes)


def imprint_model(spec: NetSpec, shapes: Shapes, notes: Mapping[str, str]) -> onnx.ModelProto:
    """One patch (1, 5, S, S) and weights -> its turn's kernel (1, F, k, k).

    A turn at a time: the memory is that of one small picture.
    """
    g = Graph("imprint")
    layers = _layers(g, spec, shapes)
    side = spec.patch_cells * spec.stride
    g.output(KERNELS, layers.imprinted(g.input(PICTURE, (1, CHANNELS, side, side))))
    return g.model(notes)


def teach_model(
    step: Step, notes: Mapping[str, str], *, told: bool = False, tells: bool = False
) -> onnx.ModelProto:
    """picture, target (place, width), step size, weights and state -> all of them anew, and the
    loss before.

    Args:
        told: the one-pass form: the modules are told the error of the samples' last visit, which
            is an input. Otherwise a first pass finds the error.
        tells: whether the error at the head's input is an output, for the samples' next visit.
    """
    writer = _StepWriter(step)
    writer.write(told, tells)
    return writer.graph.model(notes)


def _layers(g: Graph, spec: NetSpec, shapes: Shapes) -> HeadLayers:
    return HeadLayers(g, spec, {name: g.input(name, shape) for name, shape in shapes.items()})


@dataclass
class _StepWriter:
    """Writes one teaching step, every update where its gradient is known."""

    step: Step
    graph: Graph = field(default_factory=lambda: Graph("teach_step"))
    scaled: list[Value] = field(default_factory=list)
    skipped: list[Value] = field(default_factory=list)

    def __post_init__(self) -> None:
        g, s = self.graph, self.step
        maps = (s.spec.turns, s.cells, s.cells)
        self.picture = g.input(PICTURE, (s.batch, CHANNELS, s.size, s.size))
        self.place = g.input(PLACE, (s.batch, *maps))
        self.width = g.input(WIDTH, (s.batch,))
        self.told = Told(g.input(RATE, ()), g.input(STEP, ()))
        self.last_error = g.input(ERROR, (s.batch, s.spec.width, s.cells, s.cells))
        self.layers = _layers(g, s.spec, s.shapes)
        self.state = {
            f"{kind}.{name}": g.input(f"{kind}.{name}", shape)
            for name, shape in s.shapes.items()
            for kind in s.form.states
        }

    def write(self, one_pass: bool, tells: bool) -> None:
        g, layers, blocks = self.graph, self.layers, self.step.spec.depth + 1
        error = self.last_error
        if not one_pass:
            error = self._head(layers.features(self.picture))
        told = error
        most = g.mul(self._size(told), self.step.limit)
        h = self.picture
        for index in range(blocks - 1):
            out = layers.block(index, h)
            module = self.step.modules[index]
            guess = layers.guesser(module, f"module.{index}", out, told)
            self._guessed(index, h, out, guess, most)
            h = out
        out = layers.block(blocks - 1, h)
        if one_pass:
            error = self._head(out)
        grads = layers.block_grads(blocks - 1, h, out, lambda strip: layers.strip(error, strip))
        self._update(f"blocks.{blocks - 1}", grads)
        if tells:
            g.output(NEW_ERROR, error)
        for name, counted in ((SCALED, self.scaled), (SKIPPED, self.skipped)):
            flags = [g.node("Cast", [flag], (1,), to=1) for flag in map(self._flat, counted)]
            g.output(name, g.sum(g.concat(flags, 0)))

    def _flat(self, flag: Value) -> Value:
        return self.graph.reshape(flag, (1,))

    def _head(self, h: Value) -> Value:
        """Writes the head's step and its update; returns the error at its input."""
        g = self.graph
        loss, grads, error = self.layers.head_step(h, self.place, self.width)
        self._update("head", grads)
        g.output(LOSS, loss)
        return error

    def _guessed(self, index: int, h: Value, out: Value, guess: GradOf, most: Value) -> None:
        """Writes a block's update; a guess of a size of more than ``most`` is scaled down."""
        g = self.graph
        squares: list[Value] = []

        def watched(strip: Strip) -> Value:
            made = guess(strip)
            squares.append(g.reduce("ReduceSumSquare", made))
            return made

        grads = self.layers.block_grads(index, h, out, watched)
        size = g.map("Sqrt", g.mul(total(g, squares), 1 / out.size))
        high = g.node("Greater", [size, most], ())
        factor = g.where(high, g.div(most, size), 1.0)
        # The gradients are linear in the guess: these, which are small, are scaled in its place.
        grads = {name: g.mul(grad, factor) for name, grad in grads.items()}
        fine = self._update(f"blocks.{index}", grads)
        self.scaled.append(g.node("And", [high, fine], ()))

    def _update(self, prefix: str, grads: Mapping[str, Value]) -> Value:
        """Writes the new weights and states of a part, or the old ones if a gradient is no number;
        returns whether () all are.

        The last operator on each is elementwise, so that it may be written over the old one.
        """
        g, form = self.graph, self.step.form
        fine = self._finite(list(grads.values()))
        self.skipped.append(g.map("Not", fine))
        for short, grad in grads.items():
            name = f"{prefix}.{short}"
            if name in FIXED:
                continue
            weight = self.layers.weights[name]
            state = {kind: self.state[f"{kind}.{name}"] for kind in form.states}
            new, kept = form.update(g, grad, weight, state, self.told)
            for kind, value in kept.items():
                g.output(f"{NEW}{kind}.{name}", g.where(fine, value, state[kind]))
            g.output(f"{NEW}{name}", g.where(fine, new, weight))
        return fine

    def _finite(self, grads: list[Value]) -> Value:
        """Whether () all entries are finite: 0 times anything else is not 0."""
        g = self.graph
        sums = [g.sum(g.mul(grad, 0.0)) for grad in grads]
        return g.node("Equal", [total(g, sums), g.constant(0.0)], ())

    def _size(self, x: Value) -> Value:
        """A tensor's root mean square ()."""
        g = self.graph
        return g.mul(g.reduce("ReduceL2", x), x.size**-0.5)
