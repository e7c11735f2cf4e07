"""The step as graphs against torch, and the runner in a process that cannot import torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from teaching_kit import demonstration, table, tiny_weights

from grasplearn import geometry
from grasplearn.cli import run
from grasplearn.edge import answer, layout, picture, store
from grasplearn.edge import device as edge_device
from grasplearn.edge.chain import Chain
from grasplearn.edge.eight_bit import write_eight_bit
from grasplearn.edge.export import Export, arrays, step_of, write_export, write_support
from grasplearn.edge.liveness import live_bytes
from grasplearn.edge.nearest import nearest
from grasplearn.edge.runtime import Bound, session
from grasplearn.edge.step_cost import Size, batch_of
from grasplearn.edge.steps import chain_models, imprint_model, predict_model, teach_model
from grasplearn.edge.updates import OPTIMIZERS, form_of
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import save_demonstration
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import SGD, Adam, Lars
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.probe import is_found
from grasplearn.learning.teaching import teach
from grasplearn.library import DEMONSTRATION, WEIGHTS
from grasplearn.nets import codec, weights
from grasplearn.nets.chain import Batch
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.head import maps_loss
from grasplearn.rules.sgm import SGMs
from grasplearn.skill import KIND, Skill

STEPS, SIDE, SAMPLES = 5, 64, 2
NO_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "cv2", "scipy", "onnx", "safetensors"}:
            raise ImportError(f"{name} is not installed on this device")
sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """Small weights whose modules and window say something of their own."""
    made = load_pretrained(str(tiny_weights(tmp_path_factory.mktemp("tiny") / "w.safetensors")))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made.net.head.window.mul_(torch.rand_like(made.net.head.window) + 0.5)
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
def test_steps_are_those_of_torch(
    pretrained: Pretrained, method: str, name: str, form: str, tmp_path: Path
) -> None:
    optimizer = {"lars": Lars(0.02), "sgd": SGD(1e-3, 0.5), "adam": Adam(1e-3)}[name]
    told = Export(method, name, SIDE, SAMPLES)
    step = step_of(pretrained, told)
    step = replace(step, form=form_of(optimizer))
    samples, rng = batches(pretrained), np.random.default_rng(0)
    settings = FineTuning(optimizer=optimizer, blocks=step.blocks)
    rule = pretrained.rule(method)
    tuned, report = fine_tune(pretrained.net, samples, rule, rng, settings, STEPS)
    own = {n: a.copy() for n, a in arrays(pretrained.net).items()}
    cached = method != "static-sgm"
    errors: dict[tuple[int, ...], np.ndarray] = {}
    losses = []
    if form == "chain":
        opened = saved(chain_models(step, {}), tmp_path / "g")
        modules = {f"{i}.{n}": a for i, m in enumerate(step.modules) for n, a in m.items()}
        chain = Chain(opened, own, modules, step.form.states)
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


def test_a_gradient_that_is_no_number_changes_nothing(pretrained, tmp_path: Path) -> None:
    step = step_of(pretrained, Export("static-sgm", "lars", SIDE, 1))
    own = {n: a.copy() for n, a in arrays(pretrained.net).items()}
    graph = Bound(saved({"t": teach_model(step, {})}, tmp_path / "g")("t"), own)
    graph.inputs["picture"][...] = np.nan
    graph.inputs["place"][0, 0, 0, 0] = graph.inputs["rate"][...] = 1
    out = graph.run()
    assert out["skipped"] == step.spec.depth + 2
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
    patch = torch.rand(1, 5, side, side)
    imprint.inputs["picture"][:] = patch.numpy()
    with torch.no_grad():
        wanted = net.head.kernels_of(net.features(patch))
    np.testing.assert_allclose(imprint.run()["kernels"], wanted, atol=1e-7)


def test_no_graph_holds_a_foreign_operator_or_an_open_shape(pretrained) -> None:
    step = step_of(pretrained, Export("static-sgm-one-pass", "adam", SIDE, 1))
    for model in (teach_model(step, {}, told=True), *chain_models(step, {}).values()):
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        known = {v.name for v in (*model.graph.value_info, *model.graph.output)}
        assert {name for node in model.graph.node for name in node.output} <= known
        for value in model.graph.value_info:
            assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim), value.name


def test_the_chains_head_is_no_wider_than_a_block() -> None:
    """At the size that is measured; the head in one graph held more than twice a block."""
    net = GraspNet(NetSpec(width=64, depth=1, features=48, groups=6, hidden=16))
    modules = {"static-sgm": SGMs.untrained(net, np.random.default_rng(0))}
    step = step_of(Pretrained(net, modules), Export("static-sgm", "lars", 224, 1))
    held = {name: live_bytes(model).peak for name, model in chain_models(step, {}).items()}
    # A block's output, and all that it is on its way, lies in lent memory.
    assert held["forward_stem"] == held["forward_block"] == 0
    heads = {name: size for name, size in held.items() if "head" in name}
    assert {f"head_{n}" for n in ("normalise", "look", "turn", "send")} <= heads.keys()
    assert max(heads.values()) <= held["teach_block"]


# Pictures and answers without torch and OpenCV.


@pytest.mark.parametrize("shape", [(9, 7, 3), (8, 11)])
def test_a_png_of_every_filter_is_read(shape: tuple[int, ...], tmp_path: Path) -> None:
    kind = np.uint8 if len(shape) == 3 else np.uint16
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.integers(0, 9, shape), 0)
    values = (smooth + rng.integers(0, np.iinfo(kind).max, shape)).astype(kind)
    for filter_kind in range(6):  # the five filters, and OpenCV's own choice
        settings = [] if filter_kind == 5 else [cv2.IMWRITE_PNG_FILTER, 8 << filter_kind]
        path = str(tmp_path / "p.png")
        cv2.imwrite(path, values[..., ::-1] if len(shape) == 3 else values, settings)
        np.testing.assert_array_equal(picture.read_png(Path(path)), values)


def test_a_foreign_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"GIF89a")
    with pytest.raises(FileFormatError, match="give a PNG"):
        picture.read_png(tmp_path / "p.png")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.03, 0.4, 0.95])
def test_the_nearest_cell_is_opencvs(share: float) -> None:
    hit = np.random.default_rng(0).random((97, 97)) < share
    hit[40, 11] = True
    wanted, labels = cv2.distanceTransformWithLabels(
        (~hit).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source, far = nearest(hit)
    # A label stands for one measured cell; so whoever shares its label has that cell's index.
    np.testing.assert_array_equal(labels, labels.ravel()[source])
    assert hit.ravel()[source].all()
    np.testing.assert_array_equal(far.astype(np.float32), wanted)


@pytest.mark.parametrize("holes", [0.0, 0.5, 0.98])
def test_the_input_is_that_of_the_full_program(holes: float) -> None:
    seen = table()
    lost = np.random.default_rng(0).random(seen.depth.shape) < holes
    lost[40:90, 60:80] = True
    seen = replace(seen, depth=np.where(lost, np.float32(0), seen.depth))
    view, own = geometry.heightmap(seen), picture.heightmap(seen)
    assert not view.known.all()
    for name in ("rgb", "height", "known"):
        np.testing.assert_array_equal(getattr(own, name), getattr(view, name))
    encoded = codec.encode(view)
    np.testing.assert_allclose(
        picture.encode(picture.View(view.rgb, view.height, view.known)), encoded, atol=1e-6
    )
    spec = load_pretrained().net.spec
    place = codec.Place(120.3, 90.7, 0.0)
    wanted = codec.patches(encoded, place, spec).numpy()
    for index in range(0, spec.turns, 5):
        turn = 2 * np.pi * index / spec.turns
        made = picture.patch(encoded.numpy(), place.u, place.v, turn, wanted.shape[-1])
        assert np.abs(made - wanted[index]).max() < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_of_the_full_program(pretrained, seed: int) -> None:
    spec, view = pretrained.net.spec, geometry.heightmap(table())
    rng = np.random.default_rng(seed)
    quality = (6 * rng.standard_normal((spec.turns, 56, 56))).astype(np.float32)
    widths = rng.random(quality.shape, np.float32)
    maps = codec.Maps(torch.from_numpy(quality[None]), torch.from_numpy(widths[None]))
    wanted = codec.decode(maps, view, 0.3)
    own = picture.View(view.rgb, view.height, view.known)
    grasp, sure = answer.decode(quality, widths, own, 0.3)
    np.testing.assert_allclose(grasp.center_world, wanted.center_world, atol=1e-9)
    assert (grasp.yaw, grasp.width) == pytest.approx((wanted.yaw, wanted.width))
    assert sure == pytest.approx(codec.best_place(maps.quality[0], spec.stride)[1])
    target = batch_of(spec, Size(1, 224, 1), seed).target
    right = target.place[0].numpy()
    assert answer.is_found(quality, right, spec.stride) == is_found(
        maps.quality[0], target.place[0], spec.stride
    )
    loss = answer.loss(quality, widths, right, 0.5, 10.0)
    assert loss == pytest.approx(float(maps_loss(maps, target)), rel=1e-5)


def test_files_are_those_of_the_full_program(tmp_path: Path) -> None:
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(1, np.float32)}
    store.write(tmp_path / "own", "thing", tensors, {"note": "é"})
    found, card = weights.load_tensors(tmp_path / "own", "thing")
    assert card["note"] == "é"
    np.testing.assert_array_equal(found["b"], tensors["b"])
    weights.save_tensors(tmp_path / "theirs", "thing", found, {"note": "é"})
    again, other = store.read(tmp_path / "theirs", "thing")
    assert other == card
    np.testing.assert_array_equal(again["b"], tensors["b"])
    damaged = bytearray((tmp_path / "own").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "own").write_bytes(damaged)
    with pytest.raises(FileFormatError, match="damaged"):
        store.read(tmp_path / "own", "thing")
    with pytest.raises(FileFormatError, match="holds a thing"):
        store.read(tmp_path / "theirs", "other")
    assert (layout.SKILL_KIND, layout.SKILL_WEIGHTS) == (KIND, WEIGHTS)
    assert layout.SKILL_DEMONSTRATION == DEMONSTRATION


# The whole way.


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A small export, a demonstration with samples, and the weights' file."""
    folder = tmp_path_factory.mktemp("edge")
    file = tiny_weights(folder / "w.safetensors")
    told = Export("static-sgm", "lars", SIDE, 1)
    base = load_pretrained(str(file))
    write_export(folder / "export", base, str(file), told)
    demo = folder / "demo"
    save_demonstration(demo, demonstration())
    teaching = replace(told.teaching(), probe=3)
    write_support(demo, demonstration(), base, teaching, 0)
    return folder / "export", demo, file


