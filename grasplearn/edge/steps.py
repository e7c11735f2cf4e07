"""The teaching step as graphs, in its two forms: one graph of all, and a chain of small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from grasplearn.edge.graph import FLOAT, Graph, Value
from grasplearn.edge.head_layers import HeadLayers
from grasplearn.edge.head_steps import LEARNT, head_models
from grasplearn.edge.layers import GradOf, Strip, total
from grasplearn.edge.names import (
    BLOCK,
    ERROR,
    FORWARD,
    GRAD,
    LOSS,
    NEW,
    NEW_ERROR,
    OUT,
    PICTURE,
    PLACE,
    RATE,
    SCALED,
    SKIPPED,
    STEM,
    STEP,
    TEACH,
    VIA,
    WIDTH,
    H,
)
from grasplearn.edge.updates import Form, Told
from grasplearn.nets.graspnet import CHANNELS, NetSpec
from grasplearn.nets.head import IMPRINTED

# What no step updates, as ``FineTuning.head`` has it.
FIXED = tuple(f"head.{name}" for name in IMPRINTED)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Step:
    """What a teaching step's graph is made for.

    Attributes:
        spec: the net's shape; shapes: of its weights, by name.
        batch: samples; size: pixels along a picture's side.
        modules: tensors of every block's gradient module but the last's, in order.
        limit: how many times the error's size a guess may have (``StaticSGM.limit``).
        form: of the optimizer. blocks: the blocks' step size / the head's.
        scales: whether guesses train kernels' scales and biases alone (``StaticSGM.trained``).
        frozen: how many of the first blocks stay as they are.
    """

    spec: NetSpec
    shapes: Shapes
    batch: int
    size: int
    modules: tuple[Mapping[str, NDArray[np.float32]], ...]
    limit: float
    form: Form
    blocks: float
    scales: bool
    frozen: int = 0

    @property
    def cells(self) -> int:
        return self.size // self.spec.stride

    @property
    def maps(self) -> tuple[int, ...]:
        """Shape of a block's output."""
        return self.batch, self.spec.width, self.cells, self.cells

    def learns(self, name: str) -> bool:
        """Whether a step changes the weight of that name."""
        part = name.split(".")
        return name not in FIXED and not (part[0] == "blocks" and int(part[1]) < self.frozen)


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
    g, blocks = Graph("teach_step"), step.spec.depth + 1
    picture = g.input(PICTURE, (step.batch, CHANNELS, step.size, step.size))
    place, width = _targets(g, step)
    last_error = g.input(ERROR, step.maps)
    writer = _Writer.of(g, step, {name: name for name in step.shapes})
    layers = writer.layers
    h = picture
    for index in range(step.frozen):
        h = layers.block(index, h)
    error = last_error
    if not told:
        features = h
        for index in range(step.frozen, blocks):
            features = layers.block(index, features)
        error = writer.head(features, place, width)
    to_all, most = error, writer.most(error, step.limit)
    for index in range(step.frozen, blocks - 1):
        out = layers.block(index, h)
        module = {
            name: g.constant(array, f"module.{index}.{name}")
            for name, array in step.modules[index].items()
        }
        writer.guessed(index, h, out, layers.guesser(module, out, to_all), most)
        h = out
    out = layers.block(blocks - 1, h)
    if told:
        error = writer.head(out, place, width)
    writer.exact(blocks - 1, h, out, error)
    if tells:
        g.output(NEW_ERROR, error)
    writer.count()
    return g.model(notes)


