"""One demonstration, one new scene, one grasp: the whole flow in a page.

python demos/01_one_grasp.py
"""

import numpy as np

from grasplearn.evaluate import make_lesson
from grasplearn.policies.template import TemplateMatching
from grasplearn.sim.judge import judge
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.trial import trial_scene

catalogue = Catalogue.builtin()
world = World(catalogue)
hammer = catalogue.get("hammer_06")

# The demonstrator may look into the simulator; a policy sees its picture and its grasp alone.
lesson = make_lesson(world, hammer.object_id, seed=0)
policy = TemplateMatching().teach(lesson.demonstration, np.random.default_rng(0))

scene = trial_scene(world, lesson, "same", catalogue.neighbours_of(hammer.object_id), seed=1)
world.reset(scene)
grasp = policy(world.observe())
report = world.execute(grasp)

verdict = judge(lesson, hammer, scene, grasp, report)
print(f"{lesson.part} of {hammer.object_id}: {verdict.outcome.advice}")
print(f"success {verdict.success}, {1000 * (verdict.position_error or 0):.1f} mm off")
