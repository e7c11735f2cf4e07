"""Reads a user's mesh with its colours, and follows no name out of the user's folder."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasplearn.errors import AssetError
from grasplearn.sim.wavefront import read_groups
from grasplearn.types import Array

# What trimesh stumbles on is reported to the user here, not printed by Python's last resort.
logging.getLogger("trimesh").addHandler(logging.NullHandler())

MESH_ENDINGS = (".obj", ".stl", ".ply", ".glb")
# What a mesh without any colour looks like.
GREY = (170, 170, 170)
# A mesh of this size takes minutes to read and is never needed for a thing of some centimetres.
MAX_BYTES = 200 * 2**20
# More groups than this are a CAD program's bookkeeping, not the parts of an everyday object.
MAX_PARTS = 12


class MeshError(AssetError):
    """A user's object cannot be used: what is wrong, and what to do about it."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem, self.fix = problem, fix


@dataclass(frozen=True, eq=False)
class Skin:
    """A mesh as it was read, before anything is repaired or simplified.

    Attributes:
        meshes: with their colours, in one frame, m.
        parts: for each mesh the part's name of each of its faces, (m,) strings.
        missing: names of textures that were asked for and are not there.
    """

    meshes: tuple[trimesh.Trimesh, ...]
    parts: tuple[NDArray[np.str_], ...]
    missing: tuple[str, ...] = ()

    @property
    def vertices(self) -> Array:
        return np.concatenate([np.asarray(m.vertices) for m in self.meshes])

    def moved(self, T: Array) -> Skin:
        """The same under a (4, 4) affine transform."""
        meshes = []
        for mesh in self.meshes:
            copy = mesh.copy()
            copy.apply_transform(T)
            meshes.append(copy)
        return Skin(tuple(meshes), self.parts, self.missing)


@dataclass
class _Nearby(trimesh.resolvers.Resolver):  # type: ignore[misc]
    """Hands a mesh the files it names, from inside one folder, and notes those not there."""

    folder: Path
    root: Path
    missing: list[str] = field(default_factory=list)

    def get(self, key: str) -> bytes:
        try:
            return inside(self.root, self.folder, key).read_bytes()
        except (MeshError, OSError) as error:
            self.missing.append(Path(key).name)
            raise KeyError(key) from error

    def write(self, name: str, data: object) -> None:
        raise NotImplementedError("a user's folder is only read")

    def namespaced(self, namespace: str) -> _Nearby:
        return self

    def keys(self) -> Iterator[str]:
        return (p.name for p in self.folder.iterdir())


def inside(root: Path, folder: Path, name: str) -> Path:
    """The file that ``name`` means in ``folder``, which must exist and lie in ``root``.

    Raises:
        MeshError: it is not there, or it lies elsewhere (also by way of a symbolic link).
    """
    name = name.removeprefix("file://").replace("\\", "/")
    if name.startswith("package://"):
        name = name.removeprefix("package://").partition("/")[2]
    path = (folder / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise MeshError(f"'{name}' lies outside {root}", "copy it into that folder")
    if not path.is_file():
        raise MeshError(f"'{name}' is not there", f"put it into {folder}")
    return path


def load_skin(path: Path, root: Path) -> Skin:
    """Reads an OBJ, STL, PLY or GLB file.

    Args:
        path: the file. root: files that it names are read only from inside this folder.

    Raises:
        MeshError: the file cannot be read, or holds no faces or vertices that are NaN.
    """
    kind = path.suffix.lower()
    if kind not in MESH_ENDINGS:
        raise MeshError(f"{path.name} is not a mesh", f"use one of {', '.join(MESH_ENDINGS)}")
    if path.stat().st_size > MAX_BYTES:
        raise MeshError(f"{path.name} is larger than {MAX_BYTES >> 20} MB", "simplify the mesh")
    resolver = _Nearby(path.parent, root)
    try:
        scene: Any = trimesh.load_scene(
            io.BytesIO(path.read_bytes()), file_type=kind[1:], resolver=resolver, process=False
        )
        found = [m for m in scene.dump() if isinstance(m, trimesh.Trimesh) and len(m.faces)]
    except Exception as error:  # trimesh's readers raise whatever their parsing stumbles on
        reason = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, ImportError):  # it wished for a package to guess the encoding with
            reason = ["neither text nor binary of that kind"]
        raise MeshError(
            f"{path.name} cannot be read as {kind[1:].upper()} ({reason[0]})",
            "export it again",
        ) from error
    if not found:
        raise MeshError(f"{path.name} holds no faces", "export the mesh with its triangles")
    for mesh in found:
        if not np.isfinite(mesh.vertices).all():
            raise MeshError(f"{path.name} has vertices that are NaN or infinite", "export it again")
    parts = _groups(path, found) if kind == ".obj" else [_body(m) for m in found]
    textures = [n for n in dict.fromkeys(resolver.missing) if Path(n).suffix.lower() != ".mtl"]
    # A material file that is not there takes its textures along.
    missing = tuple(textures or dict.fromkeys(resolver.missing))
    return Skin(tuple(found), tuple(parts), missing)


