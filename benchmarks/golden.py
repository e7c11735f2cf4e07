"""The quick benchmark's recorded figures: compares this checkout with them, or records new ones.

    python benchmarks/golden.py [--workers 2] [--record] [--run out/benchmark/v2-quick]

Compares the rates of ``grasplearn benchmark v2 --quick`` with tests/golden/v2-quick.json and exits
with 1 if one is farther off than TOLERANCE. ``--record`` (``make golden``) writes the new figures
there. Only methods that learn nothing are in it: new weights do not change it. ``--run`` takes the
figures of a finished run, which may have had more methods, instead of holding one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro

from grasplearn.benchmark import QUICK_METHODS, demonstrations_digest, read_benchmark
from grasplearn.evaluate import evaluate
from grasplearn.results import SUMMARY

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "v2-quick.json"
# One machine gives the same to the bit. Another processor may round otherwise, and of 15 scenes a
# few then end otherwise: two of them.
TOLERANCE = 0.15


def figures(summary: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """What is recorded of a run: successes and trials of every method, and what was fixed."""
    means = [r for r in summary["rows"] if r["tier"] == "mean"]
    methods = [r["method"] for r in means if r["method"] in QUICK_METHODS]
    return {
        "benchmark_hash": summary["settings"]["benchmark_hash"],
        "demonstrations": demonstrations_digest(out),
        "methods": {
            method: {
                r["metric"]: [r["successes"], r["trials"]] for r in means if r["method"] == method
            }
            for method in methods
        },
        "commit": summary["commit"],
        "versions": summary["versions"],
    }


def differences(found: Mapping[str, Any], golden: Mapping[str, Any]) -> list[str]:
    """What is too far from the recorded figures, a sentence each; nothing if all is well."""
    if found["benchmark_hash"] != golden["benchmark_hash"]:
        return ["the benchmark itself is another one; it must not change: make it v3"]
    said = []
    for method, metrics in golden["methods"].items():
        for metric, (successes, trials) in metrics.items():
            new_successes, new_trials = found["methods"].get(method, {}).get(metric, (0, 0))
            if new_trials != trials:
                said.append(f"{method}: {new_trials} trials, recorded were {trials}")
            elif abs(new_successes - successes) / trials > TOLERANCE:
                said.append(f"{method}, {metric}: {new_successes} of {trials}, was {successes}")
    return said


def main(workers: int = 2, record: bool = False, run: Path | None = None) -> None:
    if run is not None:
        found = figures(json.loads((run / SUMMARY).read_text(encoding="utf-8")), run)
    else:
        benchmark = read_benchmark("v2", quick=True)
        settings = benchmark.settings(benchmark.default_methods, "shipped")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            summary = evaluate(settings, out, workers=workers, facts=benchmark.facts)
            found = figures(summary, out)
    if record:
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"recorded: {GOLDEN}")
        return
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    said = differences(found, golden)
    same = found["demonstrations"] == golden["demonstrations"]
    print("demonstrations:", "the same to the bit" if same else "not the same bytes")
    print("\n".join(said) or "all figures as recorded")
    if said:
        raise SystemExit(1)


if __name__ == "__main__":
    tyro.cli(main)
