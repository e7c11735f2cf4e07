"""The device's second look is the full program's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from teaching_kit import SEEING, demonstration, table, tiny_weights

from grasplearn import whole
from grasplearn.edge import device as edge_device
from grasplearn.edge import second_look
from grasplearn.edge.eight_bit import write_eight_bit
from grasplearn.edge.export import Export, write_export, write_support
from grasplearn.edge.run import main
from grasplearn.files import save_demonstration
from grasplearn.footprint import Footprint, Place
from grasplearn.geometry import heightmap
from grasplearn.learning import cases
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.nets import overview, proposals, verifier
from grasplearn.nets.codec import encode
from grasplearn.nets.verifier import Verifier
from grasplearn.skill import Skill
from grasplearn.types import Demonstration
from grasplearn.whole import Contrast

SIDE = 64
SCENES = [table(0.45, 0.05), table(0.55, -0.08), table(0.42, -0.02)]


@pytest.fixture(scope="module", params=[0, 4], ids=["windows", "overviews"])
def opinionated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path, Teaching]:
    """Weights whose verifier has opinions of its own, their export, a demonstration with samples,
    and how it is taught."""
    folder = tmp_path_factory.mktemp("second")
    base = load_pretrained(str(tiny_weights(folder / "base.safetensors", spec=SEEING)))
    torch.manual_seed(0)
    made = Verifier(base.net.spec.groups, overview=request.param)
    for name, parameter in made.named_parameters():
        if not name.startswith("first"):
            # Smaller in the deeper one: rounding is not to be multiplied up.
            std = 0.1 if name.startswith("overview") else 0.3
            torch.nn.init.normal_(parameter, std=std)
    made.scale.uniform_(0.5, 2.0)
    file = folder / "w.safetensors"
    save_pretrained(file, Pretrained(base.net, base.modules, verifier=made))
    told, base = Export("static-sgm", "lars", SIDE, 1), load_pretrained(str(file))
    write_export(folder / "export", base, str(file), told)
    demo = folder / "demo"
    save_demonstration(demo, demonstration())
    teaching = replace(told.teaching(base), probe=3)
    write_support(demo, demonstration(), base, teaching, 0)
    return folder / "export", demo, file, teaching


def test_the_constants_are_the_full_programs() -> None:
    own = second_look
    assert (verifier.WINDOW, verifier.REACH) == (own.WINDOW, own.REACH)
    assert (overview.SIDE, overview.HEIGHT, overview.NEAR) == (own.SIDE, own.HEIGHT, own.NEAR)
    assert (proposals.MOST, proposals.FAINTEST, cases.NONE) == (own.MOST, own.FAINTEST, own.NONE)


def in_both(
    opinionated: tuple[Path, Path, Path, Teaching],
    shown: Demonstration,
    teaching: Teaching,
    folder: Path,
) -> tuple[Skill, edge_device.Device]:
    """A skill, and a device that has loaded it."""
    export, _, file, samples = opinionated
    skill = Skill.teach(shown, teaching, weights=file)
    skill.save(folder)
    write_support(folder / "demonstration", shown, load_pretrained(str(file)), samples, 0)
    device = edge_device.Device(export)
    device.load_skill(folder)
    return skill, device


def assert_both_are_swayed(
    skill: Skill,
    device: edge_device.Device,
    monkeypatch: pytest.MonkeyPatch,
    part: type[Contrast] | type[Footprint],
    scores: Callable[..., np.ndarray],
) -> None:
    """Each is asked once with other scores of a part, and both answer otherwise, and alike."""
    encoded = encode(heightmap(SCENES[0]))
    plain = skill.taught._answer(encoded[None]).quality[0].numpy()
    monkeypatch.setattr(part, "scores", scores)
    swayed = skill.taught._answer(encoded[None]).quality[0].numpy()
    np.testing.assert_allclose(device.sight.maps(encoded.numpy())[2], swayed, atol=2e-3)
    assert not np.allclose(swayed, plain, atol=0.1)


@pytest.mark.parametrize("method", ["imprint", "static-sgm"])
def test_it_says_what_the_full_program_says(opinionated, method: str, tmp_path: Path) -> None:
    told = replace(opinionated[3], method=method, doubt=0)
    skill, device = in_both(opinionated, demonstration(), told, tmp_path / "skill")
    assert device.sight.reference is not None
    assert device.sight.reference.likeness == pytest.approx(skill.taught._reference.likeness, 1e-3)
    changed = 0
    for scene in SCENES:
        encoded = encode(heightmap(scene))
        quality, _, verified = device.sight.maps(encoded.numpy())
        expected = skill.taught._answer(encoded[None]).quality[0].numpy()
        np.testing.assert_allclose(verified, expected, atol=2e-3)
        changed += not np.allclose(verified.argmax(), quality.argmax())
    assert changed, "the second look had no say"


def beside_another() -> Demonstration:
    """The bar beside a larger, blue one."""
    shown, other = demonstration(), table(0.4, -0.1)
    there = cv2.dilate((other.depth < other.depth.max()).astype(np.uint8), np.ones((5, 5))) > 0
    rgb, depth = shown.observation.rgb.copy(), shown.observation.depth.copy()
    rgb[there], depth[there] = (30, 40, 190), other.depth.min()
    return replace(shown, observation=replace(shown.observation, rgb=rgb, depth=depth))


def test_it_tells_wholes_apart_as_the_full_program_does(
    opinionated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "LEAST_LIKENESS", 0.0)
    imprint = replace(opinionated[3], method="imprint")
    skill, device = in_both(opinionated, beside_another(), imprint, tmp_path / "skill")
    reference, wanted = device.sight.reference, skill.taught._reference
    assert reference is not None and reference.contrast is not None and wanted.contrast is not None
    assert (reference.contrast.shown == wanted.contrast.shown).all()
    assert (reference.contrast.rival == wanted.contrast.rival).all()
    asked = []

    def scores(self: Contrast, picture: np.ndarray, spots: list[tuple[float, float]]) -> np.ndarray:
        asked.append((self.shown.tolist(), picture.tobytes(), spots))
        return np.arange(len(spots), dtype=float)

    assert_both_are_swayed(skill, device, monkeypatch, Contrast, scores)
    assert asked[0] == asked[1] and len(asked[0][2]) > 1


def test_it_lays_the_thing_over_places_as_the_full_program_does(
    opinionated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imprint = replace(opinionated[3], method="imprint")
    skill, device = in_both(opinionated, demonstration(), imprint, tmp_path / "skill")
    assert device.sight.reference is not None
    own, wanted = device.sight.reference.footprint, skill.taught._reference.footprint
    assert own is not None and wanted is not None
    for name, part in vars(wanted).items():
        np.testing.assert_allclose(getattr(own, name), part, atol=1e-3)
    asked = []

    def scores(
        self: Footprint, picture: np.ndarray, places: list[Place], logits: np.ndarray
    ) -> np.ndarray:
        asked.append((picture, np.array(places), logits.copy()))
        return np.arange(len(places), dtype=float)

    assert_both_are_swayed(skill, device, monkeypatch, Footprint, scores)
    for one, other in zip(*asked, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    assert len(asked) == 2 and len(asked[0][1]) > 1


def test_taught_on_the_device_it_is_verified_likewise(opinionated) -> None:
    export, demo, file, teaching = opinionated
    device = edge_device.Device(export)
    found = device.teach(demo, always=True)
    wanted = teach(demonstration(), load_pretrained(str(file)), replace(teaching, doubt=0), 0)
    assert (found.kept, found.missed) == (wanted.kept, pytest.approx(wanted.missed))
    encoded = encode(heightmap(SCENES[0]))
    expected = wanted._answer(encoded[None]).quality[0].numpy()
    np.testing.assert_allclose(device.sight.maps(encoded.numpy())[2], expected, atol=5e-3)


def test_a_skill_saved_on_the_device_is_verified_when_it_is_loaded(
    opinionated, tmp_path: Path
) -> None:
    export, demo, _, _ = opinionated
    taught, loaded = edge_device.Device(export), edge_device.Device(export)
    taught.save_skill(tmp_path / "skill", demo, taught.teach(demo, always=True))
    loaded.load_skill(tmp_path / "skill")
    encoded = encode(heightmap(SCENES[0])).numpy()
    quality, _, verified = taught.sight.maps(encoded)
    assert not np.allclose(quality, verified)
    np.testing.assert_allclose(loaded.sight.maps(encoded)[2], verified, atol=5e-3)
    assert Skill.load(tmp_path / "skill").taught.verifier is not None


def scales(path: Path) -> dict[str, float]:
    """By the tensor that is quantised."""
    graph = onnx.load(str(path)).graph
    values = {constant.name: constant for constant in graph.initializer}
    return {
        node.input[0]: float(onnx.numpy_helper.to_array(values[node.input[1]]))
        for node in graph.node
        if node.op_type == "QuantizeLinear"
    }


def test_8_bit_scales_of_a_whole_picture_hold_what_the_samples_hold(
    opinionated, tmp_path: Path
) -> None:
    """The second look shows the graph one whole picture while teaching: too little for scales."""
    export, demo, _, _ = opinionated
    place = tmp_path / "export"
    shutil.copytree(export, place)
    write_eight_bit(place, demo)
    whole, samples = (scales(place / "eight_bit" / name) for name in ("predict.onnx", "check.onnx"))
    assert set(whole) == set(samples) and len(whole) > 5
    assert all(whole[name] >= samples[name] * 0.999 for name in whole)


def test_without_prepared_cells_the_answer_says_that_nothing_was_verified(
    opinionated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, demo, _, _ = opinionated
    bare = tmp_path / "bare"
    save_demonstration(bare, demonstration())
    for shown, verified in ((bare, False), (demo, True)):
        arguments = [str(export), "--demo", str(shown), "--imprint-only", "--image", str(bare)]
        assert main(arguments) == 0
        assert json.loads(capsys.readouterr().out)["verified"] == verified
