"""The files an evaluation leaves: ``results.jsonl``, a row a trial, and ``summary.json``."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from grasplearn.errors import FileFormatError
from grasplearn.files import write_json
from grasplearn.pictures import read_json
from grasplearn.statistics import paired_differences, rates
from grasplearn.tiers import TIERS
from grasplearn.types import TrialResult

RESULTS, SUMMARY, RUN = "results.jsonl", "summary.json", "run.json"
# How every teaching went, a row each.
TEACHING = "teaching.jsonl"
# Held by the process that writes into a run's folder.
LOCK = ".lock"
# The only fields in which two runs of one seed may differ.
TIME_FIELDS = ("teach_time_s", "predict_time_s", "execute_time_s")
PACKAGES = (
    "grasplearn",
    "pybullet",
    "numpy",
    "torch",
    "opencv-python-headless",
    "trimesh",
    "coacd",
)

Row = dict[str, Any]
Key = tuple[str, str, str, int, int]  # method, tier, object, demonstration, trial


def to_row(result: TrialResult) -> Row:
    row = asdict(result)
    row["outcome"] = result.outcome.value
    return row


def row_key(row: Row) -> Key:
    return (row["method"], row["tier"], row["object"], row["demonstration"], row["trial"])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes a folder and keeps other processes from writing a run into it meanwhile.

    Raises:
        FileFormatError: another process is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileFormatError(
                f"another process is writing into {folder}; wait for it or choose another --out"
            ) from error
        yield


@contextmanager
def claimed(folder: Path, settings: dict[str, Any], resume: bool) -> Iterator[None]:
    """Locks a run's folder and writes down the run's settings, or checks them against those there.

    Raises:
        FileFormatError: see ``locked``; or the folder holds another run, or any without ``resume``.
    """
    wanted = json.loads(json.dumps(settings))
    with locked(folder):
        if (folder / RUN).exists():
            if not resume:
                raise FileFormatError(
                    f"{folder} holds a run already; add --resume or choose another --out"
                )
            found = read_json(folder / RUN, "run")
            differing = [k for k in wanted if found.get(k) != wanted[k]]
            if differing:
                raise FileFormatError(
                    f"{folder} holds a run with other settings ({', '.join(differing)}); resume "
                    "with the same ones or choose another --out"
                )
        elif (folder / RESULTS).exists():
            raise FileFormatError(f"{folder} holds results of something else; choose another --out")
        else:
            write_json(folder / RUN, wanted)
        yield


def read_rows(path: Path) -> list[Row]:
    """All whole rows of trials; a last line that a crash tore off is cut away from the file.

    Raises:
        FileFormatError: a line that is not the last one is no row; or a trial has two rows.
    """
    rows = read_lines(path, row_key)
    if len({row_key(row) for row in rows}) < len(rows):
        raise FileFormatError(f"{path} holds two rows of one trial; delete one of them")
    return rows


def read_lines(path: Path, check: Callable[[Row], object]) -> list[Row]:
    """All whole lines of a file of JSON rows, as ``read_rows``; none where there is no file."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) != len(text):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            check(row)
        except (ValueError, TypeError, KeyError) as error:
            raise FileFormatError(
                f"{path} holds a broken row in line {number}; delete that line"
            ) from error
        rows.append(row)
    return rows


class RowFile:
    """A file to which rows are appended, each at once and whole or not at all.

    They reach the disk at least once a second: a killed process loses no row that it has written,
    a power cut those of the last moment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        self._file = self._path.open("ab", buffering=0)
        return self

    def __exit__(self, *error: object) -> None:
        with self._file:
            os.fsync(self._file.fileno())

    def append(self, rows: Iterable[Row]) -> None:
        """Writes rows down.

        Raises:
            OSError: they do not fit on the disk; none of them is then left in the file.
        """
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        before = os.fstat(self._file.fileno()).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.truncate(before)
            raise
        if time.monotonic() - self._synced > 1:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


def summarize(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Reads the rows of a run; writes and returns its summary."""
    rows = read_rows(folder / RESULTS)
    methods, tiers = list(settings["methods"]), list(TIERS)
    rows.sort(key=lambda r: (methods.index(r["method"]), tiers.index(r["tier"]), row_key(r)))
    summary = {
        "rows": rates(rows),
        "paired": paired_differences(rows),
        "outcomes": _outcomes(rows),
        "settings": settings,
        "command": shlex.join(["grasplearn", *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions(),
        "seed": settings["seed"],
    }
    write_json(folder / SUMMARY, summary)
    return summary


def _outcomes(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, int]]]:
    """method -> tier -> outcome -> count."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for row in rows:
        counts[row["method"]][row["tier"]][row["outcome"]] += 1
    return {m: {t: dict(c) for t, c in tiers.items()} for m, tiers in counts.items()}


@cache
def commit() -> str:
    """The checkout's commit, or "" where the package is installed without one.

    As it was when this process first asked: a run of an hour asks before it begins, for the code
    that it runs is what the checkout held then.
    """
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