def chain_models(step: Step, notes: Mapping[str, str]) -> dict[str, onnx.ModelProto]:
    """The same step as a chain of small graphs, by name; ``chain`` runs them one after another.

    All residual blocks share theirs, so that neither the graphs nor what a runtime keeps for every
    node grows with the net's depth. Which blocks stay as they are is the runner's to know.
    """
    step, models = replace(step, frozen=0), {}
    for name, index in ((STEM, 0), (BLOCK, 1)):
        models[f"{FORWARD}_{name}"] = _forward(step, index, notes)
        models[f"{TEACH}_{name}"] = _guessed(step, index, notes)
    g = Graph(f"{TEACH}_last")
    h, out, error = (g.input(name, step.maps) for name in (H, OUT, ERROR))
    writer = _Writer.of(g, step, _names(1))
    writer.exact(1, h, out, error)
    writer.count()
    models[f"{TEACH}_last"] = g.model(notes)
    g = Graph(f"{TEACH}_head")
    writer = _Writer.of(g, step, {name: name for name in step.shapes if name.startswith("head.")})
    grads = {n: g.input(f"{GRAD}{n}", step.shapes[f"head.{n}"]) for n in LEARNT}
    writer.update("head", grads)
    writer.count()
    models[f"{TEACH}_head"] = g.model(notes)
    return {**models, **head_models(step.spec, step.shapes, step.batch, step.cells, notes)}


def _forward(step: Step, index: int, notes: Mapping[str, str]) -> onnx.ModelProto:
    g = Graph(FORWARD)
    names = _names(index).items()
    weights = {name: g.input(told, step.shapes[name]) for name, told in names}
    layers = HeadLayers(g, step.spec, weights)
    ways: list[Value] = []
    _output_block(g, layers.block(index, _block_input(g, step, index), ways), ways)
    return g.model(notes)


def _guessed(step: Step, index: int, notes: Mapping[str, str]) -> onnx.ModelProto:
    g = Graph(TEACH)
    h, error = _block_input(g, step, index), g.input(ERROR, step.maps)
    writer = _Writer.of(g, step, _names(index))
    ways: list[Value] = []
    out = writer.layers.block(index, h, ways)
    module = {
        name: g.input(f"module.{name}", array.shape) for name, array in step.modules[0].items()
    }
    most = writer.most(error, step.limit)
    writer.guessed(index, h, out, writer.layers.guesser(module, out, error), most)
    _output_block(g, out, ways)
    writer.count()
    return g.model(notes)


def _output_block(g: Graph, out: Value, ways: list[Value]) -> None:
    """A block's output, and what it was on its way, so that all lie in the one memory: a runtime
    gives each a memory of its own otherwise, as large as the output."""
    g.output(OUT, out)
    for number, way in enumerate(ways):
        g.output(f"{VIA}{number}.{OUT}", way)


def _names(index: int) -> dict[str, str]:
    """The short names by which a block's own graph knows its weights."""
    return {f"blocks.{index}.{name}": name for name in ("weight", "bias")}


def _block_input(g: Graph, step: Step, index: int) -> Value:
    if index == 0:
        return g.input(H, (step.batch, CHANNELS, step.size, step.size))
    return g.input(H, step.maps)


