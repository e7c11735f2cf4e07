"""The training commands from end to end, small; and what careless users type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
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


def test_ctrl_c_in_training_says_how_to_go_on(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 2)
    program = f"""
import os, signal, sys, threading, time
from pathlib import Path
from grasplearn.cli import run
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    while not list(Path({str(tmp_path)!r}).glob("*.checkpoint.json")):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
sys.exit(run(sys.argv[1:]))
"""
    command = ["pretrain", "--families", str(families), "--out", str(tmp_path / "w.safetensors")]
    small = [*QUICK[2:], "--steps", "100000", "--check-every", "5", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", program, *command, *small],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 130 and "goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "w.safetensors").exists()
