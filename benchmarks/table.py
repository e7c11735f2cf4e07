"""Writes a benchmark's summary into the table of docs/RESULTS.md, and keeps it for its test.

    python benchmarks/table.py [out/benchmark/v2/summary.json]

Without a file the table is made again from the summary kept in docs/benchmark/summary.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import tyro

from grasplearn.show.markdown import with_results

DOCS = Path(__file__).parents[1] / "docs"
RESULTS, KEPT = DOCS / "RESULTS.md", DOCS / "benchmark" / "summary.json"


def main(summary: tyro.conf.Positional[Path] = KEPT) -> None:
    found = json.loads(summary.read_text(encoding="utf-8"))
    RESULTS.write_text(with_results(RESULTS.read_text(encoding="utf-8"), found), encoding="utf-8")
    KEPT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{RESULTS.name}: {found['settings']['benchmark']}, commit {found['commit']}")


if __name__ == "__main__":
    tyro.cli(main)
