"""Which of the catalogue's named parts can really be grasped? Asked of physics, part by part.

    python benchmarks/graspable.py [--workers 2] [--json-file out/graspable.json]

For every object and every part that its file calls graspable, the demonstrator looks for a sturdy
grasp (``demonstrator.sturdy_grasps``) in each stable pose, most probable first, until it has one.
Exits with 1 if a part has none.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import tyro

from grasplearn.sim.demonstrator import sturdy_grasps
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World


@cache
def _world() -> World:
    return World(Catalogue.builtin())


def pose_of(object_id: str, part: str) -> int | None:
    """The first stable pose in which a grasp on the part is sturdy, or None."""
    world = _world()
    model = world.catalogue.get(object_id)
    order = np.argsort([-pose.probability for pose in model.stable_poses])
    for pose in order:
        rng = np.random.default_rng(0)
        if next(sturdy_grasps(world, model, int(pose), part, rng), None) is not None:
            return int(pose)
    return None


def main(workers: int = 2, json_file: Path | None = None) -> None:
    """Prints the parts on which no grasp is sturdy in any pose."""
    asked = [(m.object_id, part) for m in Catalogue.builtin().select() for part in m.graspable]
    found = joblib.Parallel(workers)(joblib.delayed(pose_of)(*one) for one in asked)
    none = [
        f"{name} {part}" for (name, part), pose in zip(asked, found, strict=True) if pose is None
    ]
    print(f"{len(asked)} parts, {len(none)} without a sturdy grasp", *none, sep="\n")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({"parts": len(asked), "without": none}, indent=1))
    sys.exit(1 if none else 0)


if __name__ == "__main__":
    tyro.cli(main)
