"""What fits into so many bytes, against the memory meter over real steps."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from teaching_kit import demonstration, tiny_weights

from grasplearn.cli import run
from grasplearn.edge.budget import (
    FORMS,
    LEAST_SIDE,
    choose,
    parse_bytes,
    peak_of_steps,
    step_bytes,
    told_bytes,
)
from grasplearn.edge.step_cost import Size, batch_of
from grasplearn.errors import InvalidValueError
from grasplearn.files import save_demonstration
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import Lars
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.teaching_settings import RATES, RECURRING_BATCHES, Teaching, rule_of
from grasplearn.nets.chain import Batch

OWN = Teaching()


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return load_pretrained(str(tiny_weights(tmp_path_factory.mktemp("tiny") / "w.safetensors")))


def batches(pretrained: Pretrained, size: Size, count: int) -> list[Batch]:
    made = [batch_of(pretrained.net.spec, size, seed) for seed in range(count)]
    return [
        Batch(b.pictures, b.target, tuple(range(i * size.batch, (i + 1) * size.batch)))
        for i, b in enumerate(made)
    ]


@pytest.mark.parametrize("method", FORMS)
@pytest.mark.parametrize(("batch", "side"), [(1, 64), (3, 64), (2, 96)])
def test_bytes_without_content_are_those_of_the_meter(
    pretrained: Pretrained, method: str, batch: int, side: int
) -> None:
    rule, optimizer = rule_of(Teaching(method), pretrained), Lars(RATES[method])
    count = 1 if method == "static-sgm" else RECURRING_BATCHES
    seen = batches(pretrained, Size(1, side, batch), count)
    # More steps than are looked at without content: what is kept no longer grows.
    peak = peak_of_steps(copy.deepcopy(pretrained.net), rule, optimizer, [*seen, *seen])
    assert step_bytes(pretrained, method, batch, side) == peak


@pytest.mark.parametrize("method", FORMS)
def test_it_runs_what_fine_tuning_runs(pretrained: Pretrained, method: str) -> None:
    rule, seen = pretrained.rule(method), batches(pretrained, Size(1, 64, 2), 1)
    settings = FineTuning(optimizer=Lars(RATES[method]), measure_memory=True)
    rng = np.random.default_rng(0)
    _, report = fine_tune(pretrained.net, seen, rule, rng, settings, 1)
    net = copy.deepcopy(pretrained.net)
    assert peak_of_steps(net, rule, settings.optimizer, seen) == report.peak_bytes


def test_what_fits_is_chosen_nearest_to_the_own(pretrained: Pretrained) -> None:
    side = OWN.augmentation.side
    whole = step_bytes(pretrained, "static-sgm", OWN.batch, side)
    found = choose(pretrained, OWN, whole)
    assert (found.method, found.batch, found.side) == ("static-sgm", OWN.batch, side)
    assert found.teaching(OWN) == OWN
    # A byte less: a sample less.
    fewer = choose(pretrained, OWN, whole - 1)
    assert fewer.side == side and fewer.batch < OWN.batch
    assert step_bytes(pretrained, fewer.method, fewer.batch, side) == fewer.bytes < whole
    # Less than one sample of the own side: a smaller one, the largest that fits.
    one = step_bytes(pretrained, "static-sgm", 1, side)
    smaller = choose(pretrained, OWN, one - 1)
    assert LEAST_SIDE <= smaller.side < side and smaller.bytes < one
    assert smaller.teaching(OWN).augmentation.side == smaller.side


def test_a_byte_too_little_costs_sixteen_pixels(pretrained: Pretrained) -> None:
    # Small samples, which are quick to count, and every step down to the least side.
    own = replace(OWN, augmentation=replace(OWN.augmentation, side=112))
    for larger in (112, 96, 80):
        need = min(step_bytes(pretrained, form, 1, larger) for form in FORMS)
        assert choose(pretrained, own, need).side == larger
        assert choose(pretrained, own, need - 1).side == larger - 16


def test_the_other_form_is_chosen_where_the_asked_one_does_not_fit(pretrained: Pretrained) -> None:
    side = OWN.augmentation.side
    asked = Teaching("static-sgm-one-pass")
    need = {form: step_bytes(pretrained, form, asked.batch, side) for form in FORMS}
    # Remembered errors cost more than a second pass.
    assert need["static-sgm"] < need["static-sgm-one-pass"]
    assert choose(pretrained, asked, need[asked.method]).method == asked.method
    found = choose(pretrained, asked, need["static-sgm"])
    assert (found.method, found.batch, found.side) == ("static-sgm", asked.batch, side)


def test_if_nothing_fits_the_least_is_told_and_fits(pretrained: Pretrained) -> None:
    with pytest.raises(InvalidValueError, match=r"with --budget ([\d.]+[KMG]iB)") as refusal:
        choose(pretrained, OWN, 1000)
    told = str(refusal.value).split()[-1]
    assert choose(pretrained, OWN, parse_bytes(told)).side == LEAST_SIDE


@pytest.mark.parametrize(
    ("text", "size"), [("8MiB", 8 << 20), ("512KiB", 512 << 10), ("1.5 GiB", 3 << 29)]
)
def test_sizes_are_read_and_told(text: str, size: int) -> None:
    assert parse_bytes(text) == size
    assert size <= parse_bytes(told_bytes(size)) <= size * 1.2


@pytest.mark.parametrize("text", ["8", "8MB", "MiB", "-1MiB", "0KiB", "8 mib", "nanMiB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="as 8MiB"):
        parse_bytes(text)


def teach(folder: Path, weights: Path, *flags: str) -> int:
    shown = folder / "shown"
    save_demonstration(shown, demonstration())
    own = [f"--{name}={shown}/{file}" for name, file in PICTURE.items()]
    rest = ["--grasp=128,111,84,0.06", f"--library={folder}", f"--weights={weights}", "--quiet"]
    return run(["teach", "bar", *own, *rest, "--steps=1", *flags])


PICTURE = {"rgb": "color.png", "depth": "depth.png", "camera": "camera.json"}


def test_the_command_keeps_to_a_budget(weights_file: Path, tmp_path: Path, capsys) -> None:
    weights = load_pretrained(str(weights_file))
    budget = step_bytes(weights, "static-sgm", 1, 128) // 1024 + 1
    told = tmp_path / "told.json"
    assert teach(tmp_path, weights_file, f"--budget={budget}KiB", f"--json={told}") == 0
    assert f"budget {budget}KiB: static-sgm, 1 sample of 128 pixels a step" in (
        capsys.readouterr().out
    )
    card = json.loads(told.read_text())
    assert card["teaching"]["batch"] == 1
    assert card["teaching"]["augmentation"]["side"] == 128


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--budget=1KiB"], "no teaching step fits into 1.0KiB; the least is static-sgm"),
        (["--budget=8"], "as 8MiB"),
        (["--budget=8MiB", "--rule=backprop"], "leave out --rule"),
    ],
)
def test_a_bad_budget_is_told_in_a_sentence(
    flags: list[str], said: str, weights_file: Path, tmp_path: Path, capsys
) -> None:
    assert teach(tmp_path, weights_file, *flags) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not (tmp_path / "bar").exists()


def test_no_other_command_takes_a_budget(capsys) -> None:
    assert run(["pick", "bar", "--budget=8MiB"]) == 2
    assert "--budget" in capsys.readouterr().err
