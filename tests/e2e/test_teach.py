"""Skills from the command line: taught and used, in the simulator and on own pictures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import test_cli
from teaching_kit import CAMERA, demonstration, table, tiny_weights
from test_cli import Cli, contents, refused

import grasplearn.commands.teach
from grasplearn.files import save_demonstration
from grasplearn.geometry import project, transform, yaw_difference
from grasplearn.show.video import read_video
from grasplearn.sim import viewer
from grasplearn.skill import Skill
from grasplearn.types import Demonstration

OBJECT = "mug_06"


cli, small_disk = test_cli.cli, test_cli.small_disk


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, weights_file: Path) -> Path:
    """A working folder with a skill from the simulator, one from pictures, and bad files."""
    home = tmp_path_factory.mktemp("home")
    shown = demonstration()
    save_demonstration(home / "mine", shown)
    flags = [f"--weights={weights_file}", "--steps=2"]
    arguments = [*own(home / "mine"), "--grasp=128,111,84,0.06", *flags]
    pictured = run_in(home, "teach", "bar", *arguments)
    assert pictured.returncode == 0, pictured.stderr
    simulated = run_in(
        home, "teach", "mug", f"--object={OBJECT}", "--part=handle", "--json=mug.json", *flags
    )
    assert simulated.returncode == 0, simulated.stderr
    (home / "mug.txt").write_text(simulated.stdout)
    return home


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a copy of ``home`` that a test may spoil."""
    here = shutil.copytree(home, tmp_path / "here")
    monkeypatch.chdir(here)
    return here


