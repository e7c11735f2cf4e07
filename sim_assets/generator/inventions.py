"""Categories that nobody has a word for: parts in a row, things on their sides, drawn at random.

What a net learns from thirty kinds of things it can take for a habit of those thirty. These are for
training alone: as many categories as are asked for, each a design, each member a variation of it in
sizes and colours, as the members of a named category are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from grasplearn.types import SymmetryAxis
from sim_assets.generator import paints
from sim_assets.generator.primitives import (
    Array,
    Mesh,
    X,
    Y,
    arc,
    bar,
    box,
    centered,
    circle,
    cylinder,
    each,
    ellipsoid,
    extrude,
    extrude_convex,
    hull,
    lift,
    moved,
    plate_ring,
    revolve,
    sweep,
    sweep_convex,
    turned,
)
from sim_assets.generator.solid import Paint, Piece, Solid

Rng = np.random.Generator

NAME = "invented"
# Parts overlap by this much where they meet, m.
OVERLAP = 0.002
# Of an outline's corners; a multiple of 3, so that a ring's segments come out even.
CORNERS = 30
# How members of a category differ: lengths and breadths by up to a quarter, contours by less.
SIZES, CONTOURS = 0.22, 0.1


@dataclass(frozen=True)
class Section:
    """One part of the row.

    Attributes:
        kind: ``round``, ``flat`` (a bar) or ``plate`` (an outline lying in the plane z = 0).
        length: along x; wide: along y; high: along z; m. A round one is as high as wide.
        contour: of round and flat ones the share of the breadth at stations along x; of a plate the
            strengths of its outline's waves.
        hole: a plate's, share of the outline; 0 for none.
        paint: a way to paint, an index into ``_PAINTS``; pattern: see ``Paint``.
    """

    kind: str
    length: float
    wide: float
    high: float
    contour: tuple[float, ...]
    hole: float
    paint: int
    pattern: str


@dataclass(frozen=True)
class Extra:
    """A thing on a section's side.

    Attributes:
        kind: ``knob``, ``peg``, ``fin`` or ``loop``. on: which section. at: share of its length.
        angle: around the row, rad: 0 is on +y, a quarter turn on +z.
        size: m. paint: see ``Section``.
    """

    kind: str
    on: int
    at: float
    angle: float
    size: float
    paint: int


@dataclass(frozen=True)
class Design:
    """What the members of a category have in common."""

    sections: tuple[Section, ...]
    extras: tuple[Extra, ...]
    upright: float


_PAINTS: tuple[Callable[[Rng], tuple[int, int, int]], ...] = (
    paints.bright, paints.bright, paints.bright, paints.pastel,
    paints.dark, paints.white, paints.steel,
)  # fmt: skip
_TIMBER = len(_PAINTS)


def invented(number: int) -> Callable[[Rng], Solid]:
    """Returns the builder of the ``number``-th invented category."""
    drawn = design(np.random.default_rng([zlib.crc32(NAME.encode()), number]))
    return lambda rng: build(varied(drawn, rng), rng)


def design(rng: Rng) -> Design:
    """Draws a category: long and thin like a tool, or short and thick like a vessel or a toy."""
    slender = rng.uniform() < 0.6
    count = int(rng.integers(2, 5)) if slender else int(rng.integers(1, 4))
    whole = rng.uniform(0.11, 0.2) if slender else rng.uniform(0.05, 0.12)
    shares = rng.uniform(0.5, 2.0, count)
    lengths = np.maximum(whole * shares / shares.sum(), 0.018)
    sections = tuple(_section(rng, float(length), slender) for length in lengths)
    few = rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25] if slender else [0.2, 0.45, 0.35])
    extras = tuple(_extra(rng, sections) for _ in range(int(few)))
    return Design(sections, extras, 0.0 if slender else float(rng.uniform(0, 0.6)))


def _section(rng: Rng, length: float, slender: bool) -> Section:
    kind = str(rng.choice(["round", "flat", "plate"], p=[0.4, 0.35, 0.25]))
    wide = rng.uniform(0.012, 0.032) if slender else rng.uniform(0.03, 0.068)
    if kind == "plate":
        # An outline is about as broad as long; a broad one is thin enough to be grasped flat.
        wide = float(np.clip(length * rng.uniform(0.5, 1.2), 0.02, 0.07))
        high = rng.uniform(0.008, 0.018)
        waves = rng.normal(0, 1, 5) * [0.18, 0.14, 0.1, 0.07, 0.07] * rng.integers(0, 2, 5)
        hole = float(rng.uniform(0.35, 0.6)) if rng.uniform() < 0.35 else 0.0
        contour = tuple(float(wave) for wave in waves)
    else:
        # Of a square section nobody could tell the quarter turns apart.
        high = wide if kind == "round" else wide * rng.uniform(0.35, 0.75)
        hole, stations = 0.0, int(rng.integers(3, 6))
        contour = tuple(float(share) for share in rng.uniform(0.55, 1.0, stations))
    paint = int(rng.integers(_TIMBER + 1))
    pattern = str(rng.choice(["plain", "stripes", "label"], p=[0.75, 0.13, 0.12]))
    return Section(kind, length, float(wide), float(high), contour, hole, paint, pattern)


def _extra(rng: Rng, sections: tuple[Section, ...]) -> Extra:
    kind = str(rng.choice(["knob", "peg", "fin", "loop"], p=[0.3, 0.3, 0.25, 0.15]))
    on = int(rng.integers(len(sections)))
    angle = float(rng.choice([0, 0.5, 1, 1.5]) * np.pi)
    size = rng.uniform(0.4, 0.8) * float(np.clip(sections[on].wide, 0.016, 0.04))
    return Extra(kind, on, float(rng.uniform(0.2, 0.8)), angle, size, int(rng.integers(_TIMBER)))


def varied(design: Design, rng: Rng) -> Design:
    """Returns a member's own design: other sizes, other proportions, contours a little other."""

    def about(value: float, much: float) -> float:
        return float(value * np.exp(rng.uniform(-much, much)))

    whole = about(1.0, SIZES)
    sections = tuple(
        replace(
            section,
            length=about(section.length * whole, SIZES),
            wide=(wide := min(about(section.wide * whole, SIZES), 0.072)),
            high=wide if section.kind == "round" else section.high * wide / section.wide,
            contour=tuple(about(share, CONTOURS) for share in section.contour),
        )
        for section in design.sections
    )
    extras = tuple(
        replace(extra, at=about(extra.at, CONTOURS), size=about(extra.size, SIZES))
        for extra in design.extras
    )
    return Design(sections, extras, design.upright)


