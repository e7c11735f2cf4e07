"""How far a rule's gradients agree with backprop's, block by block, over the steps of teaching.

    python benchmarks/agreement.py [--split test] [--plot-file docs/agreement.png]

Each object is demonstrated once and taught by each rule on-policy, the imprint refined whether it
calls for that or not; at every step the cosine of each block's weight gradient with the true one on
the same batch is taken. Printed are means over objects and steps with 95 % intervals over objects;
the plot shows the means over the steps. (The last block and the head are exact by construction.)
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from claims.kit import figure, interval
from numpy.typing import NDArray

from grasplearn.errors import DemonstrationError, InvalidValueError
from grasplearn.evaluate import make_lesson
from grasplearn.geometry import heightmap
from grasplearn.learning.fine_tune import fine_tune
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.teaching import batches, support_set
from grasplearn.learning.teaching_settings import Teaching, fine_tuning, rule_of, teaching_of
from grasplearn.nets.codec import imprint
from grasplearn.plan import EvaluationSettings, load_catalogue, select_objects
from grasplearn.policies.learned import one_thread
from grasplearn.rules.static_sgm import StaticSGM
from grasplearn.sim.world import World
from grasplearn.types import Demonstration


def cosines(
    pretrained: Pretrained, shown: Demonstration, teaching: Teaching, seed: int
) -> NDArray[np.float64]:
    """Returns (steps, blocks + 1): every block's, and last the head's."""
    net = copy.deepcopy(pretrained.net)
    view = heightmap(shown.observation)
    imprint(net, shown, view)
    support, _ = support_set(net, view, shown.grasp, teaching, seed)
    rule, rng = rule_of(teaching, pretrained), np.random.default_rng(seed)
    if isinstance(rule, StaticSGM):  # all that the modules say is looked at, not scales alone
        rule = replace(rule, trained="all")
    assert rule is not None
    settings = replace(fine_tuning(teaching), agreement=frozenset(range(teaching.steps)))
    samples = batches(support, teaching)
    _, report = fine_tune(net, samples, rule, rng, settings, teaching.steps)
    return np.array([report.cosines[step] for step in range(teaching.steps)])


def plot(axes: NDArray[Any], found: dict[str, NDArray[np.float64]]) -> None:
    """``found``: (objects, steps, blocks + 1) by rule."""
    for axis, (name, values) in zip(axes, found.items(), strict=True):
        blocks = values.shape[2] - 1
        for block in range(blocks - 1):
            shade = str(0.8 * (1 - block / max(blocks - 2, 1)))
            axis.plot(values[:, :, block].mean(0), color=shade, label=f"block {block}")
        axis.axhline(0, color="0.8", linewidth=0.8)
        axis.set(title=name, xlabel="step of teaching", ylabel="cosine with backprop's gradient")
        axis.set_ylim(-0.2, 1.2)
        axis.legend(fontsize=7, ncols=4, loc="upper center")


def main(
    weights: str = "shipped",
    rules: str = "static-sgm,static-sgm-one-pass",
    split: str = "validation",
    max_objects: int = 20,
    seed: int = 0,
    json_file: Path | None = None,
    plot_file: Path | None = None,
) -> None:
    settings = EvaluationSettings(("imprint",), ("same",), split=split, max_objects=max_objects)
    world = World(load_catalogue(None)[0])
    names = [model.object_id for model in select_objects(world.catalogue, settings)]
    pretrained = load_pretrained(weights)
    found: dict[str, list[NDArray[np.float64]]] = {rule: [] for rule in rules.split(",")}
    drawn, axes = figure(len(found)) if plot_file else (None, None)
    with one_thread(list(found)):
        for name in names:
            try:
                shown = make_lesson(world, name, seed).demonstration
                for rule in found:
                    found[rule].append(
                        cosines(pretrained, shown, teaching_of(pretrained, rule), seed)
                    )
            except (DemonstrationError, InvalidValueError) as error:
                print(f"{name} is left out: {error}")
    world.close()
    rows: list[dict[str, Any]] = []
    print(f"{weights}, {split}, {len(names)} objects, seed {seed}")
    for rule, values in found.items():
        per_object = np.array(values).mean(1)
        for block in range(per_object.shape[1] - 1):
            mean, low, high = interval(per_object[:, block].tolist())
            print(f"{rule:22} block {block}: {mean:.2f} [{low:.2f}, {high:.2f}]")
            rows.append({"rule": rule, "block": block, "cosine": mean, "low": low, "high": high})
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({"split": split, "seed": seed, "rows": rows}, indent=1))
    if plot_file:
        plot(axes, {rule: np.array(values) for rule, values in found.items()})
        plot_file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(plot_file, dpi=110)


if __name__ == "__main__":
    tyro.cli(main)
