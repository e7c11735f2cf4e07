"""Things for the hand, lying flat: length along x, except the padlock, whose shackle is on +y."""

from __future__ import annotations

import numpy as np

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Mesh,
    X,
    Y,
    arc,
    bar,
    box,
    centered,
    circle,
    curve,
    cylinder,
    each,
    extrude,
    extrude_convex,
    hull,
    inlay,
    lift,
    mirrored,
    plate_ring,
    rounded_rectangle,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid

Rng = np.random.Generator


def _pair(
    part: str, mesh: Mesh, links: tuple[Mesh, ...], paint: Paint, density: float
) -> list[Piece]:
    """A piece and its mirror image across y."""
    other = mirrored(mesh, 1), each(links, mirrored, 1)
    return [Piece(part, m, paint, density, convex=c) for m, c in ((mesh, links), other)]


def toothbrush(rng: Rng) -> Solid:
    """Lies on its back, bristles up."""
    length = rng.uniform(0.165, 0.2)
    wide, high = rng.uniform(0.0135, 0.0175), rng.uniform(0.0095, 0.0115)
    neck, head_wide = rng.uniform(0.45, 0.6) * wide, rng.uniform(0.014, 0.0175)
    head_high, head_long = 0.0075, rng.uniform(0.028, 0.036)
    color = paints.bright(rng) if rng.uniform() < 0.75 else paints.white(rng)
    paint, trim = Paint(color), Paint(paints.contrast(rng, color))
    tail = length - head_long
    u = np.array([0.0, 0.02, 0.08, 0.25, 0.45, 0.6, 0.72, 0.88, 1.0])
    broad = wide * np.array([0.5, 0.8, 1.0, 0.85, 1.0, 0.95, 0.75, 0, 0])
    broad[-2:] = neck
    tall = np.interp(u, [0, 0.02, 0.08, 0.6, 0.85, 1], np.array([0.75, 0.9, 1, 1, 0, 0]) * high)
    tall[-2:] = head_high + 0.0005
    handle, links = bar(np.column_stack([u * tail, tall / 2, broad, tall]))
    pad_high = high + 0.0012
    pad_x = np.array([0.12, 0.14, 0.3, 0.48, 0.5]) * tail
    pad_wide = 0.55 * np.interp(pad_x, u * tail, broad)
    low = np.array([0.15, 0.2, 0.2, 0.2, 0.15]) * pad_high
    pad, _ = bar(np.column_stack([pad_x, pad_high - low / 2, pad_wide, low]))
    head_x = np.array([-0.004, 0.004, 0.5 * head_long, head_long - 0.006, head_long]) + tail
    head_shape = np.column_stack(
        [head_x, np.full(5, head_high / 2), np.array([neck, *[head_wide] * 3, 0.55 * head_wide]),
         np.full(5, head_high)]
    )  # fmt: skip
    head, _ = bar(head_shape)
    pieces = [
        Piece("handle", handle, paint, 2000, convex=links),
        Piece("handle", pad, trim, 2000),
        Piece("head", head, paint, 2000),
    ]
    rows, bristle = 5, rng.uniform(0.009, 0.012)
    pitch = (head_long - 0.008) / rows
    tones = Paint(paints.white(rng)), Paint(paints.bright(rng))
    tinted = [(0, 2, 4), (2,), (0, 4), (0, 1, 2, 3, 4)][int(rng.integers(4))]
    for row in range(rows):
        at = (tail + 0.004 + (row + 0.5) * pitch, 0, head_high + bristle / 2 - 0.001)
        tuft = box((0.75 * pitch, 0.78 * head_wide, bristle), at)
        pieces.append(Piece("bristles", tuft, tones[row in tinted], 700))
    return Solid(centered(*pieces), ("handle",))


def padlock(rng: Rng) -> Solid:
    """A closed padlock; both faces look alike."""
    bow, rod = rng.uniform(0.0145, 0.017), rng.uniform(0.0042, 0.005)
    wide = 2 * (bow + rod) + rng.uniform(0.004, 0.012)
    tall, thick = rng.uniform(0.034, 0.044), rng.uniform(0.018, 0.022)
    leg = rng.uniform(0.01, 0.02)
    kind = str(rng.choice(["square", "round", "banded"]))
    color = paints.hsv(0.12, 0.65, 0.8) if rng.uniform() < 0.3 else paints.bright(rng)
    paint, trim = Paint(color), Paint(paints.contrast(rng, color))
    corner = 0.46 * min(wide, tall) if kind == "round" else 0.006
    body = extrude(rounded_rectangle(wide, tall, corner, 4), -thick / 2, thick / 2, 0.0025)
    top = tall / 2
    legs = np.array([(bow, top - 0.002), (bow, top + leg)])
    path = lift(np.concatenate([legs, arc(bow, 0, np.pi, 8, (0, top + leg))[1:-1],
                                legs[::-1] * (-1, 1)]))  # fmt: skip
    section = circle(rod, 8)
    links = sweep_convex(path[[0, 1, 3, 5, 7, 9, 10]], section)
    pieces = [
        Piece("body", body, paint, 2200),
        Piece("shackle", sweep(path, section), Paint(paints.steel(rng)), 2200, convex=links),
    ]
    dark = Paint(paints.white(rng) if max(trim.color) < 90 else paints.dark(rng))
    if kind == "banded":
        for y in (0.007 - top, top - 0.007):
            band = rounded_rectangle(wide + 0.003, 0.009, 0.003) + np.array((0, y))
            mesh = extrude(band, -thick / 2 - 0.0012, thick / 2 + 0.0012, 0.001)
            pieces.append(Piece("body", mesh, trim, 2200))
    else:
        plate = circle(0.3 * min(wide, tall), 14)
        pieces += [inlay("body", plate, side * thick / 2, trim, 2200) for side in (-1, 1)]
    hole = circle(0.0042, 8) + np.array((0, 0.002))
    slot = np.array([(-0.0026, -0.009), (0.0026, -0.009), (0.0018, 0), (-0.0018, 0)])
    for side in (-1, 1):
        pieces.append(inlay("body", hole, side * (thick / 2 + 0.0004), dark, 2200))
        pieces.append(inlay("body", slot, side * (thick / 2 + 0.0005), dark, 2200))
    return Solid(centered(*pieces, along=Y), ("body",), (SymmetryAxis(Y, 2),))


