"""DNI: what live synthetic gradients can and cannot do on small problems.

    python benchmarks/claims/dni.py

1. Linear regression (real data: diabetes) with a linear module reaches the global optimum.
2. On logistic regression (digits 3 and 8) a linear module does not, one with a sigmoid does.
3. In a net for the digits the guesses are best near the loss.
4. Its layers represent the digits otherwise than backprop's do.

Source: arXiv 1703.00522 for all four; the small problems are ours.
"""

from __future__ import annotations

from typing import Any

import kit
import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.meta_train import true_gradients
from grasplearn.learning.optimizers import SGD, Adam
from grasplearn.nets.chain import Batch, Block, Chain, Grads, Head, HeadStep
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.dni import DNI, DNIState


class Linear(Block):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, size))

    def forward(self, h: Tensor) -> Tensor:
        return h @ self.weight.T


class Same(Block):
    """Hands on what it is given, so that the module before it meets the true gradient."""

    def forward(self, h: Tensor) -> Tensor:
        return h

    def vjp(
        self, h: Tensor, out: Tensor, g: Tensor, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        return {}, g


class Loss(Head):
    """Squared error, or the log loss of a yes or no; the modules are told y."""

    def __init__(self, logistic: bool) -> None:
        super().__init__()
        self.logistic = logistic

    def loss(self, h: Tensor, target: Tensor) -> Tensor:
        if self.logistic:
            return F.binary_cross_entropy_with_logits(h, target)
        return ((h - target) ** 2).mean() / 2

    def step(self, h: Tensor, target: Tensor) -> HeadStep:
        said = torch.sigmoid(h) if self.logistic else h
        return HeadStep(self.loss(h, target), {}, (said - target) / len(h))

    def target_error(self, target: Tensor) -> Tensor:
        return target


class Module(nn.Module):
    """``a h + b y + c``, or with a sigmoid of a line in h added."""

    def __init__(self, sigmoid: bool) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)
        self.inner, self.share = nn.Linear(1, 1), nn.Parameter(torch.zeros(1))
        self.sigmoid = sigmoid

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        guessed: Tensor = self.line(torch.cat([h, told], 1))
        return guessed + self.share * torch.sigmoid(self.inner(h)) if self.sigmoid else guessed


def linear_model(
    x: Tensor, y: Tensor, logistic: bool, sigmoid: bool | None, steps: int, rate: float
) -> tuple[float, list[float]]:
    """Returns the last loss and all losses; ``sigmoid`` None: backprop's own gradient."""
    net = Chain([Linear(x.shape[1]), Same()], Loss(logistic))
    batch = Batch(x, y)
    rule: Any = DNI(
        "target",
        None if sigmoid is None else nn.ModuleList([Module(sigmoid)]),  # type: ignore[arg-type]
        rate=0.0 if sigmoid is None else 3e-4,
        trust=float("inf"),
    )
    if sigmoid is None:
        rule = _True()
    rng = np.random.default_rng(0)
    settings = FineTuning(SGD(rate), last=1.0)
    made, report = fine_tune(net, (batch for _ in range(steps)), rule, rng, settings, steps)
    return float(made.loss(batch).detach()), list(report.losses)


class _True(DNI):
    """The same passes, with the head's own error."""

    def block_grads(self, net: Chain, batch: Batch, state: DNIState, rng: Any) -> Any:
        from grasplearn.rules.base import BlockGrad

        with torch.no_grad():
            h = net.block(0)(batch.pictures)
            head = net.head.step(h, batch.target)
        yield BlockGrad(2, {}, head.loss)
        grads, _ = net.block(0).vjp(batch.pictures, h, head.error, need_input=False)
        yield BlockGrad(0, grads)


def optimum(x: Tensor, y: Tensor, logistic: bool) -> float:
    """The least loss there is: closed form, or Newton's method."""
    x, y = x.double(), y.double()
    w = torch.zeros(x.shape[1], 1, dtype=torch.float64)
    for _ in range(40 if logistic else 1):
        said = torch.sigmoid(x @ w) if logistic else x @ w
        curve = said * (1 - said) if logistic else torch.ones_like(said)
        hessian = x.T @ (x * curve) + 1e-6 * torch.eye(x.shape[1], dtype=torch.float64)
        w = w - torch.linalg.solve(hessian, x.T @ (said - y) + 1e-6 * w)
    return float(Loss(logistic).loss(x @ w, y))


def principal(x: Tensor, count: int) -> Tensor:
    """The first principal components, each of variance 1, and a constant."""
    x = x - x.mean(0)
    u, _, _ = torch.linalg.svd(x, full_matrices=False)
    return torch.cat([u[:, :count] * len(x) ** 0.5, torch.ones(len(x), 1)], 1)


def agreement(made: Chain, state: DNIState, batch: Batch) -> list[float]:
    """Cosine of guessed and true gradient at every guessed block's output."""
    outputs, gradients = true_gradients(made, batch)
    told = made.head.target_error(batch.target)  # type: ignore[operator]
    with torch.no_grad():
        return [
            float(
                F.cosine_similarity(
                    state.live[i].guess(outputs[i], told).flatten(), gradients[i].flatten(), dim=0
                )
            )
            for i in range(len(outputs) - 1)
        ]


class _Kept(DNI):
    """Remembers its state, so that the modules can be looked at afterwards."""

    kept: DNIState

    def init(self, net: Chain, rng: np.random.Generator) -> DNIState:
        state = super().init(net, rng)
        object.__setattr__(self, "kept", state)
        return state


