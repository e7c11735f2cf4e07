"""The exported graphs in 8 bits, by onnxruntime's own quantiser.

Weights are inputs of these graphs: teaching changes them. So nothing is quantised beforehand; what
goes into and out of a product, weights too, passes a pair of QuantizeLinear and DequantizeLinear
with a fixed scale. The scales are those of the values that a float teaching has on a skill's own
samples. Products accumulate in float; updates, the optimizer and the loss stay in float.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from grasplearn.edge import layout
from grasplearn.edge.chain_head import HEADS
from grasplearn.edge.device import Device
from grasplearn.edge.picture import read_json
from grasplearn.edge.runtime import Array, Bound
from grasplearn.files import write_json

# Which products are quantised. The matrix products are weights' gradients: sums over all cells of
# products that nearly cancel.
PRODUCTS = ("Conv",)
# Left in float: the imprint, which is made once; the second look, which is small; the head's own
# step, whose gradients live at one cell in thousands: one scale for all rounds the rest to 0.
IN_FLOAT = (layout.IMPRINT, layout.VERIFY, *(layout.chain_file(name) for name in HEADS))
# Likewise the last block and the projection behind it. Features are normalised cell by cell, so
# that a cell with little in it counts as much as any; rounded by the scale of the largest, which
# is hundreds of times more, nothing is left of it.
PROJECTION = "head.project"

Feeds = dict[str, Array]


@dataclass
class Recorder:
    """Keeps what graphs are given: every call's inputs, by the graph's file.

    Attributes:
        feeds: so far; most: calls that are kept of each graph, evenly thinned out beyond.
    """

    feeds: dict[str, list[Feeds]]
    most: int

    def bind(self, file: str, graph: ort.InferenceSession, *ends: Any) -> Bound:
        """Returns a graph whose every run is kept, if it has an 8-bit form."""
        recorder = self
        if layout.shared_file(file) in IN_FLOAT:
            return Bound(graph, *ends)

        class Recorded(Bound):
            def run(self) -> dict[str, Array]:
                kept = recorder.feeds.setdefault(file, [])
                kept.append({name: array.copy() for name, array in self.inputs.items()})
                if len(kept) > 2 * recorder.most:
                    del kept[1::2]
                return super().run()

        return Recorded(graph, *ends)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[Feeds]) -> None:
        self._feeds: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def write_eight_bit(folder: Path, demo: Path, most: int = 12) -> dict[str, onnx.ModelProto]:
    """Writes the 8-bit forms of an export's graphs beside them, and their hashes into its manifest;
    returns them by the float graphs' files, a block's own with its index.

    The imprint, which is made once, and the step as one graph stay in float alone.

    Args:
        folder: the export; demo: a demonstration with its samples, which is taught for the scales;
        most: calls of each graph that are looked at.

    Raises:
        FileFormatError: the export or the samples are missing or damaged.
    """
    recorder = Recorder({}, most)
    device = Device(folder, bind=recorder.bind)
    device.teach(demo, always=True)
    last = int(device.manifest["spec"]["depth"])
    # The whole picture is of another size than the samples; what it holds is much the same. Seen
    # once, or never, while teaching, it alone would tell too narrow scales.
    whole = onnx.load(str(folder / layout.PREDICT))
    seen = recorder.feeds.pop(layout.PREDICT, [])
    seen += [_grown(feed, whole) for feed in recorder.feeds[layout.CHECK]]
    made = {layout.PREDICT: quantised(whole, seen, last)}
    for file, feeds in recorder.feeds.items():
        if file == layout.chain_file(f"forward_block.{last}"):
            continue
        # The blocks share a graph in float; here each has its own, with scales of its own.
        made[file] = quantised(onnx.load(str(folder / layout.shared_file(file))), feeds, last)
    hashes = {}
    for file, model in made.items():
        path, data = folder / layout.EIGHT_BIT / file, model.SerializeToString()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        hashes[f"{layout.EIGHT_BIT}/{file}"] = {"sha256": hashlib.sha256(data).hexdigest()}
    manifest = read_json(folder / layout.MANIFEST)
    write_json(folder / layout.MANIFEST, {**manifest, layout.EIGHT_BIT: hashes})
    return made


def quantised(model: onnx.ModelProto, feeds: list[Feeds], last: int) -> onnx.ModelProto:
    """Returns a graph with its products in 8 bits, its nodes in the order they stood in.

    Args:
        feeds: inputs to find the scales by.
        last: the last block's index; its product and the projection stay in float.
    """
    with tempfile.TemporaryDirectory() as place, _silence():
        path = Path(place) / "graph.onnx"
        quantize_static(
            model,
            path,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_exclude=_readers(model, {f"blocks.{last}.weight", PROJECTION}),
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # Behind a ReLU half of a symmetric range would be empty.
            extra_options={"ActivationSymmetric": False},
        )
        made = onnx.load(str(path))
    return _in_order(made, [node.name for node in model.graph.node])


def _readers(model: onnx.ModelProto, weights: set[str]) -> list[str]:
    """The products that read given weights, as they are or reshaped."""
    nodes = model.graph.node
    reshaped = (n for n in nodes if n.op_type == "Reshape" and n.input[0] in weights)
    told = weights | {n.output[0] for n in reshaped}
    return [n.name for n in nodes if n.op_type in PRODUCTS and n.input[1] in told]


@contextmanager
def _silence() -> Iterator[None]:
    """The quantiser warns of every bias that is an input, which here all are."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _in_order(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The model with its nodes in an order of their names, each new one just before it is needed:
    an update may be written over a weight only when all others have read it."""
    graph = model.graph
    nodes = {node.name: node for node in graph.node}
    makers = {out: node.name for node in graph.node for out in node.output}
    done: list[str] = []
    seen: set[str] = set()

    def put(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for told in nodes[name].input:
            if told in makers:
                put(makers[told])
        done.append(name)

    for name in (*names, *nodes):
        put(name)
    ordered = [nodes[name] for name in done]
    del graph.node[:]
    graph.node.extend(ordered)
    onnx.checker.check_model(model, full_check=True)
    return model


def _grown(feed: Mapping[str, Array], model: onnx.ModelProto) -> Feeds:
    """A call's inputs for a graph of larger pictures: the picture goes on as its mirror image."""
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input
    }
    made = {}
    for name, array in feed.items():
        more = [(0, n - have) for n, have in zip(shapes[name], array.shape, strict=True)]
        made[name] = np.pad(array, more, mode="symmetric") if any(n for _, n in more) else array
    return made
