"""Reports, episodes and benchmarks from the command line, of one small run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grasplearn.evaluate import evaluate
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, RUN, SUMMARY, read_rows

SETTINGS = EvaluationSettings(
    ("depth-heuristic", "scripted"), ("same",), split="train", max_objects=1, trials=2
)
CHROMIUM = next((w for n in ("chromium", "google-chrome") if (w := shutil.which(n))), None)


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "run"
    evaluate(SETTINGS, out)
    return out


@pytest.fixture(scope="module")
def page(run: Path) -> Path:
    done = grasplearn("report", run, run, "--pictures", 1, "--clips", 1)
    assert done.returncode == 0, done.stderr
    assert "0 of" in done.stdout, "a run does not differ from itself"
    return run / "report.html"


def grasplearn(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grasplearn", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_report_shows_the_run_and_its_failures(run: Path, page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    lost = [r for r in read_rows(run / RESULTS) if not r["success"]]
    assert lost, "the depth heuristic knows nothing of what was shown"
    assert html.count('class="case bad"') == len({r["method"] for r in lost} - {"scripted"})
    assert "could not be set up again" not in html
    assert "data:video/mp4;base64," in html
    summary = json.loads((run / SUMMARY).read_text())
    for value in (summary["commit"], summary["versions"]["pybullet"]):
        assert value in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_a_complaint(page: Path, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "page.png"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"]
    command += [f"--window-size={width},2000", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=240)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    assert "Success by method and tier" in done.stdout
    shot = [c for c in command if c != "--dump-dom"]
    subprocess.run([*shot, f"--screenshot={picture}", page.as_uri()], capture_output=True)
    assert picture.stat().st_size > 20_000


def test_a_report_of_a_run_that_was_broken_off_says_so(run: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(run, tmp_path / "broken")
    (broken / SUMMARY).unlink()
    lines = (broken / RESULTS).read_text().splitlines(keepends=True)
    (broken / RESULTS).write_text("".join(lines[:2]))
    done = grasplearn("report", broken, "--pictures", 0)
    assert done.returncode == 0, done.stderr
    html = (broken / "report.html").read_text(encoding="utf-8")
    assert "This run is not finished" in html and "--resume" in html


def test_trials_become_a_dataset_of_what_happened(run: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "dataset"
    flags = ["--methods", "scripted", "--most", 1, "--lerobot", out]
    done = grasplearn("episodes", run, *flags)
    assert done.returncode == 0, done.stderr
    data = parquet.read_table(out / "data/chunk-000/file-000.parquet").to_pydict()
    info = json.loads((out / "meta" / "info.json").read_text())
    assert info["total_episodes"] == 1 and info["total_frames"] == len(data["index"]) > 30
    states = data["observation.state"]
    assert states[0] != states[-1] and all(len(state) == 9 for state in states)
    row = next(r for r in read_rows(run / RESULTS) if r["method"] == "scripted")
    assert data["next.success"][-1] == row["success"]


BAD = {
    "no run": ("report {here}", "holds no evaluation"),
    "no second run": ("report {run} {here}", "holds no evaluation"),
    "no pictures": ("report {run} --pictures -1", "must be at least 0"),
    "no form": ("episodes {run}", "--lerobot DIR"),
    "no such method in it": ("episodes {run} --methods random --rerun {here}/a", "no method of"),
    "no episodes": ("episodes {run} --most 0 --rerun {here}/a", "most must be at least 1"),
    "no benchmark": ("benchmark v9", "no benchmark 'v9'", "v2"),
    "another seed": ("benchmark v2 --seed 3", "has a seed of its own"),
    "no method": ("benchmark v2 --methods scriptd", "did you mean 'scripted'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(run: Path, tmp_path: Path, case: str) -> None:
    line, *said = (text.format(here=tmp_path, run=run) for text in BAD[case])
    done = grasplearn(*line.split())
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_of_another_version_is_told_in_a_sentence(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    told = json.loads((other / RUN).read_text())
    (other / RUN).write_text(json.dumps({**told, "tiers": ["gone"]}))
    done = grasplearn("report", other)
    assert done.returncode == 2 and re.search("another version", done.stderr), done.stderr
