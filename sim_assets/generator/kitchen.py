"""Kitchen tools, lying as they rest: length along x, underside on z's low side."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    X,
    Y,
    Z,
    arc,
    bar,
    box,
    centered,
    circle,
    curve,
    cylinder,
    each,
    extrude,
    hull,
    inlay,
    lift,
    make_mesh,
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

Rng = np.random.Generator


def _handle(
    start: ArrayLike,
    end: ArrayLike,
    rise: float,
    size: tuple[float, float],
    paint: Paint,
    neck: Paint | None = None,
    density: float = 1500,
) -> tuple[Piece, ...]:
    """A handle that arches from a tool's head down to the table.

    Args:
        start, end: (x, z) of its middle line, m; rise: m, of the arch above the straight line.
        size: width and height of the grip, m.
        neck: if given, the first 40 % are a thinner rod of this paint.
    """
    u = np.array([0.0, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 1.0])
    line = np.asarray(start) + u[:, None] * np.subtract(end, start)
    line[:, 1] += 4 * rise * u**0.5 * (1 - u**0.5)  # highest near the head
    swell = np.interp(u, [0, 0.12, 0.7, 0.9, 1], [0.75, 0.72, 1.0, 1.08, 0.75])
    stations = np.column_stack([line, np.outer(swell, size)])
    if neck is None:
        mesh, links = bar(stations)
        return (Piece("handle", mesh, paint, density, convex=links),)
    rod, rod_links = bar(stations[:5] * (1, 1, 0.75, 0.8))
    grip, grip_links = bar(stations[3:] * (1, 1, 1.05, 1))
    return (
        Piece("handle", rod, neck, density, convex=rod_links),
        Piece("handle", grip, paint, density, convex=grip_links),
    )


def _materials(rng: Rng) -> tuple[Paint, Paint, Paint | None]:
    """Paints of a tool's head, its grip, and its neck where that is a rod of its own."""
    kind = rng.choice(["wood", "steel", "steel", "plastic", "plastic"])
    if kind == "wood":
        wood = paints.timber(rng)
        return wood, wood, None
    if kind == "steel":
        metal = Paint(paints.steel(rng))
        grip = paints.timber(rng) if rng.uniform() < 0.3 else Paint(paints.bright(rng))
        return metal, grip, metal
    color = paints.bright(rng)
    grip = Paint(paints.contrast(rng, color)) if rng.uniform() < 0.6 else Paint(color)
    return Paint(color), grip, None


def spoon(rng: Rng) -> Solid:
    length, long = rng.uniform(0.15, 0.205), rng.uniform(0.05, 0.066)
    wide, deep = long * rng.uniform(0.62, 0.78), rng.uniform(0.013, 0.017)
    head, grip, neck = _materials(rng)
    dish = revolve(
        [(0.5, 0), (0.84, 0.4 * deep), (1, deep), (0.85, deep), (0.6, 0.5 * deep), (0, 0.3 * deep)]
    )
    v = dish.vertices * (long / 2, wide / 2, 1)
    v[:, 1] *= 1 + 0.15 * v[:, 0] / (long / 2)  # wider towards the handle
    bowl = Piece("bowl", make_mesh(v, dish.faces), head, 3500)
    size = rng.uniform(0.013, 0.018), rng.uniform(0.009, 0.011)
    start, end = (0.475 * long, deep - 0.0045), (length - long / 2, size[1] / 2)
    handle = _handle(start, end, rng.uniform(0.006, 0.011), size, grip, neck)
    return Solid(centered(bowl, *handle), ("handle",))


def ladle(rng: Rng) -> Solid:
    """A deep round bowl; the handle's end is bent up into a hook."""
    radius, length = rng.uniform(0.028, 0.036), rng.uniform(0.19, 0.215)
    deep, thick = radius * rng.uniform(0.8, 0.95), 0.004
    head, grip, neck = _materials(rng)
    shape = np.array([(0.62, 0), (0.86, 0.22), (0.97, 0.6), (1, 1)])
    outer = shape * (radius, deep)
    raised = np.array([(0, 0.14), (0, 0.1), (0, 0.03), (0, 0)])
    inner = (shape + raised) * (radius, deep) - (thick, 0)
    mesh = revolve(np.concatenate([outer, inner[::-1]]))
    floor = cylinder(0.62 * radius, 0, 0.14 * deep, sides=10)
    wall = ring_wall(outer[[0, 1, 3]], inner[[0, 1, 3]], 8)
    bowl = Piece("bowl", mesh, head, 2500, convex=(floor, *wall))
    size = rng.uniform(0.012, 0.016), rng.uniform(0.0095, 0.012)
    tail = length - radius
    hook_radius = rng.uniform(0.009, 0.012)
    end = (tail - hook_radius, size[1] / 2)
    handle = _handle((0.94 * radius, deep - 0.006), end, 0.009, size, grip, neck)
    bend = arc(hook_radius, -np.pi / 2, np.pi / 6, 6, (end[0] - 0.003, end[1] + hook_radius))
    section = rounded_rectangle(0.75 * size[1], 0.75 * size[0], 0.002, 1)
    path = lift(bend, "xz")
    hook = sweep(path, section, up=Y)
    links = sweep_convex(path[::3], section, up=Y)
    return Solid(centered(bowl, *handle, Piece("hook", hook, grip, 1800, links)), ("handle",))


