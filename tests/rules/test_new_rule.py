"""A new rule is one file and one line; the suite, the command line and the bench then know it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grasplearn

TESTS = Path(__file__).resolve().parent
TOY = '''"""A rule that knows the last step alone: the head is taught, the blocks wait."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from grasplearn.rules.base import BlockGrad


@dataclass(frozen=True)
class Toy:
    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[str] = "flat"

    def init(self, net, rng):
        return None

    @torch.no_grad()
    def block_grads(self, net, batch, state, rng):
        head = net.head.step(net.features(batch.pictures), batch.target)
        yield BlockGrad(len(net.blocks), head.grads, head.loss)
        for index, block in enumerate(net.blocks):
            yield BlockGrad(index, {n: torch.zeros_like(p) for n, p in block.named_parameters()})
'''
LINE = '    "toy": _rule("toy", "Toy"),\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the one file and the one line."""
    root = tmp_path_factory.mktemp("house")
    package = Path(grasplearn.__file__).parent
    shutil.copytree(package, root / "grasplearn", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "sim_assets").symlink_to(package.parent / "sim_assets")
    rules = root / "grasplearn" / "rules"
    (rules / "toy.py").write_text(TOY)
    source = (rules / "__init__.py").read_text()
    end = source.index("}\n\n__all__")
    (rules / "__init__.py").write_text(source[:end] + LINE + source[end:])
    return root


def in_house(house: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=house,
        env={**os.environ, "PYTHONPATH": f"{house}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_bench_measures_it(house: Path, weights_file: Path) -> None:
    flags = "--rules toy --size 32 --depth 1,2 --batch 1 --rounds 1 --json toy.json --no-resident"
    done = in_house(
        house, "-m", "grasplearn", "bench", "step", *flags.split(), "--weights", weights_file
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((house / "toy.json").read_text())["rows"]
    assert [(row["rule"], row["depth"]) for row in rows] == [("toy", 1), ("toy", 2)]


def test_the_command_line_offers_it_by_name(house: Path) -> None:
    for flags in (["demo", "--rule", "tooy"], ["evaluate", "--methods", "tooy"]):
        done = in_house(house, "-m", "grasplearn", *flags, "--quiet")
        assert done.returncode == 2 and "did you mean 'toy'" in done.stderr, done.stderr


def test_the_suite_runs_over_it_and_finds_what_it_does_not_do(house: Path) -> None:
    code = """
import conformance
from grasplearn.rules import RULES
for check in conformance.EVERY:
    try:
        check(RULES["toy"]())
        print(check.__name__, "passed")
    except AssertionError as error:
        print(check.__name__, "failed", error)
"""
    done = in_house(house, "-c", code)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert told["check_complete"] == told["check_memory"] == "passed"
    assert told["check_sign"] == "failed blocks.0 would climb"
