"""Success rates as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grasplearn.tiers import TIERS

Row = Mapping[str, Any]
MEAN = "mean"


def unique(rows: Sequence[Row], key: str) -> list[str]:
    """The different values of a column, in the order of their first appearance."""
    return list(dict.fromkeys(str(row[key]) for row in rows))


def ordered_tiers(rows: Sequence[Row]) -> list[str]:
    """The rows' tiers: those of TIERS in their order, then others, the mean last."""
    rank = {tier: i for i, tier in enumerate(TIERS)} | {MEAN: len(TIERS) + 1}
    return sorted(unique(rows, "tier"), key=lambda tier: rank.get(tier, len(TIERS)))


def cell(row: Row) -> str:
    """A rate and its 95 % Wilson interval, as ``0.93 [.90-.95]``."""
    low, high = (f"{row[k]:.2f}".removeprefix("0") for k in ("wilson_low", "wilson_high"))
    return f"{row['rate']:.2f} [{low}-{high}]"


def summary_table(rows: Sequence[Row], metric: str = "success") -> Table:
    """Methods as rows, tiers as columns, the mean last.

    Args:
        rows: rows of ``summary.json``: method, tier, metric, trials, successes, rate, wilson_low,
            wilson_high. Pairs of method and tier that are missing stay blank.
        metric: which of the rows' metrics to show.
    """
    chosen = [row for row in rows if row["metric"] == metric]
    cells = {(str(row["method"]), str(row["tier"])): row for row in chosen}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("method", no_wrap=True)
    tiers = ordered_tiers(chosen)
    # 9: room for "[.90-.95]"; on a narrow screen the interval goes below the rate.
    for tier in tiers:
        table.add_column(Text(tier), justify="right", min_width=9)
    for method in unique(chosen, "method"):
        found = [cells.get((method, tier)) for tier in tiers]
        # Text, not markup: "[.90-.95]" and a method's name must come out as they are.
        table.add_row(Text(method), *(Text(cell(row) if row else "") for row in found))
    return table


def print_summary(
    rows: Sequence[Row], metric: str = "success", console: Console | None = None
) -> None:
    """Prints what the figures are, and ``summary_table``."""
    console = console or Console()
    table = summary_table(rows, metric)
    counts = {int(r["trials"]) for r in rows if r["metric"] == metric and r["tier"] != MEAN}
    n = " to ".join(str(count) for count in sorted({min(counts), max(counts)})) if counts else "no"
    title = f"{metric.replace('_', ' ')}, 95 % Wilson interval, {n} trials a cell"
    console.print(Text(title, style="bold"), soft_wrap=True)
    print_table(table, console)


def print_table(table: Table, console: Console) -> None:
    """Prints a table of which nothing is ever cut off: where the output is no terminal, it is as
    wide as it likes."""
    folded, flat = console.measure(table, options=console.options.update(max_width=10_000))
    table.width = flat if flat <= console.width or not console.is_terminal else folded
    console.print(table, crop=False)