def run_in(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grasplearn", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def own(folder: Path | str) -> list[str]:
    return [f"--rgb={folder}/color.png", f"--depth={folder}/depth.png", camera(folder)]


def camera(folder: Path | str, name: str = "camera.json") -> str:
    return f"--camera={folder}/{name}"


# -- what works --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["teach", "pick"])
def test_help_with_an_example(cli: Cli, name: str) -> None:
    ended = cli(name, "--help")
    assert ended.code == 0 and f"Example: grasplearn {name} mug" in ended.out


def test_teaching_tells_what_it_did(home: Path) -> None:
    said = (home / "mug.txt").read_text()
    assert "taught by static-sgm: 2 steps in " in said and " MiB" in said and "loss " in said
    assert "kept: " in said and f"skill: {Path('skills/mug')}" in said
    card = json.loads((home / "mug.json").read_text())
    assert card["skill"] == "skills/mug" and card["teaching"]["method"] == "static-sgm"
    assert len(card["fine_tuning"]["losses"]) == 2 and card["fine_tuning"]["peak_bytes"] > 0
    names = {path.name for path in (home / "skills/mug").iterdir()}
    assert names == {"demonstration", "changed.safetensors", "thumbnail.png", "heatmap.png"}
    assert (home / "skills/mug/demonstration/lesson.json").exists()
    assert not (home / "skills/bar/demonstration/lesson.json").exists()


def test_picking_in_the_simulator(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = viewer.side_camera
    monkeypatch.setattr(viewer, "side_camera", lambda: small((160, 120)))
    flags = ["--trials=2", "--seed=1", "--json=p.json", "--video=p.mp4"]
    ended = cli("pick", "mug", *flags)
    assert ended.code == 0, ended.err
    assert "static-sgm" in ended.out and "trial 2: " in ended.out
    figures = json.loads((here / "p.json").read_text())
    assert [row["trial"] for row in figures["trials"]] == [0, 1]
    assert {row["metric"] for row in figures["rows"]} == {"success", "lifted", "on_part"}
    assert {row["object"] for row in figures["trials"]} == {OBJECT}
    pictures = sorted((here / "out/pick/mug/trials").iterdir())
    assert [p.name for p in pictures] == ["trial-01.png", "trial-02.png"]
    assert all(cv2.imread(str(p)) is not None for p in pictures)
    assert len(list(read_video(here / "p.mp4"))) > 20
    again = cli("pick", "mug", "--trials=1", "--seed=1", "--json=q.json", "--out=out/pick/mug")
    assert again.code == 0 and len(list((here / "out/pick/mug/trials").iterdir())) == 1
    (row,) = json.loads((here / "q.json").read_text())["trials"]
    assert row["grasp"] == figures["trials"][0]["grasp"]


def test_a_click_is_taught_where_it_was_made(home: Path) -> None:
    grasp = Skill.load(home / "skills/bar").demonstration.grasp
    shown = demonstration().grasp
    (u, v), _ = project(CAMERA, np.stack([shown.center_world, shown.center_world]))
    assert abs(u - 128) < 1 and abs(v - 111.5) < 2  # the test's click is on the green end
    np.testing.assert_allclose(grasp.center_world, shown.center_world, atol=0.004)
    assert yaw_difference(grasp.yaw, shown.yaw) < 0.02 and grasp.width == 0.06


@pytest.mark.parametrize("posed", [True, False])
def test_picking_from_a_picture(cli: Cli, here: Path, posed: bool) -> None:
    seen = table(0.46, 0.03)
    save_demonstration(here / "new", Demonstration(seen, demonstration().grasp))
    if not posed:
        edit_camera(here / "new", T_world_cam=None)
    ended = cli("pick", "bar", *own("new"), "--json=g.json", "--out=seen.png")
    assert ended.code == 0 and ended.err == ""
    told = json.loads(ended.out)
    assert told == json.loads((here / "g.json").read_text()) and told["overlay"] == "seen.png"
    assert cv2.imread("seen.png").shape[1] >= 600
    expected = Skill.load(here / "skills/bar").predict(seen).grasp
    # All frames tell of one place, and the flat fitted table agrees with the true pose.
    T_world_cam = np.array(told["T_world_cam"])
    world = np.array(told["world"]["center"])
    np.testing.assert_allclose(transform(T_world_cam, told["cam"]["center"]), world, atol=1e-9)
    np.testing.assert_allclose(
        T_world_cam @ np.array(told["cam"]["T_cam_grasp"]),
        told["world"]["T_world_grasp"],
        atol=1e-9,
    )
    np.testing.assert_allclose(world, expected.center_world, atol=0.004)
    assert yaw_difference(told["world"]["yaw"], expected.yaw) < 0.02
    np.testing.assert_allclose(told["pixel"], project(CAMERA, expected.center_world), atol=2)
    assert 0 < told["confidence"] <= 1


def test_a_skill_can_be_moved_to_another_library(cli: Cli, here: Path) -> None:
    first = json.loads(cli("pick", "bar", *own("mine")).out)
    (here / "robot").mkdir()
    shutil.move(here / "skills/bar", here / "robot/stick")
    second = json.loads(cli("pick", "stick", "--library=robot", *own("mine")).out)
    assert first["world"] == second["world"] and first["confidence"] == second["confidence"]


def test_force_takes_the_place_of_an_older_skill(cli: Cli, here: Path, weights_file: Path) -> None:
    flags = [*own("mine"), "--grasp=128,111,84", f"--weights={weights_file}", "--rule=imprint"]
    refused(cli("teach", "bar", *flags), "skills/bar is there already", "--force")
    ended = cli("teach", "bar", "--force", *flags)
    assert ended.code == 0 and "taught by imprint" in ended.out
    assert Skill.load("skills/bar").method == "imprint"


# -- what is refused ---------------------------------------------------------------------------

GOOD = "--rgb mine/color.png --depth mine/depth.png --camera mine/camera.json"
CLICK = f"{GOOD} --grasp 128,111,84"
TEACH = "teach new --weights {weights_file} "
BAD = {
    "no name": (f"teach {CLICK}", "NAME"),
    "slash": (f"teach a/b {CLICK}", "'a/b' is no name for a skill"),
    "parent": (f"teach .. {CLICK}", "'..' is no name"),
    "absolute": (f"teach /tmp/x {CLICK}", "is no name"),
    "pick outside": ("pick ../x", "'../x' is no name"),
    "long name": (f"teach {'x' * 300} {CLICK}", "may have 100 bytes, this one has 300"),
    "nothing shown": (TEACH, "--object ID, or --rgb, --depth, --camera and --grasp"),
    "both": (f"{TEACH} --object mug_06 {CLICK}", "not both"),
    "no grasp": (f"{TEACH} {GOOD}", "--grasp U,V,YAW_DEG"),
    "no camera": (f"{TEACH} --rgb mine/color.png --depth mine/depth.png", "add --camera"),
    "only rgb": (f"{TEACH} --rgb mine/color.png", "add --depth and --camera"),
    "unknown rule": (f"{TEACH} {CLICK} --rule sgm", "no learned method 'sgm'", "static-sgm"),
    "no steps": (f"{TEACH} {CLICK} --steps 0", "steps must be a whole number from 1 on"),
    "negative seed": (f"{TEACH} {CLICK} --seed -1", "seed must be at least 0"),
    "unknown weights": (f"teach new {CLICK} --weights shiped", "no weights or weights file"),
    "foreign weights": (f"teach new {CLICK} --weights mine/color.png", "no whole safetensors"),
    "weights without modules": (
        f"teach new {CLICK} --weights bare.safetensors",
        "no modules for static-sgm",
    ),
    "unknown object": (f"{TEACH} --object mgu_06", "no object 'mgu_06'; did you mean 'mug_06'?"),
    "unknown part": (f"{TEACH} --object mug_06 --part handel", "did you mean 'handle'?"),
    "unknown tier": (f"{TEACH} --object mug_06 --tier hard", "no tier 'hard'"),
    "wrong path": (
        f"{TEACH} {CLICK.replace('color', 'colour')}",
        "no colour picture file mine/colour.png",
    ),
    "NaN depth": (f"{TEACH} {CLICK.replace('depth.png', 'nan.npy')}", "unknown (0 or NaN) every"),
    "depth as colour": (
        f"{TEACH} {CLICK.replace('mine/color.png', 'mine/depth.png')}",
        "8 bits a channel",
    ),
    "no intrinsics": (f"{TEACH} {CLICK.replace('camera.json', 'no_k.json')}", "give K (3 x 3)"),
    "wrong pose": (
        f"{TEACH} {CLICK.replace('camera.json', 'high.json')}",
        "high.json puts what is seen at z = 1.0",
        "leave it out to have the table found",
    ),
    "pose elsewhere": (f"{TEACH} {CLICK.replace('camera.json', 'far.json')}", "over the workspace"),
    "grasp outside": (f"{TEACH} {GOOD} --grasp 500,110,0", "outside the picture of 224 x 224"),
    "negative pixel": (f"{TEACH} {GOOD} --grasp=-5,110,0", "outside the picture"),
    "grasp on a hole": (
        f"{TEACH} {CLICK.replace('depth.png', 'holes.png')}",
        "no depth within 5 pixels",
    ),
    "grasp on the floor": (
        f"{TEACH} {CLICK.replace('camera.json', 'oblique.json')} ",
        "outside the workspace",
    ),
    "bare table": (f"{TEACH} {GOOD} --grasp 60,190,0", "nothing stands at the demonstrated grasp"),
    "too wide": (f"{TEACH} {GOOD} --grasp 128,111,84,0.2", "width must be in (0, 0.08] m"),
    "no width": (f"{TEACH} {GOOD} --grasp 128,111,84,0", "width must be in"),
    "grasp of words": (f"{TEACH} {GOOD} --grasp left,up,90", "got 'left,up,90'"),
    "short grasp": (f"{TEACH} {GOOD} --grasp 128,111", "U,V,YAW_DEG[,WIDTH_M]"),
    "NaN grasp": (f"{TEACH} {GOOD} --grasp nan,110,0", "must be finite"),
    "library is a file": (f"{TEACH} {CLICK} --library mine/color.png", "a file stands in the way"),
    "a folder of somebody's": (f"{TEACH.replace('new', 'notes')} {CLICK}", "skills/notes is there"),
    "forced over it": (f"{TEACH.replace('new', 'notes')} {CLICK} --force", "is no skill and stays"),
    "unknown skill": ("pick baar", "no skill 'baar'; did you mean 'bar'?"),
    "no library": ("pick bar --library elsewhere", "none in elsewhere", "--library"),
    "own object forgotten": ("pick peg", "taught on 'peg'", "say with --objects where yours are"),
    "no trials": ("pick mug --trials 0", "trials must be at least 1"),
    "unknown tier to pick": ("pick mug --tier hard", "no tier 'hard'"),
    "not from the simulator": ("pick bar", "pick with --rgb, --depth and --camera"),
    "no look-alike shown": ("pick mug --tier alike", "teach it with --tier alike"),
    "video of a picture": (f"pick bar {GOOD} --video a.mp4", "--video films the simulator"),
    "half a picture": ("pick bar --rgb mine/color.png", "add --depth and --camera"),
    "empty table": (f"pick bar {GOOD.replace('depth.png', 'flat.png')}", "nothing stands on"),
    "other weights": (f"pick bar {GOOD} --weights other.safetensors", "but these are"),
    "damaged skill": ("pick torn", "skills/torn", "no whole safetensors file"),
    "overlay below a file": (f"pick bar {GOOD} --out mine/color.png/x", "mine/color.png/x"),
}


@pytest.fixture
def spoiled(here: Path) -> Path:
    """Files that are not what they should be."""
    mine = here / "mine"
    np.save(mine / "nan.npy", np.full((CAMERA.height, CAMERA.width), np.nan))
    depth = cv2.imread(str(mine / "depth.png"), cv2.IMREAD_UNCHANGED)
    holed = depth.copy()
    holed[90:130, 108:150] = 0
    cv2.imwrite(str(mine / "holes.png"), holed)
    cv2.imwrite(str(mine / "flat.png"), np.full_like(depth, depth.max()))
    high, far = CAMERA.T_world_cam.copy(), CAMERA.T_world_cam.copy()
    high[2, 3] += 1
    far[0, 3] += 3
    aside = CAMERA.T_world_cam.copy()
    aside[0, 3] += 0.3
    for name, change in {
        "no_k": {"K": None},
        "high": {"T_world_cam": high.tolist()},
        "far": {"T_world_cam": far.tolist()},
        "oblique": {"T_world_cam": aside.tolist()},
    }.items():
        shutil.copy(mine / "camera.json", mine / f"{name}.json")
        edit_camera(mine, f"{name}.json", **change)
    tiny_weights(here / "other.safetensors", seed=1)
    tiny_weights(here / "bare.safetensors", modules=())
    (here / "skills/notes").mkdir()
    (here / "skills/notes/chapter.txt").write_text("years of work")
    for name in ("torn", "peg"):
        shutil.copytree(here / "skills/mug", here / "skills" / name)
    lesson = here / "skills/peg/demonstration/lesson.json"
    lesson.write_text(json.dumps({**json.loads(lesson.read_text()), "object_id": "peg"}))
    path = here / "skills/torn/changed.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    return here


def edit_camera(folder: Path, name: str = "camera.json", **changes: object) -> None:
    data = {**json.loads((folder / name).read_text()), **changes}
    kept = {key: value for key, value in data.items() if value is not None}
    (folder / name).write_text(json.dumps(kept))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(cli: Cli, spoiled: Path, weights_file: Path, case: str) -> None:
    line, *said = BAD[case]
    before = contents(spoiled)
    refused(cli(*line.format(weights_file=weights_file).split()), *said)
    assert contents(spoiled) == before
    assert not list((spoiled / "skills").glob(".*"))


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_names_that_a_shell_must_quote(cli: Cli, here: Path, name: str) -> None:
    refused(cli("teach", name, *own("mine"), "--grasp=128,111,84"), "is no name for a skill")


# -- stopped, full, at once --------------------------------------------------------------------


def test_ctrl_c_leaves_no_half_skill(
    cli: Cli, here: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    @contextmanager
    def interrupting(quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
        def report(what: str, done: int, total: int | None) -> None:
            if what == "teaching":
                steps.append(done)
            if steps and done == 3:
                os.kill(os.getpid(), signal.SIGINT)

        yield report

    monkeypatch.setattr(grasplearn.commands.teach, "progress", interrupting)
    # A shell starts what runs in its background with Ctrl-C switched off; a terminal does not.
    before, handler = contents(here), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        flags = [*own("mine"), "--grasp=128,111,84", f"--weights={weights_file}", "--force"]
        ended = cli("teach", "bar", *flags)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended.code == 130 and ended.err == "grasplearn: stopped; no skill was saved\n"
    assert max(steps) == 3 and contents(here) == before
    assert not list((here / "skills").glob(".*"))


def test_a_full_disk(cli: Cli, here: Path, weights_file: Path, small_disk: Path) -> None:
    (small_disk / "mine.txt").write_text("stays")
    flags = [*own("mine"), "--grasp=128,111,84", f"--weights={weights_file}", "--steps=1"]
    refused(cli("teach", "new", *flags, "--library", small_disk), "free some space on its disk")
    assert [p.name for p in small_disk.iterdir()] == ["mine.txt"]


def test_of_two_teaches_at_once_one_is_kept_whole(here: Path, weights_file: Path) -> None:
    flags = [*own("mine"), "--grasp=128,111,84", f"--weights={weights_file}", "--steps=2"]
    command = [sys.executable, "-m", "grasplearn", "teach", "twin", *flags]
    both = [
        subprocess.Popen([*command, f"--seed={seed}"], cwd=here, stderr=subprocess.PIPE, text=True)
        for seed in (1, 2)
    ]
    ended = [(process.communicate()[1], process.returncode) for process in both]
    codes = [code for _, code in ended]
    assert sorted(codes) in ([0, 2], [0, 0]) and 0 in codes
    if 2 in codes:
        assert "skills/twin is there already" in ended[codes.index(2)][0]
    skill = Skill.load(here / "skills/twin")
    assert codes[skill.seed - 1] == 0
    assert sorted(p.name for p in (here / "skills").iterdir()) == ["bar", "mug", "twin"]
