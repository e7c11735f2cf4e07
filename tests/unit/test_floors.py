"""The house's floors: who may import whom, read from the source itself.

A module may import from its own floor and those below. On a floor with two rooms, ``sim`` and
``nets``, neither sees the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import grasplearn

PACKAGE = Path(grasplearn.__file__).parent
# Floor by floor, from the ground up. Every module must be named here, or stand in a folder that is.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "types",
        "geometry",
        "room",
        "whole",
        "footprint",
        "errors",
        "tiers",
        "config",
        "config_common",
        "config_evaluation",
        "config_training",
        "files",
        "pictures",
        "table",
        "assets",
        "registration",
    ),
    ("sim", "nets"),
    ("rules",),
    ("learning", "edge", "policies"),
    (
        "trial",
        "plan",
        "jobs",
        "workers",
        "evaluate",
        "benchmark",
        "render",
        "results",
        "runs",
        "statistics",
        "lessons",
        "env",
    ),
    ("show", "studio", "skill", "library", "film", "seeing"),
    ("cli", "commands", "__main__"),
)
# The public API gathers from all floors.
ROOF = "__init__"
# What a floor's number alone does not forbid: (importer, what it must not import).
BLIND = (
    ("sim", "nets"),
    ("nets", "sim"),
    ("show", "sim"),
    ("show", "trial"),
    ("show", "evaluate"),
    ("policies", "sim"),
    ("learning", "sim"),
    ("rules", "sim"),
    # What only judges may know is the simulator's.
    ("skill", "sim"),
)
MAX_LINES = 350
# The central values stand in one file: whoever looks for one looks there.
LONGER = {"types.py": 450}

MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
every_module = pytest.mark.parametrize("path", MODULES, ids=NAMES)


def room(path: Path) -> str:
    """The first name below ``grasplearn``: a module's own or its folder's."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def floor_of(name: str) -> int:
    if name == ROOF:
        return len(FLOORS)
    for number, names in enumerate(FLOORS):
        if name in names:
            return number
    raise AssertionError(
        f"grasplearn/{name} stands on no floor: name it in FLOORS of {Path(__file__).name}"
    )


def imported(source: str, package: tuple[str, ...] = ("grasplearn",)) -> Iterator[str]:
    """Dotted names that a source imports, at its head or inside functions.

    ``package``: where it stands, for relative imports.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            start = ".".join((*base, *([node.module] if node.module else [])))
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> list[str]:
    package = ("grasplearn", *path.relative_to(PACKAGE).parent.parts)
    return list(imported(path.read_text(encoding="utf-8"), package))


def rooms_entered(path: Path) -> set[str]:
    """The rooms of the house that a module imports from."""
    parts = [name.split(".") for name in imports_of(path)]
    entered = {p[1] for p in parts if p[0] == "grasplearn" and len(p) > 1}
    known = {name for names in FLOORS for name in names}
    # ``from grasplearn import World`` names no room but the roof, which imports all of them.
    return {name if name in known or (PACKAGE / name).is_dir() else ROOF for name in entered}


def outside(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_only_from_its_own_floor_and_below(path: Path) -> None:
    mine = floor_of(room(path))
    above = {name for name in rooms_entered(path) if floor_of(name) > mine}
    assert not above, f"{path.name} (floor {mine}) imports from above: {sorted(above)}"


@every_module
def test_does_not_see_what_it_must_be_blind_to(path: Path) -> None:
    forbidden = {other for name, other in BLIND if name == room(path)}
    assert not forbidden & rooms_entered(path)


@every_module
def test_pybullet_stays_in_sim_and_torch_out_of_it(path: Path) -> None:
    names = outside(path)
    if room(path) != "sim":
        assert not names & {"pybullet", "pybullet_data"}
    else:
        assert "torch" not in names


@every_module
def test_no_module_is_long(path: Path) -> None:
    most = LONGER.get(str(path.relative_to(PACKAGE)), MAX_LINES)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


@every_module
def test_no_absolute_path_is_written_down(path: Path) -> None:
    absolute = re.compile(r"^(/(home|root|tmp|usr|opt|var|etc|mnt|work|Users)\b|~/|[A-Za-z]:\\)")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not absolute.match(node.value), f"line {node.lineno}: {node.value!r}"


@every_module
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_reader_of_imports_sees_every_form() -> None:
    source = """
import pybullet as p
from grasplearn import types
from grasplearn.sim.world import World
from . import near
from .. import far
from ..show.video import write
def inside():
    import torch.nn
"""
    found = set(imported(source, ("grasplearn", "nets")))
    wanted = {"pybullet", "grasplearn.types", "grasplearn.sim.world", "grasplearn.nets.near"}
    assert wanted | {"grasplearn.far", "grasplearn.show.video", "torch.nn"} <= found


def test_a_module_without_a_floor_is_named() -> None:
    with pytest.raises(AssertionError, match="attic stands on no floor: name it in FLOORS"):
        floor_of("attic")
