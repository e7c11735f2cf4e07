"""From a user's mesh to a folder the simulator can use: light, convex, weighed and centred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from grasplearn.sim.convex import (
    capped,
    convex_pieces,
    is_closed,
    is_convex,
    light_hull,
    mass_properties,
)
from grasplearn.sim.mesh_checks import size_problem, surface_warnings, too_wide
from grasplearn.sim.mesh_files import MeshError, Skin, load_skin, sample_colors
from grasplearn.sim.object_folder import read_object, write_object
from grasplearn.sim.simplify import MAX_FACES, bake, fewer_faces
from grasplearn.sim.symmetry import find_symmetry
from grasplearn.sim.urdf_files import read_urdf
from grasplearn.types import Array

# kg / m^3: a household thing of plastic, wood and hollow space.
DENSITY = 400.0
MASS_RANGE = (0.02, 0.5)
FRICTION = 0.6
# What exporters write where nobody has weighed anything, kg.
PLACEHOLDERS = (0.0, 0.1, 1.0, 10.0)
# kg / m^3: from a sponge to steel.
DENSITY_RANGE = (20.0, 8000.0)
MIN_PART_FACES = 60
# Enough for a decomposition into a few pieces, which takes seconds at this size.
DECOMPOSED_FACES = 800
# m^2; a part smaller than a square millimetre cannot be seen.
MIN_AREA = 1e-6
# Points that stand for the original surface: about 0.3 mm apart on a thing of 10 cm.
SKIN_SAMPLES = 150_000
# Of them, one in so many is enough to see symmetry.
SYMMETRY_STRIDE = 3

Part = tuple[str, Array, NDArray[np.int64]]


def prepare(name: str, main: Path, root: Path, folder: Path) -> list[tuple[str, str]]:
    """Writes an object's folder from a URDF or mesh.

    Args:
        name: of the object; its category is the name without a number at its end.
        main: the URDF or mesh file. root: the user's folder, outside which nothing is read.
        folder: where to write.

    Returns:
        Warnings, (problem, fix) each.

    Raises:
        MeshError: the object cannot be used.
        AssetError: it cannot be written as an object.
    """
    if main.suffix.lower() == ".urdf":
        urdf = read_urdf(main, root)
        skin, collision = urdf.skin, urdf.collision
        declared = urdf.mass
    else:
        skin, collision, declared = load_skin(main, root), (), None
    wrong_size = size_problem(skin.vertices)
    if wrong_size:
        raise MeshError(*wrong_size)

    whole = _joined(skin.meshes)
    warnings = surface_warnings(skin, is_closed(whole))
    if not is_closed(whole):
        whole = capped(whole)
    parts = _light_parts(skin)
    pieces = _pieces(collision, whole)
    volume, center, inertia = mass_properties([whole] if is_closed(whole) else pieces)
    _check_alignment(pieces, center)

    # The centroid becomes the origin: every symmetry axis of a solid passes through it.
    shift = trimesh.transformations.translation_matrix(-center)
    pieces = [piece.copy().apply_transform(shift) for piece in pieces]
    parts = [(part, vertices - center, faces) for part, vertices, faces in parts]
    colored = sample_colors(skin, SKIN_SAMPLES, np.random.default_rng(0))
    colored = replace(colored, points=colored.points - center)
    visual, texture = bake(parts, colored)

    frames = [np.linalg.eigh(inertia)[1], np.eye(3), _box_axes(whole)]
    extents = np.ptp(colored.points @ frames[0], axis=0)
    symmetry = find_symmetry(
        colored.points[::SYMMETRY_STRIDE],
        colored.colors[::SYMMETRY_STRIDE],
        frames,
        float(np.median(extents)),
    )
    mass, advice = _mass(volume, declared)
    write_object(
        folder,
        object_id=name,
        category=name.rstrip("0123456789").rstrip("_-") or name,
        parts=visual,
        texture=texture,
        convex_pieces=pieces,
        mass=mass,
        center_of_mass=np.zeros(3),
        inertia=inertia * mass / volume,
        friction=FRICTION,
        graspable=[part for part, _, _ in parts],
        symmetry=symmetry,
        licence="the user's own",
    )
    warnings += advice
    if too_wide(read_object(folder).stable_poses, pieces):
        problem = "it is wider than the hand opens (8 cm) however it lies"
        warnings.append((problem, "scale it down, or no demonstration will be found"))
    return warnings


def _joined(meshes: Sequence[trimesh.Trimesh]) -> trimesh.Trimesh:
    """One mesh of them all; corners at the same place are one, the right side is out."""
    bare = [trimesh.Trimesh(m.vertices, m.faces, process=False) for m in meshes]
    whole = trimesh.util.concatenate(bare)
    whole.merge_vertices()
    a, b, c = np.asarray(whole.faces).T
    whole.update_faces((a != b) & (b != c) & (c != a))
    if not len(whole.faces) or float(whole.area) < MIN_AREA:
        raise MeshError("its faces have no area", "export the mesh again")
    if whole.volume < 0:
        whole.invert()
    return whole


def _light_parts(skin: Skin) -> list[Part]:
    """Name, vertices (n, 3) and faces (m, 3) of each part, few enough to draw."""
    total = sum(len(m.faces) for m in skin.meshes)
    parts: list[Part] = []
    for name in dict.fromkeys(str(n) for part in skin.parts for n in np.unique(part)):
        mesh = _joined(
            [
                trimesh.Trimesh(m.vertices, m.faces[part == name], process=False)
                for m, part in zip(skin.meshes, skin.parts, strict=True)
            ]
        )
        target = max(MIN_PART_FACES, MAX_FACES * len(mesh.faces) // total)
        parts.append((name, *fewer_faces(mesh.vertices, mesh.faces, target)))
    return parts


def _pieces(collision: Sequence[trimesh.Trimesh], whole: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """Convex solids: the user's own where they are convex, else a decomposition."""
    if collision and all(is_convex(piece) for piece in collision):
        pieces = [light_hull(piece.vertices) for piece in collision]
    elif is_convex(whole):
        pieces = [light_hull(whole.vertices)]
    else:
        light = fewer_faces(whole.vertices, whole.faces, DECOMPOSED_FACES)
        pieces = convex_pieces(trimesh.Trimesh(*light, process=False))
    if min(float(piece.volume) for piece in pieces) <= 0:
        raise MeshError("it has no volume", "give the mesh some thickness")
    return pieces


