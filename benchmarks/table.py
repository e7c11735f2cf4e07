"""Writes a benchmark's summary into the README's table, and keeps it for the test of both.

    python benchmarks/table.py [out/benchmark/v2/summary.json]

Without a file the table is made again from the summary kept in docs/benchmark/summary.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import tyro

from grasplearn.show.markdown import with_results

ROOT = Path(__file__).parents[1]
README, KEPT = ROOT / "README.md", ROOT / "docs" / "benchmark" / "summary.json"


def main(summary: tyro.conf.Positional[Path] = KEPT) -> None:
    found = json.loads(summary.read_text(encoding="utf-8"))
    README.write_text(with_results(README.read_text(encoding="utf-8"), found), encoding="utf-8")
    KEPT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{README.name}: {found['settings']['benchmark']}, commit {found['commit']}")


if __name__ == "__main__":
    tyro.cli(main)
