"""The ways an object rests on a table, from its convex hull and its centre of mass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from grasplearn.errors import AssetError
from grasplearn.sim.symmetry import rotation_group
from grasplearn.types import Array, StablePose, SymmetryAxis

MIN_PROBABILITY = 0.05
# Hull triangles whose normals differ by less than this are one facet (rounded coordinates).
COPLANAR = np.radians(1.0)
# A facet that a tilt of this much tips off is not one to rest on: collision margins alone do it.
TIPPING = np.radians(1.0)
# Poses whose tilt differs by less are the same one on a finely faceted curve.
SAME_POSE = np.radians(6.0)


def stable_poses(
    points: Array,
    center_of_mass: Array,
    symmetry: Sequence[SymmetryAxis],
    max_poses: int,
    upright: float = 0.0,
) -> tuple[StablePose, ...]:
    """The most probable resting poses, each up to yaw and up to the declared symmetry.

    trimesh's ``compute_stable_poses`` never returns for a centre of mass outside the hull and
    needs networkx; this is the same quasi-static model with facets merged first.

    Args:
        points: (n, 3) m in the object's frame, whose hull touches the table.
        center_of_mass: (3,) m in the object's frame, inside the hull.
        symmetry: rotations that make two poses the same.
        max_poses: at most so many are returned.
        upright: how often a person sets it down with its frame's z up, if it can stand so.

    Returns:
        Sorted by probability; those of at least 5 %, or else the single most probable one.

    Raises:
        AssetError: the points are flat, or the centre of mass lies outside their hull.

    Source: Goldberg et al., "Part pose statistics: estimators and experiments", IEEE T-RA 1999.
    """
    try:
        hull = trimesh.convex.convex_hull(points)
    except Exception as error:  # qhull raises a class of its own for flat input
        raise AssetError("the collision pieces are flat: give the object some thickness") from error
    downs, probabilities = _resting_directions(hull, np.asarray(center_of_mass, float))
    downs, probabilities = _merge(downs, probabilities, rotation_group(symmetry))
    downs, probabilities = _favour_upright(downs, probabilities, upright)
    keep = [i for i in range(len(downs)) if probabilities[i] >= MIN_PROBABILITY] or [0]
    return tuple(_pose(hull.vertices, downs[i], probabilities[i]) for i in keep[:max_poses])


def _resting_directions(hull: trimesh.Trimesh, com: Array) -> tuple[Array, Array]:
    """(n, 3) outward normals of the facets to rest on, (n,) probabilities to end on each."""
    normals = np.array(hull.face_normals)
    heights = np.einsum("ij,ij->i", normals, hull.triangles[:, 0] - com)
    if (heights <= 0).any():
        raise AssetError(
            "the centre of mass lies outside the convex hull of the collision pieces: "
            "check the inertial origin"
        )
    pairs, angles = np.array(hull.face_adjacency), np.array(hull.face_adjacency_angles)
    flat = pairs[angles < COPLANAR]
    size = len(normals)
    links = coo_array((np.ones(len(flat)), (flat[:, 0], flat[:, 1])), shape=(size, size))
    count, facet = connected_components(links, directed=False)

    areas = np.maximum(hull.area_faces, 1e-15)  # qhull leaves slivers without any
    total = np.bincount(facet, areas, count)
    facet_normal = np.stack(
        [np.bincount(facet, areas * normals[:, k], count) for k in range(3)], axis=1
    )
    facet_normal = facet_normal / np.linalg.norm(facet_normal, axis=1, keepdims=True)
    height = np.bincount(facet, areas * heights, count) / total
    probability = np.bincount(facet, _solid_angles(hull.triangles - com), count) / (4 * np.pi)

    # Where each facet topples to: over the edge that the centre of mass is furthest beyond.
    successor = np.arange(count)
    slack = np.full(count, TIPPING)
    edges = hull.vertices[np.array(hull.face_adjacency_edges)]
    for (a, b), edge in zip(facet[pairs], edges, strict=True):
        for here, there in ((a, b), (b, a)) if a != b else ():
            inward = np.cross(facet_normal[here], edge[1] - edge[0])
            inward /= np.linalg.norm(inward)
            if inward @ facet_normal[there] > 0:
                inward = -inward
            margin = np.arctan2(inward @ (com - edge[0]), height[here])
            if margin < slack[here] and height[there] < height[here]:
                slack[here], successor[here] = margin, there
    # Every topple lowers the centre of mass, so highest first passes everything on.
    for i in np.argsort(-height, kind="stable"):
        if successor[i] != i:
            probability[successor[i]] += probability[i]
            probability[i] = 0.0
    rests = successor == np.arange(count)
    return facet_normal[rests], probability[rests]


def _solid_angles(triangles: Array) -> Array:
    """(n,) solid angles of (n, 3, 3) triangles seen from the origin.

    Source: Van Oosterom and Strackee, "The solid angle of a plane triangle", 1983.
    """
    a, b, c = triangles.transpose(1, 0, 2)
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    ab, ac, bc = (a * b).sum(axis=1), (a * c).sum(axis=1), (b * c).sum(axis=1)
    numerator = np.abs((a * np.cross(b, c)).sum(axis=1))
    denominator = la * lb * lc + ab * lc + ac * lb + bc * la
    result: Array = 2 * np.arctan2(numerator, denominator)
    return result


def _merge(downs: Array, probabilities: Array, group: Array) -> tuple[Array, Array]:
    """Joins directions that the group maps onto each other; most probable first.

    A pose up to yaw is just the direction in the object's frame that points down.
    """
    # Rounded, so that equals keep one order on every machine: upright before upside down.
    rank = np.lexsort([*np.round(downs.T, 3), -np.round(probabilities, 4)])
    downs, left = downs[rank], probabilities[rank].copy()
    kept, merged = [], []
    for i in range(len(downs)):
        if left[i] == 0:
            continue
        images = group @ downs[i]
        same = (images @ downs.T).max(axis=0) > np.cos(SAME_POSE)
        kept.append(downs[i])
        merged.append(left[same].sum())
        left[same] = 0.0
    order = np.argsort(-np.round(merged, 4), kind="stable")
    return np.array(kept)[order], np.minimum(np.array(merged)[order], 1.0)


def _favour_upright(downs: Array, probabilities: Array, upright: float) -> tuple[Array, Array]:
    """Things are put down, not only dropped: raises the upright pose to at least that share."""
    standing = int(np.argmin(downs[:, 2]))
    share = probabilities[standing]
    if downs[standing, 2] > -np.cos(SAME_POSE) or share >= upright:
        return downs, probabilities
    scaled = probabilities * (1 - upright) / (1 - share)
    scaled[standing] = upright
    order = np.argsort(-np.round(scaled, 4), kind="stable")
    return downs[order], scaled[order]


def _pose(vertices: Array, down: Array, probability: float) -> StablePose:
    """The smallest turn that points ``down`` at the table."""
    axis = np.cross(down, (0, 0, -1))
    sine, cosine = float(np.linalg.norm(axis)), float(-down[2])
    # Upside down every axis across will do: x.
    axis = axis / sine if sine > 1e-6 else np.array([1.0, 0.0, 0.0])
    turn = Rotation.from_rotvec(axis * np.arctan2(sine, cosine))
    height = float(-(vertices @ turn.as_matrix().T)[:, 2].min())
    x, y, z, w = turn.as_quat(canonical=True)
    return StablePose((x, y, z, w), height, float(probability))
