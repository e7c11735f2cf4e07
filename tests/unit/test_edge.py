"""Exported, taught on a device that has no torch, and brought back; in float and in 8 bits."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from teaching_kit import demonstration, table, tiny_weights

from grasplearn.cli import run
from grasplearn.edge import device as edge_device
from grasplearn.edge import layout, picture
from grasplearn.edge.eight_bit import write_eight_bit
from grasplearn.edge.export import Export, write_export, write_support
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import save_demonstration
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.skill import Skill

SIDE = 64
NO_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "cv2", "scipy", "onnx", "safetensors"}:
            raise ImportError(f"{name} is not installed on this device")
sys.meta_path.insert(0, Refuse())
"""


def small_teaching(file: Path) -> Teaching:
    return Export("static-sgm", "lars", SIDE, 1).teaching(load_pretrained(str(file)))


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
    teaching = replace(told.teaching(base), probe=3)
    write_support(demo, demonstration(), base, teaching, 0)
    return folder / "export", demo, file


def device_process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the runner where only numpy and onnxruntime can be imported."""
    code = f"{NO_TORCH}\nfrom grasplearn.edge.run import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("fast", [[], ["--fast"]])
def test_taught_without_torch_it_opens_with_it(exported, fast: list[str], tmp_path: Path) -> None:
    export, demo, file = exported
    out = tmp_path / "taught"
    arguments = [str(export), "--demo", str(demo), "--always", "--out", str(out)]
    done = device_process([*arguments, "--image", str(demo), *fast])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    skill = Skill.load(out)
    own = replace(small_teaching(file), probe=3, doubt=0.0)
    wanted = teach(demonstration(), load_pretrained(str(file)), own, 0)
    assert wanted.report is not None
    np.testing.assert_allclose(told["taught"]["losses"], wanted.report.losses, rtol=1e-4)
    assert told["taught"]["kept"] == skill.taught.kept == wanted.kept
    for name, tensor in wanted.net.state_dict().items():
        off = float((tensor - skill.taught.net.state_dict()[name]).norm())
        assert off <= 1e-4 * float(tensor.norm()), name
    grasp = skill.predict(table()).grasp
    np.testing.assert_allclose(told["grasp"]["center_world"], grasp.center_world, atol=2e-3)


@pytest.mark.parametrize("optimizer", ["lars", "adam"])
def test_quick_or_small_it_teaches_the_same_in_one_pass(
    exported, optimizer: str, tmp_path: Path
) -> None:
    _, demo, file = exported
    told, base = Export("static-sgm-one-pass", optimizer, SIDE, 1), load_pretrained(str(file))
    write_export(tmp_path / "e", base, str(file), told)
    shown = tmp_path / "demo"
    shutil.copytree(demo, shown)
    write_support(shown, demonstration(), base, replace(told.teaching(base), probe=1), 0)
    small, quick = (edge_device.Device(tmp_path / "e", fast=fast) for fast in (False, True))
    right, found = (device.teach(shown, always=True) for device in (small, quick))
    assert len(right.losses) > 4  # samples came again: both graphs were used
    np.testing.assert_allclose(found.losses, right.losses, rtol=1e-4)
    assert (found.kept, found.guards) == (right.kept, right.guards)
    for name, array in small.weights.items():
        np.testing.assert_allclose(quick.weights[name], array, rtol=1e-3, atol=1e-5)


def test_quick_in_8_bits_is_refused(eight_bit) -> None:
    with pytest.raises(InvalidValueError, match="leave out one"):
        edge_device.Device(eight_bit[0], eight_bit=True, fast=True)


def test_a_skill_of_the_full_program_is_used_without_torch(exported, tmp_path: Path) -> None:
    export, demo, file = exported
    teaching = small_teaching(file)
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


def test_all_products_but_those_at_the_end_are_in_8_bits(eight_bit) -> None:
    export, _ = eight_bit
    manifest = json.loads((export / layout.MANIFEST).read_text())
    spec, told = manifest["spec"], manifest[layout.EIGHT_BIT]
    files = set(told)
    assert files == {str(p.relative_to(export)) for p in export.glob("eight_bit/**/*.onnx")}
    # A form of its own for every block, forward and taught; the first and last are special.
    blocks = {f"eight_bit/chain/teach_block.{i}.onnx" for i in range(1, spec["depth"])}
    assert blocks | {"eight_bit/predict.onnx", "eight_bit/chain/teach_stem.0.onnx"} <= files
    last = f"forward_block.{spec['depth']}"
    assert not any(name in file for file in files for name in ("imprint", "head", last))
    in_float = {f"blocks.{spec['depth']}.weight", "head.project"}
    left = set()
    for file in files:
        path = export / file
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told[file]["sha256"]
        graph = onnx.load(str(path)).graph
        makers = {out: node for node in graph.node for out in node.output}
        for node in graph.node:
            if node.op_type != "Conv":
                continue
            weight = makers.get(node.input[1])
            name = node.input[1] if weight is None else weight.input[0]
            if name in in_float:
                left.add((file, name))
            else:
                kinds = [makers[value].op_type for value in node.input[:2]]
                assert kinds == ["DequantizeLinear"] * 2, (file, node.name)
    assert left == {
        (f"eight_bit/{f}.onnx", name) for f in ("predict", "check") for name in in_float
    }


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
    teaching = small_teaching(exported[2])
    skill = Skill.teach(demonstration(), teaching, weights=exported[2])
    skill.save(tmp_path / "skills" / "bar")
    flags = ["--size", str(SIDE), "--batch", "1", "--library", str(tmp_path / "skills")]
    assert run(["export", "bar", "--out", str(tmp_path / "o"), "--eight-bit", *flags]) == 0
    device = edge_device.Device(tmp_path / "o", eight_bit=True)
    device.load_skill(tmp_path / "o" / "skill")
    grasp, _ = device.predict(picture.read_observation(exported[1]))
    assert np.isfinite(grasp.center_world).all()
