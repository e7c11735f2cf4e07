"""Things of a household: torch, comb, box, paint brush, scissors."""

from __future__ import annotations

import numpy as np
import trimesh

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Mesh,
    X,
    Y,
    Z,
    box,
    circle,
    curve,
    cylinder,
    extrude,
    extrude_convex,
    hull,
    lift,
    moved,
    revolve,
    rounded_rectangle,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid


def torch(rng: np.random.Generator) -> Solid:
    """A flashlight along z: tail cap, barrel, wider head with a bright lens at the top."""
    length, barrel = rng.uniform(0.12, 0.175), rng.uniform(0.0125, 0.017)
    head, flare = barrel * rng.uniform(1.35, 1.6), rng.uniform(0.012, 0.03)
    end, crown = length / 2, rng.uniform(0.018, 0.03)
    color = paints.bright(rng) if rng.uniform() < 0.7 else paints.dark(rng)
    trim = Paint(paints.contrast(rng, color))
    neck = end - crown - flare
    pattern = "stripes" if rng.uniform() < 0.3 else "plain"
    shell = revolve(
        [(barrel, neck - 0.002), (head, neck + flare), (head, end - 0.004), (head - 0.002, end),
         (head - 0.0045, end), (head - 0.006, end - 0.004), (0, end - 0.004)], 20
    )  # fmt: skip
    tube = cylinder(barrel, -end + 0.012, neck, 18)
    tail = cylinder(barrel * 1.12, -end, -end + 0.016, 18, bevel=0.002)
    lens = cylinder(head - 0.005, end - 0.006, end - 0.002, 18)
    collar = cylinder(barrel * 1.1, neck - 0.012, neck - 0.006, 18, bevel=0.0008)
    glass = Paint(paints.hsv(0.14, rng.uniform(0.15, 0.5), 1.0))
    pieces = [
        Piece("body", tube, Paint(color, paints.contrast(rng, color), pattern), 1500),
        Piece("tail", tail, trim, 1500),
        Piece("head", shell, trim if rng.uniform() < 0.5 else Paint(color), 900),
        Piece("lens", lens, glass, 1500),
        Piece("body", collar, trim, 1500),
    ]
    if rng.uniform() < 0.5:
        return Solid(tuple(pieces), ("body", "head"), (SymmetryAxis(Z, 0),))
    button = box((0.006, 0.009, 0.018), (barrel, 0, neck - 0.03), 0.0015)
    return Solid(
        (*pieces, Piece("button", button, Paint(paints.dark(rng)), 1000)), ("body", "head")
    )


