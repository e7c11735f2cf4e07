"""An evaluation killed at random moments, and on a disk that runs full: is anything lost?

    python benchmarks/crash.py [--kills 10] [--workers 2] [--objects 4] [--trials 4]

First the run without a crash. Then ``kills`` times a run of the same settings is killed with
``kill -9`` at a random moment and resumed; and (as root) one is held on a tmpfs too small for it,
which is then enlarged. After each, sorted rows and summary must be those of the first run, time
fields apart; exits with 1 if they are not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from grasplearn.results import RESULTS, SUMMARY, TIME_FIELDS, read_rows

# Of a run, not of its results.
NOT_COMPARED = ("command", "commit", "versions")


def state(out: Path) -> tuple[list[str], dict[str, Any]]:
    """Sorted rows and the summary, without what two runs may differ in."""
    rows = [
        {k: v for k, v in row.items() if k not in TIME_FIELDS} for row in read_rows(out / RESULTS)
    ]
    summary = json.loads((out / SUMMARY).read_text())
    return (
        sorted(json.dumps(row, sort_keys=True) for row in rows),
        {k: v for k, v in summary.items() if k not in NOT_COMPARED},
    )


def count(out: Path) -> int:
    path = out / RESULTS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def main(
    kills: int = 10,
    workers: int = 2,
    objects: int = 4,
    trials: int = 4,
    methods: str = "template,random",
    seed: int = 0,
    out: Path = Path("out/crash"),
) -> None:
    shutil.rmtree(out, ignore_errors=True)
    rng = np.random.default_rng(seed)
    flags = [f"--methods={methods}", "--tiers=same", f"--max-objects={objects}"]
    flags += [f"--trials={trials}", f"--workers={workers}", "--quiet"]

    def command(place: Path, *more: str) -> list[str]:
        words = [sys.executable, "-m", "grasplearn", "evaluate", *flags, "--out", str(place)]
        return [*words, *more]

    whole = out / "whole"
    begun = time.monotonic()
    subprocess.run(command(whole), check=True, stdout=subprocess.DEVNULL)
    wanted, length = state(whole), time.monotonic() - begun
    print(f"without a crash: {len(wanted[0])} rows in {length:.0f} s", flush=True)
    good = 0
    for number in range(kills):
        place = out / f"killed-{number}"
        process = start(command(place))
        try:
            process.wait(float(rng.uniform(0.05, 0.95)) * length)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # this run's own processes, and no others
        process.wait()
        left = count(place)
        subprocess.run(command(place, "--resume"), check=True, stdout=subprocess.DEVNULL)
        same = state(place) == wanted
        good += same
        print(f"killed with {left} rows: {'identical' if same else 'DIFFERENT'}", flush=True)
    print(f"{good} of {kills} identical")
    full = True
    if os.geteuid() == 0 and shutil.which("mount"):
        lessons = sum(p.stat().st_size for p in (whole / "lessons").rglob("*") if p.is_file())
        room = lessons // 1024 + 4 * len(list((whole / "lessons").rglob("*"))) + 16
        with small_disk(out / "disk", room) as disk:
            shutil.copytree(whole / "lessons", disk / "run" / "lessons")
            (disk / "filler").write_bytes(b"x" * max(0, shutil.disk_usage(disk).free - 12_288))
            done = subprocess.run(command(disk / "run"), capture_output=True, text=True)
            left = count(disk / "run")
            print(f"full disk: exit {done.returncode}, {left} rows: {done.stderr.strip()}")
            (disk / "filler").unlink()
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            subprocess.run(command(disk / "run", "--resume"), check=True, stdout=subprocess.DEVNULL)
            full = done.returncode == 2 and state(disk / "run") == wanted
        print(f"after a full disk: {'identical' if full else 'DIFFERENT'}")
    else:
        print("full disk: not tried, only root can mount a small one")
    if good < kills or not full:
        raise SystemExit(1)


if __name__ == "__main__":
    tyro.cli(main)
