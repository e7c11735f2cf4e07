"""Evaluations: the same rows from one worker or two, broken off or not, and none left out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from teaching_kit import tiny_weights

import grasplearn.jobs as jobs
import grasplearn.plan as planning
import grasplearn.policies.taught_cache as taught_cache
from grasplearn.errors import (
    DemonstrationError,
    FileFormatError,
    InvalidValueError,
    UnknownNameError,
)
from grasplearn.evaluate import evaluate
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.plan import EvaluationSettings, select_objects
from grasplearn.policies import CONTROLS, LEARNED, FromFunction
from grasplearn.results import RESULTS, SUMMARY, TIME_FIELDS, read_rows, row_key
from grasplearn.sim.objects import Catalogue
from grasplearn.tiers import TIERS
from grasplearn.types import Demonstration, Grasp, Observation

# Two objects, both kinds of lesson, the ceiling and a policy: 8 trials.
SETTINGS = EvaluationSettings(
    methods=("scripted", "random"), tiers=("same", "alike"), split="train", max_objects=2, trials=1
)
TRIALS = 8


pytestmark = pytest.mark.usefixtures("cache")


NOT_OF_THE_RUN = ("command", "commit", "versions")


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in TIME_FIELDS} for row in rows]


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(timeless(rows), key=row_key)


def told(summary: dict[str, Any]) -> dict[str, Any]:
    stored = json.loads(json.dumps(summary))
    return {k: v for k, v in stored.items() if k not in NOT_OF_THE_RUN}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    evaluate(SETTINGS, out)
    return out


def copied(run: Path, to: Path) -> Path:
    """The run's lessons and settings, as a crash would leave them."""
    for path in run.rglob("*"):
        if path.is_file() and path.name != SUMMARY:
            target = to / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return to


def test_every_trial_has_its_row(run: Path) -> None:
    rows = read_rows(run / RESULTS)
    assert len(rows) == TRIALS
    wanted = {
        (method, tier, name, 0, trial)
        for method in SETTINGS.methods
        for tier in SETTINGS.tiers
        for name in {row["object"] for row in rows}
        for trial in range(SETTINGS.trials)
    }
    assert {row_key(row) for row in rows} == wanted
    for row in rows:
        assert row["success"] == (row["lifted"] and row["on_part"])
        assert row["executor"] == "arm" and row["outcome"] != "error", row["message"]


def test_methods_meet_the_same_scenes(run: Path) -> None:
    seeds: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    for row in read_rows(run / RESULTS):
        key = row_key(row)[1:]
        seeds.setdefault(key, set()).add((row["scene_seed"], row["hidden"]))
    assert all(len(met) == 1 for met in seeds.values())
    assert len({seed for met in seeds.values() for seed, _ in met}) == len(seeds)


def test_the_ceiling_is_high(run: Path) -> None:
    rows = [row for row in read_rows(run / RESULTS) if row["method"] == "scripted"]
    assert np.mean([row["success"] for row in rows]) >= 0.75


def test_the_summary_counts_the_rows(run: Path) -> None:
    rows, summary = read_rows(run / RESULTS), json.loads((run / SUMMARY).read_text())
    for record in summary["rows"]:
        cell = [
            row
            for row in rows
            if row["method"] == record["method"] and record["tier"] in (row["tier"], "mean")
        ]
        assert record["trials"] == len(cell) > 0
        assert record["successes"] == sum(row[record["metric"]] for row in cell)
        assert record["wilson_low"] <= record["rate"] <= record["wilson_high"]
    tiers = [counts for of_method in summary["outcomes"].values() for counts in of_method.values()]
    assert sum(sum(counts.values()) for counts in tiers) == TRIALS
    told = dataclasses.asdict(SETTINGS) | {"weights_digest": "", "entered_digest": ""}
    assert summary["settings"] == json.loads(json.dumps(told))


def test_two_workers_write_what_one_does(run: Path, tmp_path: Path) -> None:
    summary = evaluate(SETTINGS, tmp_path, workers=2)
    assert by_key(read_rows(tmp_path / RESULTS)) == by_key(read_rows(run / RESULTS))
    assert told(summary) == told(json.loads((run / SUMMARY).read_text()))
    for path in (run / "lessons").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(run)).read_bytes()


def test_a_run_that_was_broken_off_is_completed_to_the_same(run: Path, tmp_path: Path) -> None:
    """Rows are missing in the middle, and the last line is torn."""
    out = copied(run, tmp_path)
    lines = (out / RESULTS).read_bytes().splitlines(keepends=True)
    kept = [line for i, line in enumerate(lines) if i not in (1, 4, 5)]
    kept[-1] = kept[-1][:37]
    (out / RESULTS).write_bytes(b"".join(kept))
    seen: list[tuple[str, int, int]] = []
    summary = evaluate(SETTINGS, out, resume=True, progress=lambda *step: seen.append(step))
    assert by_key(read_rows(out / RESULTS)) == by_key(read_rows(run / RESULTS))
    assert told(summary) == told(json.loads((run / SUMMARY).read_text()))
    assert seen[-1] == ("trials", 4, 4), "only the missing trials are run"


