"""The group that axes span, and axes found on a surface."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasplearn.errors import AssetError
from grasplearn.sim.symmetry import SPHERE_SAMPLES, find_symmetry, rotation_group
from grasplearn.types import SymmetryAxis

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("axes", "size"),
    [
        ([], 1),
        ([(Z, 2)], 2),
        ([(Z, 2), (X, 2)], 4),
        ([(Z, 6), (X, 2)], 12),
        ([(Z, 4), (X, 4)], 24),
        ([(Z, 0)], 72),
        ([(Z, 0), (X, 2)], 144),
        ([(Z, 0), (Z, 2)], 72),
        ([(Z, 0), (X, 0)], SPHERE_SAMPLES),
    ],
)
def test_group_size(axes: list[tuple[tuple[float, float, float], int]], size: int) -> None:
    group = rotation_group([SymmetryAxis(axis, order) for axis, order in axes])
    assert group.shape == (size, 3, 3)
    assert np.allclose(group[0], np.eye(3))
    assert np.allclose(group @ group.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(group), 1)


def test_a_group_is_closed() -> None:
    group = rotation_group([SymmetryAxis(Z, 4), SymmetryAxis(X, 4)])
    products = (group[:, None] @ group[None]).reshape(-1, 9)
    distance = np.abs(products[:, None] - group.reshape(1, -1, 9)).max(axis=2).min(axis=1)
    assert distance.max() < 1e-9


def test_rotations_of_a_sphere_are_even() -> None:
    group = Rotation.from_matrix(rotation_group([SymmetryAxis(Z, 0), SymmetryAxis(X, 0)]))
    for turn in Rotation.random(20, rng=0):
        assert np.degrees((group * turn.inv()).magnitude().min()) < 12


def test_axes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(AssetError, match="symmetry axes"):
        rotation_group([SymmetryAxis(Z, 3), SymmetryAxis((0.3, 0, 1), 2)])


def found(mesh: trimesh.Trimesh, colors: np.ndarray | None = None) -> tuple[int, int]:
    """The orders of the group's size and of its main axis, for a mesh turned at random."""
    turn = Rotation.random(rng=3).as_matrix()
    points, _ = trimesh.sample.sample_surface(mesh, 15000, seed=1)
    points -= mesh.center_mass
    shades = np.full(points.shape, 120, np.uint8)
    if colors is not None:
        shades[points[:, 2] > 0] = colors
    axes = find_symmetry(points @ turn.T, shades, [turn, np.eye(3)], 0.06)
    return len(rotation_group(axes)), axes[0].order if axes else 1


def test_shapes_are_recognised() -> None:
    assert found(trimesh.creation.box((0.03, 0.06, 0.1))) == (4, 2)
    assert found(trimesh.creation.box((0.06, 0.06, 0.1)))[0] == 8
    assert found(trimesh.creation.box((0.06, 0.06, 0.06)))[0] == 24
    assert found(trimesh.creation.cylinder(0.03, 0.1, sections=48))[0] == 144
    assert found(trimesh.creation.icosphere(4, 0.03))[0] == SPHERE_SAMPLES


def test_a_cone_does_not_stand_on_its_tip() -> None:
    assert found(trimesh.creation.cone(0.03, 0.1, sections=48)) == (72, 0)


def test_a_handle_breaks_the_symmetry() -> None:
    mug = trimesh.creation.cylinder(0.03, 0.08, sections=48)
    handle = trimesh.creation.box((0.03, 0.01, 0.03))
    handle.apply_translation((0.045, 0, 0.01))
    assert found(trimesh.util.concatenate([mug, handle])) == (1, 1)


def test_colour_breaks_the_symmetry() -> None:
    can = trimesh.creation.cylinder(0.03, 0.1, sections=48)
    assert found(can, np.array([250, 30, 30])) == (72, 0)