def comb(rng: np.random.Generator) -> Solid:
    """A comb in the plane z = 0: a thick back along x, teeth towards -y; some have a handle."""
    thick, tall = rng.uniform(0.0085, 0.0105), rng.uniform(0.021, 0.026)
    teeth, handled = rng.uniform(0.013, 0.017), rng.uniform() < 0.5
    row = rng.uniform(0.075, 0.1) if handled else rng.uniform(0.115, 0.165)
    count = int(row / rng.uniform(0.0062, 0.0085))
    color = paints.bright(rng)
    paint = (
        Paint(color, paints.contrast(rng, color), "stripes")
        if rng.uniform() < 0.3
        else Paint(color)
    )
    paint = paints.timber(rng) if rng.uniform() < 0.2 else paint
    half, start = thick / 2, -row / 2
    drop = rng.uniform(0.0, 0.005)
    top = curve([(row / 2, tall - drop), (0, tall), (-row / 2, tall - drop)], 6)
    back = np.concatenate([[(-row / 2, 0), (row / 2, 0)], top])
    pitch, width = row / count, 0.55 * row / count
    tooth = hull(
        lift(rounded_rectangle(width, thick * 0.8, 0.0005, 0), "xz", 0.002),
        lift(rounded_rectangle(0.6 * width, thick * 0.5, 0.0003, 0), "xz", -teeth),
    )
    guard = box((0.0055, teeth + 0.002, thick), (0, -teeth / 2 + 0.001, 0), 0.001)
    places = start + pitch * (np.arange(count) + 0.5)
    row_mesh = trimesh.util.concatenate(
        [moved(guard if i in (0, count - 1) else tooth, (x, 0, 0)) for i, x in enumerate(places)]
    )
    block = box((row, teeth, 0.9 * thick), (0, -teeth / 2, 0))
    pieces = [
        Piece(
            "back",
            extrude(back, -half, half, 0.0015),
            paint,
            1450,
            convex=extrude_convex(back, -half, half),
        ),
        Piece("teeth", row_mesh, paint, 1450, convex=(block,)),
    ]
    if not handled:
        return Solid(tuple(pieces), ("back",), (SymmetryAxis(Y, 2),))
    grip = rng.uniform(0.065, 0.085)
    path = curve(
        [
            (row / 2 - 0.006, 0.4 * tall),
            (row / 2 + 0.5 * grip, 0.2 * tall),
            (row / 2 + grip, 0.3 * tall),
        ],
        5,
    )
    section = rounded_rectangle(tall, thick, 0.003, 1)
    scale = np.array([(1.0, 1.0), (0.85, 1), (0.8, 1), (0.95, 1), (1.0, 1), (0.65, 0.9)])
    handle = Piece("handle", sweep(lift(path), section, scale=scale), paint, 1450,
                   convex=sweep_convex(lift(path), section, scale=scale))  # fmt: skip
    shift = (-grip / 2, 0, 0)
    pieces = [
        Piece(
            p.part,
            moved(p.mesh, shift),
            p.paint,
            p.density,
            tuple(moved(c, shift) for c in p.convex),
        )
        for p in (*pieces, handle)
    ]
    return Solid(tuple(pieces), ("handle", "back"))


def carton(rng: np.random.Generator) -> Solid:
    """A box: taped carton, gift with ribbon and bow, tin with a lid, or a matchbox half open."""
    kind = str(rng.choice(["taped", "gift", "lidded", "sliding"]))
    long, middle = rng.uniform(0.07, 0.12), rng.uniform(0.042, 0.058)
    low = middle * rng.uniform(0.6, 0.92)
    card = Paint(paints.hsv(rng.uniform(0.07, 0.1), rng.uniform(0.05, 0.5), rng.uniform(0.6, 0.9)))
    color, density = paints.bright(rng), rng.uniform(350, 600)
    gay, trim = Paint(color), Paint(paints.contrast(rng, color))
    up = SymmetryAxis(Z, 2)
    if kind == "taped":
        tape = box((long + 0.0012, 0.4 * middle, low + 0.0012))
        seam = box((long + 0.002, 0.0025, low + 0.002))
        pieces: tuple[Piece, ...] = (
            Piece("body", box((long, middle, low), bevel=0.001), card, density),
            Piece("tape", tape, gay, 1.0),
            Piece("tape", seam, Paint(paints.dark(rng)), 1.0),
        )
        return Solid(pieces, ("body",), (up, SymmetryAxis(X, 2)))
    if kind == "gift":
        ribbons = (
            box((long + 0.0012, 0.011, low + 0.0012)),
            box((0.011, middle + 0.0012, low + 0.0012)),
        )
        loop = lift(circle(0.009, 12, 0.6) + np.array((0.0095, 0.0055)), "xz")
        bow = sweep(loop, rounded_rectangle(0.010, 0.0024, 0.0008, 0), up=Y, loop=True)
        bows = [moved(turned(bow, Z, a), (0, 0, low / 2)) for a in (0.6, 0.6 + np.pi)]
        solid = box((0.02, 0.01, 0.012), (0.0095, 0, 0.0055))
        flat = [moved(turned(solid, Z, a), (0, 0, low / 2)) for a in (0.6, 0.6 + np.pi)]
        pieces = (
            Piece("body", box((long, middle, low), bevel=0.0008), gay, density),
            *(Piece("ribbon", m, trim, 1.0) for m in ribbons),
            *(Piece("bow", m, trim, 500, convex=(c,)) for m, c in zip(bows, flat, strict=True)),
        )
        return Solid(pieces, ("body",), (up,))
    if kind == "lidded":
        depth = rng.uniform(0.3, 0.45) * low
        decor = Paint(
            color, paints.contrast(rng, color), str(rng.choice(["plain", "label", "stripes"]))
        )
        lid = box((long + 0.004, middle + 0.004, depth), (0, 0, low / 2 - depth / 2), 0.0012)
        pieces = (
            Piece("body", box((long, middle, low - 0.002), (0, 0, -0.001), 0.001), decor, density),
            Piece("lid", lid, trim, density),
        )
        return Solid(pieces, ("body",), (up,))
    out = rng.uniform(0.25, 0.45) * long
    wall = 0.003
    sleeve = box((long, middle, low), bevel=0.0008)
    label = box((0.72 * long, 0.7 * middle, low + 0.001))
    tray_floor = box(
        (out + 0.01, middle - 0.006, 0.004), ((long + out) / 2 - 0.005, 0, -low / 2 + 0.006)
    )
    sides = [
        box(
            (out + 0.01, wall, low - 0.008),
            ((long + out) / 2 - 0.005, y * (middle / 2 - 0.0045), 0),
        )
        for y in (-1, 1)
    ]
    front = box((wall, middle - 0.006, low - 0.008), (long / 2 + out - wall / 2, 0, 0))
    pieces = (
        Piece("body", sleeve, gay, density),
        Piece("body", label, trim, 1.0),
        *(Piece("tray", m, card, density) for m in (tray_floor, *sides, front)),
    )
    shift = (-out / 2, 0, 0)
    return Solid(
        tuple(Piece(p.part, moved(p.mesh, shift), p.paint, p.density) for p in pieces),
        ("body", "tray"),
    )


