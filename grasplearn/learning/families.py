"""Training families on disk: what ``grasplearn render`` writes and training reads.

A family is one file: several heightmaps of scenes that hold the same object, and where each of its
grasps lies in each. Colours are JPEG, heights PNG in steps of 1 mm; about 40 kB a scene. Where
things stand is found once, when a family is saved, and not at every drawing. Neither simulator nor
environment is needed to read them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError
from grasplearn.geometry import Heightmap
from grasplearn.learning.archives import reading_arrays, write_arrays
from grasplearn.pictures import read_json

SETTINGS = "render.json"
PATTERN = "family-*.npz"
JPEG_QUALITY = 92
# Heights are kept as whole millimetres from this one upwards, in a byte.
LOWEST_MM = -20
# What a cell is, as a sum.
KNOWN, THING = 1, 2
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One scene.

    Attributes:
        picture: (N, N, 3) uint8; height: (N, N) float32, m; known: (N, N) bool.
        things: (N, N) bool, where any stands (``cutout.things``).
        tier: which one it was drawn from.
        places: per grasp (k, 3), where it or one equal to it lies: u, v in pixels, and the
            direction of its x axis on the full turn, rad. k = 0: not to be seen here.
        widths: per grasp, m.
        parts: per grasp (m, 3), where any known grasp on the same part lies, thinned out: on a kin
            each of them is right. Families of before this was kept hold the places themselves.
    """

    picture: NDArray[np.uint8]
    height: NDArray[np.float32]
    known: NDArray[np.bool_]
    things: NDArray[np.bool_]
    tier: str
    places: tuple[NDArray[np.float64], ...]
    widths: tuple[float, ...]
    parts: tuple[NDArray[np.float64], ...]

    def heightmap(self) -> Heightmap:
        return Heightmap(self.picture, self.height, self.known)

    def judged(self, grasp: int) -> NDArray[np.float64]:
        """Returns (k, 3), where a grasp counts as right: on a kin, everywhere on the part."""
        own = self.places[grasp]
        return np.concatenate([own, self.parts[grasp]]) if self.tier == "kin" else own


@dataclass(frozen=True)
class Views:
    """A family's scenes; the first ``plain`` of them may be the demonstration."""

    object_id: str
    views: tuple[View, ...]
    plain: int


def family_name(index: int) -> str:
    return f"family-{index:06d}.npz"


def save_family(folder: Path, index: int, family: Views) -> None:
    """Writes a family's file; it appears complete or not at all.

    Raises:
        InvalidValueError: it cannot be written.
    """
    colors, heights = [], []
    for view in family.views:
        colors.append(_encoded(".jpg", view.picture[:, :, ::-1], JPEG_QUALITY))
        millimetres = np.clip(np.rint(view.height * 1000) - LOWEST_MM, 0, 255).astype(np.uint8)
        cells = np.asarray(KNOWN * view.known + THING * view.things, np.uint8)
        both = np.concatenate([millimetres, cells])
        heights.append(_encoded(".png", both))
    meta = {
        "object": family.object_id,
        "plain": family.plain,
        "views": [
            {
                "tier": v.tier,
                "places": [p.round(3).tolist() for p in v.places],
                "widths": v.widths,
                "parts": [p.round(3).tolist() for p in v.parts],
            }
            for v in family.views
        ],
    }
    arrays: dict[str, Any] = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    arrays |= {f"color{i}": color for i, color in enumerate(colors)}
    arrays |= {f"height{i}": height for i, height in enumerate(heights)}
    write_arrays(folder / family_name(index), arrays)


def load_family(path: Path, most: int | None = None) -> Views:
    """Reads a family, or its first ``most`` scenes alone, which is quicker.

    Raises:
        FileFormatError: the file is damaged or something else.
    """
    with reading_arrays(path, "family of scenes", "render again") as data:
        meta = json.loads(data["meta"].tobytes())
        views = tuple(
            _view(data[f"color{i}"], data[f"height{i}"], told)
            for i, told in enumerate(meta["views"][:most])
        )
        return Views(meta["object"], views, meta["plain"])


def _view(color: Bytes, height: Bytes, told: dict[str, Any]) -> View:
    bgr, both = cv2.imdecode(color, cv2.IMREAD_COLOR), cv2.imdecode(height, cv2.IMREAD_GRAYSCALE)
    if bgr is None or both is None:
        raise ValueError("a picture cannot be decoded")
    side = len(bgr)
    cells = np.asarray(both[side:], np.uint8)
    if cells.max() > KNOWN + THING:
        raise ValueError("an older version made it")
    metres = (both[:side].astype(np.float32) + np.float32(LOWEST_MM)) / np.float32(1000)
    return View(
        np.ascontiguousarray(np.asarray(bgr, np.uint8)[:, :, ::-1]),
        metres,
        cells & KNOWN > 0,
        cells & THING > 0,
        told["tier"],
        _places(told["places"]),
        tuple(told["widths"]),
        _places(told.get("parts", told["places"])),
    )


def _places(told: list[list[list[float]]]) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array(p, np.float64).reshape(-1, 3) for p in told)


def _encoded(kind: str, picture: NDArray[Any], quality: int | None = None) -> Bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if quality is not None else []
    _, data = cv2.imencode(kind, picture, options)
    return np.asarray(data, np.uint8).ravel()


def find_families(folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """Returns a folder's families in order, and the settings they were rendered with.

    Raises:
        FileFormatError: there are none.
    """
    found: Sequence[Path] = sorted(folder.glob(PATTERN))
    if not found or not (folder / SETTINGS).exists():
        raise FileFormatError(
            f"no rendered families in {folder}; make some with 'grasplearn render --out {folder}'"
        )
    return list(found), read_json(folder / SETTINGS, "render settings")
