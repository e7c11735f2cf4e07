"""Geometry and files for any values, not for chosen ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grasplearn.files import load_demonstration, save_demonstration
from grasplearn.geometry import (
    Heightmap,
    invert,
    look_at,
    project,
    transform,
    unproject,
    yaw_difference,
)
from grasplearn.types import (
    MAX_WIDTH,
    Camera,
    Demonstration,
    Grasp,
    Observation,
    wrap_yaw,
)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


coordinate = numbers(-1, 1)
points = st.tuples(coordinate, coordinate, coordinate)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    """Cameras above the table that look down onto it, more or less."""
    eye = (draw(coordinate), draw(coordinate), draw(numbers(0.3, 3)))
    target = (draw(coordinate), draw(coordinate), 0.0)
    turn = draw(numbers(-np.pi, np.pi))
    up = np.array([np.cos(turn), np.sin(turn), 0])
    ahead = np.subtract(target, eye)
    assume(np.linalg.norm(np.cross(ahead, up)) > 0.1)
    focal = draw(numbers(50, 2000))
    side = draw(st.integers(16, 64))
    K = np.array([[focal, 0, side / 2], [0, focal * draw(numbers(0.8, 1.2)), side / 2], [0, 0, 1]])
    return Camera(K, look_at(eye, target, up), side, side)


@st.composite
def grasps(draw: st.DrawFn) -> Grasp:
    return Grasp(np.array(draw(points)), draw(numbers(-100, 100)), draw(numbers(1e-4, MAX_WIDTH)))


@given(cameras(), st.tuples(numbers(-50, 100), numbers(-50, 100)), numbers(0.05, 5))
def test_projecting_undoes_unprojecting(
    camera: Camera, pixel: tuple[float, float], depth: float
) -> None:
    seen = unproject(camera, pixel, depth)
    np.testing.assert_allclose(project(camera, seen), pixel, atol=1e-6)
    in_camera = transform(invert(camera.T_world_cam), seen)
    np.testing.assert_allclose(in_camera[2], depth, atol=1e-9)


@given(st.integers(16, 512), numbers(0.05, 3), st.tuples(coordinate, coordinate), points)
def test_heightmap_pixels_and_places_are_inverse(
    side: int, span: float, center: tuple[float, float], place: tuple[float, float, float]
) -> None:
    view = Heightmap(
        np.zeros((side, side, 3), np.uint8),
        np.zeros((side, side), np.float32),
        np.zeros((side, side), bool),
        span,
        center,
    )
    np.testing.assert_allclose(view.to_world(view.to_pixels(place[:2])), place[:2], atol=1e-9)
    np.testing.assert_allclose(view.to_pixels(center), [(side - 1) / 2] * 2, atol=1e-9)
    # Right in the picture is +x, up is +y.
    right_up = view.to_world((3, 1)) - view.to_world((2, 2))
    np.testing.assert_allclose(right_up, [view.metres_per_pixel] * 2, rtol=1e-6)


@given(numbers(-1e3, 1e3), st.integers(-50, 50))
def test_a_jaw_looks_the_same_after_half_turns(yaw: float, half_turns: int) -> None:
    wrapped = wrap_yaw(yaw)
    assert -np.pi / 2 <= wrapped < np.pi / 2
    assert yaw_difference(yaw, yaw + half_turns * np.pi) < 1e-9
    assert yaw_difference(yaw, wrapped) < 1e-9


@given(grasps())
def test_a_grasp_is_a_rigid_frame_that_points_down(grasp: Grasp) -> None:
    T = grasp.T_world_grasp
    np.testing.assert_allclose(T @ invert(T), np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(T[:3, :3]), 1)
    np.testing.assert_allclose(T[:3, 2], (0, 0, -1))
    np.testing.assert_allclose(T[:3, 3], grasp.center_world)
    assert -np.pi / 2 <= grasp.yaw < np.pi / 2
    assert Grasp.from_dict(grasp.to_dict()).to_dict() == grasp.to_dict()


@settings(max_examples=25)
@given(cameras(), grasps(), st.integers(0, 2**32 - 1))
def test_a_demonstration_comes_back_from_its_files(camera: Camera, grasp: Grasp, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (camera.height, camera.width)
    # Sensors measure in steps; on a grid of 0.1 mm nothing is lost.
    depth = (rng.integers(1, 30_000, size) / 10_000).astype(np.float32)
    depth[rng.random(size) < 0.3] = 0
    depth[0, 0] = 1
    rgb = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        save_demonstration(Path(folder), Demonstration(Observation(rgb, depth, camera), grasp))
        back = load_demonstration(Path(folder))
    np.testing.assert_array_equal(back.observation.rgb, rgb)
    np.testing.assert_array_equal(back.observation.depth, depth)
    assert back.observation.camera.to_dict() == camera.to_dict()
    assert back.grasp.to_dict() == grasp.to_dict()
