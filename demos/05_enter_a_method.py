"""A method for the benchmark: any function from the demonstration and a picture to a grasp.

python demos/05_enter_a_method.py
grasplearn benchmark v2 --methods demos/05_enter_a_method.py:same_colour,template --workers 2
"""

import sys

import cv2
import numpy as np

from grasplearn.cli import run
from grasplearn.geometry import grasp_height, heightmap
from grasplearn.types import Demonstration, Grasp, Observation


def same_colour(demonstration: Demonstration, observation: Observation) -> Grasp:
    """Grasps where the colours are most like those of the demonstrated spot."""
    shown, here = heightmap(demonstration.observation), heightmap(observation)
    u, v = np.rint(shown.to_pixels(demonstration.grasp.center_world[:2])).astype(int)
    color = shown.rgb[v - 2 : v + 3, u - 2 : u + 3].mean(axis=(0, 1))
    unlike = np.linalg.norm(cv2.blur(here.rgb, (5, 5)) - color, axis=-1)
    unlike[~(here.height > 0.005)] = np.inf
    row, column = np.unravel_index(np.argmin(unlike), unlike.shape)
    x, y = here.to_world((column, row))
    yaw, width = demonstration.grasp.yaw, demonstration.grasp.width
    return Grasp(np.array([x, y, grasp_height(here, (x, y), yaw, width)]), yaw, width)


if __name__ == "__main__":
    small = ["--tiers", "same", "--max-objects", "1", "--trials", "2", "--resume"]
    sys.exit(run(["evaluate", "--methods", f"{__file__}:same_colour", *small]))
