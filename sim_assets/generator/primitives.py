"""Closed meshes from profiles, outlines and paths, and convex solids that collide like them.

Lengths are metres, angles radians. Every mesh is closed with its normals outward, shares its
vertices, and is made by plain arithmetic, so that the same call gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from sim_assets.generator.outlines import convex_parts, inset, triangulate
from sim_assets.generator.solid import Paint, Piece

Array = NDArray[np.float64]
Mesh: TypeAlias = trimesh.Trimesh
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def make_mesh(vertices: ArrayLike, faces: ArrayLike) -> Mesh:
    """A mesh of exactly these vertices (V, 3) and triangles (F, 3)."""
    return Mesh(np.asarray(vertices, float), np.asarray(faces, int), process=False)


# ---------------------------------------------------------------- outlines and curves in a plane


def circle(radius: float, sides: int = 10, squash: float = 1.0) -> Array:
    """(sides, 2) counter-clockwise; ``squash`` is the second half-axis over the first."""
    angle = 2 * np.pi * np.arange(sides) / sides
    return radius * np.stack([np.cos(angle), squash * np.sin(angle)], 1)


def rounded_rectangle(width: float, height: float, corner: float, steps: int = 2) -> Array:
    """(4 * (steps + 1), 2) counter-clockwise around the origin; ``corner`` is a radius.

    With 0 steps the corners are sharp.
    """
    corner = corner if steps else 0.0
    centers = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (
        width / 2 - corner,
        height / 2 - corner,
    )
    return np.concatenate(
        [c + arc(corner, i * np.pi / 2, (i + 1) * np.pi / 2, steps) for i, c in enumerate(centers)]
    )


def arc(radius: float, start: float, end: float, steps: int, center: ArrayLike = (0, 0)) -> Array:
    """(steps + 1, 2) points of a circle from angle ``start`` to ``end``, either way round."""
    angle = np.linspace(start, end, steps + 1)
    return np.asarray(center, float) + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def curve(points: ArrayLike, steps: int) -> Array:
    """(steps + 1, D): a smooth curve through (N, D) control points, even in chord length."""
    points = np.asarray(points, float)
    chord = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(chord)])
    return np.asarray(CubicSpline(at, points, axis=0)(np.linspace(0, at[-1], steps + 1)))


def lift(points: ArrayLike, plane: str = "xy", offset: float = 0.0) -> Array:
    """(N, 3) from (N, 2): puts plane points into space; ``offset`` along the plane's normal."""
    points = np.asarray(points, float)
    out = np.full((len(points), 3), float(offset))
    out[:, ["xyz".index(c) for c in plane]] = points
    return out


# ------------------------------------------------------------------------------- closed meshes


def box(size: ArrayLike, center: ArrayLike = (0, 0, 0), bevel: float = 0.0) -> Mesh:
    """A box of edge lengths ``size`` (3,) with its edges cut off by ``bevel``."""
    half = np.asarray(size, float) / 2
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    if bevel <= 0:
        return moved(hull(signs * half), center)
    corners = [signs * (half - bevel * (np.arange(3) != axis)) for axis in range(3)]
    return moved(hull(np.concatenate(corners)), center)


def revolve(profile: ArrayLike, sides: int = 20, loop: bool = False) -> Mesh:
    """A solid of revolution about z.

    Args:
        profile: (N, 2) of (radius, z) with the solid on its left: upwards along the outside.
            It is closed over the axis, or on itself if ``loop`` (a ring).
        sides: facets around the axis.
    """
    profile = np.asarray(profile, float)
    angle = 2 * np.pi * np.arange(sides) / sides
    rings = np.stack(
        [
            profile[:, :1] * np.cos(angle),
            profile[:, :1] * np.sin(angle),
            np.repeat(profile[:, 1:], sides, axis=1),
        ],
        axis=2,
    )
    return _skin(rings, loop=loop)


def cylinder(radius: float, bottom: float, top: float, sides: int = 16, bevel: float = 0.0) -> Mesh:
    """An upright cylinder about z from ``bottom`` to ``top``; ``bevel`` cuts both rims."""
    if bevel <= 0:
        return revolve([(radius, bottom), (radius, top)], sides)
    inner = radius - bevel
    return revolve(
        [(inner, bottom), (radius, bottom + bevel), (radius, top - bevel), (inner, top)], sides
    )


def capsule(radius: float, bottom: float, top: float, sides: int = 14, steps: int = 3) -> Mesh:
    """An upright cylinder about z with round ends, from ``bottom`` to ``top`` over all."""
    low = arc(radius, -np.pi / 2, 0, steps, (0, bottom + radius))[1:]
    high = arc(radius, 0, np.pi / 2, steps, (0, top - radius))[:-1]
    return revolve(np.concatenate([[(0, bottom)], low, high, [(0, top)]]), sides)


