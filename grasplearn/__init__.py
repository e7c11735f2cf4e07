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

from grasplearn.errors import GraspLearnError
from grasplearn.registration import register
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
    from grasplearn.learning.teaching_settings import Teaching
    from grasplearn.policies import FromFunction, make_policy
    from grasplearn.sim.demonstrator import demonstrate
    from grasplearn.sim.objects import Catalogue
    from grasplearn.sim.world import World
    from grasplearn.skill import Skill

_LATER = {
    "Catalogue": "sim.objects",
    "FromFunction": "policies",
    "Skill": "skill",
    "Teaching": "learning.teaching_settings",
    "World": "sim.world",
    "demonstrate": "sim.demonstrator",
    "load_demonstration": "files",
    "load_picture": "files",
    "make_policy": "policies",
    "pixel_grasp": "files",
    "save_demonstration": "files",
}

__all__ = [
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
    "Skill",
    "Teaching",
    "TrialResult",
    "TrialSpec",
    "World",
    "demonstrate",
    "load_demonstration",
    "load_picture",
    "make_policy",
    "pixel_grasp",
    "save_demonstration",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'grasplearn' has no attribute '{name}'")
    return getattr(import_module(f"grasplearn.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
