"""The one suite that every learning rule passes, against autograd in float64.

The checks are plain functions that raise AssertionError, so that rules broken on purpose can be
shown to fail them.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grasplearn.edge.memory import MemoryMeter
from grasplearn.learning.fine_tune import FineTuning, Report, fine_tune
from grasplearn.learning.optimizers import SGD
from grasplearn.nets.chain import Batch, Block, Chain, Head
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.head import Target
from grasplearn.nets.weights import digest
from grasplearn.rules.base import BlockGrad, LearningRule

SMALL = NetSpec(width=8, depth=3, features=8, groups=2, turns=8, kernel=3, hidden=4)
Named = dict[str, Tensor]


def problem(seed: int = 0, side: int = 32, samples: int = 3) -> tuple[GraspNet, Batch]:
    """A small net in float64, and samples to be told apart."""
    rng = np.random.default_rng(seed)
    net = GraspNet(SMALL, seed=1).double()
    with torch.no_grad():
        net.head.gather.normal_(generator=torch.Generator().manual_seed(2))
    cells = side // SMALL.stride
    pictures = torch.from_numpy(rng.normal(size=(samples, 5, side, side)))
    place = torch.zeros(samples, SMALL.turns, cells, cells, dtype=torch.float64)
    for sample in range(samples):
        place[(sample, *rng.integers((SMALL.turns, cells, cells)))] = 1
    keys = tuple(range(100 * seed, 100 * seed + samples))
    return net, Batch(pictures, Target(place, torch.full((samples,), 0.4).double()), keys)


class Layer(Block):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size, size) / size**0.5)

    def forward(self, h):
        return torch.tanh(h @ self.weight.T)


class Classes(Head):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, size) / size**0.5)

    def loss(self, h, target):
        return torch.nn.functional.cross_entropy(h @ self.weight.T, target)


def small_chain() -> tuple[Chain, Batch]:
    """So few weights that the mean of some thousand estimates is sharp; nothing of grasps in it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Chain([Layer(4) for _ in range(3)], Classes(4)).double()
        return net, Batch(torch.randn(10, 4).double(), torch.randint(3, (10,)))


def true_gradient(net: Chain, batch: Batch) -> Named:
    with torch.enable_grad():
        named = dict(net.named_parameters())
        found = torch.autograd.grad(net.loss(batch), list(named.values()))
    return dict(zip(named, found, strict=True))


def named(net: Chain, update: BlockGrad) -> Named:
    """By full name; of a rule that makes its own update, the way back from it."""
    last = update.index == len(net.blocks)
    prefix = "head." if last else f"blocks.{update.index}."
    grads = update.grads
    if update.weights is not None:
        before = dict(net.part(update.index).named_parameters())
        grads = {name: before[name].detach() - w for name, w in update.weights.items()}
    return {prefix + name: g for name, g in grads.items()}


def gradient(
    net: Chain, rule: LearningRule, batch: Batch, state: object = None, seed: int = 0
) -> Named:
    rng = np.random.default_rng(seed)
    state = rule.init(net, rng) if state is None else state
    found: Named = {}
    for update in rule.block_grads(net, batch, state, rng):
        found.update(named(net, update))
    return found


def mean_gradient(
    net: Chain, rule: LearningRule, batch: Batch, draws: int, state: object = None
) -> Named:
    """Over as many seeds, if they make any difference."""
    state = rule.init(net, np.random.default_rng(0)) if state is None else state
    first, second = (gradient(net, rule, batch, copy.deepcopy(state), seed) for seed in (0, 1))
    if all(torch.equal(g, second[name]) for name, g in first.items()):
        return first
    total = {name: torch.zeros_like(g) for name, g in first.items()}
    for seed in range(draws):
        for name, g in gradient(net, rule, batch, state, seed).items():
            total[name] += g / draws
    return total


def settled(net: Chain, rule: LearningRule, batch: Batch, visits: int = 200) -> tuple[object, bool]:
    """Returns a rule's state after a batch, and whether the rule learns by itself.

    One that does has a step size of its own, ``rate``; it sees the same batch many times, the net
    staying as it is. (One that learns without would be caught by ``check_forgets``.)
    """
    state = rule.init(net, np.random.default_rng(0))
    learns = isinstance(getattr(rule, "rate", None), float)
    for _ in range(visits if learns else 1):
        gradient(net, rule, batch, state)
    return state, learns


def cosine(a: Named, b: Named) -> float:
    first, second = (torch.cat([x[name].flatten() for name in sorted(b)]) for x in (a, b))
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def assert_equal(found: Named, wanted: Named, tolerance: float = 1e-9) -> None:
    assert found.keys() == wanted.keys()
    for name, g in wanted.items():
        scale = float(g.abs().max()) + 1e-12
        assert float((found[name] - g).abs().max()) <= tolerance * scale, name


def check_complete(rule: LearningRule) -> None:
    """Every part comes once, with all its parameters; the loss comes with the head."""
    net, batch = problem()
    rng = np.random.default_rng(0)
    updates = list(rule.block_grads(net, batch, rule.init(net, rng), rng))
    assert sorted(u.index for u in updates) == list(range(len(net.blocks) + 1))
    for update in updates:
        shapes = {n: p.shape for n, p in net.part(update.index).named_parameters()}
        told = update.grads if update.weights is None else update.weights
        assert {n: g.shape for n, g in told.items()} == shapes
        assert (update.loss is not None) == (update.index == len(net.blocks))


