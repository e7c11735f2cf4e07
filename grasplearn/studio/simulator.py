"""The other process: takes orders one at a time, and between them sends what the camera sees.

Rendering holds Python's lock and bullet may end its whole process; neither may touch the server.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from grasplearn.errors import GraspLearnError
from grasplearn.studio.settings import Settings

# Live frames a second while idle.
FRAMES_PER_S = 15
# A page that wants frames says so again and again; after this long without, none are made, s.
WATCHED_FOR = 3.0


class Simulator:
    """The server's end of the process.

    Args:
        settings: of the studio.
        heard: called in a thread of its own with everything the process tells; a message
            ``{"say": "ended"}`` comes last.
    """

    def __init__(self, settings: Settings, heard: Callable[[dict[str, Any]], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=run, args=(theirs, settings), name="grasplearn-simulator", daemon=True
        )
        with _without_interrupts():
            self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._heard = heard
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, order: dict[str, Any]) -> None:
        """Sends an order; one to a process that has ended is lost, and ``ended`` tells of it."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._pipe.send(order)

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()

    def _listen(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                break
            self._heard(message)
        self._process.join(5)
        self._heard({"say": "ended"})


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started in here has Ctrl-C held back from its first moment.

    It imports for a while before ``run`` can say so itself, and would end with a traceback.
    """
    # Python's helper, started along with the first process, would let the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Orders:
    """What has come in, and whether the job at hand is to stop."""

    def __init__(self, pipe: Connection) -> None:
        self.waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.stop: set[int] = set()
        self.watched = 0.0
        self._pipe = pipe
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                order = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # the server is gone, however it went
            if order["do"] == "stop":
                self.stop.add(order["job"])
            elif order["do"] == "watch":
                self.watched = time.monotonic()
            else:
                self.waiting.put(order)


def run(pipe: Connection, settings: Settings) -> None:
    """The process itself."""
    # Ctrl-C in the terminal reaches this process too; its server tells it what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock = threading.Lock()

    def tell(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError):
            pipe.send(message)

    orders = _Orders(pipe)
    try:
        # Here and not above: the server does without torch and without the simulator.
        from grasplearn.studio.workbench import Stopped, Workbench

        job = 0

        def check() -> None:
            if job in orders.stop:
                raise Stopped

        bench = Workbench(settings, tell, check)
    except GraspLearnError as error:
        tell({"say": "broken", "error": str(error)})
        return
    tell({"say": "objects", "objects": bench.table.choices()})
    tell({"say": "ready", "complaints": bench.table.complaints})
    due = time.monotonic()
    while True:
        order = _next(orders, due)
        if order is None:
            due = max(due + 1 / FRAMES_PER_S, time.monotonic())
            if time.monotonic() - orders.watched < WATCHED_FOR:
                frame = bench.live()
                if frame is not None and bench.current is not None:
                    number = bench.current.number
                    tell({"say": "frame", "kind": "camera", "picture": number, "frame": frame})
            continue
        job = order["job"]
        try:
            check()
            tell({"say": "began", "job": job})
            result = getattr(bench, order["do"])(job, **order["with"])
            tell({"say": "done", "job": job, "result": result})
        except Stopped:
            tell({"say": "cancelled", "job": job})
        except GraspLearnError as error:
            tell({"say": "failed", "job": job, "error": str(error)})
        except Exception:
            # A fault of ours: its trace is for the terminal, a sentence for the page.
            traceback.print_exc(file=sys.stderr)
            sentence = "something in the studio broke; the terminal that started it tells more"
            tell({"say": "failed", "job": job, "error": sentence})


def _next(orders: _Orders, due: float) -> dict[str, Any] | None:
    """The next order; None when a frame is due."""
    try:
        return orders.waiting.get(timeout=max(0.0, due - time.monotonic()))
    except queue.Empty:
        return None
