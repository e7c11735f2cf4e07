"""How many trials does a processor's second hold, with one worker and with more?

    python benchmarks/throughput.py [--trials 10000] [--workers 1,2] [--method depth-heuristic]

Holds the same evaluation once per entry of ``--workers``. Prints trials per second of wall time and
of processor time (all processes'), the scaling against the first entry, and the parent's resident
memory early and late. On a machine that is busy with other things only the processor's figures
mean anything.
"""

from __future__ import annotations

import json
import resource
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from grasplearn.evaluate import evaluate
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, read_rows


@dataclass(frozen=True, kw_only=True)
class Throughput:
    trials: int = 10_000
    objects: int = 20
    workers: str = "1,2"
    method: str = "depth-heuristic"
    out: Path = Path("out/throughput")
    json_file: Path | None = None


def resident_mib() -> float:
    """Resident memory of this process, MiB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def end_workers() -> None:
    """Ends joblib's idle workers, so that their time is counted."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def main(options: Throughput) -> None:
    shutil.rmtree(options.out, ignore_errors=True)
    settings = EvaluationSettings(
        (options.method,),
        ("same",),
        max_objects=options.objects,
        trials=max(1, options.trials // options.objects),
    )
    lessons = options.out / "first" / "lessons"
    # The demonstrations are made once, outside the measurement.
    evaluate(
        EvaluationSettings((options.method,), ("same",), max_objects=options.objects, trials=1),
        options.out / "first",
    )
    rows: list[dict[str, Any]] = []
    for count in map(int, options.workers.split(",")):
        place = options.out / str(count)
        shutil.copytree(lessons, place / "lessons")
        memory: list[float] = []
        used, begun = processor_seconds(), time.monotonic()
        evaluate(
            settings,
            place,
            workers=count,
            progress=lambda phase, done, total, m=memory: (
                m.append(resident_mib()) if phase == "trials" else None
            ),
        )
        end_workers()
        wall, used = time.monotonic() - begun, processor_seconds() - used
        held = len(read_rows(place / RESULTS))
        tenth = max(1, len(memory) // 10)
        row = {
            "workers": count,
            "trials": held,
            "per_second": held / wall,
            "per_cpu_second": held / used,
            "parent_early_mib": float(np.mean(memory[tenth : 2 * tenth])),
            "parent_late_mib": float(np.mean(memory[-tenth:])),
        }
        rows.append(row)
        scaling = row["per_second"] / rows[0]["per_second"]
        print(
            f"{count} workers: {held} trials, {row['per_second']:.2f} a second ({scaling:.2f} x), "
            f"{row['per_cpu_second']:.2f} a processor's second; parent "
            f"{row['parent_early_mib']:.0f} MiB early, {row['parent_late_mib']:.0f} MiB late",
            flush=True,
        )
    if options.json_file:
        told = {"options": json.loads(json.dumps(asdict(options), default=str)), "rows": rows}
        options.json_file.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Throughput))
