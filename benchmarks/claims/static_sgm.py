"""Static SGMs: meta-trained modules teach a new task about as well as backprop.

    python benchmarks/claims/static_sgm.py

A net pre-trained on the digits 0-4 is fine-tuned on new tasks of five classes: 10 pictures of each,
turned, mirrored or inverted. Modules are meta-trained on tasks of the digits 0-4; the tasks that
count are of the digits 5-9, in ways of turning that no module has seen. Source: arXiv 2009.09675.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import kit
import numpy as np
import torch
import tyro
from torch import Tensor

from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.meta_train import true_gradients
from grasplearn.learning.optimizers import Adam
from grasplearn.nets.chain import Batch, Chain
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.base import BlockGrad, Memory
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.static_sgm import SGMState, StaticSGM

CLASSES, SHOTS, STEPS, BATCH, RATE = 5, 10, 40, 25, 3e-3
# Quarter turns, mirrored, inverted.
Way = tuple[int, bool, bool]
WAYS: list[Way] = [(q, m, i) for q in range(4) for m in (False, True) for i in (False, True)]
# Unseen in meta-training; the plain way is what the net was pre-trained on.
HELD_OUT = [(1, True, True), (2, False, True), (3, False, True), (1, True, False)]
SEEN = [way for way in WAYS if way not in HELD_OUT and way != (0, False, False)]


def changed(pictures: Tensor, way: Way) -> Tensor:
    quarters, mirrored, inverted = way
    x = torch.rot90(pictures, quarters, (2, 3))
    x = x.flip(3) if mirrored else x
    return 1 - x if inverted else x


def task(
    data: kit.Digits, classes: range, way: Way, rng: np.random.Generator
) -> tuple[kit.Digits, kit.Digits]:
    """Returns the pictures to learn from, and those to be asked about."""
    labels = rng.permutation(CLASSES)
    shown, asked = [], []
    for label, digit in zip(labels, classes, strict=True):
        mine = rng.permutation(torch.nonzero(data.labels == digit)[:, 0].numpy())
        for some, into in ((mine[:SHOTS], shown), (mine[SHOTS : SHOTS + 60], asked)):
            pictures = changed(data.pictures[torch.from_numpy(some)], way)
            into.append((pictures, torch.full((len(some),), int(label))))
    return tuple(
        kit.Digits(torch.cat([p for p, _ in x]), torch.cat([n for _, n in x]))
        for x in (shown, asked)
    )


@dataclass(frozen=True)
class Teacher:
    """Follows the modules (or, at times, the truth) and regresses them onto the truth."""

    modules: SGMs
    optimizer: torch.optim.Optimizer
    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "linear"

    def init(self, net: Chain, rng: np.random.Generator) -> SGMState:
        return SGMState(self.modules)

    def block_grads(
        self, net: Chain, batch: Batch, state: SGMState, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        outputs, gradients = true_gradients(net, batch)
        with torch.enable_grad():
            loss = torch.zeros(())
            for module, h, g in zip(self.modules, outputs, gradients, strict=False):
                off = (module(h, gradients[-1]) - g) ** 2
                loss = loss + off.mean() / (g**2).mean().clamp(min=1e-20)
            self.optimizer.zero_grad()
            loss.backward()
        self.optimizer.step()
        rule = StaticSGM(modules=self.modules, trained="all") if rng.random() < 0.7 else Backprop()
        yield from rule.block_grads(net, batch, state, rng)  # type: ignore[arg-type]


def learn(
    start: Chain, rule: Any, shown: kit.Digits, rng: np.random.Generator, last_only: bool = False
) -> Chain:
    """Fine-tunes a copy with a new head."""
    fresh = copy.deepcopy(start)
    fresh.head = kit.net(CLASSES, seed=int(rng.integers(1 << 30))).head
    frozen = frozenset(range(len(fresh.blocks))) if last_only else frozenset()
    settings = FineTuning(Adam(RATE), frozen=frozen)
    made, _ = fine_tune(fresh, shown.batches(STEPS, BATCH, rng), rule, rng, settings, STEPS)
    return made


def main(meta_tasks: int = 60, tasks: int = 24, seed: int = 0) -> None:
    """``tasks``: new ones that every method is tried on."""
    torch.set_num_threads(1)
    data, _ = kit.digits()
    rng = np.random.default_rng(seed)
    low = data.of(data.labels < CLASSES)
    start, _ = fine_tune(
        kit.net(CLASSES), low.batches(250, 64, rng), Backprop(), rng, FineTuning(Adam(3e-3)), 250
    )
    modules = SGMs.untrained(start, rng).requires_grad_(True)
    optimizer = torch.optim.Adam(modules.parameters(), 2e-3)
    for number in range(meta_tasks):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - number / meta_tasks) + 2e-5
        way = SEEN[int(rng.integers(len(SEEN)))]
        shown, _ = task(data, range(CLASSES), way, rng)
        learn(start, Teacher(modules, optimizer), shown, rng)
    modules.requires_grad_(False)
    random = copy.deepcopy(modules)
    draw = torch.Generator().manual_seed(seed)
    for p in random.parameters():  # of the trained ones' sizes, and knowing nothing
        p.copy_(torch.randn(p.shape, generator=draw) * p.std(correction=0))
    methods = {
        "backprop": (Backprop(), False),
        "meta-trained modules": (StaticSGM(modules=modules, trained="all"), False),
        "untrained modules (they pass the error on)": (StaticSGM(trained="all"), False),
        "random modules": (StaticSGM(modules=random, trained="all"), False),
        "last layer only": (Backprop(), True),
    }
    found: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(tasks):
        way = HELD_OUT[number % len(HELD_OUT)]
        shown, asked = task(data, range(5, 10), way, np.random.default_rng([1, number]))
        for name, (rule, last_only) in methods.items():
            made = learn(start, rule, shown, np.random.default_rng([2, number]), last_only)
            found[name].append(kit.accuracy(made, asked))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    for name, mean in means.items():
        print(f"{name:45} {mean:.3f}")
    ours = np.array(found["meta-trained modules"])
    over = {name: ours - np.array(values) for name, values in found.items()}
    far = {name: kit.interval(over[name]) for name in list(methods)[2:]}
    verdicts = [
        kit.verdict(
            kit.interval(over["backprop"])[1] > -0.03,
            "meta-trained static modules are comparable to backprop (less than 3 points below)",
            f"paired difference {kit.told(over['backprop'])}, {tasks} tasks, seed {seed}",
        ),
        *(
            kit.verdict(
                low_end > 0.05,
                f"they are far above {name} (by more than 5 points)",
                f"paired difference {kit.told(over[name])}",
            )
            for name, (_, low_end, _) in far.items()
        ),
    ]
    drawing, (axes,) = kit.figure(1)
    axes.boxplot(list(found.values()), orientation="horizontal", tick_labels=list(found))
    axes.set(xlabel=f"accuracy on {tasks} new tasks of 5 unseen digits")
    kit.keep("static_sgm", {"accuracy": found, "seed": seed}, verdicts, drawing)


if __name__ == "__main__":
    tyro.cli(main)
