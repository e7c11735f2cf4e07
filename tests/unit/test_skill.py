"""Skills: what is taught comes back from disk as it was, and nothing else does."""

from __future__ import annotations

import errno
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from teaching_kit import CAMERA, demonstration, table, tiny_weights

import grasplearn.files
import grasplearn.skill
from grasplearn.errors import GraspLearnError, InvalidValueError, UnknownNameError
from grasplearn.files import whole_folder
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.library import (
    HEATMAP,
    LONGEST_NAME,
    THUMBNAIL,
    WEIGHTS,
    find_skill,
    skill_folder,
    skills_in,
)
from grasplearn.nets.weights import digest, load_tensors, save_tensors
from grasplearn.skill import THUMBNAIL_SIDE, Skill
from grasplearn.types import Demonstration, Grasp, Lesson, Light, PlacedObject, SceneSpec

QUICK = Teaching(steps=2, batch=2, probe=2, measure_memory=True)
IMPRINT = Teaching("imprint")


@pytest.fixture(scope="module")
def skill(weights_file: Path) -> Skill:
    # Two steps from noise need not help: what is saved must be the refined net all the same.
    for seed in range(20):
        taught = Skill.teach(demonstration(), QUICK, weights=weights_file, seed=seed)
        if taught.taught.kept == "refined":
            return taught
    raise AssertionError("no seed refines anything")


@pytest.fixture
def saved(skill: Skill, tmp_path: Path) -> Path:
    skill.save(tmp_path / "bar", lesson=lesson())
    return tmp_path / "bar"


def lesson() -> Lesson:
    shown = demonstration()
    bar = PlacedObject("bar", (0.5, 0, 0.02), (0, 0, 0, 1))
    scene = SceneSpec((bar,), CAMERA, Light(), "oak.png", (1, 1, 1), None)
    return Lesson(shown, "bar", "end", scene, shown.grasp.T_world_grasp, 0)


