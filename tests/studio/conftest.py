"""Studios as a person starts them, and a browser to look at them with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_kit import opened
from studio_kit import Studio


@pytest.fixture(scope="module")
def tiny_studio(
    tmp_path_factory: pytest.TempPathFactory, weights_file: Path, cache: None
) -> Iterator[Studio]:
    """One whose net is so small that teaching takes moments."""
    studio = Studio(tmp_path_factory.mktemp("tiny"), f"--weights={weights_file}")
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, cache: None) -> Iterator[Studio]:
    """One with the shipped weights."""
    studio = Studio(tmp_path_factory.mktemp("studio"))
    studio.start()
    yield studio
    studio.stop()


# Of a module: while it is open the thread has an event loop, and the server's tests run their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's browser; without one these tests are left out, except where they must run."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("GRASPLEARN_BROWSER") == "required":
            pytest.fail("no chromium here, and GRASPLEARN_BROWSER says that it is required")
        pytest.skip("no browser here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, studio: Studio) -> Iterator[Any]:
    """The studio, opened."""
    yield from opened(chromium, studio)
