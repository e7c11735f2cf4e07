"""From a Solid to what an object folder holds: painted parts, convex solids, mass properties."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray

from grasplearn.sim.object_folder import VisualPart
from sim_assets.generator import texture
from sim_assets.generator.primitives import Array, Mesh
from sim_assets.generator.solid import Piece, Solid


def visual_parts(solid: Solid) -> tuple[list[VisualPart], NDArray[np.uint8]]:
    """One skin per named part, in the order of the pieces, and the texture they share."""
    paints = list(dict.fromkeys(piece.paint for piece in solid.pieces))
    found: dict[str, list[VisualPart]] = {}
    for piece in solid.pieces:
        mesh, paint = piece.mesh, piece.paint
        uv = texture.coordinates(mesh, paint, paints.index(paint), len(paints))
        skin = VisualPart(piece.part, mesh.vertices, mesh.faces, uv)
        found.setdefault(piece.part, []).append(skin)
    return [_joined(group) for group in found.values()], texture.atlas(paints)


def convex_solids(solid: Solid) -> list[Mesh]:
    """The collision solids of all pieces."""
    return [hull for piece in solid.pieces for hull in _convex(piece)]


def mass_properties(solid: Solid) -> tuple[float, Array, Array]:
    """Mass (kg), centre of mass (3,) m, and inertia (3, 3) kg m^2 about it, in object axes."""
    weighed = []
    for piece in solid.pieces:
        mesh = piece.mesh.copy()
        mesh.density = piece.density
        weighed.append(mesh.mass_properties)
    masses = np.array([p["mass"] for p in weighed])
    centers = np.array([p["center_mass"] for p in weighed])
    center = masses @ centers / masses.sum()
    inertia = np.zeros((3, 3))
    for p, m, r in zip(weighed, masses, centers - center, strict=True):
        inertia += p["inertia"] + m * (r @ r * np.eye(3) - np.outer(r, r))
    return float(masses.sum()), center, inertia


def _convex(piece: Piece) -> list[Mesh]:
    if piece.decompose:
        return _coacd(piece.mesh)
    return list(piece.convex) or [trimesh.convex.convex_hull(piece.mesh.vertices)]


def _coacd(mesh: Mesh) -> list[Mesh]:
    import coacd

    coacd.set_log_level("error")
    parts = coacd.run_coacd(
        coacd.Mesh(mesh.vertices, mesh.faces), threshold=0.08, max_convex_hull=12, seed=0
    )
    return [trimesh.convex.convex_hull(np.asarray(vertices)) for vertices, _ in parts]


def _joined(group: list[VisualPart]) -> VisualPart:
    starts = np.cumsum([0, *(len(skin.vertices) for skin in group[:-1])])
    return VisualPart(
        group[0].name,
        np.concatenate([skin.vertices for skin in group]),
        np.concatenate([skin.faces + start for skin, start in zip(group, starts, strict=True)]),
        np.concatenate([skin.uv for skin in group]),
    )
