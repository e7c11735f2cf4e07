"""The head's part of a teaching step, run graph by graph in memory that lies idle. Needs no torch.

What one of ``head_steps``' graphs hands to the next: normalised features lie in the buffer of the
blocks that is not the head's input; their gradients and the quality lie where the error will be
written when both have been read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from grasplearn.edge.names import (
    GRAD,
    HEAD,
    INVERSE,
    JUDGE,
    LOOK,
    LOSS,
    NEW_ERROR,
    NORMAL,
    NORMALISE,
    PLACE,
    PULLED,
    QUALITY,
    RETURN,
    SEND,
    TEACH,
    TURN,
    WIDTH,
    H,
)
from grasplearn.edge.runtime import Array, Bind, Bound

# The update is the last.
HEADS = (NORMALISE, LOOK, JUDGE, TURN, RETURN, SEND, f"{TEACH}_{HEAD}")


@dataclass(frozen=True)
class Graphs:
    """The head's graphs, opened, and what makes each a ``Bound``; ``index``: the head's number."""

    opened: Mapping[str, ort.InferenceSession]
    bind: Bind
    index: int

    @staticmethod
    def of(open_graph: Callable[[str], ort.InferenceSession], bind: Bind, index: int) -> Graphs:
        return Graphs({name: open_graph(name) for name in HEADS}, bind, index)

    def bound(
        self, name: str, own: Mapping[str, Array], into: Mapping[str, Array] | None = None
    ) -> Bound:
        return self.bind(f"{name}.{self.index}", self.opened[name], own, into)

    def shape(self, name: str, value: str) -> tuple[int, ...]:
        """Of one of a graph's inputs."""
        found = {told.name: tuple(told.shape) for told in self.opened[name].get_inputs()}
        return found[value]


class ChainHead:
    """The head's step; its weights change in place.

    Attributes:
        loss: () of the last step, before it; outputs: of the update.

    Args:
        own: weights, states and what every update is told, by name.
        h: (B, C, h, w), its input; place (B, R, h, w) and width (B,): the targets.
        error: (B, C, h, w), where the error goes; what lies there is lost.
        idle: whose memory the head may use meanwhile.
    """

    def __init__(
        self,
        graphs: Graphs,
        own: Mapping[str, Array],
        h: Array,
        place: Array,
        width: Array,
        error: Array,
        idle: Array,
    ) -> None:
        self.loss = np.zeros((), np.float32)
        update = graphs.opened[f"{TEACH}_{HEAD}"]
        self._grads = {
            value.name: np.zeros(tuple(value.shape), np.float32)
            for value in update.get_inputs()
            if value.name.startswith(GRAD)
        }
        known = {**own, **self._grads, LOSS: self.loss}
        self._samples = [
            _Sample(graphs, known, h[one], place[one], width[one], error[one], idle)
            for one in (slice(i, i + 1) for i in range(len(h)))
        ]
        self._update = graphs.bound(f"{TEACH}_{HEAD}", known)

    @property
    def outputs(self) -> Mapping[str, Array]:
        return self._update.outputs

    def run(self) -> None:
        """Finds the loss and the error, and updates the weights."""
        self.loss[...] = 0
        for grad in self._grads.values():
            grad.fill(0)
        for sample in self._samples:
            sample.run()
        self._update.run()


class _Sample:
    """One sample's way through the head."""

    def __init__(
        self,
        graphs: Graphs,
        known: Mapping[str, Array],
        h: Array,
        place: Array,
        width: Array,
        error: Array,
        idle: Array,
    ) -> None:
        maps = graphs.shape(TURN, NORMAL)
        groups = sum(told.name.startswith(PULLED) for told in graphs.opened[TURN].get_inputs())
        turns = place.reshape(-1, 1, *maps[2:])
        normal, inverse = _pieces(idle, maps, (1, groups, *maps[2:]))
        self._pulled, quality = _pieces(error, maps, turns.shape)
        own = {**known, H: h, NORMAL: normal, PLACE: turns, WIDTH: width, QUALITY: quality}
        for name, array in ((NORMAL, normal), (INVERSE, inverse), (PULLED, self._pulled)):
            own.update(
                {f"{name}.{i}": part for i, part in enumerate(np.split(array, groups, axis=1))}
            )
        made = {**own, NEW_ERROR: error}
        few = graphs.shape(TURN, PLACE)[0]
        some = [slice(start, start + few) for start in range(0, len(turns), few)]
        by_turns = ("head.kernels", PLACE, QUALITY)
        pieces = [{**own, **{name: own[name][part] for name in by_turns}} for part in some]
        self._graphs = [
            graphs.bound(NORMALISE, own, made),
            *(graphs.bound(LOOK, piece, piece) for piece in pieces),
            graphs.bound(JUDGE, own),
            *(graphs.bound(TURN, piece) for piece in pieces),
            graphs.bound(RETURN, own),
            graphs.bound(SEND, own, made),
        ]

    def run(self) -> None:
        self._pulled.fill(0)
        for graph in self._graphs:
            graph.run()


def _pieces(memory: Array, *shapes: tuple[int, ...]) -> list[Array]:
    """Arrays of some shapes in a memory, as far as it reaches; the others in their own."""
    found, left = [], memory.reshape(-1)
    for shape in shapes:
        size = int(np.prod(shape))
        fits = size <= left.size
        found.append(left[:size].reshape(shape) if fits else np.zeros(shape, np.float32))
        left = left[size:] if fits else left
    return found
