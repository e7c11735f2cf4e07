"""Weights on disk: whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.weights import digest, load_net, load_tensors, save_net, save_tensors

SMALL = NetSpec(width=8, depth=2, features=8, groups=2, turns=8, kernel=3, hidden=4)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_net(tmp_path / "net.safetensors", GraspNet(SMALL), {"command": "made by a test"})
    return tmp_path / "net.safetensors"


def test_a_net_comes_back_to_the_bit(saved: Path) -> None:
    net, card = load_net(saved)
    assert net.spec == SMALL and card["command"] == "made by a test"
    assert digest(net.state_dict()) == digest(GraspNet(SMALL).state_dict())
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_what_is_no_file_of_ours_is_refused(saved: Path, tmp_path: Path) -> None:
    cases = {"missing": tmp_path / "none.safetensors"}
    cases["text"] = tmp_path / "text.safetensors"
    cases["text"].write_text("hello, I am no weights", encoding="utf-8")
    cases["foreign"] = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(3)}, cases["foreign"])
    cases["cut"] = tmp_path / "cut.safetensors"
    cases["cut"].write_bytes(saved.read_bytes()[:-100])
    cases["empty"] = tmp_path / "empty.safetensors"
    cases["empty"].write_bytes(b"")
    cases["folder"] = tmp_path
    flipped = bytearray(saved.read_bytes())
    flipped[-50] ^= 0x10
    cases["damaged"] = tmp_path / "damaged.safetensors"
    cases["damaged"].write_bytes(bytes(flipped))
    cases["other kind"] = tmp_path / "other.safetensors"
    save_tensors(cases["other kind"], "sgms", {"a": torch.zeros(3)}, {})
    words = {"damaged": "damaged", "foreign": "did not write", "other kind": "sgms, not a net"}
    for name, path in cases.items():
        with pytest.raises(FileFormatError, match=words.get(name)) as caught:
            load_net(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_newer_format_and_a_wrong_shape_are_refused(
    saved: Path, tmp_path: Path, monkeypatch
) -> None:
    tensors, card = load_tensors(saved, "net")
    wider = {**card["spec"], "width": 16}
    save_tensors(tmp_path / "wide.safetensors", "net", tensors, {"spec": wider})
    with pytest.raises(FileFormatError, match="does not fit"):
        load_net(tmp_path / "wide.safetensors")
    save_tensors(tmp_path / "nameless.safetensors", "net", tensors, {})
    with pytest.raises(FileFormatError, match="which net"):
        load_net(tmp_path / "nameless.safetensors")
    monkeypatch.setattr("grasplearn.nets.weights.FORMAT", 2)
    with pytest.raises(FileFormatError, match="format 1"):
        load_net(saved)


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="not finite"):
        save_tensors(tmp_path / "a.safetensors", "net", {"a": torch.tensor([float("nan")])}, {})
    assert not list(tmp_path.iterdir())