def _check_alignment(pieces: Sequence[trimesh.Trimesh], center: Array) -> None:
    hull = trimesh.convex.convex_hull(np.concatenate([p.vertices for p in pieces]))
    outward = np.einsum("ij,ij->i", hull.face_normals, center - hull.triangles[:, 0])
    if (outward >= 0).any():
        raise MeshError(
            "its collision shapes do not enclose the middle of its visible mesh",
            "give both the same <origin> and scale",
        )


def _box_axes(mesh: trimesh.Trimesh) -> Array:
    """(3, 3): the directions of the smallest box around a mesh, as columns."""
    to_box, _ = trimesh.bounds.oriented_bounds(light_hull(mesh.vertices))
    axes: Array = np.asarray(to_box)[:3, :3].T
    return axes


def _mass(volume: float, declared: float | None) -> tuple[float, list[tuple[str, str]]]:
    """The mass in kg, and what to say about it: (problem, fix)."""
    computed = float(np.clip(volume * DENSITY, *MASS_RANGE))
    if declared is None:
        return computed, []
    low, high = DENSITY_RANGE
    if declared not in PLACEHOLDERS and low <= declared / volume <= high:
        return declared, []
    problem = f"its URDF's mass of {declared:g} kg looks like a placeholder"
    return computed, [(problem, f"{computed:.3f} kg is used, from its volume, until it is weighed")]
