"""Tensors on disk without torch: the same safetensors files that the full program writes.

Source: the format is that of huggingface.co/docs/safetensors: eight bytes with the header's length,
a JSON header, the tensors' bytes. Only float32 occurs here.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError, InvalidValueError, refusal

Array = NDArray[np.float32]
# As in ``nets.weights``, which needs torch; a test compares.
CARD, FORMAT = "grasplearn", 1


def digest(tensors: Mapping[str, Array]) -> str:
    """Returns the hash that ``nets.weights.digest`` makes of the same tensors."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        total.update(f"{name} torch.{array.dtype} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def write(path: Path, kind: str, tensors: Mapping[str, Array], card: Mapping[str, Any]) -> None:
    """Writes tensors and their card as ``nets.weights.save_tensors`` does.

    Raises:
        InvalidValueError: a tensor is not finite, or the file cannot be written.
    """
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise InvalidValueError(f"weight {name} is not finite; nothing was saved")
    full = {**card, "kind": kind, "format": FORMAT, "digest": digest(tensors)}
    header: dict[str, Any] = {"__metadata__": {CARD: json.dumps(full, allow_nan=False)}}
    start = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in tensors.values())
    try:
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(struct.pack("<Q", len(told)) + told + data)
        beside.replace(path)
    except OSError as error:
        raise InvalidValueError(refusal(error, path)) from error


def read(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Returns a file's tensors and card.

    Raises:
        FileFormatError: it is missing, foreign, of another kind, of a newer format or damaged.
    """
    if not path.is_file():
        raise FileFormatError(f"no file {path}; make it with 'grasplearn export'")
    try:
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        card = json.loads(header.pop("__metadata__")[CARD])
        body = memoryview(data)[8 + length :]
        tensors = {name: _tensor(entry, body) for name, entry in header.items()}
        found, version, told = card["kind"], card["format"], card["digest"]
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} is no whole file of GraspLearn's ({error!r}); make or copy it again"
        ) from error
    if (found, version) != (kind, FORMAT):
        raise FileFormatError(
            f"{path} holds a {found} of format {version}, not a {kind} of format {FORMAT}"
        )
    if digest(tensors) != told:
        raise FileFormatError(f"{path} is damaged: its digest does not fit; get it again")
    return tensors, card


def _tensor(entry: Mapping[str, Any], body: memoryview) -> Array:
    if entry["dtype"] != "F32":
        raise ValueError(f"{entry['dtype']} instead of F32")
    start, end = entry["data_offsets"]
    return np.frombuffer(body[start:end], np.float32).reshape(entry["shape"]).copy()
