"""Fixed-point forward gradients: the whole step in integers, on integer weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Batch, Chain, Grads
from grasplearn.nets.integer import (
    LARGEST,
    LOSS_EXPONENT,
    Fit,
    Fixed,
    exponent_for,
    to_floats,
    to_integers,
)
from grasplearn.rules.base import BlockGrad, Guard, Memory
from grasplearn.rules.directions import (
    Trained,
    check_settings,
    draw_seeds,
    generator_of,
    signs,
)

# A weight's integers have room for it to double; a bias, which starts at 0, to come to 1.
_ROOM, _LEAST_RANGE = 2.0, 0.5
# A bias is moved by so many times less than 1 as a kernel is less than its own size, times this.
_BIAS_SHIFT = 2
_MOMENTUM_SHIFT = 3
_Coordinates = dict[int, dict[str, Tensor]]


@dataclass(eq=False)
class FixedState:
    """What is kept between steps.

    Attributes:
        exponents: of every parameter by part and name; fit: of every activation.
        momentum: running sum of updates by part and name, int16, in the units of a direction.
        steps: done so far.
    """

    exponents: dict[int, dict[str, int]]
    fit: Fit = field(default_factory=Fit)
    momentum: _Coordinates = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True)
class FixedPoint:
    """Sign-m-SPSA in integers: 16-bit weights, 8-bit activations, integer directions and updates.
    No floating-point number is multiplied in a step; pictures and targets are only compared with.

    The rule makes its own update, whatever the optimizer: the net's floats merely carry integers
    times powers of two from step to step. Its step size is a power of two as well (``stepping``).

    When to choose it: on an accelerator that knows integers only. When not: anywhere else. The
    direction's sign is all a pass tells, and rounding hides small slopes: it takes many more steps
    than the few of a lesson before much is gained. 8-bit weights cannot take a step small enough.

    Source: arXiv 2411.04036 for the scheme and its five enhancements (their details here are ours);
    MSAM (arXiv 2401.12033) for sharpness without further passes.

    Attributes:
        directions: m, whose signs are summed in a step.
        weight_bits: 16, or 8.
        size: kernels are moved by 2^-size of their mean magnitude to measure,
        rate: and by 2^-rate of that move to learn; one more every ``halving`` steps (0: never).
        trained: ``all`` or ``scale-bias``, as of ForwardGradient.
        blocks: sparse updates: which parts move, from the front, or negative from the back (-1 is
            the head); None for all.
        guided: momentum-guided sampling: this share of a direction's entries follows the running
            update instead of chance, in [0, 1).
        sharpness: slopes are measured so many moves uphill of the running update; 0 for here.
        kernelwise: every kernel is moved in proportion to its own size, not to its layer's mean.

    Raises:
        InvalidValueError: a setting is out of its range.
    """

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "flat"
    directions: int = 3
    weight_bits: Literal[8, 16] = 16
    size: int = 4
    rate: int = 3
    halving: int = 0
    trained: Trained = "scale-bias"
    blocks: tuple[int, ...] | None = None
    guided: float = 0.0
    sharpness: int = 0
    kernelwise: bool = True

    def __post_init__(self) -> None:
        check_settings(self.trained, self.directions)
        if self.weight_bits not in LARGEST:
            raise InvalidValueError(f"weight_bits must be 8 or 16, got {self.weight_bits}")
        for name in ("size", "rate", "halving", "sharpness"):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value < 1000:
                raise InvalidValueError(f"{name} must be a whole number from 0 on, got {value}")
        if not 0 <= self.guided < 1:
            raise InvalidValueError(f"guided must be in [0, 1), got {self.guided}")

    def stepping(self, rate: float) -> Self:
        """The same rule with another step size: a share of the move that measures, in (0, 1], or
        what power of two is nearest to it."""
        return replace(self, rate=max(0, round(-math.log2(rate))))

    def init(self, net: Chain, rng: np.random.Generator) -> FixedState:
        """Chooses every parameter's exponent: the one thing that looks at floating-point sizes."""
        exponents: dict[int, dict[str, int]] = {}
        for index in range(len(net.blocks) + 1):
            exponents[index] = {}
            for name, p in net.part(index).named_parameters():
                largest = max(_ROOM * float(p.detach().abs().max()), _LEAST_RANGE)
                if not np.isfinite(largest):
                    raise InvalidValueError(f"weight {name} of block {index} is not finite")
                exponents[index][name] = exponent_for(largest, self.weight_bits)
        return FixedState(exponents)

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: FixedState, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        count = len(net.blocks)
        if not bool(torch.isfinite(batch.pictures).all()):
            yield BlockGrad(count, {}, batch.pictures.new_tensor(float("nan")), Guard.SKIPPED)
            for index in range(count):
                yield BlockGrad(index, {}, guard=Guard.SKIPPED)
            return
        moving = self._moving(count)
        # On a device of integers these ARE the weights.
        own = [self._integers(net.part(i), state.exponents[i]) for i in range(count + 1)]
        x = state.fit.picture(batch.pictures)
        if state.steps == 0:  # finds the activations' exponents
            self._loss(net, own, x, batch, state, None, 0, moving)
        seeds, turns, losses = draw_seeds(rng, self.directions), [], []
        for seed in seeds:
            up = self._loss(net, own, x, batch, state, seed, 1, moving)
            down = self._loss(net, own, x, batch, state, seed, -1, moving)
            turns.append((up > down) - (up < down))
            losses += [up, down]
        told = sum(losses) / len(losses) / 2**LOSS_EXPONENT
        loss = batch.pictures.new_tensor(told)
        for index in range(count + 1):
            part = net.part(index)
            weights = own[index]
            if index in moving:
                self._update(index, weights, state, seeds, turns)
            grown = {
                name: to_floats(weights[name], state.exponents[index][name], p)
                for name, p in part.named_parameters()
            }
            yield BlockGrad(index, {}, loss if index == count else None, weights=grown)
        state.steps += 1

    def _moving(self, count: int) -> frozenset[int]:
        """Which parts are moved.

        Raises:
            InvalidValueError: there is no such block.
        """
        if self.blocks is None:
            return frozenset(range(count + 1))
        for block in self.blocks:
            if not -count - 1 <= block <= count:
                raise InvalidValueError(f"no block {block}; blocks are {-count - 1} to {count}")
        return frozenset(block % (count + 1) for block in self.blocks)

    def _integers(self, part: nn.Module, exponents: dict[str, int]) -> Grads:
        return {
            name: to_integers(p, exponents[name], self.weight_bits)
            for name, p in part.named_parameters()
        }

    def _loss(
        self,
        net: Chain,
        own: list[Grads],
        x: Fixed,
        batch: Batch,
        state: FixedState,
        seed: int | None,
        by: int,
        moving: frozenset[int],
    ) -> int:
        """Returns the loss, with LOSS_EXPONENT, of the net moved along a direction or left there.

        Block after block, and in each sample after sample: no more than one block's weights are
        moved, and one sample's wide sums live, at a time.
        """
        count = len(net.blocks)
        for index in range(count + 1):
            exponents, weights = state.exponents[index], dict(own[index])
            if seed is not None and index in moving:
                self._move(index, weights, exponents, state, seed, by)
            fixed = {name: Fixed(w, exponents[name]) for name, w in weights.items()}
            if index == count:
                return net.head.integer_loss(x, fixed, batch.target, state.fit)
            block, name = net.block(index), f"blocks.{index}"
            if seed is None:
                x = block.integer(x, fixed, name, state.fit)
                continue
            outs = [
                block.integer(Fixed(x.values[:, i : i + 1], x.exponent), fixed, name, state.fit)
                for i in range(x.values.shape[1])
            ]
            x = Fixed(torch.cat([out.values for out in outs], 1), outs[0].exponent)
        raise AssertionError("a chain ends in its head")

    def _move(
        self,
        index: int,
        weights: Grads,
        exponents: dict[str, int],
        state: FixedState,
        seed: int,
        by: int,
    ) -> None:
        """Adds ``by`` times a direction to integer weights; clipped to their bits."""
        for name, z in self._direction(index, weights, state, seed).items():
            step = by * z
            if self.sharpness and index in state.momentum:
                # The running update goes downhill: uphill is against it.
                step = step - self.sharpness * state.momentum[index][name].sign()
            w = weights[name]
            unit = self._unit(w, exponents[name]) * self._pattern(w, z)
            weights[name] = _clipped(w.to(torch.int32) + unit * step, self.weight_bits)

    def _update(
        self,
        index: int,
        weights: Grads,
        state: FixedState,
        seeds: list[int],
        turns: list[int],
    ) -> None:
        """Moves integer weights against every slope's sign."""
        shift = self.rate + (state.steps // self.halving if self.halving else 0)
        down: Grads = {}
        for seed, turn in zip(seeds, turns, strict=True):
            for name, z in self._direction(index, weights, state, seed).items():
                down[name] = down.get(name, torch.zeros_like(z)) - turn * z
        for name, z in down.items():
            w = weights[name]
            unit = self._unit(w, state.exponents[index][name])
            small = (unit >> shift).clamp_(min=1)
            moved = w.to(torch.int32) + small * self._pattern(w, z) * z
            weights[name] = _clipped(moved, self.weight_bits)
        if self.guided or self.sharpness:
            before = state.momentum.get(index, {n: torch.zeros_like(z) for n, z in down.items()})
            state.momentum[index] = {
                n: m - (m >> _MOMENTUM_SHIFT) + 16 * down[n] for n, m in before.items()
            }

    def _direction(
        self, index: int, weights: Grads, state: FixedState, seed: int
    ) -> dict[str, Tensor]:
        """Returns -1 or 1 for everything that moves by itself: a weight, a bias or a kernel."""
        generator = generator_of(seed, index)
        made = {}
        for name, w in weights.items():
            whole = self.trained == "all" or w.dim() < 2
            shape = w.shape if whole else torch.Size([len(w)] + [1] * (w.dim() - 1))
            z = signs(shape, generator).to(torch.int32)
            if self.guided:
                drawn = torch.randint(0, 256, shape, generator=generator, dtype=torch.int32)
                if index in state.momentum:
                    running = state.momentum[index][name].sign()
                    follows = (drawn < round(256 * self.guided)) & (running != 0)
                    z = torch.where(follows, running, z)
            made[name] = z.to(w.device)
        return made

    def _pattern(self, w: Tensor, z: Tensor) -> Tensor:
        """A kernel that moves as one grows or shrinks along the signs of its weights."""
        return torch.ones_like(w) if z.shape == w.shape else w.sign()

    def _unit(self, w: Tensor, exponent: int) -> Tensor:
        """Returns by how much a direction moves each kernel or bias, int32, at least 1."""
        if w.dim() < 2:
            size = torch.tensor([1 << max(0, exponent)], dtype=torch.int32) >> _BIAS_SHIFT
        else:
            sizes = w.to(torch.int32).abs().flatten(1)
            size = sizes.sum(1) // sizes.shape[1]
            if not self.kernelwise:
                size = (size.sum() // len(size)).expand(len(size))
            size = size.view(-1, *[1] * (w.dim() - 1))
        return (size >> self.size).clamp(min=1).to(torch.int32).to(w.device)


def _clipped(values: Tensor, bits: int) -> Tensor:
    return values.clamp(-LARGEST[bits], LARGEST[bits]).to(torch.int16)