@torch.no_grad()
def similarities(net: Chain, pictures: Tensor) -> list[Tensor]:
    """Every layer's correlation of pictures with each other, above the diagonal."""
    found, h = [], pictures
    for block in net.blocks:
        h = block(h)
        every = torch.corrcoef(h.flatten(1))
        found.append(every[tuple(torch.triu_indices(len(every), len(every), 1))])
    return found


def alike(a: list[Tensor], b: list[Tensor]) -> list[float]:
    return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(a, b, strict=True)]


def main(seeds: int = 4, steps: int = 300, linear_steps: int = 8000) -> None:
    """``seeds``: of the nets for the digits."""
    from sklearn.datasets import load_diabetes

    torch.set_num_threads(1)
    data, test = kit.digits()
    verdicts, figures = [], {}
    drawing, axes = kit.figure(3)

    sick = load_diabetes()
    y = torch.from_numpy(sick.target).float()[:, None]
    y = (y - y.mean()) / y.std()
    x = principal(torch.from_numpy(sick.data).float(), 10)
    least = optimum(x, y, False)
    reached, losses = linear_model(x, y, False, False, linear_steps, 0.1)
    axes[0].plot(np.array(losses) - least, label="regression, linear module")
    gap = reached - least
    figures["regression"] = {"optimum": least, "linear module": reached}
    start = losses[0] - least
    verdicts.append(
        kit.verdict(
            gap < 1e-3 * start,
            "a linear module on linear regression reaches the global optimum",
            f"{gap:.2e} above {least:.4f}, after starting {start:.3f} above",
        )
    )

    two = data.of((data.labels == 3) | (data.labels == 8))
    x, y = principal(two.pictures.flatten(1), 3), (two.labels == 3).float()[:, None]
    least = optimum(x, y, True)
    reached_by = {}
    for name, kind in (("true gradient", None), ("linear module", False), ("sigmoid module", True)):
        reached_by[name], losses = linear_model(x, y, True, kind, linear_steps, 0.5)
        axes[0].plot(np.array(losses) - least, label=f"logistic, {name}")
    figures["logistic"] = {"optimum": least, **reached_by}
    gaps = {name: value - least for name, value in reached_by.items()}
    verdicts += [
        kit.verdict(
            gaps["linear module"] > 0.05 * least > 10 * gaps["true gradient"],
            "a linear module comes to rest more than 5 % above logistic regression's optimum",
            f"{gaps['linear module']:.4f} above the optimum {least:.4f}; with the true gradient "
            f"{gaps['true gradient']:.4f}",
        ),
        kit.verdict(
            gaps["sigmoid module"] < 0.2 * gaps["linear module"],
            "one with a sigmoid inside comes nearer by a factor of five at least",
            f"{gaps['sigmoid module']:.4f} above",
        ),
    ]

    cosines, pairs, accuracies = [], {"dni": [], "backprop": []}, []
    for seed in range(seeds):
        made, rule = {}, _Kept("target", trust=float("inf"))
        for name, some in (("backprop", Backprop()), ("again", Backprop()), ("dni", rule)):
            # The same initial weights; "again" and "dni" see the pictures in another order.
            rng = np.random.default_rng([seed, name != "backprop"])
            batches = data.batches(steps, 64, rng)
            net = kit.net(depth=4, seed=seed)
            made[name], _ = fine_tune(net, batches, some, rng, FineTuning(Adam(2e-3)), steps)
        batch = Batch(test.pictures[:256], test.labels[:256])
        cosines.append(agreement(made["dni"], rule.kept, batch))
        seen = {name: similarities(net, test.pictures[:200]) for name, net in made.items()}
        pairs["dni"].append(alike(seen["backprop"], seen["dni"]))
        pairs["backprop"].append(alike(seen["backprop"], seen["again"]))
        accuracies.append([kit.accuracy(made[name], test) for name in ("backprop", "dni")])
    by_block = np.mean(cosines, 0)
    figures |= {"cosines": cosines, "similarity": pairs, "accuracy (backprop, dni)": accuracies}
    verdicts.append(
        kit.verdict(
            bool(by_block[-1] == by_block.max() and by_block[-1] > by_block[0]),
            "the guesses are best near the loss",
            "cosine by block, first to last: " + ", ".join(f"{c:.2f}" for c in by_block),
        )
    )
    off = np.array(pairs["backprop"]).mean(1) - np.array(pairs["dni"]).mean(1)
    verdicts.append(
        kit.verdict(
            kit.interval(off)[1] > 0,
            "its layers represent the digits otherwise than backprop's",
            "representational similarity to backprop's by layer: "
            + ", ".join(f"{c:.2f}" for c in np.mean(pairs["dni"], 0))
            + "; of backprop with another order: "
            + ", ".join(f"{c:.2f}" for c in np.mean(pairs["backprop"], 0))
            + f"; mean difference {kit.told(off)}, {seeds} seeds",
        )
    )
    told = np.mean(accuracies, 0)
    print(f"test accuracy after {steps} steps: backprop {told[0]:.3f}, cDNI {told[1]:.3f}")
    axes[0].set(xlabel="step", ylabel="loss above the optimum", xscale="log", yscale="log")
    axes[0].legend(fontsize="small")
    axes[1].plot(by_block, "-o")
    axes[1].set(xlabel="block", ylabel="cosine of guess and gradient")
    for name, values in pairs.items():
        axes[2].plot(np.mean(values, 0), "-o", label=f"backprop and {name}")
    axes[2].set(xlabel="block", ylabel="representational similarity")
    axes[2].legend(fontsize="small")
    kit.keep("dni", figures, verdicts, drawing)


if __name__ == "__main__":
    tyro.cli(main)
