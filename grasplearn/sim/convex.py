"""Convex pieces of a solid: what PyBullet collides with, and what a mass is computed from."""

from __future__ import annotations

from collections.abc import Sequence

import coacd
import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grasplearn.types import Array

MAX_PIECES = 16
# A solid that fills this much of its convex hull is taken for convex.
CONVEX_ENOUGH = 0.95
# Directions whose furthest points make a hull: on a circle of 3 cm they lose 0.2 mm.
_HULL_DIRECTIONS = 200


def is_closed(mesh: trimesh.Trimesh) -> bool:
    """Whether a mesh has a volume: faces all round, in pairs at every edge.

    trimesh's ``is_watertight`` also refuses scans that touch themselves along an edge, where four
    faces meet; those have a volume all the same.
    """
    _, count = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    return bool((count % 2 == 0).all() and mesh.is_winding_consistent and mesh.volume > 0)


def is_convex(mesh: trimesh.Trimesh) -> bool:
    """Whether a closed mesh all but fills its convex hull."""
    return is_closed(mesh) and bool(mesh.volume >= CONVEX_ENOUGH * mesh.convex_hull.volume)


def capped(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A copy with each hole closed by a fan around the middle of its rim."""
    edges = np.asarray(mesh.edges)
    _, index, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    rim = edges[count[index.reshape(-1)] == 1]
    size = len(mesh.vertices)
    links = coo_array((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), shape=(size, size))
    _, hole = connected_components(links, directed=False)
    holes, which = np.unique(hole[rim[:, 0]], return_inverse=True)
    middles = [mesh.vertices[np.unique(rim[which == i])].mean(axis=0) for i in range(len(holes))]
    fans = np.column_stack([rim[:, 1], rim[:, 0], size + which])
    vertices = np.concatenate([mesh.vertices, np.reshape(middles, (-1, 3))])
    closed = trimesh.Trimesh(vertices, np.concatenate([mesh.faces, fans]), process=False)
    if closed.volume < 0:
        closed.invert()
    return closed


def convex_pieces(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """At most MAX_PIECES hulls that cover a mesh: its own if it is convex, else CoACD's.

    Args:
        mesh: m, of a few hundred faces: CoACD's time grows with them.

    Source: Wei et al., "Approximate Convex Decomposition for 3D Meshes with Collision-Aware
    Concavity and Tree Search", SIGGRAPH 2022. Its search is cut short here: seconds, not minutes.
    """
    if is_convex(mesh):
        return [light_hull(mesh.vertices)]
    coacd.set_log_level("error")
    pieces = coacd.run_coacd(
        coacd.Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces)),
        threshold=0.06,
        max_convex_hull=MAX_PIECES,
        # Its remeshing thickens what is closed already.
        preprocess_mode="off" if is_closed(mesh) else "auto",
        preprocess_resolution=20,
        resolution=500,
        mcts_nodes=10,
        mcts_iterations=30,
        mcts_max_depth=2,
        seed=0,
    )
    return [light_hull(np.asarray(vertices)) for vertices, _ in pieces]


def light_hull(points: Array) -> trimesh.Trimesh:
    """A convex hull of at most 200 of the points, those furthest out."""
    points = np.asarray(points, float)
    if len(points) > _HULL_DIRECTIONS:
        i = np.arange(_HULL_DIRECTIONS) + 0.5
        z = 1 - 2 * i / _HULL_DIRECTIONS
        angle = np.pi * (1 + np.sqrt(5)) * i
        radius = np.sqrt(1 - z**2)
        directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
        # Along an object's long side the same directions would all find its two ends.
        spread = np.maximum(np.ptp(points, axis=0), 1e-6)
        points = points[np.unique(((points / spread) @ directions.T).argmax(axis=0))]
    return trimesh.convex.convex_hull(points)


def mass_properties(solids: Sequence[trimesh.Trimesh]) -> tuple[float, Array, Array]:
    """Volume (m^3), centroid (3,) m and inertia (3, 3) m^5 about it, at density 1."""
    each = [s.mass_properties for s in solids]
    volumes = np.array([p["volume"] for p in each])
    centers = np.array([p["center_mass"] for p in each])
    center = volumes @ centers / volumes.sum()
    inertia = np.zeros((3, 3))
    for p, volume, r in zip(each, volumes, centers - center, strict=True):
        inertia += p["inertia"] / p["density"] + volume * (r @ r * np.eye(3) - np.outer(r, r))
    return float(volumes.sum()), center, inertia
