"""Which objects there are, which split each belongs to, and the manifest that freezes both."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tomli_w

from sim_assets.generator import food, hand_tools, kitchen, things, toys, vessels, workshop
from sim_assets.generator.inventions import NAME, invented
from sim_assets.generator.solid import Solid
from sim_assets.generator.stretched import stretched

VERSION = 1
LICENCE = "MIT"

CATEGORIES: dict[str, Callable[[np.random.Generator], Solid]] = {
    name: build
    for module in (food, hand_tools, kitchen, things, toys, vessels, workshop)
    for name, build in sorted(module.CATEGORIES.items())
}

# Whole categories that training never sees; all others have members in every split.
VALIDATION_ONLY = ("padlock", "rolling_pin", "toothbrush")
TEST_ONLY = ("funnel", "key", "pliers", "scissors", "spray_bottle", "trowel", "whisk")
# Numbers of what does not ship, from these on.
FURTHER, STRETCHED = 100, 200
SEEN_SPLITS = ("train",) * 4 + ("validation",) * 2 + ("test",) * 2


@dataclass(frozen=True)
class Member:
    """One object to be: the ``number``-th of its category."""

    category: str
    number: int
    split: str

    @property
    def object_id(self) -> str:
        return f"{self.category}_{self.number:02d}"

    def build(self) -> Solid:
        """Its own random numbers: a new category or member never changes another."""
        rng = np.random.default_rng([zlib.crc32(self.category.encode()), self.number])
        if self.number >= STRETCHED:
            return stretched(replace(self, number=self.number - STRETCHED).build(), rng)
        return _builder(self.category)(rng)


def members() -> list[Member]:
    """Every object of the catalogue, by category and number."""
    return [
        Member(category, number, split)
        for category in sorted(CATEGORIES)
        for number, split in enumerate(_splits(category))
    ]


def further_members(count: int) -> list[Member]:
    """``count`` more of every category that training may see, for training alone.

    They do not ship: numbers from FURTHER on, made again whenever somebody trains.
    """
    return [
        Member(category, FURTHER + number, "train")
        for category in sorted(CATEGORIES)
        if "train" in _splits(category)
        for number in range(count)
    ]


def invented_members(categories: int, count: int) -> list[Member]:
    """``count`` members of each of so many invented categories, for training alone, likewise."""
    return [
        Member(f"{NAME}{category:03d}", number, "train")
        for category in range(categories)
        for number in range(count)
    ]


def stretched_members(split: str) -> list[Member]:
    """The first of every category of a split, each with itself stretched and in other colours.

    To evaluate with: kin of which it is known by how much, and in what alone, they differ.
    """
    first = {m.category: m for m in reversed(members()) if m.split == split}
    pairs = ((m, replace(m, number=STRETCHED + m.number)) for m in first.values())
    return sorted((m for pair in pairs for m in pair), key=lambda m: m.object_id)


def _builder(category: str) -> Callable[[np.random.Generator], Solid]:
    if category.startswith(NAME):
        return invented(int(category.removeprefix(NAME)))
    return CATEGORIES[category]


def _splits(category: str) -> tuple[str, ...]:
    if category in VALIDATION_ONLY:
        return ("validation",) * 6
    if category in TEST_ONLY:
        return ("test",) * 6
    return SEEN_SPLITS


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files, sorted by name."""
    sha = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def write_manifest(root: Path, made: list[Member]) -> None:
    """Writes ``manifest.toml`` for those of the members that lie under ``root / "objects"``."""
    rows = [
        {
            "id": member.object_id,
            "category": member.category,
            "split": member.split,
            "licence": LICENCE,
            "sha256": digest(root / "objects" / member.object_id),
        }
        for member in made
        if (root / "objects" / member.object_id).is_dir()
    ]
    text = tomli_w.dumps({"version": VERSION, "objects": rows})
    (root / "manifest.toml").write_text(text, encoding="utf-8", newline="\n")
