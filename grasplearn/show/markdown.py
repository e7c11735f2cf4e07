"""Success rates as a table for documents in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from grasplearn.errors import InvalidValueError
from grasplearn.show.table import MEAN, ordered_tiers

BEGIN, END = "<!-- benchmark: made by 'make table', do not edit -->", "<!-- end of benchmark -->"


def results_section(summary: Mapping[str, Any]) -> str:
    """A benchmark's ``summary.json`` as text: what was run, the table, the command.

    Methods stand in the order of their means; cells are rates and 95 % Wilson intervals.

    Raises:
        InvalidValueError: it is no benchmark's.
    """
    settings = summary["settings"]
    if "benchmark" not in settings:
        raise InvalidValueError("this summary is no benchmark's; run 'grasplearn benchmark v2'")
    records = [r for r in summary["rows"] if r["metric"] == "success"]
    tiers = ordered_tiers(records)
    cells = {(r["method"], r["tier"]): r for r in records}
    methods = sorted({r["method"]: None for r in records}, key=lambda m: -cells[m, MEAN]["rate"])
    trials = sorted({r["trials"] for r in records if r["tier"] != MEAN})
    counts = " to ".join(map(str, sorted({trials[0], trials[-1]})))
    subset = ", its quick subset" if settings["quick"] else ""
    lines = [
        f"Benchmark {settings['benchmark']}{subset}: {len(settings['only'])} test objects, n = "
        f"{counts} a cell, seed {settings['seed']}, 95 % Wilson intervals; hash "
        f"`{settings['benchmark_hash'][:12]}`, commit `{summary['commit']}`.",
        "",
        "| method | " + " | ".join(tiers) + " |",
        "|---" * (len(tiers) + 1) + "|",
    ]
    for method in methods:
        row = " | ".join(_cell(cells[method, tier], tier) for tier in tiers)
        lines.append(f"| `{method}` | {row} |")
    return "\n".join([*lines, "", "```", str(summary["command"]), "```"])


def _cell(record: Mapping[str, Any], tier: str) -> str:
    rate = f"{record['rate']:.2f}"
    if tier == MEAN:
        return rate
    return f"{rate} [{record['wilson_low']:.2f}, {record['wilson_high']:.2f}]"


def with_results(document: str, summary: Mapping[str, Any]) -> str:
    """The document with the benchmark's section between its two marks made anew.

    Raises:
        InvalidValueError: the marks are not there.
    """
    marked = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.DOTALL)
    if not marked.search(document):
        raise InvalidValueError(f"the document has no place for results: '{BEGIN}' ... '{END}'")
    section = f"{BEGIN}\n{results_section(summary)}\n{END}"
    return marked.sub(lambda _: section, document)