def key(rng: Rng) -> Solid:
    """A large key: the bow with its hole on -x, the bit or the cut blade on +x."""
    radius, hole = rng.uniform(0.018, 0.023), rng.uniform(0.0085, 0.0115)
    shaft, thick = rng.uniform(0.068, 0.085), rng.uniform(0.0115, 0.013)
    lobes, depth = [(1, 0.0), (3, 0.12), (4, 0.1), (6, 0.05)][int(rng.integers(4))]
    angle = 2 * np.pi * np.arange(24) / 24
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    outer = direction * (radius * (1 + depth * np.cos(lobes * (angle - np.pi))))[:, None]
    inner = direction * hole
    color = paints.bright(rng) if rng.uniform() < 0.7 else paints.hsv(0.12, 0.65, 0.8)
    metal = Paint(paints.steel(rng) if rng.uniform() < 0.6 else color)
    bow = plate_ring(outer, inner, -thick / 2, thick / 2)
    index = np.arange(25) % 24
    links = tuple(
        hull(*(lift(ring[index[k : k + 4]], offset=z)
               for ring in (outer, inner) for z in (-thick / 2, thick / 2)))
        for k in range(0, 24, 3)
    )  # fmt: skip
    pieces = [Piece("bow", bow, Paint(color), 2500, convex=links)]
    start = hole + 0.003
    if rng.uniform() < 0.5:  # an old key: a round shaft, a collar, a bit to one side
        rod = 0.0048
        stem = turned(cylinder(rod, start, radius + shaft, sides=10, bevel=0.001), Y, np.pi / 2)
        at = radius + 0.006
        collar = turned(cylinder(0.0068, at, at + 0.005, sides=10), Y, np.pi / 2)
        pieces += [Piece("shaft", stem, metal, 2500), Piece("shaft", collar, Paint(color), 2500)]
        teeth = int(rng.integers(2, 4))
        reach = rng.uniform(0.014, 0.02)
        for tooth in range(teeth):
            deep = reach * (1.0 if tooth % 2 == 0 else 0.72)
            center = (radius + shaft - 0.008 - 0.0105 * tooth, deep / 2 + 0.001, 0)
            pieces.append(Piece("bit", box((0.0068, deep, 0.0075), center, 0.0008), metal, 2500))
    else:  # a house key: a flat blade with cuts along one edge
        wide, steps, shaft = rng.uniform(0.016, 0.0195), 4, 0.78 * shaft
        x = np.linspace(radius + 0.018, radius + shaft - 0.008, 2 * steps + 1)
        cut = np.full(len(x), wide / 2)
        cut[1::2] -= rng.uniform(0.003, 0.006, steps)
        tip = [(radius + shaft - 0.006, -wide / 2), (radius + shaft, -0.001)]
        outline = np.concatenate(
            [[(start, -wide / 2)], tip, np.stack([x, cut], 1)[::-1], [(start, wide / 2)]]
        )
        blade = extrude(outline, -0.0045, 0.0045)
        links = extrude_convex(outline, -0.0045, 0.0045)
        pieces.append(Piece("shaft", blade, metal, 2500, convex=links))
    return Solid(centered(*pieces), ("shaft",))


