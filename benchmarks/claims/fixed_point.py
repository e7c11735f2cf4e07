"""Fixed-point forward gradients: 16-bit weights come near float ones, 8-bit weights do not.

    python benchmarks/claims/fixed_point.py [--tune-only]

A net that knows the digits is fine-tuned on thicker, paler ones, three quarters of which it knows:
a good initialisation. Sign-m-SPSA in floats and in integers, and backprop; each enhancement alone;
and the ways that backprop and the forward gradient take over the loss, drawn on the plane of their
ends. ``--tune-only`` instead tries four step sizes for each way, on a seed and on pictures that the
claims do not see; the best stand in WAYS. Source: arXiv 2411.04036.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import kit
import numpy as np
import torch
import tyro
from torch import Tensor

from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.optimizers import SGD, Adam, Optimizer
from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.fixed_point import FixedPoint
from grasplearn.rules.spsa import SPSA

PLAIN = FixedPoint(3, size=3, rate=2, kernelwise=False)
# Each alone, beside PLAIN.
HELPS = {
    "kernel-wise": replace(PLAIN, kernelwise=True),
    "momentum-guided": replace(PLAIN, guided=0.25),
    "sharpness-aware": replace(PLAIN, sharpness=1),
    "sparse: head and last two": replace(PLAIN, blocks=(-1, -2, -3)),
    "m = 1": replace(PLAIN, directions=1),
    "m = 8": replace(PLAIN, directions=8),
}
# What each way is with a step size (of integers: a shift; they make their own update), and those
# that are tried.
Way = tuple[Any, Optimizer]
SIZES: dict[str, tuple[Callable[[Any], Way], tuple[float, ...]]] = {
    "backprop": (lambda rate: (Backprop(), SGD(rate)), (0.02, 0.06, 0.2, 0.6)),
    "float sign-3-SPSA": (
        lambda rate: (SPSA(3, exact_end=False, size=1e-2), SGD(rate)),
        (0.01, 0.03, 0.1, 0.3),
    ),
    "16w8a": (lambda shift: (replace(PLAIN, rate=shift), Adam()), (1, 2, 3, 4)),
    "8w8a": (lambda shift: (replace(PLAIN, rate=shift, weight_bits=8), Adam()), (1, 2, 3, 4)),
}
BEST = {"backprop": 0.02, "float sign-3-SPSA": 0.1, "16w8a": 2, "8w8a": 1}
WAYS: dict[str, Way] = {name: of_size(BEST[name]) for name, (of_size, _) in SIZES.items()}


def changed(data: kit.Digits) -> kit.Digits:
    """Half as thick again, and paler."""
    thick = torch.nn.functional.max_pool2d(data.pictures, 2, 1, 1)[:, :, :8, :8]
    return kit.Digits(0.35 * (thick + data.pictures) + 0.15, data.labels)


def initial(data: kit.Digits, seed: int) -> Chain:
    """A net that knows the digits as they are."""
    rng, fresh = np.random.default_rng(seed), kit.net(width=8, depth=2, seed=seed)
    return fine_tune(
        fresh, data.batches(200, 64, rng), Backprop(), rng, FineTuning(Adam(3e-3)), 200
    )[0]


def tune(steps: int, seed: int) -> None:
    """Prints what every way reaches with each step size on digits held out of the training ones."""
    every = kit.digits()[0]
    data, held = every.of(torch.arange(900)), every.of(torch.arange(900, 1200))
    start = initial(data, seed)
    print(f"at the start {kit.accuracy(start, changed(held)):.3f}")
    for name, (of_size, sizes) in SIZES.items():
        for size in sizes:
            made, _, _ = followed(start, *of_size(size), changed(data), steps, seed)
            print(f"{name:20} {size:<7} {kit.accuracy(made, changed(held)):.3f}")


def followed(
    start: Chain, rule: Any, optimizer: Optimizer, data: kit.Digits, steps: int, seed: int
) -> tuple[Chain, list[Tensor], float]:
    """Returns the taught net, its weights every few steps, and its last losses' mean."""
    way: list[Tensor] = [flat(start)]
    nets: list[Chain] = []

    def batches() -> Any:
        for step, batch in enumerate(data.batches(steps, 32, np.random.default_rng([seed, 1]))):
            if step % 10 == 0 and nets:
                way.append(flat(nets[0]))
            yield batch

    class Watched:
        """Gets hold of the copy that is being taught."""

        def __getattr__(self, name: str) -> Any:
            return getattr(rule, name)

        def block_grads(self, net: Chain, *rest: Any) -> Any:
            nets[:] = [net]
            return rule.block_grads(net, *rest)

    settings = FineTuning(optimizer, last=0.3)
    made, report = fine_tune(
        start, batches(), Watched(), np.random.default_rng(seed), settings, steps
    )
    return made, [*way, flat(made)], float(np.mean(report.losses[-10:]))


