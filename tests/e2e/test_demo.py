"""The main job: one command makes a demonstration, trials, a video and a page of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import pytest
import trimesh

from grasplearn.cli import main
from grasplearn.files import load_demonstration
from grasplearn.show.video import read_video
from grasplearn.sim import viewer
from grasplearn.types import Demonstration


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
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    assert demo("--trials", 2, "--seed", 1, "--out", folder, "--json", folder / "again.json") == 0
    return folder


def test_everything_is_there(out: Path) -> None:
    assert isinstance(load_demonstration(out / "demonstration"), Demonstration)
    assert cv2.imread(str(out / "demonstration.png")) is not None
    pictures = sorted(path.name for path in (out / "trials").iterdir())
    assert pictures == [f"trial-0{n}-{m}.png" for n in (1, 2) for m in ("scripted", "template")]
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(row["method"], row["trial"]) for row in rows] == [
        ("template", 0),
        ("scripted", 0),
        ("template", 1),
        ("scripted", 1),
    ]
    assert {row["object"] for row in rows} == {"hammer_06"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["part"] == "handle"
    assert json.loads((out / "again.json").read_text()) == summary


def test_the_video_plays_and_shows_both_methods(out: Path) -> None:
    frames = list(read_video(out / "trials.mp4"))
    assert len(frames) > 40
    height, width = frames[0].shape[:2]
    assert width == 2 * 160 + 8 and height > 120
    assert (frames[0] != frames[len(frames) // 3]).any()


def test_the_page_needs_no_network(out: Path) -> None:
    html = (out / "index.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert "<script" not in html and "data:video/mp4" in html
    assert "grasplearn demo --trials 2 --seed 1" in html
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
    assert "peg" in (out / "index.html").read_text()


def test_a_window_opens_where_there_is_a_display(tmp_path: Path) -> None:
    """Only where the tests are run under a display, as by xvfb-run."""
    if not viewer._x_server_answers():
        pytest.skip("there is no display here")
    flags = ["--gui", "--trials", 1, "--methods", "scripted", "--out", tmp_path / "out"]
    assert demo(*flags) == 0
