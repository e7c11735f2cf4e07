"""What a person should know of a grasp that was drawn on a picture, before it is taught."""

from __future__ import annotations

import numpy as np

from grasplearn.errors import InvalidValueError
from grasplearn.files import pixel_grasp
from grasplearn.geometry import heightmap, seen_inside, strip_heights
from grasplearn.types import Observation

# Where all but a tenth of what is between the jaws is lower than this, m, it is the table and the
# sensor's noise (up to 8 mm in the page's picture, as the highest of some pixels counts).
LOWEST = 0.009


def hint(observation: Observation, u: float, v: float, yaw_deg: float, width: float) -> str:
    """Returns a sentence, or nothing if the grasp looks well; see ``files.pixel_grasp``."""
    try:
        grasp = pixel_grasp(observation, u, v, yaw_deg, width)
    except InvalidValueError as error:
        return str(error)
    view = heightmap(observation)
    heights = strip_heights(view, grasp.center_world[:2], grasp.yaw, grasp.width)
    if not heights.size or np.percentile(heights, 90) < LOWEST:
        return "nothing stands between the jaws; drag across an object"
    if seen_inside(view, grasp):
        return "the hand would come down on something here; open the jaws wider, turn or move them"
    return ""