def test_a_complete_run_is_not_run_again(run: Path, tmp_path: Path) -> None:
    out = copied(run, tmp_path)
    before = (out / RESULTS).read_bytes()
    evaluate(SETTINGS, out, resume=True)
    assert (out / RESULTS).read_bytes() == before


def test_a_lesson_that_is_missing_is_made_again_the_same(run: Path, tmp_path: Path) -> None:
    out = copied(run, tmp_path)
    folder = sorted((out / "lessons").iterdir())[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    evaluate(SETTINGS, out, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_holds_a_run_is_not_written_over(run: Path, tmp_path: Path) -> None:
    out = copied(run, tmp_path)
    before = (out / RESULTS).read_bytes()
    with pytest.raises(FileFormatError, match=r"holds a run already.*--resume"):
        evaluate(SETTINGS, out)
    for changes in ({"seed": 1}, {"trials": 2}, {"methods": ("random",)}):
        other = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
        with pytest.raises(FileFormatError, match=f"other settings .*{next(iter(changes))}"):
            evaluate(other, out, resume=True)
    assert (out / RESULTS).read_bytes() == before


def test_a_row_that_is_none_is_named(run: Path, tmp_path: Path) -> None:
    out = copied(run, tmp_path)
    lines = (out / RESULTS).read_bytes().splitlines(keepends=True)
    (out / RESULTS).write_bytes(b"".join([lines[0], b"{oops\n", *lines[1:]]))
    with pytest.raises(FileFormatError, match=RESULTS):
        evaluate(SETTINGS, out, resume=True)


# -- policies that break -----------------------------------------------------------------------


def breaks_on_sight(demonstration: Demonstration, observation: Observation) -> Grasp:
    raise ZeroDivisionError("a bug of the policy")


class BreaksWhenTaught:
    name = "broken"

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> Any:
        raise ZeroDivisionError("a bug of the policy")


@pytest.mark.parametrize(
    "policy",
    [lambda: FromFunction("broken", breaks_on_sight), BreaksWhenTaught],
    ids=["in a trial", "when taught"],
)
def test_a_policy_that_breaks_fails_its_trials_and_no_other_s(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: Callable[[], Any]
) -> None:
    monkeypatch.setitem(CONTROLS, "broken", policy)
    monkeypatch.setattr(planning, "METHODS", (*planning.METHODS, "broken"))
    settings = dataclasses.replace(SETTINGS, methods=("broken", "random"), tiers=("same",))
    copied(run / "lessons", tmp_path / "lessons")
    summary = evaluate(settings, tmp_path)
    rows = read_rows(tmp_path / RESULTS)
    broken = [row for row in rows if row["method"] == "broken"]
    assert len(broken) == 2
    for row in broken:
        assert row["outcome"] == "error" and not row["success"] and row["grasp"] is None
        assert row["message"] == "ZeroDivisionError: a bug of the policy"
    # They stay in the denominator.
    rate = next(r for r in summary["rows"] if r["method"] == "broken" and r["tier"] == "same")
    assert (rate["trials"], rate["successes"]) == (2, 0)
    others = [row for row in read_rows(run / RESULTS) if row_key(row)[:2] == ("random", "same")]
    assert by_key([row for row in rows if row["method"] == "random"]) == by_key(others)


# -- policies that are taught ------------------------------------------------------------------


def learned(weights: Path, **changes: Any) -> EvaluationSettings:
    """One object, three scenes of two lessons."""
    methods = ("static-sgm", "imprint", "untaught", "random")
    some = {"methods": methods, "tiers": ("same", "view", "alike"), "max_objects": 1}
    return dataclasses.replace(SETTINGS, weights=str(weights), **{**some, **changes})


@pytest.fixture(scope="module")
def learned_run(
    run: Path, weights_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[str, str]]]:
    """Its folder, and what was taught by which method from which weights."""
    out = tmp_path_factory.mktemp("learned")
    copied(run / "lessons", out / "lessons")
    taught = []
    teach = taught_cache.teach

    def counted(demonstration: Any, pretrained: Any, teaching: Any, seed: int) -> Any:
        taught.append((teaching.method, pretrained.digest))
        return teach(demonstration, pretrained, teaching, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taught_cache, "teach", counted)
        evaluate(learned(weights_file), out)
    return out, taught


def test_a_method_is_taught_a_lesson_once_for_all_its_tiers(
    learned_run: tuple[Path, list[tuple[str, str]]], weights_file: Path
) -> None:
    out, taught = learned_run
    settings = learned(weights_file)
    digest = load_pretrained(str(weights_file)).digest
    learnt = [m for m in settings.methods if m in LEARNED]
    assert sorted(taught) == sorted(2 * [(m, digest) for m in learnt])
    rows = {row_key(row)[:2]: row for row in read_rows(out / RESULTS)}
    assert len(rows) == len(settings.methods) * len(settings.tiers)
    for (method, tier), row in rows.items():
        assert row["outcome"] != "error", row["message"]
        assert (row["teach_time_s"] == rows[method, "same"]["teach_time_s"]) == (tier != "alike")
        assert min(row["teach_time_s"], row["predict_time_s"]) > 0
        assert ("kept" in row["extra"]) == (method in LEARNED)
    tuned = rows["static-sgm", "same"]["extra"]
    assert len(tuned["probe_loss"]) == 2 and tuned["last_loss"] > 0
    assert tuned == rows["static-sgm", "view"]["extra"] != rows["static-sgm", "alike"]["extra"]


def test_two_workers_teach_the_same_bytes(
    run: Path, learned_run: tuple[Path, Any], weights_file: Path, tmp_path: Path
) -> None:
    """The facts of teaching are in the rows: losses, and which weights were kept."""
    copied(run / "lessons", tmp_path / "lessons")
    evaluate(learned(weights_file), tmp_path, workers=2)
    assert by_key(read_rows(tmp_path / RESULTS)) == by_key(read_rows(learned_run[0] / RESULTS))


def test_a_run_is_not_resumed_with_other_weights(
    learned_run: tuple[Path, Any], weights_file: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(weights_file, tmp_path / "own.safetensors"))
    out = tmp_path / "run"
    none = learned(own, methods=("untaught",), tiers=("same",))
    copied(learned_run[0] / "lessons", out / "lessons")
    evaluate(none, out)
    assert evaluate(none, out, resume=True)["settings"]["weights_digest"]
    before = (out / RESULTS).read_bytes()
    tiny_weights(own, seed=1)
    with pytest.raises(FileFormatError, match=r"other settings \(weights_digest\)"):
        evaluate(none, out, resume=True)
    with pytest.raises(FileFormatError, match=r"other settings \(weights\)"):
        evaluate(dataclasses.replace(none, weights=str(weights_file)), out, resume=True)
    assert (out / RESULTS).read_bytes() == before


def test_weights_that_do_not_serve_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, methods=("random", "imprint"), weights="nowhere")
    with pytest.raises(UnknownNameError, match="nowhere"):
        evaluate(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- which objects -----------------------------------------------------------------------------


def test_objects_are_spread_over_the_categories(catalogue: Catalogue) -> None:
    for split in ("train", "test", "all"):
        settings = dataclasses.replace(SETTINGS, split=split, max_objects=12)
        some = select_objects(catalogue, settings)
        everything = select_objects(catalogue, dataclasses.replace(settings, max_objects=None))
        assert len(some) == len({model.category for model in some}) == 12
        assert {m.object_id for m in some} <= {m.object_id for m in everything}
    assert len(everything) == len(catalogue)


def test_a_user_s_own_objects_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    trimesh.creation.box((0.1, 0.03, 0.04)).export(folder / "brick.stl")
    settings = EvaluationSettings(("scripted",), ("same",), objects=str(folder), trials=2)
    summary = evaluate(settings, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / RESULTS)
    assert [row["object"] for row in rows] == ["brick", "brick"]
    assert summary["rows"][0]["successes"] >= 1, [row["message"] for row in rows]


def test_an_object_that_cannot_be_demonstrated_counts_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(world: Any, model: Any, *others: Any, **settings: Any) -> None:
        asked.append(model.object_id)
        raise DemonstrationError(f"no grasp on {model.object_id}")

    monkeypatch.setattr(jobs, "demonstrate", refuse)
    settings = dataclasses.replace(SETTINGS, tiers=("same",))
    for resume in (False, True):
        summary = evaluate(settings, tmp_path, resume=resume)
        rows = read_rows(tmp_path / RESULTS)
        assert len(rows) == TRIALS // 2
        for row in rows:
            assert row["outcome"] == "error" and row["message"] == f"no grasp on {row['object']}"
        assert {r["trials"] for r in summary["rows"] if r["tier"] == "same"} == {TRIALS // 4}
        assert not any(r["successes"] for r in summary["rows"])
    assert len(asked) == 2, "what failed once is not tried again"


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ()},
        {"tiers": ()},
        {"trials": 0},
        {"demos": 0},
        {"max_objects": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        dataclasses.replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    "changes", [{"methods": ("magic",)}, {"tiers": ("hard",)}, {"split": "exam"}]
)
def test_an_unknown_name_is_refused_with_the_known_ones(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match="known: "):
        dataclasses.replace(SETTINGS, **changes)


def test_no_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="workers"):
        evaluate(SETTINGS, tmp_path, workers=0)


def test_every_tier_can_be_named_in_a_run() -> None:
    settings = EvaluationSettings(tuple(planning.METHODS), tuple(TIERS))
    assert settings.tiers == tuple(TIERS)
