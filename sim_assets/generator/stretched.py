"""The same thing once more, stretched along its axes and in other colours: kin by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim_assets.generator.paints import Color, contrast
from sim_assets.generator.primitives import Array, Mesh
from sim_assets.generator.solid import Paint, Piece, Solid

# Along each axis by a factor between these.
LEAST, MOST = 0.75, 1.3


def stretched(solid: Solid, rng: np.random.Generator) -> Solid:
    """Returns the solid as another: what it is round about, it need not be any more."""
    factors = np.exp(rng.uniform(np.log(LEAST), np.log(MOST), 3))
    colors = dict.fromkeys(
        color
        for piece in solid.pieces
        for color in (piece.paint.color, piece.paint.accent)
        if color is not None
    )
    others = {color: contrast(rng, color) for color in colors}
    pieces = tuple(_other(piece, factors, others) for piece in solid.pieces)
    return replace(solid, pieces=pieces, symmetry=())


def _other(piece: Piece, factors: Array, others: dict[Color, Color]) -> Piece:
    def longer(mesh: Mesh) -> Mesh:
        return Mesh(mesh.vertices * factors, mesh.faces, process=False)

    accent = piece.paint.accent
    paint = Paint(
        others[piece.paint.color], None if accent is None else others[accent], piece.paint.pattern
    )
    return replace(
        piece, mesh=longer(piece.mesh), paint=paint, convex=tuple(longer(m) for m in piece.convex)
    )
