"""Do the intervals hold what they promise? Simulated evaluations of rates that are known.

    python benchmarks/coverage.py [--evaluations 1000] [--objects 27] [--trials 4] [--json-file F]

An evaluation has ``objects`` objects with ``trials`` trials each. An object's own rate is drawn
from a beta distribution with the given mean, so that two trials of one object are correlated by
``correlation``. Counted is how often the 95 % intervals of ``grasplearn.statistics`` hold the true
rate, and for two methods over the same scenes the true difference. Where that is not in 93 to 97 %
of the evaluations, it is marked; exits with 1 if a clustered interval or a difference is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy import stats

from grasplearn.statistics import clustered_wilson, difference_interval, wilson

PROMISED = (0.93, 0.97)
RATES, CORRELATIONS = (0.5, 0.8, 0.95), (0.0, 0.1, 0.3)
PAIRS = ((0.5, 0.5), (0.8, 0.7))


@dataclass(frozen=True, kw_only=True)
class Simulation:
    evaluations: int = 1000
    objects: int = 27
    trials: int = 4
    seed: int = 0
    json_file: Path | None = None


def object_rates(mean: float, correlation: float, ranks: Any) -> Any:
    """Objects' own rates; ``ranks`` (objects,) in [0, 1] say how easy each is among all."""
    if correlation == 0:
        return np.full(len(ranks), mean)
    size = 1 / correlation - 1
    return stats.beta.ppf(ranks, mean * size, (1 - mean) * size)


def of_a_rate(
    simulation: Simulation, mean: float, correlation: float, rng: np.random.Generator
) -> tuple[float, float]:
    """How often the clustered interval and Wilson's hold the rate."""
    clustered = plain = 0
    for _ in range(simulation.evaluations):
        rates = object_rates(mean, correlation, rng.random(simulation.objects))
        won = rng.random((simulation.objects, simulation.trials)) < rates[:, None]
        low, high = clustered_wilson(won.tolist())
        clustered += low <= mean <= high
        low, high = wilson(int(won.sum()), won.size)
        plain += low <= mean <= high
    return clustered / simulation.evaluations, plain / simulation.evaluations


def of_a_difference(
    simulation: Simulation, means: tuple[float, float], correlation: float, rng: np.random.Generator
) -> float:
    """How often the interval of a paired difference holds it; what is easy for one method mostly
    is for the other, and so is a scene."""
    held = 0
    for _ in range(simulation.evaluations):
        easy = rng.random(simulation.objects)
        other = np.where(rng.random(simulation.objects) < 0.5, easy, rng.random(simulation.objects))
        a, b = (
            object_rates(mean, correlation, ranks)
            for mean, ranks in zip(means, (easy, other), strict=True)
        )
        shape = (simulation.objects, simulation.trials)
        hard = rng.random(shape)
        also = np.where(rng.random(shape) < 0.5, hard, rng.random(shape))
        differences = (hard < a[:, None]).astype(int) - (also < b[:, None]).astype(int)
        low, high = difference_interval(differences.tolist())
        held += low <= means[0] - means[1] <= high
    return held / simulation.evaluations


def main(simulation: Simulation) -> None:
    rng = np.random.default_rng(simulation.seed)
    rows: list[dict[str, Any]] = []
    broken = False
    print(
        f"{simulation.evaluations} evaluations of {simulation.objects} objects with "
        f"{simulation.trials} trials each, seed {simulation.seed}"
    )
    for correlation in CORRELATIONS:
        for mean in RATES:
            clustered, plain = of_a_rate(simulation, mean, correlation, rng)
            kept = PROMISED[0] <= clustered <= PROMISED[1]
            broken |= not kept
            print(
                f"rate {mean:.2f}, correlation {correlation:.1f}: clustered {clustered:.3f}"
                f"{'' if kept else ' (outside)'}, Wilson {plain:.3f}"
            )
            rows.append(
                {"rate": mean, "correlation": correlation, "clustered": clustered, "wilson": plain}
            )
        for pair in PAIRS:
            held = of_a_difference(simulation, pair, correlation, rng)
            kept = PROMISED[0] <= held <= PROMISED[1]
            broken |= not kept
            print(
                f"difference {pair[0]:.2f} - {pair[1]:.2f}, correlation {correlation:.1f}: "
                f"{held:.3f}{'' if kept else ' (outside)'}"
            )
            rows.append({"rates": pair, "correlation": correlation, "paired": held})
    if simulation.json_file:
        told = {"simulation": asdict(simulation) | {"json_file": None}, "rows": rows}
        simulation.json_file.parent.mkdir(parents=True, exist_ok=True)
        simulation.json_file.write_text(json.dumps(told, indent=1))
    if broken:
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Simulation))