def _body(mesh: trimesh.Trimesh) -> NDArray[np.str_]:
    return np.full(len(mesh.faces), "body", dtype="U64")


def _groups(path: Path, meshes: list[trimesh.Trimesh]) -> list[NDArray[np.str_]]:
    """Names of the OBJ file's groups, matched by where faces lie: trimesh reorders them."""
    vertices, faces, names, group = read_groups(path)
    if not 1 < len(names) <= MAX_PARTS:
        return [_body(m) for m in meshes]
    tidy = np.array([tidy_name(n) for n in names], dtype="U64")
    tree = cKDTree(vertices[faces].mean(axis=1))
    return [tidy[group[tree.query(m.triangles_center)[1]]] for m in meshes]


def tidy_name(name: str) -> str:
    """Letters, digits, ``_`` and ``-`` only: fit for a file, a URDF and a command line."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    return kept.strip("_") or "unnamed"


@dataclass(frozen=True, eq=False)
class ColoredPoints:
    """Points (n, 3) m on a surface, unit normals (n, 3) and RGB colours (n, 3) uint8."""

    points: Array
    normals: Array
    colors: NDArray[np.uint8]


def sample_colors(skin: Skin, count: int, rng: np.random.Generator) -> ColoredPoints:
    """About ``count`` points spread by area over all meshes, with the colours they show."""
    areas = [float(np.asarray(m.area_faces).sum()) for m in skin.meshes]
    samples = []
    for mesh, area in zip(skin.meshes, areas, strict=True):
        number = int(np.ceil(count * area / sum(areas)))
        reach = np.cumsum(mesh.area_faces)
        face = np.searchsorted(reach, (np.arange(number) + 0.5) / number * reach[-1])
        u, v = rng.random((2, number))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        weights = np.stack([1 - u - v, u, v], axis=1)
        points = np.einsum("nk,nkd->nd", weights, np.asarray(mesh.triangles)[face])
        cross = np.asarray(mesh.triangles_cross)[face]
        normals = cross / np.linalg.norm(cross, axis=1, keepdims=True)
        samples.append((points, normals, _colors(mesh, face, weights, bool(skin.missing))))
    points, normals, colors = (np.concatenate(column) for column in zip(*samples, strict=True))
    return ColoredPoints(points, normals, colors)


def _colors(
    mesh: trimesh.Trimesh, face: NDArray[np.int64], weights: Array, texture_missing: bool
) -> NDArray[np.uint8]:
    """(n, 3) colours at barycentric ``weights`` (n, 3) of faces (n,)."""
    visual: Any = mesh.visual
    corners = np.asarray(mesh.faces)[face]
    if visual.kind == "texture":
        material = visual.material
        image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
        if image is not None and visual.uv is not None:
            uv = np.einsum("nk,nkd->nd", weights, np.asarray(visual.uv)[corners])
            rgb: NDArray[np.uint8] = trimesh.visual.color.uv_to_color(uv, image)[:, :3]
            return rgb
        color = GREY if texture_missing else material.main_color[:3]
        return np.tile(np.array(color, dtype=np.uint8), (len(face), 1))
    if visual.kind == "vertex":
        blended = np.einsum("nk,nkd->nd", weights, np.asarray(visual.vertex_colors)[corners, :3])
        return np.asarray(np.round(blended), dtype=np.uint8)
    if visual.kind == "face":
        return np.asarray(visual.face_colors, dtype=np.uint8)[face, :3]
    return np.tile(np.array(GREY, dtype=np.uint8), (len(face), 1))
