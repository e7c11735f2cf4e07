"""Fruit and vegetables."""

from __future__ import annotations

import numpy as np

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    X,
    Y,
    Z,
    arc,
    centered,
    circle,
    revolve,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid

Rng = np.random.Generator


def banana(rng: Rng) -> Solid:
    """Bent in the plane of the table, its underside flat; the stem on the +x side."""
    length, radius = rng.uniform(0.13, 0.18), rng.uniform(0.0145, 0.0195)
    bend = rng.uniform(1.1, 1.9)  # rad, from end to end
    u = np.linspace(0, 1, 13)
    circle_radius = length / bend
    around = np.pi / 2 + bend * (0.5 - u)
    fat = 1 - 0.5 * np.abs(2 * u - 1) ** 2.6
    flat = radius * np.cos(np.pi / 10)  # from the middle of a ten-sided section to its underside
    path = np.column_stack(
        [circle_radius * np.cos(around), circle_radius * np.sin(around), flat * (fat - 1)]
    )
    section = circle(radius, 10)
    hue, ripe = rng.choice([0.135, 0.15, 0.21, 0.03], p=[0.35, 0.25, 0.2, 0.2]), rng.uniform() < 0.4
    gloss = rng.uniform(0.75, 0.97) * (0.7 if hue < 0.1 else 1.0)
    skin = paints.hsv(hue + rng.normal(0, 0.006), rng.uniform(0.7, 0.9), gloss)
    brown = paints.hsv(0.08, 0.6, rng.uniform(0.2, 0.35))
    spots = Paint(skin, brown, "speckle") if ripe else Paint(skin)
    stem_paint = Paint(paints.hsv(rng.uniform(0.12, 0.24), 0.65, rng.uniform(0.45, 0.6)))
    body = sweep(path, section, scale=fat[:, None])
    links = sweep_convex(path[::2], section, scale=fat[::2, None])

    ahead = (path[-1] - path[-3]) / np.linalg.norm(path[-1] - path[-3])
    long = rng.uniform(0.018, 0.026)
    along = np.array([-0.1, 0.3, 0.75, 1.0])
    thin = np.array([0.46, 0.3, 0.27, 0.34])
    stem = path[-1] + np.outer(along * long, ahead) + np.outer(flat * (thin - fat[-1]), Z)
    tip_thin = np.array([0.44, 0.34, 0.2])
    back = (path[0] - path[2]) / np.linalg.norm(path[0] - path[2])
    tip = path[0] + np.outer([-0.001, 0.004, 0.0075], back)
    tip += np.outer(flat * (tip_thin - fat[0]), Z)
    six = circle(radius, 6)
    return Solid(
        centered(
            Piece("middle", body, spots, 950, convex=links),
            Piece("stem", sweep(stem, six, scale=thin[:, None]), stem_paint, 950),
            Piece("tip", sweep(tip[::-1], six, scale=tip_thin[::-1, None]), Paint(brown), 950),
        ),
        ("middle",),
    )


def carrot(rng: Rng) -> Solid:
    """Along x, the tip towards -x; with leaves or with a short green stub."""
    leaves = int(rng.choice([0, 3, 4, 5]))
    long, radius = rng.uniform(0.105, 0.135), rng.uniform(0.0145, 0.021)
    taper = rng.uniform(0.25, 0.5)  # the tip's radius over the crown's
    u = np.array([0, 0.015, 0.08, 0.25, 0.5, 0.75, 0.93, 0.985, 1.0])
    body = taper + (1 - taper) * u**0.75
    body[:3] *= (0.25, 0.6, 0.9)
    body[-2:] = (0.82, 0.45)
    root = revolve(np.stack([radius * body, long * u], 1), 16)
    hue = rng.choice([0.055, 0.07, 0.125, 0.82, 0.97], p=[0.35, 0.25, 0.15, 0.15, 0.1])
    color = paints.hsv(hue + rng.normal(0, 0.006), rng.uniform(0.65, 0.92), rng.uniform(0.78, 0.97))
    shade = paints.hsv(hue, 0.9, 0.6)
    skin = Paint(color, shade, "stripes") if rng.uniform() < 0.4 else Paint(color)
    green = Paint(
        paints.hsv(rng.uniform(0.25, 0.38), rng.uniform(0.6, 0.85), rng.uniform(0.4, 0.7))
    )
    pieces = [Piece("body", turned(root, Y, np.pi / 2), skin, 1000)]
    if leaves == 0:
        stub = [
            (0.42, long - 0.002),
            (0.36, long + 0.006),
            (0.5, long + 0.011),
            (0.3, long + 0.014),
        ]
        mesh = revolve(np.multiply(stub, (radius, 1)), 10)
        pieces.append(Piece("leaves", turned(mesh, Y, np.pi / 2), green, 700))
    else:
        reach, spread = rng.uniform(0.05, 0.065), rng.uniform(0.2, 0.32)
        line = arc(0.12, 0, -reach / 0.12, 5) - (0.12, 0)  # bends outwards
        tilt = np.column_stack([np.zeros(6), -line[:, 0] + spread * -line[:, 1], -line[:, 1]])
        path = tilt + np.array((0, 0.1 * radius, long - 0.006))
        section, swell = circle(1, 6, 0.55), np.array([3, 2.8, 4.2, 5.8, 5.0, 1.8])[:, None] * 1e-3
        leaf = sweep(path, section, up=Y, scale=swell)
        links = sweep_convex(path[[0, 2, 3, 5]], section, up=Y, scale=swell[[0, 2, 3, 5]])
        for angle in 2 * np.pi * np.arange(leaves) / leaves:
            around = (turned(part, Z, angle) for part in (leaf, *links))
            mesh, *convex = (turned(part, Y, np.pi / 2) for part in around)
            pieces.append(Piece("leaves", mesh, green, 500, tuple(convex)))
    return Solid(centered(*pieces, along=X), ("body",), (SymmetryAxis(X, leaves),))


CATEGORIES = {"banana": banana, "carrot": carrot}
