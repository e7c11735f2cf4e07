"""The open hand's room: seen boxes stop it, and a grasp is changed no more than it must be."""

from dataclasses import replace

import numpy as np
import pytest

from grasplearn.geometry import Heightmap, grasp_height, room_in, seen_inside
from grasplearn.room import MARGIN, TOLERANCE
from grasplearn.types import Grasp

SIDE, MIDDLE = 224, 0.5


def seen(*boxes: tuple[float, float, float, float, float]) -> Heightmap:
    """A table with boxes on it: middle and extents in x and y from the workspace's, height; m."""
    view = Heightmap(
        np.full((SIDE, SIDE, 3), 128, np.uint8),
        np.zeros((SIDE, SIDE), np.float32),
        np.ones((SIDE, SIDE), bool),
    )
    v, u = np.mgrid[:SIDE, :SIDE]
    xy = view.to_world(np.stack([u, v], -1)) - [MIDDLE, 0.0]
    for x, y, long, broad, height in boxes:
        inside = (np.abs(xy - [x, y]) <= [long / 2, broad / 2]).all(-1)
        view.height[inside] = height
    return view


def grasp_in(view: Heightmap, width: float, yaw: float = 0.0) -> Grasp:
    xy = (MIDDLE, 0.0)
    return Grasp(np.array([*xy, grasp_height(view, xy, yaw, width)]), yaw, width)


BAR = (0.0, 0.0, 0.03, 0.12, 0.04)


def test_a_free_grasp_stays_as_it_is() -> None:
    view = seen(BAR)
    grasp = grasp_in(view, 0.05)
    assert room_in(view).lacking(grasp) < 0
    assert room_in(view).fitted(grasp) is grasp


def test_jaws_open_wider_around_something_broader() -> None:
    view = seen((0.0, 0.0, 0.05, 0.12, 0.04))
    grasp = grasp_in(view, 0.04)
    room = room_in(view)
    assert room.lacking(grasp) > 0
    fitted = room.fitted(grasp)
    assert fitted is not None and 0.046 < fitted.width <= 0.07
    assert room.lacking(fitted) <= -MARGIN
    np.testing.assert_allclose(fitted.center_world, grasp.center_world, atol=0.009)


def test_something_beside_the_spot_is_avoided() -> None:
    view = seen(BAR, (0.055, 0.02, 0.04, 0.04, 0.04))
    grasp, room = grasp_in(view, 0.05), room_in(view)
    assert room.lacking(grasp) > TOLERANCE
    fitted = room.fitted(grasp)
    assert fitted is not None
    assert np.linalg.norm(fitted.center_world - grasp.center_world) <= 0.015
    assert abs(fitted.yaw - grasp.yaw) <= 0.3


def test_the_palm_needs_room_too() -> None:
    wall = (0.08, 0.0, 0.02, 0.3, 0.15)
    room = room_in(seen(BAR, wall))
    lacking = room.lacking(grasp_in(seen(BAR, wall), 0.05))
    assert lacking == pytest.approx(0.15 - (0.022 + 0.039), abs=0.003)
    # Across the wall's direction there is none anywhere near.
    assert room.fitted(grasp_in(seen(BAR, wall), 0.05)) is None


def test_what_was_not_measured_stops_nothing() -> None:
    view = seen((0.0, 0.0, 0.05, 0.12, 0.04))
    grasp = grasp_in(view, 0.04)
    unknown = replace(view, known=np.zeros_like(view.known))
    assert room_in(view).lacking(grasp) > 0 > room_in(unknown).lacking(grasp)


def test_a_grasp_without_room_counts_less() -> None:
    room = room_in(seen(BAR, (0.08, 0.0, 0.02, 0.3, 0.15)))
    blocked = grasp_in(seen(BAR), 0.05)
    free = replace(blocked, center_world=blocked.center_world - [0.15, 0.0, 0.0])
    assert room.best([blocked, free, blocked], [0.9, 0.1, 0.9]) == (1, free)
    assert room.best([blocked], [1.0]) == (0, blocked)
    # One that only has to be changed may still be the better one, if it is much more probable.
    room = room_in(seen((0.0, 0.0, 0.05, 0.12, 0.04)))
    narrow = grasp_in(seen((0.0, 0.0, 0.05, 0.12, 0.04)), 0.04)
    free = replace(narrow, center_world=narrow.center_world - [0.15, 0.0, 0.0])
    assert room.best([narrow, free], [0.6, 0.4]) == (1, free)
    number, fitted = room.best([narrow, free], [0.9, 0.1])
    assert number == 0 and fitted.width > narrow.width


def test_at_the_edge_of_the_picture_nothing_is_lacking() -> None:
    view = seen()
    grasp = Grasp(np.array([MIDDLE + 0.22, 0.22, 0.01]), 0.4, 0.05)
    assert room_in(view).lacking(grasp) < 0


def test_what_the_demonstration_stood_in_is_tolerated() -> None:
    view = seen((0.0, 0.0, 0.05, 0.12, 0.04))
    grasp = grasp_in(view, 0.04)
    deep = seen_inside(view, grasp)
    assert deep == pytest.approx(room_in(view).lacking(grasp)) and deep > 0
    assert room_in(view, deep).fitted(grasp) is grasp
    assert seen_inside(seen(BAR), grasp_in(seen(BAR), 0.05)) == 0
