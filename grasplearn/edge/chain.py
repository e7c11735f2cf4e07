"""A teaching step as a chain of small graphs, run one after another. Needs no torch.

The blocks take turns in two buffers; beside them there is the error, and what a block's own graph
needs while it runs. Nothing else is kept, however deep the net is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from grasplearn.edge.chain_head import ChainHead, Graphs
from grasplearn.edge.names import (
    BLOCK,
    ERROR,
    FORWARD,
    JUDGE,
    LAST,
    OUT,
    PLACE,
    RATE,
    SCALED,
    SKIPPED,
    STEM,
    STEP,
    TEACH,
    H,
)
from grasplearn.edge.runtime import Array, Bind, Bound, plain

Special = Callable[[str, int], ort.InferenceSession | None]


@dataclass(frozen=True)
class Outcome:
    """What a step did: the loss before it; parts whose gradients were scaled, skipped."""

    loss: float
    scaled: int
    skipped: int


class Chain:
    """The steps of one teaching; its weights change in place.

    Args:
        graphs: opens one of ``steps.chain_models`` by its name.
        weights: the net's, by name; modules: the gradient modules', ``INDEX.NAME``.
        states: kinds of tensors that the optimizer keeps for every weight.
        bind: makes a graph's name, the graph, inputs and outputs a ``Bound``.
        special: opens a block's own form of a graph, by the graph's name and the block's index,
            where it has one instead of the one that all share.
        frozen: how many of the first blocks stay as they are.
    """

    def __init__(
        self,
        graphs: Callable[[str], ort.InferenceSession],
        weights: Mapping[str, Array],
        modules: Mapping[str, Array],
        states: tuple[str, ...],
        bind: Bind = plain,
        special: Special = lambda name, index: None,
        frozen: int = 0,
    ) -> None:
        self._blocks = len([name for name in weights if name.startswith("blocks.")]) // 2
        self._rate, self._step = np.zeros((), np.float32), np.zeros((), np.float32)
        own: dict[str, Array] = {}
        still = tuple(f"blocks.{index}." for index in range(frozen))
        for name, weight in weights.items():
            own[name] = weight
            if not name.startswith(still):
                own.update({f"{kind}.{name}": np.zeros_like(weight) for kind in states})
        told = {RATE: self._rate, STEP: self._step}
        head = Graphs.of(graphs, bind, self._blocks)
        shared: dict[str, ort.InferenceSession] = {}
        shared[f"{TEACH}_{LAST}"] = final = graphs(f"{TEACH}_{LAST}")
        maps = {value.name: tuple(value.shape) for value in final.get_inputs()}[OUT]
        # What the blocks take turns in, and the error at the head's input.
        self._maps = [np.zeros(maps, np.float32) for _ in range(2)]
        self._error = np.zeros(maps, np.float32)
        last = self._blocks - 1

        def of_block(index: int) -> dict[str, Array]:
            """A block's tensors under the names that its graph has for them."""
            found = dict(told)
            for name in ("weight", "bias"):
                for start in ("", *(f"{kind}." for kind in states)):
                    key = f"{start}blocks.{index}.{name}"
                    if key in own:
                        found[start + name] = own[key]
            begin = f"{index}."
            for name, array in modules.items():
                if name.startswith(begin):
                    found[f"module.{name[len(begin) :]}"] = array
            return found

        def part(
            name: str, index: int, own: Mapping[str, Array], into: Mapping[str, Array] | None = None
        ) -> Bound:
            graph = special(name, index)
            if graph is None:
                if name not in shared:
                    shared[name] = graphs(name)
                graph = shared[name]
            return bind(f"{name}.{index}", graph, own, into)

        shared[f"{FORWARD}_{STEM}"] = stem = graphs(f"{FORWARD}_{STEM}")
        picture = {value.name: tuple(value.shape) for value in stem.get_inputs()}
        self.picture = np.zeros(picture[H], np.float32)
        # What the blocks that learn begin with, twice in a step.
        entry = np.zeros(maps, np.float32) if frozen else self.picture
        self._frozen: list[Bound] = []
        self._forward: list[Bound] = []
        self._teach: list[Bound] = []
        for index in range(self._blocks):
            kind = BLOCK if index else STEM
            h = self._maps[(index + 1) % 2] if index else self.picture
            ends = {H: entry if index == frozen else h}
            outs = {OUT: entry if index == frozen - 1 else self._maps[index % 2]}
            bound = {**of_block(index), **ends, ERROR: self._error}
            forward = part(f"{FORWARD}_{kind}", index, bound, outs)
            (self._frozen if index < frozen else self._forward).append(forward)
            if frozen <= index < last:
                self._teach.append(part(f"{TEACH}_{kind}", index, bound, outs))
        h = entry if last == frozen else self._maps[(last + 1) % 2]
        ends = {H: h, OUT: self._maps[last % 2], ERROR: self._error}
        self._last = part(f"{TEACH}_{LAST}", last, {**of_block(last), **ends})
        turns = head.shape(JUDGE, PLACE)[0]
        self.place = np.zeros((maps[0], turns, *maps[2:]), np.float32)
        self.width = np.zeros(maps[0], np.float32)

        def head_in(idle: Array) -> ChainHead:
            known, out = {**own, **told}, self._maps[last % 2]
            return ChainHead(head, known, out, self.place, self.width, self._error, idle)

        # While a first pass finds the error, the other of the blocks' buffers lies idle; at a
        # step's end it holds the last block's input, but then the picture is no longer needed.
        self._head = head_in(self._maps[(last + 1) % 2])
        self._head_at_end: Callable[[], ChainHead] = lambda: head_in(self.picture)
        self._late_head: ChainHead | None = None

    def step(self, rate: float, number: int, error: Array | None = None) -> Outcome:
        """Does a step on what lies in ``picture``, ``place`` and ``width``; the picture is lost
        where the error is given.

        Args:
            rate: step size; number: of this step, from 1 on.
            error: what the modules are told, if it is known; a first pass finds it otherwise.
        """
        self._rate[...], self._step[...] = rate, number
        head = self._head
        for block in self._frozen:
            block.run()
        if error is None:
            for block in self._forward:
                block.run()
            head.run()
        else:
            self._error[...] = error
        for block in self._teach:
            block.run()
        self._forward[-1].run()
        if error is not None:
            if self._late_head is None:
                self._late_head = self._head_at_end()
            head = self._late_head
            head.run()
        self._last.run()
        parts: list[Bound | ChainHead] = [*self._teach, self._last, head]
        counts = [
            sum(int(part.outputs[name]) for part in parts if name in part.outputs)
            for name in (SCALED, SKIPPED)
        ]
        return Outcome(float(head.loss), *counts)

    @property
    def error(self) -> Array:
        """The error (B, C, h, w) that the last step found; the next one overwrites it."""
        return self._error
