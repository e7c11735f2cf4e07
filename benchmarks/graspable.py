"""Which of the catalogue's named parts can really be grasped? Asked of physics, part by part.

    python benchmarks/graspable.py [--workers 2] [--json-file out/graspable.json]

For every object and every part that its file calls graspable, the demonstrator looks for a sturdy
grasp (``grasp_search.sturdy_grasps``) in each stable pose, most probable first, until it has one.
Exits with 1 if a part has none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import tyro

from grasplearn.sim.grasp_search import sturdy_grasps
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World


def without_grasp(object_id: str) -> list[str]:
    """The object's parts on which no grasp is sturdy in any pose."""
    world = World(Catalogue.builtin())
    model = world.catalogue.get(object_id)
    order = np.argsort([-pose.probability for pose in model.stable_poses])
    found = []
    for part in model.graspable:
        tries = (
            next(sturdy_grasps(world, model, int(i), part, np.random.default_rng(0)), None)
            for i in order
        )
        if all(grasp is None for grasp in tries):
            found.append(f"{object_id} {part}")
    world.close()
    return found


def main(workers: int = 2, json_file: Path | None = None) -> None:
    """Prints the parts on which no grasp is sturdy in any pose."""
    models = Catalogue.builtin().select()
    asked = sum(len(model.graspable) for model in models)
    found = joblib.Parallel(workers)(joblib.delayed(without_grasp)(m.object_id) for m in models)
    none = [part for parts in found for part in parts]
    print(f"{asked} parts, {len(none)} without a sturdy grasp", *none, sep="\n")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({"parts": asked, "without": none}, indent=1))
    sys.exit(1 if none else 0)


if __name__ == "__main__":
    tyro.cli(main)
