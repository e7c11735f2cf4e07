"""``grasplearn evaluate``: many trials of many methods, into results.jsonl and summary.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grasplearn.commands.common import load_objects, names, progress, write_figures
from grasplearn.config_evaluation import Evaluate
from grasplearn.evaluate import evaluate
from grasplearn.plan import METHODS, EvaluationSettings
from grasplearn.results import RESULTS, read_rows
from grasplearn.show.table import print_summary
from grasplearn.statistics import MEAN, trials_needed
from grasplearn.tiers import TIERS
from grasplearn.workers import Crew

# Two methods that differ by a twentieth are then told apart, +-.
TIGHT = 0.02


def run(options: Evaluate) -> None:
    settings = EvaluationSettings(
        methods=names(options.methods, METHODS),
        tiers=names(options.tiers, TIERS),
        split=options.split,
        objects=None if options.objects is None else str(options.objects),
        max_objects=options.max_objects,
        demos=options.demos,
        trials=options.trials,
        seed=options.seed,
        weights=options.weights,
        until_halfwidth=options.until_halfwidth,
    )
    crew = Crew(options.workers, options.backend, options.address, options.hangs_after)
    try:
        with progress(options.quiet) as report:
            load_objects(options.objects, report)
            summary = evaluate(
                settings,
                options.out,
                crew=crew,
                resume=options.resume,
                progress=report,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept(options.out)) from None
    except OSError as error:
        error.filename = error.filename or str(options.out)
        raise
    print_summary(summary["rows"])
    _print_width(summary["rows"])
    print(f"results: {options.out / RESULTS}")
    write_figures(options.json, summary)


def kept(out: Path) -> str:
    """What a person is told who stopped an evaluation."""
    count = len(read_rows(out / RESULTS))
    return (
        f"stopped; {count} trials are kept in {out}, and the same command with --resume goes on "
        "from there"
    )


def _print_width(records: list[dict[str, Any]]) -> None:
    """Says how exact the table is, and how many trials would make it exact to two hundredths."""
    cells = [r for r in records if r["metric"] == "success" and r["tier"] != MEAN]
    worst = max(cells, key=lambda r: r["wilson_high"] - r["wilson_low"])
    halfwidth = (worst["wilson_high"] - worst["wilson_low"]) / 2
    needed = trials_needed(worst["rate"], TIGHT)
    print(f"widest interval: +-{halfwidth:.3f}; +-{TIGHT} takes about {needed} trials a cell")
