"""What teaching costs: seconds, and the most live bytes of a step beside inference's.

    python benchmarks/teaching.py --weights shipped [--json-file out/teaching.json]

Every learned method is taught VALIDATION objects with its own settings. Deeper nets are of the same
shape with fresh weights: what a step costs does not depend on what is in them. Bytes: exact live
tensor bytes above weights and batch (``edge.memory``), of the rule's step alone, its gradients
dropped as they come; of the first step with what the optimizer keeps, too; and of inference on the
same batch. Every demonstration is refined, whether it calls for that or not. The rule with
recurring samples is measured at their second visit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from grasplearn.edge.memory import peak_memory
from grasplearn.edge.step_cost import stepper
from grasplearn.evaluate import make_lesson
from grasplearn.geometry import heightmap
from grasplearn.learning.methods import LEARNED
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.teaching import support_set, teach
from grasplearn.learning.teaching_settings import RATES, Teaching, rule_of
from grasplearn.plan import EvaluationSettings, load_catalogue, select_objects
from grasplearn.sim.world import World
from grasplearn.types import Demonstration

MIB = 2**20
DEFAULT = Teaching()


def step_bytes(
    pretrained: Pretrained, demonstration: Demonstration, teaching: Teaching
) -> tuple[int, int]:
    """Peak live bytes of one step of the method's rule, and of inference on the same batch."""
    net, rule = pretrained.net, rule_of(teaching, pretrained)
    assert rule is not None
    view = heightmap(demonstration.observation)
    support, _ = support_set(net, view, demonstration.grasp, teaching, 0)
    batch = support.batch(range(teaching.batch))
    step = stepper(net, rule, batch, 0)
    return peak_memory(step).peak, peak_memory(net.predict, batch.pictures).peak


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measured(
    pretrained: Pretrained, shown: list[Demonstration], teaching: Teaching
) -> dict[str, Any]:
    """Medians over the demonstrations."""
    made = [teach(one, pretrained, teaching, 0) for one in shown]
    times = []
    for taught, one in zip(made, shown, strict=True):
        taught.predict(one.observation)
        times += [timed(partial(taught.predict, one.observation)) for _ in range(5)]
    figures: dict[str, Any] = {
        "method": teaching.method,
        "steps": teaching.steps,
        "batch": teaching.batch,
        "side": teaching.augmentation.side,
        "teach_s": float(np.median([taught.seconds for taught in made])),
        "predict_s": float(np.median(times)),
        "kept": [taught.kept for taught in made],
    }
    if teaching.method in RATES:
        step, inference = step_bytes(pretrained, shown[0], teaching)
        first = teach(shown[0], pretrained, replace(teaching, steps=1, measure_memory=True), 0)
        assert first.report is not None
        figures |= {
            "step_s": float(
                np.median([taught.report.seconds for taught in made if taught.report])
                / teaching.steps
            ),
            "peak_live_bytes": step,
            "peak_live_bytes_with_optimizer": first.report.peak_bytes,
            "inference_live_bytes": inference,
        }
    return figures


def main(
    weights: str = "shipped",
    methods: str = ",".join(LEARNED),
    depths: str = "1,2,4",
    max_objects: int = 3,
    steps: int = DEFAULT.steps,
    batch: int = DEFAULT.batch,
    side: int = DEFAULT.augmentation.side,
    threads: int | None = None,
    json_file: Path | None = None,
) -> None:
    """Prints and optionally writes the figures; ``threads``: of torch, its own choice by default.

    Nets deeper than x1 are timed on one object only.
    """
    if threads:
        torch.set_num_threads(threads)
    settings = EvaluationSettings(
        ("imprint",), ("same",), split="validation", max_objects=max_objects
    )
    world = World(load_catalogue(None)[0])
    names = [model.object_id for model in select_objects(world.catalogue, settings)]
    shown = [make_lesson(world, name, 0).demonstration for name in names]
    world.close()
    pretrained, rows = load_pretrained(weights), []
    print(f"{torch.get_num_threads()} threads, {len(shown)} objects: {', '.join(names)}")
    print(
        f"{'method':24}{'depth':>6}{'teach':>9}{'step':>9}{'predict':>9}"
        f"{'bytes':>11}{'optimizer':>11}{'inference':>11}{'ratio':>7}"
    )
    for times in map(int, depths.split(",")):
        base = pretrained.deeper(times)
        for method in methods.split(","):
            augmentation = replace(DEFAULT.augmentation, side=side)
            teaching = Teaching(method, steps, batch, augmentation=augmentation, doubt=0)
            row = {"depth": times} | measured(base, shown if times == 1 else shown[:1], teaching)
            rows.append(row)
            line = f"{method:24}{f'x{times}':>6}{row['teach_s']:7.2f} s"
            line += f"{row['step_s'] * 1e3:6.0f} ms" if "step_s" in row else " " * 9
            line += f"{row['predict_s'] * 1e3:6.0f} ms"
            if "step_s" in row:
                sizes = (
                    "peak_live_bytes",
                    "peak_live_bytes_with_optimizer",
                    "inference_live_bytes",
                )
                line += "".join(f"{row[size] / MIB:7.1f} MiB" for size in sizes)
                line += f"{row['peak_live_bytes'] / row['inference_live_bytes']:7.2f}"
            print(line, flush=True)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        figures = {"threads": torch.get_num_threads(), "objects": names, "rows": rows}
        json_file.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    tyro.cli(main)
