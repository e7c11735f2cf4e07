"""What every learning rule is written against: a chain of blocks that ends in a head.

``h_0`` is the picture, ``h_{i+1} = blocks[i](h_i)`` and the head turns the last ``h`` into a loss.
A block can pull a gradient back through itself alone; nothing here, and nothing in a rule, needs
more than that. The defaults use autograd inside ONE block; a block that matters overrides them with
a closed form, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from grasplearn.errors import InvalidValueError
from grasplearn.nets.integer import Fit, Fixed
from grasplearn.nets.sparse import Keep

Grads = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step is taught on.

    Attributes:
        pictures: (B, C, H, W).
        target: whatever the chain's head compares with.
        keys: (B,) names of the samples. A sample that comes again under its name is the same
            bytes; rules that remember something per sample keep it under its name. Empty: every
            sample is new.
    """

    pictures: Tensor
    target: Any
    keys: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.keys and len(self.keys) != len(self.pictures):
            raise ValueError(f"{len(self.pictures)} pictures need as many keys, got {self.keys}")

    def to(self, device: str | torch.device) -> Batch:
        """Returns the batch on a device, its target too if that knows how."""
        target = self.target.to(device) if hasattr(self.target, "to") else self.target
        return Batch(self.pictures.to(device), target, self.keys)


@dataclass(frozen=True, eq=False)
class HeadStep:
    """What the head knows by itself, without any gradient through the blocks before it.

    Attributes:
        loss: ().
        grads: of the head's own parameters, by name.
        error: dloss/dh at the head's input, of its shape.
    """

    loss: Tensor
    grads: Grads
    error: Tensor


class Block(nn.Module):
    """One link of a chain, ``h -> out``, with its own parameters."""

    def forward(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def vjp(
        self, h: Tensor, out: Tensor, g: Tensor, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        """Pulls a gradient back through this block alone.

        Args:
            h: the block's input; out: what it made of it.
            g: dloss/dout, of out's shape. It is CONSUMED: its memory may hold something else
                afterwards, which is what keeps a feed-forward step small.
            need_input: whether dloss/dh is wanted too.

        Returns:
            The gradients of the block's parameters by name, and dloss/dh or None.
        """
        names, parameters = zip(*self.named_parameters(), strict=True)
        with torch.enable_grad():
            h = h.detach().requires_grad_(need_input)
            again = self(h)
            wanted = [*parameters, h] if need_input else [*parameters]
            found = torch.autograd.grad(again, wanted, g)
        return dict(zip(names, found[: len(names)], strict=True)), (
            found[-1] if need_input else None
        )

    def scale_vjp(self, h: Tensor, out: Tensor, g: Tensor) -> Grads:
        """As ``vjp`` where of a kernel only its scale may change; biases are free.

        A kernel's gradient is the slope along itself, times itself. A block whose output tells what
        its convolution made needs no convolution for that.
        """
        grads, _ = self.vjp(h, out, g, need_input=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                slopes = (grads[name] * p).flatten(1).sum(1)
                grads[name] = p.detach() * slopes.view(-1, *[1] * (p.dim() - 1))
        return grads

    def sparse_vjp(
        self, h: Tensor, out: Tensor, g: Tensor, keep: Keep, need_input: bool = True
    ) -> tuple[Grads, Tensor | None]:
        """As ``vjp``, from a part of g alone; here without saving any arithmetic."""
        return self.vjp(h, out, keep.thin_(g), need_input)

    def integer(self, x: Fixed, weights: dict[str, Fixed], name: str, fit: Fit) -> Fixed:
        """As ``forward`` in integers: x (C, B, H, W) of 8 bits -> (C', B, h, w) of 8 bits.

        Args:
            weights: by parameter name. name: the block's, under which ``fit`` keeps its exponent.

        Raises:
            InvalidValueError: this kind of block has no integer form.
        """
        raise InvalidValueError(_no_integers(self))


class Head(nn.Module):
    """The end of a chain: maps of the last ``h``, and their loss."""

    def loss(self, h: Tensor, target: Any) -> Tensor:
        """Returns the loss (), through which autograd can look."""
        raise NotImplementedError

    def target_error(self, target: Any) -> Tensor:
        """Returns the part of the error at the head's input that the target alone tells.

        Raises:
            InvalidValueError: this kind of head knows none.
        """
        raise InvalidValueError(
            f"{type(self).__name__} tells no error from the target alone; use a rule that is told "
            "the exact one"
        )

    def step(self, h: Tensor, target: Any) -> HeadStep:
        """Returns the loss, the head's own exact gradients, and the error at its input."""
        names, parameters = zip(*self.named_parameters(), strict=True)
        with torch.enable_grad():
            h = h.detach().requires_grad_()
            loss = self.loss(h, target)
            *grads, error = torch.autograd.grad(loss, [*parameters, h])
        return HeadStep(loss.detach(), dict(zip(names, grads, strict=True)), error)

    def integer_loss(self, x: Fixed, weights: dict[str, Fixed], target: Any, fit: Fit) -> int:
        """As ``loss`` in integers: the mean over samples x (C, B, h, w), with LOSS_EXPONENT.

        Raises:
            InvalidValueError: this kind of head has no integer form.
        """
        raise InvalidValueError(_no_integers(self))


class Chain(nn.Module):
    """Blocks and a head.

    Attributes:
        blocks: ModuleList of Block; head: Head.
    """

    def __init__(self, blocks: list[Block], head: Head) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    def part(self, index: int) -> nn.Module:
        """Returns block ``index``, or the head for ``len(blocks)``."""
        return self.head if index == len(self.blocks) else self.blocks[index]

    def block(self, index: int) -> Block:
        found = self.blocks[index]
        assert isinstance(found, Block)
        return found

    def after(self, first: int) -> Chain:
        """Returns the chain without its first blocks, with the weights of this one; its pictures
        are what they put out."""
        return Chain([self.block(i) for i in range(first, len(self.blocks))], self.head)

    def features(self, pictures: Tensor) -> Tensor:
        """Returns the last ``h``."""
        h = pictures
        for block in self.blocks:
            h = block(h)
        return h

    def forward(self, pictures: Tensor) -> Any:
        return self.head(self.features(pictures))

    def loss(self, batch: Batch) -> Tensor:
        """Returns the loss () of a batch; autograd can look through the whole chain."""
        return self.head.loss(self.features(batch.pictures), batch.target)


def _no_integers(part: nn.Module) -> str:
    return f"{type(part).__name__} has no integer form; choose another rule than fixed-point"
