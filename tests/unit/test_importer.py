"""What can be used of a user's own folder becomes light, convex and named objects."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from user_folder import box, load, load_one, picture, write_urdf

from grasplearn.sim import importer
from grasplearn.sim.client import Client
from grasplearn.sim.importer import import_folder
from grasplearn.sim.simplify import MAX_FACES

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real_objects"


def bowl() -> trimesh.Trimesh:
    """Closed and far from convex."""
    profile = [(0, 0), (0.03, 0), (0.03, 0.04), (0.026, 0.04), (0.026, 0.004), (0, 0.004)]
    return trimesh.creation.revolve(profile, sections=24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


@pytest.mark.parametrize("ending", ["obj", "stl", "ply", "glb"])
def test_loose_meshes_of_every_kind(folder: Path, ending: str) -> None:
    box().export(folder / f"My box.{ending}")
    model = load_one(folder)
    assert model.object_id == "My_box"
    assert sorted(model.size) == pytest.approx([0.03, 0.05, 0.08], abs=1e-4)
    assert model.mass == pytest.approx(0.05 * 0.03 * 0.08 * 400, rel=1e-3)
    assert model.friction == 0.6
    assert model.parts == model.graspable == ("body",)
    assert len(model.symmetry_rotations) == 4


def test_a_urdf_places_and_scales_its_meshes(folder: Path) -> None:
    (folder / "can").mkdir()
    box(50, 30, 80).export(folder / "can" / "mesh.stl")
    shape = '<mesh filename="package://any/mesh.stl" scale="0.001 0.001 0.001"/>'
    write_urdf(folder / "can", shape, shape, mass="0.237")
    model = load_one(folder)
    assert model.object_id == "can"
    assert model.size == pytest.approx((0.08, 0.03, 0.05), abs=1e-4)
    assert model.mass == pytest.approx(0.237)


def test_a_placeholder_mass_is_replaced_and_reported(folder: Path) -> None:
    write_urdf(folder / "can", mass="1.0")
    (model,), (report,) = load(folder)
    assert model.mass == pytest.approx(0.048, rel=1e-2)
    assert "1 kg looks like a placeholder" in str(report)
    assert not report.fatal


def test_groups_of_an_obj_are_parts(folder: Path) -> None:
    lines, start = [], 1
    for name, offset, size in (
        ("handle", 0.0, (0.16, 0.02, 0.02)),
        ("head", 0.095, (0.03, 0.08, 0.03)),
    ):
        piece = box(*size)
        lines.append(f"g {name}")
        lines += [f"v {x + offset} {y} {z}" for x, y, z in piece.vertices]
        lines += [f"f {a} {b} {c}" for a, b, c in piece.faces + start]
        start += len(piece.vertices)
    (folder / "hammer.obj").write_text("\n".join(lines))
    model = load_one(folder)
    assert set(model.parts) == {"handle", "head"}
    middle = model.surface.points[:, 0].mean()
    assert model.part_at((middle - 0.1, 0, 0)) == "handle"
    assert model.part_at((middle + 0.1, 0.04, 0)) == "head"


def test_a_concave_mesh_is_decomposed_and_stays_hollow(folder: Path) -> None:
    bowl().export(folder / "bowl.stl")
    model = load_one(folder)
    pieces = (model.folder / "collision.obj").read_text().count("o piece_")
    assert 2 <= pieces <= 16
    client = Client()
    try:
        body = client.loadURDF(str(model.urdf))
        client.performCollisionDetection()
        (hit,) = client.rayTestBatch([[0, 0, 0.2]], [[0, 0, -0.2]])
        low, high = client.getAABB(body)
        assert hit[3][2] < (low[2] + high[2]) / 2
    finally:
        client.close()


def test_a_fine_mesh_becomes_light_and_keeps_its_colours(folder: Path) -> None:
    ball = trimesh.creation.icosphere(5, 0.03)
    above = ball.vertices[:, 2] > 0
    ball.visual.vertex_colors = np.where(above[:, None], (220, 20, 20), (20, 20, 220))
    ball.export(folder / "ball.ply")
    model = load_one(folder)
    faces = sum(x.startswith("f ") for x in (model.folder / "visual.obj").read_text().splitlines())
    assert faces <= MAX_FACES
    seen = picture(model)
    assert (seen[:, 0] > 2 * seen[:, 2]).mean() > 0.9


def test_a_texture_is_baked_the_right_way_round(folder: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (0, 0, 255), (0, 255, 0)  # BGR: red left, green right
    cv2.imwrite(str(folder / "skin.png"), image)
    (folder / "tile.mtl").write_text("newmtl m\nmap_Kd skin.png\n")
    slab = box(0.08, 0.06, 0.01)
    uv = slab.vertices[:, :2] / (0.08, 0.06) + 0.5
    rows = ["mtllib tile.mtl", "usemtl m"]
    rows += [f"v {x} {y} {z}" for x, y, z in slab.vertices] + [f"vt {u} {v}" for u, v in uv]
    rows += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in slab.faces]
    (folder / "tile.obj").write_text("\n".join(rows))
    model = load_one(folder)
    seen = picture(model)
    # Row by row from the left: the picture's first column of the object is red.
    assert seen[0, 0] > 2 * seen[0, 1]
    assert seen[-1, 1] > 2 * seen[-1, 0]


def test_a_prepared_folder_is_taken_as_it_is(folder: Path) -> None:
    box().export(folder / "box.stl")
    model = load_one(folder)
    shutil.copytree(model.folder, folder / "prepared")
    (folder / "box.stl").unlink()
    again = load_one(folder)
    assert again.folder == (folder / "prepared").resolve()
    assert load_one(folder / "prepared").object_id == "box"


def test_the_cache_follows_the_sources(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box().export(folder / "box.stl")
    first = load_one(folder)
    stamp = (first.folder / "object.toml").stat().st_mtime_ns
    assert load_one(folder).folder == first.folder
    assert (first.folder / "object.toml").stat().st_mtime_ns == stamp
    box(0.04, 0.03, 0.08).export(folder / "box.stl")
    changed = load_one(folder)
    assert changed.folder != first.folder
    monkeypatch.setattr(importer, "VERSION", importer.VERSION + 1)
    assert load_one(folder).folder != changed.folder
    assert not list(first.folder.parent.glob(".new-*"))


def test_a_damaged_cache_is_made_again(folder: Path) -> None:
    box().export(folder / "box.stl")
    first = load_one(folder)
    (first.folder / "visual.obj").unlink()
    assert (load_one(folder).folder / "visual.obj").is_file()


def test_one_objects_own_folder(folder: Path) -> None:
    write_urdf(folder)
    assert load_one(folder).object_id == "mine"


def test_the_cache_lies_in_the_users_cache_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    box().export(folder / "box.stl")
    (model,), _ = import_folder(folder)
    assert model.folder.parent == (tmp_path / "xdg" / "grasplearn" / "objects").resolve()


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder shared/data/real_objects beside this one")
def test_scanned_objects_load_light_and_rest_as_described(tmp_path: Path) -> None:
    chosen = ("mug", "soap")
    (tmp_path / "scans").mkdir()
    for name in chosen:
        shutil.copytree(REAL / name, tmp_path / "scans" / name)
    models, reports = load(tmp_path / "scans")
    assert [m.object_id for m in models] == list(chosen)
    assert not any(r.fatal for r in reports)
    assert {r.name for r in reports if "placeholder" in r.problem} == set(chosen)
    assert [r.name for r in reports if "grey" in r.problem] == ["mug"]
    client = Client()
    try:
        client.setGravity(0, 0, -9.81)
        client.createMultiBody(0, client.createCollisionShape(client.GEOM_PLANE))
        for model in models:
            assert 0.02 <= model.mass <= 0.1
            assert 0.02 < min(model.size) <= max(model.size) < 0.2
            text = (model.folder / "visual.obj").read_text()
            assert text.count("\nf ") <= MAX_FACES
            pose = model.stable_poses[0]
            body = client.loadURDF(str(model.urdf), [0, 0, pose.height], pose.quaternion)
            before = client.getBasePositionAndOrientation(body)
            for _ in range(240):
                client.stepSimulation()
            after = client.getBasePositionAndOrientation(body)
            turned = Rotation.from_quat(after[1]) * Rotation.from_quat(before[1]).inv()
            assert np.degrees(turned.magnitude()) < 5
            assert np.linalg.norm(np.subtract(after[0], before[0])) < 0.005
            client.removeBody(body)
    finally:
        client.close()
