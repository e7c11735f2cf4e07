"""What the training commands share: a log for TensorBoard, the head of a weights' card, and how the
second look is trained."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from grasplearn.commands.common import progress
from grasplearn.config_training import SecondLook
from grasplearn.errors import InvalidValueError
from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.second_look import SecondLookSettings
from grasplearn.results import commit, versions

Log = Callable[[int, Mapping[str, float]], None]
Settings = TypeVar("Settings", bound=SecondLookSettings)


@contextmanager
def logging(folder: Path | None) -> Iterator[Log]:
    """Prints a line of figures now and then, and writes them for TensorBoard if asked to.

    Raises:
        InvalidValueError: TensorBoard is not installed.
    """
    writer = None
    if folder is not None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise InvalidValueError(
                "TensorBoard is not installed; pip install 'grasplearn[train]', or leave out --log"
            ) from error
        writer = SummaryWriter(str(folder))

    def log(step: int, figures: Mapping[str, float]) -> None:
        told = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"{step}: {told}", flush=True)
        for name, value in figures.items():
            if writer is not None:
                writer.add_scalar(name, value, step)

    try:
        yield log
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def resumable() -> Iterator[None]:
    """Says of a run that is stopped how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "stopped; the same command goes on from the last checkpoint"
        ) from None


def train_second_look(
    options: SecondLook, kind: type[Settings], train: Callable[..., Pretrained]
) -> Pretrained:
    """Trains with the settings that the options of the same names give."""
    told = vars(options)
    settings = kind(**{f.name: told[f.name] for f in fields(kind) if f.name in told})
    use_threads(options.threads)
    with resumable(), progress(options.quiet) as report, logging(options.log) as log:
        return train(
            settings,
            options.weights,
            options.families,
            options.validation,
            options.out,
            card_head(),
            report,
            log,
        )


def card_head() -> dict[str, Any]:
    """What every weights' card begins with: how they were made, by which code."""
    return {
        "command": shlex.join(["grasplearn", *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions(),
    }


def use_threads(count: int | None) -> None:
    if count is not None:
        torch.set_num_threads(count)
