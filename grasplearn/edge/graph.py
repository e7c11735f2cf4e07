"""A graph of standard ONNX operators, written node by node in the order it is to be run.

The order matters: a runtime that keeps to it (see ``runtime``) applies a block's update as soon as
its gradient is known, and the step's memory is that of its widest moment, however deep the net is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# Every operator used here has stood still since; runtimes of the last years read it.
OPSET = 20
# The file format's own version that belongs to it; newer ones add nothing that is used.
IR_VERSION = 9
FLOAT = TensorProto.FLOAT

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name and its whole shape; nothing here is dynamic."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


class Graph:
    """Collects nodes; every method that adds one returns what it puts out.

    Args:
        name: of the graph, for people.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._made = 0

    def input(self, name: str, shape: Sequence[int]) -> Value:
        self._inputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return Value(name, tuple(shape))

    def output(self, name: str, value: Value) -> None:
        """Makes what a node has put out an output of the graph, under a name of its own."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if n == value.name else n for n in names]
        self._outputs.append(helper.make_tensor_value_info(name, FLOAT, value.shape))

    def constant(self, array: NDArray[Any] | float | Sequence[int], name: str = "") -> Value:
        """A fixed tensor: float32, or int64 for a sequence of whole numbers. Equal ones are one."""
        if isinstance(array, np.ndarray):
            values = array
        elif isinstance(array, float | int):
            values = np.array(array, np.float32)
        else:
            values = np.array(array, np.int64)
        name = name or f"c_{values.dtype.name}_{'_'.join(map(str, values.ravel().tolist()))}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(values, name)
        return Value(name, values.shape)

    def node(
        self, kind: str, inputs: Sequence[Value | None], shape: Sequence[int], **attributes: Any
    ) -> Value:
        """Adds any operator with one output of a known shape."""
        self._made += 1
        name = f"{kind.lower()}_{self._made}"
        names = ["" if value is None else value.name for value in inputs]
        self._nodes.append(helper.make_node(kind, names, [name], name=name, **attributes))
        return Value(name, tuple(shape))

    def model(self, notes: Mapping[str, str]) -> onnx.ModelProto:
        """Returns the checked model, with every value's shape inferred, without unread inputs.

        Args:
            notes: for the file's own metadata.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is wrong.
        """
        read = {name for node in self._nodes for name in node.input}
        inputs = [value for value in self._inputs if value.name in read]
        graph = helper.make_graph(
            self._nodes, self._name, inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="grasplearn",
        )
        helper.set_model_props(model, dict(notes))
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model

    # Elementwise; numpy's rules for shapes.

    def _broadcast(self, kind: str, a: Value, b: Value | float) -> Value:
        b = b if isinstance(b, Value) else self.constant(float(b))
        return self.node(kind, [a, b], np.broadcast_shapes(a.shape, b.shape))

    def add(self, a: Value, b: Value | float) -> Value:
        return self._broadcast("Add", a, b)

    def sub(self, a: Value, b: Value | float) -> Value:
        return self._broadcast("Sub", a, b)

    def mul(self, a: Value, b: Value | float) -> Value:
        return self._broadcast("Mul", a, b)

    def div(self, a: Value, b: Value | float) -> Value:
        return self._broadcast("Div", a, b)

    def relu(self, x: Value) -> Value:
        return self.node("Relu", [x], x.shape)

    def map(self, kind: str, x: Value) -> Value:
        """An operator on every element: Tanh, Exp, Sqrt, Reciprocal, Abs, Not."""
        return self.node(kind, [x], x.shape)

    def greater(self, a: Value, b: float) -> Value:
        return self.node("Greater", [a, self.constant(b)], a.shape)

    def where(self, condition: Value, a: Value, b: Value | float) -> Value:
        b = b if isinstance(b, Value) else self.constant(float(b))
        shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
        return self.node("Where", [condition, a, b], shape)

    # Shapes.

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        if tuple(shape) == x.shape:
            return x
        assert int(np.prod(shape)) == x.size, (x.shape, shape)
        return self.node("Reshape", [x, self.constant([int(n) for n in shape])], shape)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        return self.node("Transpose", [x], [x.shape[i] for i in order], perm=list(order))

    def part(self, x: Value, axis: int, start: int, stop: int) -> Value:
        """Some consecutive entries along an axis."""
        if (start, stop) == (0, x.shape[axis]):
            return x
        shape = list(x.shape)
        shape[axis] = stop - start
        told = [self.constant([n]) for n in (start, stop, axis)]
        return self.node("Slice", [x, *told], shape)

    def window(self, x: Value, rows: tuple[int, int], columns: tuple[int, int]) -> Value:
        """Some consecutive rows and columns of (B, C, h, w)."""
        told = [self.constant([a, b]) for a, b in zip(rows, columns, strict=True)]
        shape = (*x.shape[:2], rows[1] - rows[0], columns[1] - columns[0])
        return self.node("Slice", [x, *told, self.constant([2, 3])], shape)

    def mirrored(self, x: Value) -> Value:
        """(..., k, k) with both last axes reversed."""
        last = len(x.shape) - 1
        told = [self.constant(n) for n in ([-1, -1], [-(2**62)] * 2, [last - 1, last], [-1, -1])]
        return self.node("Slice", [x, *told], x.shape)

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        if len(values) == 1:
            return values[0]
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        return self.node("Concat", values, shape, axis=axis)

    def pad(self, x: Value, top: int, bottom: int, sides: int) -> Value:
        """(B, C, h, w) with so many rows and columns of zeros around."""
        shape = (*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + 2 * sides)
        return self.node("Pad", [x, self.constant([0, 0, top, sides, 0, 0, bottom, sides])], shape)

    # Sums and products.

    def reduce(self, kind: str, x: Value, axes: Sequence[int] = (), keep: bool = False) -> Value:
        """ReduceSum, ReduceSumSquare, ReduceL2 over some axes, or over all."""
        axes = list(axes) or list(range(len(x.shape)))
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        if not keep:
            shape = [n for i, n in enumerate(x.shape) if i not in axes]
        return self.node(kind, [x, self.constant(axes)], shape, keepdims=int(keep))

    def sum(self, x: Value, axes: Sequence[int] = (), keep: bool = False) -> Value:
        return self.reduce("ReduceSum", x, axes, keep)

    def matmul(self, a: Value, b: Value) -> Value:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return self.node("MatMul", [a, b], (*lead, a.shape[-2], b.shape[-1]))

    def conv(
        self,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        stride: int = 1,
        padding: int = 0,
        rows: tuple[int, int] | None = None,
        dilation: int = 1,
        groups: int = 1,
    ) -> Value:
        """As torch's conv2d: x (B, I, H, W), weight (O, I / groups, h, w).

        ``rows``: the padding above and below, where it is another one than at the sides.
        """
        top, bottom = rows or (padding, padding)
        sizes = (x.shape[2] + top + bottom, x.shape[3] + 2 * padding)
        reach = [dilation * (n - 1) + 1 for n in weight.shape[2:]]
        out = [(n - r) // stride + 1 for n, r in zip(sizes, reach, strict=True)]
        return self.node(
            "Conv",
            [x, weight, *([] if bias is None else [bias])],
            (x.shape[0], weight.shape[0], *out),
            kernel_shape=list(weight.shape[2:]),
            strides=[stride] * 2,
            pads=[top, padding, bottom, padding],
            dilations=[dilation] * 2,
            group=groups,
        )
