"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grasplearn.errors import GraspLearnError, refusal


def partial_path(path: Path) -> Path:
    """Where a file grows before it takes its name; the same folder, so that a rename is atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one sentence.

    Raises:
        GraspLearnError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise GraspLearnError(refusal(error, path)) from error


def save(path: Path | str, data: bytes) -> Path:
    """Writes a whole file, with the folders above it, and returns its path.

    Raises:
        GraspLearnError: the file cannot be written.
    """
    path = Path(path)
    partial = partial_path(path)
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except BaseException:
            if path.parent.is_dir():
                partial.unlink(missing_ok=True)
            raise
    return path
