"""A thousand trials in a row: is memory flat, and are two runs the same to the bit?

    python benchmarks/endurance.py [--trials 1000] [--workers 1,1,2] [--out out/endurance]

Runs one evaluation (depth heuristic, tier ``same``, test objects, seed 0) once per entry of
``--workers`` and compares the sorted rows, time fields apart. With one worker the resident memory
of the process is sampled after every task.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import tyro

from grasplearn.evaluate import evaluate
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, TIME_FIELDS, read_rows


def resident_mib() -> float:
    """Resident memory of this process, MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main(trials: int = 1000, workers: str = "1,1,2", out: Path = Path("out/endurance")) -> None:
    """Prints memory and whether all runs agree; exits with 1 if they do not."""
    shutil.rmtree(out, ignore_errors=True)
    objects = 20
    settings = EvaluationSettings(
        methods=("depth-heuristic",),
        tiers=("same",),
        split="test",
        max_objects=objects,
        trials=trials // objects,
    )
    found = []
    for index, count in enumerate(map(int, workers.split(","))):
        memory: list[float] = []
        folder = out / f"run{index}-{count}"
        evaluate(
            settings,
            folder,
            workers=count,
            progress=lambda phase, done, total, m=memory: (
                m.append(resident_mib()) if phase == "trials" else None
            ),
        )
        rows = read_rows(folder / RESULTS)
        plain = [{k: v for k, v in row.items() if k not in TIME_FIELDS} for row in rows]
        found.append(sorted(json.dumps(row, sort_keys=True) for row in plain))
        if count == 1:
            tenth = max(1, len(memory) // 10)
            early, late = np.mean(memory[tenth : 2 * tenth]), np.mean(memory[-tenth:])
            print(f"{len(rows)} trials, resident {early:.1f} MiB early, {late:.1f} MiB at the end")
    same = all(rows == found[0] for rows in found)
    print(f"runs with {workers} workers: {'identical' if same else 'DIFFERENT'}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    tyro.cli(main)
