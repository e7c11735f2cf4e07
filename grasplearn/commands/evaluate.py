"""``grasplearn evaluate``: many trials of many methods, into results.jsonl and summary.json."""

from __future__ import annotations

from pathlib import Path

from grasplearn.commands.common import load_objects, names, progress, write_figures
from grasplearn.config import Evaluate
from grasplearn.errors import UnknownNameError
from grasplearn.evaluate import evaluate
from grasplearn.plan import METHODS, EvaluationSettings
from grasplearn.results import RESULTS, read_rows
from grasplearn.show.table import print_summary
from grasplearn.tiers import TIERS

BACKENDS = ("joblib",)


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
    )
    if options.backend not in BACKENDS:
        raise UnknownNameError("backend", options.backend, BACKENDS)
    try:
        with progress(options.quiet) as report:
            load_objects(options.objects, report)
            summary = evaluate(
                settings,
                options.out,
                workers=options.workers,
                resume=options.resume,
                progress=report,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(options.out)) from None
    except OSError as error:
        error.filename = error.filename or str(options.out)
        raise
    print_summary(summary["rows"])
    print(f"results: {options.out / RESULTS}")
    write_figures(options.json, summary)


def _kept(out: Path) -> str:
    count = len(read_rows(out / RESULTS))
    return (
        f"stopped; {count} trials are kept in {out}, and the same command with --resume goes on "
        "from there"
    )
