"""What the claims share: handwritten digits, a small net for them, figures on disk.

The digits are scikit-learn's (1,797 pictures of 8 x 8 pixels, UCI, real handwriting); they come
with the package, so that nothing is downloaded: ``pip install 'grasplearn[claims]'``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grasplearn.nets.blocks import Residual, Stem
from grasplearn.nets.chain import Batch, Block, Chain, Head
from grasplearn.nets.integer import (
    LOSS_EXPONENT,
    Fit,
    Fixed,
    log_sum_exp,
    product,
)

OUT = Path("out/claims")


@dataclass(frozen=True, eq=False)
class Digits:
    """pictures (N, 1, 8, 8) in [0, 1]; labels (N,)."""

    pictures: Tensor
    labels: Tensor

    def of(self, chosen: Tensor) -> Digits:
        return Digits(self.pictures[chosen], self.labels[chosen])

    def batches(self, steps: int, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        for _ in range(steps):
            some = torch.from_numpy(rng.integers(len(self.labels), size=size))
            yield Batch(self.pictures[some], self.labels[some])


def digits() -> tuple[Digits, Digits]:
    """Returns 1,200 digits to train on and 597 to test on; always the same."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    pictures = torch.from_numpy(data.images[order].astype(np.float32) / 16)[:, None]
    every = Digits(pictures, torch.from_numpy(data.target[order].astype(np.int64)))
    return every.of(torch.arange(1200)), every.of(torch.arange(1200, len(order)))


class Classes(Head):
    """(B, C, h, w) or (B, C) -> a logit for each class; cross-entropy."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, size) * 0.1 / size**0.5)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, h: Tensor) -> Tensor:
        return h.flatten(1) @ self.weight.T + self.bias

    def loss(self, h: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(self(h), target)

    @torch.no_grad()
    def target_error(self, target: Tensor) -> Tensor:
        """What the label alone tells, as channels of a 4 x 4 map: which class it is."""
        told = F.one_hot(target, len(self.bias)).float() - 1 / len(self.bias)
        return told[:, :, None, None].expand(-1, -1, 4, 4)

    def integer_loss(self, x: Fixed, weights: dict[str, Fixed], target: Tensor, fit: Fit) -> int:
        flat = x.values.transpose(0, 1).flatten(1).T
        w, bias = weights["weight"], weights["bias"]
        logits = Fixed(product(w.values, flat), w.exponent + x.exponent).at(LOSS_EXPONENT)
        logits = logits + bias.at(LOSS_EXPONENT)[:, None]
        each = [log_sum_exp(z) - int(z[label]) for z, label in zip(logits.T, target, strict=True)]
        # Finer than one sample's: the sum over the batch.
        return sum(each)


def net(classes: int = 10, width: int = 16, depth: int = 3, seed: int = 0) -> Chain:
    """A stem to 4 x 4 cells, residual blocks, a linear head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blocks: list[Block] = [Stem(1, width, 2), *(Residual(width, depth) for _ in range(depth))]
        return Chain(blocks, Classes(width * 16, classes))


@torch.no_grad()
def accuracy(chain: Chain, data: Digits) -> float:
    return float((chain(data.pictures).argmax(1) == data.labels).float().mean())


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Returns the mean and its 95 % interval (Student's t)."""
    from scipy import stats

    values = np.asarray(differences, float)
    mean, error = values.mean(), stats.sem(values)
    half = stats.t.ppf(0.975, len(values) - 1) * error if error > 0 else 0.0
    return float(mean), float(mean - half), float(mean + half)


def told(differences: Sequence[float]) -> str:
    mean, low, high = interval(differences)
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def figure(columns: int) -> tuple[Any, Any]:
    """Returns an empty drawing and its axes; to be made before the work that fills it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        sys.exit(f"{error}; pip install 'grasplearn[claims]'")
    made = Figure(figsize=(5 * columns, 4), layout="constrained")
    return made, made.subplots(1, columns, squeeze=False)[0]


def keep(name: str, figures: dict[str, Any], verdicts: list[str], drawing: Any) -> None:
    """Prints the verdicts and writes them, the figures and the drawing into OUT."""
    OUT.mkdir(parents=True, exist_ok=True)
    for line in verdicts:
        print(line)
    text = json.dumps({"verdicts": verdicts, **figures}, indent=1)
    (OUT / f"{name}.json").write_text(text)
    drawing.savefig(OUT / f"{name}.png", dpi=110)
    print(f"written: {OUT / name}.json, .png")


def verdict(holds: bool, claim: str, evidence: str) -> str:
    return f"{'HOLDS' if holds else 'DOES NOT HOLD'}: {claim} ({evidence})"