def spatula(rng: Rng) -> Solid:
    """A turner: a flat blade, whole or slotted, on an arched handle."""
    long, wide = rng.uniform(0.062, 0.08), rng.uniform(0.05, 0.068)
    head, grip, neck = _materials(rng)
    thick = 0.006
    if rng.uniform() < 0.5:
        prongs, gap = int(rng.integers(4, 6)), 0.0055
        each_wide = (wide - gap * (prongs - 1)) / prongs
        solids = [
            box((0.02, wide, thick), (long / 2 - 0.01, 0, thick / 2), 0.0015),
            box((0.01, wide, thick), (0.005 - long / 2, 0, thick / 2), 0.0015),
        ]
        for k in range(prongs):
            y = (each_wide - wide) / 2 + k * (each_wide + gap)
            solids.append(box((long - 0.02, each_wide, thick - 0.0015), (-0.004, y, thick / 2)))
    else:
        back = wide * rng.uniform(0.6, 0.9)
        front = arc(0.012, np.pi / 2, np.pi, 3, (0.012 - long / 2, wide / 2 - 0.012))
        side = np.concatenate([[(long / 2, back / 2 - 0.008), (long / 2 - 0.01, back / 2)], front])
        solids = [extrude(np.concatenate([side, side[::-1] * (1, -1)]), 0, thick, 0.0015)]
    blade = [Piece("blade", solid, head, 1500) for solid in solids]
    size = rng.uniform(0.015, 0.02), rng.uniform(0.011, 0.014)
    length = rng.uniform(0.18, 0.215)
    start, end = (long / 2 - 0.012, 0.0055), (length - long / 2, size[1] / 2)
    handle = _handle(start, end, rng.uniform(0.016, 0.02), size, grip, neck)
    return Solid(centered(*blade, *handle), ("handle",))


def pan(rng: Rng) -> Solid:
    """A frying pan or a saucepan; the inside of the floor may have its own colour."""
    wall, floor = 0.004, 0.005
    if rng.uniform() < 0.65:
        radius, high, flare = rng.uniform(0.05, 0.058), rng.uniform(0.036, 0.04), 0.93
    else:
        radius, high, flare = rng.uniform(0.042, 0.048), rng.uniform(0.046, 0.054), 0.97
    outside = paints.steel(rng) if rng.uniform() < 0.3 else paints.bright(rng)
    trim = Paint(outside if rng.uniform() < 0.5 else paints.steel(rng))
    inside = Paint(paints.dark(rng) if rng.uniform() < 0.6 else paints.white(rng))
    top = high - 0.025  # the rim is as deep as a hand reaches
    base, belt = flare * radius, radius * (flare + (1 - flare) * top / high)
    outer = np.array([(base, floor), (belt, top)])
    inner = outer - (wall, 0)
    profile = [(base - 0.002, 0), *outer, *inner[::-1]]
    plate, coat = cylinder(base, 0, floor), cylinder(base - wall - 0.0005, 0.001, floor + 0.001)
    edge = np.array([(belt + 0.0008, top - 0.001), (radius + 0.0008, high)])
    ledge = edge - (wall + 0.0014, 0)
    rim = revolve(np.concatenate([edge, ledge[::-1]]), loop=True)
    size = rng.uniform(0.016, 0.021), rng.uniform(0.011, 0.014)
    tail = min(radius + rng.uniform(0.085, 0.105), 0.216 - radius)
    rise = rng.uniform(0.002, 0.01)
    start, low = radius - 0.003, high - 0.011
    u = np.array([0, 0.15, 0.4, 0.7, 0.93, 1.0])
    swell = np.array([0.7, 0.72, 0.9, 1.0, 1.05, 0.8])
    stations = np.column_stack(
        [start + u * (tail - start), low + rise * np.sqrt(u), np.outer(swell, size)]
    )
    grip, links = bar(stations)
    wood = rng.uniform() < 0.3
    handle = paints.timber(rng) if wood else Paint(paints.contrast(rng, outside))
    return Solid(
        centered(
            Piece("body", revolve(profile), Paint(outside), 1300,
                  convex=(plate, *ring_wall(outer, inner, 10))),
            Piece("body", coat, inside, 1300),
            Piece("rim", rim, trim, 1300, convex=ring_wall(edge, ledge, 10)),
            Piece("handle", grip, handle, 1300, convex=links),
        ),
        ("handle", "rim"),
    )  # fmt: skip


