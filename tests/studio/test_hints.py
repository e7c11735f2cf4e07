"""What the studio says of a grasp as it is drawn: a bar of 10 x 3 cm lies on the table."""

import numpy as np
import pytest
from teaching_kit import CAMERA, table

from grasplearn.geometry import project
from grasplearn.studio.hints import hint


@pytest.mark.parametrize(
    ("x", "y", "yaw_deg", "width", "said"),
    [
        (0.53, 0.0, 90, 0.06, ""),
        (0.53, 0.0, 90, 0.02, "open the jaws wider"),
        (0.5, 0.0, 0, 0.08, "turn or move them"),
        (0.6, 0.15, 0, 0.06, "nothing stands between the jaws"),
        (0.9, 0.0, 0, 0.06, "outside the picture"),
        (0.5, 0.0, 0, 0.2, "width"),
    ],
)
def test_a_grasp_is_judged(x: float, y: float, yaw_deg: float, width: float, said: str) -> None:
    u, v = project(CAMERA, np.array([x, y, 0.04]))
    found = hint(table(), float(u), float(v), yaw_deg, width)
    assert said in found and bool(said) == bool(found)
