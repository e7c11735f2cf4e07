"""Makes a user's own meshes into object folders, and says by name what is wrong with each.

A folder holds one object per subfolder or file: a URDF, or an OBJ, STL, PLY or GLB mesh in metres,
or a folder that ``write_object`` made. What is prepared is kept in a cache under the hash of its
sources, so that a second start is quick.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import tomli_w

from grasplearn.errors import AssetError
from grasplearn.sim.mesh_checks import ImportReport
from grasplearn.sim.mesh_files import MESH_ENDINGS, MeshError, tidy_name
from grasplearn.sim.object_folder import ObjectModel, read_object
from grasplearn.sim.prepare import prepare

# Part of every cache key: raise it whenever the same sources are to give another folder.
VERSION = 1

_SOURCES = (".urdf", *MESH_ENDINGS)
_REPORTS = "reports.toml"


@dataclass(frozen=True)
class _Source:
    """One object as found: its name, the file to begin with, and all files it may be made of."""

    name: str
    main: Path
    files: tuple[Path, ...]


def import_folder(
    path: Path, cache_dir: Path | None = None
) -> tuple[list[ObjectModel], list[ImportReport]]:
    """Prepares every object in a folder; those that cannot be used are reported and left out.

    Args:
        path: the user's folder. cache_dir: where prepared objects are kept; by default the
            user's cache folder (``$XDG_CACHE_HOME/grasplearn/objects``).

    Raises:
        AssetError: the folder is not there, or holds no object at all.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise AssetError(f"no folder {root}; give one with a subfolder or mesh file per object")
    cache = Path(cache_dir or platformdirs.user_cache_path("grasplearn") / "objects")
    models: list[ObjectModel] = []
    reports: list[ImportReport] = []
    seen: dict[str, Path] = {}
    for source in _sources(root, reports):
        if source.name in seen:
            problem = f"{source.main.name} has the same name as {seen[source.name].name}"
            reports.append(ImportReport(source.name, problem, "rename one of them", True))
            continue
        seen[source.name] = source.main
        try:
            model, found = _imported(source, root, cache)
            models.append(model)
            reports += found
        except MeshError as error:
            reports.append(ImportReport(source.name, error.problem, error.fix, True))
        except (AssetError, OSError) as error:
            reports.append(ImportReport(source.name, str(error), "mend that and try again", True))
    if not models and not reports:
        raise AssetError(
            f"{root} holds no objects; put one subfolder or file per object into it "
            f"({', '.join(_SOURCES)})"
        )
    return models, reports


def _sources(root: Path, reports: list[ImportReport]) -> Iterator[_Source]:
    """Subfolders first, then loose files; a URDF speaks for the meshes beside it."""
    entries = sorted(p for p in root.iterdir() if not p.name.startswith("."))
    if (root / "object.toml").is_file():
        yield _Source(tidy_name(root.resolve().name), root / "object.toml", ())
        return
    for folder in (p for p in entries if p.is_dir()):
        name = tidy_name(folder.name)
        files = tuple(sorted(p for p in folder.rglob("*") if p.is_file()))
        if (folder / "object.toml") in files:
            yield _Source(name, folder / "object.toml", ())
            continue
        mains = _mains(p for p in files if p.parent == folder)
        if not mains:
            if files:
                problem = f"the folder has no {', '.join(_SOURCES)} file"
                reports.append(ImportReport(name, problem, "put the object's mesh there", True))
            continue
        if len(mains) > 1:
            problem = f"the folder holds {len(mains)} objects; only {mains[0].name} is used"
            reports.append(ImportReport(name, problem, "give each a folder of its own", False))
        yield _Source(name, mains[0], files)
    loose = [p for p in entries if p.is_file()]
    # Materials and textures of loose meshes: which belongs to which is not worth parsing here.
    shared = [p for p in loose if p.suffix.lower() not in MESH_ENDINGS]
    mains = _mains(loose)
    for main in mains:
        urdf = main.suffix.lower() == ".urdf"
        # The user may point at one object's own folder: then that is its name, not "model".
        name = root.resolve().name if urdf and len(mains) == 1 else main.stem
        yield _Source(tidy_name(name), main, tuple(loose if urdf else [main, *shared]))


def _mains(files: Iterable[Path]) -> list[Path]:
    """The files that are objects: URDFs, or else meshes that are not for collision."""
    known = [p for p in files if p.suffix.lower() in _SOURCES]
    urdfs = [p for p in known if p.suffix.lower() == ".urdf"]
    meshes = [p for p in known if "collision" not in p.stem.lower()]
    return urdfs or meshes


def _imported(source: _Source, root: Path, cache: Path) -> tuple[ObjectModel, list[ImportReport]]:
    """From the cache, or prepared and put there."""
    if source.main.name == "object.toml":
        return read_object(source.main.parent), []
    folder = cache / _digest(source, root)
    try:
        return _cached(source.name, folder)
    except (AssetError, OSError, ValueError, KeyError):
        shutil.rmtree(folder, ignore_errors=True)  # not there yet, or somebody tidied in it
    cache.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        warnings = prepare(source.name, source.main, root, fresh)
        rows = [{"problem": problem, "fix": fix} for problem, fix in warnings]
        (fresh / _REPORTS).write_text(tomli_w.dumps({"reports": rows}), encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was quicker with the same bytes
            fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return _cached(source.name, folder)


def _cached(name: str, folder: Path) -> tuple[ObjectModel, list[ImportReport]]:
    rows = tomllib.loads((folder / _REPORTS).read_text(encoding="utf-8"))["reports"]
    return read_object(folder), [ImportReport(name, r["problem"], r["fix"], False) for r in rows]


def _digest(source: _Source, root: Path) -> str:
    digest = hashlib.sha256(f"{VERSION} {source.name} {source.main.name}".encode())
    for path in source.files:
        digest.update(os.fsencode(path.relative_to(root)) + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
