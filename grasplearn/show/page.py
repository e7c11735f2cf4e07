"""One self-contained HTML page of what `grasplearn demo` did; it never needs a network."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import jinja2
import numpy as np

from grasplearn.errors import InvalidValueError
from grasplearn.show.files import save
from grasplearn.show.style import Frame, Verdict, verdict
from grasplearn.show.table import MEAN, Row, ordered_tiers, unique
from grasplearn.show.video import middle_frame
from grasplearn.tiers import TIERS
from grasplearn.types import TrialResult

# A video up to this size travels inside the page.
INLINE_BYTES = 8_000_000
METRICS = {"success": "success", "lifted": "lifted", "on_part": "as it was shown"}
AGAIN = "The same command with the same seed and versions makes the same trials."
# WebP's quality: no ringing is seen around the overlays' thin lines.
_QUALITY = 88


@dataclass(frozen=True)
class Figure:
    """A picture, (H, W, 3) uint8, and its caption.

    Attributes:
        alt: what it shows, for those who cannot see it; the caption where it is empty.
    """

    picture: Frame
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class TrialPicture:
    """A trial and its picture with the predicted grasp, (H, W, 3) uint8."""

    result: TrialResult
    picture: Frame

    @property
    def verdict(self) -> Verdict:
        return verdict(self.result)

    @property
    def error(self) -> str:
        """How far the grasp was from the correct one, or nothing where that is unknown."""
        result = self.result
        if result.position_error_m is None or result.yaw_error_rad is None:
            return ""
        yaw_deg = math.degrees(result.yaw_error_rad)
        return f"{1000 * result.position_error_m:.0f} mm and {yaw_deg:.0f}° off"


@dataclass(frozen=True)
class DemoPage:
    """All that the page shows; any number of methods and tiers.

    Attributes:
        object_name, part: what was shown, and where it was grasped.
        object_picture: (H, W, 3) uint8, the robot with the object in its hand.
        shown: pictures of the one demonstration.
        learnt: where the nets look, before and after they were taught; none leaves that out.
        summary: rows of ``summary.json``; metrics other than METRICS are left out.
        trials: in the order in which they are to be seen.
        command: what makes the trials again, a line each. seed, versions: what they were made with.
        again: what to expect of that.
        video: an MP4 file, inlined up to INLINE_BYTES, linked relatively beyond.
        video_caption: says in words what the (silent) video shows.
        notes: a short sentence on a method, under its name.
    """

    object_name: str
    part: str
    object_picture: Frame
    shown: tuple[Figure, ...]
    summary: Sequence[Row]
    trials: tuple[TrialPicture, ...]
    command: str
    seed: int
    versions: Mapping[str, str]
    video: Path | None = None
    video_caption: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    learnt: tuple[Figure, ...] = ()
    again: str = AGAIN

    def __post_init__(self) -> None:
        if not any(row["metric"] == "success" for row in self.summary):
            raise InvalidValueError("a page needs at least one row of the metric 'success'")


def render(page: DemoPage, folder: Path) -> str:
    """Returns the HTML as it is to lie in ``folder``; a linked video is named relative to it.

    Raises:
        FileFormatError: the video is missing or no video.
    """
    methods = unique(page.summary, "method")
    return (
        templates()
        .get_template("demo.html")
        .render(
            page=page,
            headline=_headline(page),
            tables=tables(page.summary),
            metrics=METRICS,
            captions={tier: tier_caption(tier) for tier in ordered_tiers(page.summary)},
            video=_video(page.video, folder) if page.video else None,
            strips={m: [t for t in page.trials if t.result.method == m] for m in methods},
        )
    )


def write_page(page: DemoPage, path: Path | str) -> Path:
    """Writes the page, whole or not at all, and returns its path.

    Raises:
        FileFormatError: the video is missing or no video.
        GraspLearnError: the file cannot be written.
    """
    path = Path(path)
    return save(path, render(page, path.parent).encode())


def data_uri(picture: Frame, side: int = 1344) -> str:
    """A picture, (H, W, 3) uint8, as the text of a WebP; its longer side at most ``side`` px."""
    shrink = side / max(picture.shape[:2])
    if shrink < 1:
        picture = np.asarray(
            cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def percent(value: float) -> str:
    return f"{100 * value:.0f}"


def templates() -> jinja2.Environment:
    """The pages' templates, with the filters that they use."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("grasplearn.show", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(uri=data_uri, percent=percent)
    return templates


def _headline(page: DemoPage) -> list[tuple[str, int, int]]:
    """Each method's name, successes and trials, summed over the tiers that were tried."""
    rows = [r for r in page.summary if r["metric"] == "success" and r["tier"] != MEAN]
    return [
        (
            method,
            sum(int(row["successes"]) for row in rows if row["method"] == method),
            sum(int(row["trials"]) for row in rows if row["method"] == method),
        )
        for method in unique(rows, "method")
    ]


def tables(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Row]]]:
    """Tier -> method -> metric -> row, in the order in which they are to be seen."""
    tables: dict[str, dict[str, dict[str, Row]]] = {tier: {} for tier in ordered_tiers(rows)}
    for row in rows:
        if row["metric"] in METRICS:
            tables[row["tier"]].setdefault(row["method"], {})[row["metric"]] = row
    return tables


def tier_caption(tier: str) -> str:
    """A tier and what it means."""
    if tier == MEAN:
        return "mean of the tiers"
    return f"{tier}: {TIERS[tier].summary}" if tier in TIERS else tier


def _video(path: Path, folder: Path) -> dict[str, Any]:
    """Where the video comes from, its link, and its middle frame as poster."""
    link = quote(Path(os.path.relpath(path, folder)).as_posix())
    source = link
    if path.stat().st_size <= INLINE_BYTES:
        source = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
    poster = middle_frame(path)
    height, width = poster.shape[:2]
    return {
        "source": source,
        "link": link,
        "poster": data_uri(poster),
        "width": width,
        "height": height,
    }
