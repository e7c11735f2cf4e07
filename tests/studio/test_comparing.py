"""Two skills in the same scenes, on the page and in the report it gives away."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from page_kit import ACROSS, drag, lay_first_scene, teach
from studio_kit import PATIENCE_S, Studio, wait_for

from grasplearn.cli import run as run_command

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.timeout(600)
NAMES = "here", "further on"


def test_two_skills_in_the_same_scenes(page: Any, studio: Studio, tmp_path: Path) -> None:
    lay_first_scene(page)
    drag(page, *ACROSS)
    teach(page, "here")
    page.locator("#stage").focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    teach(page, "further on")

    page.locator("#skill-a").select_option("here")
    assert page.locator("#skill-b option[value=here]").count() == 0  # none beside itself
    page.locator("#skill-b").select_option("further on")
    page.get_by_role("spinbutton", name="Trials").fill("1")
    page.get_by_role("button", name="Try it").click()
    job = "studio.state.jobs.filter(j => j.kind == 'try_out').at(-1)"
    ended = f"['done', 'failed'].includes({job}?.status)"
    wait_for(lambda: page.evaluate(ended), "both to have tried", 2 * PATIENCE_S)
    assert page.evaluate(f"{job}.error") == ""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    report = html.unescape(download.value.path().read_text())
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the video").click()
    download.value.save_as(tmp_path / "trials.mp4")

    scores = [score.inner_text() for score in page.locator("#scores .score").all()]
    for told, name in zip(scores, NAMES, strict=True):
        assert re.fullmatch(rf"[01]\s+of 1\s+{name}, \d+\W\d+ %", told.strip()), told
    for meter in page.locator("#scores svg").all():
        assert "95 % interval" in meter.get_attribute("aria-label")
    trials = page.locator("#strip li")
    assert trials.count() == 2
    for number, name in enumerate(NAMES):
        assert f"{name}." in trials.nth(number).inner_text()

    run = studio.library / ".studio/runs" / str(page.evaluate(f"{job}.number"))
    # The same scene, light and grain: only what is painted over it differs.
    first, second = (read(run / f"trial-01-{column}.webp") for column in (1, 2))
    assert np.median(np.abs(first - second)) < 3 and (first != second).any()

    film = cv2.VideoCapture(str(tmp_path / "trials.mp4"))
    width, height = (film.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    assert width > 1.5 * height and film.get(cv2.CAP_PROP_FRAME_COUNT) > 30
    assert "<video" in report and all(f"<h3>{name}<" in report for name in NAMES)
    check_commands(report, studio, tmp_path)


def check_commands(report: str, studio: Studio, out: Path) -> None:
    """The report names a command for each skill, and from where the studio ran they work."""
    (block,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", report, re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [words[:3] for words in commands] == [["grasplearn", "pick", name] for name in NAMES]
    assert "The same command" not in report and "both met" in report
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(studio.home)
        for words in commands:
            few = [*words[: words.index("--trials")], "--trials=1", f"--out={out / 'pick'}"]
            assert run_command([*few[1:], "--quiet"]) == 0


def read(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path)), np.int16)
