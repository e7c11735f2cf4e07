"""A teaching step as one graph, as quick as the runtime can make it. Needs no torch.

``chain`` takes little memory, this takes little time: the runtime may keep the first pass for the
second, fuse operators and hold what it has freed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime as ort

from grasplearn.edge import layout
from grasplearn.edge.chain import Outcome
from grasplearn.edge.names import (
    ERROR,
    LOSS,
    NEW,
    NEW_ERROR,
    PICTURE,
    PLACE,
    RATE,
    SCALED,
    SKIPPED,
    STEP,
    WIDTH,
)
from grasplearn.edge.runtime import Array, Bind, Bound, plain


class Whole:
    """The steps of one teaching; its weights change in place.

    Attributes:
        picture, place, width: write the samples into them.

    Args:
        graphs: opens a graph by its file's name.
        weights: the net's, by name. states: kinds of tensors that the optimizer keeps for each.
        remembers: whether the modules are told the error of the samples' last visit; there is a
            graph for samples that come for the first time then.
        bind: makes a graph's name, the graph, inputs and outputs a ``Bound``.
    """

    def __init__(
        self,
        graphs: Callable[[str], ort.InferenceSession],
        weights: Mapping[str, Array],
        states: tuple[str, ...],
        remembers: bool,
        bind: Bind = plain,
    ) -> None:
        own = dict(weights)
        for kind in states:
            own.update({f"{kind}.{name}": np.zeros_like(w) for name, w in weights.items()})
        files = (layout.TEACH_FIRST, layout.TEACH) if remembers else (layout.TEACH,)
        self._graphs: list[Bound] = []
        new: dict[str, Array] = {}
        for file in files:
            graph = graphs(file)
            # The order of reading and writing is the runtime's own: no output over an input.
            for value in graph.get_outputs():
                if value.name not in new:
                    new[value.name] = np.zeros(tuple(value.shape), np.float32)
            made = bind(file, graph, own, new)
            own.update(made.inputs)
            self._graphs.append(made)
        self.picture, self.place, self.width = own[PICTURE], own[PLACE], own[WIDTH]
        self._rate, self._own, self._new = own[RATE], own, new
        # Of Adam alone.
        self._step = own.get(STEP)

    def step(self, rate: float, number: int, error: Array | None = None) -> Outcome:
        """Does a step on what lies in ``picture``, ``place`` and ``width``.

        Args:
            rate: step size; number: of this step, from 1 on.
            error: what the modules are told, if it is known; a first pass finds it otherwise.
        """
        self._rate[...] = rate
        if self._step is not None:
            self._step[...] = number
        if error is not None:
            self._own[ERROR][...] = error
        made = self._graphs[0 if error is None else -1].run()
        for name, array in made.items():
            if name.startswith(NEW):
                self._own[name.removeprefix(NEW)][...] = array
        return Outcome(float(made[LOSS]), int(made[SCALED]), int(made[SKIPPED]))

    @property
    def error(self) -> Array:
        """The error (B, C, h, w) that the last step found; the next one overwrites it.

        Only where the modules are told errors of an earlier visit.
        """
        return self._new[NEW_ERROR]