def pliers(rng: Rng) -> Solid:
    """Closed pliers: jaws on +x; the two halves mirror each other across y."""
    slim = rng.uniform() < 0.5
    jaw = rng.uniform(0.055, 0.07) if slim else rng.uniform(0.04, 0.05)
    tip, cheek = (0.0045, 0.0075) if slim else (0.0075, 0.0115)
    back, spread = rng.uniform(0.1, 0.125), rng.uniform(0.0235, 0.0255)
    thick, hub = 0.0125, rng.uniform(0.011, 0.0135)
    shades = paints.steel(rng), paints.dark(rng)
    metal, seam = (Paint(c) for c in (shades if rng.uniform() < 0.7 else shades[::-1]))
    rubber = Paint(paints.bright(rng))
    side = np.array(
        [(-0.004, hub - 0.002), (0.12 * jaw, hub - 0.001), (0.5 * jaw, cheek), (jaw, tip)]
    )
    outline = np.concatenate([side * (1, -1), side[::-1]])
    jaws = extrude(outline, -thick / 2, thick / 2, 0.0008 if slim else 0.0015)
    cleft = np.array([(hub, -0.0016), (jaw - 0.001, -0.0016), (jaw - 0.001, 0.0016), (hub, 0.0016)])
    arms = [(0.004, 0.004), (-0.015, 0.011), (-0.45 * back, spread), (-back, 0.72 * spread)]
    line = curve(lift(arms), 10)
    section = rounded_rectangle(1, 1, 0.3, 1)
    arm = np.stack([line[:4], np.tile([0.0095, 0.0115, 1], (4, 1))])
    grip_scale = np.array([[0.85, 0.9], *[[1, 1]] * 6, [0.75, 0.8]]) * (
        rng.uniform(0.0125, 0.0145), rng.uniform(0.0145, 0.016))  # fmt: skip
    arm_mesh = sweep(arm[0], section, scale=arm[1, :, :2])
    arm_links = sweep_convex(arm[0], section, scale=arm[1, :, :2])
    pick = [0, 2, 4, 6, 7]
    grip = sweep(line[3:], section, scale=grip_scale)
    grip_links = sweep_convex(line[3:][pick], section, scale=grip_scale[pick])
    pieces = [
        Piece("jaws", jaws, metal, 2000),
        *(inlay("jaws", cleft, z, seam, 2000) for z in (-thick / 2, thick / 2)),
        *_pair("handles", arm_mesh, arm_links, metal, 2000),
        *_pair("handles", grip, grip_links, rubber, 1500),
        Piece("pivot", cylinder(hub, -0.007, 0.007, sides=14, bevel=0.001), metal, 2000),
        *(inlay("pivot", circle(0.0055, 10), z, rubber, 2000) for z in (-0.007, 0.007)),
    ]
    return Solid(centered(*pieces, along=X), ("handles", "jaws"), (SymmetryAxis(X, 2),))


def trowel(rng: Rng) -> Solid:
    """A gardener's scoop or a mason's flat triangle, hollow side up; the blade is on +x."""
    long, half = rng.uniform(0.085, 0.1), rng.uniform(0.027, 0.034)
    mason = rng.uniform() < 0.35
    depth = 0.002 if mason else rng.uniform(0.009, 0.013)
    across = np.array([-1, -0.68, -0.36, 0.36, 0.68, 1])
    rise = depth * (np.maximum(np.abs(across) - 0.36, 0) / 0.64) ** 1.2
    lower = np.stack([across, rise], 1)
    section = np.concatenate([lower, (lower + np.array((0, 0.0055)))[::-1]])
    u = np.array([0, 0.06, 0.2, 0.5, 0.75, 0.9, 1])
    width = np.array([0.45, 0.8, 1, 0.98, 0.78, 0.45, 0.14])
    if mason:
        width = np.array([0.6, 0.95, 0.88, 0.58, 0.33, 0.18, 0.09])
    path = np.outer(u * long, X)
    scale = np.stack([half * width, np.interp(u, [0, 0.6, 1], [1, 1, 0.7])], 1)
    color = paints.steel(rng) if rng.uniform() < 0.6 else paints.bright(rng)
    wood = rng.uniform() < 0.4
    handle = paints.timber(rng) if wood else Paint(paints.contrast(rng, color))
    coarse = [0, 2, 3, 4, 6]
    links = sweep_convex(path[coarse], section, scale=scale[coarse])
    blade = sweep(path, section, scale=scale)
    fat, tall = rng.uniform(0.019, 0.024), rng.uniform(0.03, 0.036)
    neck, grip = 0.032, rng.uniform(0.076, 0.086)
    bend = [(0.018, 0.0055), (0.004, 0.009), (-0.008, 0.6 * tall), (-0.018, 0.93 * tall),
            (-neck - 0.006, tall - 0.003)]  # fmt: skip
    rod, rod_links = bar(np.column_stack([bend, np.tile([0.0095, 0.0085], (5, 1))]))
    v = np.array([0, 0.05, 0.2, 0.45, 0.75, 0.92, 1])
    thick = fat * np.array([0.65, 0.82, 0.9, 1.0, 0.9, 1.0, 0.7])
    fall = tall - 0.002 + v * (0.5 * fat - tall + 0.002)
    swell, swell_links = bar(np.column_stack([-neck - v * grip, fall, thick, 0.92 * thick]))
    return Solid(
        centered(
            Piece("blade", blade, Paint(color), 2000, convex=links),
            Piece("handle", rod, Paint(color), 1500, convex=rod_links),
            Piece("handle", swell, handle, 900, convex=swell_links),
        ),
        ("handle",),
    )


CATEGORIES = {
    "toothbrush": toothbrush,
    "padlock": padlock,
    "key": key,
    "pliers": pliers,
    "trowel": trowel,
}