def knife(rng: Rng) -> Solid:
    """A chef's knife, a cleaver, a santoku or a table knife; lies on its flat side."""
    kind = str(rng.choice(["chef", "chef", "santoku", "cleaver", "table"]))
    long = rng.uniform(0.085, 0.115)
    wide = {"chef": 0.3, "santoku": 0.33, "cleaver": 0.48, "table": 0.2}[kind] * rng.uniform(
        0.09, 0.105
    )
    grip_long, grip_wide = rng.uniform(0.085, 0.1), rng.uniform(0.019, 0.023)
    thick = rng.uniform(0.014, 0.017)
    # The blade's outline in units of its length and width: the heel at 0, the spine on +y.
    outline = {
        "chef": [(0, 0), (0.3, -0.02), (0.6, 0.12), (0.85, 0.48), (1, 0.92), (0.96, 1)],
        "santoku": [(0, 0), (0.5, 0), (0.8, 0.06), (1, 0.2), (0.94, 0.62), (0.8, 0.9), (0.6, 1)],
        "cleaver": [(0, 0), (0.5, -0.04), (0.96, 0), (1, 0.05), (1, 0.94), (0.97, 1)],
        "table": [(0, 0.1), (0.4, 0), (0.75, 0), (0.92, 0.15), (1, 0.5), (0.94, 0.9), (0.85, 1)],
    }[kind]
    outline.append((0, 1))
    shape = np.array(outline) * (long, wide) - (0.004, wide - grip_wide / 2 + 0.002)
    edge = np.interp(shape[:, 1], (shape[:, 1].min(), shape[:, 1].max()), (0.0008, 0.003))
    blade = hull(np.column_stack([shape, edge]), np.column_stack([shape, -edge]))
    w = grip_wide / 2
    end = (-grip_long, 0.55 * w), (-0.97 * grip_long, w)
    waist = [(-0.8, 1.08), (-0.62, 0.94), (-0.45, 0.88), (-0.28, 0.92), (-0.1, 1.0), (0, 0.85)]
    half = np.concatenate([end, np.multiply(waist, (grip_long, w))])
    grip_outline = np.concatenate([half * (1, -1), half[::-1]])
    grip = extrude(grip_outline, -thick / 2, thick / 2, 0.0035)
    wood = rng.uniform() < 0.4
    color = paints.bright(rng) if rng.uniform() < 0.75 else paints.dark(rng)
    paint = paints.timber(rng) if wood else Paint(color)
    metal = Paint(paints.steel(rng) if rng.uniform() < 0.75 else paints.bright(rng))
    pieces = [Piece("blade", blade, metal, 1500), Piece("handle", grip, paint, 2200)]
    if kind != "table":
        for at in (0.2, 0.5, 0.8):
            pin = circle(0.003, 8) - (at * grip_long, 0)
            steel = Paint(paints.white(rng))
            pieces += [inlay("handle", pin, z, steel, 2200) for z in (-thick / 2, thick / 2)]
    return Solid(centered(*pieces), ("handle",))


def rolling_pin(rng: Rng) -> Solid:
    radius, long = rng.uniform(0.018, 0.0245), rng.uniform(0.1, 0.13)
    half, tail = long / 2, rng.uniform(0.2, 0.216) / 2
    slim = rng.uniform(0.0075, 0.0095)
    color = paints.timber(rng).color if rng.uniform() < 0.5 else paints.pastel(rng)
    pattern = str(rng.choice(["plain", "plain", "stripes", "label"]))
    accent = None if pattern == "plain" else paints.contrast(rng, color)
    grip = Paint(paints.bright(rng) if rng.uniform() < 0.7 else paints.dark(rng))
    body = turned(cylinder(radius, -half, half, sides=20, bevel=0.003), Y, np.pi / 2)
    knob = [(0.72, half - 0.004), (0.75, half + 0.006), (1, half + 0.018),
            (1.05, tail - 0.01), (0.85, tail - 0.003), (0.4, tail)]  # fmt: skip
    right = turned(revolve(np.multiply(knob, (slim, 1)), 14), Y, np.pi / 2)
    left = turned(right, Z, np.pi)
    return Solid(
        (
            Piece("body", body, Paint(color, accent, pattern), 800),
            Piece("handle", right, grip, 800),
            Piece("handle", left, grip, 800),
        ),
        ("body", "handle"),
        (SymmetryAxis(X, 0), SymmetryAxis(Z, 2)),
    )


