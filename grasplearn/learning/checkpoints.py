"""Checkpoints of a training run: written whole, gone on from, never mixed with another run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from grasplearn.errors import FileFormatError
from grasplearn.files import write_json
from grasplearn.pictures import read_json


def save_checkpoint(
    place: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
    done: int,
) -> None:
    """Writes a checkpoint and, beside it as JSON, the settings of the run it belongs to.

    A run that is killed meanwhile leaves the last one whole.

    Args:
        settings: JSON values, all that the run's result depends on. done: steps or tasks.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    waiting = place.with_suffix(".tmp")
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "done": done}
    torch.save(state, waiting)
    waiting.replace(place)
    write_json(place.with_suffix(".json"), dict(settings))


def resume(
    place: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
    device: str = "cpu",
) -> int:
    """Takes up a checkpoint, if there is one; returns how much is done.

    Raises:
        FileFormatError: it is of a run with other settings.
    """
    if not place.exists():
        return 0
    if read_json(place.with_suffix(".json"), "checkpoint settings") != settings:
        raise FileFormatError(f"{place} is of a run with other settings; delete it or rename --out")
    # Tensors and numbers only: nothing that is loaded here can execute code.
    state = torch.load(place, weights_only=True, map_location=device)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"])
