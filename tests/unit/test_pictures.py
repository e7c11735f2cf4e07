"""Reading single files of a person's own: depth in all its kinds, colours, camera spellings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from grasplearn.errors import GraspLearnError
from grasplearn.pictures import read_camera, read_color, read_depth

WIDTH, HEIGHT = 80, 64

BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "all NaN": (np.full((HEIGHT, WIDTH), np.nan), "unknown .* everywhere"),
    "millimetres": (np.full((HEIGHT, WIDTH), 750.0), "seems to hold millimetres"),
    "negative": (np.full((HEIGHT, WIDTH), -0.7), "negative depth"),
    "words": (np.full((HEIGHT, WIDTH), "far"), "depth is integers or floats"),
    "cube": (np.ones((HEIGHT, WIDTH, 2)), "depth has one channel"),
    "huge": (np.ones((17, 5000), np.float32), "5000 x 17 pixels; the sides must be"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_depth_arrays(tmp_path: Path, case: str) -> None:
    array, sentence = BAD_ARRAYS[case]
    np.save(tmp_path / "depth.npy", array)
    with pytest.raises(GraspLearnError, match=sentence):
        read_depth(tmp_path / "depth.npy")


def test_a_damaged_array_file(tmp_path: Path) -> None:
    path = tmp_path / "depth.npy"
    np.save(path, np.ones((HEIGHT, WIDTH)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GraspLearnError, match=r"cannot be read as a \.npy array"):
        read_depth(path)


@pytest.mark.parametrize("ending", [".npy", ".tiff"])
def test_float_depth_is_metres_and_not_finite_is_unknown(tmp_path: Path, ending: str) -> None:
    metres = np.linspace(0.5, 1.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    metres[0, :3] = (np.nan, np.inf, -np.inf)
    path = tmp_path / f"depth{ending}"
    if ending == ".npy":
        np.save(path, metres)
    else:
        cv2.imwrite(str(path), metres)
    read = read_depth(path)
    assert (read[0, :3] == 0).all()
    np.testing.assert_array_equal(read.ravel()[3:], metres.ravel()[3:])


def test_grey_and_transparent_pictures_and_jpeg_are_tolerated(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    bgra = rng.integers(0, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    cv2.imwrite(str(tmp_path / "alpha.png"), bgra)
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((HEIGHT, WIDTH, 3), (10, 90, 200), np.uint8))
    np.testing.assert_array_equal(read_color(tmp_path / "grey.png"), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_color(tmp_path / "alpha.png"), bgra[..., 2::-1])
    assert np.abs(read_color(tmp_path / "photo.jpg").astype(int) - (200, 90, 10)).max() < 6


@pytest.mark.parametrize(
    "spelling",
    [
        {"K": [[600, 0, 320], [0, 610, 240], [0, 0, 1]]},
        {"K": [600, 0, 320, 0, 610, 240, 0, 0, 1]},
        {"camera_matrix": {"rows": 3, "cols": 3, "data": [600, 0, 320, 0, 610, 240, 0, 0, 1]}},
        {"fx": 600, "fy": 610, "cx": 320, "cy": 240},
        {"fx": 600, "fy": 610, "x_offset": 320, "y_offset": 240, "img_width": 640},
        {"intrinsics": {"fx": 600, "fy": 610, "ppx": 320, "ppy": 240}},
    ],
)
def test_spellings_of_a_camera(tmp_path: Path, spelling: dict[str, Any]) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(spelling))
    camera = read_camera(path)
    np.testing.assert_array_equal(camera.K, [[600, 0, 320], [0, 610, 240], [0, 0, 1]])
    assert camera.T_world_cam is None and camera.depth_scale == 0.001
