"""A skill in ten lines: teach it from one demonstration, keep it, use it again.

python demos/04_teach_and_keep.py [WEIGHTS]
"""

import sys

import grasplearn as gl
from grasplearn.evaluate import make_lesson

WEIGHTS = sys.argv[1] if len(sys.argv) > 1 else "shipped"

# The one demonstration. Your own comes from files: gl.load_picture and gl.pixel_grasp.
world = gl.World(gl.Catalogue.builtin())
demonstration = make_lesson(world, "hammer_06", seed=0).demonstration

skill = gl.Skill.teach(demonstration, gl.Teaching("static-sgm"), weights=WEIGHTS)
skill.save("skills/hammer", replace=True)

again = gl.Skill.load("skills/hammer")
prediction = again.predict(demonstration.observation)
print(f"{again.method}: {skill.taught.seconds:.1f} s, {skill.taught.kept} weights kept")
print(f"confidence {prediction.confidence:.2f}, {prediction.grasp}")
