"""Drawings of what a teaching step costs, from the rows that ``bench step`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grasplearn.errors import InvalidValueError

MEMORY, TIME = "memory-over-depth.png", "time-over-memory.png"


def draw_costs(
    rows: Sequence[Mapping[str, Any]], out: Path, success: Mapping[str, float] | None = None
) -> list[Path]:
    """Draws memory over depth, a line per rule, and time over memory; returns the files.

    Args:
        success: by rule, which then colours the second drawing.

    Raises:
        InvalidValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidValueError(
            "matplotlib is not installed; pip install 'grasplearn[claims]', or leave out --plot"
        ) from error
    out.mkdir(parents=True, exist_ok=True)
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for number, rule in enumerate(rules):
        mine = sorted((r for r in rows if r["rule"] == rule), key=lambda r: int(r["depth"]))
        ratios = [r["peak_live_bytes"] / r["inference_live_bytes"] for r in mine]
        style = ("-o", "--s", ":^")[number % 3]
        axes.plot([r["depth"] for r in mine], ratios, style, label=rule)
    axes.set(xlabel="depth / the net's own", ylabel="peak live bytes / inference's", yscale="log")
    axes.legend(fontsize="small")
    figure.savefig(out / MEMORY, dpi=120)

    deepest = max(int(row["depth"]) for row in rows)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    mine = [row for row in rows if row["depth"] == deepest]
    x = [row["peak_live_bytes"] / row["inference_live_bytes"] for row in mine]
    y = [row["time_ratio"] for row in mine]
    if success:
        colours = [success.get(row["rule"], float("nan")) for row in mine]
        points = axes.scatter(x, y, c=colours, s=60, plotnonfinite=True)
        figure.colorbar(points, label="success, mean of the tiers")
    else:
        axes.scatter(x, y, s=60)
    for row, across, up in zip(mine, x, y, strict=True):
        axes.annotate(row["rule"], (across, up), (5, 5), textcoords="offset points", fontsize=8)
    axes.set(
        xlabel=f"peak live bytes / inference's, depth x{deepest}",
        ylabel="step time / backprop's",
        xscale="log",
        yscale="log",
    )
    figure.savefig(out / TIME, dpi=120)
    return [out / MEMORY, out / TIME]
