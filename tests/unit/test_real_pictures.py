"""The check on real pictures: what it takes for the truth is true."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from teaching_kit import demonstration

from grasplearn.geometry import look_at, points_world, project, transform
from grasplearn.types import Camera, Demonstration, Grasp, Observation

FILE = Path(__file__).parents[2] / "benchmarks/real_pictures.py"
REAL = Path(__file__).parents[2] / "../shared/data/real_rgbd"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_pictures", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_pictures"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def oblique() -> Demonstration:
    """The bar of the kit, seen at an angle by a camera that stands aside."""
    width, height, top = 640, 480, 0.04
    T = look_at((0.45, -0.5, 0.6), (0.5, 0.0, 0.0), (0, 1, 0))
    camera = Camera(np.array([[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]), T, width, height)
    flat = Observation(
        np.full((height, width, 3), 120, np.uint8), np.ones((height, width), np.float32), camera
    )
    rays = points_world(flat)[0] - T[:3, 3]
    at_top = T[:3, 3] + rays * ((top - T[2, 3]) / rays[..., 2:])
    bar = (np.abs(at_top[..., 0] - 0.5) < 0.05) & (np.abs(at_top[..., 1]) < 0.015)
    depth = np.where(bar, (top - T[2, 3]) / rays[..., 2], -T[2, 3] / rays[..., 2])
    rgb = flat.rgb.copy()
    rgb[bar] = (200, 30, 30)
    rgb[bar & (at_top[..., 0] > 0.52)] = (30, 180, 40)
    return Demonstration(Observation(rgb, depth.astype(np.float32), camera), demonstration().grasp)


def test_a_changed_picture_shows_the_same_spot_where_it_is_said_to_be(check: ModuleType) -> None:
    shown = oblique()
    lit = []
    for seed in range(8):
        there = check.changed(shown, np.random.default_rng(seed))
        seen, grasp = there.observation, there.grasp
        turned = Grasp(grasp.center_world, grasp.yaw + np.pi / 2, grasp.width)
        # On the bar's top: green where it was shown and to one side, red to the other side.
        ends = [turned.T_world_grasp[:3, 0] * step for step in (0.0, 0.01, -0.035, -0.07)]
        points = np.stack([grasp.center_world + end for end in ends])
        points[:, 2] = 0.04
        if not _is(seen, points[2], "red"):  # jaws have no front
            points[:, :2] = 2 * points[0, :2] - points[:, :2]
        assert _is(seen, points[0], "green") and _is(seen, points[1], "green")
        assert _is(seen, points[2], "red") and _is(seen, points[3], "red")
        depth = transform(np.linalg.inv(seen.camera.T_world_cam), points)[:, 2]
        u, v = np.rint(project(seen.camera, points)).astype(int).T
        np.testing.assert_allclose(seen.depth[v, u], depth, atol=0.004)
        lit.append(seen.rgb[seen.depth > 0].mean())
    assert np.ptp(lit) > 10


def _is(seen: Observation, point: np.ndarray, color: str) -> bool:
    u, v = np.rint(project(seen.camera, point)).astype(int)
    red, green, _ = seen.rgb[v, u].astype(int)
    return bool(red > 2 * green if color == "red" else green > 2 * red)


def test_without_pictures_it_says_so(
    check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check.main(tmp_path / "none")
    assert "skipped: there are no pictures in" in capsys.readouterr().out


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not there: ../shared/data")
def test_templates_find_what_was_shown_on_real_pictures(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = check.read(REAL)
    assert len(shown) == 12 and {s.picture for s in shown} == {f"{n:06d}" for n in range(4)}
    assert all(s.demonstration.grasp.center_world[2] > 0.02 for s in shown)
    monkeypatch.setattr(check, "read", lambda _: shown[1:2])
    check.main(REAL, "template", changes=3, json_file=tmp_path / "r.json", overlays=tmp_path)
    assert (tmp_path / f"{shown[1].picture} {shown[1].thing}.png").exists()
    rows = check.json.loads((tmp_path / "r.json").read_text())["trials"]
    assert [row["success"] for row in rows] == [True] * 3
    assert max(row["position_error_m"] for row in rows) < 0.01
