"""The commands' settings as frozen values; the command line's flags are made from them.

Nothing here imports the simulator, so that ``--help`` is quick. What a value may be is checked
where it is used, with an error that names the choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
OptionalName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
OptionalCount = Annotated[int | None, arg(metavar="N", help_behavior_hint="")]
Folder = Annotated[Path, arg(metavar="DIR")]
Names = Annotated[str, arg(metavar="A,B")]
Count = Annotated[int, arg(metavar="N")]


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command understands."""

    seed: Count = 0
    """The same seed gives the same result."""
    json: OptionalFile = None
    """Write the figures into this file too."""
    quiet: bool = False
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Show an object's grasp once, let methods repeat it in new scenes, and make a page of it.

    Example: grasplearn demo --object mug_06 --tier clutter --out out/mug
    """

    object: OptionalName = None
    """Which object; 'grasplearn objects' lists them."""
    part: OptionalName = None
    """At which of its parts it is grasped; any graspable one by default."""
    methods: Annotated[str, arg(metavar="A,B", aliases=["--method"])] = "template,scripted"
    """Who repeats the grasp: names separated by commas, or all."""
    tier: Annotated[str, arg(metavar="NAME")] = "same"
    """How hard the scenes are: same, clutter, view, kin or alike."""
    trials: Count = 6
    """How many new scenes."""
    objects: OptionalFolder = None
    """Your own objects: a folder of URDF, OBJ, STL, PLY or GLB files."""
    out: Folder = Path("out/demo")
    """Where the page, the video and all other files go."""
    gui: bool = False
    """Watch in a window, in real time."""


@dataclass(frozen=True, kw_only=True)
class Objects(Common):
    """List the objects: their category, split, parts, symmetry, size and mass.

    Example: grasplearn objects --split test --category mug --sheet mugs.png
    """

    split: OptionalName = None
    """Only those of train, validation or test."""
    category: OptionalName = None
    """Only those of one category."""
    objects: OptionalFolder = None
    """List your own objects instead: a folder of URDF, OBJ, STL, PLY or GLB files."""
    sheet: OptionalFile = None
    """Draw them all on one picture; the seed decides how they are turned."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(Common):
    """Hold many trials and write results.jsonl, a row a trial, and summary.json.

    Example: grasplearn evaluate --methods scripted,template --tiers same,clutter --max-objects 10
    """

    methods: Names = "all"
    """Which methods: names separated by commas, or all."""
    tiers: Names = "all"
    """Which of same, clutter, view, kin and alike: separated by commas, or all."""
    split: Annotated[str, arg(metavar="NAME")] = "test"
    """Which objects: those of train, validation, test or all."""
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
    """What runs the processes: joblib."""


COMMANDS: dict[str, Callable[..., Common]] = {
    "demo": Demo,
    "objects": Objects,
    "evaluate": Evaluate,
}
