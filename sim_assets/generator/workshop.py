"""Tools that lie on a table: hammer, screwdriver, wrench, clamp. Long axis x, flat side z."""

from __future__ import annotations

import numpy as np

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Array,
    Mesh,
    X,
    Y,
    Z,
    arc,
    box,
    circle,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    extrude_convex,
    hull,
    lift,
    mirrored,
    moved,
    plate_ring,
    revolve,
    ring_wall,
    rounded_rectangle,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid

HALF_TURN = SymmetryAxis(X, 2)


def _along(mesh: Mesh, axis: tuple[float, float, float] = Y, x: float = 0.0) -> Mesh:
    """An upright solid laid down: z becomes y (axis=X) or x (axis=Y), then shifted along x."""
    return moved(turned(mesh, axis, np.pi / 2 if axis == Y else -np.pi / 2), (x, 0, 0))


def hammer(rng: np.random.Generator) -> Solid:
    """A head across the far end of a handle: claw, ball-peen, sledge or rubber mallet."""
    length, kind = rng.uniform(0.15, 0.215), str(rng.choice(["claw", "ball", "sledge", "mallet"]))
    end, thick = length / 2, rng.uniform(0.018, 0.023)
    wooden = rng.uniform() < 0.6
    shaft_paint = paints.timber(rng) if wooden else Paint(paints.steel(rng))
    grip_paint = Paint(paints.bright(rng))
    oval = circle(thick / 2, 12, 0.8)
    split = rng.uniform(-0.02, 0.015)
    x = np.array([-end, -end + 0.004, -end + 0.03, split, split])[:4]
    swell = np.array([0.8, 1.0, 0.92, 1.0])[:, None]
    grip = sweep(lift(np.stack([x, 0 * x], 1)), oval, scale=swell)
    shaft = sweep(
        np.array([(split - 0.004, 0, 0), (0.5 * end, 0, 0), (end, 0, 0)]),
        oval,
        scale=np.array([[0.86], [0.78], [0.86]]),
    )
    at, half = end - 0.012, rng.uniform(0.032, 0.042)
    paint = Paint(paints.dark(rng) if rng.uniform() < 0.5 else paints.steel(rng))
    if kind == "mallet":
        radius = rng.uniform(0.02, 0.025)
        head = [cylinder(radius, -half, half, 16, bevel=0.003)]
        paint = Paint(
            paints.dark(rng) if rng.uniform() < 0.5 else paints.contrast(rng, grip_paint.color)
        )
    elif kind == "sledge":
        eight = circle(rng.uniform(0.015, 0.018), 8)
        head = [extrude(eight, -half, half, bevel=0.003)]
    else:
        face = rng.uniform(0.0125, 0.015)
        head = [
            revolve(
                [
                    (face, -half),
                    (face, -half + 0.014),
                    (0.7 * face, -half + 0.02),
                    (0.7 * face, -0.01),
                ],
                14,
            ),
            extrude(rounded_rectangle(0.026, 0.022, 0.004, 1), -0.014, 0.014),
        ]
        if kind == "ball":
            head += [
                revolve([(0.008, 0.008), (0.008, 0.02)], 12),
                ellipsoid((0.0125, 0.0125, 0.013), (0, 0, half - 0.012), 12),
            ]
    head = [_along(m, X, at) for m in head]
    claws: list[Piece] = []
    if kind == "claw":
        bend = np.array([(at, 0.008), (at - 0.001, 0.024), (at - 0.008, 0.038), (at - 0.02, 0.048)])
        for side in (-1, 1):
            out = np.array([0.003, 0.005, 0.0065, 0.0075]) * side
            path = np.column_stack([curve(bend, 3), out])
            blade, scale = (
                rounded_rectangle(0.008, 0.012, 0.002, 1)[:, ::-1][::-1],
                np.array([[1], [1], [0.85], [0.55]]),
            )
            mesh = sweep(path, blade, up=Z, scale=scale)
            links = sweep_convex(path, blade, up=Z, scale=scale)
            claws.append(Piece("head", mesh, paint, 4500, convex=links))
    density = 1300.0 if kind == "mallet" else 4500.0
    pieces = (
        Piece("handle", grip, grip_paint, 900),
        Piece("handle", shaft, shaft_paint, 800),
        *(Piece("head", m, paint, density) for m in head),
        *claws,
    )
    return Solid(pieces, ("handle", "head"), (HALF_TURN,) if kind in ("sledge", "mallet") else ())