def flat(net: Chain) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def put(net: Chain, weights: Tensor) -> Chain:
    made = copy.deepcopy(net)
    torch.nn.utils.vector_to_parameters(weights, made.parameters())
    return made


def landscape(
    axes: Any, start: Chain, ways: dict[str, list[Tensor]], batch: Batch, cells: int = 13
) -> None:
    """Draws the loss on the plane through the start and the ends of two ways."""
    origin = flat(start)
    first, second = (way[-1] - origin for way in ways.values())
    across = first / first.norm()
    up = second - (second @ across) * across
    up = up / up.norm()
    paths = {
        name: np.array([[float((w - origin) @ across), float((w - origin) @ up)] for w in way])
        for name, way in ways.items()
    }
    every = np.concatenate(list(paths.values()))
    low, high = every.min(0), every.max(0)
    margin = 0.25 * (high - low)
    xs, ys = (np.linspace(a, b, cells) for a, b in zip(low - margin, high + margin, strict=True))
    with torch.no_grad():
        z = [[float(put(start, origin + x * across + y * up).loss(batch)) for x in xs] for y in ys]
    axes.contourf(xs, ys, np.log(z), 15, cmap="Greys")
    for name, path in paths.items():
        axes.plot(*path.T, "-o", markersize=3, label=name)
    axes.set(xlabel="towards backprop's end", ylabel="towards the forward gradient's end")
    axes.legend(fontsize="small")


def main(seeds: int = 3, steps: int = 150, tune_only: bool = False) -> None:
    """``seeds``: of the pre-trained net, of the pictures' order and of the directions."""
    torch.set_num_threads(1)
    if tune_only:
        tune(steps, seeds)
        return
    data, test = kit.digits()
    new, asked = changed(data), changed(test)
    every = {**WAYS, **{name: (rule, Adam()) for name, rule in HELPS.items()}}
    found: dict[str, list[float]] = {"at the start": [], **{name: [] for name in every}}
    paths: dict[str, list[Tensor]] = {}
    start = kit.net()
    for seed in reversed(range(seeds)):  # the first seed's ways are drawn
        start = initial(data, seed)
        found["at the start"].append(kit.accuracy(start, asked))
        for name, (rule, optimizer) in every.items():
            made, way, _ = followed(start, rule, optimizer, new, steps, seed)
            found[name].append(kit.accuracy(made, asked))
            paths[name] = way
    values = {name: np.array(some) for name, some in found.items()}
    for name, some in values.items():
        print(
            f"{name:28} {some.mean():.3f}  over the start {kit.told(some - values['at the start'])}"
        )
    gained = {name: float((some - values["at the start"]).mean()) for name, some in values.items()}
    float_one = gained["float sign-3-SPSA"]
    verdicts = [
        kit.verdict(
            gained["16w8a"] > 0.8 * float_one > 0,
            "16-bit weights approach forward gradients in floats",
            f"gain {gained['16w8a']:+.3f}, floats {float_one:+.3f}, {seeds} seeds, {steps} steps",
        ),
        kit.verdict(
            gained["16w8a"] > 0.8 * gained["backprop"],
            "and backprop, from a good initialisation",
            f"gain {gained['16w8a']:+.3f}, backprop {gained['backprop']:+.3f}",
        ),
        kit.verdict(
            gained["8w8a"] < 0.5 * gained["16w8a"],
            "8-bit weights do not",
            f"gain {gained['8w8a']:+.3f}",
        ),
        *(
            kit.verdict(
                kit.interval(values[name] - values["16w8a"])[1] > 0,
                f"{name} helps by itself",
                f"against plain 16w8a {kit.told(values[name] - values['16w8a'])}",
            )
            for name in HELPS
        ),
    ]
    drawing, axes = kit.figure(2)
    axes[0].boxplot(list(found.values()), orientation="horizontal", tick_labels=list(found))
    axes[0].set(xlabel="accuracy on the changed digits")
    shown = {name: paths[name] for name in ("backprop", "16w8a")}
    landscape(axes[1], start, shown, Batch(new.pictures[:300], new.labels[:300]))
    kit.keep("fixed_point", {"accuracy": found, "steps": steps}, verdicts, drawing)


if __name__ == "__main__":
    tyro.cli(main)
