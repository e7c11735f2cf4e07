"""Reads what matters of a user's URDF: where its meshes lie, and the mass that it declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from grasplearn.sim.mesh_files import MeshError, Skin, inside, load_skin
from grasplearn.sim.wavefront import read_groups
from grasplearn.types import Array


@dataclass(frozen=True, eq=False)
class Description:
    """What a URDF says of one rigid object.

    Attributes:
        skin: its visible meshes in the link's frame, m.
        collision: its collision solids, one per group of the meshes; empty if it has none.
        mass: kg, or None. Its inertia is not read: it follows from the shape.
    """

    skin: Skin
    collision: tuple[trimesh.Trimesh, ...]
    mass: float | None


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, and with it every entity that could grow or read other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise MeshError("it has a DOCTYPE, which is never needed", "delete that line")


def read_urdf(path: Path, root: Path) -> Description:
    """Reads a URDF with one link.

    Args:
        path: the file. root: meshes are read only from inside this folder.

    Raises:
        MeshError: the XML is broken, a mesh is missing or broken, there is no visible geometry,
            or there are several links.
    """
    parser = ElementTree.XMLParser(target=_NoDoctype())
    try:
        robot = ElementTree.fromstring(path.read_bytes(), parser)
        links = robot.findall("link")
        if len(links) != 1:
            raise MeshError(f"it has {len(links)} links", "an object is one rigid link")
        link = links[0]
        meshes: list[Skin] = []
        for T, shape in _shapes(link, "visual"):
            skin = _skin(shape, path.parent, root)
            meshes.append(skin if np.array_equal(T, np.eye(4)) else skin.moved(T))
        if not meshes:
            raise MeshError("its link has no <visual> geometry", "add a <mesh filename=.../>")
        collision = [
            piece.apply_transform(T)
            for T, shape in _shapes(link, "collision")
            for piece in _solids(shape, path.parent, root)
        ]
        whole = Skin(
            tuple(m for s in meshes for m in s.meshes),
            tuple(p for s in meshes for p in s.parts),
            tuple(dict.fromkeys(n for s in meshes for n in s.missing)),
        )
        mass = link.find("inertial/mass")
        declared = None if mass is None else float(_floats(mass.get("value", ""), 1)[0])
        return Description(whole, tuple(collision), declared)
    except ElementTree.ParseError as error:
        raise MeshError(f"{path.name} is broken XML ({error})", "mend that place") from error
    except MeshError as error:
        raise MeshError(f"{path.name}: {error.problem}", error.fix) from error
    except (ValueError, OSError) as error:
        raise MeshError(f"{path.name} cannot be read ({error})", "mend that value") from error


def _shapes(link: ElementTree.Element, kind: str) -> Iterator[tuple[Array, ElementTree.Element]]:
    """(4, 4) transforms to the link's frame, and the geometry they place."""
    for element in link.findall(kind):
        T = np.eye(4)
        origin = element.find("origin")
        if origin is not None:
            T[:3, 3] = _floats(origin.get("xyz", "0 0 0"), 3)
            # URDF's roll, pitch, yaw are about the fixed axes x, y, z.
            T[:3, :3] = Rotation.from_euler(
                "xyz", _floats(origin.get("rpy", "0 0 0"), 3)
            ).as_matrix()
        shape = element.find("geometry/*")
        if shape is None:
            raise MeshError(f"a <{kind}> has no <geometry>", "add a <mesh filename=.../>")
        yield T, shape


def _skin(shape: ElementTree.Element, folder: Path, root: Path) -> Skin:
    if shape.tag != "mesh":
        solid = _primitive(shape)
        return Skin((solid,), (np.full(len(solid.faces), "body", dtype="U64"),))
    skin, scale = load_skin(inside(root, folder, shape.get("filename", "")), root), _scale(shape)
    return skin if np.array_equal(scale, np.eye(4)) else skin.moved(scale)


def _solids(shape: ElementTree.Element, folder: Path, root: Path) -> list[trimesh.Trimesh]:
    if shape.tag != "mesh":
        return [_primitive(shape)]
    path = inside(root, folder, shape.get("filename", ""))
    if path.suffix.lower() == ".obj":
        vertices, faces, names, group = read_groups(path)
        solids = [
            trimesh.Trimesh(vertices, faces[group == i])
            for i in range(len(names))
            if (group == i).any()
        ]
    else:
        solids = [trimesh.Trimesh(m.vertices, m.faces) for m in load_skin(path, root).meshes]
    for solid in solids:
        if not np.isfinite(solid.vertices).all():
            raise MeshError(f"{path.name} has vertices that are NaN", "export it again")
    return [solid.apply_transform(_scale(shape)) for solid in solids]


def _primitive(shape: ElementTree.Element) -> trimesh.Trimesh:
    if shape.tag == "box":
        return trimesh.creation.box(_floats(shape.get("size", ""), 3))
    if shape.tag == "sphere":
        return trimesh.creation.icosphere(3, _floats(shape.get("radius", ""), 1)[0])
    if shape.tag == "cylinder":
        (radius,), (length,) = (_floats(shape.get(k, ""), 1) for k in ("radius", "length"))
        return trimesh.creation.cylinder(radius, length, sections=32)
    raise MeshError(f"geometry <{shape.tag}> is not known", "use mesh, box, sphere or cylinder")


def _scale(shape: ElementTree.Element) -> Array:
    text = shape.get("scale", "1 1 1")
    factors = _floats(text, 3) if len(text.split()) == 3 else _floats(text, 1).repeat(3)
    if (factors == 0).any():
        raise MeshError(f"scale '{text}' flattens the mesh", "use factors other than 0")
    return np.diag([*factors, 1.0])


def _floats(text: str, count: int) -> Array:
    values = np.array([float(v) for v in text.split()])
    if len(values) != count or not np.isfinite(values).all():
        raise MeshError(f"'{text}' should be {count} number{'s' * (count > 1)}", "mend that value")
    return values