def ellipsoid(half: ArrayLike, center: ArrayLike = (0, 0, 0), sides: int = 14) -> Mesh:
    """An ellipsoid with half-axes ``half`` (3,)."""
    ball = revolve(arc(1.0, -np.pi / 2, np.pi / 2, max(sides // 2, 3)), sides)
    return make_mesh(ball.vertices * np.asarray(half, float) + center, ball.faces)


def extrude(outline: ArrayLike, bottom: float, top: float, bevel: float = 0.0) -> Mesh:
    """A prism over a simple counter-clockwise outline (N, 2), from z ``bottom`` to ``top``.

    ``bevel`` cuts the rims, moving them inwards; keep it below half the narrowest place.
    """
    outline = np.asarray(outline, float)
    levels = [(bottom, 0.0), (top, 0.0)]
    if bevel > 0:
        levels = [(bottom, bevel), (bottom + bevel, 0.0), (top - bevel, 0.0), (top, bevel)]
    rings = np.stack([lift(inset(outline, by), offset=z) for z, by in levels])
    return _skin(rings, caps=triangulate(outline))


def plate_ring(outer: ArrayLike, inner: ArrayLike, bottom: float, top: float) -> Mesh:
    """A flat plate with a hole: both outlines (N, 2) counter-clockwise, paired point by point."""
    rings = np.stack(
        [lift(inner, offset=bottom), lift(outer, offset=bottom), lift(outer, offset=top),
         lift(inner, offset=top)]
    )  # fmt: skip
    return _skin(rings, loop=True)


def sweep(
    path: ArrayLike,
    section: ArrayLike,
    *,
    up: ArrayLike = Z,
    scale: ArrayLike = 1.0,
    loop: bool = False,
) -> Mesh:
    """A section moved along a path: handles, cables, rings.

    Args:
        path: (N, 3).
        section: (M, 2) counter-clockwise; its second axis lies towards ``up``.
        up: (3,), never parallel to the path.
        scale: factor(s) on the section: one, (N, 1) or (N, 2).
        loop: the path closes on itself (do not repeat its first point).
    """
    section = np.asarray(section, float)
    return _skin(_rings(path, section, up, scale, loop), loop=loop, caps=triangulate(section))


def bar(stations: ArrayLike, stride: int = 2) -> tuple[Mesh, tuple[Mesh, ...]]:
    """A bent bar in the plane y = 0 and the convex links it collides with.

    Args:
        stations: (N, 4) of x, z, width (along y) and height, m, along the bar.
        stride: stations per link.
    """
    at = np.asarray(stations, float)
    section = rounded_rectangle(1, 1, 0.3, 1)
    coarse = np.concatenate([at[:-1:stride], at[-1:]])
    links = sweep_convex(lift(coarse[:, :2], "xz"), section, scale=coarse[:, 2:])
    return sweep(lift(at[:, :2], "xz"), section, scale=at[:, 2:]), links


def hull(*solids: Mesh | ArrayLike) -> Mesh:
    """The convex hull of meshes and (N, 3) points together."""
    points = [np.asarray(getattr(s, "vertices", s), float) for s in solids]
    return trimesh.convex.convex_hull(np.concatenate(points))


# ------------------------------------------------------------------------------ convex solids


def ring_wall(outer: ArrayLike, inner: ArrayLike, pieces: int = 12) -> tuple[Mesh, ...]:
    """Convex segments of a wall around z, for cups, bowls and rings.

    Args:
        outer, inner: (N, 2) of (radius, z), paired and going upwards: the wall lies between
            them; each pair of neighbours makes one tier of ``pieces`` segments.
    """
    outer, inner = np.asarray(outer, float), np.asarray(inner, float)
    edges = 2 * np.pi * np.arange(pieces + 1) / pieces
    solids = []
    for i in range(len(outer) - 1):
        r, z = np.concatenate([outer[i : i + 2], inner[i : i + 2]]).T
        cuts = [np.stack([r * np.cos(t), r * np.sin(t), z], 1) for t in edges]
        solids += [hull(a, b) for a, b in pairwise(cuts)]
    return tuple(solids)


def sweep_convex(
    path: ArrayLike,
    section: ArrayLike,
    *,
    up: ArrayLike = Z,
    scale: ArrayLike = 1.0,
    loop: bool = False,
) -> tuple[Mesh, ...]:
    """Convex links along a path: give it the same arguments as ``sweep``, on a coarser path."""
    rings = _rings(path, np.asarray(section, float), up, scale, loop)
    if loop:
        rings = np.concatenate([rings, rings[:1]])
    return tuple(hull(a, b) for a, b in pairwise(rings))


def extrude_convex(outline: ArrayLike, bottom: float, top: float) -> tuple[Mesh, ...]:
    """The prism of ``extrude`` cut into convex prisms."""
    outline = np.asarray(outline, float)
    return tuple(
        hull(lift(outline[part], offset=bottom), lift(outline[part], offset=top))
        for part in convex_parts(outline)
    )


# --------------------------------------------------------------------------------- placing


def moved(mesh: Mesh, offset: ArrayLike) -> Mesh:
    """A copy shifted by ``offset`` (3,)."""
    return make_mesh(mesh.vertices + np.asarray(offset, float), mesh.faces)


def turned(mesh: Mesh, axis: ArrayLike, angle: float, about: ArrayLike = (0, 0, 0)) -> Mesh:
    """A copy turned by ``angle`` about an axis through the point ``about``."""
    T = trimesh.transformations.rotation_matrix(angle, axis, about)
    return make_mesh(mesh.vertices @ T[:3, :3].T + T[:3, 3], mesh.faces)


def mirrored(mesh: Mesh, axis: int) -> Mesh:
    """A copy mirrored in the plane through the origin across axis 0, 1 or 2."""
    return make_mesh(mesh.vertices * np.where(np.arange(3) == axis, -1, 1), mesh.faces[:, ::-1])


def each(solids: Iterable[Mesh], change: Callable[..., Mesh], *args: Any) -> tuple[Mesh, ...]:
    """``change(solid, *args)`` of every solid, as for ``each(links, moved, (0, 0, 0.1))``."""
    return tuple(change(solid, *args) for solid in solids)


def inlay(part: str, outline: ArrayLike, level: float, paint: Paint, density: float) -> Piece:
    """A mark on a flat face at z = ``level`` that looks away from z = 0; it adds no collision.

    It stands out by half a millimetre over a convex, counter-clockwise outline (N, 2), and its
    edges slope, so that nobody takes them for a side to grasp.
    """
    base, z = np.asarray(outline, float), abs(level)
    mark = hull(lift(base, offset=z - 0.0003), lift(inset(base, 0.0008), offset=z + 0.0005))
    below = hull(lift(base, offset=z - 0.003), lift(base, offset=z - 0.001))
    mesh, flush = (mark, below) if level > 0 else (mirrored(mark, 2), mirrored(below, 2))
    return Piece(part, mesh, paint, density, convex=(flush,))


def centered(*pieces: Piece, along: ArrayLike = (1, 1, 1)) -> tuple[Piece, ...]:
    """The pieces shifted together, the middle of their bounding box to the origin.

    ``along`` (3,) is 0 for axes to leave alone, as where the origin must stay on a symmetry axis.
    """
    corners = np.concatenate([piece.mesh.bounds for piece in pieces])
    shift = -(corners.min(axis=0) + corners.max(axis=0)) / 2 * np.asarray(along)
    return tuple(
        replace(p, mesh=moved(p.mesh, shift), convex=each(p.convex, moved, shift)) for p in pieces
    )


# ------------------------------------------------------------------------------ the workings


def _rings(path: ArrayLike, section: Array, up: ArrayLike, scale: ArrayLike, loop: bool) -> Array:
    path = np.asarray(path, float)
    if loop:
        ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    else:
        ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(np.asarray(up, float), ahead)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    above = np.cross(ahead, side)
    scale = np.broadcast_to(np.asarray(scale, float), (len(path), 2))
    flat = section[None] * scale[:, None]
    rings: Array = path[:, None] + flat[..., :1] * side[:, None] + flat[..., 1:] * above[:, None]
    return rings


def _skin(rings: Array, loop: bool = False, caps: NDArray[np.int64] | None = None) -> Mesh:
    """Joins rings (N, M, 3), each counter-clockwise seen from ahead, and closes the ends."""
    count, sides = rings.shape[:2]
    index = np.arange(count * sides).reshape(count, sides)
    if not loop and caps is None:
        caps = np.array([(0, k, k + 1) for k in range(1, sides - 1)])
    below = index if loop else index[:-1]
    above = np.roll(index, -1, axis=0) if loop else index[1:]
    a, b = below, np.roll(below, -1, axis=1)
    c, d = np.roll(above, -1, axis=1), above
    quads = [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    if not loop and caps is not None:
        quads += [index[0][caps[:, ::-1]], index[-1][caps]]
    faces = np.concatenate(quads)
    return _welded(rings.reshape(-1, 3), faces)


def _welded(vertices: Array, faces: NDArray[np.int64]) -> Mesh:
    """Joins vertices that coincide (a ring of radius 0) and drops the faces that vanish."""
    _, first, inverse = np.unique(
        np.round(vertices, 7), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    faces = rank[inverse.reshape(-1)[faces]]
    distinct = (np.diff(np.sort(faces, axis=1), axis=1) > 0).all(1)
    return make_mesh(vertices[first[order]], faces[distinct])
