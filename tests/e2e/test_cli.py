"""The command line from outside: what it prints, what it refuses, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import trimesh
from cli_kit import command

from grasplearn.cli import main
from grasplearn.config import COMMANDS
from grasplearn.results import RESULTS, RUN, SUMMARY, TIME_FIELDS, locked

# One run that several tests look at: two objects with five trials each.
SETTINGS = [
    "--methods=depth-heuristic",
    "--tiers=same",
    "--max-objects=2",
    "--trials=5",
    "--seed=3",
]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["grasplearn", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return run


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    done = subprocess.run(command("evaluate", *SETTINGS, "--out", out), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return out


@pytest.fixture
def run_folder(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def rows(out: Path) -> list[dict[str, object]]:
    """Without the times, which are all that may differ."""
    found = [json.loads(line) for line in (out / RESULTS).read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if k not in TIME_FIELDS} for row in found]
    return sorted(kept, key=json.dumps)


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def refused(ended: Ended, *said: str) -> None:
    assert ended.code == 2, ended
    assert ended.err.startswith("grasplearn: ") and ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err
    for words in said:
        assert words in ended.err, ended.err


# -- what works --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(cli: Cli, name: str) -> None:
    ended = cli(name, "--help")
    assert ended.code == 0
    assert f"Example: grasplearn {name}" in ended.out
    assert all(flag in ended.out for flag in ("--seed", "--json", "--quiet"))


def test_version_and_overview_are_quick() -> None:
    start = time.process_time()
    before = os.times().children_user
    done = subprocess.run(command("--help"), capture_output=True, text=True)
    assert done.returncode == 0 and "evaluate" in done.stdout
    assert os.times().children_user - before < 1.0
    assert time.process_time() - start < 1.0
    done = subprocess.run(command("--version"), capture_output=True, text=True)
    assert done.stdout.startswith("grasplearn ")


def test_objects_are_listed_a_line_each_and_as_json(cli: Cli, tmp_path: Path) -> None:
    ended = cli("objects", "--split", "test", "--category", "mug", "--json", tmp_path / "mugs.json")
    assert ended.code == 0 and ended.err == ""
    found = json.loads((tmp_path / "mugs.json").read_text())["rows"]
    assert [row["id"] for row in found] == ["mug_06", "mug_07"]
    assert {"category", "split", "parts", "symmetry", "size_m", "mass_kg"} <= found[0].keys()
    assert sum("mug_0" in line for line in ended.out.splitlines()) == 2


def test_a_contact_sheet_shows_every_object(cli: Cli, tmp_path: Path) -> None:
    sheets = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for sheet, seed in zip(sheets, (0, 0, 1), strict=True):
        assert cli("objects", "--category", "cup", "--sheet", sheet, "--seed", seed).code == 0
    a, b, c = (sheet.read_bytes() for sheet in sheets)
    assert a == b != c


def test_own_objects_are_listed_and_complaints_go_to_stderr(cli: Cli, tmp_path: Path) -> None:
    trimesh.creation.box((0.04, 0.05, 0.06)).export(tmp_path / "brick_1.stl")
    (tmp_path / "junk.obj").write_text("v nan nan nan\n")
    ended = cli("objects", "--objects", tmp_path)
    assert ended.code == 0
    assert "brick_1" in ended.out and "mug" not in ended.out
    assert ended.err.startswith("junk: ") and ended.err.count("\n") == 1


def test_evaluate_leaves_rows_and_a_summary(finished: Path) -> None:
    assert len(rows(finished)) == 10
    summary = json.loads((finished / SUMMARY).read_text())
    assert {"rows", "paired", "command", "commit", "versions", "seed"} <= summary.keys()
    assert {row["metric"] for row in summary["rows"]} == {"success", "lifted", "on_part"}
    assert {row["tier"] for row in summary["rows"]} == {"same", "mean"}


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(command("objects"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert p.stdout is not None and p.stderr is not None
        p.stdout.close()
        assert p.wait(60) == 0
        assert p.stderr.read() == b""


# -- what is refused ---------------------------------------------------------------------------

BAD = {
    "no command": ("", "demo, objects, evaluate"),
    "unknown command": ("dmo", "Unrecognized options: dmo"),
    "unknown flag": ("demo --sed 3", "did you mean --seed?", "grasplearn demo --help"),
    "missing value": ("demo --seed", "Missing value for argument '--seed'"),
    "not a number": ("evaluate --trials few", "--trials", "few"),
    "NaN for a count": ("demo --trials nan", "--trials", "nan"),
    "unknown object": ("demo --object mgu_06", "no object 'mgu_06'; did you mean 'mug_06'?"),
    "unknown part": (
        "demo --object mug_06 --part handel --methods random",
        "did you mean 'handle'?",
    ),
    "unknown method": ("demo --methods scriptd", "did you mean 'scripted'?"),
    "unknown rule": ("demo --rule backpropp", "did you mean 'backprop'?"),
    "unknown weights": ("demo --weights {here}/none", "no weights", "{here}/none"),
    "unknown weights of a run": ("evaluate --methods imprint --weights nrrow", "'nrrow'"),
    "weights that are none": ("evaluate --methods backprop --weights {here}/file", "{here}/file"),
    "unknown tier": ("demo --tier cluter", "did you mean 'clutter'?"),
    "no trials": ("demo --trials 0", "trials must be at least 1"),
    "negative trials": ("evaluate --trials -3", "trials must be at least 1, got -3"),
    "no demonstrations": ("evaluate --demos 0", "demos must be at least 1"),
    "no workers": ("evaluate --workers 0", "workers must be at least 1"),
    "no objects": ("evaluate --max-objects 0", "max_objects must be at least 1"),
    "no methods": ("evaluate --methods ,", "at least one method"),
    "one method of two": ("evaluate --methods template,scriptd", "'scriptd'", "'scripted'?"),
    "one tier of two": ("evaluate --tiers same,kim", "did you mean 'kin'?"),
    "unknown split of a run": ("evaluate --split tst", "did you mean 'test'?"),
    "unknown split": ("objects --split valdation", "did you mean 'validation'?"),
    "unknown category": ("objects --category hamer", "did you mean 'hammer'?"),
    "unknown backend": ("evaluate --backend slurm", "no backend 'slurm'", "joblib, ray"),
    "address without ray": ("evaluate --address here:1", "--backend ray"),
    "an interval of nothing": ("evaluate --until-halfwidth 0", "until_halfwidth must be above 0"),
    "own method missing": ("evaluate --methods {here}/none.py:grasp", "no file {here}/none.py"),
    "window without a display": ("demo --gui", "needs a display"),
    "out is a file": ("demo --out {here}/file", "{here}/file", "a file stands in the way"),
    "out below a file": (
        "evaluate --methods random --out {here}/file/run",
        "{here}/file",
        "in the way",
    ),
    "figures into a folder": (
        "objects --json {here}/empty",
        "{here}/empty",
        "a folder stands in the way",
    ),
    "sheet below a file": ("objects --category cup --sheet {here}/file/a.png", "{here}/file"),
    "objects missing": ("demo --objects {here}/none", "no folder {here}/none"),
    "objects in a file": ("objects --objects {here}/file", "no folder {here}/file"),
    "objects empty": ("objects --objects {here}/empty", "holds no objects"),
    "broken URDF": ("objects --objects {here}/urdf", "no usable object", "thing"),
    "no triangles": ("objects --objects {here}/flat", "no usable object", "flat"),
    "NaN mesh": ("evaluate --objects {here}/nan", "no usable object", "nan"),
    "no mesh at all": ("objects --objects {here}/noise", "no usable object", "noise"),
    "millimetres": ("demo --objects {here}/large", "millimetres", "0.001"),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Files that are not what they should be."""
    (tmp_path / "file").write_text("already here")
    for name in ("empty", "urdf", "flat", "nan", "noise", "large"):
        (tmp_path / name).mkdir()
    (tmp_path / "urdf" / "thing.urdf").write_text("<robot name='thing'><link>")
    box = trimesh.creation.box((0.04, 0.05, 0.06))
    point = box.copy()
    point.vertices[:] = 0.0
    point.export(tmp_path / "flat" / "flat.stl")
    box.vertices[3] = np.nan
    box.export(tmp_path / "nan" / "nan.stl")
    (tmp_path / "noise" / "noise.glb").write_bytes(bytes(range(256)) * 9)
    trimesh.creation.box((40, 50, 60)).export(tmp_path / "large" / "brick.stl")
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(here)
    monkeypatch.delenv("DISPLAY", raising=False)
    before = contents(here)
    line, *said = (text.format(here=here) for text in BAD[case])
    refused(cli(*line.split()), *said)
    assert contents(here).items() >= before.items()


