"""What can be wrong with a user's object, each said in one sentence with its fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from grasplearn.sim.mesh_files import Skin
from grasplearn.types import MAX_WIDTH, Array, StablePose

MAX_EXTENT = 2.0
MIN_EXTENT = 0.005
# The pads need a little room on both sides of what they close on.
GRASPABLE_WIDTH = MAX_WIDTH - 0.005


@dataclass(frozen=True)
class ImportReport:
    """Something about one of the user's objects.

    Attributes:
        name: of the object. problem: what is wrong. fix: what to do.
        fatal: the object was left out; otherwise it was loaded all the same.
    """

    name: str
    problem: str
    fix: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}; {self.fix}" + (" (left out)" if self.fatal else "")


def size_problem(vertices: Array) -> tuple[str, str] | None:
    """A wrong unit or a mesh without extent: (problem, fix), or None."""
    extents = np.ptp(vertices, axis=0)
    largest = float(extents.max())
    shown = " x ".join(f"{v:.3g}" for v in extents)
    if largest > MAX_EXTENT:
        guess = "millimetres: scale by 0.001"
        if largest < 35:  # 35 mm or 35 cm: both are possible things
            guess += " (or centimetres: scale by 0.01)"
        return (
            f"it is {shown} m large, which looks like {guess}",
            "export it in metres, or name it in a URDF with <mesh scale=.../>",
        )
    if largest < MIN_EXTENT:
        return (
            f"it is {shown} m large, too small for the hand",
            "export it in metres; is it in another unit?",
        )
    if float(extents.min()) < 1e-4:
        return f"it is flat ({shown} m)", "give the mesh some thickness"
    return None


def surface_warnings(skin: Skin, closed: bool) -> list[tuple[str, str]]:
    """Open meshes and textures that are not there: (problem, fix) each."""
    found = []
    if not closed:
        found.append(
            (
                "the mesh is open (not watertight); its holes count as closed by flat caps",
                "close them for a better mass and shape",
            )
        )
    for name in skin.missing:
        found.append((f"'{name}' is not there, so it is drawn in grey", "put it beside the mesh"))
    return found


def too_wide(poses: Sequence[StablePose], pieces: Sequence[trimesh.Trimesh]) -> bool:
    """Whether the hand can close on neither the object nor any convex piece, however it lies."""
    whole = np.concatenate([p.vertices for p in pieces])
    return not any(
        narrowest(points @ Rotation.from_quat(pose.quaternion).as_matrix().T) <= GRASPABLE_WIDTH
        for pose in poses
        for points in (whole, *(p.vertices for p in pieces))
    )


def narrowest(points: Array) -> float:
    """The smallest horizontal width, m, of (n, 3) points over all directions."""
    angle = np.radians(np.arange(0, 180, 2))
    along = points[:, :2] @ np.stack([np.cos(angle), np.sin(angle)])
    return float(np.ptp(along, axis=0).min())
