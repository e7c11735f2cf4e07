"""A wider or deeper net that says what a smaller one says: what that one has learned is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.nets.graspnet import GraspNet, NetSpec

# Cells: how far around the spot an added group of features looks at first.
NARROW = 1.5


@torch.no_grad()
def grown(net: GraspNet, spec: NetSpec, seed: int = 0) -> GraspNet:
    """Returns a net of a larger spec that gives the same maps for the same imprint.

    Added channels begin with random weights and nothing listens to them yet, so that only training
    brings them in; added residual blocks begin as the identity. An added group of features looks
    close around the spot. (Function-preserving growth as in Net2Net, arXiv 1511.05641.)

    Raises:
        InvalidValueError: the spec is smaller somewhere, or of another stride, kernel or grouping.
    """
    small = net.spec
    fixed = ("stride", "kernel", "turns")
    sizes = ("width", "depth", "features", "groups", "hidden")
    if (
        any(getattr(small, name) != getattr(spec, name) for name in fixed)
        or any(getattr(small, name) > getattr(spec, name) for name in sizes)
        or small.features * spec.groups != spec.features * small.groups
    ):
        raise InvalidValueError(f"a net of {small} cannot grow into {spec}; start without it")
    made = GraspNet(spec, seed)
    added = made.head.window[small.groups :]
    added.copy_(_bell(spec.kernel).expand_as(added))
    old = net.state_dict()
    for name, tensor in made.state_dict().items():
        if name in old:
            _grow_into(tensor, old[name])
        else:
            tensor.zero_()
    return made


def _bell(side: int) -> Tensor:
    """A Gaussian window (k, k) whose mean is one."""
    far = torch.arange(side) - side // 2
    bell = torch.exp(-(far[:, None] ** 2 + far**2) / (2 * NARROW**2))
    return bell / bell.mean()


def _grow_into(tensor: Tensor, old: Tensor) -> None:
    """Old outputs read old inputs alone."""
    outputs = len(old)
    if old.dim() > 1:
        tensor[:outputs, old.shape[1] :] = 0
        tensor[:outputs, : old.shape[1]] = old
    else:
        tensor[:outputs] = old