def test_a_display_where_nobody_answers_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4071")
    refused(cli("demo", "--gui"), "needs a display")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_to_write(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for name in ("demo", "evaluate"):
        refused(cli(name, "--out", tmp_path / "out"), str(tmp_path), "may write")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk to fill can only be mounted by root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["demo", "evaluate"])
def test_a_full_disk(cli: Cli, small_disk: Path, name: str) -> None:
    (small_disk / "mine.txt").write_text("stays")
    flags = SETTINGS if name == "evaluate" else ["--methods=scripted"]
    refused(cli(name, *flags, "--out", small_disk / "out"), str(small_disk), "free some space")
    assert (small_disk / "mine.txt").read_text() == "stays"
    assert not [p for p in small_disk.rglob("*.png*") if p.stat().st_size]


# -- a run's folder ----------------------------------------------------------------------------


def test_a_run_is_not_overwritten(cli: Cli, run_folder: Path) -> None:
    before = contents(run_folder)
    refused(cli("evaluate", *SETTINGS, "--out", run_folder), str(run_folder), "--resume")
    refused(cli("demo", "--out", run_folder), str(run_folder), "holds an evaluation")
    assert contents(run_folder) == before


def test_a_run_is_not_resumed_with_other_settings(cli: Cli, run_folder: Path) -> None:
    before = contents(run_folder)
    flags = [*SETTINGS, "--out", run_folder, "--resume", "--trials=6", "--seed=4"]
    refused(cli("evaluate", *flags), "(trials, seed)")
    assert contents(run_folder) == before


