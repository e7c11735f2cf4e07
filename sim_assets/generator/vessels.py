"""Hollow things that stand on a table: mug, cup, bottle, can, spray bottle. Upright along z."""

from __future__ import annotations

import numpy as np

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Array,
    X,
    Y,
    Z,
    arc,
    curve,
    cylinder,
    hull,
    lift,
    make_mesh,
    revolve,
    ring_wall,
    rounded_rectangle,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid

ROUND = SymmetryAxis(Z, 0)
HALF_TURN = SymmetryAxis(Z, 2)


def _wall(
    outer: Array,
    thickness: float,
    floor: float,
    rim: float,
    paint: Paint,
    trim: Paint,
    density: float,
) -> tuple[Piece, Piece]:
    """A vessel's body and the upper ``rim`` metres of its wall, from its outer profile (r, z)."""
    top = outer[-1, 1]
    base = outer[0, 1]

    def at(z: float) -> float:
        return float(np.interp(z, outer[:, 1], outer[:, 0]))

    edge = np.array([[at(top - rim), top - rim]])
    low = np.concatenate([outer[outer[:, 1] < top - rim - 1e-4], edge])
    inner = low[low[:, 1] > base + floor + 0.004] - (thickness, 0)
    foot = np.array([[at(base + floor) - thickness - 0.003, base + floor]])
    body = revolve(np.concatenate([low, inner[::-1], foot]), 16)
    high = np.array([edge[0], [at(top), top - 0.0015], [at(top) - 0.001, top]])
    inside = high * (1, 1) - [(thickness, 0), (thickness, 0), (thickness - 0.002, 0)]
    ring = revolve(np.concatenate([high, inside[::-1]]), 16, loop=True)
    step = low[[1, len(low) // 2, -1]]
    wall = ring_wall(step, step - (thickness, 0), 10)
    plate = cylinder(at(base) - 0.0005, base, base + floor, sides=12)
    return (
        Piece("body", body, paint, density, convex=(*wall, plate)),
        Piece("rim", ring, trim, density, convex=ring_wall(high[[0, 2]], inside[[0, 2]], 10)),
    )


def _decor(rng: np.random.Generator, color: paints.Color) -> Paint:
    pattern = str(rng.choice(["plain", "plain", "stripes", "label"]))
    return Paint(color, None if pattern == "plain" else paints.contrast(rng, color), pattern)


def mug(rng: np.random.Generator) -> Solid:
    """A mug with an ear: grasp the ear, or the wall with one jaw inside."""
    height, radius = rng.uniform(0.068, 0.1), rng.uniform(0.029, 0.037)
    style = rng.choice(["straight", "flared", "belly"])
    swell = {
        "straight": (0, 0, 0),
        "flared": (-0.007, -0.003, 0.003),
        "belly": (-0.004, 0.003, -0.001),
    }
    ends = np.array([radius, radius, radius]) + swell[str(style)]
    shape = curve(np.stack([ends, [-height / 2 + 0.003, 0, height / 2]], 1), 4)
    outer = np.concatenate([[(ends[0] - 0.003, -height / 2)], shape])
    color = paints.bright(rng) if rng.uniform() < 0.7 else paints.white(rng)
    trim = Paint(paints.contrast(rng, color)) if rng.uniform() < 0.5 else Paint(color)
    body, rim = _wall(outer, 0.0045, 0.006, 0.026, _decor(rng, color), trim, 1500)

    reach, span = rng.uniform(0.025, 0.032), height * rng.uniform(0.26, 0.33)
    anchor = radius - 0.003
    if rng.uniform() < 0.5:  # a round ear
        ear = arc(1.0, np.pi / 2, -np.pi / 2, 10) * (reach, span) + (anchor, 0)
    else:  # a squarer one
        r = 0.010
        upper = arc(r, np.pi / 2, 0, 3, (anchor + reach - r, span - r))
        ear = np.concatenate([[(anchor, span)], upper, upper[::-1] * (1, -1), [(anchor, -span)]])
    section = rounded_rectangle(0.011, 0.008, 0.003, 1)
    path = lift(ear, "xz")
    handle = sweep(path, section, up=Y)
    coarse = path[[0, 2, 4, 6, 8, 10]] if len(path) == 11 else path[[0, 1, 4, 5, 8, 9]]
    grip = Piece("handle", handle, trim, 1500, convex=sweep_convex(coarse, section, up=Y))
    return Solid((body, rim, grip), ("handle", "rim"), upright=0.6)


def cup(rng: np.random.Generator) -> Solid:
    """A tumbler without an ear."""
    height, top = rng.uniform(0.075, 0.12), rng.uniform(0.0265, 0.031)
    foot = top * rng.uniform(0.68, 0.9)
    z = np.linspace(-height / 2, height / 2, 4)
    outer = np.stack([np.linspace(foot, top, 4), z], 1)
    color = paints.pastel(rng) if rng.uniform() < 0.3 else paints.bright(rng)
    trim = Paint(paints.contrast(rng, color))
    body, rim = _wall(outer, 0.0036, 0.005, 0.026, _decor(rng, color), trim, 1000)
    return Solid((body, rim), ("rim", "body"), (ROUND,), upright=0.5)


def bottle(rng: np.random.Generator) -> Solid:
    """A closed bottle with a screw cap; some are flattened like shampoo bottles."""
    height, radius = rng.uniform(0.145, 0.205), rng.uniform(0.024, 0.031)
    neck = rng.uniform(0.010, 0.0125)
    shoulder = height * rng.uniform(0.42, 0.56)
    throat = shoulder + rng.uniform(0.02, 0.03)
    squash = 1.0 if rng.uniform() < 0.65 else rng.uniform(0.6, 0.75)
    waist = rng.uniform(0.82, 0.9) if rng.uniform() < 0.4 else 1.0
    slope = curve([(radius, shoulder), (0.6 * radius + 0.4 * neck, 0.45 * shoulder + 0.55 * throat),
                   (neck, throat)], 3)  # fmt: skip
    side = curve([(radius, 0.004), (radius * waist, shoulder / 2), (radius, shoulder)], 4)
    body_profile = np.concatenate([[(radius - 0.004, 0)], side, slope[1:]]) - (0, height / 2)
    top, cap_height = height / 2, rng.uniform(0.014, 0.02)
    throat -= height / 2
    flat = np.array([1.0, squash, 1.0])

    body_mesh = revolve(body_profile, 18)
    body_mesh = make_mesh(body_mesh.vertices * flat, body_mesh.faces)
    cuts = body_profile[[0, 1, 3, 5, 6, 8]]
    links = [revolve(cuts[i : i + 2], 16) for i in range(len(cuts) - 1)]
    links = [hull(links[0], links[1]), *links[2:]]
    hulls = tuple(hull(link.vertices * flat) for link in links)
    neck_mesh = cylinder(neck * squash if squash < 1 else neck, throat - 0.004, top - 0.004, 14)
    cap_radius = neck + 0.0025
    cap_mesh = cylinder(cap_radius, top - cap_height, top, 16, bevel=0.0015)
    color = paints.bright(rng)
    decor = Paint(
        color, paints.contrast(rng, color), str(rng.choice(["label", "label", "stripes"]))
    )
    pieces = (
        Piece("body", body_mesh, decor, rng.uniform(350, 600), convex=hulls),
        Piece("neck", neck_mesh, Paint(color), 600),
        Piece("cap", cap_mesh, Paint(paints.contrast(rng, color)), 900),
    )
    symmetry = ROUND if squash == 1 else HALF_TURN
    return Solid(pieces, ("cap", "body", "neck"), (symmetry,), upright=0.5)


def can(rng: np.random.Generator) -> Solid:
    """A tin or a drinks can: a coloured wrapper between two bare metal ends."""
    drink = rng.uniform() < 0.55
    radius = rng.uniform(0.024, 0.031)
    height = rng.uniform(0.09, 0.12) if drink else rng.uniform(0.045, 0.085)
    top, metal = height / 2, Paint(paints.steel(rng))
    end = radius - 0.005 if drink else radius
    shoulder = 0.010 if drink else 0.005
    body = cylinder(radius, -top + shoulder, top - shoulder, 20)
    color = paints.bright(rng)
    wrap = Paint(color, paints.contrast(rng, color), str(rng.choice(["label", "label", "stripes"])))
    lip = 0.0 if drink else 0.0012
    edge = top - shoulder
    profile = np.array(
        [(radius + lip / 2, edge), (end + lip, edge + 0.8 * shoulder), (end + lip, top),
         (end - 0.003, top), (end - 0.004, top - 0.003), (0, top - 0.003)]
    )  # fmt: skip
    lid = revolve(profile, 20)
    base = turned(lid, X, np.pi)
    density = rng.uniform(500, 800)
    return Solid(
        (
            Piece("body", body, wrap, density),
            Piece("lid", lid, metal, density),
            Piece("base", base, metal, density),
        ),
        ("body",),
        (ROUND,),
        upright=0.5,
    )


def spray_bottle(rng: np.random.Generator) -> Solid:
    """A trigger sprayer: bottle, slim neck, pistol head along x, lever below."""
    half, depth = rng.uniform(0.027, 0.031), rng.uniform(0.75, 0.95)
    shoulder, neck = rng.uniform(0.075, 0.095), rng.uniform(0.0105, 0.0125)
    low = -0.095
    slope = curve([(half, shoulder), (0.75 * half, shoulder + 0.016), (neck, shoulder + 0.032)], 4)
    profile = np.array([(half - 0.004, 0), (half, 0.004), *slope]) + np.array((0, low))
    mesh = revolve(profile, 18)
    flat = np.array([1.0, depth, 1.0])
    links = [revolve(profile[0:3], 16), revolve(profile[2:5], 16), revolve(profile[4:], 16)]
    color = paints.bright(rng)
    trim = Paint(paints.contrast(rng, color))
    white = Paint(paints.white(rng) if rng.uniform() < 0.5 else paints.dark(rng))
    z = low + shoulder + 0.03
    collar = cylinder(neck + 0.003, z, z + 0.014, 16, bevel=0.001)
    stem = cylinder(neck, z - 0.006, z + 0.03, 12)
    back, front = -rng.uniform(0.018, 0.024), rng.uniform(0.034, 0.042)
    z += 0.024
    head_outline = np.array(
        [(back, z), (front, z + 0.006), (front, z + 0.02), (0, z + 0.027), (back, z + 0.02)]
    )
    section = np.array([-0.009, 0.009])
    head = hull(
        *(lift(head_outline, "xz", y) for y in section),
        lift(head_outline * 0.9 + (0, 0.1 * (z + 0.013)), "xz", 0.0115),
    )
    nozzle = turned(cylinder(0.0075, 0, 0.012, 12, bevel=0.001), Y, np.pi / 2)
    nozzle.apply_translation((front - 0.002, 0, z + 0.013))
    pull = lift(curve([(0.018, z + 0.008), (0.026, z - 0.012), (0.024, z - 0.036)], 5), "xz")
    bar = rounded_rectangle(0.011, 0.007, 0.0025, 1)
    trigger = sweep(pull, bar, up=Y)
    return Solid(
        (
            Piece("body", make_mesh(mesh.vertices * flat, mesh.faces),
                  Paint(color, paints.contrast(rng, color), "label"), rng.uniform(350, 550),
                  convex=tuple(hull(link.vertices * flat) for link in links)),
            Piece("neck", stem, white, 600),
            Piece("collar", collar, trim, 600),
            Piece("head", head, white, 500),
            Piece("nozzle", nozzle, trim, 600),
            Piece("trigger", trigger, trim, 800, convex=sweep_convex(pull[[0, 2, 5]], bar, up=Y)),
        ),
        ("body", "head"),
        upright=0.5,
    )  # fmt: skip


CATEGORIES = {
    "mug": mug,
    "cup": cup,
    "bottle": bottle,
    "can": can,
    "spray_bottle": spray_bottle,
}
