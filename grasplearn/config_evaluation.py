"""The settings of the commands that evaluate and that show evaluations; see ``config``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from grasplearn.config_common import (
    Common,
    Count,
    Folder,
    Names,
    OptionalCount,
    OptionalFile,
    OptionalFolder,
    OptionalName,
)


@dataclass(frozen=True, kw_only=True)
class Evaluate(Common):
    """Hold many trials and write results.jsonl, a row a trial, and summary.json.

    Example: grasplearn evaluate --methods scripted,template --tiers same,clutter --max-objects 10
    """

    methods: Names = "all"
    """Which methods: names separated by commas, or all; FILE.py:FUNCTION enters one of your own."""
    tiers: Names = "all"
    """Which of same, clutter, view, kin and alike: separated by commas, or all."""
    split: Annotated[str, arg(metavar="NAME")] = "test"
    """Which objects: those of train, validation, test or all."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights that learned methods start from: shipped, narrow or a file."""
    objects: OptionalFolder = None
    """Your own objects instead: a folder of URDF, OBJ, STL, PLY or GLB files."""
    max_objects: OptionalCount = None
    """At most so many objects, spread over the categories."""
    demos: Count = 1
    """Demonstrations per object."""
    trials: Count = 4
    """Trials per object, demonstration and tier."""
    workers: Count = 1
    """Processes that share the work; the results do not depend on it."""
    out: Folder = Path("out/evaluate")
    """Where the results go."""
    resume: bool = False
    """Go on with a run that was broken off."""
    backend: Annotated[str, arg(metavar="NAME")] = "joblib"
    """Where the processes run: joblib on this machine, ray on a Ray cluster (extra 'ray')."""
    address: OptionalName = None
    """Of the Ray cluster; the one that is found here by default."""
    until_halfwidth: Annotated[float | None, arg(metavar="W", help_behavior_hint="")] = None
    """Hold more trials, as many again each time, until every row's interval is within +- W."""
    hangs_after: Annotated[float, arg(metavar="S")] = 600.0
    """Seconds without any result after which workers count as hung and are started anew."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(Common):
    """Hold a named, fixed evaluation; its hash is in the results. The seed is the benchmark's own.

    docs/BENCHMARK.md tells how to enter a method: --methods FILE.py:FUNCTION.

    Example: grasplearn benchmark v2 --quick --workers 2
    """

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """Which benchmark: v2."""
    quick: bool = False
    """A subset of its scenes for a change of the code; some minutes."""
    methods: Annotated[str | None, arg(metavar="A,B", help_behavior_hint="")] = None
    """Which methods; all by default, and the controls with --quick."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights that learned methods start from: shipped, narrow or a file."""
    workers: Count = 1
    """Processes that share the work; the results do not depend on it."""
    backend: Annotated[str, arg(metavar="NAME")] = "joblib"
    """Where the processes run: joblib on this machine, ray on a Ray cluster (extra 'ray')."""
    address: OptionalName = None
    """Of the Ray cluster; the one that is found here by default."""
    out: OptionalFolder = None
    """Where the results go; out/benchmark/v2 by default."""
    resume: bool = False
    """Go on with a run that was broken off."""


@dataclass(frozen=True, kw_only=True)
class Report(Common):
    """Make one HTML page of an evaluation: which method is best, where, why and at what cost.

    Further runs are compared with the first, over the scenes that both met.

    Example: grasplearn report out/evaluate
    """

    run: Annotated[Positional[Path], arg(metavar="DIR")]
    """The --out of an evaluation or a benchmark."""
    others: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR2", help_behavior_hint="")] = ()
    """Further runs: what changed significantly."""
    pictures: Count = 4
    """Failures of every method that are shown with their pictures."""
    clips: Count = 4
    """Methods whose worst failure is shown as a clip."""
    out: OptionalFile = None
    """The page's file; report.html in the first folder by default."""


@dataclass(frozen=True, kw_only=True)
class Episodes(Common):
    """Write trials of an evaluation over time, as a LeRobot v3.0 dataset or a Rerun recording.

    The trials are executed again; a policy is not asked. States are the arm's joints and fingers,
    an action is where they are one picture later.

    Example: grasplearn episodes out/evaluate --methods scripted --lerobot out/dataset
    """

    run: Annotated[Positional[Path], arg(metavar="DIR")]
    """The --out of an evaluation or a benchmark."""
    methods: Annotated[str | None, arg(metavar="A,B", help_behavior_hint="")] = None
    """Only trials of these methods."""
    most: Count = 50
    """At most so many trials, the first ones."""
    lerobot: OptionalFolder = None
    """Write a LeRobot dataset into this new folder (needs the extra 'lerobot')."""
    rerun: OptionalFile = None
    """Write a Rerun recording into this .rrd file (needs the extra 'rerun')."""
