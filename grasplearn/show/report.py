"""One self-contained HTML page of one or several evaluations; it never needs a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from grasplearn.errors import InvalidValueError
from grasplearn.show.files import save
from grasplearn.show.notes import NOTES
from grasplearn.show.page import METRICS, tables, templates, tier_caption
from grasplearn.show.style import Frame
from grasplearn.show.table import MEAN, Row, ordered_tiers, unique
from grasplearn.statistics import paired_differences, rates

# A scripted policy sees the simulator itself: a ceiling, not a competitor.
CEILING = "scripted"
WIDTH, HEIGHT = 640, 280


@dataclass(frozen=True)
class Failure:
    """A failed trial with its pictures.

    Attributes:
        row: of the trial. shown: the demonstration with its grasp; seen: the scene with the
            predicted and the correct grasp; heat: where the net saw the spot, if it is one.
        label, advice, error: how it ended, what that means, how far off the grasp was.
        clip: MP4 bytes; none for most. poster: stands for it until it is played.
    """

    row: Row
    shown: Frame
    seen: Frame
    heat: Frame | None
    label: str
    advice: str
    error: str
    clip: bytes = b""
    poster: Frame | None = None

    @property
    def clip_uri(self) -> str:
        return "data:video/mp4;base64," + base64.b64encode(self.clip).decode()


@dataclass(frozen=True)
class Change:
    """What changed from the first run to another one.

    Attributes:
        name: of the other run. cells: see ``statistics.compare_runs``.
        settings: names of the settings and facts that differ, with both values.
    """

    name: str
    cells: Sequence[Mapping[str, Any]]
    settings: Mapping[str, tuple[Any, Any]]

    @property
    def significant(self) -> list[Mapping[str, Any]]:
        return [cell for cell in self.cells if cell["significant"]]


@dataclass(frozen=True)
class ReportPage:
    """All that the page shows.

    Attributes:
        name: of the run. rows: its trials. teaching: how every teaching went.
        thumbnails: (H, W, 3) uint8 by object.
        failures: with pictures, by method. unshown: why some have none, or nothing.
        memory: live bytes at the peak of a teaching step, by method.
        changes: against further runs.
        command, commit, versions, settings: what makes the run again.
        finished: whether every trial was held.
    """

    name: str
    rows: Sequence[Row]
    teaching: Sequence[Row]
    thumbnails: Mapping[str, Frame]
    failures: Mapping[str, Sequence[Failure]]
    command: str
    commit: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    unshown: str = ""
    memory: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    finished: bool = True

    def __post_init__(self) -> None:
        if not self.rows:
            raise InvalidValueError("a report needs at least one trial")


def write_report(page: ReportPage, path: Path | str) -> Path:
    """Writes the page, whole or not at all, and returns its path.

    Raises:
        GraspLearnError: the file cannot be written.
    """
    return save(path, render_report(page).encode())


def render_report(page: ReportPage) -> str:
    records = rates(page.rows)
    script = (files("grasplearn.show") / "report.js").read_text(encoding="utf-8")
    return (
        templates()
        .get_template("report.html")
        .render(
            page=page,
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            verdict=verdict_of(page.rows),
            matrix=_matrix(records),
            tiers=ordered_tiers(records),
            tables=tables(records),
            captions={tier: tier_caption(tier) for tier in ordered_tiers(records)},
            metrics=METRICS,
            notes=NOTES,
            objects=_objects(page.rows),
            methods=unique(page.rows, "method"),
            outcomes=_outcomes(page.rows),
            costs=_costs(page),
            curves=_curves(page.teaching),
            mean=MEAN,
            ceiling=CEILING,
            size=(WIDTH, HEIGHT),
        )
    )


def verdict_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Which method is best, its record, and how surely it is ahead of the second.

    The ceiling counts only where it is alone.
    """
    means = [r for r in rates(rows) if r["tier"] == MEAN and r["metric"] == "success"]
    ranked = sorted(means, key=lambda r: -r["rate"])
    competitors = [r for r in ranked if r["method"] != CEILING] or ranked
    best = competitors[0]
    if len(competitors) == 1:
        return {"best": best, "second": None, "difference": None}
    second = competitors[1]
    both = [r for m in (best, second) for r in rows if r["method"] == m["method"]]
    (difference,) = [d for d in paired_differences(both) if d["tier"] == MEAN]
    return {"best": best, "second": second, "difference": difference}


def _matrix(records: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Method -> tier -> record of success, the best method first."""
    chosen = [r for r in records if r["metric"] == "success"]
    best_first = sorted((r for r in chosen if r["tier"] == MEAN), key=lambda r: -r["rate"])
    return {
        mean["method"]: {r["tier"]: r for r in chosen if r["method"] == mean["method"]}
        for mean in best_first
    }


def _objects(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every object with its category and each method's successes and trials."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = found.setdefault(
            row["object"], {"object": row["object"], "category": row["category"], "cells": {}}
        )
        cell = entry["cells"].setdefault(row["method"], [0, 0])
        cell[0] += bool(row["success"])
        cell[1] += 1
    return sorted(found.values(), key=lambda entry: entry["object"])


def _outcomes(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """How trials ended -> method -> count; a lift counts as success or as lifted elsewhere."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        how = str(row["outcome"]).replace("_", " ")
        if row["outcome"] == "lifted":
            how = "success" if row["success"] else "lifted elsewhere"
        of_methods = counts.setdefault(how, {})
        of_methods[row["method"]] = of_methods.get(row["method"], 0) + 1
    first = {"success": 0, "lifted elsewhere": 1}
    return dict(sorted(counts.items(), key=lambda item: (first.get(item[0], 2), item[0])))


def _costs(page: ReportPage) -> list[dict[str, Any]]:
    """Medians of the times (s) and the memory of every method."""
    out = []
    for method in unique(page.rows, "method"):
        rows = [r for r in page.rows if r["method"] == method and r["outcome"] != "error"]
        taught = [r["seconds"] for r in page.teaching if r["method"] == method]
        times = {
            name: float(np.median([r[f"{name}_time_s"] for r in rows])) if rows else None
            for name in ("teach", "predict", "execute")
        }
        if taught:
            times["teach"] = float(np.median(taught))
        out.append({"method": method, **times, "bytes": page.memory.get(method)})
    return out


def _curves(teaching: Sequence[Row]) -> dict[str, Any] | None:
    """The mean loss of every step by method, as lines of an SVG; None without fine-tuning."""
    losses: dict[str, list[list[float]]] = {}
    for row in teaching:
        if row["losses"] and None not in row["losses"]:
            losses.setdefault(row["method"], []).append(row["losses"])
    means = {
        method: np.mean([run for run in runs if len(run) == len(runs[0])], axis=0)
        for method, runs in losses.items()
    }
    if not means:
        return None
    low = min(0.0, *(float(m.min()) for m in means.values()))
    high = max(float(m.max()) for m in means.values())
    span = max(high - low, 1e-9)
    left, right, top, bottom = 48, WIDTH - 12, 12, HEIGHT - 32
    lines = {}
    for method, mean in means.items():
        x = np.linspace(left, right, len(mean)) if len(mean) > 1 else np.array([left])
        y = bottom - (mean - low) / span * (bottom - top)
        lines[method] = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return {
        "lines": lines,
        "counts": {method: len(runs) for method, runs in losses.items()},
        "ends": {method: (float(m[0]), float(m[-1])) for method, m in means.items()},
        "steps": max(len(m) for m in means.values()),
        "low": low,
        "high": high,
        "box": (left, right, top, bottom),
    }
