"""How many bytes a graph holds at most, counted node by node.

What a runtime needs that runs the nodes in their order, frees what no later node reads, and lets an
elementwise operator write over an input that nobody reads again. Inputs, outputs and constants are
whoever's that runs the graph, and do not count; nor does scratch memory inside an operator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

# Operators that may write over an input of their output's size.
ELEMENTWISE = frozenset(
    ("Add", "Sub", "Mul", "Div", "Relu", "Tanh", "Exp", "Sqrt", "Reciprocal", "Where", "LogSoftmax")
)
# Operators that only look at their input in another shape.
VIEWS = frozenset(("Reshape",))


@dataclass(frozen=True)
class Live:
    """peak: most bytes at once; node: the one at work then; values: what lived, largest first."""

    peak: int
    node: str
    values: tuple[tuple[str, int], ...]


def live_bytes(model: onnx.ModelProto) -> Live:
    """Returns a graph's peak of live bytes above its inputs, outputs and constants.

    Args:
        model: with every value's shape inferred, as ``Graph.model`` makes them.
    """
    graph = model.graph
    sizes = {value.name: _bytes(value) for value in (*graph.value_info, *graph.output)}
    lent = {v.name for v in (*graph.input, *graph.output)} | {c.name for c in graph.initializer}
    # Whose memory a value lies in.
    home: dict[str, str] = {name: name for name in lent}
    last: dict[str, int] = {}
    for number, node in enumerate(graph.node):
        for name in (*node.input, *node.output):
            last[name] = number
    live: dict[str, int] = {}
    users: dict[str, set[str]] = {}
    found = Live(0, "", ())
    for number, node in enumerate(graph.node):
        for out in node.output:
            home[out] = out if out in lent else _home(node, out, number, home, last, sizes, live)
            if home[out] not in lent:
                live.setdefault(home[out], sizes[out])
            users.setdefault(home[out], set()).add(out)
        total = sum(live.values())
        if total > found.peak:
            ordered = sorted(live.items(), key=lambda entry: -entry[1])
            found = Live(total, node.name, tuple(ordered))
        for name in {*node.input, *node.output} & home.keys():
            if last[name] == number:
                owner = home[name]
                users.get(owner, set()).discard(name)
                if owner in live and not users[owner]:
                    del live[owner]
    return found


def _home(
    node: onnx.NodeProto,
    out: str,
    number: int,
    home: dict[str, str],
    last: dict[str, int],
    sizes: dict[str, int],
    live: dict[str, int],
) -> str:
    """Where an output lies: in an input's memory, or in its own."""
    if node.op_type in VIEWS:
        return home[node.input[0]]
    if node.op_type in ELEMENTWISE:
        for name in node.input:
            free = home.get(name) in live and last[name] == number
            others = [n for n, h in home.items() if h == home.get(name) and last[n] > number]
            if free and not others and sizes.get(name) == sizes[out]:
                return home[name]
    return out


def _bytes(value: onnx.ValueInfoProto) -> int:
    kind = value.type.tensor_type
    shape = [d.dim_value for d in kind.shape.dim]
    each = int(helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize)
    return int(np.prod(shape)) * each
