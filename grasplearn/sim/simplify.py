"""Makes a mesh cheap to draw: fewer faces, one small texture baked from the original's colours.

PyBullet's renderer takes time in proportion to the number of faces. Every mesh is baked alike,
whether it came with textures, vertex colours, several materials or none.
"""

from __future__ import annotations

from collections.abc import Sequence

import fast_simplification  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasplearn.sim.mesh_files import ColoredPoints, MeshError
from grasplearn.sim.wavefront import VisualPart
from grasplearn.types import Array

MAX_FACES = 1500
TEXTURE_SIDE = 512
# Cells of the texture are squares of 2^k pixels; below 8 a triangle has no inside left.
MIN_CELL, MAX_CELL = 8, 128
# A normal turned round counts like this distance, so that a thin wall keeps two sides.
NORMAL_WEIGHT = 0.004


def fewer_faces(
    vertices: Array, faces: NDArray[np.int64], target: int
) -> tuple[Array, NDArray[np.int64]]:
    """Simplifies a mesh to about ``target`` faces.

    Args:
        vertices: (n, 3) m, shared between faces. faces: (m, 3).
        target: as many faces as there may be.

    Raises:
        MeshError: the faces share too few corners to be simplified.
    """
    if len(faces) <= target:
        return vertices, faces
    points, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=target
    )
    if len(triangles) > 2 * target:
        raise MeshError(
            f"its {len(faces)} faces cannot be simplified, as they hardly share corners",
            f"simplify the mesh to {target} faces",
        )
    return np.asarray(points, dtype=np.float64), np.asarray(triangles, dtype=np.int64)


def bake(
    parts: Sequence[tuple[str, Array, NDArray[np.int64]]], skin: ColoredPoints
) -> tuple[list[VisualPart], NDArray[np.uint8]]:
    """Gives every face its own patch of one texture, coloured by the nearest point of ``skin``.

    Args:
        parts: names, (n, 3) vertices and (m, 3) faces.
        skin: dense points of the original surface, in the same frame.

    Returns:
        The parts with texture coordinates (no two faces share a vertex), and the texture
        (TEXTURE_SIDE, TEXTURE_SIDE, 3) uint8.
    """
    triangles = np.concatenate([v[f] for _, v, f in parts])
    corner, cell, flipped = _layout(triangles)
    uv_px = _corners_px(corner, cell, flipped)

    texture = np.full((TEXTURE_SIDE, TEXTURE_SIDE, 3), 128, dtype=np.uint8)
    rows, columns, points, normals = _texels(triangles, corner, cell, flipped)
    tree = cKDTree(np.hstack([skin.points, NORMAL_WEIGHT * skin.normals]))
    _, nearest = tree.query(np.hstack([points, NORMAL_WEIGHT * normals]))
    texture[rows, columns] = skin.colors[nearest]

    # Pixel (row 0, column 0) lies at the upper left of the picture, (u, v) = (0, 1).
    uv = (uv_px + 0.5) / TEXTURE_SIDE
    uv[..., 1] = 1 - uv[..., 1]
    ends = np.cumsum([len(f) for _, _, f in parts])[:-1]
    baked = [
        VisualPart(name, t.reshape(-1, 3), np.arange(3 * len(t)).reshape(-1, 3), c.reshape(-1, 2))
        for (name, _, _), t, c in zip(
            parts, np.split(triangles, ends), np.split(uv, ends), strict=True
        )
    ]
    return baked, texture


def _layout(
    triangles: Array,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Packs faces in pairs into square cells whose sides follow the faces' own.

    Cells of powers of two, laid from large to small along a Z-order curve, leave no gaps.

    Returns:
        (m, 2) column and row of each face's cell, (m,) its side in pixels, and (m,) whether the
        face takes the cell's lower right half.
    """
    edges = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2)
    extent = edges.max(axis=1)
    order = np.argsort(-extent, kind="stable")
    pair = np.arange(len(order)) // 2
    wanted = extent[order][pair * 2]
    pixels_per_metre = 4 * TEXTURE_SIDE / extent.max()
    while True:
        side = 2 ** np.floor(np.log2(np.maximum(wanted * pixels_per_metre, 1))).astype(np.int64)
        side = np.clip(side, MIN_CELL, MAX_CELL)
        first = side[::2]
        if (first**2).sum() <= TEXTURE_SIDE**2 or (side == MIN_CELL).all():
            break
        pixels_per_metre *= 0.9
    start = np.concatenate([[0], np.cumsum(first**2)[:-1]])[pair]
    corner = np.zeros((len(order), 2), dtype=np.int64)
    for bit in range(int(np.log2(TEXTURE_SIDE))):
        corner[:, 0] |= ((start >> (2 * bit)) & 1) << bit
        corner[:, 1] |= ((start >> (2 * bit + 1)) & 1) << bit
    back = np.argsort(order, kind="stable")
    return corner[back], side[back], (np.arange(len(order)) % 2 == 1)[back]


def _corners_px(
    corner: NDArray[np.int64], cell: NDArray[np.int64], flipped: NDArray[np.bool_]
) -> Array:
    """(m, 3, 2) column and row of each face's corners; two halves stay two pixels apart."""
    long, last = cell - 2, cell - 1
    zero = np.zeros_like(cell)
    upper = np.stack([[zero, zero], [long, zero], [zero, long]]).transpose(2, 0, 1)
    lower = np.stack([[last, last], [last - long, last], [last, last - long]]).transpose(2, 0, 1)
    local = np.where(flipped[:, None, None], lower, upper)
    result: Array = (corner[:, None] + local).astype(np.float64)
    return result


def _texels(
    triangles: Array,
    corner: NDArray[np.int64],
    cell: NDArray[np.int64],
    flipped: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Rows, columns, (n, 3) points and (n, 3) normals of all pixels that belong to a face."""
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12)
    found = []
    for side in np.unique(cell):
        y, x = np.mgrid[:side, :side]
        upper = x + y <= side - 1
        for half in (False, True):
            faces = np.flatnonzero((cell == side) & (flipped == half))
            column, row = (x[~upper], y[~upper]) if half else (x[upper], y[upper])
            along = np.stack([column, row], axis=1)
            local = (side - 1 - along if half else along) / (side - 2)
            # Pixels in the gutter take the colour of the nearest point of the triangle's edge.
            local = local / np.maximum(local.sum(axis=1, keepdims=True), 1)
            weights = np.column_stack([1 - local.sum(axis=1), local])
            at = np.einsum("nk,mkd->mnd", weights, triangles[faces])
            found.append(
                (
                    (corner[faces, 1, None] + row).reshape(-1),
                    (corner[faces, 0, None] + column).reshape(-1),
                    at.reshape(-1, 3),
                    np.repeat(normals[faces], len(row), axis=0),
                )
            )
    rows, columns, points, directions = (np.concatenate(c) for c in zip(*found, strict=True))
    return rows, columns, points, directions
