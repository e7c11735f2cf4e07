"""OBJ and MTL text: writes the meshes of an object's folder and reads its own visual mesh back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from grasplearn.errors import AssetError
from grasplearn.types import Array

# Faces that meet at more than this are shaded apart.
CREASE = np.radians(40.0)
# 10 micrometres: finer than any mesh is made, coarse enough to be the same bytes everywhere.
DECIMALS = 5

_MATERIAL = "skin"
_MTL = f"""newmtl {_MATERIAL}
Ka 1 1 1
Kd 1 1 1
Ks 0 0 0
map_Kd texture.png
"""


@dataclass(frozen=True)
class VisualPart:
    """A named part's surface.

    Attributes:
        name: without white space.
        vertices: (n, 3) m in the object's frame.
        faces: (m, 3) indices into vertices, counter-clockwise seen from outside.
        uv: (n, 2) in the one texture of the object, (0, 0) at its lower left.
    """

    name: str
    vertices: Array
    faces: NDArray[np.int64]
    uv: Array


def write_visual(folder: Path, parts: Sequence[VisualPart]) -> None:
    """Writes ``visual.obj`` (one group a part, smooth but for creases) and ``visual.mtl``."""
    corners = np.concatenate([p.vertices[p.faces].reshape(-1, 3) for p in parts])
    uv = np.concatenate([p.uv[p.faces].reshape(-1, 2) for p in parts])
    names = np.repeat(np.arange(len(parts)), [len(p.faces) for p in parts])

    positions, position = np.unique(_rounded(corners, DECIMALS), axis=0, return_inverse=True)
    position = position.reshape(-1, 3)
    # Rounding may close a sliver; a face without area has no normal.
    triangles = positions[position]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    solid = np.linalg.norm(cross, axis=1) > 0
    position, cross, names = position[solid], cross[solid], names[solid]
    uv = uv.reshape(-1, 3, 2)[solid].reshape(-1, 2)

    coordinates, coordinate = np.unique(_rounded(uv, DECIMALS), axis=0, return_inverse=True)
    shading = _corner_normals(position, cross)
    directions, direction = np.unique(_rounded(shading, 4), axis=0, return_inverse=True)

    index = (
        np.stack([position, coordinate.reshape(-1, 3), direction.reshape(-1, 3)], axis=2) + 1
    )  # OBJ counts from 1
    lines = ["mtllib visual.mtl"]
    lines += _rows("v", positions) + _rows("vt", coordinates) + _rows("vn", directions)
    lines.append(f"usemtl {_MATERIAL}")
    for number, part in enumerate(parts):
        lines.append(f"g {part.name}")
        lines += [
            "f " + " ".join(f"{v}/{t}/{n}" for v, t, n in face) for face in index[names == number]
        ]
    _write(folder / "visual.obj", lines)
    (folder / "visual.mtl").write_text(_MTL, encoding="ascii")


def write_collision(path: Path, hulls: Iterable[trimesh.Trimesh]) -> None:
    """Writes one object a hull; PyBullet makes a convex shape of each."""
    lines: list[str] = []
    start = 1
    for number, hull in enumerate(hulls):
        lines.append(f"o piece_{number}")
        lines += _rows("v", _rounded(hull.vertices, DECIMALS))
        lines += [f"f {a} {b} {c}" for a, b, c in np.asarray(hull.faces) + start]
        start += len(hull.vertices)
    _write(path, lines)


def read_groups(path: Path) -> tuple[Array, NDArray[np.int64], tuple[str, ...], NDArray[np.int64]]:
    """Reads positions and named groups of triangles, nothing else, from an OBJ file.

    Returns:
        (n, 3) vertices, (m, 3) faces, the groups' names, and (m,) which group each face is in.

    Raises:
        AssetError: the file cannot be read or is not such an OBJ file.
    """
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    names: list[str] = []
    group: list[int] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(v) for v in rest.split()[:3]])
            elif kind in ("g", "o"):
                name = rest.strip() or "body"
                if name not in names:
                    names.append(name)
                current = names.index(name)
            elif kind == "f":
                corners = [int(c.partition("/")[0]) - 1 for c in rest.split()]
                if not names:
                    names, current = ["body"], 0
                for i in range(1, len(corners) - 1):
                    faces.append([corners[0], corners[i], corners[i + 1]])
                    group.append(current)
        points = np.array(vertices, dtype=np.float64).reshape(-1, 3)
        triangles = np.array(faces, dtype=np.int64).reshape(-1, 3)
        points[triangles]  # an index beyond the vertices raises here
    except (OSError, ValueError, IndexError) as error:
        raise AssetError(f"{path} cannot be read as an OBJ mesh: {error}") from error
    if not len(triangles):
        raise AssetError(f"{path} holds no faces: export the mesh with its triangles")
    return points, triangles, tuple(names), np.array(group, dtype=np.int64)


def _corner_normals(position: NDArray[np.int64], cross: Array) -> Array:
    """(3 m, 3) unit normals of (m, 3) faces' corners, smooth across all but creases.

    Corners are matched by position, so that a seam in the texture is not a seam in the shading.
    """
    normals = cross / np.linalg.norm(cross, axis=1, keepdims=True)
    shading = np.empty((*position.shape, 3))
    order = np.argsort(position, axis=None, kind="stable")
    ends = np.flatnonzero(np.diff(position.reshape(-1)[order])) + 1
    for corners in np.split(order, ends):
        faces = corners // 3
        smooth = normals[faces] @ normals[faces].T > np.cos(CREASE)
        total = smooth @ cross[faces]
        shading.reshape(-1, 3)[corners] = total / np.linalg.norm(total, axis=1, keepdims=True)
    return shading.reshape(-1, 3)


def _rounded(values: Array, decimals: int) -> Array:
    result: Array = np.round(np.asarray(values, float), decimals) + 0.0  # no "-0"
    return result


def _rows(kind: str, values: Array) -> list[str]:
    return [
        f"{kind} " + " ".join(f"{v:.{DECIMALS}f}".rstrip("0").rstrip(".") for v in row)
        for row in values
    ]


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