@dataclass
class _Writer:
    """Writes updates into a graph, each where its gradient is known.

    Attributes:
        layers: what the graph's parts are written with; form: of the optimizer.
        blocks: the blocks' step size / the head's. scales: see ``Step``.
        state: the optimizer's tensors, ``kind.weight``; told: what every update is told.
        names: of the weights' inputs and outputs, where they are not the weights' own.
    """

    layers: HeadLayers
    form: Form
    blocks: float
    scales: bool
    state: Mapping[str, Value]
    told: Told
    names: Mapping[str, str] = field(default_factory=dict)
    scaled: list[Value] = field(default_factory=list)
    skipped: list[Value] = field(default_factory=list)

    @staticmethod
    def of(g: Graph, step: Step, names: Mapping[str, str]) -> _Writer:
        """Makes the inputs for some weights of a step.

        ``names``: the inputs' by the weights' own.
        """
        weights = {name: g.input(told, step.shapes[name]) for name, told in names.items()}
        state = {
            f"{kind}.{told}": g.input(f"{kind}.{told}", step.shapes[name])
            for name, told in names.items()
            if step.learns(name)
            for kind in step.form.states
        }
        told = Told(g.input(RATE, ()), g.input(STEP, ()))
        layers = HeadLayers(g, step.spec, weights)
        return _Writer(layers, step.form, step.blocks, step.scales, state, told, names)

    @property
    def graph(self) -> Graph:
        return self.layers.graph

    def head(self, h: Value, place: Value, width: Value) -> Value:
        """Writes the head's step and its update; returns the error at its input."""
        loss, grads, error = self.layers.head_step(h, place, width)
        self.update("head", grads)
        self.graph.output(LOSS, loss)
        return error

    def exact(self, index: int, h: Value, out: Value, error: Value) -> None:
        """Writes the update of a block whose gradient is the error itself."""
        layers = self.layers
        grads = layers.block_grads(index, h, out, lambda strip: layers.strip(error, strip))
        self.update(f"blocks.{index}", grads)

    def guessed(self, index: int, h: Value, out: Value, guess: GradOf, most: Value) -> None:
        """Writes a block's update; a guess of a size of more than ``most`` is scaled down."""
        g = self.graph
        squares: list[Value] = []

        def watched(strip: Strip) -> Value:
            made = guess(strip)
            squares.append(g.reduce("ReduceSumSquare", made))
            return made

        pull = self.layers.scale_grads if self.scales else self.layers.block_grads
        grads = pull(index, h, out, watched)
        size = g.map("Sqrt", g.mul(total(g, squares), 1 / out.size))
        high = g.node("Greater", [size, most], ())
        factor = g.where(high, g.div(most, size), 1.0)
        # The gradients are linear in the guess: these, which are small, are scaled in its place.
        grads = {name: g.mul(grad, factor) for name, grad in grads.items()}
        fine = self.update(f"blocks.{index}", grads)
        self.scaled.append(g.node("And", [high, fine], ()))

    def most(self, error: Value, limit: float) -> Value:
        """The greatest root mean square () that a guess may have."""
        g = self.graph
        return g.mul(g.reduce("ReduceL2", error), limit * error.size**-0.5)

    def count(self) -> None:
        """Writes how many parts' gradients were scaled and skipped."""
        g = self.graph
        for name, flags in ((SCALED, self.scaled), (SKIPPED, self.skipped)):
            if flags:
                ones = [g.node("Cast", [g.reshape(flag, (1,))], (1,), to=FLOAT) for flag in flags]
                g.output(name, g.sum(total(g, ones)))

    def update(self, prefix: str, grads: Mapping[str, Value]) -> Value:
        """Writes the new weights and states of a part, or the old ones if a gradient is no number;
        returns whether () all are.

        The last operator on each is elementwise, so that it may be written over the old one.
        """
        g, form = self.graph, self.form
        scale = 1.0 if prefix == "head" else self.blocks
        every = replace(self.told, rate=g.mul(self.told.rate, scale))
        fine = self._finite(list(grads.values()))
        self.skipped.append(g.map("Not", fine))
        for short, grad in grads.items():
            name = f"{prefix}.{short}"
            if name in FIXED:
                continue
            weight, told = self.layers.weights[name], self.names.get(name, name)
            state = {kind: self.state[f"{kind}.{told}"] for kind in form.states}
            new, kept = form.update(g, grad, weight, state, every)
            for kind, value in kept.items():
                g.output(f"{NEW}{kind}.{told}", g.where(fine, value, state[kind]))
            g.output(f"{NEW}{told}", g.where(fine, new, weight))
        return fine

    def _finite(self, grads: list[Value]) -> Value:
        """Whether () all entries are finite: 0 times anything else is not 0."""
        g = self.graph
        sums = [g.sum(g.mul(grad, 0.0)) for grad in grads]
        return g.node("Equal", [total(g, sums), g.constant(0.0)], ())


def _targets(g: Graph, step: Step) -> tuple[Value, Value]:
    place = g.input(PLACE, (step.batch, step.spec.turns, step.cells, step.cells))
    return place, g.input(WIDTH, (step.batch,))
