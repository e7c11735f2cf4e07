"""Learned policies: one interface with the controls, and no torch where none is asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from teaching_kit import demonstration, table

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.learning import teaching_settings
from grasplearn.learning.augment import Augmentation
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.plan import METHODS
from grasplearn.policies import CONTROLS, LEARNED, Learned, make_policy
from grasplearn.policies.learned import LearnedGrasper, one_thread, weights_digest


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods' own settings take seconds."""
    settings = partial(Teaching, steps=2, batch=2, probe=2, augmentation=Augmentation(side=96))
    monkeypatch.setattr(teaching_settings, "Teaching", settings)


def taught(weights: Path, method: str, seed: int = 0) -> LearnedGrasper:
    return Learned(method, str(weights)).teach(demonstration(), np.random.default_rng(seed))


def test_every_method_can_be_named_in_a_run() -> None:
    assert list(METHODS) == [*LEARNED, "scripted", *CONTROLS]
    for name in (*LEARNED, *CONTROLS):
        assert make_policy(name).name == name
    with pytest.raises(UnknownNameError, match="did you mean 'imprint'"):
        make_policy("inprint")
    with pytest.raises(UnknownNameError, match="known: static-sgm"):
        Learned("template")


@pytest.mark.parametrize("method", LEARNED)
def test_facts_are_json_without_times_and_the_same_again(weights_file: Path, method: str) -> None:
    first, again = (taught(weights_file, method, seed=4) for _ in range(2))
    assert json.dumps(first.facts, allow_nan=False) == json.dumps(again.facts)
    tuned = method not in ("imprint", "imprint-unverified", "untaught")
    assert set(first.facts) == {"kept", "warning"} | (
        {"missed", "last_loss", "guards", "probe_loss"} if tuned else set()
    )
    assert first.facts["kept"] == first.taught.kept
    assert first(table(0.45, 0.05)) == first.taught.predict(table(0.45, 0.05)).grasp


def test_a_loss_that_is_not_finite_is_none_in_the_facts(
    weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = partial(Teaching, steps=6, rate=1e18, frozen=0)
    monkeypatch.setattr(teaching_settings, "Teaching", far)
    facts = taught(weights_file, "backprop").facts
    assert facts["last_loss"] is None and facts["probe_loss"][1] is None
    assert facts["kept"] == "imprint"


def test_what_is_random_comes_from_the_generator(weights_file: Path) -> None:
    losses = {taught(weights_file, "backprop", seed).facts["last_loss"] for seed in (0, 0, 1)}
    assert len(losses) == 2


# -- weights -----------------------------------------------------------------------------------


def test_weights_are_read_once_while_they_stay_as_they_are(
    weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(weights_file, tmp_path / "own.safetensors"))
    reads = []
    load = load_pretrained

    def counted(weights: str) -> Pretrained:
        reads.append(weights)
        return load(weights)

    monkeypatch.setattr("grasplearn.learning.pretrained.load_pretrained", counted)
    before = [weights_digest(["imprint"], str(path)) for _ in range(2)]
    taught(path, "imprint")
    assert len(reads) == 1 and before[0] == before[1] == load(str(path)).digest
    other = load(str(path))
    other.net.head.width.data.fill_(0.25)
    save_pretrained(path, other)
    assert weights_digest(["imprint"], str(path)) == load(str(path)).digest != before[0]


def test_weights_that_do_not_serve_are_refused(weights_file: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.safetensors"
    save_pretrained(bare, Pretrained(load_pretrained(str(weights_file)).net))
    assert weights_digest(["backprop", "imprint", "template"], str(bare)) != ""
    with pytest.raises(InvalidValueError, match="no modules for static-sgm"):
        weights_digest(["imprint", "static-sgm"], str(bare))
    with pytest.raises(UnknownNameError, match=r"no weights .* 'nowhere'"):
        weights_digest(["imprint"], "nowhere")
    (tmp_path / "odd.safetensors").write_text("no tensors")
    with pytest.raises(FileFormatError, match=r"odd\.safetensors"):
        weights_digest(["imprint"], str(tmp_path / "odd.safetensors"))


def test_controls_need_no_weights() -> None:
    assert weights_digest(CONTROLS, "nowhere") == ""


# -- torch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_inside_and_as_before_outside(threads: int) -> None:
    first = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with pytest.raises(ZeroDivisionError), one_thread(["template", "imprint"]):
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == threads
        with one_thread(["template"]):
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(first)


@pytest.mark.parametrize(
    "line",
    [
        "import grasplearn.evaluate, grasplearn.commands.evaluate, grasplearn.commands.demo",
        "from grasplearn.policies import make_policy; make_policy('template')",
        "from grasplearn.policies.learned import one_thread, weights_digest\n"
        "with one_thread(['template']): weights_digest(['template'], 'shipped')",
        "from grasplearn.cli import run; assert run(['evaluate', '--help']) == 0",
    ],
)
def test_controls_and_help_do_without_torch(line: str) -> None:
    code = f"import sys\n{line}\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
