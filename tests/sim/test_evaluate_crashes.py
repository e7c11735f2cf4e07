"""Evaluations whose worker, process or disk fails: no row is lost, none doubled, none left out."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from teaching_kit import tiny_weights

import grasplearn.policies.taught_cache as taught_cache
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.evaluate import AT_WORK, evaluate
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, SUMMARY, TEACHING, TIME_FIELDS, RowFile, read_rows, row_key
from grasplearn.statistics import widest

# Two objects with two scenes each.
SETTINGS = EvaluationSettings(("random",), ("same",), split="train", max_objects=2, trials=2)
METHOD = '''
import os, signal
from pathlib import Path
import numpy as np
from grasplearn.types import Grasp

def steady(demonstration, observation):
    return demonstration.grasp

def deadly(demonstration, observation):
    """Kills its process whenever it sees the picture that it died of first."""
    marker = Path(__file__).with_name("victim")
    seen = str(observation.depth.sum())
    if not marker.exists():
        marker.write_text(seen)
    if marker.read_text() == seen:
        os.kill(os.getpid(), signal.SIGKILL)
    return demonstration.grasp
'''


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    evaluate(SETTINGS, out)
    return out


@pytest.fixture
def method(tmp_path: Path) -> Path:
    path = tmp_path / "method.py"
    path.write_text(METHOD)
    return path


def begun(run: Path, out: Path) -> Path:
    """A new run's folder with the lessons of an old one."""
    shutil.copytree(run / "lessons", out / "lessons")
    return out


def rows(out: Path) -> list[dict[str, Any]]:
    found = read_rows(out / RESULTS)
    return sorted(
        ({k: v for k, v in row.items() if k not in TIME_FIELDS} for row in found), key=row_key
    )


def check_one_victim(out: Path, name: str, summary: dict[str, Any]) -> None:
    deadly = [row for row in rows(out) if row["method"] == name]
    assert len(deadly) == 4
    (victim,) = [row for row in deadly if row["outcome"] == "error"]
    assert "died, for the second time" in victim["message"] and not victim["success"]
    record = next(r for r in summary["rows"] if r["method"] == name and r["metric"] == "success")
    assert record["trials"] == 4, "it stays in the denominator"


def test_a_trial_that_kills_its_worker_twice_is_an_error_and_the_rest_is_done(
    run: Path, method: Path, tmp_path: Path
) -> None:
    name = f"{method}:deadly"
    settings = dataclasses.replace(SETTINGS, methods=("random", name))
    out = begun(run, tmp_path / "out")
    summary = evaluate(settings, out, workers=2)
    check_one_victim(out, name, summary)
    others = [row for row in rows(out) if row["method"] == "random"]
    assert others == rows(run)


def test_a_process_that_worked_alone_and_was_killed_goes_on_and_names_the_culprit(
    run: Path, method: Path, tmp_path: Path
) -> None:
    name = f"{method}:deadly"
    out = begun(run, tmp_path / "out")
    flags = ["--methods", f"random,{name}", "--tiers=same", "--split=train", "--max-objects=2"]
    command = [sys.executable, "-m", "grasplearn", "evaluate", *flags, "--trials=2", "--out", out]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    assert (out / AT_WORK).exists() and not (out / SUMMARY).exists()
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (out / AT_WORK).exists()
    check_one_victim(out, name, json.loads((out / SUMMARY).read_text()))
    assert [row for row in rows(out) if row["method"] == "random"] == rows(run)


def test_a_method_from_a_file_has_its_rows_and_its_file_is_part_of_the_run(
    run: Path, method: Path, tmp_path: Path
) -> None:
    name = f"{method}:steady"
    settings = dataclasses.replace(SETTINGS, methods=(name,))
    out = begun(run, tmp_path / "out")
    evaluate(settings, out)
    assert {row["method"] for row in rows(out)} == {name} and len(rows(out)) == 4
    method.write_text(METHOD + "\n")
    with pytest.raises(FileFormatError, match="entered_digest"):
        evaluate(settings, out, resume=True)


