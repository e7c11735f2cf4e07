"""What the commands share: lists of names, a user's objects, progress, figures as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grasplearn.files import write_json

if TYPE_CHECKING:
    from grasplearn.sim.objects import Catalogue

# What is done, how much of it, and out of how much (None: nobody knows).
Report = Callable[[str, int, int | None], None]


def names(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names of a comma list, each once; ``all`` stands for all known ones."""
    if text.strip() == "all":
        return tuple(known)
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@contextmanager
def progress(quiet: bool) -> Iterator[Report]:
    """Bars on stderr, one for each kind of work; none where nobody would see them."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # A stderr of its own: bullet is kept silent by turning the usual one away for moments.
    with os.fdopen(os.dup(2), "w") as stderr:
        bars = Progress(*columns, console=Console(file=stderr), transient=True)
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        with bars:
            yield report


def load_objects(folder: Path | None, report: Report) -> Catalogue:
    """The catalogue, with the user's own objects if there are any; says what is wrong with those.

    Raises:
        AssetError: none of them can be used.
    """
    from grasplearn.plan import load_catalogue  # the simulator, which training does without

    if folder is not None:
        report("reading your objects", 0, None)
    catalogue, complaints = load_catalogue(None if folder is None else str(folder))
    if folder is not None:
        report("reading your objects", 1, 1)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return catalogue


def write_figures(path: Path | None, figures: dict[str, Any]) -> None:
    if path is not None:
        write_json(path, figures)
