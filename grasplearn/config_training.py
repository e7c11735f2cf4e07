"""The settings of the commands that make weights; see ``config``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from grasplearn.config_common import (
    Common,
    Count,
    Folder,
    Names,
    OptionalCount,
    OptionalFolder,
    OptionalName,
)


@dataclass(frozen=True, kw_only=True)
class Render(Common):
    """Render scenes for training onto disk; the same command goes on where it was stopped.

    Example: grasplearn render --families 200 --split validation --out out/validation
    """

    families: Count = 1500
    """How many families of about seven scenes each."""
    split: Annotated[str, arg(metavar="NAME")] = "train"
    """Whose objects: train, validation or test."""
    tiers: Names = "all"
    """Which of same, clutter, view, kin and alike may occur: separated by commas, or all."""
    objects: Annotated[str | None, arg(metavar="DIR,DIR", help_behavior_hint="")] = None
    """Further objects, as 'python -m sim_assets.generator --further N --out DIR' makes them."""
    workers: Count = 1
    """Processes that share the work; the files do not depend on it."""
    out: Folder = Path("out/families")
    """Where the families go."""


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """What every command that trains understands."""

    families: Folder = Path("out/families")
    """What to train on, as 'grasplearn render' makes it."""
    threads: OptionalCount = None
    """Processor threads; torch's own choice by default."""
    log: OptionalFolder = None
    """Write TensorBoard logs into this folder (needs the extra 'train')."""


@dataclass(frozen=True, kw_only=True)
class Pretrain(Training):
    """Pre-train the net on rendered families; the same command goes on where it was stopped.

    Example: grasplearn pretrain --families out/train --validation out/val --out out/my.safetensors
    """

    validation: OptionalFolder = None
    """Families of validation objects to look at meanwhile."""
    start: Annotated[str | None, arg(metavar="WEIGHTS", help_behavior_hint="")] = None
    """Begin with these weights, a name or a file; those of a smaller net are grown."""
    steps: Count = 8000
    """Optimizer steps, over which the step size decays."""
    stop: OptionalCount = None
    """End after so many of the steps."""
    batch: Count = 2
    """Episodes a step."""
    questions: Count = 5
    """Scenes an episode."""
    side: Count = 160
    """Pixels along the side of a question's crop."""
    composed: float = 0.0
    """Share of questions that further things are laid into, look-alikes among them."""
    kin: float = 0.0
    """Share of episodes whose questions are all about kin of what is demonstrated."""
    augmented: float = 0.0
    """Share of episodes whose questions come from the teaching augmentation."""
    rate: float = 1e-3
    """Adam's step size."""
    width: Count = 32
    """Channels of the net."""
    depth: Count = 8
    """Residual blocks of the net."""
    features: Count = 32
    """Channels that are correlated with the demonstration's."""
    groups: Count = 4
    """Groups they form."""
    hidden: Count = 8
    """Channels of the head's decoder."""
    turns: Count = 8
    """Rotations of a demonstration in training; the net itself has 16."""
    check_every: Count = 500
    """Steps between checkpoints."""
    bf16: bool = False
    """Multiply in bfloat16: quicker on CUDA and on processors that have it."""
    device: Annotated[str, arg(metavar="NAME")] = "cpu"
    """cpu or cuda."""
    workers: Count = 0
    """Processes that draw the next episodes meanwhile."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("out/weights.safetensors")
    """Where the weights go."""


@dataclass(frozen=True, kw_only=True)
class SecondLook(Training):
    """What both commands that train a second look understand."""

    weights: Annotated[str, arg(metavar="WEIGHTS")]
    out: Annotated[Path, arg(metavar="FILE")]
    validation: OptionalFolder = None
    """Families of validation objects to look at meanwhile."""
    check_every: Count = 500
    """Steps between checkpoints."""
    device: Annotated[str, arg(metavar="NAME")] = "cpu"
    """cpu or cuda, for the steps; cases are drawn on the CPU."""
    workers: Count = 0
    """Processes that draw the cases, beside this one."""


@dataclass(frozen=True, kw_only=True)
class TrainVerifier(SecondLook):
    """Train the second look at what given weights propose; goes on where it was stopped.

    Example: grasplearn train-verifier --weights out/weights.safetensors --families out/train
    """

    weights: Annotated[str, arg(metavar="WEIGHTS")] = "out/weights.safetensors"
    """For which weights: a name or a file."""
    cases: Count = 4800
    """Demonstrations with questions that are drawn, beside --out."""
    questions: Count = 5
    """Scenes a case."""
    kin: float = 0.45
    """Share of cases that a kin demonstrates."""
    steps: Count = 6000
    """Optimizer steps."""
    batch: Count = 6
    """Cases a step."""
    rate: float = 1e-3
    """Adam's step size."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("out/verified.safetensors")
    """Where the weights go, the verifier with them."""


