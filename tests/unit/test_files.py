"""Demonstrations and a person's own pictures on disk; every bad input is a real file."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.files import load_demonstration, load_picture, pixel_grasp, save_demonstration
from grasplearn.geometry import heightmap, look_at, points_world, project, yaw_difference
from grasplearn.types import MAX_WIDTH, Array, Camera, Demonstration, Grasp, Observation

REAL = Path(__file__).parents[2] / "../shared/data/real_rgbd"
WIDTH, HEIGHT = 80, 64
K = np.array([[90.0, 0, 39.5], [0, 90.0, 31.5], [0, 0, 1]])
CAMERA = Camera(K, look_at((0.5, -0.25, 0.6), (0.5, 0.02, 0), (0, 1, 0)), WIDTH, HEIGHT)
Folder = dict[str, Path]


def table_with_box(camera: Camera = CAMERA) -> Observation:
    """A table seen by a camera, with a box of 6 x 4 x 3 cm in the middle of the workspace."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.K).T
    along = rays @ camera.T_world_cam[:3, :3].T
    eye = camera.T_world_cam[:3, 3]
    depth = np.full(u.shape, 0.0)
    box = np.zeros(u.shape, bool)
    for z in np.arange(0.03, -0.0005, -0.001):
        reach = (z - eye[2]) / along[..., 2]
        x, y = (eye[i] + along[..., i] * reach for i in (0, 1))
        hit = (np.abs(x - 0.5) < 0.03) & (np.abs(y) < 0.02) & (depth == 0)
        box |= hit & (z > 0)
        depth = np.where(hit | ((depth == 0) & (z < 0.0005)), reach, depth)
    rgb = np.where(box[..., None], (200, 40, 30), (120, 100, 80)).astype(np.uint8)
    return Observation(rgb, np.round(depth, 3).astype(np.float32), camera)


@pytest.fixture
def demonstration() -> Demonstration:
    seen = table_with_box()
    depth = seen.depth.copy()
    depth[3:6, 10:20] = 0
    return Demonstration(
        Observation(seen.rgb, depth, CAMERA), Grasp(np.array([0.5, 0.0, 0.015]), 0.3, 0.06)
    )


@pytest.fixture
def folder(tmp_path: Path, demonstration: Demonstration) -> Folder:
    """A person's three files (and the grasp), all good; the tests break one of them."""
    save_demonstration(tmp_path / "shown", demonstration)
    names = {"rgb": "color.png", "depth": "depth.png", "camera": "camera.json"}
    return {key: tmp_path / "shown" / name for key, name in names.items()}


def load(folder: Folder) -> Observation:
    return load_picture(folder["rgb"], folder["depth"], folder["camera"])


def same(a: Demonstration, b: Demonstration) -> bool:
    return (
        np.array_equal(a.observation.rgb, b.observation.rgb)
        and np.array_equal(a.observation.depth, b.observation.depth)
        and a.observation.camera.to_dict() == b.observation.camera.to_dict()
        and a.grasp.to_dict() == b.grasp.to_dict()
    )


def test_a_demonstration_comes_back_exactly(tmp_path: Path, demonstration: Demonstration) -> None:
    save_demonstration(tmp_path / "a" / "b", demonstration)
    assert same(load_demonstration(tmp_path / "a" / "b"), demonstration)
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == [
        "camera.json",
        "color.png",
        "depth.png",
        "grasp.json",
    ]


def test_saving_again_replaces_and_a_failure_keeps_what_was_there(
    tmp_path: Path, demonstration: Demonstration, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_demonstration(tmp_path, demonstration)
    moved = Demonstration(demonstration.observation, Grasp(np.array([0.4, 0.1, 0.02]), 0, 0.05))
    full = OSError(28, "No space left on device")

    def no_space(descriptor: int, mode: str) -> Any:
        os.close(descriptor)
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", no_space)
        with pytest.raises(InvalidValueError, match="no space left on device"):
            save_demonstration(tmp_path, moved)
    assert same(load_demonstration(tmp_path), demonstration)
    assert len(list(tmp_path.iterdir())) == 4
    save_demonstration(tmp_path, moved)
    assert same(load_demonstration(tmp_path), moved)


def test_far_depth_is_kept_in_coarser_steps(tmp_path: Path, demonstration: Demonstration) -> None:
    far = demonstration.observation.depth.copy()
    far[0, 0] = 12.345
    seen = Observation(demonstration.observation.rgb, far, CAMERA)
    save_demonstration(tmp_path, Demonstration(seen, demonstration.grasp))
    assert load_demonstration(tmp_path).observation.depth[0, 0] == np.float32(12.345)
    far[0, 0] = 70
    with pytest.raises(InvalidValueError, match="depth reaches 70 m"):
        save_demonstration(tmp_path, Demonstration(seen, demonstration.grasp))


def test_no_permission_to_write_is_one_sentence(
    tmp_path: Path, demonstration: Demonstration
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidValueError, match=r"cannot write .*choose another place"):
        save_demonstration(tmp_path / "file", demonstration)
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; only the file in the way was checked")
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InvalidValueError, match=r"permission denied\); choose"):
        save_demonstration(tmp_path / "locked", demonstration)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{}", "lacks center_world, yaw, width"),
        ('{"center_world": [0.5, 0], "yaw": 0, "width": 0.05}', r"grasp\.json: center_world must"),
        ('{"center_world": [0.5, 0, 0], "yaw": "n", "width": 0.05}', r"grasp\.json: "),
        ('{"center_world": [0.5, 0, 0], "yaw": 0, "width": 0.2}', r"grasp\.json: width must be"),
        ('{"center_world": [0.5, 0, NaN], "yaw": 0, "width": 0.05}', "must be finite"),
    ],
)
def test_bad_grasp_files(folder: Folder, content: str, sentence: str) -> None:
    (folder["rgb"].parent / "grasp.json").write_text(content)
    with pytest.raises(GraspLearnError, match=sentence):
        load_demonstration(folder["rgb"].parent)


