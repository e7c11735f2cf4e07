"""Rates and intervals against published figures and against what resampling must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from grasplearn.statistics import (
    MEAN,
    compare_runs,
    paired_differences,
    rates,
    trials_needed,
    widest,
    wilson,
)


def row(method: str, tier: str, object_id: str, trial: int, success: bool) -> dict[str, Any]:
    return {
        "method": method,
        "tier": tier,
        "object": object_id,
        "demonstration": 0,
        "trial": trial,
        "success": success,
        "lifted": success,
        "on_part": True,
    }


def rows_of(method: str, wins: list[list[bool]], tier: str = "same") -> list[dict[str, Any]]:
    """``wins[i][j]``: object i, trial j."""
    return [
        row(method, tier, f"object_{i}", j, won)
        for i, trials in enumerate(wins)
        for j, won in enumerate(trials)
    ]


@pytest.mark.parametrize(
    "successes, trials, low, high",
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        # method 3: the score interval without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # Brown, Cai, DasGupta 2001: n successes in n is the mirror of none.
        (20, 20, 1 - 0.1611, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=6e-5)


def test_wilson_knows_nothing_without_a_trial() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_rates_count_each_cell_and_average_the_tiers() -> None:
    rows = rows_of("a", [[True] * 8 + [False] * 2], "same")
    rows += rows_of("a", [[True, False, False, False]], "kin")
    found = {(r["tier"], r["metric"]): r for r in rates(rows)}
    assert found["same", "success"]["rate"] == 0.8 and found["kin", "success"]["rate"] == 0.25
    assert found["same", "on_part"]["successes"] == 10
    mean = found[MEAN, "success"]
    # Every tier counts alike, however many trials it had; the interval pools them.
    assert mean["rate"] == pytest.approx((0.8 + 0.25) / 2)
    assert (mean["successes"], mean["trials"]) == (9, 14)
    assert (mean["wilson_low"], mean["wilson_high"]) == wilson(9, 14)


def test_the_order_of_rows_changes_no_rate() -> None:
    rng = np.random.default_rng(0)
    rows = [r for m in "ab" for r in rows_of(m, (rng.random((4, 6)) < 0.5).tolist())]
    shuffled = [rows[i] for i in rng.permutation(len(rows))]

    def as_set(records: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        return {tuple(sorted(r.items())) for r in records}

    assert as_set(rates(rows)) == as_set(rates(shuffled))


def test_a_difference_is_a_minus_b_with_zero_inside_for_equals() -> None:
    rng = np.random.default_rng(1)
    wins = (rng.random((12, 8)) < 0.5).tolist()
    better = [[True] * 8 for _ in wins]
    same, ahead = (paired_differences(rows_of("a", a) + rows_of("b", wins)) for a in (wins, better))
    # Twelve objects without an exception: as far as Wilson's upper end of none in twelve.
    assert [(d["difference"], d["low"], d["high"]) for d in same] == [
        (0, -wilson(0, 12)[1], wilson(0, 12)[1])
    ] * 2
    assert {(d["scenes"], d["objects"]) for d in same} == {(96, 12)}
    assert ahead[0]["a"] == "a" and ahead[0]["b"] == "b" and ahead[0]["tier"] == "same"
    assert ahead[0]["difference"] == pytest.approx(1 - np.mean(wins))
    assert 0 < ahead[0]["low"] < ahead[0]["difference"] < ahead[0]["high"] <= 1


def test_trials_of_one_object_do_not_count_as_independent() -> None:
    """The same number of wins, spread over all objects or gathered on half of them."""
    spread = [[True, False] * 5 for _ in range(10)]
    gathered = [[i % 2 == 0] * 10 for i in range(10)]
    against = [[False] * 10 for _ in range(10)]

    def interval(wins: list[list[bool]]) -> tuple[float, float]:
        cell = paired_differences(rows_of("a", wins) + rows_of("b", against))[0]
        assert cell["difference"] == pytest.approx(0.5)
        return cell["low"], cell["high"]

    rng = np.random.default_rng(2)
    mixed = [(rng.permutation(10) < 5 + (-1) ** i).tolist() for i in range(10)]
    width = {n: np.ptp(interval(w)) for n, w in (("g", gathered), ("m", mixed), ("s", spread))}
    assert width["g"] > 2 * width["m"] > 2 * width["s"]
    # As wide as Student's interval of the mean of ten independent coins, not of a hundred.
    assert width["g"] == pytest.approx(2 * 2.262 * 0.5 / np.sqrt(9), rel=0.01)


def test_only_scenes_that_both_met_are_compared() -> None:
    both = [row(m, "same", f"o{i}", 0, m == "a") for i in range(4) for m in "ab"]
    alone = [row("b", "same", f"o{i}", 1, True) for i in range(50)]
    cell = paired_differences(both + alone)[0]
    assert cell["difference"] == 1.0


def test_demonstrations_are_not_mixed_up() -> None:
    rows = [row("a", "same", "o0", 0, True), row("b", "same", "o0", 0, True)]
    rows += [{**row("a", "same", "o0", 0, False), "demonstration": 1}]
    rows += [{**row("b", "same", "o0", 0, False), "demonstration": 1}]
    assert paired_differences(rows)[0]["difference"] == 0.0


def test_every_pair_and_tier_has_one_record() -> None:
    rows = [
        row(m, t, f"o{i}", 0, (i + ord(m)) % 2 == 0)
        for m in "abc"
        for t in ("same", "kin")
        for i in range(3)
    ]
    found = [(d["a"], d["b"], d["tier"]) for d in paired_differences(rows)]
    assert len(set(found)) == len(found) == 3 * 3


def test_one_object_or_none_leaves_a_difference_unknown() -> None:
    one = paired_differences(rows_of("a", [[True] * 5]) + rows_of("b", [[False] * 5]))[0]
    assert one["difference"] == 1.0 and (one["low"], one["high"]) == (-1.0, 1.0)
    none_shared = paired_differences(
        [row("a", "same", "o0", 0, True), row("b", "same", "o1", 0, False)]
    )
    assert all((d["low"], d["high"]) == (-1.0, 1.0) for d in none_shared)


def test_the_interval_is_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    rows = [r for m in "ab" for r in rows_of(m, (rng.random((9, 4)) < 0.5).tolist())]
    assert paired_differences(rows) == paired_differences(rows)


# -- trials of one object, and how many trials -------------------------------------------------


def test_a_rate_s_interval_for_other_objects_knows_that_trials_are_correlated() -> None:
    rng = np.random.default_rng(4)
    alike = [[bool(rng.random() < 0.6)] * 8 for _ in range(20)]
    mixed = (rng.random((20, 8)) < 0.6).tolist()
    for wins, low, high in ((alike, 2.2, 4.0), (mixed, 0.9, 1.4)):
        cell = rates(rows_of("a", wins))[0]
        plain = cell["wilson_high"] - cell["wilson_low"]
        assert low * plain < cell["cluster_high"] - cell["cluster_low"] < high * plain
    # Objects that always end alike tell as much as one trial each: Wilson's of 20, but for t.
    cell = rates(rows_of("a", alike))[0]
    narrow = wilson(round(20 * cell["rate"]), 20)
    assert cell["cluster_low"] == pytest.approx(narrow[0], abs=0.03)
    assert cell["cluster_high"] == pytest.approx(narrow[1], abs=0.03)


def test_of_one_object_nothing_is_known_about_others() -> None:
    cell = rates(rows_of("a", [[True] * 50]))[0]
    assert (cell["cluster_low"], cell["cluster_high"]) == (0.0, 1.0)
    all_won = rates(rows_of("a", [[True] * 50] * 10))[0]
    assert all_won["cluster_low"] == pytest.approx(wilson(10, 10)[0])
    assert all_won["cluster_low"] < all_won["wilson_low"]


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("halfwidth", [0.2, 0.05, 0.02])
def test_trials_needed_are_enough_and_no_more(rate: float, halfwidth: float) -> None:
    def reached(trials: int) -> float:
        low, high = proportion_confint(rate * trials, trials, method="wilson")
        return float(high - low) / 2

    trials = trials_needed(rate, halfwidth)
    assert reached(trials) <= halfwidth < reached(trials - 1)


def test_a_hundredth_at_a_half_takes_the_textbook_s_number() -> None:
    assert trials_needed(0.5, 0.02) == pytest.approx(2401, abs=5)


def test_the_widest_interval_is_of_the_worst_known_row() -> None:
    rows = rows_of("a", [[True] * 40]) + rows_of("b", [[True, False] * 5])
    low, high = wilson(5, 10)
    assert widest(rows) == pytest.approx((high - low) / 2)
    assert widest([]) == 0.5


# -- two runs ----------------------------------------------------------------------------------


def run_of(method: str, wins: list[list[bool]], **changes: Any) -> list[dict[str, Any]]:
    rows = rows_of(method, wins)
    return [{**row, "scene_seed": i, "hidden": 0.1, **changes} for i, row in enumerate(rows)]


def test_what_changed_between_two_runs_is_told_by_method() -> None:
    rng = np.random.default_rng(5)
    same = (rng.random((20, 6)) < 0.5).tolist()
    worse = (rng.random((20, 6)) < 0.1).tolist()
    better = (rng.random((20, 6)) < 0.9).tolist()
    before = run_of("up", worse) + run_of("down", better) + run_of("level", same)
    after = run_of("up", better) + run_of("down", worse) + run_of("level", same)
    cells = {(c["method"], c["tier"]): c for c in compare_runs(before, after)}
    assert len(cells) == 3 * 2 and all(c["scenes"] == 120 for c in cells.values())
    assert cells["up", "same"]["significant"] and cells["up", "same"]["low"] > 0.6
    assert cells["down", "same"]["significant"] and cells["down", "same"]["high"] < -0.6
    assert not cells["level", "same"]["significant"] and cells["level", "same"]["difference"] == 0


def test_other_scenes_are_not_compared() -> None:
    wins = [[True] * 5] * 4
    (cell,) = compare_runs(run_of("a", wins), run_of("a", wins, scene_seed=-1))
    assert cell["scenes"] == 0 and (cell["low"], cell["high"]) == (-1.0, 1.0)
    assert not cell["significant"]


def test_among_many_comparisons_few_are_called_significant_by_chance() -> None:
    rng = np.random.default_rng(6)
    called = 0
    for _ in range(40):
        wins = [(rng.random((12, 4)) < 0.5).tolist() for _ in range(10)]
        before = [r for i in range(5) for r in run_of(f"m{i}", wins[i])]
        after = [r for i in range(5) for r in run_of(f"m{i}", wins[5 + i])]
        called += any(cell["significant"] for cell in compare_runs(before, after))
    assert called <= 6  # 2 are expected; 7 or more would happen once in 300 times
