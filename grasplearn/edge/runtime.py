"""A graph in onnxruntime, with every buffer bound once. Needs numpy and onnxruntime alone.

Where memory is short, these settings keep a step's low and flat in the net's depth:

- ``PRIORITY_BASED``: the nodes run in the order they were written in, so that an update does not
  wait, and may be written over what it replaces. The default order puts all updates last.
- No rewriting of the graph: it would take a second pass for a repetition of the first and keep all
  activations of the first to save it; and nodes that it makes anew lose their place in the order.
- No spinning: every graph of a chain has threads of its own, and while one works the others would
  wait on its cores; with two threads on two cores a step took three times as long.
- No arena: it would round up and keep what was freed. And no reuse: what is dead would be kept
  until something later of the same size takes its place.

Where time is short, all of this is the other way round, but for the order: ``fast``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from grasplearn.edge.names import NEW, VIA
from grasplearn.errors import FileFormatError, InvalidValueError

Array = NDArray[np.float32]


def session(path: str | Path, threads: int = 1, fast: bool = False) -> ort.InferenceSession:
    """Opens a graph with the settings above.

    Args:
        fast: take as much memory as makes it quick. The graph is rewritten, so that an output must
            not lie in an input's memory.

    Raises:
        FileFormatError: there is no such file, or it is no graph.
    """
    if not Path(path).is_file():
        raise FileFormatError(f"no graph at {path}; make it with 'grasplearn export'")
    options = ort.SessionOptions()
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    options.enable_cpu_mem_arena = fast
    options.enable_mem_pattern = fast
    options.enable_mem_reuse = fast
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(fast)))
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if fast else level.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common base
        raise FileFormatError(f"{path} is no graph that onnxruntime reads ({error})") from error


class Bound:
    """A graph whose inputs and outputs are numpy arrays that stay where they are.

    An output named ``new.X`` is written over input X: the graph's last operator on each is
    elementwise, and all else that reads X has run before. So is ``via.N.X`` over output X.

    Attributes:
        inputs, outputs: the arrays by name; write into the first, ``run``, read the second.

    Args:
        own: arrays to use as inputs, such as the weights; float32, contiguous. Others are made.
        into: arrays for outputs.

    Raises:
        InvalidValueError: an array of ``own`` does not fit.
    """

    def __init__(
        self,
        graph: ort.InferenceSession,
        own: Mapping[str, Array],
        into: Mapping[str, Array] | None = None,
    ) -> None:
        self._graph = graph
        self._binding = graph.io_binding()
        self.inputs: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}
        for value in graph.get_inputs():
            shape = tuple(value.shape)
            array = own.get(value.name)
            if array is None:
                array = np.zeros(shape, np.float32)
            if array.shape != shape or array.dtype != np.float32:
                raise InvalidValueError(
                    f"{value.name} is {array.dtype} {array.shape}, the graph takes float32 {shape};"
                    " use weights and pictures of the same export"
                )
            if not array.flags.c_contiguous:
                raise InvalidValueError(f"{value.name} must lie in memory in one piece")
            self.inputs[value.name] = array
            self._binding.bind_input(value.name, "cpu", 0, np.float32, shape, array.ctypes.data)
        for value in graph.get_outputs():
            shape = tuple(value.shape)
            array = (into or {}).get(value.name)
            if value.name.startswith(VIA):
                array = self.outputs[value.name.split(".", 2)[2]]
            if array is None and value.name.startswith(NEW):
                array = self.inputs[value.name.removeprefix(NEW)]
            if array is None:
                array = np.zeros(shape, np.float32)
            self.outputs[value.name] = array
            self._binding.bind_output(value.name, "cpu", 0, np.float32, shape, array.ctypes.data)

    def run(self) -> dict[str, Array]:
        """Runs the graph once; returns ``outputs``, which the next run overwrites."""
        self._graph.run_with_iobinding(self._binding)
        return self.outputs


# Makes a graph's name, the graph, its inputs and its outputs a ``Bound``.
Bind = Callable[[str, ort.InferenceSession, Mapping[str, Array], Mapping[str, Array] | None], Bound]


def plain(
    name: str,
    graph: ort.InferenceSession,
    own: Mapping[str, Array],
    into: Mapping[str, Array] | None,
) -> Bound:
    """The ``Bind`` that needs no name."""
    return Bound(graph, own, into)
