"""What ``write_object`` writes is what ``read_object`` and PyBullet read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from grasplearn.errors import AssetError
from grasplearn.sim.client import Client
from grasplearn.sim.object_folder import VisualPart, read_object, write_object
from grasplearn.types import SymmetryAxis

TEXTURE = np.full((8, 8, 3), (200, 40, 40), dtype=np.uint8)


def part(name: str, mesh: trimesh.Trimesh) -> VisualPart:
    return VisualPart(name, mesh.vertices, mesh.faces, np.full((len(mesh.vertices), 2), 0.5))


def write(folder: Path, meshes: dict[str, trimesh.Trimesh], **changes: Any) -> None:
    solid = trimesh.util.concatenate(list(meshes.values()))
    values: dict[str, Any] = {
        "object_id": "thing",
        "category": "things",
        "parts": [part(name, mesh) for name, mesh in meshes.items()],
        "texture": TEXTURE,
        "convex_pieces": list(meshes.values()),
        "mass": 0.1,
        "center_of_mass": solid.center_mass,
        "inertia": solid.moment_inertia * 0.1 / solid.volume,
        "friction": 0.6,
        "graspable": [next(iter(meshes))],
        "symmetry": [],
        "licence": "MIT",
    }
    write_object(folder, **{**values, **changes})


@pytest.fixture
def hammer(tmp_path: Path) -> Path:
    handle = trimesh.creation.box((0.16, 0.02, 0.02))
    head = trimesh.creation.box((0.03, 0.08, 0.03))
    head.apply_translation((0.09, 0, 0))
    write(tmp_path / "hammer", {"handle": handle, "head": head})
    return tmp_path / "hammer"


def test_round_trip(hammer: Path) -> None:
    model = read_object(hammer)
    assert (model.object_id, model.category, model.licence) == ("thing", "things", "MIT")
    assert model.parts == ("handle", "head")
    assert model.graspable == ("handle",)
    assert model.mass == pytest.approx(0.1)
    assert model.size == pytest.approx((0.185, 0.08, 0.03))
    assert [p.probability for p in model.stable_poses] == sorted(
        (p.probability for p in model.stable_poses), reverse=True
    )


def test_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, {"ball": trimesh.creation.icosphere(2, 0.03)})
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_nearest_part_is_found(hammer: Path) -> None:
    model = read_object(hammer)
    assert model.part_at((-0.05, 0, 0.012)) == "handle"
    assert model.part_at((0.09, 0.05, 0)) == "head"
    # The one is near, the other far: by how much does not depend on which is asked for.
    assert model.lead((-0.05, 0, 0.012), "handle") > 0.05
    assert model.lead((-0.05, 0, 0.012), "head") == -model.lead((-0.05, 0, 0.012), "handle")
    surface = model.surface
    assert surface is model.surface
    assert len(surface.points) == len(surface.normals) == len(surface.part) == 2000
    assert np.allclose(np.linalg.norm(surface.normals, axis=1), 1)


def test_only_sharp_edges_are_shaded_apart(tmp_path: Path) -> None:
    write(tmp_path / "box", {"body": trimesh.creation.box((0.05, 0.05, 0.05))})
    write(tmp_path / "ball", {"body": trimesh.creation.icosphere(3, 0.03)})
    lines = (tmp_path / "box" / "visual.obj").read_text().splitlines()
    assert sum(line.startswith("vn ") for line in lines) == 6
    assert sum(line.startswith("usemtl ") for line in lines) == 1
    lines = (tmp_path / "ball" / "visual.obj").read_text().splitlines()
    normals = np.array([line.split()[1:] for line in lines if line.startswith("vn ")], float)
    points = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    assert len(normals) <= len(points) == 642


def test_pybullet_makes_a_hull_of_each_piece_and_rests_it(hammer: Path) -> None:
    model = read_object(hammer)
    client = Client()
    try:
        client.setGravity(0, 0, -9.81)
        ground = client.createCollisionShape(client.GEOM_PLANE)
        client.createMultiBody(0, ground)
        for pose in model.stable_poses:
            body = client.loadURDF(str(model.urdf), [0, 0, pose.height], pose.quaternion)
            com = client.getDynamicsInfo(body, -1)[3]
            assert com[0] == pytest.approx(0.0476, abs=1e-3)
            before = np.array(client.getBasePositionAndOrientation(body)[0])
            for _ in range(240):
                client.stepSimulation()
            after = np.array(client.getBasePositionAndOrientation(body)[0])
            assert np.linalg.norm(after - before) < 0.005
            client.removeBody(body)
        body = client.loadURDF(str(model.urdf))
        com = client.getDynamicsInfo(body, -1)[3]
        client.resetBasePositionAndOrientation(body, com, [0, 0, 0, 1])
        client.performCollisionDetection()
        notch, head = client.rayTestBatch(
            [[0.06, 0.03, 1], [0.09, 0.03, 1]], [[0.06, 0.03, -1], [0.09, 0.03, -1]]
        )
        assert (notch[0], head[0]) == (0, body)
        assert b"visual.obj" in client.getVisualShapeData(body)[0][4]
    finally:
        client.close()


def test_poses_equal_under_the_symmetry_are_one(tmp_path: Path) -> None:
    box = trimesh.creation.box((0.03, 0.05, 0.1))
    flips = [SymmetryAxis((0, 0, 1), 2), SymmetryAxis((1, 0, 0), 2)]
    write(tmp_path / "plain", {"body": box}, max_poses=9)
    write(tmp_path / "symmetric", {"body": box}, symmetry=flips, max_poses=9)
    assert len(read_object(tmp_path / "plain").stable_poses) == 4
    model = read_object(tmp_path / "symmetric")
    assert [round(p.height, 4) for p in model.stable_poses] == [0.015, 0.025, 0.05]
    assert sum(p.probability for p in model.stable_poses) == pytest.approx(1, abs=1e-3)
    assert model.symmetry_rotations.shape == (4, 3, 3)


def test_a_round_thing_has_two_poses(tmp_path: Path) -> None:
    can = trimesh.creation.cylinder(0.03, 0.1, sections=32)
    axes = [SymmetryAxis((0, 0, 1), 0), SymmetryAxis((1, 0, 0), 2)]
    write(tmp_path / "can", {"body": can}, symmetry=axes)
    side, end = read_object(tmp_path / "can").stable_poses
    assert side.height == pytest.approx(0.03, abs=3e-4)
    assert end.height == pytest.approx(0.05)
    assert end.quaternion == (0, 0, 0, 1)


def test_a_weighted_thing_stands_up(tmp_path: Path) -> None:
    box = trimesh.creation.box((0.05, 0.05, 0.1))
    write(tmp_path / "x", {"body": box}, center_of_mass=(0, 0, -0.045))
    assert read_object(tmp_path / "x").stable_poses[0].quaternion == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mass": 0.0}, "mass must be above 0"),
        ({"friction": float("nan")}, "friction"),
        ({"graspable": ["nose"]}, "'nose' is not one of body"),
        ({"graspable": []}, "graspable"),
        ({"convex_pieces": []}, "convex piece"),
        ({"texture": TEXTURE.astype(float)}, "texture"),
        ({"center_of_mass": (1, 0, 0)}, "outside the convex hull"),
        ({"inertia": np.zeros((3, 3))}, "positive definite"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(AssetError, match=says):
        write(tmp_path / "x", {"body": trimesh.creation.box((0.05, 0.05, 0.1))}, **changes)
    assert not (tmp_path / "x").exists()


def test_broken_folders_are_named(hammer: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"object\.toml is not there"):
        read_object(tmp_path / "nowhere")
    (hammer / "collision.obj").rename(hammer / "elsewhere.obj")
    with pytest.raises(AssetError, match=r"collision\.obj is missing"):
        read_object(hammer)
    text = (hammer / "object.toml").read_text()
    (hammer / "object.toml").write_text(text.replace("mass =", "weight ="))
    with pytest.raises(AssetError, match="lacks the entry 'mass'"):
        read_object(hammer)
    (hammer / "object.toml").write_text("id = ")
    with pytest.raises(AssetError, match="cannot be read"):
        read_object(hammer)


def test_a_foreign_part_in_the_mesh_is_named(hammer: Path) -> None:
    text = (hammer / "visual.obj").read_text()
    (hammer / "visual.obj").write_text(text.replace("g head", "g nose"))
    with pytest.raises(AssetError, match="'nose'"):
        _ = read_object(hammer).surface
