"""Writes everything a device needs to predict and to be taught: graphs, weights, a manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from grasplearn.edge import layout, store
from grasplearn.edge.sight_models import imprint_model, predict_model, verifier_model
from grasplearn.edge.steps import Step, chain_models, teach_model
from grasplearn.edge.updates import form_of
from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.files import whole_folder, write_json
from grasplearn.geometry import HEIGHTMAP_SIDE, Heightmap, heightmap
from grasplearn.learning.augment import Augmentation
from grasplearn.learning.fine_tune import FineTuning
from grasplearn.learning.likeness import cells_of
from grasplearn.learning.optimizers import OPTIMIZERS
from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.probe import FIRST_KEY, shown_batch
from grasplearn.learning.teaching import support_set
from grasplearn.learning.teaching_settings import (
    RECURRING_BATCHES,
    REMEMBERING,
    Teaching,
    frozen_blocks,
    optimizer_of,
    rule_of,
    teaching_of,
)
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import imprint, place_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.head import WIDTH_WEIGHT
from grasplearn.nets.verifier import Verifier
from grasplearn.rules.static_sgm import StaticSGM
from grasplearn.types import Demonstration

# The rules whose step is a forward graph.
RULES = ("static-sgm", "static-sgm-one-pass")


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes:
        method: one of RULES; optimizer: lars, sgd or adam.
        size: pixels along the side of a teaching sample; batch: samples a step. None: as the
            program itself teaches.

    Raises:
        UnknownNameError, InvalidValueError: a value is none of these.
    """

    method: str = "static-sgm"
    optimizer: str | None = None
    size: int | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.method not in RULES:
            raise UnknownNameError("rule that is a forward graph", self.method, RULES)
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        if self.batch is not None and self.batch < 1:
            raise InvalidValueError(f"batch must be at least 1, got {self.batch}")

    def teaching(self, pretrained: Pretrained) -> Teaching:
        """What the full program would be told to do the same with these weights."""
        own = teaching_of(pretrained, self.method)
        side = own.augmentation.side if self.size is None else self.size
        # Checks the side, too.
        samples = Augmentation(**{**asdict(own.augmentation), "side": side})
        batch = own.batch if self.batch is None else self.batch
        told = replace(own, augmentation=samples, batch=batch)
        if self.optimizer not in (None, own.optimizer):
            # The step size that is noted is another optimizer's.
            told = replace(told, optimizer=self.optimizer, rate=None)
        return replace(told, rate=optimizer_of(told).rate)


def arrays(module: Any) -> dict[str, NDArray[np.float32]]:
    """A module's tensors as arrays."""
    return {name: t.detach().cpu().numpy() for name, t in module.state_dict().items()}


def step_of(pretrained: Pretrained, export: Export) -> Step:
    """Returns what the teaching step's graph is made for.

    Raises:
        InvalidValueError: the weights have no modules for the method, or the net's head has
            weights that no graph is known for.
    """
    net, teaching = pretrained.net, export.teaching(pretrained)
    rule = rule_of(replace(teaching, frozen=0.0), pretrained)
    assert isinstance(rule, StaticSGM)
    shapes = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    odd = {n for n in shapes if n.startswith("head.")} - {f"head.{n}" for n in layout.HEAD}
    if odd:
        raise InvalidValueError(
            f"no graph is known for {', '.join(sorted(odd))} of these weights; export others"
        )
    modules = tuple(arrays(module) for module in pretrained.modules[export.method])
    return Step(
        net.spec,
        shapes,
        teaching.batch,
        teaching.augmentation.side,
        modules,
        rule.limit,
        form_of(optimizer_of(teaching)),
        teaching.blocks,
        rule.trained == "scale-bias",
        frozen_blocks(teaching, len(net.blocks)),
    )


