"""An object's folder: ``object.toml``, ``object.urdf``, visual and collision mesh, texture."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tomli_w
import trimesh
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from grasplearn.errors import AssetError, InvalidValueError
from grasplearn.sim.stable_poses import stable_poses
from grasplearn.sim.symmetry import rotation_group
from grasplearn.sim.wavefront import (
    DECIMALS,
    VisualPart,
    read_groups,
    write_collision,
    write_visual,
)
from grasplearn.types import Array, StablePose, SymmetryAxis

__all__ = ["ObjectModel", "Surface", "VisualPart", "read_object", "write_object"]

SURFACE_SAMPLES = 2000

# Spinning friction stands for a pad's contact patch of some millimetres, rolling friction for what
# stops a can on a real table.
_URDF = """<?xml version="1.0"?>
<robot name="{name}">
  <link name="body">
    <contact>
      <lateral_friction value="{friction:.6g}"/>
      <spinning_friction value="0.002"/>
      <rolling_friction value="0.0002"/>
    </contact>
    <inertial>
      <origin rpy="0 0 0" xyz="{com}"/>
      <mass value="{mass:.6g}"/>
      <inertia ixx="{ixx:.6g}" ixy="{ixy:.6g}" ixz="{ixz:.6g}" iyy="{iyy:.6g}" iyz="{iyz:.6g}" \
izz="{izz:.6g}"/>
    </inertial>
    <visual>
      <geometry>
        <mesh filename="visual.obj" scale="1 1 1"/>
      </geometry>
    </visual>
    <collision>
      <geometry>
        <mesh filename="collision.obj" scale="1 1 1"/>
      </geometry>
    </collision>
  </link>
