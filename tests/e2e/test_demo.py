"""The main job: one command makes a demonstration, trials, a video and a page of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from grasplearn.cli import main
from grasplearn.commands.demo import NOTES
from grasplearn.files import load_demonstration
from grasplearn.plan import METHODS
from grasplearn.show.video import read_video
from grasplearn.sim import viewer
from grasplearn.skill import Skill
from grasplearn.types import Demonstration

SHOWN = ("untaught", "static-sgm", "scripted")


@pytest.fixture(scope="module", autouse=True)
def small_frames() -> object:
    """Rendering is nearly all of the work."""
    with pytest.MonkeyPatch.context() as patch:
        camera = viewer.side_camera
        patch.setattr(viewer, "side_camera", lambda: camera((160, 120)))
        yield


def demo(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["grasplearn", "demo", *map(str, arguments)])
        main()
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, weights_file: Path) -> Path:
    """A demo with everything as it is by default, but for the weights: these know nothing."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    flags = ["--trials", 2, "--seed", 1, "--weights", weights_file]
    assert demo(*flags, "--out", folder, "--json", folder / "again.json") == 0
    return folder


def test_everything_is_there(out: Path) -> None:
    assert isinstance(load_demonstration(out / "demonstration"), Demonstration)
    assert cv2.imread(str(out / "demonstration.png")) is not None
    pictures = sorted(path.name for path in (out / "trials").iterdir())
    assert pictures == [f"trial-0{n}-{m}.png" for n in (1, 2) for m in sorted(SHOWN)]
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(row["method"], row["trial"]) for row in rows] == [
        (m, n) for n in (0, 1) for m in SHOWN
    ]
    assert {row["object"] for row in rows} == {"hammer_06"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["part"] == "handle" and summary["settings"]["weights_digest"]
    assert json.loads((out / "again.json").read_text()) == summary


def test_the_nets_are_shown_untaught_and_taught(out: Path) -> None:
    scenes, nets = ("demonstration", "first-trial"), ("untaught", "static-sgm")
    heat = {path.stem: cv2.imread(str(path)) for path in (out / "heat").iterdir()}
    assert heat.keys() == {f"{scene}-{net}" for scene in scenes for net in nets}
    for scene in scenes:
        assert (heat[f"{scene}-untaught"] != heat[f"{scene}-static-sgm"]).mean() > 0.05
    page = (out / "index.html").read_text()
    assert "What was learnt" in page and page.count("in the first new scene.</figcaption>") == 2
    assert re.search(r"static-sgm: taught in [\d.]+ s, \d+ steps of fine-tuning, loss", page)


def test_the_skill_is_what_was_taught(out: Path, weights_file: Path) -> None:
    skill = Skill.load(out / "skill", weights_file)
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    facts = next(row["extra"] for row in rows if row["method"] == "static-sgm")
    assert skill.method == "static-sgm" and skill.taught.kept == facts["kept"]
    assert skill.taught.missed == facts["missed"]
    assert skill.taught.probe_loss == pytest.approx(tuple(facts["probe_loss"]))
    shown = load_demonstration(out / "demonstration")
    assert np.array_equal(skill.demonstration.observation.rgb, shown.observation.rgb)


def test_the_video_plays_and_shows_all_methods(out: Path) -> None:
    frames = list(read_video(out / "trials.mp4"))
    assert len(frames) > 40
    height, width = frames[0].shape[:2]
    assert width == 3 * 160 + 2 * 8 and height > 120
    assert (frames[0] != frames[len(frames) // 3]).any()


def test_the_page_needs_no_network(out: Path) -> None:
    html = (out / "index.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert "<script" not in html and "data:video/mp4" in html
    assert "grasplearn demo --trials 2 --seed 1" in html
    assert "taught feed-forward" in html and "the ceiling" in html
    assert "hammer" in html and html.count("trial-") == 0


def test_a_second_demo_takes_the_first_ones_place(
    out: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a user's own object, and fewer trials."""
    own = tmp_path / "own"
    own.mkdir()
    trimesh.creation.cylinder(radius=0.02, height=0.09).export(own / "peg.stl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        flags = ["--objects", own, "--trials", 1, "--methods", "depth-heuristic"]
        assert demo(*flags, "--out", out) == 0
    said, complaints = capfd.readouterr()
    assert f"page: {out / 'index.html'}" in said and complaints == ""
    assert [p.name for p in (out / "trials").iterdir()] == ["trial-01-depth-heuristic.png"]
    html = (out / "index.html").read_text()
    assert "peg" in html and "What was learnt" not in html
    assert not [*(out / "heat").iterdir()] and "skill:" not in said


def test_another_rule_is_named(tmp_path: Path, weights_file: Path) -> None:
    flags = ["--rule", "imprint", "--weights", weights_file, "--trials", 1, "--object", "mug_06"]
    assert demo(*flags, "--out", tmp_path / "out") == 0
    rows = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(row)["method"] for row in rows] == ["untaught", "imprint", "scripted"]


def test_every_method_has_its_note() -> None:
    assert NOTES.keys() == set(METHODS)


def test_a_window_opens_where_there_is_a_display(tmp_path: Path) -> None:
    """Only where the tests are run under a display, as by xvfb-run."""
    if not viewer._x_server_answers():
        pytest.skip("there is no display here")
    flags = ["--gui", "--trials", 1, "--methods", "scripted", "--out", tmp_path / "out"]
    assert demo(*flags) == 0
