"""Feed-forward fine-tuning with static synthetic gradients: no gradient passes between blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.nets.chain import Batch, Block, Chain, HeadStep
from grasplearn.rules.base import BlockGrad, Guard, Memory, root_mean_square
from grasplearn.rules.directions import Trained, check_trained
from grasplearn.rules.sgm import SGMs

ErrorKind = Literal["exact", "cached", "target"]


class Guesser(Protocol):
    """Guesses a gradient; ``SGMs`` is one, an oracle in a test is another."""

    def guess(self, index: int, h: Tensor, e: Tensor) -> Tensor:
        """Returns dloss/dh (B, C, h, w) at block ``index``'s output h, given the head's error e."""
        ...


@dataclass(eq=False)
class SGMState:
    """The modules, which stay as they are, and what is remembered of each batch's error, by its
    samples' keys."""

    modules: Guesser
    errors: dict[tuple[int, ...], Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StaticSGM:
    """During the forward pass a frozen module guesses the gradient at a block's output; the block's
    own gradient follows from its input and output alone, is yielded, and the input is forgotten.

    The last block and the head are exact: the head's error is theirs. No graph is ever recorded.

    When to choose it: teaching on a device that has memory for inference only, or no backward pass.
    When not: with memory to spare backprop is as good and needs no modules.

    Source: arXiv 2009.09675; the broadcast of the head's error, two passes and the guard are ours.

    Attributes:
        error: what the modules are told. ``exact``: a first pass without updates finds the head's
            error (two passes). ``cached``: the error of the batch's own last visit, by its keys;
            the first visit is exact (one pass afterwards). ``target``: what the target alone tells
            (always one pass, no memory; it attracts and never repels).
        modules: trained ones; None for untrained.
        limit: how many times the error's root mean square a guess may have before it is scaled
            down to that.
        trained: of the blocks whose gradient is guessed: ``scale-bias``, every kernel's scale and
            every bias; ``all``, every weight by itself. The gradient of scales is a sum over cells
            where that of every weight is a convolution, and they refined no worse (docs/RULES.md).

    Raises:
        InvalidValueError: a setting is out of its range.
    """

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "flat"
    error: ErrorKind = "exact"
    modules: Guesser | None = None
    limit: float = 10.0
    trained: Trained = "scale-bias"

    def __post_init__(self) -> None:
        if self.error not in ("exact", "cached", "target"):
            raise InvalidValueError(f"error must be exact, cached or target; got '{self.error}'")
        check_trained(self.trained)
        if not self.limit > 0:
            raise InvalidValueError(f"limit must be above 0, got {self.limit}")

    def init(self, net: Chain, rng: np.random.Generator) -> SGMState:
        return SGMState(self.modules or SGMs.untrained(net, rng))

    @torch.no_grad()
    def block_grads(
        self, net: Chain, batch: Batch, state: SGMState, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        last = len(net.blocks) - 1
        head: HeadStep | None = None
        error = self.told(net, batch, state)
        if error is None:
            head = net.head.step(net.features(batch.pictures), batch.target)
            error = head.error
            yield BlockGrad(last + 1, head.grads, head.loss)
        most = self.limit * root_mean_square(error)
        h = batch.pictures
        for index in range(last):
            block = net.block(index)
            out = block(h)
            yield self._update(block, index, h, out, state.modules.guess(index, out, error), most)
            h = out
        block = net.block(last)
        out = block(h)
        if head is None:
            del error
            state.errors.pop(batch.keys, None)  # the head needs the room
            head = net.head.step(out, batch.target)
            error = head.error
            yield BlockGrad(last + 1, head.grads, head.loss)
        if self.error == "cached":
            state.errors[batch.keys] = error.clone()
        yield self._update(block, last, h, out, error)

    def told(self, net: Chain, batch: Batch, state: SGMState) -> Tensor | None:
        """Returns the error the modules are told before any pass, or None if it must be found."""
        if self.error == "target":
            return net.head.target_error(batch.target)
        if self.error == "cached":
            if not batch.keys:
                raise InvalidValueError("cached errors need samples with keys; use error='exact'")
            return state.errors.get(batch.keys)
        return None

    def _update(
        self,
        block: Block,
        index: int,
        h: Tensor,
        out: Tensor,
        g: Tensor,
        most: float | None = None,
    ) -> BlockGrad:
        """Returns a block's own gradient from the gradient g at its output, which is consumed.

        ``most``: the greatest root mean square that a guess g may have; None where g is exact.
        """
        size = root_mean_square(g)
        if not np.isfinite(size):
            return BlockGrad(index, {}, guard=Guard.SKIPPED)
        guard = Guard.FINE
        if most is not None and size > most:
            g.mul_(most / size)
            guard = Guard.SCALED
        if most is not None and self.trained == "scale-bias":
            return BlockGrad(index, block.scale_vjp(h, out, g), guard=guard)
        grads, _ = block.vjp(h, out, g, need_input=False)
        return BlockGrad(index, grads, guard=guard)
