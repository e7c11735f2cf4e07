"""The bench's figures against sums that can be done by hand, and the command as users meet it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from grasplearn.cli import run
from grasplearn.edge.step_cost import (
    Size,
    analytic_bytes,
    batch_of,
    costs,
    interleaved,
    multiplies,
    resident_growth,
)
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.rules import RULES

SMALL = NetSpec(width=8, depth=3, features=8, groups=2, turns=8, kernel=3, hidden=4)
COLUMNS = {
    "rule",
    "depth",
    "size",
    "batch",
    "time_ratio",
    "peak_live_bytes",
    "inference_live_bytes",
    "analytic_bytes",
    "resident_growth_bytes",
    "multiplies",
}


def test_multiplications_are_those_of_the_products() -> None:
    x, w = torch.ones(2, 3, 10, 10), torch.ones(4, 3, 3, 3)
    assert multiplies(lambda: torch.nn.functional.conv2d(x, w)) == 2 * 4 * 64 * 27
    assert multiplies(lambda: torch.ones(5, 6) @ torch.ones(6, 7)) == 5 * 6 * 7
    whole = torch.ones(5, 6, dtype=torch.int32)
    assert multiplies(lambda: whole @ whole.T) == 5 * 6 * 5

    def step() -> None:
        leaf = torch.ones(4, 3, requires_grad=True)
        torch.autograd.grad((torch.ones(2, 4) @ leaf).sum(), leaf)

    assert multiplies(step) == 2 * (2 * 4 * 3)


def test_activations_on_paper() -> None:
    net = GraspNet(SMALL)
    batch = batch_of(SMALL, Size(1, 32, 2), 0)
    one = 2 * 8 * 8 * 8 * 4  # samples, channels, 8 x 8 cells, bytes of a float
    assert analytic_bytes(net, batch, "linear") == 5 * one
    assert analytic_bytes(net, batch, "flat") == 4 * one
    assert analytic_bytes(net, batch, "sqrt") == 4 * one  # an input kept, two outputs, a gradient


def test_rules_are_timed_in_turn() -> None:
    order = []
    steps = {name: (lambda name=name: order.append(name)) for name in "ab"}
    interleaved(steps, 3, lambda: order.append("."))
    assert "".join(order) == "aa.bb." * 3, "each once untimed, right before it is timed"
    assert interleaved({"slow": lambda: time.sleep(0.02)}, 3)["slow"] >= 0.02


def test_a_tick_comes_for_every_round_of_a_rule_and_once_it_is_measured() -> None:
    net = GraspNet(SMALL)
    size, ticks = Size(1, 32, 1), []
    rules = {name: RULES[name]() for name in ("backprop", "spsa")}
    rows = costs(net, rules, batch_of(SMALL, size, 0), size, 3, 0, tick=lambda: ticks.append(1))
    assert [row.rule for row in rows] == list(rules)
    assert len(ticks) == len(rules) * (3 + 1)


def test_a_fresh_process_tells_its_growth(weights_file: Path) -> None:
    small, large = (
        resident_growth("backprop", str(weights_file), Size(1, 224, batch), 0) for batch in (1, 16)
    )
    assert 0 <= small < large
    # Sixteen samples' activations of three blocks of 8 channels are 4.8 MB.
    assert large > 4e6


def bench(*flags: object) -> int:
    return run(["bench", *map(str, flags), "--quiet", "--rounds", "1", "--no-resident"])


def test_all_rules_stand_in_the_figures(weights_file: Path, tmp_path: Path, capsys) -> None:
    where = tmp_path / "bench.json"
    flags = ("--size", 32, "--depth", "1,2", "--batch", 2, "--weights", weights_file)
    assert bench("step", "--rules", "all", *flags, "--json", where) == 0
    rows = json.loads(where.read_text())["rows"]
    assert [(r["depth"], r["rule"]) for r in rows] == [(d, n) for d in (1, 2) for n in RULES]
    for row in rows:
        assert row.keys() >= COLUMNS
        assert row["time_ratio"] > 0 and row["multiplies"] > 0
        assert row["peak_live_bytes"] > 0 and row["inference_live_bytes"] > 0
    ratios = {row["rule"]: row["time_ratio"] for row in rows}
    assert ratios["backprop"] == 1.0
    by = {(row["rule"], row["depth"]): row for row in rows}
    # Inference's forward pass is in all of them; spsa makes seven.
    for name in RULES:
        assert by[name, 2]["multiplies"] > by[name, 1]["multiplies"]
    assert by["spsa", 1]["multiplies"] > 1.5 * by["backprop", 1]["multiplies"]
    assert by["static-sgm-one-pass", 1]["multiplies"] < by["static-sgm", 1]["multiplies"]
    assert "fixed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("leap",), "no benchmark 'leap'"),
        (("step", "--rules", "backprob"), "did you mean 'backprop'"),
        (("step", "--size", "33"), "size must be a multiple of 4 from 32 on"),
        (("step", "--depth", "1,x"), "depth must be whole numbers"),
        (("step", "--batch", "0"), "batch must be at least 1"),
        (("step", "--weights", "nowhere"), "no weights"),
    ],
)
def test_bad_input_is_told_in_a_sentence(flags, said: str, weights_file: Path, capsys) -> None:
    given = flags if "--weights" in flags else (*flags, "--weights", weights_file)
    assert bench(*given) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_the_drawing(weights_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    summary = tmp_path / "summary.json"
    row = {"method": "backprop", "tier": "mean", "metric": "success", "rate": 0.5}
    summary.write_text(json.dumps({"rows": [row]}))
    flags = ("--size", 32, "--depth", "1", "--batch", 1, "--weights", weights_file)
    asked = ("--rules", "backprop,spsa", "--plot", tmp_path / "plots", "--success", summary)
    assert bench("step", *asked, *flags) == 0
    for name in ("memory-over-depth.png", "time-over-memory.png"):
        assert (tmp_path / "plots" / name).stat().st_size > 5000
