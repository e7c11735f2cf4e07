"""Rates, Wilson intervals and paired differences from rows of trials; knows nothing of grasps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

METRICS = ("success", "lifted", "on_part")
MEAN = "mean"

Row = Mapping[str, Any]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a rate; (0, 1) without a trial."""
    if trials == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, trials, method="wilson")
    return float(low), float(high)


def rates(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One record per method, tier and metric, and per method and metric over the tiers' mean.

    The mean's rate is the mean of the tiers' rates; its counts and intervals pool the tiers.
    ``wilson_*`` is the interval for other scenes of these objects' mix, ``cluster_*`` the one for
    other objects: it takes trials of one object as correlated.
    """
    cells: dict[tuple[str, str, str], dict[str, list[bool]]] = defaultdict(
        lambda: defaultdict(list)
    )
    tiers: dict[str, None] = {}
    for row in rows:
        tiers[row["tier"]] = None
        for metric in METRICS:
            won = bool(row[metric])
            cells[row["method"], row["tier"], metric][row["object"]].append(won)
            cells[row["method"], MEAN, metric][row["object"]].append(won)
    found = {key: _rate(*key, list(clusters.values())) for key, clusters in cells.items()}
    for (method, tier, metric), record in found.items():
        if tier == MEAN:
            of_tiers = [found[method, t, metric] for t in tiers if (method, t, metric) in found]
            record["rate"] = float(np.mean([r["rate"] for r in of_tiers]))
    return sorted(found.values(), key=lambda record: record["tier"] == MEAN)


def _rate(method: str, tier: str, metric: str, clusters: list[list[bool]]) -> dict[str, Any]:
    successes, trials = sum(map(sum, clusters)), sum(map(len, clusters))
    low, high = wilson(successes, trials)
    cluster_low, cluster_high = clustered_wilson(clusters)
    return {
        "method": method,
        "tier": tier,
        "metric": metric,
        "trials": trials,
        "successes": successes,
        "rate": successes / trials,
        "wilson_low": low,
        "wilson_high": high,
        "cluster_low": cluster_low,
        "cluster_high": cluster_high,
    }


def widest(rows: Iterable[Row], metric: str = "success") -> float:
    """The largest half-width of a method's and tier's 95 % Wilson interval; 1/2 without a row."""
    cells: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        cells[row["method"], row["tier"]].append(bool(row[metric]))
    intervals = [wilson(sum(won), len(won)) for won in cells.values()]
    return max(((high - low) / 2 for low, high in intervals), default=0.5)


def trials_needed(rate: float, halfwidth: float) -> int:
    """How many independent trials give a 95 % Wilson interval of at most this half-width."""
    few, enough = 0, 1
    while _halfwidth(rate, enough) > halfwidth:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if _halfwidth(rate, middle) > halfwidth else (few, middle)
    return enough


def _halfwidth(rate: float, trials: int) -> float:
    low, high = proportion_confint(rate * trials, trials, method="wilson")
    return float(high - low) / 2


def clustered_wilson(clusters: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """The 95 % interval of a rate whose trials are correlated within clusters.

    Wilson's, with the number of independent trials that would have this variance; (0, 1) with
    fewer than two clusters. Where all trials ended alike nothing tells how correlated they are, and
    a cluster counts as one trial.

    Source: Wilson's interval with the effective sample size, as in Franco et al. 2019, "Comparative
    study of confidence intervals for proportions in complex sample surveys". Korn and Graubard's
    correction for few clusters is left out: never fewer than one independent trial a cluster does
    its work, and with both the intervals held the rate too often (``benchmarks/coverage.py``).
    """
    groups = len(clusters)
    if groups < 2:
        return 0.0, 1.0
    sums = np.array([sum(c) for c in clusters], float)
    sizes = np.array([len(c) for c in clusters], float)
    trials, rate = sizes.sum(), sums.sum() / sizes.sum()
    effective = float(groups)
    if 0 < rate < 1:
        variance = groups / (groups - 1) * ((sums - rate * sizes) ** 2).sum() / trials**2
        # Rarely fewer than one a cluster, by chance; and clusters that agree too well tell no more
        # than independent trials would.
        effective = float(np.clip(rate * (1 - rate) / max(variance, 1e-12), groups, trials))
    low, high = proportion_confint(rate * effective, effective, method="wilson")
    return float(low), float(high)


def paired_differences(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Success of a minus success of b over the scenes both met, per tier and over all tiers.

    The 95 % interval is clustered by *objects*: trials of one object are not independent of each
    other. ``scenes`` and ``objects`` say how many there were of each.
    """
    success: dict[str, dict[Scene, bool]] = defaultdict(dict)
    for row in rows:
        success[row["method"]][_scene(row)] = bool(row["success"])
    return [
        {"a": a, "b": b, **cell}
        for a, b in combinations(success, 2)
        for cell in _differences(success[a], success[b])
    ]


def compare_runs(before: Sequence[Row], after: Sequence[Row]) -> list[dict[str, Any]]:
    """What changed between two runs: success after minus before, by method and tier.

    Only trials of the same scene are compared. ``significant`` is whether the interval excludes 0
    at a level of 5 % shared by all comparisons (Bonferroni); ``low`` and ``high`` are the plain
    95 %.
    """
    cells = []
    for method in dict.fromkeys(row["method"] for row in before):
        old, new = (
            {
                (*_scene(row), row["scene_seed"], row["hidden"]): bool(row["success"])
                for row in rows
                if row["method"] == method
            }
            for rows in (before, after)
        )
        cells += [{"method": method, **cell} for cell in _differences(new, old, keep=True)]
    level = 0.05 / max(1, len(cells))
    for cell in cells:
        low, high = difference_interval(cell.pop("clusters"), level)
        cell["significant"] = low > 0 or high < 0
    return cells


Scene = tuple[Any, ...]


def _scene(row: Row) -> Scene:
    return row["tier"], row["object"], row["demonstration"], row["trial"]


def _differences(
    a: Mapping[Scene, bool], b: Mapping[Scene, bool], keep: bool = False
) -> Iterator[dict[str, Any]]:
    """By tier, then of all; ``keep``: with the clusters themselves."""
    shared = [scene for scene in a if scene in b]
    for tier in [*dict.fromkeys(scene[0] for scene in shared), MEAN]:
        clusters: dict[str, list[int]] = defaultdict(list)
        for scene in shared:
            if tier in (MEAN, scene[0]):
                clusters[scene[1]].append(int(a[scene]) - int(b[scene]))
        values = list(clusters.values())
        low, high = difference_interval(values)
        every = [v for cluster in values for v in cluster]
        cell = {
            "tier": tier,
            "difference": float(np.mean(every)) if every else 0.0,
            "low": low,
            "high": high,
            "scenes": len(every),
            "objects": len(values),
        }
        yield cell | ({"clusters": values} if keep else {})


def difference_interval(
    clusters: Sequence[Sequence[float]], level: float = 0.05
) -> tuple[float, float]:
    """The interval of a mean of differences in [-1, 1], correlated within clusters.

    Cluster-robust variance of a mean and Student's t with one degree of freedom fewer than there
    are clusters; (-1, 1) with fewer than two. Where all differences are the same the variance tells
    nothing: then the interval reaches as far as Wilson's of no exception among the clusters.

    Args:
        level: 0.05 gives a 95 % interval.
    """
    if len(clusters) < 2:  # one object says nothing about others
        return -1.0, 1.0
    values = np.array([v for cluster in clusters for v in cluster], float)
    if np.ptp(values) == 0:
        same = float(values[0])
        beyond = float(proportion_confint(0, len(clusters), alpha=level, method="wilson")[1])
        return max(-1.0, same - beyond), min(1.0, same + beyond)
    groups = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
    fit = OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    low, high = fit.conf_int(level)[0]
    return max(-1.0, float(low)), min(1.0, float(high))
