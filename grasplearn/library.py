"""Skills by name: a library is a folder of them, and a name cannot lead out of it.

What a skill's folder holds is told at ``skill``; naming and listing skills needs no torch.
"""

from __future__ import annotations

from pathlib import Path

from grasplearn.errors import InvalidValueError, UnknownNameError

WEIGHTS, DEMONSTRATION = "changed.safetensors", "demonstration"
THUMBNAIL, HEATMAP = "thumbnail.png", "heatmap.png"
# Bytes: file systems allow 255, and a folder that is still being written has a longer name.
LONGEST_NAME = 100


def skill_folder(library: Path, name: str) -> Path:
    """Returns where a skill of this name lies or will lie.

    Raises:
        InvalidValueError: this is no name for a skill.
    """
    # isprintable is false for control characters, and for bytes that are no text.
    plain = name.isprintable() and name == name.strip() and not name.startswith((".", "-"))
    if not (name and plain and "/" not in name and "\\" not in name):
        raise InvalidValueError(
            f"{name!r} is no name for a skill; use letters, digits, '-' and '_', as in blue_mug"
        )
    if len(name.encode()) > LONGEST_NAME:
        raise InvalidValueError(
            f"a skill's name may have {LONGEST_NAME} bytes, this one has {len(name.encode())}"
        )
    return library / name


def find_skill(library: Path, name: str) -> Path:
    """Returns the folder of a skill that is there.

    Raises:
        InvalidValueError: this is no name for a skill, or there are no skills.
        UnknownNameError: there is no such skill.
    """
    folder = skill_folder(library, name)
    if is_skill(folder):
        return folder
    known = skills_in(library)
    if not known:
        raise InvalidValueError(
            f"no skill '{name}': there are none in {library}; teach one, or say where they are "
            "with --library"
        )
    raise UnknownNameError("skill", name, known)


def skills_in(library: Path) -> tuple[str, ...]:
    """Returns the names of a library's skills; hidden folders are those still being written."""
    if not library.is_dir():
        return ()
    folders = (path for path in library.iterdir() if not path.name.startswith("."))
    return tuple(sorted(path.name for path in folders if is_skill(path)))


def is_skill(folder: str | Path) -> bool:
    """Whether a folder looks like a skill's."""
    return (Path(folder) / WEIGHTS).is_file()


def check_replaceable(folder: Path) -> None:
    """Whether a skill may be written to a place, if need be over an older one.

    Raises:
        InvalidValueError: something that is no skill is there.
    """
    if folder.exists() and not is_skill(folder):
        raise InvalidValueError(f"{folder} is no skill and stays; choose another name")
