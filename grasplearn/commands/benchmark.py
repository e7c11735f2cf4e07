"""``grasplearn benchmark``: a named, fixed evaluation, with its hash in the results."""

from __future__ import annotations

from pathlib import Path

from grasplearn.benchmark import demonstrations_digest, read_benchmark
from grasplearn.commands.common import names, progress, write_figures
from grasplearn.commands.evaluate import kept
from grasplearn.config_evaluation import Benchmark
from grasplearn.errors import InvalidValueError
from grasplearn.evaluate import evaluate
from grasplearn.plan import METHODS
from grasplearn.results import SUMMARY
from grasplearn.show.table import print_summary
from grasplearn.workers import Crew

OUT = Path("out/benchmark")


def run(options: Benchmark) -> None:
    benchmark = read_benchmark(options.name, options.quick)
    if options.seed != 0:
        raise InvalidValueError(
            f"benchmark {benchmark.name} has a seed of its own, {benchmark.seed}; leave --seed out"
        )
    methods = benchmark.default_methods
    if options.methods is not None:
        methods = names(options.methods, METHODS)
    settings = benchmark.settings(methods, options.weights)
    crew = Crew(options.workers, options.backend, options.address)
    out = options.out
    if out is None:
        out = OUT / (f"{benchmark.name}-quick" if benchmark.quick else benchmark.name)
    try:
        with progress(options.quiet) as report:
            summary = evaluate(
                settings,
                out,
                crew=crew,
                resume=options.resume,
                progress=report,
                facts=benchmark.facts,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept(out)) from None
    except OSError as error:
        error.filename = error.filename or str(out)
        raise
    print_summary(summary["rows"])
    print(
        f"benchmark: {benchmark.name}{', quick' if benchmark.quick else ''} {benchmark.hash[:12]}"
    )
    print(f"demonstrations: {demonstrations_digest(out)[:12]}")
    print(f"results: {out / SUMMARY}")
    write_figures(options.json, summary)