def device_process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the runner where only numpy and onnxruntime can be imported."""
    code = f"{NO_TORCH}\nfrom grasplearn.edge.run import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_taught_without_torch_it_opens_with_it(exported, tmp_path: Path) -> None:
    export, demo, file = exported
    out = tmp_path / "taught"
    arguments = [str(export), "--demo", str(demo), "--always", "--out", str(out)]
    done = device_process([*arguments, "--image", str(demo)])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    skill = Skill.load(out)
    own = replace(Export("static-sgm", "lars", SIDE, 1).teaching(), probe=3, doubt=0.0)
    wanted = teach(demonstration(), load_pretrained(str(file)), own, 0)
    assert wanted.report is not None
    np.testing.assert_allclose(told["taught"]["losses"], wanted.report.losses, rtol=1e-4)
    assert told["taught"]["kept"] == skill.taught.kept == wanted.kept
    for name, tensor in wanted.net.state_dict().items():
        off = float((tensor - skill.taught.net.state_dict()[name]).norm())
        assert off <= 1e-4 * float(tensor.norm()), name
    grasp = skill.predict(table()).grasp
    np.testing.assert_allclose(told["grasp"]["center_world"], grasp.center_world, atol=2e-3)


def test_a_skill_of_the_full_program_is_used_without_torch(exported, tmp_path: Path) -> None:
    export, demo, file = exported
    teaching = Export("static-sgm", "lars", SIDE, 1).teaching()
    skill = Skill.teach(demonstration(), teaching, weights=file)
    skill.save(tmp_path / "skill")
    device = edge_device.Device(export)
    device.load_skill(tmp_path / "skill")
    for name, tensor in skill.taught.net.state_dict().items():
        np.testing.assert_array_equal(device.weights[name], tensor.numpy())
    grasp, _ = device.predict(picture.read_observation(demo))
    assert np.linalg.norm(grasp.center_world - skill.predict(table()).grasp.center_world) < 2e-3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say with --demo"),
        (["--demo", "nowhere"], "nowhere/grasp.json is missing"),
        (["--skill", "nowhere"], "no file nowhere/changed.safetensors"),
    ],
)
def test_bad_input_is_told_in_a_sentence(exported, arguments: list[str], sentence: str) -> None:
    done = device_process([str(exported[0]), *arguments])
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_refining_without_samples_is_refused(exported, tmp_path: Path) -> None:
    save_demonstration(tmp_path / "bare", demonstration())
    device = edge_device.Device(exported[0])
    with pytest.raises(FileFormatError, match="--imprint-only"):
        device.teach(tmp_path / "bare")
    assert device.teach(tmp_path / "bare", refine=False).kept == "imprint"
    assert device.shown_yaw == pytest.approx(demonstration().grasp.yaw)


def test_the_command_exports_and_refuses(weights_file: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    arguments = ["export", str(weights_file), "--out", str(out), "--size", "64", "--batch", "1"]
    assert run([*arguments, "--rule", "static-sgm-one-pass", "--optimizer", "adam"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    for file, told in manifest["graphs"].items():
        onnx.checker.check_model(str(out / file), full_check=True)
        assert told["inputs"] and told["outputs"]
    assert {"predict.onnx", "imprint.onnx", "teach_step.onnx"} <= manifest["graphs"].keys()
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert run([*arguments[:3], str(tmp_path / "no"), "--rule", "backprop"]) == 2
    assert "static-sgm, static-sgm-one-pass" in capsys.readouterr().err


def test_an_export_that_does_not_fit_is_refused(exported, tmp_path: Path) -> None:
    _, demo, file = exported
    write_export(tmp_path / "e", load_pretrained(str(file)), str(file), Export(size=80, batch=1))
    with pytest.raises(InvalidValueError, match="another export"):
        edge_device.Device(tmp_path / "e").teach(demo)


# In 8 bits.


@pytest.fixture(scope="module")
def eight_bit(exported, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The small export with its 8-bit graphs, and the demonstration."""
    export, demo, _ = exported
    place = tmp_path_factory.mktemp("eight") / "export"
    shutil.copytree(export, place)
    write_eight_bit(place, demo)
    return place, demo