def screwdriver(rng: np.random.Generator) -> Solid:
    """A lobed handle, a steel shaft, and a flat or cross tip."""
    grip, blade = rng.uniform(0.06, 0.1), rng.uniform(0.05, 0.115)
    radius, shaft = rng.uniform(0.0125, 0.0165), rng.uniform(0.004, 0.0048)
    cross = rng.uniform() < 0.5
    lobes = 8 if cross else 6
    angle = 2 * np.pi * np.arange(3 * lobes) / (3 * lobes)
    r = radius * (1 + 0.07 * np.cos(lobes * angle))
    section = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
    x = np.array([0.0, 0.004, 0.55, 0.8, 1.0]) * [1, 1, grip, grip, grip] - (grip + blade) / 2
    scale = np.array([0.75, 0.95, 1.0, 0.72, 0.85])[:, None]
    handle = sweep(lift(np.stack([x, 0 * x], 1)), section, scale=scale)
    base, tip = x[-1], (grip + blade) / 2
    color = paints.bright(rng)
    pattern = "stripes" if rng.uniform() < 0.3 else "plain"
    cap = _along(cylinder(0.8 * radius, base - 0.001, base + 0.008, 16, bevel=0.001))
    rod = _along(cylinder(shaft, base, tip - 0.012, 12))
    if cross:
        point = _along(revolve([(shaft, tip - 0.013), (shaft, tip - 0.008), (0.0012, tip)], 8))
    else:
        point = hull(
            lift(circle(shaft, 12), "yz", tip - 0.014),
            box((0.001, 2 * shaft + 0.002, 0.0045), (tip - 0.006, 0, 0)),
            box((0.001, 2 * shaft + 0.002, 0.0016), (tip - 0.0005, 0, 0)),
        )
    steel = Paint(paints.steel(rng))
    return Solid(
        (
            Piece("handle", handle, Paint(color, paints.contrast(rng, color), pattern), 1050),
            Piece("handle", cap, Paint(paints.dark(rng)), 1050),
            Piece("shaft", rod, steel, 5000),
            Piece("tip", point, Paint(paints.dark(rng)) if cross else steel, 5000),
        ),
        ("handle", "shaft"),
        (SymmetryAxis(X, 4 if cross else 2),),
    )


def _fork(radius: float, gap: float, reach: float) -> Array:
    """A wrench's open jaw as an outline: a disc around the origin with a slot towards +x."""
    half = gap / 2
    start = np.arcsin(half / radius)
    rim = arc(radius, start, 2 * np.pi - start, 16)
    tips = np.array(
        [(reach, -half), (-0.35 * radius, -half), (-0.35 * radius, half), (reach, half)]
    )
    return np.concatenate([rim, tips])


