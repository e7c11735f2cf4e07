"""A picture of the tiers: the demonstration and one scene of each, as the robot's camera sees them.

python demos/03_tiers_picture.py [OUT.png]
"""

import sys
from pathlib import Path

import numpy as np

from grasplearn.evaluate import make_lesson
from grasplearn.show.overlay import (
    Mark,
    demonstration_picture,
    draw_grasps,
    save_png,
    with_caption,
)
from grasplearn.show.style import SHOWN
from grasplearn.sim.demonstrator import replay
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "out/tiers.png")

catalogue = Catalogue.builtin()
world = World(catalogue)
model = catalogue.get("spatula_00")
others = catalogue.neighbours_of(model.object_id)
tiles = []
for seed, (name, tier) in enumerate(TIERS.items()):
    lesson = make_lesson(world, model.object_id, seed=3, look_alike=tier.look_alike)
    if not tiles:
        tiles.append(demonstration_picture(lesson.demonstration, "the one demonstration", 448))
    scene = trial_scene(world, lesson, name, others, seed=seed)
    grasp = replay(world, lesson, scene, np.random.default_rng(0))
    picture = world.observe()
    marks = [Mark(grasp, SHOWN)] if grasp else []
    tiles.append(with_caption(draw_grasps(picture, marks, 448), name))
height = min(tile.shape[0] for tile in tiles)
tiles = [tile[:height] for tile in tiles]
rows = [np.hstack(tiles[:3]), np.hstack(tiles[3:])]
save_png(OUT, np.vstack(rows))
print(f"wrote {OUT}")