def contents(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- there and back ----------------------------------------------------------------------------


def test_a_skill_comes_back_as_it_was(skill: Skill, saved: Path, tmp_path: Path) -> None:
    moved = shutil.move(saved, tmp_path / "elsewhere")
    back = Skill.load(moved)
    assert back.card() == skill.card()
    assert back.demonstration == skill.demonstration
    assert back.taught.report == skill.taught.report
    assert back.taught.probe_loss == skill.taught.probe_loss
    seen = table(0.45, 0.05)
    a, b = skill.predict(seen), back.predict(seen)
    assert a.grasp == b.grasp and a.confidence == b.confidence
    np.testing.assert_array_equal(a.quality, b.quality)


def test_the_taught_net_is_another_than_the_imprinted_one(skill: Skill, weights_file: Path) -> None:
    imprinted = Skill.teach(demonstration(), IMPRINT, weights=weights_file)
    seen = table(0.45, 0.05)
    assert (skill.predict(seen).quality != imprinted.predict(seen).quality).any()
    assert skill.taught.report is not None and skill.taught.report.peak_bytes


def test_only_changed_weights_are_kept(weights_file: Path, tmp_path: Path) -> None:
    kept = {}
    for method in ("imprint", "untaught"):
        skill = Skill.teach(demonstration(), Teaching(method), weights=weights_file)
        skill.save(tmp_path / method)
        kept[method] = load_tensors(tmp_path / method / WEIGHTS, "skill")[0]
        seen = table(0.45, 0.05)
        back = Skill.load(tmp_path / method)
        np.testing.assert_array_equal(back.predict(seen).quality, skill.predict(seen).quality)
    assert kept["imprint"].keys() == {"head.kernels", "head.width"}
    assert kept["untaught"] == {}


def test_the_same_seed_teaches_the_same_bytes(skill: Skill, weights_file: Path) -> None:
    again, other = (
        Skill.teach(demonstration(), QUICK, weights=weights_file, seed=skill.seed + more)
        for more in (0, 1)
    )
    assert digest(again.changed) == digest(skill.changed) != digest(other.changed)


def test_predicting_never_reads_what_only_judges_may_know(skill: Skill, saved: Path) -> None:
    (saved / "demonstration" / "lesson.json").write_text("{torn")
    assert Skill.load(saved).predict(table()).grasp == skill.predict(table()).grasp
    (saved / "demonstration" / "lesson.json").unlink()
    assert Skill.load(saved).predict(table()).grasp == skill.predict(table()).grasp


def test_pictures_for_people(skill: Skill, saved: Path) -> None:
    thumbnail, heat = (cv2.imread(str(saved / name)) for name in (THUMBNAIL, HEATMAP))
    assert thumbnail.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
    assert heat.shape[1] >= 600
    # The heat hides more of the picture at the peak than elsewhere.
    quality = skill.predict(skill.demonstration.observation).quality
    plain = cv2.resize(skill.demonstration.observation.rgb[..., ::-1], heat.shape[1::-1])
    change = np.abs(heat[: heat.shape[1]].astype(float) - plain[: heat.shape[1]]).mean(2)
    cells = cv2.resize(change, quality.shape, interpolation=cv2.INTER_AREA)
    assert (
        cells[quality > quality.max() / 3].mean() > 2 * cells[quality < quality.max() / 300].mean()
    )


def test_teaching_on_the_bare_table_is_refused_by_every_method(weights_file: Path) -> None:
    bare = Demonstration(table(), Grasp(np.array([0.4, 0.15, 0.01]), 0.0, 0.06))
    for method in ("static-sgm", "imprint"):
        with pytest.raises(InvalidValueError, match="nothing stands at the demonstrated grasp"):
            Skill.teach(bare, Teaching(method), weights=weights_file)


# -- what is refused ---------------------------------------------------------------------------


def without(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors, card = load_tensors(folder / WEIGHTS, "skill")
        save_tensors(
            folder / WEIGHTS, "skill", tensors, {k: v for k, v in card.items() if k != key}
        )

    return spoil


def other_kind(folder: Path) -> None:
    tensors, card = load_tensors(folder / WEIGHTS, "skill")
    save_tensors(folder / WEIGHTS, "pretrained", tensors, card)


def flipped(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-50] ^= 0x10
    (folder / WEIGHTS).write_bytes(data)


def other_grasp(folder: Path) -> None:
    path = folder / "demonstration" / "grasp.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "yaw": 0.0}))


def wrong_shape(folder: Path) -> None:
    tensors, card = load_tensors(folder / WEIGHTS, "skill")
    save_tensors(folder / WEIGHTS, "skill", {**tensors, "head.kernels": torch.zeros(3)}, card)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda f: shutil.rmtree(f), "no skill at .*bar; a skill is a folder with"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no skill at"),
    "text": (lambda f: (f / WEIGHTS).write_text("hello"), "no whole safetensors file"),
    "empty": (lambda f: (f / WEIGHTS).write_bytes(b""), "no whole safetensors file"),
    "cut": (
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-100]),
        "no whole safetensors file",
    ),
    "flipped bit": (flipped, "damaged: its digest does not fit"),
    "foreign": (
        lambda f: safetensors.torch.save_file({"a": torch.zeros(3)}, f / WEIGHTS),
        "GraspLearn did not write",
    ),
    "other kind": (other_kind, "holds a pretrained, not a skill"),
    "old card": (without("teaching"), "another version of GraspLearn .* teach it again"),
    "no base": (without("weights"), "another version of GraspLearn"),
    "wrong shape": (wrong_shape, "does not fit: head.kernels"),
    "no demonstration": (lambda f: shutil.rmtree(f / "demonstration"), "no folder .*demonstration"),
    "no depth": (lambda f: (f / "demonstration/depth.png").unlink(), "no depth picture file"),
    "other demonstration": (other_grasp, "is not what this skill was taught; teach it again"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_skill_is_refused(saved: Path, case: str) -> None:
    spoil, sentence = BAD[case]
    Skill.load(saved)
    spoil(saved)
    with pytest.raises(GraspLearnError, match=sentence) as caught:
        Skill.load(saved)
    assert "\n" not in str(caught.value) and str(saved) in str(caught.value)


def test_a_newer_format_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grasplearn.nets.weights.FORMAT", 2)
    with pytest.raises(GraspLearnError, match=r"format 1, this GraspLearn reads 2; make it again"):
        Skill.load(saved)


def test_the_weights_it_was_taught_on_must_be_there(tmp_path: Path) -> None:
    base = tiny_weights(tmp_path / "base.safetensors")
    skill = Skill.teach(demonstration(), IMPRINT, weights=base)
    skill.save(tmp_path / "bar")
    away = shutil.move(base, tmp_path / "moved.safetensors")
    with pytest.raises(GraspLearnError, match=r"taught on .*base\.safetensors.* --weights FILE"):
        Skill.load(tmp_path / "bar")
    assert Skill.load(tmp_path / "bar", away).predict(table()).grasp == skill.predict(table()).grasp
    tiny_weights(base, seed=1)
    with pytest.raises(GraspLearnError, match=rf"\({skill.digest[:12]}\), but these are"):
        Skill.load(tmp_path / "bar")
    with pytest.raises(GraspLearnError, match="there are none at 'nowhere'"):
        Skill.load(tmp_path / "bar", "nowhere")


# -- whole or not at all -----------------------------------------------------------------------


def test_a_skill_is_not_overwritten_by_mistake(
    skill: Skill, saved: Path, weights_file: Path
) -> None:
    before = contents(saved)
    with pytest.raises(InvalidValueError, match="bar is there already; choose another name"):
        skill.save(saved)
    assert contents(saved) == before and [p.name for p in saved.parent.iterdir()] == ["bar"]
    Skill.teach(demonstration(), IMPRINT, weights=weights_file).save(saved, replace=True)
    assert Skill.load(saved).method == "imprint"
    assert not (saved / "demonstration" / "lesson.json").exists()
    assert [p.name for p in saved.parent.iterdir()] == ["bar"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_skill_is_never_replaced(skill: Skill, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "thesis"
    if kind == "file":
        place.write_text("years of work")
    else:
        place.mkdir()
        (place / "chapter.txt").write_text("years of work")
    before = contents(tmp_path)
    for force in (True, False):
        with pytest.raises(InvalidValueError, match=r"thesis"):
            skill.save(place, replace=force)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("last", ["save_tensors", "save_png"])
def test_an_interrupted_save_leaves_everything_as_it_was(
    skill: Skill, saved: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException, last: str
) -> None:
    def stop(*_: object) -> None:
        raise end

    before = contents(saved.parent)
    with monkeypatch.context() as patch:
        patch.setattr(grasplearn.skill, last, stop)
        for place in (saved, saved.parent / "new"):
            with pytest.raises((KeyboardInterrupt, InvalidValueError)) as caught:
                skill.save(place, replace=True)
            if isinstance(end, OSError):
                assert "free some space" in str(caught.value)
    assert contents(saved.parent) == before
    assert [p.name for p in saved.parent.iterdir()] == ["bar"]
    Skill.load(saved)


def test_two_writers_of_one_name_never_leave_it_empty_or_mixed(tmp_path: Path) -> None:
    place, stop = tmp_path / "skill", threading.Event()

    def write(token: str) -> None:
        with whole_folder(place, replace=True) as growing:
            (growing / token).write_text(token)

    def keep_writing(name: str) -> None:
        count = 0
        while not stop.is_set():
            write(f"{name}{count}")
            count += 1

    write("first")
    writers = [threading.Thread(target=keep_writing, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    try:
        # Until each has written some, a busy disk may hold one of them up; and often enough to
        # meet the moment between two steps, if there were two.
        reads = 0
        while reads < 5000 or min(sum(t[0] == name for t in seen) for name in "ab") < 5:
            reads += 1
            assert time.monotonic() < deadline and all(w.is_alive() for w in writers)
            # Never two; none where the folder was replaced and deleted while it was being read.
            found = list(place.iterdir())
            assert len(found) <= 1
            seen.update(path.name for path in found)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert len(list(place.iterdir())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["skill"]


def test_a_system_that_cannot_exchange_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grasplearn.files, "_exchange", lambda a, b: False)
    for token in ("old", "new"):
        with whole_folder(tmp_path / "skill", replace=True) as growing:
            (growing / token).write_text(token)
    assert contents(tmp_path) == {Path("skill/new"): b"new"}

    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".old") or (target.name == "skill" and target.exists()):
            return rename(path, target)
        if target.name == "skill":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InvalidValueError), whole_folder(tmp_path / "skill", True) as growing:
        (growing / "newer").write_text("newer")
    assert contents(tmp_path) == {Path("skill/new"): b"new"}


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    (
        *("", " ", ".", "..", "a/b", "/tmp", "../x", "a\\b", "a\nb", "a\0b", "\x1b[2J", ".hidden"),
        *(" a", "a ", "-x", "\udcff", "x" * (LONGEST_NAME + 1), "\u202eabc"),
    ),
)
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="name") as caught:
        skill_folder(tmp_path, name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["mug", "blue mug-2", "Käse", "кружка", "茶杯", "x" * LONGEST_NAME]
)
def test_names_that_can(tmp_path: Path, skill: Skill, name: str) -> None:
    skill.save(skill_folder(tmp_path, name))
    assert find_skill(tmp_path, name).parent == tmp_path
    assert skills_in(tmp_path) == (name,)


def test_an_unknown_skill_names_the_known_ones(saved: Path) -> None:
    shutil.copytree(saved, saved.with_name(".bar.unfinished"))
    (saved.parent / "notes").mkdir()
    with pytest.raises(UnknownNameError, match=r"no skill 'baar'; did you mean 'bar'\? 1 known"):
        find_skill(saved.parent, "baar")
    with pytest.raises(InvalidValueError, match=r"none in .*nowhere; teach one, or .* --library"):
        find_skill(saved.parent / "nowhere", "bar")


def test_a_warning_and_losses_that_are_not_finite_survive(skill: Skill, tmp_path: Path) -> None:
    report = skill.taught.report
    assert report is not None
    odd = replace(report, losses=(float("nan"), 1.0), warning="the loss was not finite")
    taught = replace(skill.taught, report=odd, warning="look out", probe_loss=(1.0, float("inf")))
    replace(skill, taught=taught).save(tmp_path / "odd")
    back = Skill.load(tmp_path / "odd").taught
    assert back.report is not None and back.warning == "look out"
    assert np.isnan(back.report.losses[0]) and back.report.losses[1] == 1.0
    assert back.probe_loss is not None and not np.isfinite(back.probe_loss[1])
