"""One teaching in torch, in onnxruntime and in 8 bits, as methods for ``grasplearn evaluate``.

    grasplearn evaluate --methods benchmarks/edge_methods.py:in_torch,... --split validation

All three refine every demonstration, with the same samples; each predicts in its own runtime. The
two on the device see pictures as the device does. ``python benchmarks/edge.py success`` runs it.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from grasplearn.edge.device import Device
from grasplearn.edge.eight_bit import write_eight_bit
from grasplearn.edge.export import Export, write_export, write_support
from grasplearn.files import load_demonstration, save_demonstration
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.taught import Taught
from grasplearn.learning.teaching import teach
from grasplearn.types import Demonstration, Grasp, Observation

# What an entered method is not told, the environment tells.
WEIGHTS = os.environ.get("GRASPLEARN_EDGE_WEIGHTS", "shipped")
RULE = os.environ.get("GRASPLEARN_EDGE_RULE", "static-sgm")
SEED = 0


class Lesson:
    """A demonstration, taught in the three ways."""

    def __init__(self, shown: Demonstration) -> None:
        self._place = tempfile.TemporaryDirectory()
        folder, demo = Path(self._place.name) / "e", Path(self._place.name) / "demo"
        pretrained, told = load_pretrained(WEIGHTS), Export(RULE)
        write_export(folder, pretrained, WEIGHTS, told)
        save_demonstration(demo, shown)
        # All look at what the files hold: depth is rounded in them.
        shown = load_demonstration(demo)
        always = replace(told.teaching(pretrained), doubt=0.0)
        write_support(demo, shown, pretrained, always, SEED)
        self.torch: Taught = teach(shown, pretrained, always, SEED)
        self.float = Device(folder)
        kept = {"torch": self.torch.kept, "float": self.float.teach(demo, always=True).kept}
        write_eight_bit(folder, demo)
        self.eight_bit = Device(folder, eight_bit=True)
        kept["8-bit"] = self.eight_bit.teach(demo, always=True).kept
        print(f"taught; kept: {kept}", flush=True)


# Trials of one demonstration follow each other.
@lru_cache(maxsize=4)
def _taught(key: bytes) -> Lesson:
    return Lesson(_shown[key])


_shown: dict[bytes, Demonstration] = {}


def _lesson(shown: Demonstration) -> Lesson:
    key = shown.observation.depth.tobytes() + shown.grasp.center_world.tobytes()
    _shown[key] = shown
    return _taught(key)


def in_torch(demonstration: Demonstration, observation: Observation) -> Grasp:
    return _lesson(demonstration).torch.predict(observation).grasp


def in_onnxruntime(demonstration: Demonstration, observation: Observation) -> Grasp:
    return _lesson(demonstration).float.predict(observation)[0]


def in_eight_bit(demonstration: Demonstration, observation: Observation) -> Grasp:
    return _lesson(demonstration).eight_bit.predict(observation)[0]
