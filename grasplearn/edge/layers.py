"""The net's blocks, its head and the gradient modules as graph nodes, forward and pulled back.

Line for line the closed forms of ``nets.blocks``, ``nets.head`` and ``rules.sgm``; a test compares
every gradient with theirs. Nothing here knows an optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasplearn.edge.graph import Graph, Value
from grasplearn.nets.graspnet import NetSpec
from grasplearn.nets.head import WIDTH_WEIGHT

# Turns that are worked through together, as in the net's own head.
TURNS_AT_ONCE = 8

Values = Mapping[str, Value]
Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Layers:
    """Writes the parts of one net into one graph.

    Attributes:
        graph: what is written into; spec: the net's shape.
        weights: the graph's inputs (or constants) by the names of the net's state.
    """

    graph: Graph
    spec: NetSpec
    weights: Values

    def _part(self, prefix: str) -> dict[str, Value]:
        start = f"{prefix}."
        return {n[len(start) :]: v for n, v in self.weights.items() if n.startswith(start)}

    def block(self, index: int, h: Value) -> Value:
        """Block ``index`` forward; the stem is the first."""
        g, own = self.graph, self._part(f"blocks.{index}")
        if index == 0:
            stride = self.spec.stride
            summed = g.conv(h, own["weight"], own["bias"], stride=stride, padding=stride // 2)
            return g.relu(summed)
        return g.relu(g.add(g.conv(h, own["weight"], own["bias"], padding=1), h))

    def features(self, pictures: Value) -> Value:
        h = pictures
        for index in range(self.spec.depth + 1):
            h = self.block(index, h)
        return h

    def block_grads(self, index: int, h: Value, out: Value, g_out: Value) -> dict[str, Value]:
        """The gradients of block ``index``'s weight and bias from the one at its output."""
        g = self.graph
        masked = g.where(g.greater(out, 0.0), g_out, 0.0)
        bias = g.sum(masked, [0, 2, 3])
        if index == 0:
            weight = self._strided_grad(h, masked)
        else:
            weight = self._shifted_grad(h, masked, 3)
        return {"weight": weight, "bias": bias}

    def _strided_grad(self, x: Value, g_out: Value) -> Value:
        """dW of the stem: a convolution with batch and channels swapped, the stride a dilation."""
        g, stride = self.graph, self.spec.stride
        swapped = g.conv(
            g.transpose(x, (1, 0, 2, 3)),
            g.transpose(g_out, (1, 0, 2, 3)),
            padding=stride // 2,
            dilation=stride,
        )
        # A picture whose side is no multiple of the stride leaves a row that no kernel saw.
        side = 2 * stride
        swapped = g.part(g.part(swapped, 2, 0, side), 3, 0, side)
        return g.transpose(swapped, (1, 0, 2, 3))

    def _shifted_grad(self, x: Value, g_out: Value, side: int) -> Value:
        """dW (O, I, k, k) of a k x k convolution: one matrix product for every shift.

        Twice as fast as the convolution with batch and channels swapped, whose output of k x k
        leaves a matrix product almost nothing to do at once.
        """
        g, (samples, channels, rows, columns) = self.graph, x.shape
        padded = g.pad(x, side // 2)
        outputs, cells = g_out.shape[1], rows * columns
        turned = g.transpose(g.reshape(g_out, (samples, outputs, cells)), (0, 2, 1))
        products = []
        for dy, dx in np.ndindex(side, side):
            seen = g.part(g.part(padded, 2, dy, dy + rows), 3, dx, dx + columns)
            product = g.matmul(g.reshape(seen, (samples, channels, cells)), turned)
            products.append(g.sum(product, [0], keep=True))
        every = g.reshape(g.concat(products, 0), (side, side, channels, outputs))
        return g.transpose(every, (3, 2, 0, 1))

    # The head.

    def normal(self, h: Value) -> tuple[Value, Value]:
        """Normalised features (B, F, h, w) and the factors (B, G, 1, hw)."""
        g, s = self.graph, self.spec
        samples, channels, rows, columns = h.shape
        weight = g.reshape(self.weights["head.project"], (s.features, channels, 1, 1))
        x = g.conv(h, weight)
        grouped = g.reshape(x, (samples, s.groups, s.features // s.groups, rows * columns))
        length = g.add(g.reduce("ReduceSumSquare", grouped, [2], keep=True), 1.0)
        inverse = g.map("Reciprocal", g.map("Sqrt", length))
        return g.reshape(g.mul(grouped, inverse), x.shape), inverse

    def pieces(self) -> Iterator[tuple[int, int]]:
        """First and end of the turns that are worked through together."""
        for start in range(0, self.spec.turns, TURNS_AT_ONCE):
            yield start, min(start + TURNS_AT_ONCE, self.spec.turns)

    def _kernels(self, start: int, stop: int) -> Value:
        """Kernels of some turns (t, G, F / G, k, k)."""
        g, s = self.graph, self.spec
        some = g.part(self.weights["head.kernels"], 0, start, stop)
        shape = (stop - start, s.groups, s.features // s.groups, s.kernel, s.kernel)
        return g.reshape(some, shape)

    def correlate(self, normal: Value, start: int, stop: int) -> Value:
        """Every group's correlation (t, G, h, w) of one sample."""
        g, s, turns = self.graph, self.spec, stop - start
        weight = g.transpose(self._kernels(start, stop), (1, 0, 2, 3, 4))
        shape = (s.groups * turns, s.features // s.groups, s.kernel, s.kernel)
        found = g.conv(normal, g.reshape(weight, shape), padding=s.kernel // 2, groups=s.groups)
        grouped = g.reshape(found, (s.groups, turns, *found.shape[2:]))
        return g.transpose(grouped, (1, 0, 2, 3))

    def decode(self, maps: Value) -> tuple[Value, Value]:
        """Hidden maps (t, D, h, w), and quality and width (t, 2, h, w)."""
        g, s, own = self.graph, self.spec, self._part("head")
        hidden = g.relu(g.conv(maps, own["spread"], own["spread_bias"], padding=1))
        # The width's own constant goes in as a bias; the quality has none.
        bias = g.concat([g.constant(np.zeros(1, np.float32), "nothing"), own["width"]], 0)
        gathered = g.conv(hidden, g.reshape(own["gather"], (2, s.hidden, 1, 1)))
        linked = g.conv(maps, g.reshape(own["link"], (2, s.groups, 1, 1)), bias)
        return hidden, g.add(gathered, linked)

    def both(self, normal: Value) -> tuple[Value, Value]:
        """Quality and width of one sample, (R, h, w) each."""
        g = self.graph
        qualities, widths = [], []
        for start, stop in self.pieces():
            _, both = self.decode(self.correlate(normal, start, stop))
            shape = (stop - start, *both.shape[2:])
            qualities.append(g.reshape(g.part(both, 1, 0, 1), shape))
            widths.append(g.reshape(g.part(both, 1, 1, 2), shape))
        return g.concat(qualities, 0), g.concat(widths, 0)

    def head_step(
        self, h: Value, place: Value, width: Value
    ) -> tuple[Value, dict[str, Value], Value]:
        """The loss (), the head's own exact gradients, and the error at its input.

        Args:
            h: (B, C, h, w); place: (B, R, h, w), a distribution a sample; width: (B,).
        """
        g, s = self.graph, self.spec
        samples = h.shape[0]
        normal, inverse = self.normal(h)
        losses: list[Value] = []
        grads: dict[str, list[Value]] = {}
        pulled: list[Value] = []
        for sample in range(samples):
            one = g.part(normal, 0, sample, sample + 1)
            loss, for_both = self._loss_and_error(
                one,
                g.part(place, 0, sample, sample + 1),
                g.part(width, 0, sample, sample + 1),
                samples,
            )
            losses.append(loss)
            for_normal, found = self._pull_back(one, for_both)
            for name, value in found.items():
                grads.setdefault(name, []).append(value)
            pulled.append(for_normal)
        total = {name: self._total(values) for name, values in grads.items()}
        # n = x s with s = (|x|^2 + 1)^-1/2, hence dx = s (dn - n (n . dn)).
        shape = (samples, s.groups, s.features // s.groups, h.shape[2] * h.shape[3])
        grouped = g.reshape(normal, shape)
        back = g.reshape(g.concat(pulled, 0), shape)
        along = g.sum(g.mul(grouped, back), [2], keep=True)
        flat = (samples, s.features, shape[-1])
        for_x = g.reshape(g.mul(g.sub(back, g.mul(grouped, along)), inverse), flat)
        turned = g.transpose(g.reshape(h, (samples, h.shape[1], shape[-1])), (0, 2, 1))
        total["project"] = g.sum(g.matmul(for_x, turned), [0])
        weight = g.transpose(self.weights["head.project"], (1, 0))
        error = g.conv(
            g.reshape(for_x, (samples, s.features, *h.shape[2:])),
            g.reshape(weight, (*weight.shape, 1, 1)),
        )
        return self._total(losses), total, error

    def _total(self, values: Sequence[Value]) -> Value:
        total = values[0]
        for value in values[1:]:
            total = self.graph.add(total, value)
        return total

    def _loss_and_error(
        self, normal: Value, place: Value, width: Value, samples: int
    ) -> tuple[Value, Value]:
        """One sample's share of the loss (), and the gradient (R, 2, h, w) for both its maps."""
        g = self.graph
        quality, said = self.both(normal)
        share = g.mul(g.reshape(place, quality.shape), 1 / samples)
        flat = g.reshape(quality, (1, quality.size))
        log_place = g.reshape(g.node("LogSoftmax", [flat], flat.shape, axis=1), quality.shape)
        off = g.sub(said, width)
        terms = g.sub(g.mul(g.mul(off, off), WIDTH_WEIGHT), log_place)
        loss = g.sum(g.mul(share, terms))
        for_quality = g.sub(g.mul(g.map("Exp", log_place), 1 / samples), share)
        for_width = g.mul(g.mul(off, share), 2 * WIDTH_WEIGHT)
        shape = (quality.shape[0], 1, *quality.shape[1:])
        return loss, g.concat([g.reshape(for_quality, shape), g.reshape(for_width, shape)], 1)

    def _pull_back(self, normal: Value, for_both: Value) -> tuple[Value, dict[str, Value]]:
        """One sample's gradient for ``normal``, and its share of the head's own gradients."""
        g, s = self.graph, self.spec
        kernels: list[Value] = []
        others: dict[str, list[Value]] = {}
        pulled: list[Value] = []
        for start, stop in self.pieces():
            maps = self.correlate(normal, start, stop)
            hidden, _ = self.decode(maps)
            some = g.part(for_both, 0, start, stop)
            for_maps, found = self._decoder_grads(maps, hidden, some)
            for name, value in found.items():
                others.setdefault(name, []).append(value)
            kernels.append(self._kernel_grads(normal, for_maps))
            weight = g.mirrored(g.transpose(self._kernels(start, stop), (1, 2, 0, 3, 4)))
            shape = (s.features, stop - start, s.kernel, s.kernel)
            grouped = g.transpose(for_maps, (1, 0, 2, 3))
            pulled.append(
                g.conv(
                    g.reshape(grouped, (1, s.groups * (stop - start), *for_maps.shape[2:])),
                    g.reshape(weight, shape),
                    padding=s.kernel // 2,
                    groups=s.groups,
                )
            )
        grads = {name: self._total(values) for name, values in others.items()}
        return self._total(pulled), {**grads, "kernels": g.concat(kernels, 0)}

    def _decoder_grads(
        self, maps: Value, hidden: Value, for_both: Value
    ) -> tuple[Value, dict[str, Value]]:
        """The gradient for some turns' maps (t, G, h, w), and the decoder's own."""
        g, s, own = self.graph, self.spec, self._part("head")
        grads = {
            "width": g.reshape(g.sum(g.part(for_both, 1, 1, 2)), (1,)),
            "gather": self._mix_grad(hidden, for_both),
            "link": self._mix_grad(maps, for_both),
        }
        back = g.reshape(g.transpose(own["gather"], (1, 0)), (s.hidden, 2, 1, 1))
        for_hidden = g.where(g.greater(hidden, 0.0), g.conv(for_both, back), 0.0)
        grads["spread_bias"] = g.sum(for_hidden, [0, 2, 3])
        grads["spread"] = self._shifted_grad(maps, for_hidden, 3)
        turned = g.mirrored(g.transpose(own["spread"], (1, 0, 2, 3)))
        through = g.conv(for_hidden, turned, padding=1)
        link = g.reshape(g.transpose(own["link"], (1, 0)), (s.groups, 2, 1, 1))
        return g.add(g.conv(for_both, link), through), grads

    def _mix_grad(self, x: Value, g_out: Value) -> Value:
        """dW (O, I) of a 1 x 1 convolution."""
        g, cells = self.graph, x.shape[2] * x.shape[3]
        turned = g.transpose(g.reshape(x, (*x.shape[:2], cells)), (0, 2, 1))
        return g.sum(g.matmul(g.reshape(g_out, (*g_out.shape[:2], cells)), turned), [0])

    def _kernel_grads(self, normal: Value, for_maps: Value) -> Value:
        """Some turns' kernel gradients (t, F, k, k): batch and channels swapped, group by group."""
        g, s = self.graph, self.spec
        turns, _, rows, columns = for_maps.shape
        each = s.features // s.groups
        swapped = g.transpose(
            g.reshape(normal, (s.groups, each, rows, columns)), (1, 0, 2, 3)
        )
        weight = g.reshape(
            g.transpose(for_maps, (1, 0, 2, 3)), (s.groups * turns, 1, rows, columns)
        )
        found = g.conv(swapped, weight, padding=s.kernel // 2, groups=s.groups)
        split = g.reshape(found, (each, s.groups, turns, s.kernel, s.kernel))
        ordered = g.transpose(split, (2, 1, 0, 3, 4))
        return g.reshape(ordered, (turns, s.features, s.kernel, s.kernel))

    def imprinted(self, patches: Value) -> Value:
        """The kernels (B, F, k, k) that patches (B, 5, S, S) become."""
        g, s = self.graph, self.spec
        normal, _ = self.normal(self.features(patches))
        edge = (normal.shape[-1] - s.kernel) // 2
        inner = g.part(normal, 2, edge, edge + s.kernel)
        inner = g.part(inner, 3, edge, edge + s.kernel)
        kernels = g.mul(inner, 1 / s.kernel**2)
        window = self.weights.get("head.window")
        if window is None:
            return kernels
        # Of every group and cell.
        grouped = g.reshape(kernels, (*kernels.shape[:1], s.groups, s.features // s.groups, s.kernel, s.kernel))
        weighed = g.mul(grouped, g.reshape(window, (1, s.groups, 1, s.kernel, s.kernel)))
        return g.reshape(weighed, kernels.shape)

    # The gradient modules.

    def guess(self, module: Arrays, name: str, h: Value, e: Value) -> Value:
        """What a module says is the gradient at a block's output h, given the head's error e.

        Args:
            module: its tensors; name: a start for those of the constants.
        """
        g = self.graph
        inner, channels = module["sense"].shape

        def fixed(what: str, array: NDArray[np.float32]) -> Value:
            return g.constant(np.ascontiguousarray(array, np.float32), f"{name}.{what}")

        sense = fixed("sense", module["sense"].reshape(inner, channels, 1, 1))
        sensed = g.map("Tanh", g.conv(h, sense, fixed("sense_bias", module["sense_bias"])))
        told = g.conv(e, fixed("reduce", module["reduce"].reshape(inner, channels, 1, 1)))
        gated = g.mul(told, g.add(sensed, 1.0))
        guessed = g.conv(gated, fixed("widen", module["widen"]), padding=1)
        guessed = g.add(guessed, g.mul(e, fixed("skip", module["skip"].reshape(-1, 1, 1))))
        gate = fixed("gate", module["gate"].reshape(channels, inner, 1, 1))
        # The second gate is 1 + what the module says.
        ones = g.constant(np.ones(channels, np.float32), f"ones_{channels}")
        return g.mul(guessed, g.conv(sensed, gate, ones))
