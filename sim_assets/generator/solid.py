"""The values every category module of the generator returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import trimesh

from grasplearn.types import SymmetryAxis


@dataclass(frozen=True)
class Paint:
    """How a piece looks: an sRGB colour in 0..255 and, for a pattern, a second one."""

    color: tuple[int, int, int]
    accent: tuple[int, int, int] | None = None
    pattern: str = "plain"  # plain | stripes | label | wood | speckle


@dataclass(frozen=True)
class Piece:
    """One closed solid of a named part, in metres, in the object's frame.

    ``convex`` lists the collision solids. Empty means "the mesh's own convex hull will do";
    ``decompose=True`` asks CoACD for them instead (for shapes nobody wants to split by hand).
    """

    part: str
    mesh: trimesh.Trimesh
    paint: Paint
    density: float  # kg / m^3, of the solid mesh (a hollow thing gets a low one)
    convex: tuple[trimesh.Trimesh, ...] = ()
    decompose: bool = False


@dataclass(frozen=True)
class Solid:
    """A whole object. ``graspable`` names the parts a person would grasp it by, best first."""

    pieces: tuple[Piece, ...]
    graspable: tuple[str, ...]
    symmetry: tuple[SymmetryAxis, ...] = field(default=())
    friction: float = 0.6
    upright: float = 0.0  # how often people set it down with its frame's z up