def build(design: Design, rng: Rng) -> Solid:
    """Makes a member; ``rng`` draws its colours alone."""
    pieces, starts, x = [], [], 0.0
    for number, section in enumerate(design.sections):
        starts.append(x)
        mesh, links = _SHAPES[section.kind](section)
        mesh, links = moved(mesh, (x, 0, 0)), each(links, moved, (x, 0, 0))
        density = float(rng.uniform(400, 1500))
        pieces.append(
            Piece(_part(number), mesh, _paint(section.paint, section.pattern, rng), density, links)
        )
        x += section.length - OVERLAP
    for number, extra in enumerate(design.extras):
        section = design.sections[extra.on]
        at = starts[extra.on] + min(extra.at, 0.9) * section.length
        mesh, links = _attached(extra, section, at)
        paint = _paint(extra.paint, "plain", rng)
        pieces.append(Piece(f"extra{number}", mesh, paint, 800, links))
    parts = [_part(number) for number in range(len(design.sections))]
    loops = [f"extra{n}" for n, extra in enumerate(design.extras) if extra.kind == "loop"]
    return Solid(
        centered(*pieces, along=X),
        tuple(parts + loops),
        _symmetry(design),
        friction=0.6,
        upright=design.upright,
    )


def _part(number: int) -> str:
    return f"part{number}"


