"""A drawing of memory over a teaching step, a panel for each learning rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from grasplearn.edge.memory import MemoryUse
from grasplearn.errors import InvalidValueError

MIB = 2**20
COLUMNS = 2
# A peak of more than so many times the median one is cut off, or nobody could see the others.
CUT = 2.0
# Of a panel, inches.
PANEL = (6.0, 2.4)


def draw_timelines(
    uses: Mapping[str, MemoryUse], parts: Sequence[str], inference: int, path: Path
) -> None:
    """Draws the live bytes after every change of them, in the colour of the part at work.

    Args:
        uses: with events, by the rule's name; parts: all parts' names, in the net's order.
        inference: bytes of predicting the same batch, which every panel shows.

    Raises:
        InvalidValueError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidValueError(
            "matplotlib is not installed; pip install 'grasplearn[claims]', or leave out the plot"
        ) from error
    rows = math.ceil(len(uses) / COLUMNS)
    figure = Figure(figsize=(PANEL[0] * COLUMNS, PANEL[1] * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
    colours = matplotlib.colormaps["viridis"].resampled(len(parts))
    of = {name: colours(number) for number, name in enumerate(parts)} | {"": "0.6"}
    limit = CUT * float(np.median([use.peak for use in uses.values()]))
    top = max((use.peak for use in uses.values() if use.peak <= limit), default=limit)
    for axes, (rule, use) in zip(panels.flat, uses.items(), strict=False):
        count = len(use.events)
        for part, run in groupby(enumerate(use.events), key=lambda found: found[1].part):
            some = list(run)
            # Up to where the next part's begins, so that no gap is left.
            x = [100 * number / count for number, _ in some] + [100 * (some[-1][0] + 1) / count]
            y = [event.live / MIB for _, event in some]
            axes.fill_between(x, [*y, y[-1]], step="post", color=of[part], linewidth=0)
        axes.axhline(inference / MIB, color="crimson", linestyle="--", linewidth=1)
        title = f"{rule}: peak {use.peak / MIB:.1f} MiB" + (", cut off" if use.peak > limit else "")
        axes.set_title(title, fontsize="medium")
        axes.set(xlim=(0, 100), ylim=(0, 1.1 * top / MIB), ylabel="live MiB")
    for axes in panels.flat[len(uses) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("% of the step's changes of memory")
    norm = matplotlib.colors.BoundaryNorm(range(len(parts) + 1), colours.N)
    scale = matplotlib.cm.ScalarMappable(norm, colours)
    bar = figure.colorbar(scale, ax=panels, ticks=[i + 0.5 for i in range(len(parts))], aspect=40)
    bar.ax.set_yticklabels(parts)
    figure.suptitle("Memory over a teaching step; dashed: predicting the same batch")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
