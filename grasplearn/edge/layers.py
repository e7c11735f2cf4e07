"""The trunk's blocks and the gradient modules as graph nodes, forward and pulled back.

Line for line the closed forms of ``nets.blocks`` and ``rules.sgm``; a test compares every gradient
with theirs. What lives only between a guess and the weights' gradient is worked through in strips
of rows, sample by sample: a block's step then needs its input, its output, the error and little
more. Nothing here knows an optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from grasplearn.edge.graph import Graph, Value
from grasplearn.nets.graspnet import NetSpec

# About so many cells of one sample make a strip: a wide matrix product, a small share of a map.
STRIP_CELLS = 400

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Strip:
    """Rows [top, end) of one sample's maps."""

    sample: int
    top: int
    end: int


# Makes the gradient (1, C, rows, w) at a block's output, a strip at a time.
GradOf = Callable[[Strip], Value]


def total(graph: Graph, values: Sequence[Value]) -> Value:
    """Returns the sum of values of one shape."""
    found = values[0]
    for value in values[1:]:
        found = graph.add(found, value)
    return found


def strips(shape: Sequence[int], cells: int = STRIP_CELLS) -> Iterator[Strip]:
    """Yields the strips of maps (B, C, h, w), as even as they can be."""
    samples, _, rows, columns = shape
    count = min(rows, max(1, round(rows * columns / cells)))
    edges = [rows * i // count for i in range(count + 1)]
    for sample in range(samples):
        for top, end in pairwise(edges):
            yield Strip(sample, top, end)


@dataclass(frozen=True)
class Trunk:
    """Writes a net's blocks into a graph.

    Attributes:
        graph: what is written into; spec: the net's shape.
        weights: the graph's inputs (or constants) by the names of the net's state.
    """

    graph: Graph
    spec: NetSpec
    weights: Values

    def block(self, index: int, h: Value, via: list[Value] | None = None) -> Value:
        """Block ``index`` forward; the stem is the first.

        ``via``: what the output was before each elementwise operator is put in here.
        """
        g = self.graph
        weight, bias = (self.weights[f"blocks.{index}.{name}"] for name in ("weight", "bias"))
        if index == 0:
            stride = self.spec.stride
            ways = [g.conv(h, weight, bias, stride=stride, padding=stride // 2)]
        else:
            ways = [g.conv(h, weight, bias, padding=1)]
            ways.append(g.add(ways[0], h))
        if via is not None:
            via.extend(ways)
        return g.relu(ways[-1])

    def features(self, pictures: Value) -> Value:
        h = pictures
        for index in range(self.spec.depth + 1):
            h = self.block(index, h)
        return h

    def block_grads(self, index: int, h: Value, out: Value, grad: GradOf) -> dict[str, Value]:
        """The gradients of block ``index``'s weight and bias from the one at its output."""
        g = self.graph
        weight: Value | None = None
        bias: Value | None = None
        for strip in strips(out.shape):
            live = g.greater(self.strip(out, strip), 0.0)
            masked = g.where(live, grad(strip), 0.0)
            b = g.sum(masked, [0, 2, 3])
            w = (self._strided if index == 0 else self._shifted)(h, masked, strip)
            bias = b if bias is None else g.add(bias, b)
            weight = w if weight is None else g.add(weight, w)
        assert weight is not None and bias is not None
        if index == 0:
            return {"weight": g.transpose(weight, (1, 0, 2, 3)), "bias": bias}
        return {"weight": self.from_shifts(weight), "bias": bias}

    def scale_grads(self, index: int, h: Value, out: Value, grad: GradOf) -> dict[str, Value]:
        """As ``block_grads`` where of a kernel only its scale may change: without a convolution."""
        g = self.graph
        weight, bias = (self.weights[f"blocks.{index}.{name}"] for name in ("weight", "bias"))
        slopes: list[Value] = []
        biases: list[Value] = []
        for strip in strips(out.shape):
            made = self.strip(out, strip)
            masked = g.where(g.greater(made, 0.0), grad(strip), 0.0)
            if index:
                made = g.sub(made, self.strip(h, strip))
            slopes.append(g.sum(g.mul(masked, made), [0, 2, 3]))
            biases.append(g.sum(masked, [0, 2, 3]))
        for_bias = total(g, biases)
        slope = g.sub(total(g, slopes), g.mul(bias, for_bias))
        return {"weight": g.mul(weight, g.reshape(slope, (bias.size, 1, 1, 1))), "bias": for_bias}

    def strip(self, x: Value, strip: Strip, halo: int = 0) -> Value:
        """A strip of maps, and as many of ``halo`` rows above and below as there are."""
        one = self.graph.part(x, 0, strip.sample, strip.sample + 1)
        return self.graph.part(one, 2, max(strip.top - halo, 0), min(strip.end + halo, x.shape[2]))

    def _strided(self, x: Value, g_out: Value, strip: Strip) -> Value:
        """A strip's share of the stem's dW, (I, O, k, k): a convolution with batch and channels
        swapped, where the stride becomes a dilation."""
        g, stride = self.graph, self.spec.stride
        edge = stride // 2
        first, last = strip.top * stride - edge, strip.end * stride + edge
        one = g.part(x, 0, strip.sample, strip.sample + 1)
        rows = g.part(one, 2, max(first, 0), min(last, x.shape[2]))
        found = g.conv(
            g.reshape(rows, (x.shape[1], 1, *rows.shape[2:])),
            g.reshape(g_out, (g_out.shape[1], 1, *g_out.shape[2:])),
            padding=edge,
            rows=(max(-first, 0), max(last - x.shape[2], 0)),
            dilation=stride,
        )
        assert found.shape[2:] == (2 * stride, 2 * stride), found.shape
        return found

    def _shifted(self, x: Value, g_out: Value, strip: Strip) -> Value:
        """A strip's share of a 3 x 3 convolution's dW, (9, I, O): a matrix product a shift."""
        top, bottom = int(strip.top == 0), int(strip.end == x.shape[2])
        return self.shifts(self.graph.pad(self.strip(x, strip, 1), top, bottom, 1), g_out)

    def shifts(self, padded: Value, g_out: Value) -> Value:
        """dW of a 3 x 3 convolution as (9, I, O), from (B, I, h + 2, w + 2) and (B, O, h, w).

        Twice as fast as the convolution with batch and channels swapped, whose output of 3 x 3
        gives a matrix product little to do at once.
        """
        g, (samples, outputs, rows, columns) = self.graph, g_out.shape
        cells = rows * columns
        turned = g.transpose(g.reshape(g_out, (samples, outputs, cells)), (0, 2, 1))
        products = []
        for dy, dx in np.ndindex(3, 3):
            seen = g.window(padded, (dy, dy + rows), (dx, dx + columns))
            product = g.matmul(g.reshape(seen, (samples, padded.shape[1], cells)), turned)
            products.append(product if samples == 1 else g.sum(product, [0], keep=True))
        return g.concat(products, 0)

    def from_shifts(self, products: Value) -> Value:
        """(9, I, O) -> (O, I, 3, 3)."""
        g, (_, inputs, outputs) = self.graph, products.shape
        return g.transpose(g.reshape(products, (3, 3, inputs, outputs)), (3, 2, 0, 1))

    def guesser(self, module: Values, h: Value, e: Value) -> GradOf:
        """What a module says is the gradient at a block's output h, given the head's error e.

        ``module``: its tensors by name.
        """
        g = self.graph
        inner, channels = module["sense"].shape
        sense = g.reshape(module["sense"], (inner, channels, 1, 1))
        sensed = g.map("Tanh", g.conv(h, sense, module["sense_bias"]))
        told = g.conv(e, g.reshape(module["reduce"], (inner, channels, 1, 1)))
        gated = g.mul(told, g.add(sensed, 1.0))
        if "spread" in module:
            spread = module["spread"]
            edge = spread.shape[-1] // 2
            gated = g.add(gated, g.conv(gated, spread, padding=edge, groups=inner))
        carry = g.reshape(module["carry"], (channels, channels, 1, 1))
        gate = g.reshape(module["gate"], (channels, inner, 1, 1))
        # The second gate is 1 + what the module says.
        ones = g.constant(np.ones(channels, np.float32), f"ones_{channels}")

        def guess(strip: Strip) -> Value:
            rows = int(strip.top == 0), int(strip.end == h.shape[2])
            made = g.conv(self.strip(gated, strip, 1), module["widen"], padding=1, rows=rows)
            made = g.add(made, g.conv(self.strip(e, strip), carry))
            return g.mul(made, g.conv(self.strip(sensed, strip), gate, ones))

        return guess