def check_exact(rule: LearningRule) -> None:
    """Equals autograd's gradient, also while the caller applies the updates as they arrive."""
    for seed in (0, 1):
        net, batch = problem(seed)
        wanted = true_gradient(net, batch)
        assert_equal(gradient(net, rule, batch), wanted)
        changing = copy.deepcopy(net)
        rng = np.random.default_rng(0)
        found: Named = {}
        for update in rule.block_grads(changing, batch, rule.init(changing, rng), rng):
            found.update(named(changing, update))
            with torch.no_grad():
                for name, p in changing.part(update.index).named_parameters():
                    p -= 0.1 * update.grads[name]
        assert_equal(found, wanted)


def check_unbiased(rule: LearningRule) -> None:
    """The mean of many estimates points where the true gradient does."""
    net, batch = small_chain()
    wanted = true_gradient(net, batch)
    found = mean_gradient(net, rule, batch, draws=500)
    assert cosine(found, wanted) > 0.97
    for name, g in wanted.items():
        assert cosine({name: found[name]}, {name: g}) > 0.9, name


def check_forgets(rule: LearningRule) -> None:
    """What was seen before does not leak into the gradient of samples that are new.

    A rule that learns while it teaches does so by a ``rate``, which is switched off here.
    """
    net, first = problem(0)
    _, second = problem(1)
    state, learns = settled(net, rule, second, visits=20)
    if learns:
        rule = dataclasses.replace(rule, rate=0.0)
    fresh = gradient(net, rule, second, copy.deepcopy(state))
    gradient(net, rule, first, state)
    assert_equal(gradient(net, rule, second, state), fresh)


def check_sign(rule: LearningRule) -> None:
    """A small step against the gradient lowers the loss; in every part, unless it is drawn.

    Of drawn directions so few say nothing about a part that hardly matters.
    """
    net, batch = problem()
    state, _ = settled(net, rule, batch)
    first, second = (gradient(net, rule, batch, copy.deepcopy(state), seed) for seed in (0, 1))
    is_drawn = any(not torch.equal(g, second[name]) for name, g in first.items())
    wanted, found = true_gradient(net, batch), mean_gradient(net, rule, batch, 40, state)
    for part in [""] if is_drawn else sorted({name.rsplit(".", 1)[0] for name in wanted}):
        along = sum(float((found[n] * g).sum()) for n, g in wanted.items() if n.startswith(part))
        assert along > 0, f"{part} would climb"
    before = float(net.loss(batch).detach())
    size = sum(float((g**2).sum()) for g in found.values()) ** 0.5
    with torch.no_grad():
        for name, p in net.named_parameters():
            p -= 1e-3 / size * found[name]
    assert float(net.loss(batch).detach()) < before


def taught(rule: LearningRule, batch: Batch, steps: int = 12) -> tuple[GraspNet, Report]:
    net, _ = problem()
    settings = FineTuning(optimizer=SGD(0.02))
    return fine_tune(net, [batch] * steps, rule, np.random.default_rng(3), settings, steps)


def check_loss_falls(rule: LearningRule) -> None:
    _, batch = problem()
    _, report = taught(rule, batch)
    assert report.losses[-1] < 0.9 * report.losses[0], report.losses
    assert not report.warning


def check_deterministic(rule: LearningRule) -> None:
    _, batch = problem()
    (first, _), (second, _) = taught(rule, batch), taught(rule, batch)
    assert digest(first.state_dict()) == digest(second.state_dict())


def check_nan_is_caught(rule: LearningRule) -> None:
    net, batch = problem()
    broken = Batch(batch.pictures * float("nan"), batch.target, batch.keys)
    after, report = taught(rule, broken, steps=2)
    assert "not finite" in report.warning
    assert digest(after.state_dict()) == digest(net.state_dict())


@dataclass(frozen=True)
class Peaks:
    """A step's peak of live bytes over depth x1, x2, x4, and inference's."""

    step: list[int]
    inference: list[int]


def peaks(rule: LearningRule) -> Peaks:
    """Measured where activations outweigh the weights by far."""
    spec = NetSpec(width=8, depth=4, features=8, groups=2, turns=8, kernel=3, hidden=4)
    pictures = torch.zeros(2, 5, 96, 96)
    place = torch.zeros(2, 8, 24, 24)
    place[:, 0, 5, 5] = 1
    batch = Batch(pictures, Target(place, torch.zeros(2)), (0, 1))
    step, inference = [], []
    for times in (1, 2, 4):
        net = GraspNet(spec.deeper(times))
        rng = np.random.default_rng(0)
        state = rule.init(net, rng)
        list(rule.block_grads(net, batch, state, rng))
        with MemoryMeter() as meter:
            for _ in rule.block_grads(net, batch, state, rng):
                pass
        step.append(meter.peak)
        with MemoryMeter() as meter:
            net.predict(pictures)
        inference.append(meter.peak)
    return Peaks(step, inference)


def check_memory(rule: LearningRule) -> None:
    """The peak grows with depth as the rule declares."""
    once, twice, four = peaks(rule).step
    if rule.memory == "flat":
        assert four <= 1.02 * once, (once, twice, four)
    elif rule.memory == "linear":
        # A little more than 2 where at first the head's own peak is above the blocks'.
        assert 1.9 < (four - twice) / (twice - once) < 2.4, (once, twice, four)
        assert four > 1.5 * once, (once, twice, four)
    else:
        # Four times the depth is twice the root; the head's share does not grow at all.
        assert 1.05 * once < four < 2.2 * once, (once, twice, four)


EVERY = (
    check_complete,
    check_forgets,
    check_sign,
    check_loss_falls,
    check_deterministic,
    check_nan_is_caught,
    check_memory,
)
