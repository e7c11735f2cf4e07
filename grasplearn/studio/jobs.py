"""The queue: one job at a time, in the order they came, and everything that is known of each.

All of it runs in the server's event loop, so that nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from grasplearn.errors import GraspLearnError, InvalidValueError

MAX_WAITING = 8
KEPT_ENDED = 6
# A job that does not stop by itself within this time has its process ended, s.
PATIENCE = 4.0
OPEN = ("queued", "running")


class Process(Protocol):
    """What does the jobs; see ``simulator.Simulator``."""

    def send(self, order: dict[str, Any]) -> None: ...

    def kill(self) -> None: ...


class QueueFull(GraspLearnError):
    """Too many jobs wait."""


@dataclass
class Job:
    """One job.

    Attributes:
        number: names it. kind: the workbench's method. title: for a person.
        arguments: what the method is called with.
        status: queued, running, done, failed or cancelled.
        progress: how far it is. losses: of every step so far. trials: those that have ended.
        scores: of trials so far. error: why it failed. result: what came of it.
        heat: the newest heat picture as PNG; heat_number counts them.
    """

    number: int
    kind: str
    title: str
    arguments: dict[str, Any]
    status: str = "queued"
    progress: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    heat: bytes = b""
    heat_number: int = 0
    stopping: bool = False
    began: float = 0.0

    def told(self) -> dict[str, Any]:
        """For the page."""
        running = self.status == "running"
        return {
            "number": self.number,
            "kind": self.kind,
            "title": self.title,
            "status": "stopping" if self.stopping and running else self.status,
            "progress": self.progress,
            "losses": self.losses,
            "trials": self.trials,
            "scores": self.scores,
            "error": self.error,
            "result": self.result,
            "heat": self.heat_number,
            "picture": self.arguments.get("picture"),
            "elapsed": time.monotonic() - self.began if running else None,
        }


class Queue:
    """The jobs of a server.

    Args:
        start: starts the process; is given what to call with all it tells.
        heard: is told everything that is not about a job.
        changed: called after every change.
    """

    def __init__(
        self,
        start: Callable[[Callable[[dict[str, Any]], None]], Process],
        heard: Callable[[dict[str, Any]], None],
        changed: Callable[[], None],
    ) -> None:
        self._start, self._heard, self._changed = start, heard, changed
        # Numbers name folders and pictures; those of an earlier server are lower.
        self._numbers = itertools.count(int(time.time() * 1000))
        self.jobs: dict[int, Job] = {}
        self.ready = False
        self.broken = ""
        self._process: Process | None = None
        self._generation = 0
        self._closing = False

    def open(self) -> None:
        """Starts the process."""
        self._generation += 1
        generation, loop = self._generation, asyncio.get_running_loop()
        self.ready = False

        def heard(message: dict[str, Any]) -> None:
            # The listening thread outlives the loop by a moment when the server ends; a closed
            # loop refuses.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hear, generation, message)

        self._process = self._start(heard)

    def close(self) -> None:
        self._closing = True
        if self._process is not None:
            self._process.kill()

    def add(self, kind: str, title: str, arguments: dict[str, Any]) -> Job:
        """Queues a job.

        Raises:
            QueueFull: too many wait. InvalidValueError: the process cannot start.
        """
        if self.broken:
            raise InvalidValueError(self.broken)
        if sum(job.status == "queued" for job in self.jobs.values()) >= MAX_WAITING:
            raise QueueFull(f"{MAX_WAITING} jobs are waiting already; cancel one or wait a little")
        job = Job(next(self._numbers), kind, title, arguments)
        self.jobs[job.number] = job
        ended = [j.number for j in self.jobs.values() if j.status not in OPEN]
        for number in ended[:-KEPT_ENDED]:
            del self.jobs[number]
        self._next()
        self._changed()
        return job

    def cancel(self, number: int) -> Job:
        """Cancels a job, whatever it is at.

        Raises:
            InvalidValueError: there is no such job any more.
        """
        job = self.jobs.get(number)
        if job is None or job.status not in OPEN:
            raise InvalidValueError("that job has ended already")
        if job.status == "queued":
            job.status = "cancelled"
        elif not job.stopping and self._process is not None:
            job.stopping = True
            self._process.send({"do": "stop", "job": number})
            asyncio.get_running_loop().call_later(PATIENCE, self._force, job, self._generation)
        self._changed()
        return job

    def watch(self) -> None:
        """Somebody looks at the live picture."""
        if self._process is not None and self.ready and self.running is None:
            self._process.send({"do": "watch"})

    @property
    def running(self) -> Job | None:
        return next((job for job in self.jobs.values() if job.status == "running"), None)

    def told(self) -> list[dict[str, Any]]:
        return [job.told() for job in self.jobs.values()]

    def _next(self) -> None:
        if not self.ready or self.running is not None or self._process is None:
            return
        job = next((job for job in self.jobs.values() if job.status == "queued"), None)
        if job is not None:
            job.status, job.began = "running", time.monotonic()
            self._process.send({"do": job.kind, "job": job.number, "with": job.arguments})

    def _force(self, job: Job, generation: int) -> None:
        if job.status == "running" and generation == self._generation and self._process:
            self._process.kill()

    def _hear(self, generation: int, message: dict[str, Any]) -> None:
        if generation != self._generation:
            return
        job = self.jobs.get(message.get("job", -1))
        match message["say"]:
            case "ready":
                self.ready = True
                self._heard(message)
            case "broken":
                self.broken = message["error"]
                for waiting in self.jobs.values():
                    if waiting.status in OPEN:
                        waiting.status, waiting.error = "failed", self.broken
            case "ended":
                self._ended()
            case _ if job is not None and job.status == "running":
                self._hear_of(job, message)
            case _ if "job" not in message:
                self._heard(message)
        self._next()
        if message["say"] != "frame":
            self._changed()

    def _hear_of(self, job: Job, message: dict[str, Any]) -> None:
        match message["say"]:
            case "progress":
                job.progress = {**job.progress, **message["progress"]}
                if "loss" in message["progress"]:
                    job.losses.append(message["progress"]["loss"])
            case "heat":
                job.heat, job.heat_number = message["heat"], job.heat_number + 1
            case "trial":
                job.trials.append(message["trial"])
                job.scores = message["scores"]
            case "done":
                job.status, job.result = "done", message["result"]
            case "failed":
                job.status, job.error = "failed", message["error"]
            case "cancelled":
                job.status = "cancelled"
        if job.status not in OPEN:
            self._heard({"say": "job-ended", "job": job})

    def _ended(self) -> None:
        """The process is gone: because it was made to, or by itself; either way a new one comes."""
        job = self.running
        if job is not None:
            job.status = "cancelled" if job.stopping else "failed"
            if not job.stopping:
                job.error = "the simulator's process ended; it was started anew, try that again"
            self._heard({"say": "job-ended", "job": job})
        if not self._closing and not self.broken:
            was_ready = self.ready
            if was_ready or job is not None:
                self.open()
            else:
                self.broken = "the simulator's process does not start; the terminal tells more"
