"""The objects' generator: sound solids, honest symmetries, and a manifest that matches the disk."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

import sim_assets
from grasplearn.sim.object_folder import read_object
from sim_assets.generator.assemble import convex_solids, mass_properties, visual_parts
from sim_assets.generator.catalogue import (
    CATEGORIES,
    STRETCHED,
    TEST_ONLY,
    VALIDATION_ONLY,
    Member,
    digest,
    further_members,
    invented_members,
    members,
    stretched_members,
)
from sim_assets.generator.primitives import (
    box,
    circle,
    cylinder,
    extrude,
    extrude_convex,
    lift,
    plate_ring,
    revolve,
    ring_wall,
    rounded_rectangle,
    sweep,
    sweep_convex,
)
from sim_assets.generator.solid import Solid
from sim_assets.generator.stretched import LEAST, MOST
from sim_assets.generator.tables import TABLES

ROOT = Path(sim_assets.__file__).parent
ELL = np.array([(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)]) * 0.01


@pytest.fixture(params=sorted(CATEGORIES))
def solid(request: pytest.FixtureRequest) -> Solid:
    return Member(request.param, 0, "train").build()


@pytest.mark.parametrize(
    "mesh, volume",
    [
        (box((0.1, 0.05, 0.03)), 0.1 * 0.05 * 0.03),
        (cylinder(0.02, 0, 0.1, sides=64), np.pi * 0.02**2 * 0.1),
        (extrude(ELL, 0, 0.01), 5e-6),
        (extrude(rounded_rectangle(0.04, 0.02, 0, 0), 0, 0.01), 8e-6),
        (plate_ring(circle(0.03, 64), circle(0.02, 64), 0, 0.01), np.pi * 5e-4 * 0.01),
        (revolve([(0, 0), (0.03, 0), (0.03, 0.1), (0.02, 0.1), (0.02, 0.01), (0, 0.01)], 64),
         np.pi * (9e-5 - 3.6e-5)),
        (sweep(lift(circle(0.03, 64)), circle(0.005, 64), loop=True), 2 * np.pi**2 * 0.03 * 25e-6),
    ],
)  # fmt: skip
def test_primitives_are_closed_and_fill_their_volume(mesh: trimesh.Trimesh, volume: float) -> None:
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(volume, rel=0.01)


def test_convex_solids_fill_what_they_stand_for() -> None:
    wall = ring_wall([(0.03, 0), (0.03, 0.1)], [(0.02, 0), (0.02, 0.1)], 48)
    path = lift(circle(0.03, 48))
    for solids, volume in (
        (extrude_convex(ELL, 0, 0.01), 5e-6),
        (wall, np.pi * 5e-4 * 0.1),
        (sweep_convex(path, circle(0.005, 32), loop=True), 2 * np.pi**2 * 0.03 * 25e-6),
    ):
        assert all(s.is_convex for s in solids)
        assert sum(s.volume for s in solids) == pytest.approx(volume, rel=0.02)


def test_pieces_are_closed(solid: Solid) -> None:
    for piece in solid.pieces:
        assert piece.mesh.is_watertight and piece.mesh.is_winding_consistent, piece.part
        assert piece.mesh.volume > 0, piece.part
    assert set(solid.graspable) <= {piece.part for piece in solid.pieces}


def test_there_is_more_than_one_part_to_tell_apart(solid: Solid) -> None:
    assert len({piece.part for piece in solid.pieces}) >= 2


def test_size_mass_and_faces_suit_the_hand_and_the_renderer(solid: Solid) -> None:
    parts, texture = visual_parts(solid)
    vertices = np.concatenate([part.vertices for part in parts])
    mass, center, inertia = mass_properties(solid)
    assert 0.025 <= mass <= 0.36
    assert np.ptp(vertices, axis=0).max() <= 0.225
    assert (vertices.min(axis=0) <= center).all() and (center <= vertices.max(axis=0)).all()
    assert (np.linalg.eigvalsh(inertia) > 0).all()
    assert sum(len(part.faces) for part in parts) <= 950
    assert texture.shape[0] <= 64 and texture.dtype == np.uint8


def test_what_collides_covers_what_is_seen(solid: Solid) -> None:
    parts, _ = visual_parts(solid)
    seen = np.concatenate([part.vertices for part in parts])
    hulls = convex_solids(solid)
    solids = np.concatenate([hull.vertices for hull in hulls])
    for hull in hulls:
        assert hull.volume == pytest.approx(hull.convex_hull.volume, rel=1e-3)
    np.testing.assert_allclose(solids.min(axis=0), seen.min(axis=0), atol=0.004)
    np.testing.assert_allclose(solids.max(axis=0), seen.max(axis=0), atol=0.004)


def test_declared_symmetries_are_true(solid: Solid) -> None:
    speckled = any(piece.paint.pattern == "speckle" for piece in solid.pieces)
    assert not (speckled and solid.symmetry), "speckles keep no symmetry"
    mesh = trimesh.util.concatenate([piece.mesh for piece in solid.pieces])
    points, _ = trimesh.sample.sample_surface(mesh, 800, seed=0)
    dense, _ = trimesh.sample.sample_surface(mesh, 60_000, seed=1)
    tree = cKDTree(dense)
    for axis in solid.symmetry:
        angle = 2 * np.pi / (axis.order or 7)  # order 0 holds for any angle
        T = trimesh.transformations.rotation_matrix(angle, axis.axis)
        distance, _ = tree.query(points @ T[:3, :3].T)
        assert distance.max() < 0.002 + 0.001, axis  # 1 mm for the samples' spacing


def test_a_member_depends_on_its_own_name_alone() -> None:
    first, again = (Member("mug", 3, "train").build() for _ in range(2))
    other = Member("mug", 2, "train").build()
    assert np.array_equal(first.pieces[0].mesh.vertices, again.pieces[0].mesh.vertices)
    assert first.pieces[0].paint == again.pieces[0].paint
    assert not np.array_equal(first.pieces[0].mesh.bounds, other.pieces[0].mesh.bounds)


@pytest.mark.parametrize("category", range(0, 48, 4))
def test_invented_things_are_sound(category: int) -> None:
    for made in (Member(f"invented{category:03d}", number, "train").build() for number in range(2)):
        test_pieces_are_closed(made)
        test_what_collides_covers_what_is_seen(made)
        test_declared_symmetries_are_true(made)
        mass, _, inertia = mass_properties(made)
        assert 0.005 <= mass <= 0.6 and (np.linalg.eigvalsh(inertia) > 0).all()
        size = np.ptp(np.concatenate([p.mesh.vertices for p in made.pieces]), axis=0)
        assert 0.02 < size.max() < 0.32


def test_invented_kin_have_the_same_parts_and_other_sizes() -> None:
    first, kin = (Member("invented007", number, "train").build() for number in range(2))
    assert [piece.part for piece in first.pieces] == [piece.part for piece in kin.pieces]
    assert first.graspable == kin.graspable and first.symmetry == kin.symmetry
    for a, b in zip(first.pieces, kin.pieces, strict=True):
        assert len(a.mesh.faces) == len(b.mesh.faces)
        assert not np.allclose(a.mesh.extents, b.mesh.extents, rtol=0.01)
    other = Member("invented008", 0, "train").build()
    assert len(other.pieces) != len(first.pieces) or len(other.pieces[0].mesh.faces) != len(
        first.pieces[0].mesh.faces
    )


@pytest.mark.parametrize("split", ["validation", "test"])
def test_stretched_kin_are_the_same_thing_in_other_sizes_and_colours(split: str) -> None:
    made = stretched_members(split)
    assert {member.split for member in made} == {split} and len(made) == 2 * len(
        {m.category for m in members() if m.split == split}
    )
    for first, other in zip(made[::2], made[1::2], strict=True):
        assert first in members() and other.category == first.category
        factors = []
        for a, b in zip(first.build().pieces, other.build().pieces, strict=True):
            assert (a.part, a.density) == (b.part, b.density)
            assert a.paint.color != b.paint.color
            factors.append(b.mesh.bounds / np.where(a.mesh.bounds, a.mesh.bounds, np.nan))
        low, high = np.nanmin(factors, (0, 1)), np.nanmax(factors, (0, 1))
        assert np.allclose(low, high) and (low >= LEAST).all() and (high <= MOST).all()
        assert np.ptp(low) > 0.01


@pytest.mark.parametrize("category", ["bottle", "hammer", "mug", "toothbrush", "whisk"])
def test_stretched_things_are_sound(category: str) -> None:
    made = Member(category, STRETCHED + 5, "test").build()
    test_pieces_are_closed(made)
    test_what_collides_covers_what_is_seen(made)


def test_what_is_made_for_training_never_joins_the_catalogue() -> None:
    made = further_members(2) + invented_members(3, 2)
    assert {member.split for member in made} == {"train"}
    assert not {m.object_id for m in made} & {m.object_id for m in members()}
    assert not {m.category for m in made} & {*TEST_ONLY, *VALIDATION_ONLY}
    assert len(invented_members(3, 2)) == 6


def test_splits_keep_whole_categories_apart() -> None:
    splits: dict[str, list[str]] = {}
    for member in members():
        splits.setdefault(member.category, []).append(member.split)
    seen = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    for category, found in splits.items():
        if category in VALIDATION_ONLY:
            assert found == ["validation"] * 6
        elif category in TEST_ONLY:
            assert found == ["test"] * 6
        else:
            assert found == seen


def test_manifest_matches_the_disk() -> None:
    with (ROOT / "manifest.toml").open("rb") as file:
        rows = tomllib.load(file)["objects"]
    assert [row["id"] for row in rows] == [member.object_id for member in members()]
    for row in rows:
        folder = ROOT / "objects" / row["id"]
        assert row["sha256"] == digest(folder), f"{row['id']} changed: run the generator again"
    model = read_object(ROOT / "objects" / rows[0]["id"])
    assert model.category == rows[0]["category"]


def test_assets_stay_small() -> None:
    files = [p for p in (ROOT / "objects").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 11e6
    for name in TABLES:
        assert (ROOT / "tables" / f"{name}.png").stat().st_size < 40_000
