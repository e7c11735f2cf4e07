"""The training commands from end to end, small; and what careless users type."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_kit import command
from family_kit import write_families

from grasplearn.cli import run
from grasplearn.learning.pretrained import load_pretrained

QUICK = ("--steps", "2", "--side", "96", "--questions", "2", "--width", "8", "--depth", "2")
VERIFIER = ("--cases", "3", "--questions", "2", "--steps", "2", "--batch", "2")
OVERVIEW = ("--cases", "3", "--questions", "2", "--steps", "2", "--batch", "6", "--channels", "4")
META = ("--tasks", "1", "--steps", "2", "--batch", "2", "--side", "64")


def test_from_families_to_weights_with_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    families = write_families(tmp_path / "families", 3)
    out = tmp_path / "w.safetensors"
    chosen = ["--families", str(families), "--out", str(out), "--quiet"]
    assert run(["pretrain", *chosen, "--validation", str(families), *QUICK]) == 0
    assert "mean" in capsys.readouterr().out
    second = ["train-verifier", *chosen, "--weights", str(out), "--validation", str(families)]
    assert run([*second, *VERIFIER]) == 0
    assert "verified" in capsys.readouterr().out
    third = ["train-overview", *chosen, "--weights", str(out), "--validation", str(families)]
    assert run([*third, *OVERVIEW]) == 0
    assert "compared" in capsys.readouterr().out
    for rule in ("static-sgm", "static-sgm-one-pass"):
        assert run(["meta-train", *chosen, "--weights", str(out), "--rule", rule, *META]) == 0
    made = load_pretrained(str(out))
    assert set(made.modules) == {"static-sgm", "static-sgm-one-pass"}
    assert made.verifier is not None and made.card["verifier_training"]["settings"]["steps"] == 2
    assert made.verifier.overview is not None and made.card["overview_training"]["commit"]
    assert made.card["command"].startswith("grasplearn") and made.card["validation"]


def test_rendering_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["--families", "1", "--tiers", "same", "--split", "validation", "--quiet"]
    assert run(["render", *wanted, "--out", str(tmp_path)]) == 0
    assert "1 families" in capsys.readouterr().out
    assert len(list(tmp_path.glob("family-*.npz"))) == 1


BAD = {
    "no families": (["pretrain", "--families", "{here}/none"], "grasplearn render"),
    "no validation families": (
        ["pretrain", "--families", "{here}/families", "--validation", "{here}/none"],
        "grasplearn render",
    ),
    "unknown device": (["pretrain", "--families", "{here}/families", "--device", "tpu"], "cuda"),
    "no families for the verifier": (
        ["train-verifier", "--weights", "shipped", "--families", "{here}/none"],
        "grasplearn render",
    ),
    "no verifier to compare for": (
        ["train-overview", "--weights", "narrow", "--families", "{here}/families"],
        "train-verifier",
    ),
    "too small a batch": (
        ["train-overview", "--weights", "shipped", "--families", "{here}/families", "--batch", "4"],
        "batch",
    ),
    "no cases": (
        ["train-verifier", "--weights", "shipped", "--families", "{here}/families", "--cases", "0"],
        "cases",
    ),
    "no steps": (["pretrain", "--families", "{here}/families", "--steps", "0"], "steps"),
    "odd side": (["pretrain", "--families", "{here}/families", "--side", "97"], "side"),
    "unknown start": (["pretrain", "--families", "{here}/families", "--start", "best"], "best"),
    "no such weights": (
        ["meta-train", "--weights", "{here}/none.safetensors", "--families", "{here}/families"],
        "none.safetensors",
    ),
    "foreign weights": (
        ["meta-train", "--weights", "{here}/notes.txt", "--families", "{here}/families"],
        "notes.txt",
    ),
    "a rule without modules": (["meta-train", "--rule", "backprop"], "static-sgm"),
    "an unknown tier": (["render", "--tiers", "cluter", "--out", "{here}/new"], "'clutter'"),
    "an unknown split": (["render", "--split", "tests", "--out", "{here}/new"], "'test'"),
    "no such objects": (
        ["render", "--objects", "{here}/none", "--families", "1", "--out", "{here}/new"],
        "none",
    ),
    "other settings": (
        ["render", "--families", "9", "--out", "{here}/families"],
        "choose another --out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    write_families(tmp_path / "families", 1)
    (tmp_path / "notes.txt").write_text("no weights")
    arguments, said = BAD[case]
    chosen = [a.format(here=tmp_path) for a in arguments]
    if "--out" not in chosen:
        chosen += ["--out", str(tmp_path / "w.safetensors")]
    assert run([*chosen, "--quiet"]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told and "Traceback" not in told and told.count("\n") == 0
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize(
    ("workers", "end"), [(0, signal.SIGINT), (1, signal.SIGINT), (1, signal.SIGTERM)]
)
def test_training_that_is_stopped_says_how_to_go_on(
    tmp_path: Path, workers: int, end: signal.Signals
) -> None:
    families = write_families(tmp_path / "families", 2)
    chosen = ["--families", families, "--out", tmp_path / "w.safetensors", "--workers", workers]
    small = [*QUICK[2:], "--steps", "100000", "--check-every", "5", "--quiet"]
    # The workers get the signal, too, as from a terminal, a container or a batch system.
    with subprocess.Popen(
        command("pretrain", *chosen, *small),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 90
        while not list(tmp_path.glob("*.checkpoint.json")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, end)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on" in said
    assert said.count("\n") == 1 and "Traceback" not in said
    assert not (tmp_path / "w.safetensors").exists()


def test_a_worker_mourns_everything_but_a_reader_that_is_gone() -> None:
    code = (
        "import sys; from grasplearn.learning.pretrain import deaf_to_interrupts\n"
        "deaf_to_interrupts(0)\n"
        "try: raise {}('what happened')\n"
        "except Exception: sys.excepthook(*sys.exc_info())"
    )
    for kind, told in (("ConnectionResetError", False), ("ValueError", True)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(kind)], capture_output=True, text=True
        )
        assert done.returncode == 0
        assert ("what happened" in done.stderr) == told == bool(done.stderr)