</robot>
"""


@dataclass(frozen=True, eq=False)
class Surface:
    """Points spread evenly over an object's visible surface.

    Attributes:
        points: (n, 3) m in the object's frame.
        normals: (n, 3) unit vectors outward.
        part: (n,) indices into ``ObjectModel.parts``.
    """

    points: Array
    normals: Array
    part: NDArray[np.int64]

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points)


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """An object as its folder describes it; meshes are read only when they are asked for.

    Attributes:
        object_id, category, licence: from ``object.toml``.
        folder: where it lies.
        mass: kg. friction: lateral coefficient.
        size: (3,) m, extents of the visible mesh along the axes of the object's frame.
        parts: names of the parts; graspable: those to grasp it by, best first.
        symmetry: axes through the origin of the object's frame.
        stable_poses: most probable first.
    """

    object_id: str
    category: str
    licence: str
    folder: Path
    mass: float
    friction: float
    size: tuple[float, float, float]
    parts: tuple[str, ...]
    graspable: tuple[str, ...]
    symmetry: tuple[SymmetryAxis, ...]
    stable_poses: tuple[StablePose, ...]

    @property
    def urdf(self) -> Path:
        return self.folder / "object.urdf"

    def texture(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB.

        Raises:
            AssetError: the file cannot be read.
        """
        picture = cv2.imread(str(self.folder / "texture.png"), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise AssetError(f"{self.folder / 'texture.png'} cannot be read; make it again")
        return np.asarray(picture, dtype=np.uint8)

    @cached_property
    def symmetry_rotations(self) -> Array:
        """(n, 3, 3), the identity first: see ``rotation_group``."""
        return rotation_group(self.symmetry)

    @cached_property
    def surface(self) -> Surface:
        """About 2,000 samples, the same ones every time.

        Raises:
            AssetError: ``visual.obj`` cannot be read or names a part the description does not.
        """
        path = self.folder / "visual.obj"
        vertices, faces, names, group = read_groups(path)
        unknown = [name for name in names if name not in self.parts]
        if unknown:
            raise AssetError(
                f"{path} has a part '{unknown[0]}' that object.toml does not list; write the "
                "folder again"
            )
        part = np.array([self.parts.index(name) for name in names])[group]
        return _sample(vertices[faces], part)

    def part_at(self, point_object: ArrayLike) -> str:
        """The part whose surface is nearest to a point, (3,) m in the object's frame."""
        _, nearest = self.surface.tree.query(np.asarray(point_object, float))
        return self.parts[int(self.surface.part[nearest])]

    def lead(self, point_object: ArrayLike, part: str) -> float:
        """How much nearer (m) to a point, (3,) m in the object's frame, the surface of ``part`` is
        than any other part's: below 0 where another is nearer, infinite where there is no other."""
        distances = np.linalg.norm(self.surface.points - np.asarray(point_object, float), axis=1)
        own = self.surface.part == self.parts.index(part)
        return float(distances[~own].min(initial=np.inf) - distances[own].min(initial=np.inf))


def _sample(triangles: Array, part: NDArray[np.int64]) -> Surface:
    """Evenly spaced in area, so that every part gets its share: (m, 3, 3) triangles."""
    a = triangles[:, 0]
    ab, ac = triangles[:, 1] - a, triangles[:, 2] - a
    cross = np.cross(ab, ac)
    doubled_area = np.linalg.norm(cross, axis=1)
    reach = np.cumsum(doubled_area)
    at = (np.arange(SURFACE_SAMPLES) + 0.5) / SURFACE_SAMPLES * reach[-1]
    face = np.searchsorted(reach, at)
    u, v = np.random.default_rng(0).random((2, SURFACE_SAMPLES, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return Surface(
        points=a[face] + u * ab[face] + v * ac[face],
        normals=cross[face] / doubled_area[face, None],
        part=part[face],
    )


def write_object(
    folder: Path,
    *,
    object_id: str,
    category: str,
    parts: Sequence[VisualPart],
    texture: NDArray[np.uint8],
    convex_pieces: Sequence[trimesh.Trimesh],
    mass: float,
    center_of_mass: ArrayLike,
    inertia: ArrayLike,
    friction: float,
    graspable: Sequence[str],
    symmetry: Sequence[SymmetryAxis],
    licence: str,
    max_poses: int = 3,
    upright: float = 0.0,
) -> None:
    """Writes an object's folder; the same values give the same bytes.

    Args:
        folder: made if it is not there; files of the same names are replaced.
        object_id: its name in a catalogue. category: what kind of thing it is.
        parts: the visible surface, named; at least one.
        texture: (H, W, 3) uint8 RGB, shared by all parts.
        convex_pieces: what collides, in the object's frame; the hull of each is written.
        mass: kg. center_of_mass: (3,) m in the object's frame.
        inertia: (3, 3) kg m^2 about the centre of mass, along the axes of the object's frame.
        friction: lateral coefficient, above 0.
        graspable: names of parts, best first; at least one.
        symmetry: axes through the frame's origin.
        licence: SPDX identifier. max_poses: how many stable poses are kept.
        upright: how often a person sets it down with its frame's z up.

    Raises:
        AssetError: a value cannot be used; the message names it and the fix.
    """
    com = np.asarray(center_of_mass, float)
    tensor = np.round(np.asarray(inertia, float), 12) + 0.0  # no noise such as 1e-22
    _check(object_id, parts, texture, convex_pieces, mass, com, tensor, friction, graspable)
    hulls = [piece.convex_hull for piece in convex_pieces]
    points = np.concatenate([h.vertices for h in hulls])
    poses = stable_poses(points, com, symmetry, max_poses, upright)
    used = np.concatenate([p.vertices[np.unique(p.faces)] for p in parts])

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_visual(folder, parts)
    write_collision(folder / "collision.obj", hulls)
    done, png = cv2.imencode(".png", texture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise AssetError(f"{object_id}: the texture cannot be written as a PNG file")
    (folder / "texture.png").write_bytes(png.tobytes())
    (folder / "object.urdf").write_text(
        _URDF.format(
            name=object_id,
            friction=friction,
            mass=mass,
            com=" ".join(str(_tidy(v)) for v in com),
            ixx=tensor[0, 0], ixy=tensor[0, 1], ixz=tensor[0, 2],
            iyy=tensor[1, 1], iyz=tensor[1, 2], izz=tensor[2, 2],
        ),
        encoding="ascii",
    )  # fmt: skip
    description = {
        "id": object_id,
        "category": category,
        "licence": licence,
        "mass": _tidy(mass),
        "friction": _tidy(friction),
        "size_m": [_tidy(v) for v in np.ptp(used, axis=0)],
        "parts": [p.name for p in parts],
        "graspable": list(graspable),
        "symmetry": [{"axis": [_tidy(v) for v in s.axis], "order": s.order} for s in symmetry],
        "stable_poses": [
            {
                "quaternion": [_tidy(v) for v in p.quaternion],
                "height": _tidy(p.height),
                "probability": _tidy(p.probability),
            }
            for p in poses
        ],
    }
    (folder / "object.toml").write_text(tomli_w.dumps(description), encoding="utf-8", newline="\n")


def _tidy(value: float) -> float:
    return round(float(value), DECIMALS) + 0.0


def _check(
    object_id: str,
    parts: Sequence[VisualPart],
    texture: NDArray[np.uint8],
    pieces: Sequence[trimesh.Trimesh],
    mass: float,
    com: Array,
    inertia: Array,
    friction: float,
    graspable: Sequence[str],
) -> None:
    def require(good: bool, message: str) -> None:
        if not good:
            raise AssetError(f"{object_id}: {message}")

    names = [p.name for p in parts]
    require(bool(names), "give at least one part")
    require(len(set(names)) == len(names), f"part names must differ, got {', '.join(names)}")
    for p in parts:
        require(p.name != "" and p.name.split() == [p.name], f"part '{p.name}' has white space")
        require(len(p.faces) > 0, f"part '{p.name}' has no faces")
        require(bool(np.isfinite(p.vertices).all()), f"part '{p.name}' has vertices that are NaN")
        require(np.asarray(p.uv).shape == (len(p.vertices), 2), f"part '{p.name}': one uv a vertex")
    require(
        texture.ndim == 3 and texture.shape[2] == 3 and texture.dtype == np.uint8,
        f"texture must be (H, W, 3) uint8, got {texture.shape} {texture.dtype}",
    )
    require(len(pieces) > 0, "give at least one convex piece to collide with")
    require(np.isfinite(mass) and mass > 0, f"mass must be above 0 kg, got {mass}")
    require(np.isfinite(friction) and friction > 0, f"friction must be above 0, got {friction}")
    require(com.shape == (3,) and bool(np.isfinite(com).all()), "center_of_mass must be (3,)")
    require(
        inertia.shape == (3, 3) and bool((np.linalg.eigvalsh(inertia) > 0).all()),
        "inertia must be (3, 3) and positive definite",
    )
    require(bool(graspable), "name at least one graspable part")
    for name in graspable:
        require(name in names, f"graspable part '{name}' is not one of {', '.join(names)}")


def read_object(folder: Path) -> ObjectModel:
    """Reads ``object.toml`` only; a catalogue of hundreds opens at once.

    Raises:
        AssetError: a file of the folder is missing, or the description is broken.
    """
    path = Path(folder) / "object.toml"
    try:
        with path.open("rb") as file:
            data: dict[str, Any] = tomllib.load(file)
        model = ObjectModel(
            object_id=str(data["id"]),
            category=str(data["category"]),
            licence=str(data["licence"]),
            folder=Path(folder).resolve(),
            mass=float(data["mass"]),
            friction=float(data["friction"]),
            size=tuple(float(v) for v in data["size_m"]),  # type: ignore[arg-type]
            parts=tuple(data["parts"]),
            graspable=tuple(data["graspable"]),
            symmetry=tuple(SymmetryAxis(tuple(s["axis"]), s["order"]) for s in data["symmetry"]),
            stable_poses=tuple(
                StablePose(tuple(p["quaternion"]), p["height"], p["probability"])
                for p in data["stable_poses"]
            ),
        )
    except FileNotFoundError as error:
        raise AssetError(f"{path} is not there; write_object makes an object's folder") from error
    except KeyError as error:
        raise AssetError(f"{path} lacks the entry {error}; write the folder again") from error
    except (OSError, ValueError, TypeError, InvalidValueError) as error:
        raise AssetError(f"{path} cannot be read: {error}; write the folder again") from error
    for name in ("object.urdf", "visual.obj", "collision.obj", "texture.png"):
        if not (model.folder / name).is_file():
            raise AssetError(f"{model.folder / name} is missing; write the folder again")
    return model
