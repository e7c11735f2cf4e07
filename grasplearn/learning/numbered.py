"""Numbered files that training draws once, beside its weights, and then learns from many times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from grasplearn.errors import FileFormatError
from grasplearn.files import write_json
from grasplearn.learning.pretrain import deaf_to_interrupts
from grasplearn.pictures import read_json

SETTINGS = "cases.json"

# Draws the case of a number and writes it; False where there is none.
Draw = Callable[[int, Path], bool]
Progress = Callable[[str, int, int], None]


def draw_files(
    draw: Draw,
    count: int,
    folder: Path,
    told: dict[str, Any],
    workers: int,
    progress: Progress,
) -> list[Path]:
    """Draws the cases that are not in the folder yet; returns the files of all.

    Args:
        told: what the cases depend on; noted in the folder. workers: processes that draw.

    Raises:
        FileFormatError: the folder holds cases that depend on something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).exists():
        write_json(folder / SETTINGS, told)
    elif read_json(folder / SETTINGS, "settings of cases") != told:
        raise FileFormatError(
            f"{folder} is of a run with other settings; delete it or rename --out"
        )
    drawn = DataLoader(
        _Files(draw, count, folder),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=deaf_to_interrupts,
    )
    files = []
    for number, file in zip(range(count), drawn, strict=True):
        if file is not None:
            files.append(Path(file))
        progress("cases", number + 1, count)
    return files


@dataclass(frozen=True)
class _Files(Dataset[str | None]):
    draw: Draw
    count: int
    folder: Path

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> str | None:
        file = self.folder / f"case-{number:06d}.npz"
        return str(file) if file.exists() or self.draw(number, file) else None
