"""One evaluation by one worker, by two, and on a Ray cluster of two nodes: the same rows?

    pip install 'grasplearn[ray]'
    python benchmarks/cluster.py [--objects 4] [--trials 4] [--methods template,random] [--resume]

Starts a Ray cluster of two nodes with one processor each on this machine, evaluates on it, then
again while one of the nodes is killed in the middle. All sorted rows must be the same to the byte,
time fields apart; exits with 1 if they are not. ``--resume`` keeps what an earlier call has made.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import tyro

from grasplearn.evaluate import evaluate
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, TIME_FIELDS, read_rows
from grasplearn.workers import Crew


def sorted_rows(out: Path) -> list[str]:
    plain = [
        {k: v for k, v in row.items() if k not in TIME_FIELDS} for row in read_rows(out / RESULTS)
    ]
    return sorted(json.dumps(row, sort_keys=True) for row in plain)


def on_cluster(settings: EvaluationSettings, out: Path, kill_at: float | None) -> None:
    """``kill_at``: the share of trials after which a node is killed."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    node = cluster.add_node(num_cpus=1)
    killed: list[float] = []

    def watch(phase: str, done: int, total: int) -> None:
        if kill_at is not None and not killed and phase == "trials" and done >= kill_at * total:
            killed.append(time.monotonic())
            cluster.remove_node(node, allow_graceful=False)

    try:
        crew = Crew(2, "ray", cluster.address)
        evaluate(settings, out, crew=crew, progress=watch, resume=True)
    finally:
        cluster.shutdown()
    if kill_at is not None and not killed:
        raise SystemExit("no node was killed: too few trials")


def main(
    objects: int = 4,
    trials: int = 4,
    methods: str = "template,random",
    tiers: str = "same",
    out: Path = Path("out/cluster"),
    resume: bool = False,
) -> None:
    if not resume:
        shutil.rmtree(out, ignore_errors=True)
    settings = EvaluationSettings(
        tuple(methods.split(",")), tuple(tiers.split(",")), max_objects=objects, trials=trials
    )
    ways: dict[str, Callable[[Path], object]] = {
        "1 worker": lambda place: evaluate(settings, place, workers=1, resume=True),
        "2 workers": lambda place: evaluate(settings, place, workers=2, resume=True),
        "Ray, two nodes": lambda place: on_cluster(settings, place, None),
        "Ray, a node killed": lambda place: on_cluster(settings, place, 0.4),
    }
    first: list[str] = []
    same = True
    for number, (name, way) in enumerate(ways.items()):
        place = out / str(number)
        if number:  # the slow part, which the same process makes in every case
            shutil.copytree(out / "0" / "lessons", place / "lessons", dirs_exist_ok=True)
        start = time.monotonic()
        way(place)
        rows = sorted_rows(place)
        first = first or rows
        same &= rows == first
        verdict = "identical" if rows == first else "DIFFERENT"
        print(f"{name}: {len(rows)} rows, {verdict}, {time.monotonic() - start:.0f} s", flush=True)
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    tyro.cli(main)
