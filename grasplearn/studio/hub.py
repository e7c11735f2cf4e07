"""What the server knows, told to every open page: the queue, the picture, the library.

A page is sent everything anew after each change, and of live frames only the newest: whoever comes
late, or again, sees the same as everybody else.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from grasplearn.errors import InvalidValueError
from grasplearn.studio.hints import hint
from grasplearn.studio.jobs import Job, Queue
from grasplearn.studio.settings import Settings
from grasplearn.studio.simulator import Simulator
from grasplearn.studio.state import State
from grasplearn.types import Observation

FIRST: dict[str, Any] = {
    "do": "scene",
    "with": {"object_id": "hammer_06", "tier": "same", "seed": 0},
}


@dataclass(frozen=True)
class Shown:
    """The picture that is on the page.

    Attributes:
        told: what the page must know of it.
        color, depth_view: WebP. depth: little-endian uint16, in ``told["depth_unit"]`` m.
        observation: for checking grasps.
    """

    told: dict[str, Any]
    color: bytes
    depth_view: bytes
    depth: bytes
    observation: Observation


class Hub:
    """What the server knows.

    Args:
        settings: of the simulator's process. state: the library's folder.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self.state = state
        self.server = secrets.token_hex(4)
        self.shown: Shown | None = None
        self.objects: list[dict[str, str]] = []
        self.complaints: list[str] = []
        self.cards = state.cards()
        self.frame: tuple[int, bytes] | None = None
        self.count = self.frames = 0
        self._news = asyncio.Event()
        self._choices = 0
        self.queue = Queue(lambda heard: Simulator(settings, heard), self._heard, self._changed)

    def told(self) -> dict[str, Any]:
        """Everything, for a page."""
        queue = self.queue
        return {
            "say": "state",
            "server": self.server,
            "version": version("grasplearn"),
            "simulator": "broken" if queue.broken else "ready" if queue.ready else "starting",
            "error": queue.broken,
            "complaints": self.complaints,
            "choices": self._choices,
            "picture": None if self.shown is None else self.shown.told,
            "jobs": queue.told(),
            "skills": self.cards,
        }

    @property
    def news(self) -> asyncio.Event:
        """Is set by the next change."""
        return self._news

    def add(self, kind: str, title: str, arguments: dict[str, Any]) -> Job:
        """Queues a job; see ``Queue.add``."""
        return self.queue.add(kind, title, arguments)

    def refresh(self) -> None:
        """Reads the library anew."""
        self.cards = self.state.cards()
        self._changed()

    def picture(self, number: int) -> Shown:
        """The picture of that number.

        Raises:
            InvalidValueError: it is not shown any more.
        """
        if self.shown is None or self.shown.told["number"] != number:
            raise InvalidValueError("that picture is gone; draw the grasp on the one shown now")
        return self.shown

    def check(self, number: int, u: float, v: float, yaw_deg: float, width: float) -> str:
        """What a person should know of a grasp before teaching it; nothing if it looks well."""
        return hint(self.picture(number).observation, u, v, yaw_deg, width)

    def drop_folder(self, key: str) -> str:
        return str(self.state.drop(key))

    def _changed(self) -> None:
        self.count += 1
        self.wake()

    def wake(self) -> None:
        """Has everybody look who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    def _heard(self, message: dict[str, Any]) -> None:
        match message["say"]:
            case "ready":
                self.complaints = message["complaints"]
                order = self.state.last() or FIRST
                self.queue.add(order["do"], "setting the table", order["with"])
            case "objects":
                self.objects, self._choices = message["objects"], self._choices + 1
            case "picture":
                self.shown = Shown(
                    message["picture"],
                    message["color"],
                    message["depth_view"],
                    message["depth"],
                    message["observation"],
                )
            case "library":
                self.cards = self.state.cards()
            case "frame":
                number = message.get("picture", 0)
                kind = b"\x01" if message["kind"] == "camera" else b"\x02"
                self.frames += 1
                self.frame = self.frames, kind + number.to_bytes(8, "big") + message["frame"]
                self.wake()
            case "job-ended":
                self._after(message["job"])

    def _after(self, job: Job) -> None:
        """Notes what is on the table now; a table that cannot be laid again is forgotten."""
        if job.kind not in ("scene", "picture", "mesh"):
            return
        again = {"do": job.kind, "with": job.arguments}
        if job.status == "done":
            self.state.remember(again)
        elif job.status == "failed" and self.shown is None and again != FIRST:
            self.state.remember(FIRST)
            self.queue.add(FIRST["do"], "setting the table", FIRST["with"])