@dataclass(frozen=True, kw_only=True)
class TrainOverview(SecondLook):
    """Train what compares the surroundings in a second look; goes on where it was stopped.

    Example: grasplearn train-overview --weights out/verified.safetensors --families out/train
    """

    weights: Annotated[str, arg(metavar="WEIGHTS")] = "out/verified.safetensors"
    """For which weights, with a verifier: a name or a file."""
    cases: Count = 7900
    """Demonstrations with questions that are drawn, beside --out."""
    questions: Count = 6
    """Scenes a case."""
    kin: float = 0.4
    """Share of cases that a kin demonstrates."""
    steps: Count = 2800
    """Optimizer steps."""
    batch: Count = 128
    """Questions a step."""
    rate: float = 1e-3
    """Adam's step size."""
    channels: Count = 32
    """Channels of its first maps."""
    share: float = 0.8
    """So much of what it says counts once it is trained."""
    decay: float = 0.5
    """Of its weights, a step."""
    bf16: bool = False
    """Multiply in bfloat16: quicker on CUDA and on processors that have it."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("out/compared.safetensors")
    """Where the weights go, the comparison with them."""


@dataclass(frozen=True, kw_only=True)
class MetaTrain(Training):
    """Meta-train a rule's synthetic gradient modules for given weights.

    Example: grasplearn meta-train --weights out/weights.safetensors --families out/train
    """

    weights: Annotated[str, arg(metavar="WEIGHTS")] = "out/weights.safetensors"
    """For which weights: a name or a file."""
    rule: Annotated[str, arg(metavar="NAME")] = "static-sgm"
    """Whose modules: static-sgm or static-sgm-one-pass."""
    tasks: Count = 300
    """Demonstrations that are taught."""
    steps: Count = 24
    """Teaching steps of each."""
    batch: Count = 6
    """Samples a teaching step."""
    side: Count = 128
    """Pixels along the side of a sample."""
    rate: float = 2e-3
    """Adam's step size for the modules."""
    inner: Count = 8
    """Channels inside a module."""
    reach: Annotated[int, arg(metavar="N")] = 0
    """Cells that a module looks to each side, beside the next one."""
    teaching_optimizer: Annotated[str, arg(metavar="NAME")] = "lars"
    """What the demonstrations are taught with: lars, sgd or adam."""
    teaching_rates: Annotated[str, arg(metavar="F,F,...")] = "0.0025,0.005,0.01"
    """The step sizes that they are taught with, one for each."""
    refining_steps: OptionalCount = None
    """Note in the weights that they are to be refined in so many steps."""
    refining_optimizer: OptionalName = None
    """Note the optimizer: lars, sgd or adam."""
    refining_share: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Note what share of the way from the imprint is kept."""
    refining_rate: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Note the head's step size; each method's own by default."""
    refining_rates: Annotated[str, arg(metavar="METHOD=F,...", help_behavior_hint="")] = ""
    """Note the step sizes of methods that have others."""
    refining_blocks: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Note the blocks' step size / the head's."""
    refining_frozen: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Note what share of the blocks, the first ones, stay as they are."""
    refining_doubt: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Note what share of a demonstration's samples the imprint must miss to be refined."""
    check_every: Count = 25
    """Tasks between checkpoints."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("out/taught.safetensors")
    """Where the weights go, the modules with them."""
