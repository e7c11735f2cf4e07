"""What things are like as wholes, and what that says of proposals."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from grasplearn import whole
from grasplearn.whole import Contrast, island_at, islands, middles, wholes

SIDE = 64
RED, BLUE, GREY = (0.6, -0.4, -0.4), (-0.4, -0.4, 0.6), (0.0, 0.0, 0.0)
Box = tuple[int, int, int, int, float, tuple[float, float, float]]


def picture(*boxes: Box, light: tuple[float, float, float] = (1, 1, 1)) -> NDArray[np.float32]:
    """Boxes (u, v, width, height, how high, colour) on a grey table, under a light."""
    made = np.zeros((5, SIDE, SIDE), np.float32)
    made[4] = 1
    for u, v, w, h, high, color in boxes:
        made[:3, v : v + h, u : u + w] = np.array(color)[:, None, None]
        made[3, v : v + h, u : u + w] = high
    made[:3] = (made[:3] + 1) * np.array(light, np.float32)[:, None, None] - 1
    return made


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.5, 0.6, 1.0])
def test_islands_are_those_of_opencv(share: float) -> None:
    made = np.zeros((5, 90, 70), np.float32)
    made[3] = np.random.default_rng(0).random((90, 70)) < share
    wanted = cv2.connectedComponents(cv2.medianBlur(made[3].astype(np.uint8), 3))[1]
    found = islands(made)
    pairs = set(zip(found.ravel().tolist(), wanted.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(wanted)) and wanted.max() == found.max()
    assert ((found == 0) == (wanted == 0)).all()


def test_a_spot_is_on_the_nearest_island_or_on_none() -> None:
    seen = picture((10, 10, 12, 8, 1.0, RED), (40, 30, 10, 10, 0.5, BLUE), (3, 55, 3, 3, 1.0, RED))
    (near, red), (inside, same), (blue, other), (none, _), (speck, _) = wholes(
        seen, [(8.0, 12.0), (15.0, 12.0), (44.0, 33.0), (60.0, 5.0), (4.0, 56.0)]
    )
    assert near == inside and near != blue and none == speck == 0
    assert (red == same).all() and np.exp(red[1]) == 1.0 and np.exp(other[1]) == 0.5
    assert red[2] > 0.5 > -0.5 > other[2] - other[3]


def test_the_island_at_a_spot_is_all_of_it_or_none() -> None:
    seen = picture((10, 10, 12, 8, 1.0, RED), (40, 30, 10, 10, 0.5, BLUE), (3, 55, 3, 3, 1.0, RED))
    near = island_at(seen, (8.0, 12.0))
    assert near is not None and near[10:18, 10:22].mean() > 0.9 and near.sum() <= 96
    assert island_at(seen, (60.0, 5.0)) is None and island_at(seen, (4.0, 56.0)) is None


SHOWN, TWIN = (15.0, 15.0), (45.0, 45.0)


@pytest.mark.parametrize(
    ("size", "color"), [((16, 16), RED), ((12, 12), BLUE), ((9, 9), RED), ((12, 12), GREY)]
)
def test_a_twin_in_another_size_or_colour_is_told_from_the_shown_thing(
    size: tuple[int, int], color: tuple[float, float, float]
) -> None:
    mine, twin = (12, 12, 1.0, RED), (*size, 1.0 * size[0] / 12, color)
    contrast = Contrast.of(picture((10, 10, *mine), (40, 40, *twin)), SHOWN, TWIN, 0.5)
    assert contrast is not None
    for light in ((1, 1, 1), (0.8, 0.7, 0.6), (0.6, 0.7, 0.8)):
        seen = picture((38, 12, *mine), (8, 42, *twin), light=light)
        good, bad = contrast.scores(seen, [(44.0, 17.0), (12.0, 46.0)])
        assert good > 0.5 > -0.5 > bad, light


def test_what_is_like_neither_is_left_as_it_was() -> None:
    mine, twin = (12, 12, 1.0, RED), (16, 16, 1.3, RED)
    contrast = Contrast.of(picture((10, 10, *mine), (40, 40, *twin)), SHOWN, TWIN, 0.5)
    assert contrast is not None
    green = (-0.6, 0.6, -0.6)
    seen = picture((8, 8, 40, 50, 3.0, green))
    other, nothing = contrast.scores(seen, [(20.0, 20.0), (60.0, 60.0)])
    assert abs(other) < 0.3 and nothing == 0


def test_without_another_thing_that_is_likely_there_is_no_contrast() -> None:
    two = picture((10, 10, 12, 12, 1.0, RED), (40, 40, 12, 12, 1.0, BLUE))
    assert Contrast.of(two, SHOWN, TWIN, 0.5) is not None
    assert Contrast.of(two, SHOWN, TWIN, whole.LEAST_LIKENESS / 2) is None
    assert Contrast.of(two, SHOWN, (18.0, 18.0), 0.5) is None
    assert Contrast.of(two, SHOWN, (58.0, 8.0), 0.5) is None
    assert Contrast.of(two, (58.0, 8.0), TWIN, 0.5) is None


def test_middles_are_where_cells_lie() -> None:
    assert middles([(0, 0), (2, 5)], 4) == [(1.5, 1.5), (21.5, 9.5)]