def write_export(folder: Path, pretrained: Pretrained, name: str, export: Export) -> dict[str, Any]:
    """Writes an export's folder, all at once; returns its manifest.

    Args:
        folder: must not be there yet; name: of the weights, by name or file.

    Raises:
        InvalidValueError: the place is taken, or see ``step_of``.
    """
    step = step_of(pretrained, export)
    notes = {"weights": pretrained.digest, "rule": export.method, "optimizer": step.form.name}
    with whole_folder(folder) as place:
        (place / layout.CHAIN).mkdir()
        graphs: dict[str, Any] = {}
        for file, model in _models(step, export, pretrained.verifier, notes).items():
            data = model.SerializeToString()
            (place / file).write_bytes(data)
            graphs[file] = {"sha256": hashlib.sha256(data).hexdigest(), **_ends(model)}
        weights = arrays(pretrained.net)
        modules = {f"{i}.{n}": a for i, m in enumerate(step.modules) for n, a in m.items()}
        store.write(place / layout.WEIGHTS, layout.WEIGHTS_KIND, weights, notes)
        store.write(place / layout.MODULES, layout.MODULES_KIND, modules, notes)
        manifest = {
            "format": layout.FORMAT,
            "spec": asdict(step.spec),
            "weights": {"name": name, "digest": pretrained.digest},
            "teaching": asdict(export.teaching(pretrained)),
            "frozen": step.frozen,
            "optimizer": {
                "name": step.form.name,
                "rate": step.form.rate,
                "states": list(step.form.states),
                "last": FineTuning().last,
            },
            "patch": step.spec.patch_cells * step.spec.stride,
            "recurring_batches": RECURRING_BATCHES if _remembers(export) else None,
            "width_weight": WIDTH_WEIGHT,
            "graphs": graphs,
            "versions": {name: version(name) for name in ("grasplearn", "onnx", "numpy", "torch")},
        }
        write_json(place / layout.MANIFEST, manifest)
    return manifest


def _remembers(export: Export) -> bool:
    return export.method in REMEMBERING


def _models(
    step: Step, export: Export, verifier: Verifier | None, notes: Mapping[str, str]
) -> dict[str, onnx.ModelProto]:
    """The graphs by their files."""
    spec, shapes = step.spec, step.shapes
    cached, verified = _remembers(export), verifier is not None
    models = {
        layout.PREDICT: predict_model(spec, shapes, 1, HEIGHTMAP_SIDE, notes, verified),
        layout.CHECK: predict_model(spec, shapes, 1, step.size, notes, verified),
        layout.IMPRINT: imprint_model(spec, shapes, notes, verified),
        layout.TEACH: teach_model(step, notes, told=cached, tells=cached),
    }
    if verifier is not None:
        models[layout.VERIFY] = verifier_model(arrays(verifier), spec.groups, notes)
    if cached:
        # A sample's first visit, for which no error is known yet.
        models[layout.TEACH_FIRST] = teach_model(step, notes, tells=True)
    for name, model in chain_models(step, notes).items():
        models[layout.chain_file(name)] = model
    return models


def _ends(model: onnx.ModelProto) -> dict[str, Any]:
    def shapes(values: Any) -> dict[str, list[int]]:
        return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    return {"inputs": shapes(model.graph.input), "outputs": shapes(model.graph.output)}


def write_support(
    folder: Path,
    demonstration: Demonstration,
    pretrained: Pretrained,
    teaching: Teaching,
    seed: int,
) -> None:
    """Writes the samples of a demonstration that a device refines and checks its imprint on.

    The files go into ``support/`` beside the demonstration's; a file a step, so that a device never
    holds more than one.

    Raises:
        InvalidValueError: nothing stands at the demonstrated grasp.
    """
    view = heightmap(demonstration.observation)
    net = GraspNet(pretrained.net.spec)
    net.load_state_dict(pretrained.net.state_dict())
    imprint(net, demonstration, view)
    support, alike = support_set(net, view, demonstration.grasp, teaching, seed)
    place = folder / layout.SUPPORT
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recurring = RECURRING_BATCHES if teaching.method in REMEMBERING else teaching.steps
    count = min(recurring, teaching.steps)
    for number in range(count):
        first = number * teaching.batch
        batch = support.batch(range(first, first + teaching.batch))
        _write_batch(place / layout.step_file(number), batch)
    place_of_it = place_of(view, demonstration.grasp)
    own = cells_of(support.thing, place_of_it, HEIGHTMAP_SIDE, pretrained.net.spec.stride)
    cells = {layout.OWN: own.float().numpy()}
    store.write(place / layout.REFERENCE, layout.SAMPLES_KIND, cells, {})
    shown = _shown(view, demonstration, pretrained)
    probe = [shown, *(support.batch([FIRST_KEY + i]) for i in range(teaching.probe))]
    for number, batch in enumerate(probe):
        _write_batch(place / layout.probe_file(number), batch)
    told = {
        "rival": alike.rival,
        "seed": seed,
        "batches": count,
        "probe": len(probe),
        "batch": teaching.batch,
        "size": teaching.augmentation.side,
        "weights": pretrained.digest,
    }
    (place / layout.SUPPORT_CARD).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _shown(view: Heightmap, demonstration: Demonstration, pretrained: Pretrained) -> Batch:
    return shown_batch(view, demonstration.grasp, pretrained.net)


def _write_batch(path: Path, batch: Batch) -> None:
    tensors = {
        "picture": batch.pictures.numpy(),
        "place": batch.target.place.numpy(),
        "width": batch.target.width.numpy(),
    }
    store.write(path, layout.SAMPLES_KIND, tensors, {})
