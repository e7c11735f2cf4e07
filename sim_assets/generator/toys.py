"""Toys: a car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Array,
    Mesh,
    X,
    box,
    cylinder,
    extrude,
    hull,
    moved,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid


@dataclass(frozen=True)
class _Shape:
    """Heights in metres above the ground; cabin ends as fractions of the length."""

    deck: float
    cabin: float
    front: float
    rear: float
    lean: float  # m, how far the windscreen's top lies behind its foot


_SHAPES = {
    "saloon": _Shape(0.024, 0.016, 0.22, -0.38, 0.014),
    "van": _Shape(0.026, 0.022, 0.36, -0.49, 0.006),
    "pickup": _Shape(0.025, 0.018, 0.2, -0.1, 0.012),
    "sports": _Shape(0.019, 0.011, 0.12, -0.36, 0.014),
}


def toy_car(rng: np.random.Generator) -> Solid:
    """A toy car on four wheels, driving towards +x: saloon, van, pickup or sports car."""
    kind = str(rng.choice(list(_SHAPES)))
    shape = _SHAPES[kind]
    length, width = rng.uniform(0.082, 0.11), rng.uniform(0.038, 0.046)
    wheel, sill = rng.uniform(0.0095, 0.0125), 0.006
    deck = shape.deck + rng.uniform(0, 0.004)
    end, half = length / 2, width / 2
    color = paints.bright(rng)
    body = Paint(color)
    roof = Paint(paints.contrast(rng, color)) if rng.uniform() < 0.4 else body
    glass, chrome, tyre = Paint((47, 57, 71)), Paint(paints.steel(rng)), Paint(paints.dark(rng))
    side = np.array(
        [(-end, sill + 0.003), (-end + 0.004, sill), (end - 0.004, sill), (end, sill + 0.004),
         (end - 0.001, deck - 0.008), (end - 0.006, deck - 0.004), (shape.front * length, deck),
         (-end + 0.002, deck)]
    )  # fmt: skip
    hood = turned(extrude(side, -half, half, 0.002), X, np.pi / 2)
    pieces = [
        Piece("body", hood, body, 900),
        *_cabin(shape, length, half, deck, roof, glass),
        *_wheels(length, half, wheel, tyre, chrome),
        *_lamps(end, half, deck),
    ]
    if kind == "pickup":
        rails = [
            ((0.38 * length, 0.004, 0.009), (-0.3 * length, y * (half - 0.002))) for y in (-1, 1)
        ]
        rails.append(((0.004, width, 0.009), (-end + 0.003, 0)))
        pieces += [
            Piece("body", box(size, (*at, deck + 0.003), 0.001), body, 700) for size, at in rails
        ]
    if kind == "sports":
        wing = box((0.012, width, 0.003), (-end + 0.008, 0, deck + 0.011), 0.001)
        post = box((0.005, 0.5 * width, 0.012), (-end + 0.009, 0, deck + 0.005))
        pieces += [Piece("body", wing, glass, 700), Piece("body", post, glass, 700)]
    return Solid(tuple(pieces), ("cabin", "body"))


def _cabin(
    shape: _Shape, length: float, half: float, deck: float, roof: Paint, glass: Paint
) -> list[Piece]:
    """The cabin, its side windows a little proud of it, and its two screens likewise."""
    rear, front = shape.rear * length, shape.front * length
    low = np.array([(rear, deck - 0.003), (front, deck - 0.003)])
    high = np.array(
        [(rear + 0.4 * shape.lean, deck + shape.cabin), (front - shape.lean, deck + shape.cabin)]
    )

    def level(t: float, shrink: float, stretch: float) -> Array:
        """The cabin's four corners at a height 0..1, moved in by ``shrink`` m."""
        middle = (rear + front) / 2
        corners = (1 - t) * low + t * high
        return np.array(
            [
                (middle + stretch * (x - middle), y * (half - shrink), z)
                for x, z in corners
                for y in (-1, 1)
            ]
        )

    windows = hull(level(0.35, 0.0021, 0.78), level(0.82, 0.0042, 0.78))
    screens = hull(level(0.35, 0.0055, 1.035), level(0.82, 0.0085, 1.035))
    return [
        Piece("cabin", hull(level(0, 0.0015, 1), level(1, 0.006, 1)), roof, 350),
        Piece("cabin", windows, glass, 300),
        Piece("cabin", screens, glass, 300),
    ]


def _wheels(length: float, half: float, radius: float, tyre: Paint, chrome: Paint) -> list[Piece]:
    def lay(mesh: Mesh, x: float, y: float) -> Mesh:
        return moved(turned(mesh, X, np.pi / 2), (x, y, radius))

    return [
        piece
        for x in (-0.3 * length, 0.3 * length)
        for y in (-half + 0.002, half - 0.002)
        for piece in (
            Piece("wheel", lay(cylinder(radius, -0.005, 0.005, 11, 0.001), x, y), tyre, 2200),
            Piece("wheel", lay(cylinder(0.55 * radius, -0.006, 0.006, 6), x, y), chrome, 2200),
        )
    ]


def _lamps(end: float, half: float, deck: float) -> list[Piece]:
    size = (0.003, 0.008, 0.005)
    return [
        Piece("lamp", box(size, (x, y * (half - 0.007), z), 0.0008), Paint(color), 700)
        for x, z, color in (
            (end - 0.0006, deck - 0.011, (255, 244, 190)),
            (-end + 0.0004, deck - 0.006, (200, 25, 25)),
        )
        for y in (-1, 1)
    ]


CATEGORIES = {"toy_car": toy_car}
