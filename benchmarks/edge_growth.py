"""One step of an export in onnxruntime, and by how much a fresh process grows over it.

    python benchmarks/edge_growth.py SMALL FULL KIND

Prints bytes. SMALL and FULL are exports of the same net, the first for a few pixels; KIND is
``predict``, ``chain``, ``whole`` or ``fast`` (the whole graph as the runner's --fast has it).
``edge.py memory`` makes a table of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from grasplearn.edge import layout, store
from grasplearn.edge.chain import Chain
from grasplearn.edge.runtime import Bound, session
from grasplearn.edge.whole import Whole

SMALLEST_HOLE = 1024
# glibc hands freed memory of at least so many bytes back at once, and does not move the mark by
# itself; a device's allocator without such habits needs no setting.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536"}


def growth(small: Path, full: Path, kind: str) -> int:
    """By how many bytes a fresh process grows."""
    command = [sys.executable, __file__, str(small), str(full), kind]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALLOCATOR})
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout)


def main() -> None:
    """Prints by how many bytes this fresh process grows over a step."""
    small, full, kind = sys.argv[1:]
    # What a first step of any kind loads (kernels, code) does not count: one of a few pixels.
    step_of(Path(small), kind, 1)()
    # Before the graphs are opened, or their buffers may lie in memory that counts already.
    fill_holes()
    step = step_of(Path(full), kind, 1)
    fill_holes()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step()
    print(max(0, resident("VmHWM") - before))


def step_of(folder: Path, kind: str, threads: int) -> Callable[[], object]:
    """Returns a callable that does one step (or prediction) of an export on random samples."""
    rng = np.random.default_rng(0)
    manifest = json.loads((folder / layout.MANIFEST).read_text())
    weights, _ = store.read(folder / layout.WEIGHTS, layout.WEIGHTS_KIND)
    states = tuple(manifest["optimizer"]["states"])
    if kind == "chain":
        modules, _ = store.read(folder / layout.MODULES, layout.MODULES_KIND)

        def opened(name: str) -> Any:
            return session(folder / layout.CHAIN / f"{name}.onnx", threads)

        frozen = int(manifest["frozen"])
        chain = Chain(opened, weights, modules, states, frozen=frozen)
        chain.picture[:] = rng.random(chain.picture.shape, np.float32)
        chain.width[:] = chain.place[:] = 0
        chain.place[:, 0, 0, 0] = 1
        # The one-pass form is told the error of the samples' last visit; any will do here.
        error = chain.error.copy() if manifest["recurring_batches"] else None
        return lambda: chain.step(1e-3, 1, error)
    if kind == "fast":
        remembers = manifest["recurring_batches"] is not None

        def quick(file: str) -> Any:
            return session(folder / file, threads, fast=True)

        whole = Whole(quick, weights, states, remembers)
        whole.picture[:] = rng.random(whole.picture.shape, np.float32)
        whole.place[:, 0, 0, 0] = 1
        known = whole.error.copy() if remembers else None
        return lambda: whole.step(1e-3, 1, known)
    state = {f"{k}.{n}": np.zeros_like(a) for n, a in weights.items() for k in states}
    # A prediction as large as the step it is compared with.
    file = layout.TEACH if kind == "whole" else layout.CHECK
    bound = Bound(session(folder / file, threads), {**weights, **state})
    bound.inputs["picture"][:] = rng.random(bound.inputs["picture"].shape, np.float32)
    if kind == "whole":
        bound.inputs["place"][:] = 0
        bound.inputs["place"][:, 0, 0, 0] = 1
        bound.inputs["rate"][...] = 1e-3
    return bound.run


class HeapInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``, bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def fill_holes() -> None:
    """Takes all that is free inside the heap, and never gives it back.

    What the small first step and opening the graphs left free would else hide a part of the step's
    need; handed back to the system instead, tensors would be scattered over it and wake several
    times what they need. Which of the two it is, and how much, is chance.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.mallinfo2.restype = HeapInfo
    libc.malloc_trim(0)
    size = libc.mallinfo2().fordblks
    while size >= SMALLEST_HOLE:
        before = libc.mallinfo2()
        taken = libc.malloc(size)
        after = libc.mallinfo2()
        if (after.arena, after.hblkhd) != (before.arena, before.hblkhd):
            libc.free(taken)
            size = size * 7 // 8


def resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this system does not tell {field}")


if __name__ == "__main__":
    main()
