"""meProp: a CNN taught with 5 % of every gradient is as good as with all of it.

    python benchmarks/claims/meprop.py

Handwritten digits, trained from nothing; accuracy on 597 test pictures over the share that is kept,
for scattered entries, whole positions and whole channels. Source: arXiv 1709.05804.
"""

from __future__ import annotations

import kit
import numpy as np
import torch
import tyro

from grasplearn.edge.step_cost import multiplies, stepper
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import Adam
from grasplearn.nets.chain import Chain
from grasplearn.nets.sparse import Over
from grasplearn.rules.meprop import MeProp

WANTED = 0.05
SHARES: dict[Over, tuple[float, ...]] = {
    "entries": (0.01, 0.02, WANTED, 0.2, 1.0),
    "positions": (WANTED, 0.25),
    "channels": (WANTED, 0.25),
}


def trained(over: Over, share: float, seed: int, steps: int, batch: int, data: kit.Digits) -> Chain:
    rng = np.random.default_rng(seed)
    batches = data.batches(steps, batch, rng)
    settings = FineTuning(Adam(3e-3))
    return fine_tune(kit.net(seed=seed), batches, MeProp(share, over), rng, settings, steps)[0]


def main(seeds: int = 5, steps: int = 150, longer: int = 600, batch: int = 32) -> None:
    """``seeds``: of weights and of the order of the pictures, the same ones for every share.
    ``longer``: steps after which the claim is looked at once more."""
    torch.set_num_threads(1)
    data, test = kit.digits()
    cells = [(over, share) for over, shares in SHARES.items() for share in shares]
    found: dict[tuple[Over, float], list[float]] = {cell: [] for cell in cells}
    late: dict[float, list[float]] = {WANTED: [], 1.0: []}
    for seed in range(seeds):
        for over, share in cells:
            made = trained(over, share, seed, steps, batch, data)
            found[over, share].append(kit.accuracy(made, test))
        for share in late:
            late[share].append(
                kit.accuracy(trained("entries", share, seed, longer, batch, data), test)
            )
    sample = next(data.batches(1, batch, np.random.default_rng(0)))
    products = {
        f"{over} {share}": multiplies(stepper(kit.net(), MeProp(share, over), sample, 0))
        for over, share in cells
    }
    full = np.array(found["entries", 1.0])
    for (over, share), values in found.items():
        less = products[f"{over} {share}"] / products["entries 1.0"]
        print(
            f"{over:10} {share:5.0%}  accuracy {np.mean(values):.3f}  against all "
            f"{kit.told(np.array(values) - full)}  multiplications {less:.2f}"
        )
    early = np.array(found["entries", WANTED]) - full
    end = np.array(late[WANTED]) - np.array(late[1.0])
    verdicts = [
        *(
            kit.verdict(
                kit.interval(off)[1] > -0.01,
                "with 5 % of the entries the accuracy is within 1 point of the full gradient's "
                f"after {count} steps",
                f"paired difference {kit.told(off)}, {seeds} seeds",
            )
            for off, count in ((early, steps), (end, longer))
        ),
        kit.verdict(
            products[f"entries {WANTED}"] < 0.9 * products["entries 1.0"],
            "scattered entries save multiplications in dense kernels",
            f"{products[f'entries {WANTED}'] / products['entries 1.0']:.2f} of them are left",
        ),
        kit.verdict(
            products[f"positions {WANTED}"] < 0.9 * products["entries 1.0"],
            "whole positions do",
            f"{products[f'positions {WANTED}'] / products['entries 1.0']:.2f} of a step's are left",
        ),
    ]
    drawing, (axes,) = kit.figure(1)
    for over, shares in SHARES.items():
        rows = [kit.interval(found[over, share]) for share in shares]
        middle, low, high = (np.array(column) for column in zip(*rows, strict=True))
        axes.errorbar(shares, middle, (middle - low, high - middle), fmt="-o", label=over)
    axes.set(xlabel="share of each gradient that is kept", ylabel="test accuracy", xscale="log")
    axes.legend()
    figures = {
        "accuracy": {f"{o} {s}": v for (o, s), v in found.items()},
        f"after {longer} steps": late,
        "multiplies": products,
    }
    kit.keep("meprop", figures, verdicts, drawing)


if __name__ == "__main__":
    tyro.cli(main)
