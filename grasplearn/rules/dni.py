"""Live synthetic gradients: modules that guess gradients and learn to while the net is taught."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Batch, Chain, HeadStep
from grasplearn.rules.base import BlockGrad, Guard, Memory, root_mean_square
from grasplearn.rules.sgm import SGMs

Told = Literal["nothing", "target", "exact"]
# A guess is scaled down to so many times the size of what its module has been taught.
LIMIT = 10.0


class Guess(nn.Module):
    """(B, C, h, w), or (B, C), and what it is told -> a guessed gradient of h's shape.

    One hidden layer; what it puts out is 0 at first, so that training starts neutral.
    """

    def __init__(self, channels: int, told: int, inner: int, flat: bool) -> None:
        super().__init__()
        size = channels + told
        first = nn.Linear(size, inner) if flat else nn.Conv2d(size, inner, 3, padding=1)
        out = nn.Linear(inner, channels) if flat else nn.Conv2d(inner, channels, 1)
        for p in out.parameters():
            nn.init.zeros_(p)
        self.layers = nn.Sequential(first, nn.ReLU(), out)

    def forward(self, h: Tensor, told: Tensor | None) -> Tensor:
        guessed: Tensor = self.layers(h if told is None else torch.cat([h, told], 1))
        return guessed


@dataclass(eq=False)
class Live:
    """A module at work.

    Attributes:
        scale: root mean square of what it has been taught so far; 0 before the first time.
        relative: it guesses in units of ``scale`` (a fresh one), not of the loss (a warm one).
        error: running squared error of its guesses / the targets' squares; saying 0 has 1.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    relative: bool
    scale: float = 0.0
    error: float = 0.0

    def guess(self, h: Tensor, told: Tensor | None) -> Tensor:
        guessed: Tensor = self.module(h, told)
        return guessed * self.scale if self.relative else guessed

    def learn(self, h: Tensor, told: Tensor | None, target: Tensor) -> None:
        """Takes one step of regression onto a target; leaves one out that is not finite."""
        size = root_mean_square(target)
        if not (np.isfinite(size) and size > 0):
            return
        self.scale = 0.9 * self.scale + 0.1 * size if self.scale else size
        # Maps sample by sample, so that the graph of all of them never lives at once.
        count = len(h) if h.dim() > 2 else 1
        error = 0.0
        for x, say, wanted in zip(
            h.chunk(count),
            [None] * count if told is None else told.chunk(count),
            target.chunk(count),
            strict=True,
        ):
            with torch.enable_grad():
                loss = ((self.guess(x, say) - wanted) ** 2).sum() / (target.numel() * self.scale**2)
            loss.backward()
            error += float(loss.detach())
        if np.isfinite(error):
            self.error += 0.2 * (error * (self.scale / size) ** 2 - self.error)
            self.optimizer.step()
        self.optimizer.zero_grad()


