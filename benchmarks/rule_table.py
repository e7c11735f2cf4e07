"""What every learning rule reaches and costs, as one table in Markdown.

    grasplearn evaluate --methods RULES,last-block,imprint --out out/rules ...
    grasplearn bench step --rules all --size 160 --batch 4 --depth 1 --json out/step.json
    python benchmarks/rule_table.py out/rules out/step.json

Success, and its paired difference from ``imprint`` over all tiers, are the evaluation's; memory and
multiplications of one step are the bench's. "Refined" counts the demonstrations that called for it,
"kept" those whose refined net was kept; the time is the median of teaching those refined.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import tyro

from grasplearn.errors import InvalidValueError
from grasplearn.learning.methods import IMPRINT
from grasplearn.learning.teaching import REFINED
from grasplearn.pictures import read_json
from grasplearn.runs import Run, read_run
from grasplearn.statistics import MEAN

MIB = 2**20
COSTS = ("taught, s", "live MiB", "/ inference", "10^9 mult.")


def success(run: Run, method: str) -> list[str]:
    """Rates by tier with their intervals, their mean, and how far it is from the imprint's."""
    rates = {
        r["tier"]: r
        for r in run.summary["rows"]
        if r["method"] == method and r["metric"] == "success"
    }
    cells = [
        f"{rates[t]['rate']:.2f} [{rates[t]['wilson_low']:.2f}, {rates[t]['wilson_high']:.2f}]"
        for t in run.settings.tiers
    ]
    return [*cells, f"{rates[MEAN]['rate']:.3f}", difference(run, method)]


def difference(run: Run, method: str) -> str:
    for cell in run.summary["paired"]:
        pair = cell["a"], cell["b"]
        if cell["tier"] == MEAN and set(pair) == {method, IMPRINT}:
            sign = 1 if pair[0] == method else -1
            low, high = sorted((sign * cell["low"], sign * cell["high"]))
            return f"{sign * cell['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return ""


def costs(run: Run, method: str, step: dict[str, Any] | None) -> list[str]:
    """How often it refined and what was kept, the time that took, and what a step holds."""
    taught = [r for r in run.teaching if r["method"] == method]
    refined = [r for r in taught if r["losses"]]
    kept = sum(r["kept"] == REFINED for r in refined)
    seconds = f"{median(r['seconds'] for r in refined or taught):.1f}" if taught else ""
    cells = [f"{len(refined)}, {kept} of {len(taught)}", seconds]
    if step is None:
        return [*cells, "", "", ""]
    live = step["peak_live_bytes"]
    return [
        *cells,
        f"{live / MIB:.1f}",
        f"{live / step['inference_live_bytes']:.2f}",
        f"{step['multiplies'] / 1e9:.1f}",
    ]


def main(run: tyro.conf.Positional[Path], bench: tyro.conf.Positional[Path]) -> None:
    """Prints the table; the evaluation must be finished.

    Raises:
        InvalidValueError: it is not, or it was held without ``imprint``.
    """
    held = read_run(run)
    if not held.summary or IMPRINT not in held.methods:
        raise InvalidValueError(f"{run} must hold a finished evaluation of, among others, imprint")
    steps = {row["rule"]: row for row in read_json(bench, "figures of a bench")["rows"]}
    head = ("method", *held.settings.tiers, "mean", "- imprint", "refined, kept", *COSTS)
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for method in held.methods:
        cells = (*success(held, method), *costs(held, method, steps.get(method)))
        print("| " + " | ".join((f"`{method}`", *cells)) + " |")
    print(f"\ncommit {held.summary['commit']}, seed {held.settings.seed}")


if __name__ == "__main__":
    tyro.cli(main)