def whisk(rng: Rng) -> Solid:
    """Loops of thick wire around x, crossing at the tip, on a round handle."""
    length, grip_long = rng.uniform(0.19, 0.215), rng.uniform(0.085, 0.1)
    radius, loops = rng.uniform(0.023, 0.03), int(rng.integers(3, 5))
    wire, grip_radius = rng.uniform(0.0042, 0.005), rng.uniform(0.0095, 0.0125)
    long = length - grip_long
    side = np.multiply([(-0.08, 0.2), (0.25, 0.5), (0.6, 0.98), (0.88, 0.7)], (long, radius))
    tip = long - wire / 2
    line = lift(curve(np.concatenate([side, [(tip, 0)], side[::-1] * (1, -1)]), 12))
    section = circle(wire / 2, 5)
    loop, links = sweep(line, section), sweep_convex(line[::2], section)
    metal = Paint(paints.steel(rng) if rng.uniform() < 0.5 else paints.bright(rng))
    grip = Paint(paints.bright(rng) if rng.uniform() < 0.8 else paints.dark(rng))
    profile = [(0.7, -grip_long), (1, 0.004 - grip_long), (1.08, -0.7 * grip_long),
               (0.85, -0.4 * grip_long), (0.9, -0.1 * grip_long), (0.6, 0.006)]  # fmt: skip
    handle = turned(revolve(np.multiply(profile, (grip_radius, 1)), 16), Y, np.pi / 2)
    shift = (grip_long - length / 2, 0, 0)
    wires = [
        Piece("wires", moved(turned(loop, X, angle), shift), metal, 3000,
              convex=each(each(links, turned, X, angle), moved, shift))
        for angle in np.pi * np.arange(loops) / loops
    ]  # fmt: skip
    return Solid(
        (*wires, Piece("handle", moved(handle, shift), grip, 1000)),
        ("handle",),
        (SymmetryAxis(X, 2 * loops),),
    )


def funnel(rng: Rng) -> Solid:
    """Stands on its wide mouth, spout up; some have a ring to hang it by."""
    radius, neck = rng.uniform(0.036, 0.048), rng.uniform(0.0095, 0.0115)
    cone, spout, wall = rng.uniform(0.035, 0.052), rng.uniform(0.036, 0.05), 0.0038
    low = np.array((0, -(cone + spout) / 2))
    color = paints.bright(rng) if rng.uniform() < 0.75 else paints.steel(rng)
    tone = Paint(paints.contrast(rng, color)) if rng.uniform() < 0.6 else Paint(color)
    outer = np.array([(radius, 0.005), (neck, cone)]) + low
    inner = outer - (wall, 0)
    mouth = np.array([(radius + 0.002, 0), (radius + 0.002, 0.006)]) + low
    hollow = mouth - (wall + 0.004, 0)
    pipe = np.array([(neck - 0.0006, cone - 0.004), (0.82 * neck, cone + spout)]) + low
    skirt = revolve(np.concatenate([outer, inner[::-1]]), loop=True)
    lip = revolve(np.concatenate([mouth, hollow[::-1]]), loop=True)
    tip, dark = pipe[-1], Paint(paints.dark(rng))
    pieces = [
        Piece("cone", skirt, Paint(color), 1100, convex=ring_wall(outer, inner, 10)),
        Piece("mouth", lip, tone, 1100, convex=ring_wall(mouth, hollow, 10)),
        Piece("spout", revolve(pipe, 16), tone, 700),
        inlay("spout", circle(tip[0] - 0.0025, 16), tip[1], dark, 700),  # looks like its hole
    ]
    if rng.uniform() < 0.5:
        return Solid(tuple(pieces), ("spout",), (SymmetryAxis(Z, 0),))
    at, under = np.array((radius + 0.009, 0)), low[1]
    ring = plate_ring(
        circle(0.0105, 12) + at, circle(0.006, 12) + at, under + 0.0006, under + 0.0052
    )
    pieces.append(Piece("tab", ring, tone, 1100))
    return Solid(tuple(pieces), ("spout",))


CATEGORIES = {
    "spoon": spoon,
    "spatula": spatula,
    "pan": pan,
    "knife": knife,
    "ladle": ladle,
    "rolling_pin": rolling_pin,
    "whisk": whisk,
    "funnel": funnel,
}
