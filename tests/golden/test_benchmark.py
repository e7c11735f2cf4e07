"""The quick benchmark against its recorded figures, with an outsider's method entered beside."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grasplearn.benchmark import BENCHMARKS, demonstrations_digest, read_benchmark
from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.evaluate import evaluate
from grasplearn.results import RESULTS, SUMMARY, read_rows
from grasplearn.show.markdown import results_section, with_results
from grasplearn.sim.objects import Catalogue

ROOT = Path(__file__).resolve().parents[2]
ENTERED = ROOT / "demos" / "05_enter_a_method.py"
# What makes v2 v2. If one of these fails, the benchmark was changed: make it v3 instead.
HASHES = {
    False: "f11d5e9cabbec1f4b97b732335c6932a5902134909ff90f7a5a481ee3bc723c9",
    True: "11461b1a09ebb3370380a175cd22f3261835d2bcfc63ace60eb6e0cbd3bd8625",
}


def benchmark_script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden, table = benchmark_script("golden"), benchmark_script("table")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The quick benchmark's own methods and the outsider's."""
    benchmark = read_benchmark("v2", quick=True)
    methods = (*benchmark.default_methods, f"{ENTERED}:same_colour")
    out = tmp_path_factory.mktemp("quick")
    evaluate(benchmark.settings(methods, "shipped"), out, workers=2, facts=benchmark.facts)
    yield out


@pytest.mark.parametrize("quick", [False, True])
def test_a_benchmark_never_changes(quick: bool) -> None:
    assert read_benchmark("v2", quick).hash == HASHES[quick]


def test_its_objects_are_held_out_one_of_each_category() -> None:
    catalogue = Catalogue.builtin()
    whole, quick = (read_benchmark("v2", q) for q in (False, True))
    assert set(quick.objects) < set(whole.objects)
    assert {catalogue.split_of(name) for name in whole.objects} == {"test"}
    categories = {catalogue.get(name).category for name in whole.objects}
    every = {model.category for model in catalogue.select(split="test")}
    assert len(whole.objects) == len(categories) and categories == every


def test_an_unknown_benchmark_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=", ".join(BENCHMARKS)):
        read_benchmark("v9")


def test_the_quick_benchmark_gives_the_recorded_figures(run: Path) -> None:
    summary = json.loads((run / SUMMARY).read_text())
    recorded = json.loads(golden.GOLDEN.read_text())
    assert golden.differences(golden.figures(summary, run), recorded) == []
    assert summary["settings"]["benchmark_hash"] == HASHES[True]
    assert len(demonstrations_digest(run)) == 64


def test_recorded_figures_that_are_missed_are_told() -> None:
    recorded = json.loads(golden.GOLDEN.read_text())
    assert golden.differences(recorded, recorded) == []
    for changed, said in (
        ({"benchmark_hash": "0"}, "another one"),
        ({"methods": {}}, "0 trials"),
        (
            {
                "methods": {
                    name: {metric: [(n + t // 3) % t, t] for metric, (n, t) in metrics.items()}
                    for name, metrics in recorded["methods"].items()
                }
            },
            "was",
        ),
    ):
        assert any(said in line for line in golden.differences({**recorded, **changed}, recorded))


def test_an_outsider_s_method_of_twenty_lines_has_its_row(run: Path) -> None:
    summary = json.loads((run / SUMMARY).read_text())
    name = f"{ENTERED}:same_colour"
    record = next(
        r
        for r in summary["rows"]
        if (r["method"], r["tier"], r["metric"]) == (name, "mean", "success")
    )
    assert record["trials"] == 15
    rows = [row for row in read_rows(run / RESULTS) if row["method"] == name]
    assert not [row["message"] for row in rows if row["outcome"] == "error"]
    source = ENTERED.read_text().split("def same_colour")[1].split("\n\n\n")[0]
    assert len(source.splitlines()) <= 20
    assert "def same_colour" + source.rstrip() in (ROOT / "docs" / "BENCHMARK.md").read_text()


# -- the documents' table ----------------------------------------------------------------------


def test_the_results_show_the_kept_summary() -> None:
    results, kept = table.RESULTS.read_text(), json.loads(table.KEPT.read_text())
    assert with_results(results, kept) == results, "run: make table"
    hashes = {read_benchmark("v2", quick).hash for quick in (False, True)}
    assert kept["settings"]["benchmark_hash"] in hashes


def test_a_summary_of_something_else_is_refused() -> None:
    kept = json.loads(table.KEPT.read_text())
    del kept["settings"]["benchmark"]
    with pytest.raises(InvalidValueError, match="no benchmark's"):
        results_section(kept)
    with pytest.raises(InvalidValueError, match="no place for results"):
        with_results("# A document", json.loads(table.KEPT.read_text()))