def test_all_products_but_the_heads_are_in_8_bits(eight_bit) -> None:
    export, _ = eight_bit
    manifest = json.loads((export / layout.MANIFEST).read_text())
    spec, told = manifest["spec"], manifest[layout.EIGHT_BIT]
    files = set(told)
    assert files == {str(p.relative_to(export)) for p in export.glob("eight_bit/**/*.onnx")}
    # A form of its own for every block, forward and taught; the first and last are special.
    blocks = {f"eight_bit/chain/teach_block.{i}.onnx" for i in range(1, spec["depth"])}
    assert blocks | {"eight_bit/predict.onnx", "eight_bit/chain/teach_stem.0.onnx"} <= files
    assert not any("imprint" in file or "head" in file for file in files)
    for file in files:
        path = export / file
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told[file]["sha256"]
        graph = onnx.load(str(path)).graph
        makers = {out: node.op_type for node in graph.node for out in node.output}
        for node in graph.node:
            if node.op_type == "Conv":
                assert all(makers[name] == "DequantizeLinear" for name in node.input[:2]), file


def test_a_weight_is_written_over_only_when_all_have_read_it(eight_bit) -> None:
    export, _ = eight_bit
    for path in export.glob("eight_bit/chain/*.onnx"):
        graph = onnx.load(str(path)).graph
        number = {out: i for i, node in enumerate(graph.node) for out in node.output}
        for value in graph.output:
            if value.name.startswith("new."):
                old = value.name.removeprefix("new.")
                readers = [i for i, node in enumerate(graph.node) if old in node.input]
                assert max(readers) <= number[value.name], (path.name, old)


