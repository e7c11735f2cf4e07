"""Rates, Wilson intervals and paired differences from rows of trials; knows nothing of grasps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

METRICS = ("success", "lifted", "on_part")
MEAN = "mean"
RESAMPLES = 2000

Row = Mapping[str, Any]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a rate; (0, 1) without a trial."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def rates(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One record per method, tier and metric, and per method and metric over the tiers' mean.

    The mean's rate is the mean of the tiers' rates; its counts and interval pool the tiers.
    """
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        for metric in METRICS:
            count = counts[row["method"], row["tier"], metric]
            count[0] += bool(row[metric])
            count[1] += 1
    out = [_rate(*key, *count) for key, count in counts.items()]
    methods = list(dict.fromkeys(key[0] for key in counts))
    for method in methods:
        for metric in METRICS:
            cells = [r for r in out if (r["method"], r["metric"]) == (method, metric)]
            cells = [r for r in cells if r["tier"] != MEAN]
            pooled = _rate(
                method,
                MEAN,
                metric,
                sum(r["successes"] for r in cells),
                sum(r["trials"] for r in cells),
            )
            pooled["rate"] = float(np.mean([r["rate"] for r in cells]))
            out.append(pooled)
    return out


def _rate(method: str, tier: str, metric: str, successes: int, trials: int) -> dict[str, Any]:
    low, high = wilson(successes, trials)
    return {
        "method": method,
        "tier": tier,
        "metric": metric,
        "trials": trials,
        "successes": successes,
        "rate": successes / trials if trials else 0.0,
        "wilson_low": low,
        "wilson_high": high,
    }


def paired_differences(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Success of a minus success of b over the scenes both met, per tier and over all tiers.

    The 95 % interval is a percentile bootstrap over *objects*: trials of one object are not
    independent of each other. With fewer than two objects it is (-1, 1).
    """
    success: dict[str, dict[tuple[Any, ...], tuple[str, bool]]] = defaultdict(dict)
    for row in rows:
        key = (row["tier"], row["object"], row["demonstration"], row["trial"])
        success[row["method"]][key] = (row["object"], bool(row["success"]))
    out = []
    for a, b in combinations(success, 2):
        shared = [k for k in success[a] if k in success[b]]
        tiers = list(dict.fromkeys(k[0] for k in shared))
        for tier in [*tiers, MEAN]:
            clusters: dict[str, list[int]] = defaultdict(list)
            for key in shared:
                if tier in (MEAN, key[0]):
                    name, won = success[a][key]
                    clusters[name].append(int(won) - int(success[b][key][1]))
            difference, low, high = _cluster_bootstrap(list(clusters.values()))
            out.append(
                {"a": a, "b": b, "tier": tier, "difference": difference, "low": low, "high": high}
            )
    return out


def _cluster_bootstrap(clusters: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    sums = np.array([sum(c) for c in clusters], float)
    sizes = np.array([len(c) for c in clusters], float)
    difference = float(sums.sum() / sizes.sum()) if len(sizes) else 0.0
    if len(clusters) < 2:  # one object says nothing about others
        return difference, -1.0, 1.0
    if np.ptp(sums / sizes) == 0:
        return difference, difference, difference

    def ratio(s: Any, n: Any, axis: int) -> Any:
        return s.sum(axis=axis) / n.sum(axis=axis)

    interval = stats.bootstrap(
        (sums, sizes),
        ratio,
        n_resamples=RESAMPLES,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return difference, float(interval.low), float(interval.high)