def wrench(rng: np.random.Generator) -> Solid:
    """A spanner: an open jaw at one end; at the other a ring, or a second jaw."""
    length, thick = rng.uniform(0.15, 0.2), rng.uniform(0.0085, 0.011)
    big, width = rng.uniform(0.0175, 0.022), rng.uniform(0.0125, 0.017)
    x, half = length / 2 - big, thick / 2
    double = rng.uniform() < 0.35
    small = big * rng.uniform(0.78, 0.95)
    tilt = 0.0 if rng.uniform() < 0.5 else np.radians(15)
    if rng.uniform() < 0.5:
        metal = Paint(paints.steel(rng))
        grip = Paint(paints.bright(rng)) if rng.uniform() < 0.5 else metal
    else:
        metal = grip = Paint(paints.bright(rng))

    def jaw(radius: float, at: float, turn: float) -> Piece:
        outline = _fork(radius, 0.95 * radius, 0.95 * radius)
        mesh, solids = extrude(outline, -half, half, 0.001), extrude_convex(outline, -half, half)
        place = [moved(turned(m, Z, turn), (at, 0, 0)) for m in (mesh, *solids)]
        return Piece("jaw", place[0], metal, 5500, convex=tuple(place[1:]))

    near, far = -x + 0.75 * small, x - 0.6 * big  # ends inside the metal of ring and jaw
    bar = extrude(
        rounded_rectangle(far - near, width, 0.003, 1), -0.42 * thick, 0.42 * thick, 0.0015
    )
    bar = moved(bar, ((near + far) / 2, 0, 0))
    pieces = [Piece("handle", bar, grip, 5500), jaw(big, x, tilt)]
    if double:
        pieces.append(jaw(small, -x, np.pi + tilt))
    else:
        outer, inner = circle(small, 18), circle(0.58 * small, 18)
        ring = moved(plate_ring(outer, inner, -half, half), (-x, 0, 0))
        wall = ring_wall(
            [(small, -half), (small, half)], [(0.58 * small, -half), (0.58 * small, half)], 10
        )
        pieces.append(
            Piece("ring", ring, metal, 5500, convex=tuple(moved(m, (-x, 0, 0)) for m in wall))
        )
    return Solid(tuple(pieces), ("handle", "jaw"), (HALF_TURN,) if tilt == 0 else ())


def clamp(rng: np.random.Generator) -> Solid:
    """A spring clamp: two broad levers face to face, pads in the jaws, sleeves on the grips."""
    reach, back = rng.uniform(0.032, 0.05), rng.uniform(0.048, 0.074)
    spread, half = rng.uniform(0.022, 0.027), rng.uniform(0.006, 0.008)
    cheek, wide = rng.uniform(0.015, 0.019), rng.uniform(0.009, 0.011)
    metal = rng.uniform() < 0.4
    color = paints.bright(rng)
    lever = Paint(
        paints.steel(rng) if metal else paints.dark(rng) if rng.uniform() < 0.4 else color
    )
    sleeve = Paint(color if metal else paints.contrast(rng, lever.color))
    pad = Paint(paints.contrast(rng, color))
    outline = np.array(
        [(-back, spread - wide), (-0.014, 0.0006), (0.012, 0.0006), (0.55 * reach, 0.0085),
         (reach - 0.008, 0.0085), (reach - 0.006, 0.004), (reach + 0.003, 0.004),
         (reach + 0.004, 0.009), (0.75 * reach, cheek), (0.012, cheek + 0.002), (-0.012, cheek),
         (-back, spread)]
    )  # fmt: skip
    tip, root = outline[[0, -1]].mean(axis=0), np.array([-0.014, 0.5 * cheek])
    grip_path = lift([tip + 0.03 * (tip - root), 0.62 * tip + 0.38 * root])
    grip = rounded_rectangle(wide + 0.005, 2 * half + 0.004, 0.004, 1)
    body, solids = extrude(outline, -half, half, 0.0012), extrude_convex(outline, -half, half)
    sole = box((0.015, 0.0048, 2 * half + 0.006), (reach - 0.002, 0.003, 0), 0.0012)
    pieces: list[Piece] = []
    for flip in (False, True):

        def copy(mesh: Mesh, flip: bool = flip) -> Mesh:
            return mirrored(mesh, 1) if flip else mesh

        pieces += [
            Piece("jaw", copy(body), lever, 1500, convex=tuple(map(copy, solids))),
            Piece("jaw", copy(sole), pad, 1000),
            Piece("handle", copy(sweep(grip_path, grip)), sleeve, 1100),
        ]
    spring = Paint(paints.steel(rng) if not metal else paints.dark(rng))
    coil = cylinder(0.0095, -half - 0.003, half + 0.003, 16, bevel=0.001)
    pin = cylinder(0.0045, -half - 0.0045, half + 0.0045, 10, bevel=0.0008)
    pieces += [Piece("pivot", coil, spring, 3000), Piece("pivot", pin, pad, 3000)]
    return Solid(tuple(pieces), ("handle", "jaw"), (HALF_TURN,))


CATEGORIES = {"hammer": hammer, "screwdriver": screwdriver, "wrench": wrench, "clamp": clamp}
