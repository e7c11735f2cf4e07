"""Where the failures in tier ``kin`` of a run have gripped: on which object, how far from the part.

    python benchmarks/kin.py out/evaluation --method static-sgm

On the demonstrated object a grasp may be 2 cm off. On a kin, which has no demonstrated grasp of
its own, the surface nearest to the grasp's centre must be the named part's (docs/METRIC.md): where
parts are thin, or end beside the spot, that is harder. This counts what it decides. The scenes are
drawn again from their seeds. Of those that another part decided, it says by how much that one was
nearer.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from grasplearn.evaluate import make_lesson
from grasplearn.geometry import invert, pose_matrix
from grasplearn.plan import load_catalogue
from grasplearn.sim.judge import MAX_POSITION_ERROR
from grasplearn.sim.world import World
from grasplearn.trial import trial_scene
from grasplearn.types import Grasp

FAR = 0.05
WITHIN = f"{100 * MAX_POSITION_ERROR:.0f} cm"
NEARER = f"nearest to another part, within {WITHIN} of the named one"


def place_of(world: World, seed: int, row: dict[str, Any]) -> tuple[str, float]:
    """Says where a row's grasp is, and how much nearer (m) the nearest surface is than the part."""
    lesson = make_lesson(world, row["object"], seed, row["demonstration"], False)
    others = world.catalogue.neighbours_of(row["object"])
    target = trial_scene(world, lesson, "kin", others, row["scene_seed"]).objects[0]
    model = world.catalogue.get(target.object_id)
    grasp = Grasp(
        np.array(row["grasp"]["center_world"]), row["grasp"]["yaw"], row["grasp"]["width"]
    )
    T = invert(pose_matrix(target.position, target.quaternion)) @ grasp.T_world_grasp
    center, surface = T[:3, 3], model.surface
    own = surface.points[surface.part == model.parts.index(lesson.part)]
    to_part = float(np.linalg.norm(own - center, axis=1).min())
    to_surface = float(surface.tree.query(center)[0])
    if to_surface > FAR:
        return "another object, or none", 0.0
    if row["on_part"]:
        return "at the part", 0.0
    if to_part < MAX_POSITION_ERROR:
        return NEARER, to_part - to_surface
    return f"farther than {WITHIN} from the part", to_part - to_surface


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of 'grasplearn evaluate'")
    parser.add_argument("--method", required=True)
    options = parser.parse_args()
    rows = [json.loads(line) for line in (options.run / "results.jsonl").open(encoding="utf-8")]
    asked = [r for r in rows if r["tier"] == "kin" and r["method"] == options.method]
    failed = [r for r in asked if not r["success"] and r["grasp"] is not None]
    told = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
    world = World(load_catalogue(None)[0])
    seed = told["seed"]
    places = [place_of(world, seed, row) for row in failed]
    counts = Counter(
        (row["outcome"], place) for row, (place, _) in zip(failed, places, strict=True)
    )
    print(f"{options.method}, kin: {len(failed)} of {len(asked)} failed")
    for (outcome, place), count in sorted(counts.items()):
        print(f"{count:4}  {outcome}: {place}")
    by = [1000 * nearer for place, nearer in places if place == NEARER]
    if by:
        print(f"{NEARER}: by {np.median(by):.1f} mm (median), {max(by):.1f} mm at most")


if __name__ == "__main__":
    main()
