"""The graphs that see: predict, imprint, and the second look."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import onnx
from numpy.typing import NDArray

from grasplearn.edge.graph import Graph, Value
from grasplearn.edge.head_layers import HeadLayers
from grasplearn.edge.names import (
    AGREEMENTS,
    COMPARED,
    FEATURES,
    KERNELS,
    LIKENESS,
    LIVELINESS,
    OVERVIEWS,
    PICTURE,
    PIXELS,
    QUALITY,
    SCORES,
    SHOWN,
    TOLD,
    WIDTHS,
)
from grasplearn.nets.graspnet import CHANNELS, NetSpec
from grasplearn.nets.overview import SIDE
from grasplearn.nets.proposals import MOST
from grasplearn.nets.verifier import SPOTS, WINDOW

Shapes = Mapping[str, tuple[int, ...]]
Tensors = Mapping[str, NDArray[np.float32]]


def predict_model(
    spec: NetSpec,
    shapes: Shapes,
    batch: int,
    size: int,
    notes: Mapping[str, str],
    compared: bool = False,
) -> onnx.ModelProto:
    """picture (B, 5, S, S) and weights -> quality and widths (B, R, s, s), as ``Maps``.

    Args:
        compared: puts out what the second look compares as well: features and liveliness.
    """
    g = Graph("predict")
    layers = _layers(g, spec, shapes)
    picture = g.input(PICTURE, (batch, CHANNELS, size, size))
    normal, inverse = layers.normal(layers.features(picture))
    both = [layers.both(g.part(normal, 0, i, i + 1)) for i in range(batch)]
    for name, maps in zip((QUALITY, WIDTHS), zip(*both, strict=True), strict=True):
        g.output(name, g.concat([g.reshape(m, (1, *m.shape)) for m in maps], 0))
    if compared:
        g.output(LIVELINESS, layers.liveliness(inverse, normal.shape[2]))
        g.output(FEATURES, normal)
    return g.model(notes)


def imprint_model(
    spec: NetSpec, shapes: Shapes, notes: Mapping[str, str], compared: bool = False
) -> onnx.ModelProto:
    """One patch (1, 5, S, S) and weights -> its turn's kernel (1, F, k, k).

    A turn at a time: the memory is that of one small picture.

    Args:
        compared: puts out what the second look compares as well: features and liveliness.
    """
    g = Graph("imprint")
    layers = _layers(g, spec, shapes)
    side = spec.patch_cells * spec.stride
    patch = g.input(PICTURE, (1, CHANNELS, side, side))
    normal, inverse = layers.normal(layers.features(patch))
    g.output(KERNELS, layers.imprinted(normal))
    if compared:
        g.output(LIVELINESS, layers.liveliness(inverse, normal.shape[2]))
        g.output(FEATURES, normal)
    return g.model(notes)


def verifier_model(weights: Tensors, groups: int, notes: Mapping[str, str]) -> onnx.ModelProto:
    """Agreements (K, M G, W, W), pixels (K, 15, W, W), overviews (K, 5, SIDE, SIDE) and the shown
    one (1, 5, SIDE, SIDE) where the verifier compares them, likeness () and the head's log
    probabilities (K,) of as many proposals as are looked at -> their scores (K,), and what
    comparing their overviews adds.

    Args:
        weights: the verifier's; constants, for it is never taught.
    """
    g = Graph("verify")
    own = {name: g.constant(array, f"verifier.{name}") for name, array in weights.items()}
    maps = weights["scale"].size
    agreements = g.input(AGREEMENTS, (MOST, maps, WINDOW, WINDOW))
    pixels = g.input(PIXELS, (MOST, CHANNELS * SPOTS, WINDOW, WINDOW))
    share, told = g.input(LIKENESS, ()), g.input(TOLD, (MOST,))
    scaled = g.div(agreements, g.reshape(own["scale"], (maps, 1, 1)))
    edges = (0, 2 * groups, 4 * groups, maps)
    shown, rival, lively = (g.part(scaled, 1, start, end) for start, end in pairwise(edges))
    place, spot, other = (g.part(pixels, 1, i * CHANNELS, (i + 1) * CHANNELS) for i in range(SPOTS))
    apart = [g.map("Abs", g.sub(place, x)) for x in (spot, other)]
    every = g.mul(g.constant(np.ones((MOST, 1, WINDOW, WINDOW), np.float32), "ones"), share)
    parts = [shown, g.mul(rival, share), lively, place, spot, apart[0]]
    parts += [g.mul(other, share), g.mul(apart[1], share), every]
    x = g.conv(g.concat(parts, 1), own["first.weight"], own["first.bias"])
    x = g.relu(_residuals(g, x, own, "body"))
    g.output(SCORES, g.add(g.mul(told, own["trust"]), _scored(g, x, own, "score")))
    if any(name.startswith("overview.") for name in own):
        g.output(COMPARED, _compared(g, own))
    return g.model(notes)


def _compared(g: Graph, own: Mapping[str, Value]) -> Value:
    """What ``nets.overview.Comparison`` says of the overviews (K,)."""

    def conv(x: Value, name: str, stride: int = 1, padding: int = 1) -> Value:
        weight, bias = own[f"overview.{name}.weight"], own[f"overview.{name}.bias"]
        return g.conv(x, weight, bias, stride=stride, padding=padding)

    def seen(x: Value) -> Value:
        far = conv(g.relu(conv(x, "near", stride=2, padding=2)), "far", stride=2)
        return _residuals(g, far, own, "overview.alone")

    place = seen(g.input(OVERVIEWS, (MOST, CHANNELS, SIDE, SIDE)))
    spot = seen(g.input(SHOWN, (1, CHANNELS, SIDE, SIDE)))
    shown = g.concat([spot] * MOST, 0)
    both = g.concat([place, shown, g.map("Abs", g.sub(place, shown)), g.mul(place, shown)], 1)
    maps = _residuals(g, conv(g.relu(both), "join", padding=0), own, "overview.together")
    maps = _residuals(g, conv(g.relu(maps), "halve", stride=2), own, "overview.coarse")
    return _scored(g, g.relu(maps), own, "overview.score")


def _scored(g: Graph, maps: Value, own: Mapping[str, Value], name: str) -> Value:
    """A linear layer (K,) of what ``nets.verdict.pooled`` makes of maps (K, C, n, n)."""
    side = maps.shape[2]
    middle = (side // 2, side // 2 + 1)
    pooled = g.concat(
        [
            g.mul(g.sum(maps, [2, 3]), 1 / side**2),
            g.reshape(g.node("GlobalMaxPool", [maps], (*maps.shape[:2], 1, 1)), maps.shape[:2]),
            g.reshape(g.window(maps, middle, middle), maps.shape[:2]),
        ],
        1,
    )
    score = g.matmul(pooled, g.transpose(own[f"{name}.weight"], (1, 0)))
    return g.add(g.reshape(score, (MOST,)), own[f"{name}.bias"])


def _residuals(g: Graph, x: Value, own: Mapping[str, Value], name: str) -> Value:
    """What a sequence of ``nets.verdict.Refinement`` makes of maps; other layers have no part."""
    inside = [n.removeprefix(f"{name}.") for n in own if n.startswith(f"{name}.")]
    for block in sorted({n.split(".")[0] for n in inside}):
        x = g.add(x, _residual(g, x, own, f"{name}.{block}"))
    return x


def _residual(g: Graph, x: Value, own: Mapping[str, Value], name: str) -> Value:
    hidden = g.conv(g.relu(x), own[f"{name}.first.weight"], own[f"{name}.first.bias"], padding=1)
    return g.conv(
        g.relu(hidden), own[f"{name}.second.weight"], own[f"{name}.second.bias"], padding=1
    )


def _layers(g: Graph, spec: NetSpec, shapes: Shapes) -> HeadLayers:
    return HeadLayers(g, spec, {name: g.input(name, shape) for name, shape in shapes.items()})