@pytest.mark.parametrize("text", ["{not json}", "[1, 2]", "\ufffd\x00"])
def test_settings_that_cannot_be_read(cli: Cli, run_folder: Path, text: str) -> None:
    (run_folder / RUN).write_text(text)
    refused(cli("evaluate", *SETTINGS, "--out", run_folder, "--resume"), str(run_folder / RUN))
    assert (run_folder / RUN).read_text() == text


@pytest.mark.parametrize("line", ["{torn", "7", '{"method": "template"}', "\xff"])
def test_a_broken_row_is_named(cli: Cli, run_folder: Path, line: str) -> None:
    path = run_folder / RESULTS
    lines = path.read_text().splitlines(keepends=True)
    broken = "".join([*lines[:3], line + "\n", *lines[3:]])
    path.write_text(broken, encoding="latin-1")
    refused(cli("evaluate", *SETTINGS, "--out", run_folder, "--resume"), str(path), "line 4")
    assert path.read_text(encoding="latin-1") == broken


def test_a_torn_last_row_is_made_again(cli: Cli, run_folder: Path) -> None:
    whole = rows(run_folder)
    path = run_folder / RESULTS
    path.write_bytes(path.read_bytes()[:-20])
    ended = cli("evaluate", *SETTINGS, "--out", run_folder, "--resume")
    assert ended.code == 0, ended.err
    assert rows(run_folder) == whole


def test_results_of_something_else_are_not_mixed(cli: Cli, run_folder: Path) -> None:
    (run_folder / RUN).unlink()
    before = contents(run_folder)
    refused(cli("evaluate", *SETTINGS, "--out", run_folder, "--resume"), "something else")
    assert contents(run_folder) == before


def test_of_two_runs_in_one_folder_the_second_is_refused(cli: Cli, run_folder: Path) -> None:
    before = contents(run_folder)
    with locked(run_folder):
        refused(cli("evaluate", *SETTINGS, "--out", run_folder, "--resume"), "another process")
        refused(cli("demo", "--out", run_folder), "another process")
    assert contents(run_folder) == before


@pytest.mark.parametrize(
    ("workers", "end"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)]
)
def test_what_is_stopped_keeps_its_rows_and_resume_goes_on(
    finished: Path, tmp_path: Path, workers: int, end: signal.Signals
) -> None:
    out = tmp_path / "run"
    path = out / RESULTS
    # The lessons are taken over: they take longest, and the other runs make them too.
    shutil.copytree(finished / "lessons", out / "lessons")
    flags = [*SETTINGS, "--workers", workers, "--out", out]
    # One process is stopped after its first rows, two as soon as they are at work. They get a
    # session of their own, so that the whole group gets Ctrl-C, as from a terminal; SIGTERM is
    # for the first process alone.
    with subprocess.Popen(
        command("evaluate", *flags), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (path.exists() and path.stat().st_size >= (workers == 1)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
        # Their ends of the pipe close with the workers, too.
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = rows(out)
    assert len(kept) < 10 and (kept or workers > 1)
    assert said.count("\n") == 1 and "Traceback" not in said
    assert f"stopped; {len(kept)} trials are kept in {out}" in said and "--resume" in said
    done = subprocess.run(command("evaluate", *flags, "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows(out) == rows(finished)
