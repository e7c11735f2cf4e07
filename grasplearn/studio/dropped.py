"""A folder of files that a person dropped on the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grasplearn.errors import AssetError, FileFormatError, GraspLearnError

MESHES = (".urdf", ".obj", ".stl", ".ply", ".glb")


def files_in(folder: str) -> list[Path]:
    return sorted(p for p in Path(folder).iterdir() if p.is_file() and not p.name.startswith("."))


def meshes_in(folder: str) -> Path:
    """The folder, with a lone URDF and its meshes in one of its name: its object is called so.

    Raises:
        AssetError: no mesh is among the files.
    """
    place = Path(folder)
    if not any(path.suffix.lower() in MESHES for path in place.rglob("*")):
        raise AssetError("no mesh among the files; drop a URDF, OBJ, STL, PLY or GLB file")
    urdfs = [path for path in files_in(folder) if path.suffix.lower() == ".urdf"]
    if len(urdfs) == 1:  # none is left where the table is laid again
        files, home = files_in(folder), place / urdfs[0].stem
        home.mkdir()
        for file in files:
            file.rename(home / file.name)
    return place


@contextmanager
def told_by_name(folder: str) -> Iterator[None]:
    """What is wrong with the files is told without where the studio put them."""
    try:
        yield
    except GraspLearnError as error:
        told = str(error).replace(f"{folder}{os.sep}", "").replace(folder, "what was dropped")
        raise FileFormatError(told) from error
