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
    FEATURES,
    KERNELS,
    LIKENESS,
    LIVELINESS,
    PAIRS,
    PICTURE,
    PIXELS,
    QUALITY,
    SCORES,
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
    """Agreements (K, M G, W, W), pixels (K, 15, W, W), pairs of overviews (K, 10, SIDE, SIDE) where
    the verifier compares them, likeness () and the head's log probabilities (K,) of as many
    proposals as are looked at -> their scores (K,).

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
    blocks = sorted({name.split(".")[1] for name in weights if name.startswith("body.")})
    for block in blocks:
        x = g.add(x, _residual(g, x, own, f"body.{block}"))
    x = g.relu(x)
    score = _scored(g, x, own, "score")
    if any(name.startswith("overview.") for name in own):
        score = g.add(score, _compared(g, own))
    g.output(SCORES, g.add(g.mul(told, own["trust"]), score))
    return g.model(notes)


def _compared(g: Graph, own: Mapping[str, Value]) -> Value:
    """What ``nets.overview.Comparison`` says of the pairs (K,)."""

    def conv(x: Value, name: str, stride: int = 1, padding: int = 1) -> Value:
        weight, bias = own[f"overview.{name}.weight"], own[f"overview.{name}.bias"]
        return g.conv(x, weight, bias, stride=stride, padding=padding)

    pairs = g.input(PAIRS, (MOST, 2 * CHANNELS, SIDE, SIDE))
    sides = (g.part(pairs, 1, i * CHANNELS, (i + 1) * CHANNELS) for i in range(2))
    place, shown = (g.relu(conv(g.relu(conv(x, "near", stride=2)), "far")) for x in sides)
    maps = conv(g.concat([place, shown, g.map("Abs", g.sub(place, shown))], 1), "join", padding=0)
    maps = g.relu(g.add(maps, _residual(g, maps, own, "overview.fine")))
    maps = conv(maps, "halve", stride=2)
    maps = g.relu(g.add(maps, _residual(g, maps, own, "overview.coarse")))
    return _scored(g, maps, own, "overview.score")


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


def _residual(g: Graph, x: Value, own: Mapping[str, Value], name: str) -> Value:
    hidden = g.conv(g.relu(x), own[f"{name}.first.weight"], own[f"{name}.first.bias"], padding=1)
    return g.conv(
        g.relu(hidden), own[f"{name}.second.weight"], own[f"{name}.second.bias"], padding=1
    )


def _layers(g: Graph, spec: NetSpec, shapes: Shapes) -> HeadLayers:
    return HeadLayers(g, spec, {name: g.input(name, shape) for name, shape in shapes.items()})
