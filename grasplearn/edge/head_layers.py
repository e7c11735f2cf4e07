"""The head as graph nodes: maps, loss, its own exact gradients and the error at its input.

Line for line the closed form of ``nets.head``; a test compares them. The turns are correlated some
at a time and decoded one by one, so that of the many maps few live at once; all but the qualities
is found again on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from grasplearn.edge.graph import Value
from grasplearn.edge.layers import Trunk, total
from grasplearn.nets.head import WIDTH_WEIGHT

# Turns that are correlated together: fewer hold less, more unfold the maps less often. Decoding,
# whose maps are many, takes one at a time.
TURNS_AT_ONCE = 8


@dataclass
class _Found:
    """What a sample's turns add up to, by name."""

    sums: dict[str, list[Value]] = field(default_factory=dict)

    def add(self, name: str, value: Value) -> None:
        self.sums.setdefault(name, []).append(value)


@dataclass(frozen=True)
class HeadLayers(Trunk):
    """Writes a net's blocks and its head into a graph."""

    @property
    def _turns(self) -> int:
        """Of the kernels there are: all of the net's, or those that a graph is for."""
        return self.weights["head.kernels"].shape[0]

    @property
    def _each(self) -> int:
        return self.spec.features // self.spec.groups

    def normal(self, h: Value) -> tuple[Value, Value]:
        """Normalised features (B, F, h, w) and the factors (B, G, 1, hw)."""
        g, s = self.graph, self.spec
        weight = g.reshape(self.weights["head.project"], (s.features, h.shape[1], 1, 1))
        x = g.conv(h, weight)
        grouped = g.reshape(x, (h.shape[0], s.groups, self._each, h.shape[2] * h.shape[3]))
        length = g.add(g.reduce("ReduceSumSquare", grouped, [2], keep=True), 1.0)
        inverse = g.map("Reciprocal", g.map("Sqrt", length))
        return g.reshape(g.mul(grouped, inverse), x.shape), inverse

    def both(self, normal: Value) -> tuple[Value, Value]:
        """Quality and width of one sample, (R, h, w) each."""
        g = self.graph
        qualities, widths = [], []
        for start, stop in _pieces(self._turns, TURNS_AT_ONCE):
            for maps in self._correlate(normal, start, stop):
                _, both = self._decode(maps)
                shape = (1, *both.shape[2:])
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
        samples, channels, rows, columns = h.shape
        losses: list[Value] = []
        grads: dict[str, list[Value]] = {}
        errors: list[Value] = []
        back = g.transpose(self.weights["head.project"], (1, 0))
        back = g.reshape(back, (channels, s.features, 1, 1))
        for sample in range(samples):
            some = slice(sample, sample + 1)
            one, right, opening = (g.part(x, 0, some.start, some.stop) for x in (h, place, width))
            normal, inverse = self.normal(one)
            loss, found, for_normal = self._sample(normal, right, opening, samples)
            losses.append(loss)
            # n = x s with s = (|x|^2 + 1)^-1/2, hence dx = s (dn - n (n . dn)).
            shape = (1, s.groups, self._each, rows * columns)
            grouped, pulled = g.reshape(normal, shape), g.reshape(for_normal, shape)
            along = g.sum(g.mul(grouped, pulled), [2], keep=True)
            for_x = g.mul(g.sub(pulled, g.mul(grouped, along)), inverse)
            turned = g.transpose(g.reshape(one, (channels, rows * columns)), (1, 0))
            found["project"] = g.matmul(g.reshape(for_x, (s.features, rows * columns)), turned)
            errors.append(g.conv(g.reshape(for_x, normal.shape), back))
            for name, value in found.items():
                grads.setdefault(name, []).append(value)
        summed = {name: total(g, values) for name, values in grads.items()}
        return total(g, losses), summed, g.concat(errors, 0)

    def _sample(
        self, normal: Value, place: Value, width: Value, samples: int
    ) -> tuple[Value, dict[str, Value], Value]:
        """One sample's share of the loss and of the head's gradients, and its normal features'."""
        g = self.graph
        share = g.reshape(place, (self._turns, 1, *normal.shape[2:]))
        share = share if samples == 1 else g.mul(share, 1 / samples)
        loss, for_quality = self.place_loss(self.quality(normal), share, samples)
        grads, pulled = self.turns_grads(normal, share, for_quality, width)
        return g.sub(grads.pop("off"), loss), grads, g.concat(pulled, 1)

    def place_loss(self, quality: Value, share: Value, samples: int) -> tuple[Value, Value]:
        """What to take from the loss (), and the gradient for the quality (R, 1, h, w).

        ``share``: one sample's target / ``samples``.
        """
        g = self.graph
        flat = g.reshape(quality, (1, share.size))
        log_place = g.node("LogSoftmax", [flat], flat.shape, axis=1)
        log_place = g.reshape(log_place, share.shape)
        loss = g.sum(g.mul(share, log_place))
        likely = g.map("Exp", log_place)
        likely = likely if samples == 1 else g.mul(likely, 1 / samples)
        return loss, g.sub(likely, share)

    def turns_grads(
        self,
        normal: Value,
        share: Value,
        for_quality: Value,
        width: Value,
        before: list[Value] | None = None,
    ) -> tuple[dict[str, Value], list[Value]]:
        """What all turns of one sample add to the weights' gradients and, as ``off``, to the loss;
        and the gradient for every group's normalised features, added to ``before``."""
        g, found, pulled = self.graph, _Found(), before
        for start, stop in _pieces(self._turns, TURNS_AT_ONCE):
            back = []
            for turn, maps in enumerate(self._correlate(normal, start, stop), start):
                own = g.part(share, 0, turn, turn + 1), g.part(for_quality, 0, turn, turn + 1)
                back.append(self._decoder_grads(maps, (*own, width), found))
            pulled = self._pull_back(back, start, stop, pulled)
        assert pulled is not None
        return {name: total(g, values) for name, values in found.sums.items()}, pulled

    def quality(self, normal: Value) -> Value:
        """Quality alone (R, 1, h, w); a teaching step finds the widths on its way back."""
        g, own = self.graph, self._own()
        found = []
        for start, stop in _pieces(self._turns, TURNS_AT_ONCE):
            for maps in self._correlate(normal, start, stop):
                hidden = self._hidden(maps)
                gathered = g.conv(hidden, g.part(own["gather"], 0, 0, 1))
                found.append(g.add(gathered, g.conv(maps, g.part(own["link"], 0, 0, 1))))
        return g.concat(found, 0)

    def _own(self) -> dict[str, Value]:
        """The decoder's weights as convolutions'."""
        g, s, w = self.graph, self.spec, self.weights
        return {
            "gather": g.reshape(w["head.gather"], (2, s.hidden, 1, 1)),
            "link": g.reshape(w["head.link"], (2, s.groups, 1, 1)),
            "spread": w["head.spread"],
            "spread_bias": w["head.spread_bias"],
        }

    def _kernels(self, start: int, stop: int) -> Value:
        """Kernels of some turns (G, t, F / G, k, k)."""
        g, s = self.graph, self.spec
        some = g.part(self.weights["head.kernels"], 0, start, stop)
        shape = (stop - start, s.groups, self._each, s.kernel, s.kernel)
        return g.transpose(g.reshape(some, shape), (1, 0, 2, 3, 4))

    def _correlate(self, normal: Value, start: int, stop: int) -> list[Value]:
        """Every group's correlation (1, G, h, w) of one sample, turn by turn: each is dead as soon
        as it is decoded."""
        g, s, turns = self.graph, self.spec, stop - start
        each = (s.groups * turns, self._each, s.kernel, s.kernel)
        weight = g.reshape(self._kernels(start, stop), each)
        found = g.conv(normal, weight, padding=s.kernel // 2, groups=s.groups)
        grouped = g.reshape(found, (s.groups, turns, *found.shape[2:]))
        shape = (1, s.groups, *found.shape[2:])
        return [g.reshape(g.part(grouped, 1, i, i + 1), shape) for i in range(turns)]

    def _hidden(self, maps: Value) -> Value:
        own = self._own()
        return self.graph.relu(self.graph.conv(maps, own["spread"], own["spread_bias"], padding=1))

    def _decode(self, maps: Value) -> tuple[Value, Value]:
        """Hidden maps (t, D, h, w), and quality and width (t, 2, h, w)."""
        g, own = self.graph, self._own()
        hidden = self._hidden(maps)
        # The width's own constant goes in as a bias; the quality has none.
        nothing = g.constant(np.zeros(1, np.float32), "nothing")
        bias = g.concat([nothing, self.weights["head.width"]], 0)
        return hidden, g.add(g.conv(hidden, own["gather"]), g.conv(maps, own["link"], bias))

    def _decoder_grads(self, maps: Value, told: tuple[Value, Value, Value], found: _Found) -> Value:
        """The gradient for some turns' maps (t, G, h, w); adds the decoder's own, and what the
        width's error adds to the loss.

        ``told``: the turns' share of the target, the gradient for their quality, the right width.
        """
        g, own, (share, for_quality, width) = self.graph, self._own(), told
        hidden, both = self._decode(maps)
        off = g.sub(g.part(both, 1, 1, 2), width)
        for_width = g.mul(g.mul(off, share), 2 * WIDTH_WEIGHT)
        # w (said - right)^2 is the half of what its derivative and the error make.
        found.add("off", g.mul(g.sum(g.mul(for_width, off)), 0.5))
        for_both = g.concat([for_quality, for_width], 1)
        found.add("gather", self._mix_grad(hidden, for_both))
        found.add("link", self._mix_grad(maps, for_both))
        for_hidden = g.conv(for_both, g.transpose(own["gather"], (1, 0, 2, 3)))
        for_hidden = g.where(g.greater(hidden, 0.0), for_hidden, 0.0)
        found.add("spread_bias", g.sum(for_hidden, [0, 2, 3]))
        shifts = self.shifts(g.pad(maps, 1, 1, 1), for_hidden)
        found.add("spread", self.from_shifts(shifts))
        turned = g.mirrored(g.transpose(own["spread"], (1, 0, 2, 3)))
        through = g.conv(for_hidden, turned, padding=1)
        return g.add(through, g.conv(for_both, g.transpose(own["link"], (1, 0, 2, 3))))

    def _mix_grad(self, x: Value, g_out: Value) -> Value:
        """dW (O, I) of a 1 x 1 convolution."""
        g, cells = self.graph, x.shape[2] * x.shape[3]
        turned = g.transpose(g.reshape(x, (*x.shape[:2], cells)), (0, 2, 1))
        return g.sum(g.matmul(g.reshape(g_out, (*g_out.shape[:2], cells)), turned), [0])

    def _pull_back(
        self, for_maps: Sequence[Value], start: int, stop: int, before: list[Value] | None
    ) -> list[Value]:
        """The gradient for every group's features (1, F / G, h, w), added to that of the turns
        ``before`` group by group, so that no two of all groups live."""
        g, s, turns = self.graph, self.spec, stop - start
        rows, columns = for_maps[0].shape[2:]
        kernels = self._kernels(start, stop)
        pulled = []
        for group in range(s.groups):
            some = g.concat([g.part(maps, 1, group, group + 1) for maps in for_maps], 0)
            own = g.reshape(
                g.part(kernels, 0, group, group + 1), (turns, self._each, s.kernel, s.kernel)
            )
            back = g.mirrored(g.transpose(own, (1, 0, 2, 3)))
            flat = g.reshape(some, (1, turns, rows, columns))
            own_part = g.conv(flat, back, padding=s.kernel // 2)
            pulled.append(own_part if before is None else g.add(before[group], own_part))
        return pulled

    def imprinted(self, normal: Value) -> Value:
        """The kernels (B, F, k, k) that patches' normalised features (B, F, n, n) become."""
        g, s = self.graph, self.spec
        edge = (normal.shape[-1] - s.kernel) // 2
        inside = edge, edge + s.kernel
        kernels = g.mul(g.window(normal, inside, inside), 1 / s.kernel**2)
        window = self.weights["head.window"]
        # A factor of every group and cell.
        shape = (kernels.shape[0], s.groups, self._each, s.kernel, s.kernel)
        factors = g.reshape(window, (1, s.groups, 1, s.kernel, s.kernel))
        return g.reshape(g.mul(g.reshape(kernels, shape), factors), kernels.shape)

    def liveliness(self, inverse: Value, rows: int) -> Value:
        """The log of the groups' size (B, G, h, w) from ``normal``'s factors."""
        g = self.graph
        shape = (*inverse.shape[:2], rows, inverse.shape[3] // rows)
        return g.mul(g.reshape(g.map("Log", inverse), shape), -1.0)


def _pieces(count: int, at_once: int) -> Iterator[tuple[int, int]]:
    """First and end of so many at once."""
    for start in range(0, count, at_once):
        yield start, min(start + at_once, count)