def _paint(way: int, pattern: str, rng: Rng) -> Paint:
    if way == _TIMBER:
        return paints.timber(rng)
    color = _PAINTS[way](rng)
    accent = None if pattern == "plain" else paints.contrast(rng, color)
    return Paint(color, accent, pattern)


def _symmetry(design: Design) -> tuple[SymmetryAxis, ...]:
    """Around the row: every turn if all is round, else the half turn, none with anything on it."""
    if design.extras or any(s.kind == "plate" and any(s.contour) for s in design.sections):
        return ()
    return (SymmetryAxis(X, 0 if all(s.kind == "round" for s in design.sections) else 2),)


def _round(section: Section) -> tuple[Mesh, tuple[Mesh, ...]]:
    radii = section.wide / 2 * np.array(section.contour)
    along = np.linspace(0, section.length, len(radii))
    mesh = turned(revolve(np.stack([radii, along], 1), 18), Y, np.pi / 2)
    rings = [lift(circle(r, 10), "yz", x) for r, x in zip(radii, along, strict=True)]
    return mesh, tuple(hull(a, b) for a, b in pairwise(rings))


def _flat(section: Section) -> tuple[Mesh, tuple[Mesh, ...]]:
    shares = np.array(section.contour)
    along = np.linspace(0, section.length, len(shares))
    flat = np.zeros(len(shares))
    high = section.high * (0.7 + 0.3 * shares)
    return bar(np.column_stack([along, flat, section.wide * shares, high]), stride=1)


def _plate(section: Section) -> tuple[Mesh, tuple[Mesh, ...]]:
    angle = 2 * np.pi * np.arange(CORNERS) / CORNERS
    waves = [a * np.cos((k + 2) * angle + k) for k, a in enumerate(section.contour)]
    radius = np.clip(1 + np.sum(waves, axis=0), 0.55, 1.5)
    outline = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    size = outline.max(0) - outline.min(0)
    outline = (outline - outline.min(0)) / size * [section.length, section.wide]
    outline -= [0, section.wide / 2]
    half = section.high / 2
    if not section.hole:
        return extrude(outline, -half, half, 0.0015), extrude_convex(outline, -half, half)
    middle = outline.mean(0)
    inner = middle + section.hole * (outline - middle)
    mesh = plate_ring(outline, inner, -half, half)
    return mesh, _ring(outline, inner, half)


def _ring(outer: Array, inner: Array, half: float) -> tuple[Mesh, ...]:
    index = np.arange(CORNERS + 1) % CORNERS
    return tuple(
        hull(*(lift(r[index[k : k + 4]], offset=z) for r in (outer, inner) for z in (-half, half)))
        for k in range(0, CORNERS, 3)
    )


_SHAPES = {"round": _round, "flat": _flat, "plate": _plate}


def _attached(extra: Extra, section: Section, x: float) -> tuple[Mesh, tuple[Mesh, ...]]:
    """Returns the thing where it belongs, its foot within the section."""
    across = section.wide if abs(np.cos(extra.angle)) > 0.5 else section.high
    foot, s = 0.35 * across, extra.size
    links: tuple[Mesh, ...] = ()
    match extra.kind:
        case "knob":
            mesh = ellipsoid((0.5 * s, foot + 0.5 * s, 0.5 * s), (0, 0, 0))
        case "peg":
            mesh = turned(cylinder(0.25 * s, 0, foot + 1.2 * s, 10, 0.001), X, -np.pi / 2)
        case "fin":
            mesh = box((1.2 * s, foot + 0.7 * s, 0.25 * s), (0, (foot + 0.7 * s) / 2, 0), 0.001)
        case _:
            bow = arc(0.8 * s, 0, np.pi, 10) * (1, 1.3) + np.array((0, foot))
            path, rod = lift(bow), circle(max(0.15 * s, 0.0035), 8)
            mesh, links = sweep(path, rod), sweep_convex(path[::2], rod)
    place = (x, 0, 0)
    mesh = moved(turned(mesh, X, extra.angle), place)
    return mesh, each(each(links, turned, X, extra.angle), moved, place)
