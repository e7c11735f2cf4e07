"""Ctrl-C in the terminal: the studio says that it has stopped, nothing else, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studio_kit import PATIENCE_S, Studio, half_upload, wait_for

pytestmark = pytest.mark.timeout(600)


def at_once(studio: Studio) -> None:
    """While its simulator is still being imported."""
    interrupt(studio)


def in_mid_upload(studio: Studio) -> None:
    """While a request is open that will never end by itself."""
    with hanging_upload(studio):
        interrupt(studio)
        ended(studio)


def impatiently(studio: Studio) -> None:
    """Again, while the first is still waiting for such a request."""
    with hanging_upload(studio):
        interrupt(studio)
        wait_for(lambda: not studio.answers(), "the first to be heard")
        interrupt(studio)
        ended(studio)


@pytest.mark.parametrize("interrupted", [at_once, in_mid_upload, impatiently])
def test_ctrl_c_ends_it_quietly(
    tmp_path: Path, weights_file: Path, interrupted: Callable[[Studio], None]
) -> None:
    studio = Studio(tmp_path, f"--weights={weights_file}")
    studio.start()
    try:
        interrupted(studio)
        assert ended(studio) == 130
        assert studio.log() == "grasplearn: stopped\n"
        wait_for(lambda: not is_alive(studio), "its simulator to be gone")
    finally:
        studio.stop()


def interrupt(studio: Studio) -> None:
    """As a terminal does: every process of the group hears it."""
    assert studio.process is not None
    os.killpg(studio.process.pid, signal.SIGINT)


def ended(studio: Studio) -> int:
    assert studio.process is not None
    return studio.process.wait(PATIENCE_S)


def is_alive(studio: Studio) -> bool:
    """Whether any process of the group is left."""
    assert studio.process is not None
    try:
        os.killpg(studio.process.pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def hanging_upload(studio: Studio) -> Iterator[None]:
    with studio.client() as client:
        key = client.post("/api/drops").json()["drop"]
        folder = studio.library / ".studio/drops" / key
        with half_upload(studio, client, key):
            wait_for(lambda: list(folder.iterdir()), "the first of it to arrive")
            yield