def brush(rng: np.random.Generator) -> Solid:
    """A paint brush along x: handle, metal ferrule, bristles; flat or round."""
    grip, metal, hair = rng.uniform(0.085, 0.11), rng.uniform(0.02, 0.028), rng.uniform(0.03, 0.045)
    flat = rng.uniform() < 0.65
    thick = rng.uniform(0.012, 0.015)
    width = rng.uniform(0.028, 0.05) if flat else thick * 1.25
    thick = thick if flat else width
    wooden = rng.uniform() < 0.45
    paint = paints.timber(rng) if wooden else Paint(paints.bright(rng))
    x0 = -(grip + metal + hair) / 2
    section = rounded_rectangle(1.0, 1.0, 0.3, 1) if flat else circle(0.5, 14)
    stations = np.array([0.0, 0.04, 0.25, 0.6, 0.85, 1.04]) * grip + x0
    belly = max(0.4 * width, 0.0155) if flat else 0.9 * width
    w = np.array([0.5 * belly, 0.75 * belly, belly, 0.62 * belly, 0.75 * width, 0.9 * width])
    t = np.full(6, 0.8 * thick) if flat else w
    t = t * np.array([0.7, 0.9, 1.0, 1.0, 1.0, 1.0]) if flat else t
    handle_path = lift(np.stack([stations, 0 * stations], 1))
    sizes = np.stack([w, t], 1)
    handle = sweep(handle_path, section, scale=sizes)
    links = sweep_convex(handle_path, section, scale=sizes)

    def block(
        start: float, end: float, first: tuple[float, float], last: tuple[float, float]
    ) -> Mesh:
        at = np.array([(start, 0.0, 0.0), (end, 0.0, 0.0)])
        return sweep(at, section, scale=np.array([first, last]))

    x1, x2 = x0 + grip, x0 + grip + metal
    ferrule = block(x1, x2, (width, thick), (width, thick))
    bead = block(
        x1 + 0.25 * metal,
        x1 + 0.4 * metal,
        (width + 0.0016, thick + 0.0016),
        (width + 0.0016, thick + 0.0016),
    )
    tip = (1.04 * width, 0.55 * thick) if flat else (0.35 * width, 0.35 * width)
    swell = block(
        x2 - 0.002, x2 + 0.45 * hair, (0.92 * width, 0.9 * thick), (1.03 * width, 0.95 * thick)
    )
    end = block(x2 + 0.45 * hair, x2 + hair, (1.03 * width, 0.95 * thick), tip)
    dip = Paint(paints.bright(rng)) if rng.uniform() < 0.6 else None
    bristle = Paint(paints.hsv(0.09, rng.uniform(0.3, 0.55), rng.choice([0.25, 0.85])))
    steel = Paint(paints.steel(rng))
    pieces = (
        Piece("handle", handle, paint, 900, convex=links),
        Piece("ferrule", ferrule, steel, 2500),
        Piece("ferrule", bead, steel, 2500),
        Piece("bristles", swell, bristle, 500),
        Piece("bristles", end, dip or bristle, 500),
    )
    return Solid(pieces, ("handle", "ferrule"), (SymmetryAxis(X, 2),))


