"""A finished or broken-off evaluation, read back from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.pictures import read_json
from grasplearn.plan import EvaluationSettings
from grasplearn.results import RESULTS, RUN, SUMMARY, TEACHING, Row, read_lines, read_rows, row_key


@dataclass(frozen=True)
class Run:
    """What an evaluation left.

    Attributes:
        folder: where. settings: what was evaluated; facts: what else run.json says.
        rows: of the trials, sorted. teaching: how every teaching went.
        summary: what summary.json holds; empty where the run was not finished.
    """

    folder: Path
    settings: EvaluationSettings
    facts: dict[str, Any]
    rows: list[Row]
    teaching: list[Row]
    summary: dict[str, Any]

    @property
    def methods(self) -> tuple[str, ...]:
        return self.settings.methods


def read_run(folder: Path) -> Run:
    """Reads a run; nothing in its folder changes but a last line that a crash tore off.

    Raises:
        FileFormatError: the folder holds no run, a file is damaged, or no trial was held yet.
    """
    if not (folder / RUN).is_file():
        raise FileFormatError(
            f"{folder} holds no evaluation; give the --out of a 'grasplearn evaluate' or "
            "'grasplearn benchmark'"
        )
    told = read_json(folder / RUN, "run")
    names = [field.name for field in fields(EvaluationSettings)]
    try:
        values = {name: told[name] for name in names if name in told}
        for name in ("methods", "tiers"):
            values[name] = tuple(values[name])
        if values.get("only") is not None:
            values["only"] = tuple(values["only"])
        settings = EvaluationSettings(**values)
    except (KeyError, TypeError, InvalidValueError) as error:
        raise FileFormatError(
            f"{folder / RUN} was written by another version of GraspLearn ({error}); evaluate again"
        ) from error
    rows = read_rows(folder / RESULTS)
    if not rows:
        raise FileFormatError(f"{folder} holds no trial yet; go on with --resume")
    rank = {method: i for i, method in enumerate(settings.methods)}
    rows.sort(key=lambda row: (rank.get(row["method"], len(rank)), *row_key(row)))
    summary = folder / SUMMARY
    return Run(
        folder,
        settings,
        {name: value for name, value in told.items() if name not in names},
        rows,
        read_lines(folder / TEACHING, lambda row: row["method"]),
        json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else {},
    )
