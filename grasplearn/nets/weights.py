"""Weights on disk: one safetensors file with a card in its head.

The card is plain JSON: what kind of file it is, the net's shape, the data, settings and command
that made it. A digest over the tensors tells a damaged file from a whole one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import write_files
from grasplearn.nets.graspnet import GraspNet, NetSpec

CARD = "grasplearn"
FORMAT = 1
NET = "net"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Returns a hash over names, types, shapes and bytes; equal for equal tensors."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        total.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def save_tensors(
    path: str | Path, kind: str, tensors: Mapping[str, Tensor], card: Mapping[str, Any]
) -> None:
    """Writes tensors and their card; the file appears complete or not at all.

    Args:
        kind: what the file is, checked on loading; card: JSON values.

    Raises:
        InvalidValueError: a weight is not finite, or the file cannot be written.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    for name, tensor in plain.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidValueError(f"weight {name} is not finite; nothing was saved")
    full = {**card, "kind": kind, "format": FORMAT, "digest": digest(plain)}
    data = safetensors.torch.save(plain, {CARD: json.dumps(full, allow_nan=False)})
    write_files(Path(path).parent, {Path(path).name: data})


def load_tensors(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns a file's tensors and card.

    Raises:
        FileFormatError: it is missing, foreign, of another kind, of a newer format or damaged.
    """
    path = Path(path)
    try:
        with safetensors.safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise FileFormatError(f"no weights at {path}; give a .safetensors file") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise FileFormatError(f"{path} is no whole safetensors file ({error})") from error
    try:
        card = json.loads(metadata[CARD])
        found, version, told = card["kind"], card["format"], card["digest"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise FileFormatError(
            f"{path} holds tensors that GraspLearn did not write; give one of its own files"
        ) from error
    if found != kind:
        raise FileFormatError(f"{path} holds a {found}, not a {kind}")
    if version != FORMAT:
        raise FileFormatError(
            f"{path} is of format {version}, this GraspLearn reads {FORMAT}; make it again"
        )
    if digest(tensors) != told:
        raise FileFormatError(f"{path} is damaged: its digest does not fit; get it again")
    return tensors, card


def fill(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Copies tensors into a module.

    Raises:
        FileFormatError: a name is missing or unknown, or a shape differs.
    """
    own = module.state_dict()
    odd = sorted(own.keys() ^ tensors.keys())
    if odd:
        raise FileFormatError(f"{where} does not fit: {odd[0]} is on one side only")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise FileFormatError(
                f"{where} does not fit: {name} is {tuple(tensors[name].shape)}, "
                f"not {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(tensors))


def save_net(path: str | Path, net: GraspNet, card: Mapping[str, Any]) -> None:
    """Writes a net's weights and shape."""
    save_tensors(path, NET, net.state_dict(), {**card, "spec": asdict(net.spec)})


def load_net(path: str | Path) -> tuple[GraspNet, dict[str, Any]]:
    """Returns a saved net and its card.

    Raises:
        FileFormatError: as ``load_tensors``, or the tensors are not such a net's.
    """
    tensors, card = load_tensors(path, NET)
    try:
        net = GraspNet(NetSpec.from_dict(card["spec"]))
    except (KeyError, InvalidValueError) as error:
        raise FileFormatError(f"{path} does not say which net it is for ({error})") from error
    fill(net, tensors, path)
    return net, card