@pytest.mark.parametrize(
    "text, name, said",
    [
        ("def grasp(a, b): pass", "grab", "has no function 'grab'"),
        ("import nothing_of_that_name", "grasp", "cannot be imported .*ModuleNotFoundError"),
        ("grasp = 3", "grasp", "has no function 'grasp'"),
    ],
)
def test_a_method_that_cannot_be_entered_is_told_in_a_sentence(
    tmp_path: Path, text: str, name: str, said: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    settings = dataclasses.replace(SETTINGS, methods=(f"{path}:{name}",))
    with pytest.raises(InvalidValueError, match=said):
        evaluate(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- the disk ----------------------------------------------------------------------------------


def row(trial: int) -> dict[str, Any]:
    key = {"method": "m", "tier": "same", "object": "o", "demonstration": 0, "trial": trial}
    return {**key, "message": "x" * 200}


def test_rows_that_do_not_fit_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RowFile(path) as file:
        file.append([row(0), row(1)])
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 150, hard))
        try:
            with pytest.raises(OSError):
                file.append([row(2)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        file.append([row(2)])
    assert [r["trial"] for r in read_rows(path)] == [0, 1, 2]


def test_a_row_at_every_torn_length_is_whole_or_gone(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    with RowFile(path) as file:
        file.append([row(0), row(1)])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert len(read_rows(path)) == whole[:length].count(b"\n")
        with RowFile(path) as file:
            file.append([row(2)])
        assert read_rows(path)[-1]["trial"] == 2


def test_two_rows_of_one_trial_are_refused(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    with RowFile(path) as file:
        file.append([row(0), row(0)])
    with pytest.raises(FileFormatError, match="two rows of one trial"):
        read_rows(path)


# -- how many trials ---------------------------------------------------------------------------


def test_trials_are_held_until_the_intervals_are_narrow(run: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, methods=("depth-heuristic",), until_halfwidth=0.2)
    out = begun(run, tmp_path / "out")
    summary = evaluate(settings, out)
    found = rows(out)
    assert widest(found) <= 0.2
    assert len(found) > 4 and len(found) % 4 == 0, "whole rounds of two objects with two trials"
    before_the_last = [r for r in found if r["trial"] < len(found) // 2 - 2]
    assert widest(before_the_last) > 0.2, "and no round more"
    record = summary["rows"][0]
    assert (record["wilson_high"] - record["wilson_low"]) / 2 <= 0.2
    # The first round is what a run without the wish holds.
    plain = begun(run, tmp_path / "plain")
    evaluate(dataclasses.replace(settings, until_halfwidth=None), plain)
    assert [r for r in found if r["trial"] < 2] == rows(plain)
    before = (out / RESULTS).read_bytes()
    evaluate(settings, out, resume=True)
    assert (out / RESULTS).read_bytes() == before


# -- teaching once -----------------------------------------------------------------------------


def test_what_was_taught_in_one_run_is_not_taught_again_in_another(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny_weights(tmp_path / "tiny.safetensors", seed=3)
    settings = dataclasses.replace(
        SETTINGS, methods=("static-sgm",), max_objects=1, trials=1, weights=str(weights)
    )
    taught: list[str] = []
    teach = taught_cache.teach

    def counted(demonstration: Any, pretrained: Any, teaching: Any, seed: int) -> Any:
        taught.append(pretrained.digest)
        return teach(demonstration, pretrained, teaching, seed)

    monkeypatch.setattr(taught_cache, "teach", counted)
    first, second = begun(run, tmp_path / "a"), begun(run, tmp_path / "b")
    evaluate(settings, first)
    evaluate(settings, second)
    assert len(taught) == 1 and rows(first) == rows(second)
    # Both tell how it went, and how long it took when it was done.
    a, b = ((out / TEACHING).read_text() for out in (first, second))
    assert a == b
    told = json.loads(a)
    assert (
        len(told["losses"]) == Teaching().steps
        and told["seconds"] > 0
        and told["method"] == "static-sgm"
    )
    # Other weights, another seed or another demonstration are another teaching.
    tiny_weights(weights, seed=4)
    evaluate(settings, begun(run, tmp_path / "c"))
    evaluate(dataclasses.replace(settings, seed=1), tmp_path / "d")
    assert len(taught) == 3


def test_a_cache_that_cannot_be_written_only_costs_time(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    weights = tiny_weights(tmp_path / "tiny.safetensors", seed=3)
    settings = dataclasses.replace(
        SETTINGS, methods=("imprint",), max_objects=1, trials=1, weights=str(weights)
    )
    out = begun(run, tmp_path / "out")
    evaluate(settings, out)
    assert [row["outcome"] == "error" for row in rows(out)] == [False]
