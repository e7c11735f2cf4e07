"""What a studio keeps in the library's folder: skills, and beside them in ``.studio`` the token,
what was last on the table, files that were dropped, deleted skills, and what trials left."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import CAMERA_FILE, COLOR_FILE, DEPTH_FILE, GRASP_FILE, write_json
from grasplearn.lessons import PRIVATE
from grasplearn.library import (
    DEMONSTRATION,
    HEATMAP,
    THUMBNAIL,
    WEIGHTS,
    find_skill,
    skill_folder,
    skills_in,
)

HIDDEN, TOKEN, LAST = ".studio", "token", "last.json"
RUNS, DROPS, TRASH = "runs", "drops", "trash"
# Every file that a skill's folder may hold, by its name in an exported file.
MEMBERS = (
    WEIGHTS,
    THUMBNAIL,
    HEATMAP,
    *(f"{DEMONSTRATION}/{n}" for n in (COLOR_FILE, DEPTH_FILE, CAMERA_FILE, GRASP_FILE, PRIVATE)),
)
# An exported skill is some hundreds of kB; what unpacks to more than this is something else.
MAX_SKILL_BYTES = 128 * 2**20
KEPT_TRASH, KEPT_DROPS = 20, 6
MAX_FILES = 24
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".json"),
    *(".urdf", ".obj", ".mtl", ".stl", ".ply", ".glb"),
    ".skill",
)


@dataclass(frozen=True)
class State:
    """A library's folder."""

    library: Path

    def __post_init__(self) -> None:
        for name in (RUNS, DROPS, TRASH):
            (self.hidden / name).mkdir(parents=True, exist_ok=True)

    @property
    def hidden(self) -> Path:
        return self.library / HIDDEN

    @property
    def runs(self) -> Path:
        return self.hidden / RUNS

    def token(self) -> str:
        """The secret of this library's pages; it stays, so that pages find a restarted server."""
        path = self.hidden / TOKEN
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_urlsafe(24))
        found = path.read_text(encoding="ascii").strip()
        if not re.fullmatch(r"[\w-]{20,}", found):
            raise FileFormatError(f"{path} holds no token; delete it and start again")
        return found

    # -- what was last on the table ---------------------------------------------------------------

    def remember(self, order: dict[str, Any]) -> None:
        """Notes how to lay the table again."""
        write_json(self.hidden / LAST, order)

    def last(self) -> dict[str, Any] | None:
        """How to lay the table as it was; None where nobody knows."""
        try:
            order = json.loads((self.hidden / LAST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return order if isinstance(order, dict) else None

    # -- the skills -------------------------------------------------------------------------------

    def cards(self) -> list[dict[str, Any]]:
        """Every skill for its card, by name."""
        return [card for name in skills_in(self.library) if (card := self._card(name))]

    def _card(self, name: str) -> dict[str, Any] | None:
        folder = self.library / name
        try:
            with safetensors.safe_open(folder / WEIGHTS, "np") as stream:
                card = json.loads((stream.metadata() or {})["grasplearn"])
            changed = int((folder / WEIGHTS).stat().st_mtime_ns)
            tuning = card["fine_tuning"]
            lesson = folder / DEMONSTRATION / PRIVATE
            shown = json.loads(lesson.read_text(encoding="utf-8")) if lesson.is_file() else {}
            return {
                "name": name,
                "rule": card["teaching"]["method"],
                "kept": card["kept"],
                "seconds": card["seconds"],
                "steps": 0 if tuning is None else len(tuning["losses"]),
                "warning": card["warning"],
                "object": shown.get("object_id"),
                "tier": shown.get("scene", {}).get("tier"),
                "changed": changed,
            }
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            safetensors.SafetensorError,
        ):
            # Half deleted, or of another version: it is shown, and says so.
            return {"name": name, "broken": True, "changed": 0}

    def rename(self, name: str, new: str) -> None:
        """Gives a skill another name.

        Raises:
            InvalidValueError: that is no name, or it is taken. UnknownNameError: no such skill.
        """
        folder, place = find_skill(self.library, name), skill_folder(self.library, new)
        if place.exists():
            raise InvalidValueError(f"there is a skill '{new}' already; choose another name")
        folder.rename(place)

    def delete(self, name: str) -> str:
        """Puts a skill aside; returns the key that brings it back.

        Raises:
            UnknownNameError, InvalidValueError: no such skill.
        """
        folder = find_skill(self.library, name)
        key = f"{time.time_ns()}"
        place = self.hidden / TRASH / key
        place.mkdir()
        folder.rename(place / name)
        for old in sorted((self.hidden / TRASH).iterdir())[:-KEPT_TRASH]:
            shutil.rmtree(old, ignore_errors=True)
        return key

    def restore(self, key: str) -> str:
        """Brings a deleted skill back; returns its name.

        Raises:
            InvalidValueError: it is gone for good, or its name has been taken meanwhile.
        """
        place = self.hidden / TRASH / key
        kept = list(place.iterdir()) if key.isdigit() and place.is_dir() else []
        if not kept:
            raise InvalidValueError("that skill is gone for good; nothing was brought back")
        name = kept[0].name
        if (self.library / name).exists():
            raise InvalidValueError(f"there is a new skill '{name}'; rename that one first")
        kept[0].rename(self.library / name)
        place.rmdir()
        return name

    def export(self, name: str) -> bytes:
        """A skill as one file, a ZIP of its folder's known files.

        Raises:
            UnknownNameError, InvalidValueError: no such skill.
        """
        folder = find_skill(self.library, name)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in MEMBERS:
                if (folder / member).is_file():
                    archive.writestr(member, (folder / member).read_bytes())
        return packed.getvalue()

    # -- files that were dropped ---------------------------------------------------------------

    def new_drop(self) -> str:
        """Makes an empty folder for files that come; returns its key."""
        key = secrets.token_hex(8)
        (self.hidden / DROPS / key).mkdir()
        by_age = sorted((self.hidden / DROPS).iterdir(), key=lambda p: p.stat().st_mtime_ns)
        for old in by_age[:-KEPT_DROPS]:
            shutil.rmtree(old, ignore_errors=True)
        return key

    def drop(self, key: str) -> Path:
        """The folder of a drop.

        Raises:
            InvalidValueError: there is none.
        """
        folder = self.hidden / DROPS / key
        if not re.fullmatch(r"[0-9a-f]{16}", key) or not folder.is_dir():
            raise InvalidValueError("these files are gone; drop them again")
        return folder

    def file_in_drop(self, key: str, name: str) -> Path:
        """Where a file of this name goes.

        Raises:
            InvalidValueError: this is no name for such a file, or there are too many.
        """
        folder = self.drop(key)
        plain = re.fullmatch(r"[\w .()+-]{1,100}", name) and not name.startswith((".", " ", "-"))
        if not plain or Path(name).suffix.lower() not in SUFFIXES:
            raise InvalidValueError(
                f"'{name[:60]}' is no file for the studio; drop pictures, a camera's .json, a "
                "mesh or a .skill with a plain name"
            )
        if len(list(folder.iterdir())) >= MAX_FILES:
            raise InvalidValueError(f"no more than {MAX_FILES} files at once; drop fewer")
        return folder / name


def unpack(file: Path, place: Path) -> None:
    """Unpacks an exported skill into a new folder; nothing is taken that a skill does not hold.

    Raises:
        FileFormatError: it is no exported skill, or far too large.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            inside = archive.infolist()
            names = [entry.filename for entry in inside]
            if len(set(names)) != len(names) or not set(names) <= set(MEMBERS):
                raise FileFormatError(
                    f"{file.name} holds files that no skill has; import one that a studio made"
                )
            if WEIGHTS not in names:
                raise FileFormatError(f"{file.name} holds no skill; it lacks {WEIGHTS}")
            if sum(entry.file_size for entry in inside) > MAX_SKILL_BYTES:
                raise FileFormatError(f"{file.name} unpacks to far more than a skill")
            for entry in inside:
                data = archive.read(entry)
                target = place / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise FileFormatError(f"{file.name} is no whole .skill file; export it again") from error
