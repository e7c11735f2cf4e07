"""The graphs for a device: steps, guards, maps and imprint are torch's; how wide they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from teaching_kit import tiny_weights

from grasplearn.edge.chain import Chain
from grasplearn.edge.export import Export, arrays, step_of
from grasplearn.edge.liveness import live_bytes
from grasplearn.edge.runtime import Bound, session
from grasplearn.edge.sight_models import imprint_model, predict_model
from grasplearn.edge.step_cost import Size, batch_of
from grasplearn.edge.steps import chain_models, teach_model
from grasplearn.edge.updates import form_of
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import OPTIMIZERS, SGD, Adam, Lars
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.nets.chain import Batch
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.tail import Tail

STEPS, SIDE, SAMPLES = 5, 64, 2


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """Small weights whose modules and window say something of their own."""
    made = load_pretrained(str(tiny_weights(tmp_path_factory.mktemp("tiny") / "w.safetensors")))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made.net.head.window.mul_(torch.rand_like(made.net.head.window) + 0.5)
        far = SGMs.untrained(made.net, np.random.default_rng(0), inner=4, reach=2)
        made = replace(made, modules={**made.modules, "static-sgm-one-pass": far})
        for modules in made.modules.values():
            for module in modules:
                for p in module.parameters():
                    p.add_(0.1 * torch.randn_like(p))
    return made


def saved(models: dict[str, onnx.ModelProto], folder: Path) -> Callable[[str], object]:
    folder.mkdir()
    for name, model in models.items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    return lambda name: session(folder / f"{name}.onnx")


def batches(pretrained: Pretrained) -> list[Batch]:
    """Two batches in turn, so that rules which remember samples meet them again."""
    made = [batch_of(pretrained.net.spec, Size(1, SIDE, SAMPLES), seed) for seed in range(2)]
    keyed = [
        Batch(batch.pictures, batch.target, tuple(range(i * SAMPLES, (i + 1) * SAMPLES)))
        for i, batch in enumerate(made)
    ]
    return [keyed[step % 2] for step in range(STEPS)]


@pytest.mark.parametrize("method", ["static-sgm", "static-sgm-one-pass"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("form", ["whole", "chain"])
@pytest.mark.parametrize(("trained", "frozen"), [("scale-bias", 0), ("scale-bias", 2), ("all", 1)])
def test_steps_are_those_of_torch(
    pretrained: Pretrained,
    method: str,
    name: str,
    form: str,
    trained: str,
    frozen: int,
    tmp_path: Path,
) -> None:
    optimizer = {"lars": Lars(0.02), "sgd": SGD(1e-3, 0.5), "adam": Adam(1e-3)}[name]
    told = Export(method, name, SIDE, SAMPLES)
    step = step_of(pretrained, told)
    scales = trained == "scale-bias"
    step = replace(step, form=form_of(optimizer), frozen=frozen, scales=scales)
    samples, rng = batches(pretrained), np.random.default_rng(0)
    settings = FineTuning(optimizer=optimizer, blocks=step.blocks)
    modules = pretrained.modules[method].after(frozen)
    rule = Tail(replace(pretrained.rule(method), modules=modules, trained=trained), frozen)
    tuned, report = fine_tune(pretrained.net, samples, rule, rng, settings, STEPS)
    own = {n: a.copy() for n, a in arrays(pretrained.net).items()}
    cached = method != "static-sgm"
    errors: dict[tuple[int, ...], np.ndarray] = {}
    losses = []
    if form == "chain":
        opened = saved(chain_models(step, {}), tmp_path / "g")
        modules = {f"{i}.{n}": a for i, m in enumerate(step.modules) for n, a in m.items()}
        chain = Chain(opened, own, modules, step.form.states, frozen=frozen)
    else:
        models = {"first": teach_model(step, {}, tells=True)}
        if cached:
            models["later"] = teach_model(step, {}, told=True, tells=True)
        opened = saved(models, tmp_path / "g")
        state = {f"{k}.{n}": np.zeros_like(a) for n, a in own.items() for k in step.form.states}
        graphs = {key: Bound(opened(key), {**own, **state}) for key in models}
    for number, batch in enumerate(samples):
        rate = optimizer.rate * (0.1 + 0.9 * (1 + np.cos(np.pi * number / STEPS)) / 2)
        error = errors.get(batch.keys) if cached else None
        ends = {
            "picture": batch.pictures.numpy(),
            "place": batch.target.place.numpy(),
            "width": batch.target.width.numpy(),
        }
        if form == "chain":
            for key, array in ends.items():
                getattr(chain, key)[:] = array
            losses.append(chain.step(rate, number + 1, error).loss)
            errors[batch.keys] = chain.error.copy()
        else:
            graph = graphs["first" if error is None else "later"]
            ends |= {"rate": rate, "step": number + 1, "error": error}
            for key in ends.keys() & graph.inputs.keys():
                graph.inputs[key][...] = ends[key]
            out = graph.run()
            losses.append(float(out["loss"]))
            errors[batch.keys] = out["new_error"].copy()
    np.testing.assert_allclose(losses, report.losses, rtol=1e-4)
    for key, tensor in tuned.state_dict().items():
        moved = float((tensor - pretrained.net.state_dict()[key]).norm())
        off = float(np.linalg.norm(own[key] - tensor.numpy()))
        assert off <= 1e-4 * float(tensor.norm()), key
        # Equal because both moved alike, not because nothing moved.
        assert off <= 0.02 * moved, key
        assert step.learns(key) or not moved, key


def test_a_gradient_that_is_no_number_changes_nothing(pretrained, tmp_path: Path) -> None:
    step = replace(step_of(pretrained, Export("static-sgm", "lars", SIDE, 1)), frozen=1)
    own = {n: a.copy() for n, a in arrays(pretrained.net).items()}
    graph = Bound(saved({"t": teach_model(step, {})}, tmp_path / "g")("t"), own)
    graph.inputs["picture"][...] = np.nan
    graph.inputs["place"][0, 0, 0, 0] = graph.inputs["rate"][...] = 1
    out = graph.run()
    assert out["skipped"] == step.spec.depth + 1
    for name, array in arrays(pretrained.net).items():
        np.testing.assert_array_equal(own[name], array)


def test_a_guess_beyond_the_limit_is_scaled(pretrained, tmp_path: Path) -> None:
    step = replace(step_of(pretrained, Export("static-sgm", "lars", SIDE, 1)), limit=1e-3)
    batch = batch_of(step.spec, Size(1, SIDE, 1), 0)
    rule = replace(pretrained.rule("static-sgm"), limit=1e-3)
    settings = FineTuning(blocks=step.blocks)
    tuned, report = fine_tune(pretrained.net, [batch], rule, np.random.default_rng(0), settings, 1)
    own = {n: a.copy() for n, a in arrays(pretrained.net).items()}
    modules = {f"{i}.{n}": a for i, m in enumerate(step.modules) for n, a in m.items()}
    chain = Chain(saved(chain_models(step, {}), tmp_path / "g"), own, modules, step.form.states)
    chain.picture[:], chain.place[:] = batch.pictures.numpy(), batch.target.place.numpy()
    chain.width[:] = batch.target.width.numpy()
    done = chain.step(Lars().rate, 1)
    assert done.scaled == sum(report.guards.values()) == step.spec.depth
    for key, tensor in tuned.state_dict().items():
        np.testing.assert_allclose(own[key], tensor.numpy(), atol=1e-6)


def test_maps_and_imprint_are_those_of_torch(pretrained, tmp_path: Path) -> None:
    net, spec = pretrained.net, pretrained.net.spec
    own = {n: a.copy() for n, a in arrays(net).items()}
    shapes = {n: a.shape for n, a in own.items()}
    models = {
        "predict": predict_model(spec, shapes, 2, SIDE, {}),
        "imprint": imprint_model(spec, shapes, {}),
    }
    opened = saved(models, tmp_path / "g")
    batch = batch_of(spec, Size(1, SIDE, 2), 0)
    predict = Bound(opened("predict"), own)
    predict.inputs["picture"][:] = batch.pictures.numpy()
    out, maps = predict.run(), net.predict(batch.pictures)
    np.testing.assert_allclose(out["quality"], maps.quality, atol=1e-4)
    np.testing.assert_allclose(out["widths"], maps.width, atol=1e-5)
    imprint = Bound(opened("imprint"), own)
    side = spec.patch_cells * spec.stride
    patch = torch.rand(1, 5, side, side, generator=torch.Generator().manual_seed(0))
    imprint.inputs["picture"][:] = patch.numpy()
    with torch.no_grad():
        wanted = net.head.kernels_of(net.features(patch))
    np.testing.assert_allclose(
        imprint.run()["kernels"], wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max())
    )


def test_no_graph_holds_a_foreign_operator_or_an_open_shape(pretrained) -> None:
    step = step_of(pretrained, Export("static-sgm-one-pass", "adam", SIDE, 1))
    for model in (teach_model(step, {}, told=True), *chain_models(step, {}).values()):
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        known = {v.name for v in (*model.graph.value_info, *model.graph.output)}
        assert {name for node in model.graph.node for name in node.output} <= known
        for value in model.graph.value_info:
            assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim), value.name


def test_the_chain_is_narrower_than_a_prediction() -> None:
    """At the size that is measured; the head in one graph held more than twice a block."""
    net = GraspNet(NetSpec(width=64, depth=1, features=48, groups=6, hidden=16))
    modules = {"static-sgm": SGMs.untrained(net, np.random.default_rng(0))}
    step = step_of(Pretrained(net, modules), Export("static-sgm", "lars", 224, 1))
    held = {name: live_bytes(model).peak for name, model in chain_models(step, {}).items()}
    # A block's output, and all that it is on its way, lies in lent memory.
    assert held["forward_stem"] == held["forward_block"] == 0
    assert {f"head_{n}" for n in ("normalise", "look", "turn", "send")} <= held.keys()
    predicted = live_bytes(predict_model(net.spec, step.shapes, 1, 224, {})).peak
    assert max(held.values()) <= 0.75 * predicted
