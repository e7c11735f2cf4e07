"""One-shot grasp learning: the public API.

    import grasplearn as gl

    world = gl.World(gl.Catalogue.builtin())
    demonstration = gl.load_demonstration("out/demo/demonstration")

Values come at once; what needs the simulator is imported when it is first used. Evaluations are in
``grasplearn.evaluate``. Importing grasplearn makes ``gymnasium.make("grasplearn/TableGrasp-v0")``
work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium

from grasplearn.errors import GraspLearnError
from grasplearn.tiers import TIERS
from grasplearn.types import (
    Camera,
    Demonstration,
    Grasp,
    GraspReport,
    Lesson,
    Observation,
    Outcome,
    SceneSpec,
    TrialResult,
    TrialSpec,
)

if TYPE_CHECKING:
    from grasplearn.files import (
        load_demonstration,
        load_picture,
        pixel_grasp,
        save_demonstration,
    )
    from grasplearn.policies import POLICIES, FromFunction
    from grasplearn.sim.demonstrator import demonstrate
    from grasplearn.sim.objects import Catalogue
    from grasplearn.sim.world import World

_LATER = {
    "POLICIES": "policies",
    "Catalogue": "sim.objects",
    "FromFunction": "policies",
    "World": "sim.world",
    "demonstrate": "sim.demonstrator",
    "load_demonstration": "files",
    "load_picture": "files",
    "pixel_grasp": "files",
    "save_demonstration": "files",
}

__all__ = [
    "POLICIES",
    "TIERS",
    "Camera",
    "Catalogue",
    "Demonstration",
    "FromFunction",
    "Grasp",
    "GraspLearnError",
    "GraspReport",
    "Lesson",
    "Observation",
    "Outcome",
    "SceneSpec",
    "TrialResult",
    "TrialSpec",
    "World",
    "demonstrate",
    "load_demonstration",
    "load_picture",
    "pixel_grasp",
    "save_demonstration",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'grasplearn' has no attribute '{name}'")
    return getattr(import_module(f"grasplearn.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "grasplearn/TableGrasp-v0" not in gymnasium.registry:
    gymnasium.register("grasplearn/TableGrasp-v0", entry_point="grasplearn.env:TableGrasp")
