"""The objects that come with the package, and a user's own beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasplearn.assets import assets_root
from grasplearn.errors import AssetError, UnknownNameError
from grasplearn.sim.client import Client
from grasplearn.sim.objects import Catalogue
from grasplearn.types import SPLITS


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.builtin()


def test_assets_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (assets_root() / "manifest.toml").is_file()


def test_splits_share_no_object_and_every_one_has_kin(catalogue: Catalogue) -> None:
    names = [{m.object_id for m in catalogue.select(split)} for split in SPLITS]
    assert all(names)
    assert sum(map(len, names)) == len(catalogue) == len(set.union(*names))
    for name in catalogue:
        kin = catalogue.kin_of(name)
        assert kin
        assert name not in {k.object_id for k in kin}
        assert {catalogue.split_of(k.object_id) for k in kin} == {catalogue.split_of(name)}


def test_every_description_is_sound(catalogue: Catalogue) -> None:
    for model in catalogue.select():
        assert model.object_id in catalogue
        assert model.urdf.is_file()
        assert 0.005 <= model.mass <= 1.0
        assert 0.005 < min(model.size) <= max(model.size) < 0.4
        assert model.graspable
        assert set(model.graspable) <= set(model.parts)
        assert model.stable_poses
        assert len(model.symmetry_rotations) >= 1


def test_selection(catalogue: Catalogue) -> None:
    category = catalogue.categories[0]
    members = catalogue.category_members(category)
    assert {m.category for m in members} == {category}
    assert catalogue.select(category=category) == members
    assert catalogue[members[0].object_id] is members[0]


def test_unknown_names_list_the_known_ones(catalogue: Catalogue) -> None:
    name = next(iter(catalogue))
    with pytest.raises(UnknownNameError, match=f"did you mean '{name[:-1]}"):
        catalogue.get(name + "x")
    with pytest.raises(UnknownNameError, match="no split 'tests'; did you mean 'test'"):
        catalogue.select(split="tests")
    with pytest.raises(UnknownNameError, match="no category 'unicorn'"):
        catalogue.select(category="unicorn")


def test_one_object_of_each_category_rests_in_its_poses(catalogue: Catalogue) -> None:
    client = Client()
    try:
        client.setGravity(0, 0, -9.81)
        ground = client.createCollisionShape(client.GEOM_PLANE)
        client.createMultiBody(0, ground)
        for category in catalogue.categories:
            model = catalogue.category_members(category)[0]
            pose = model.stable_poses[0]
            body = client.loadURDF(str(model.urdf), [0, 0, pose.height], pose.quaternion)
            before = client.getBasePositionAndOrientation(body)
            for _ in range(240):
                client.stepSimulation()
            after = client.getBasePositionAndOrientation(body)
            up = [Rotation.from_quat(q).inv().apply([0, 0, 1]) for _, q in (before, after)]
            tilt = np.degrees(np.arccos(np.clip(up[0] @ up[1], -1, 1)))
            moved = np.linalg.norm(np.subtract(after[0], before[0]))
            assert tilt < 5, (model.object_id, tilt)
            assert moved < 0.01, (model.object_id, moved)
            client.removeBody(body)
    finally:
        client.close()


def test_a_users_objects_are_in_every_split(tmp_path: Path) -> None:
    for name in ("mug_1", "mug_2", "soap"):
        trimesh.creation.box((0.05, 0.03, 0.08)).export(tmp_path / f"{name}.stl")
    catalogue, reports = Catalogue.from_folder(tmp_path, tmp_path / "cache")
    assert reports == []
    assert list(catalogue) == ["mug_1", "mug_2", "soap"]
    assert catalogue.categories == ("mug", "soap")
    for split in SPLITS:
        assert len(catalogue.select(split)) == 3
    assert [k.object_id for k in catalogue.kin_of("mug_1")] == ["mug_2"]
    assert catalogue.split_of("soap") == "user"


def test_a_folder_without_a_usable_object_says_why(tmp_path: Path) -> None:
    (tmp_path / "mug.stl").write_text("not a mesh")
    with pytest.raises(AssetError, match=r"no usable object .*mug: .*export"):
        Catalogue.from_folder(tmp_path, tmp_path / "cache")
