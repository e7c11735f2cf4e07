"""``grasplearn bench step``: what a teaching step of each learning rule costs."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grasplearn.commands.common import names, progress, write_figures
from grasplearn.config import Bench
from grasplearn.edge.step_cost import REFERENCE, Cost, Size, batch_of, costs, resident_growth
from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.threads import threads
from grasplearn.pictures import read_json
from grasplearn.rules import RULES
from grasplearn.show.costs import draw_costs
from grasplearn.show.table import print_table
from grasplearn.statistics import MEAN

BENCHES = ("step",)
MIB = 2**20


def run(options: Bench) -> None:
    if options.what not in BENCHES:
        raise UnknownNameError("benchmark", options.what, BENCHES)
    asked = names(options.rules, RULES)
    for name in asked:
        if name not in RULES:
            raise UnknownNameError("learning rule", name, RULES)
    sizes = _sizes(options)
    pretrained = load_pretrained(options.weights)
    stride = pretrained.net.spec.stride
    if options.size < 32 or options.size % stride:
        raise InvalidValueError(f"size must be a multiple of {stride} from 32 on: {options.size}")
    success = None if options.success is None else _success(options.success)
    rows: list[Cost] = []
    with progress(options.quiet) as report, threads(options.threads):
        # Backprop at last, where it was not asked for.
        measured = list(dict.fromkeys((*asked, REFERENCE)))
        total = len(sizes) * len(measured) * (options.rounds + 1)
        ticks = itertools.count(1)

        def tick() -> None:
            report("steps", next(ticks), total)

        report("steps", 0, total)
        for size in sizes:
            base = pretrained.deeper(size.depth)
            rules = {name: base.rule(name) for name in measured}
            batch = batch_of(base.net.spec, size, options.seed)

            def grown(name: str, size: Size = size) -> int:
                return resident_growth(name, options.weights, size, options.seed)

            resident = None if options.no_resident else grown
            made = costs(base.net, rules, batch, size, options.rounds, options.seed, resident, tick)
            rows += [row for row in made if row.rule in asked]
    _print(rows)
    write_figures(options.json, {"rows": [asdict(row) for row in rows]})
    if options.plot is not None:
        for path in draw_costs([asdict(row) for row in rows], options.plot, success):
            print(f"drawn: {path}")


def _sizes(options: Bench) -> list[Size]:
    """Raises:
    InvalidValueError: a number is out of its range.
    """
    depths = options.depth.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in depths):
        raise InvalidValueError(f"depth must be whole numbers from 1 on, as 1,2,4: {options.depth}")
    for name in ("batch", "rounds", "threads"):
        if getattr(options, name) < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {getattr(options, name)}")
    return [Size(int(part), options.size, options.batch) for part in depths]


def _success(path: Path) -> dict[str, float]:
    """Success by method over the tiers' mean, out of an evaluation's summary."""
    summary = read_json(path, "summary of an evaluation")
    try:
        return {
            row["method"]: float(row["rate"])
            for row in summary["rows"]
            if row["metric"] == "success" and row["tier"] == MEAN
        }
    except (KeyError, TypeError) as error:
        raise InvalidValueError(
            f"{path} is no summary of an evaluation; give a summary.json"
        ) from error


def _print(rows: list[Cost]) -> None:
    columns = ("rule", "depth", "step", "/ backprop", "live", "/ inference", "analytic", "grown")
    table = Table(*columns, "multiplies")
    for row in rows:
        grown = row.resident_growth_bytes
        table.add_row(
            row.rule,
            f"x{row.depth}",
            f"{row.step_s * 1e3:.0f} ms",
            f"{row.time_ratio:.2f}",
            f"{row.peak_live_bytes / MIB:.1f} MiB",
            f"{row.peak_live_bytes / row.inference_live_bytes:.2f}",
            f"{row.analytic_bytes / MIB:.1f} MiB",
            "" if grown is None else f"{grown / MIB:.0f} MiB",
            f"{row.multiplies / 1e9:.2f} G",
        )
    print_table(table, Console())