def scissors(rng: np.random.Generator) -> Solid:
    """Scissors a little open, tips towards +x; the two halves lie one on the other."""
    blade, shank = rng.uniform(0.07, 0.09), rng.uniform(0.035, 0.045)
    eye, opening = rng.uniform(0.017, 0.02), np.radians(rng.uniform(9, 15))
    bar, layer = rng.uniform(0.0085, 0.0105), rng.uniform(0.0042, 0.005)
    color = paints.bright(rng) if rng.uniform() < 0.8 else paints.dark(rng)
    grip, steel = Paint(color), Paint(paints.steel(rng))
    tall = 2 * layer + 0.001
    outline = np.array([(-0.02, -0.0065), (0.012, -0.0055), (blade, -0.003),
                        (blade + 0.003, -0.001), (0.3 * blade, 0.0085), (0.0, 0.0085),
                        (-0.02, 0.005)])  # fmt: skip
    steel_mesh = extrude(outline, 0.0002, layer, 0.0007)
    ring = lift(circle(eye, 12, 0.72))
    loop = sweep(ring, rounded_rectangle(bar, tall, 0.0025, 1), loop=True)
    links = sweep_convex(ring[::2], rounded_rectangle(bar, tall, 0.0025, 1), loop=True)
    away = (-shank - eye, -0.6 * eye - 0.012, 0)
    place = [moved(turned(m, Z, 0.25), away) for m in (loop, *links)]
    path = lift([(-0.008, -0.001), (-0.022, -0.003), (-shank, away[1] * 0.72)])
    stem = sweep(path, rounded_rectangle(bar + 0.001, layer * 2 + 0.0005, 0.002, 1))
    pieces: list[Piece] = []
    for flip in (False, True):

        def side(mesh: Mesh, flip: bool = flip) -> Mesh:
            mesh = turned(mesh, Z, opening / 2)
            return turned(mesh, X, np.pi) if flip else mesh

        pieces += [
            Piece("blade", side(steel_mesh), steel, 5500),
            Piece("handle", side(place[0]), grip, 1100, convex=tuple(map(side, place[1:]))),
            Piece("handle", side(stem), grip, 1100),
        ]
    screw = cylinder(0.0045, -layer - 0.0008, layer + 0.0008, 10)
    pieces.append(Piece("pivot", screw, Paint(paints.dark(rng)), 5500))
    return Solid(tuple(pieces), ("handle", "blade"), (SymmetryAxis(X, 2),))


CATEGORIES = {
    "torch": torch,
    "comb": comb,
    "box": carton,
    "brush": brush,
    "scissors": scissors,
}
