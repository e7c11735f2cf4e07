"""Your own method is a function from the demonstration and a picture to a grasp.

python demos/02_own_policy.py
"""

import gymnasium
import numpy as np

from grasplearn.geometry import grasp_height, heightmap
from grasplearn.policies import FromFunction
from grasplearn.types import Demonstration, Grasp, Observation


def highest_point(demonstration: Demonstration, observation: Observation) -> Grasp:
    """Grasps whatever stands highest, as wide as it was shown."""
    view = heightmap(observation)
    row, column = np.unravel_index(np.argmax(view.height * view.known), view.height.shape)
    x, y = view.to_world((column, row))
    yaw, width = demonstration.grasp.yaw, demonstration.grasp.width
    return Grasp(np.array([x, y, grasp_height(view, (x, y), yaw, width)]), yaw, width)


policy = FromFunction("highest-point", highest_point)
env = gymnasium.make("grasplearn/TableGrasp-v0", object_id="can_06", tier="same")
wins = 0
for seed in range(3):
    seen, info = env.reset(seed=seed)
    grasper = policy.teach(info["demonstration"], np.random.default_rng(0))
    grasp = grasper(Observation(seen["rgb"], seen["depth"], info["camera"]))
    *_, info = env.step(env.unwrapped.action_of(grasp))
    wins += info["is_success"]
    print(f"scene {seed}: {info['outcome']}, {info['advice']}")
print(f"{policy.name}: {wins} of 3")
env.close()
