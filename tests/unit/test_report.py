"""The report's page: what it says of made-up trials, and that it is one file that asks for none."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.show.report import (
    Change,
    Failure,
    ReportPage,
    render_report,
    verdict_of,
    write_report,
)
from grasplearn.statistics import compare_runs


def rows_of(method: str, rate: float, seed: int, tiers: tuple[str, ...] = ("same", "kin")) -> Any:
    rng = np.random.default_rng(seed)
    return [
        {
            "method": method, "tier": tier, "object": f"mug_{i:02d}", "category": "mug",
            "demonstration": 0, "trial": trial, "scene_seed": trial, "hidden": 0.0,
            "success": (won := bool(rng.random() < rate)), "lifted": won, "on_part": won,
            "outcome": "lifted" if won else "missed", "message": "",
            "teach_time_s": 2.0, "predict_time_s": 0.25, "execute_time_s": 0.5,
        }
        for tier in tiers
        for i in range(12)
        for trial in range(4)
    ]  # fmt: skip


def teaching(method: str, losses: list[float]) -> dict[str, Any]:
    return {"method": method, "losses": losses, "seconds": 3.5}


@pytest.fixture
def picture() -> Any:
    return np.full((48, 48, 3), 90, np.uint8)


@pytest.fixture
def page(picture: Any) -> ReportPage:
    rows = rows_of("good", 0.9, 0) + rows_of("<bad>", 0.2, 1) + rows_of("scripted", 0.99, 2)
    failure = Failure(
        row=next(r for r in rows if r["method"] == "<bad>" and not r["success"]),
        shown=picture, seen=picture, heat=picture, label="missed", advice="closed on nothing",
        error="31 mm and 12° off", clip=b"an mp4",
        poster=picture,
    )  # fmt: skip
    return ReportPage(
        name="my run",
        rows=rows,
        teaching=[teaching("good", [4.0, 2.0, 1.0]), teaching("good", [2.0, 2.0, 3.0])],
        thumbnails={"mug_00": picture},
        failures={"<bad>": [failure]},
        command="grasplearn evaluate --methods 'good,<bad>'",
        commit="abc123",
        versions={"torch": "2.13.0"},
        settings={"seed": 7, "benchmark hash": "f00"},
        memory={"good": 12_300_000},
    )


def text_of(html: str) -> str:
    body = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_page_answers_which_method_is_best_and_whether_that_is_sure(page: ReportPage) -> None:
    said = text_of(render_report(page))
    good = [r for r in page.rows if r["method"] == "good"]
    rate = round(100 * np.mean([r["success"] for r in good]))
    assert f"{rate} % success: good" in said
    assert "It is ahead of the second best, &lt;bad&gt;" in said
    assert "over 96 scenes of 12 objects" in said
    assert "The ceiling, scripted, which sees the simulator itself" in said


def test_methods_that_cannot_be_told_apart_are_not_ranked(page: ReportPage) -> None:
    rows = rows_of("a", 0.5, 3) + rows_of("b", 0.5, 4)
    said = text_of(render_report(replace(page, rows=rows)))
    assert "these trials do not tell" in said and "It is ahead" not in said
    found = verdict_of(rows)
    assert found["difference"]["low"] < 0 < found["difference"]["high"]


def test_a_single_method_is_shown_alone(page: ReportPage) -> None:
    said = text_of(render_report(replace(page, rows=rows_of("scripted", 0.9, 5, ("same",)))))
    assert "% success: scripted" in said and "second best" not in said


def test_everything_that_makes_the_run_again_is_there(page: ReportPage) -> None:
    said = text_of(render_report(page))
    assert "grasplearn evaluate --methods &#39;good,&lt;bad&gt;&#39;" in said
    for word in ("abc123", "torch 2.13.0", "seed 7", "benchmark hash f00"):
        assert word in said
    assert "not finished" not in said
    assert "not finished" in text_of(render_report(replace(page, finished=False)))


def test_costs_and_curves_are_of_the_rows_and_the_teaching(page: ReportPage) -> None:
    html = render_report(page)
    said = text_of(html)
    assert "3.5 s" in said and "0.25 s" in said and "12.3 MB" in said
    # The mean of two lessons: 3, 2, 2.
    assert "good: 3.00 to 2.00, 2 lessons" in said
    (points,) = re.findall(r'<polyline class="c0" points="([^"]+)"', html)
    heights = [float(p.split(",")[1]) for p in points.split()]
    assert heights[0] < heights[1] == heights[2]
    assert "<polyline" not in render_report(replace(page, teaching=[teaching("good", [])]))


def test_failures_have_their_pictures_and_one_clip(page: ReportPage) -> None:
    html = render_report(page)
    assert html.count("data:video/mp4;base64,") == 1
    assert html.count("<figcaption>") >= 4 and "31 mm and 12° off: closed on nothing" in html
    without = replace(page.failures["<bad>"][0], heat=None, clip=b"")
    assert "what the net saw" not in render_report(replace(page, failures={"<bad>": [without]}))


def test_the_page_asks_no_network_and_runs_only_its_own_script(page: ReportPage) -> None:
    html = render_report(page)
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?(https?:)?//""", html)
    for source in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert source.startswith("data:"), source[:60]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.startswith("default-src 'none'")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "<bad>" not in html, "names are escaped"


def test_what_changed_between_runs_is_told(page: ReportPage) -> None:
    before, after = page.rows, rows_of("good", 0.2, 6) + rows_of("<bad>", 0.2, 1)
    change = Change("later", compare_runs(before, after), {"commit": ("abc", "def")})
    said = text_of(render_report(replace(page, changes=[change])))
    assert {c["method"] for c in change.significant} == {"good"}
    assert "3 of 7 comparisons changed significantly" in said
    assert "commit abc → def" in said and "not significant" in said
    other = [{**row, "scene_seed": -1} for row in before]
    apart = Change("elsewhere", compare_runs(before, other), {})
    assert "share no scene" in text_of(render_report(replace(page, changes=[apart])))


def test_the_page_is_written_whole_or_refused(page: ReportPage, tmp_path: Path) -> None:
    path = write_report(page, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(GraspLearnError, match="cannot write"):
        write_report(page, path / "below.html")
    with pytest.raises(InvalidValueError, match="at least one trial"):
        replace(page, rows=[])
