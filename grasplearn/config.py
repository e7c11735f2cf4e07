"""The commands' settings as frozen values; the command line's flags are made from them.

Nothing here imports the simulator, so that ``--help`` is quick. What a value may be is checked
where it is used, with an error that names the choices.
"""

from __future__ import annotations

from collections.abc import Callable
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
    OptionalGrasp,
    OptionalName,
)
from grasplearn.config_evaluation import Benchmark, Episodes, Evaluate, Report
from grasplearn.config_training import MetaTrain, Pretrain, Render, TrainOverview, TrainVerifier


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Show an object's grasp once, teach it, let it be repeated in new scenes, make a page of it.

    Example: grasplearn demo --object mug_06 --tier clutter --out out/mug
    """

    object: OptionalName = None
    """Which object; 'grasplearn objects' lists them."""
    part: OptionalName = None
    """At which of its parts it is grasped; any graspable one by default."""
    rule: Annotated[str, arg(metavar="NAME")] = "static-sgm"
    """How the net learns: a learning rule, last-block or imprint."""
    methods: Annotated[
        str | None, arg(metavar="A,B", aliases=["--method"], help_behavior_hint="")
    ] = None
    """Who repeats the grasp instead of the untaught net, the taught one and the demonstrator
    itself: names separated by commas, or all."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights to start from: shipped, narrow or a file."""
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
class SkillCommon(Common):
    """What the commands about skills share."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """The skill's name."""
    # Beside the user's other files, where it can be seen, copied and kept under version control;
    # not below out/, which is for what a command makes again at any time.
    library: Folder = Path("skills")
    """The folder that keeps the skills, a folder each."""
    objects: OptionalFolder = None
    """Your own objects: a folder of URDF, OBJ, STL, PLY or GLB files."""
    rgb: OptionalFile = None
    """A colour picture of your own: PNG, JPEG or TIFF with 8 bits a channel."""
    depth: OptionalFile = None
    """Its depth, registered to the colours: 16-bit millimetres, or float metres (TIFF, .npy)."""
    camera: OptionalFile = None
    """Its camera as JSON: K, or fx, fy, cx and cy, in pixels; T_world_cam if it is known."""


@dataclass(frozen=True, kw_only=True)
class Teach(SkillCommon):
    """Teach a skill from one demonstration: in the simulator, or on a picture of your own.

    The world's z = 0 is the table, the workspace lies around x = 0.5, y = 0 m. Without a camera's
    T_world_cam the table is found in the picture: the spot under the picture's middle becomes the
    workspace's, the picture's right +x.

    Example: grasplearn teach mug --object mug_06 --part handle
    """

    object: OptionalName = None
    """Demonstrate on this object in the simulator; 'grasplearn objects' lists them."""
    part: OptionalName = None
    """At which of its parts; any graspable one by default."""
    tier: Annotated[str, arg(metavar="NAME")] = "same"
    """For which trials; for alike, the look-alike stands in the demonstration too."""
    grasp: OptionalGrasp = None
    """On your picture: pixel (right, down), the jaws' angle (counter-clockwise), their opening."""
    rule: Annotated[str, arg(metavar="NAME")] = "static-sgm"
    """How it learns: a learning rule, last-block, imprint or untaught."""
    steps: OptionalCount = None
    """Steps of fine-tuning; as many as were found to be enough by default."""
    budget: Annotated[str | None, arg(metavar="SIZE", help_behavior_hint="")] = None
    """Let a teaching step hold no more than this, as 8MiB, above weights and samples: chooses the
    samples' side and number, and between static-sgm and static-sgm-one-pass."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights to start from: shipped, narrow or a file."""
    force: bool = False
    """Take the place of a skill of the same name."""


@dataclass(frozen=True, kw_only=True)
class Pick(SkillCommon):
    """Use a skill: in new scenes of the simulator, or on a picture of your own.

    For a picture the grasp is printed as JSON, in the camera's and in the world's frame, and drawn.

    Example: grasplearn pick mug --tier clutter --trials 10 --video out/mug.mp4
    """

    tier: Annotated[str, arg(metavar="NAME")] = "same"
    """How hard the scenes are: same, clutter, view, kin or alike."""
    trials: Count = 10
    """How many scenes."""
    video: OptionalFile = None
    """Film the trials into this MP4 file."""
    out: OptionalFolder = None
    """Where the pictures go, out/pick/NAME by default; of your own picture also a .png file."""
    weights: OptionalName = None
    """The pre-trained weights that it was taught on, if they are not where they were."""


