"""A studio as a person starts it, and how to wait for what it does."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

# Generous: what is waited for comes much sooner on an idle machine.
PATIENCE_S = 180.0


class Studio:
    """``grasplearn studio`` in a process of its own."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home, self.flags = home, flags
        self.library = home / "skills"
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> None:
        command = [sys.executable, "-m", "grasplearn", "studio", f"--port={self.port}"]
        log = (self.home / "log.txt").open("a")
        self.process = subprocess.Popen(
            [*command, *self.flags],
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            # Where the tests run in a shell's background, Ctrl-C is ignored from birth.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"studio: (\S+)", line)
        assert found, self.log()
        self.address = found[1]
        wait_for(lambda: self.answers(), "an answer")

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).status_code == 403
        except httpx.TransportError:
            return False

    @property
    def base(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        return self.address.split("token=")[1]

    def client(self) -> httpx.Client:
        """Somebody who has opened the address."""
        answer = httpx.get(self.address)
        assert answer.status_code == 303
        return httpx.Client(base_url=self.base, timeout=60, cookies=answer.cookies)

    def kill(self) -> None:
        """Ends the server at once, as a power cut would; its simulator must end by itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def log(self) -> str:
        return (self.home / "log.txt").read_text()


def half_upload(studio: Studio, client: httpx.Client, key: str) -> socket.socket:
    """A connection by which the rest of a file should come, into a drop."""
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"PUT /api/drops/{key}/half.png HTTP/1.1\r\nHost: 127.0.0.1:{studio.port}\r\n"
    raw = socket.create_connection(("127.0.0.1", studio.port), timeout=PATIENCE_S)
    raw.sendall(f"{head}Cookie: {cookie}\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    return raw


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def wait_for(seen: Callable[[], Any], what: str, patience: float = PATIENCE_S) -> Any:
    """What ``seen`` returns as soon as that is something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = seen()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {patience:g} s in vain for {what}")


def wait_for_job(client: httpx.Client, number: int) -> dict[str, Any]:
    """A job as it ended."""

    def ended() -> dict[str, Any] | None:
        jobs = client.get("/api/state").json()["jobs"]
        job = next(job for job in jobs if job["number"] == number)
        return None if job["status"] in ("queued", "running", "stopping") else job

    found: dict[str, Any] = wait_for(ended, f"the end of job {number}")
    return found


def wait_for_picture(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = wait_for(
        lambda: client.get("/api/state").json()["picture"], "a picture on the table"
    )
    return found