def test_a_missing_folder_names_what_belongs_into_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"color\.png, depth\.png"):
        load_demonstration(tmp_path / "nowhere")


# ---- pictures a person made


def edit(path: Path, **changes: Any) -> None:
    """Changes keys of a JSON file; None removes one."""
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + checked


BAD: dict[str, tuple[Callable[[Folder], object], str]] = {
    "missing picture": (lambda f: f["rgb"].unlink(), r"no colour picture file .*color\.png"),
    "missing depth": (lambda f: f["depth"].unlink(), r"no depth picture file .*depth\.png"),
    "missing camera": (lambda f: f["camera"].unlink(), "no camera file"),
    "folder": (lambda f: f.update(depth=f["depth"].parent), "is a folder; give the depth picture"),
    "text as picture": (lambda f: f["rgb"].write_text("hello"), r"color\.png is not a PNG"),
    "empty": (lambda f: f["rgb"].write_bytes(b""), "is not a PNG"),
    "cut off": (
        lambda f: f["depth"].write_bytes(f["depth"].read_bytes()[:-300]),
        r"depth\.png cannot be decoded: it is damaged or cut off",
    ),
    "broken inside": (
        lambda f: f["rgb"].write_bytes(f["rgb"].read_bytes()[:60] + bytes(200) + b"IEND1234"),
        "cannot be decoded",
    ),
    "huge": (
        lambda f: f["rgb"].write_bytes(png_header(60_000, 50_000)),
        "60000 x 50000 pixels; the sides must be 16 to 4096",
    ),
    "tiny": (lambda f: rewrite(f["rgb"], lambda p: p[:8, :8]), "8 x 8 pixels; the sides must be"),
    "16-bit colours": (
        lambda f: rewrite(f["rgb"], lambda p: p.astype(np.uint16) * 256),
        "must have 8 bits a channel",
    ),
    "8-bit depth": (
        lambda f: rewrite(f["depth"], lambda p: (p // 256).astype(np.uint8)),
        "8 bits, too coarse for distances",
    ),
    "colour as depth": (lambda f: f.update(depth=f["rgb"]), "is it the colour picture"),
    "other size": (
        lambda f: rewrite(f["depth"], lambda p: p[:, :-2]),
        r"color\.png is 80 x 64 pixels but .*depth\.png is 78 x 64",
    ),
    "nothing known": (lambda f: rewrite(f["depth"], lambda p: p * 0), "unknown .* everywhere"),
    "broken JSON": (
        lambda f: f["camera"].write_text('{"fx": 1,\n "fy": }'),
        r"camera\.json is not valid JSON: .* in line 2, column 8",
    ),
    "binary JSON": (lambda f: f["camera"].write_bytes(b"\xff\xfe\x80"), "not a JSON text file"),
    "JSON list": (lambda f: f["camera"].write_text("[1, 2]"), "must hold a JSON object"),
    "missing keys": (
        lambda f: edit(f["camera"], K=None, fx=600, cy=20),
        "lacks fy, cx; give K",
    ),
    "short matrix": (lambda f: edit(f["camera"], K=[1, 2, 3]), "K must be 3 x 3 numbers"),
    "words": (lambda f: edit(f["camera"], K=None, fx="wide", fy=1, cx=1, cy=1), "fx must be a num"),
    "NaN": (lambda f: edit(f["camera"], K=[[float("nan")] * 3] * 3), "all finite"),
    "focal length": (
        lambda f: edit(f["camera"], K=[[0.9, 0, 0.5], [0, 1.1, 0.5], [0, 0, 1]]),
        "0.9 is not in pixels",
    ),
    "negative focal length": (
        lambda f: edit(f["camera"], K=[[-90, 0, 40], [0, 90, 32], [0, 0, 1]]),
        r"camera\.json: K needs positive focal lengths",
    ),
    "camera of another size": (
        lambda f: edit(f["camera"], width=640, height=480),
        "is for 640 x 480 pixels but",
    ),
    "sheared pose": (
        lambda f: edit(f["camera"], T_world_cam=(np.eye(4) * 2).tolist()),
        r"camera\.json: T_world_cam must be a rigid transform",
    ),
    "mirrored pose": (
        lambda f: edit(f["camera"], T_world_cam=np.diag([1.0, 1, -1, 1]).tolist()),
        "must be a rigid transform",
    ),
    "depth scale": (lambda f: edit(f["camera"], depth_scale_m=-1), "scale must be positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_are_one_sentence(folder: Folder, case: str) -> None:
    spoil, sentence = BAD[case]
    spoil(folder)
    with pytest.raises(GraspLearnError, match=sentence) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_without_a_pose_the_table_becomes_the_world(folder: Folder) -> None:
    edit(folder["camera"], T_world_cam=None)
    seen = load(folder)
    points, known = points_world(seen)
    on_table = known & (seen.rgb[..., 0] < 150)
    assert np.abs(points[on_table][:, 2]).max() < 0.003
    assert points[known][:, 2].max() == pytest.approx(0.03, abs=0.003)
    # The point under the picture's middle, and the picture's right.
    middle, right = points[31:33, 39:41].mean((0, 1)), points[55, 60] - points[55, 20]
    np.testing.assert_allclose(middle[:2], (0.5, 0), atol=0.02)
    assert right[0] > 0 and abs(right[1]) < 0.01 * right[0]
    assert load(folder).camera.to_dict() == seen.camera.to_dict()


def test_a_picture_without_a_table_says_so(folder: Folder) -> None:
    rng = np.random.default_rng(0)
    edit(folder["camera"], T_world_cam=None)
    cv2.imwrite(str(folder["depth"]), rng.integers(5000, 60000, (HEIGHT, WIDTH)).astype(np.uint16))
    with pytest.raises(InvalidValueError, match=r"depth\.png: no table found"):
        load(folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not there: ../shared/data")
@pytest.mark.parametrize("number", range(4))
def test_real_pictures_load_and_their_table_is_flat(number: int) -> None:
    stem = REAL / f"{number:06d}"
    seen = load_picture(f"{stem}-color.png", f"{stem}-depth.png", REAL / "camera_params.json")
    points, known = points_world(seen)
    z = points[known][:, 2]
    near = np.abs(z) < 0.01
    assert near.mean() > 0.5 and z[near].std() < 0.004
    assert 0.5 < seen.camera.T_world_cam[2, 3] < 0.8
    # The tallest thing in the square is the box of crackers, 21 cm.
    assert heightmap(seen).height.max() == pytest.approx(0.21, abs=0.015)


# ---- clicks


def test_a_click_becomes_a_grasp_where_and_as_it_was_seen() -> None:
    seen = table_with_box()
    for yaw in (0.0, 0.6, -1.1):
        along: Array = np.array([np.cos(yaw), np.sin(yaw), 0])
        top = np.array([0.505, 0.0, 0.03])
        (u, v), (u2, v2) = project(CAMERA, np.stack([top, top + 1e-4 * along]))
        grasp = pixel_grasp(seen, u, v, np.rad2deg(np.arctan2(v - v2, u2 - u)), 0.05)
        np.testing.assert_allclose(grasp.center_world[:2], top[:2], atol=0.006)
        assert yaw_difference(grasp.yaw, yaw) < 0.02
        assert grasp.center_world[2] == pytest.approx(0.015, abs=0.004) and grasp.width == 0.05
    assert pixel_grasp(seen, u, v, 0).width == MAX_WIDTH


def test_a_click_on_a_small_hole_takes_the_depth_beside_it(demonstration: Demonstration) -> None:
    seen = demonstration.observation
    u, v = np.rint(project(CAMERA, (0.5, 0.0, 0.03))).astype(int)
    depth = seen.depth.copy()
    depth[v - 1 : v + 2, u - 1 : u + 2] = 0
    holed = Observation(seen.rgb, depth, CAMERA)
    a, b = pixel_grasp(seen, u, v, 0), pixel_grasp(holed, u, v, 0)
    np.testing.assert_allclose(a.center_world, b.center_world, atol=0.008)


@pytest.mark.parametrize(
    ("click", "sentence"),
    [
        ((80, 10, 0), "outside the picture of 80 x 64"),
        ((10, -1, 0), "outside the picture"),
        ((float("nan"), 10, 0), "must be finite"),
        ((40, 30, float("inf")), "must be finite"),
        ((40, 30, 0, 0.2), "width must be in"),
        ((10, 5, 0), "no depth within 5 pixels"),
        ((79, 0, 0), "outside the workspace"),
    ],
)
def test_clicks_that_cannot_be_grasped(click: tuple[float, ...], sentence: str) -> None:
    seen = table_with_box()
    depth = seen.depth.copy()
    depth[:15, :25] = 0
    with pytest.raises(InvalidValueError, match=sentence):
        pixel_grasp(Observation(seen.rgb, depth, CAMERA), *click)