@dataclass(frozen=True, kw_only=True)
class Bench(Common):
    """Measure what a teaching step of each learning rule costs: time, memory, multiplications.

    All rules in one run, in turn; time is told beside backprop's, memory beside inference's.

    Example: grasplearn bench step --rules static-sgm,backprop --size 224 --depth 1,2,4 --batch 8
    """

    what: Annotated[Positional[str], arg(metavar="WHAT")] = "step"
    """What to measure: step."""
    rules: Names = "all"
    """Which learning rules: names separated by commas, or all; backprop is always measured."""
    size: Count = 224
    """Pixels along the side of a picture."""
    depth: Annotated[str, arg(metavar="N,N")] = "1,2,4"
    """Multiples of the net's residual blocks; deeper nets have fresh weights."""
    batch: Count = 8
    """Samples a step."""
    rounds: Count = 5
    """Every rule's step is timed so many times; the median counts."""
    no_resident: bool = False
    """Leave out how far a fresh process grows (some seconds for each figure)."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights that give the net's shape: shipped, narrow or a file."""
    threads: Count = 1
    """Processor threads."""
    plot: OptionalFolder = None
    """Draw memory over depth, and time over memory, into this folder (needs the extra 'claims')."""
    success: OptionalFile = None
    """A summary.json of an evaluation: its rates colour the drawing."""


@dataclass(frozen=True, kw_only=True)
class Export(Common):
    """Export predicting and the whole teaching step as ONNX graphs, for devices without torch.

    Of a skill, what it was taught and the samples to teach it again are written beside the graphs.
    Used there by: python -m grasplearn.edge.run DIR --demo D --image I

    Example: grasplearn export shipped --out out/edge
    """

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """A skill's name; or pre-trained weights: shipped, narrow or a file."""
    out: Folder = Path("out/edge")
    """Where the graphs and the manifest go; a folder that is not there yet."""
    rule: Annotated[str, arg(metavar="NAME")] = "static-sgm"
    """Which teaching step: static-sgm or static-sgm-one-pass."""
    optimizer: OptionalName = None
    """lars, sgd or adam; as the program itself teaches these weights by default."""
    size: OptionalCount = None
    """Pixels along the side of a teaching sample; as the program itself teaches by default."""
    batch: OptionalCount = None
    """Samples a teaching step; likewise."""
    eight_bit: bool = False
    """Write the graphs in 8 bits too; of a skill alone, whose samples tell the scales."""
    library: Folder = Path("skills")
    """The folder that keeps the skills, a folder each."""
    weights: OptionalName = None
    """The pre-trained weights that a skill was taught on, if they are not where they were."""


@dataclass(frozen=True, kw_only=True)
class Studio(Common):
    """Open the teaching page: drag a grasp on the camera's picture, watch it learn, try it.

    Needs the extra 'studio'. The address holds a token; only whoever has it can use the page.

    Example: grasplearn studio --open
    """

    port: Count = 8765
    """Where to listen; 0 takes any free port."""
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    """Who can reach it: this machine alone by default, 0.0.0.0 everybody in the network."""
    open: bool = False
    """Open the page in the browser."""
    library: Folder = Path("skills")
    """The folder that keeps the skills, a folder each."""
    objects: OptionalFolder = None
    """Your own objects: a folder of URDF, OBJ, STL, PLY or GLB files."""
    weights: Annotated[str, arg(metavar="NAME")] = "shipped"
    """Pre-trained weights to start from: shipped, narrow or a file."""


COMMANDS: dict[str, Callable[..., Common]] = {
    "demo": Demo,
    "objects": Objects,
    "evaluate": Evaluate,
    "benchmark": Benchmark,
    "report": Report,
    "episodes": Episodes,
    "teach": Teach,
    "pick": Pick,
    "studio": Studio,
    "render": Render,
    "pretrain": Pretrain,
    "train-verifier": TrainVerifier,
    "train-overview": TrainOverview,
    "meta-train": MetaTrain,
    "bench": Bench,
    "export": Export,
}
