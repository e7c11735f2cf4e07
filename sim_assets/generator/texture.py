"""One texture per object: a row of small tiles, one per paint, and texture coordinates into it.

Every tile is the same upside down and mirrored, and each coordinate follows one axis of a piece, so
that a pattern keeps the half turns of the shape it is painted on, and bands keep all its turns.
Only speckles do not: they are for things that declare no symmetry.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_assets.generator.primitives import Array, Mesh
from sim_assets.generator.solid import Paint

TILE = 32  # pixels


def atlas(paints: Sequence[Paint]) -> NDArray[np.uint8]:
    """(TILE, n * TILE, 3): the paints' tiles side by side, n rounded up to a power of two."""
    tiles = [tile(paint) for paint in paints]
    room = 1 << (len(tiles) - 1).bit_length()
    return np.concatenate(tiles + [tiles[-1]] * (room - len(tiles)), axis=1)


def coordinates(mesh: Mesh, paint: Paint, index: int, count: int) -> Array:
    """(V, 2) texture coordinates of a piece whose paint is ``index`` of ``count`` in the atlas."""
    room = 1 << (count - 1).bit_length()
    uv = np.zeros((len(mesh.vertices), 2))
    if paint.pattern != "plain":
        along = _odd_axis(mesh.extents)
        across = sorted({0, 1, 2} - {along}, key=lambda axis: mesh.extents[axis])
        centered = mesh.vertices - mesh.bounds.mean(axis=0)
        uv[:, 0] = centered[:, along] / mesh.extents[along]
        if paint.pattern == "wood":
            uv[:, 1] = centered[:, across[1]] / mesh.extents[across[1]]
        elif paint.pattern == "speckle":
            uv[:, 1] = centered[:, across].sum(axis=1) / mesh.extents[across].sum()
    # A pixel of margin to the neighbouring tile; whole pixels keep the mesh file small.
    uv = 0.5 + np.round(uv * (TILE - 2)) / TILE
    return np.stack([(index + uv[:, 0]) / room, uv[:, 1]], 1)


def _odd_axis(extents: Array) -> int:
    """The axis whose extent stands out: a rod's or a tin's own axis, a plate's long one."""
    order = np.argsort(extents, kind="stable")
    low, middle, high = extents[order]
    return int(order[2] if high - middle >= middle - low else order[0])


def tile(paint: Paint) -> NDArray[np.uint8]:
    """(TILE, TILE, 3): columns run along the piece's axis, rows across it."""
    half = TILE // 2
    accent = np.zeros((half, half))  # how much of the second colour; mirrored into four below
    rng = np.random.default_rng(zlib.crc32(repr(paint).encode()))
    column = np.arange(half)  # 0 at the piece's end, half - 1 at its middle
    match paint.pattern:
        case "plain":
            pass
        case "stripes":
            accent[:, (column // 3) % 2 == 1] = 1.0
        case "label":
            accent[:, column >= 5] = 1.0
            accent[:, column == 7] = 0.0
        case "wood":
            line = np.convolve(rng.uniform(0, 1, half + 2), (0.25, 0.5, 0.25), "valid")
            accent = np.clip(1.6 * line[:, None] - 0.3 + 0.25 * np.sin(column / 5.0), 0, 1)
        case "speckle":
            accent = (rng.uniform(size=(half, half)) < 0.14).astype(float)
        case _:
            raise ValueError(f"unknown pattern '{paint.pattern}'")
    accent = np.concatenate([accent, accent[:, ::-1]], axis=1)
    accent = np.concatenate([accent, accent[::-1]], axis=0)[..., None]
    first = np.array(paint.color, float)
    second = np.array(paint.accent if paint.accent is not None else paint.color, float)
    return np.asarray(np.round(first * (1 - accent) + second * accent), dtype=np.uint8)