@dataclass(eq=False)
class DNIState:
    """The modules by block; ``seed``: of those that are made when their block is first met."""

    seed: int
    live: dict[int, Live] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DNI:
    """As static SGMs, a module guesses the gradient at its block's output and the block is updated
    at once; but then the gradient that reaches the block's own input (from the next module's guess,
    at the end from the loss) becomes the target of the module before it. So the modules need no
    meta-training, at the price of one block's pull-back and one module's training.

    When to choose it: there are no static modules, or they meet another kind of data and must go on
    learning. When not: a single demonstration is too little to train modules from nothing; without
    warm ones it is hardly better than the last block alone.

    Source: arXiv 1703.00522 (DNI, and cDNI told the label); what modules may be told besides,
    the guard and the trust are ours.

    Attributes:
        told: what the modules see besides h. ``nothing``: DNI. ``target``: cDNI, what the target
            alone tells (the head's ``target_error``). ``exact``: the head's error, found by a first
            pass, which is what static SGMs are told.
        modules: trained static SGMs to start from; they themselves never change. None for fresh
            modules that say 0 at first.
        rate: Adam's step size for the modules; 0 for modules that do not learn.
        inner: channels inside a fresh module.
        trust: a module whose guesses have a greater relative squared error than that is not
            followed: its block waits. Saying 0 has 1; infinity follows every guess, as the paper.

    Raises:
        InvalidValueError: a setting is out of its range, or static SGMs would be told nothing.
    """

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "flat"
    told: Told = "nothing"
    modules: SGMs | None = None
    rate: float = 3e-3
    inner: int = 16
    trust: float = 0.9

    def __post_init__(self) -> None:
        if self.told not in get_args(Told):
            raise InvalidValueError(
                f"told must be one of {', '.join(get_args(Told))}; got '{self.told}'"
            )
        if self.modules is not None and self.told == "nothing":
            raise InvalidValueError("static SGMs guess from an error; use told='exact' or 'target'")
        if not 0 <= self.rate < float("inf"):
            raise InvalidValueError(f"rate must be from 0 on and finite, got {self.rate}")
        if not self.trust > 0:
            raise InvalidValueError(f"trust must be above 0, got {self.trust}")
        if type(self.inner) is not int or self.inner < 1:
            raise InvalidValueError(f"inner must be a whole number from 1 on: {self.inner}")

    def init(self, net: Chain, rng: np.random.Generator) -> DNIState:
        state = DNIState(int(rng.integers(2**31)))
        if self.modules is not None:
            for index, module in enumerate(copy.deepcopy(self.modules)):
                state.live[index] = self._live(module, relative=False)
        return state

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: DNIState, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        last = len(net.blocks) - 1
        head: HeadStep | None = None
        told = None
        if self.told == "target":
            told = net.head.target_error(batch.target)
        elif self.told == "exact":
            head = net.head.step(net.features(batch.pictures), batch.target)
            told = head.error.clone()
            yield BlockGrad(last + 1, head.grads, head.loss)
        h = batch.pictures
        for index in range(last + 1):
            block = net.block(index)
            out = block(h)
            if index < last:
                live = self._of(state, index, out, told)
                g = live.guess(out, told)
                if live.error > self.trust:
                    g.zero_()
                most = LIMIT * live.scale if live.scale else float("inf")
            else:
                if head is None:
                    head = net.head.step(out, batch.target)
                    yield BlockGrad(last + 1, head.grads, head.loss)
                g, most = head.error, float("inf")
            size = root_mean_square(g)
            if not np.isfinite(size):
                yield BlockGrad(index, {}, guard=Guard.SKIPPED)
                h = out
                continue
            if size > most:
                g.mul_(most / size)
            grads, target = block.vjp(h, out, g, need_input=index > 0)
            del g
            if target is not None:
                self.teach(state, index - 1, h, told, target)
                del target
            yield BlockGrad(index, grads, guard=Guard.SCALED if size > most else Guard.FINE)
            h = out

    def teach(
        self, state: DNIState, index: int, h: Tensor, told: Tensor | None, target: Tensor
    ) -> None:
        """Teaches block ``index``'s module the gradient that has come back to its output h."""
        if self.rate > 0:
            self._of(state, index, h, told).learn(h, told, target)

    def _of(self, state: DNIState, index: int, h: Tensor, told: Tensor | None) -> Live:
        """Returns a block's module; a fresh one's shape is known when its h is first seen."""
        if index not in state.live:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(state.seed + index)
                more = 0 if told is None else told.shape[1]
                made = Guess(h.shape[1], more, self.inner, h.dim() == 2).to(h)
            state.live[index] = self._live(made, relative=True)
        return state.live[index]

    def _live(self, module: nn.Module, relative: bool) -> Live:
        module.requires_grad_(True)
        optimizer = torch.optim.Adam(module.parameters(), self.rate)
        return Live(module, optimizer, relative, error=1.0 if relative else 0.0)