def test_in_8_bits_it_teaches_nearly_the_same(eight_bit, tmp_path: Path) -> None:
    export, demo = eight_bit
    wanted = edge_device.Device(export)
    right = wanted.teach(demo, always=True)
    found = edge_device.Device(export, eight_bit=True)
    taught = found.teach(demo, always=True)
    off = np.abs(np.array(taught.losses) / np.array(right.losses) - 1)
    # Nearly, and not the same: the 8-bit graphs are what ran. Later losses drift apart.
    assert off[0] < 0.02 and 1e-6 < off.mean() < 0.1
    out = device_process([str(export), "--demo", str(demo), "--always", "--eight-bit"])
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout)["taught"]["losses"] == list(taught.losses)


def test_8_bits_are_refused_where_there_are_none(
    exported, weights_file: Path, tmp_path: Path, capsys
) -> None:
    with pytest.raises(FileFormatError, match="export it with --eight-bit"):
        edge_device.Device(exported[0], eight_bit=True)
    assert run(["export", str(weights_file), "--out", str(tmp_path / "o"), "--eight-bit"]) == 2
    assert "export a skill" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_the_command_exports_a_skill_in_8_bits(exported, tmp_path: Path) -> None:
    teaching = Export("static-sgm", "lars", SIDE, 1).teaching()
    skill = Skill.teach(demonstration(), teaching, weights=exported[2])
    skill.save(tmp_path / "skills" / "bar")
    flags = ["--size", str(SIDE), "--batch", "1", "--library", str(tmp_path / "skills")]
    assert run(["export", "bar", "--out", str(tmp_path / "o"), "--eight-bit", *flags]) == 0
    device = edge_device.Device(tmp_path / "o", eight_bit=True)
    device.load_skill(tmp_path / "o" / "skill")
    grasp, _ = device.predict(picture.read_observation(exported[1]))
    assert np.isfinite(grasp.center_world).all()
