"""A PyBullet connection of its own, closed reliably; all of ``sim`` goes through it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None)


@contextmanager
def muted() -> Iterator[None]:
    """Keeps bullet's own C++ chatter (build time, missing textures) off stdout and stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        _LIBC.fflush(None)  # C's own buffer would otherwise come out after the restore
        for target, source in ((1, saved[0]), (2, saved[1])):
            os.dup2(source, target)
            os.close(source)
        os.close(null)


with muted():
    import pybullet
    import pybullet_data

DATA = Path(pybullet_data.getDataPath())


class Client:
    """``client.loadURDF(...)`` is ``pybullet.loadURDF(..., physicsClientId=this one)``."""

    def __init__(self, mode: int = pybullet.DIRECT) -> None:
        with muted():
            self._id = pybullet.connect(mode)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(pybullet, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            return attribute(*args, physicsClientId=self._id, **kwargs)

        # Cached on the instance: __getattr__ is not asked again.
        setattr(self, name, call)
        return call

    @staticmethod
    def gui_mode() -> int:
        return int(pybullet.GUI)

    @property
    def connected(self) -> bool:
        return bool(self._id >= 0)

    def close(self) -> None:
        if self._id >= 0:
            # The user may have closed the window; and its threads say good-bye at length.
            with muted(), suppress(pybullet.error):
                pybullet.disconnect(physicsClientId=self._id)
            self._id = -1
