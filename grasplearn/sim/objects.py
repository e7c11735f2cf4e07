"""The catalogue: which objects there are, of which category, and in which split."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grasplearn.assets import assets_root
from grasplearn.errors import AssetError, UnknownNameError
from grasplearn.sim.importer import import_folder
from grasplearn.sim.mesh_checks import ImportReport
from grasplearn.sim.object_folder import ObjectModel, read_object
from grasplearn.types import SPLITS

# A user's own objects were never trained on: they may stand in any split.
USER_SPLIT = "user"
# Fewer categories than this beside an object would show the same neighbours in every scene.
MIN_CATEGORIES = 3


@dataclass(frozen=True)
class _Entry:
    category: str
    split: str
    folder: Path


class Catalogue:
    """Objects by name. Each one's description is read when it is first asked for.

    Objects from ``from_folder`` are in the split ``user``, and ``select`` returns them whichever
    split it is asked for.
    """

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = dict(entries)
        self._models: dict[str, ObjectModel] = {}

    @staticmethod
    @cache
    def builtin() -> Catalogue:
        """The objects that come with the package.

        Raises:
            AssetError: they are missing from the installation, or the manifest is broken.
        """
        return Catalogue.generated(assets_root())

    @staticmethod
    def generated(root: Path) -> Catalogue:
        """What ``python -m sim_assets.generator --out root`` made.

        Raises:
            AssetError: it is not there, or its manifest is broken.
        """
        path = root / "manifest.toml"
        try:
            rows = tomllib.loads(path.read_text(encoding="utf-8"))["objects"]
            return Catalogue(
                {
                    row["id"]: _Entry(row["category"], row["split"], root / "objects" / row["id"])
                    for row in rows
                }
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AssetError(
                f"{path} cannot be read ({error!r}); install grasplearn again, or generate it again"
            ) from error

    @staticmethod
    def from_folder(
        path: Path, cache_dir: Path | None = None
    ) -> tuple[Catalogue, list[ImportReport]]:
        """A user's own objects, one per subfolder or mesh file (URDF, OBJ, STL, PLY, GLB).

        An object's category is its name without a number at the end, so that ``mug_1`` and
        ``mug_2`` are kin. See ``importer`` for what is prepared and where it is kept.

        Returns:
            The catalogue of all usable objects, and reports on what was wrong with any.

        Raises:
            AssetError: the folder is not there or holds no object that can be used; the message
                then holds the reports.
        """
        models, reports = import_folder(path, cache_dir)
        if not models:
            raise AssetError(f"no usable object in {path}: " + " | ".join(map(str, reports)))
        catalogue = Catalogue(
            {m.object_id: _Entry(m.category, USER_SPLIT, m.folder) for m in models}
        )
        catalogue._models = {m.object_id: m for m in models}
        return catalogue, reports

    def joined(self, other: Catalogue) -> Catalogue:
        """Both catalogues' objects; where both have a name, this one's."""
        out = Catalogue({**other._entries, **self._entries})
        out._models = {**other._models, **self._models}
        return out

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._entries

    def __getitem__(self, object_id: str) -> ObjectModel:
        return self.get(object_id)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({entry.category for entry in self._entries.values()}))

    def get(self, object_id: str) -> ObjectModel:
        """The object of that name.

        Raises:
            UnknownNameError: there is none. AssetError: its folder is broken.
        """
        entry = self._entry(object_id)
        if object_id not in self._models:
            self._models[object_id] = read_object(entry.folder)
        return self._models[object_id]

    def split_of(self, object_id: str) -> str:
        """``train``, ``validation``, ``test`` or ``user``."""
        return self._entry(object_id).split

    def select(
        self, split: str | None = None, category: str | None = None
    ) -> tuple[ObjectModel, ...]:
        """The objects of a split and a category; None stands for all.

        Raises:
            UnknownNameError: no such split or category.
        """
        if split is not None and split not in (*SPLITS, USER_SPLIT):
            raise UnknownNameError("split", split, SPLITS)
        if category is not None and category not in self.categories:
            raise UnknownNameError("category", category, self.categories)
        return tuple(
            self.get(name)
            for name, entry in self._entries.items()
            if (split is None or entry.split in (split, USER_SPLIT))
            and (category is None or entry.category == category)
        )

    def category_members(self, category: str) -> tuple[ObjectModel, ...]:
        """All objects of a category, over all splits."""
        return self.select(category=category)

    def kin_of(self, object_id: str) -> tuple[ObjectModel, ...]:
        """The other members of an object's category in its own split; may be empty."""
        mine = self._entry(object_id)
        return tuple(
            self.get(name)
            for name, entry in self._entries.items()
            if name != object_id and (entry.category, entry.split) == (mine.category, mine.split)
        )

    def neighbours_of(self, object_id: str) -> list[ObjectModel]:
        """What may stand beside an object in a scene: other categories of its own split.

        Or of the training split, where its own has fewer than three (a user's own folder).
        """
        mine = self._entry(object_id)
        for split in (mine.split, SPLITS[0]):
            others = [m for m in self.select(split=split) if m.category != mine.category]
            if len({m.category for m in others}) >= MIN_CATEGORIES:
                break
        return others

    def _entry(self, object_id: str) -> _Entry:
        try:
            return self._entries[object_id]
        except KeyError:
            raise UnknownNameError("object", object_id, self._entries) from None
