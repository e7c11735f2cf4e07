"""From a camera's files to the net's input with numpy alone.

The same pictures as ``geometry.heightmap``, ``codec.encode`` and ``codec.patches`` make with OpenCV
and torch; a test says how nearly.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.edge.nearest import nearest
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.types import Camera, Grasp, Observation

Array = NDArray[np.float64]
Picture = NDArray[np.float32]

# As in ``geometry`` and ``codec``; a test compares.
SIDE, SPAN, CENTER = 224, 0.448, (0.5, 0.0)
HEIGHT_UNIT, HEIGHT_RANGE = 0.05, (-0.01, 0.25)
# Cells no farther than this from a measured one are known.
KNOWN_WITHIN = 2.5


@dataclass(frozen=True, eq=False)
class View:
    """A heightmap of the workspace: rgb (N, N, 3) uint8, height (N, N) m, known (N, N)."""

    rgb: NDArray[np.uint8]
    height: Picture
    known: NDArray[np.bool_]


def to_pixels(xy: Any) -> Array:
    """World (..., 2) m -> a heightmap's (u, v)."""
    step, middle, xy = SPAN / SIDE, (SIDE - 1) / 2, np.asarray(xy, np.float64)
    u = (xy[..., 0] - CENTER[0]) / step + middle
    v = middle - (xy[..., 1] - CENTER[1]) / step
    return np.stack([u, v], -1)


def to_world(u: float, v: float) -> tuple[float, float]:
    """A heightmap's pixel -> world (x, y) m."""
    step, middle = SPAN / SIDE, (SIDE - 1) / 2
    return (u - middle) * step + CENTER[0], (middle - v) * step + CENTER[1]


def read_observation(folder: Path) -> Observation:
    """Reads color.png, depth.png and camera.json as ``files.save_demonstration`` writes them.

    Raises:
        FileFormatError: a file is missing or does not hold that.
    """
    camera = read_json(folder / "camera.json")
    try:
        size = int(camera["width"]), int(camera["height"])
        seen = Camera(camera["K"], camera["T_world_cam"], *size)
        scale = float(camera["depth_scale_m"])
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{folder / 'camera.json'} lacks {error}") from error
    depth = read_png(folder / "depth.png").astype(np.float64) * scale
    return Observation(read_png(folder / "color.png"), depth.astype(np.float32), seen)


def read_grasp(folder: Path) -> Grasp:
    """Reads grasp.json."""
    try:
        return Grasp.from_dict(read_json(folder / "grasp.json"))
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{folder / 'grasp.json'} lacks {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        FileFormatError: the file is missing or holds none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} is missing or no JSON; make or copy it again") from error
    if not isinstance(found, dict):
        raise FileFormatError(f"{path} holds no JSON object; make or copy it again")
    return found


def read_png(path: Path) -> NDArray[Any]:
    """Reads a PNG of 8-bit colours (H, W, 3) or 16-bit grey (H, W), not interlaced.

    Raises:
        FileFormatError: the file is missing or holds another kind.

    Source: PNG (Third Edition), W3C, sections 5, 7 and 9.
    """
    try:
        data = path.read_bytes()
        if data[:8] != b"\x89PNG\r\n\x1a\n":
            raise ValueError("no PNG")
        at, packed, header = 8, b"", b""
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at : at + 8])
            body = data[at + 8 : at + 8 + length]
            header = body if kind == b"IHDR" else header
            packed += body if kind == b"IDAT" else b""
            at += length + 12
        width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        if (depth, color) not in ((8, 2), (16, 0)) or interlaced:
            raise ValueError("neither 8-bit colours nor 16-bit grey, or interlaced")
        step = 3 if color == 2 else 2
        lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * step)
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise FileFormatError(
            f"{path} cannot be read ({error}); give a PNG of 8-bit colours or 16-bit depth"
        ) from error
    rows = _unfiltered(lines, step)
    if color == 2:
        return rows.reshape(height, width, 3)
    return rows.view(">u2").reshape(height, width).astype(np.uint16)


def _unfiltered(lines: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Undoes PNG's filters, line by line."""
    out = np.zeros((len(lines), lines.shape[1] - 1), np.uint8)
    above = np.zeros(out.shape[1], np.uint8)
    for row, line in enumerate(lines):
        kind, raw = int(line[0]), line[1:]
        if kind == 0:
            out[row] = raw
        elif kind == 1:
            out[row] = np.cumsum(raw.reshape(-1, step), 0, np.uint8).ravel()
        elif kind == 2:
            out[row] = raw + above
        else:
            out[row] = _slow(raw.tolist(), above.tolist(), step, kind)
        above = out[row]
    return out


def _slow(raw: list[int], above: list[int], step: int, kind: int) -> list[int]:
    """The filters that go byte by byte: average (3) and Paeth (4)."""
    made = [0] * len(raw)
    for i, value in enumerate(raw):
        left = made[i - step] if i >= step else 0
        up, corner = above[i], above[i - step] if i >= step else 0
        if kind == 3:
            guess = (left + up) // 2
        else:
            p = left + up - corner
            far = abs(p - left), abs(p - up), abs(p - corner)
            guess = (left, up, corner)[far.index(min(far))]
        made[i] = (value + guess) & 255
    return made


def heightmap(seen: Observation) -> View:
    """As ``geometry.heightmap``; a cell without a point takes the nearest one's values.

    Raises:
        InvalidValueError: not one point lies over the workspace.
    """
    camera, depth = seen.camera, seen.depth.astype(np.float64)
    v, u = np.mgrid[: camera.height, : camera.width]
    x = (u - camera.K[0, 2]) / camera.K[0, 0] * depth
    y = (v - camera.K[1, 2]) / camera.K[1, 1] * depth
    points = np.stack([x, y, depth], -1) @ camera.T_world_cam[:3, :3].T + camera.T_world_cam[:3, 3]
    known = depth > 0
    xyz = points[known]
    cells = np.rint(to_pixels(xyz[:, :2])).astype(np.int64)
    inside = ((cells >= 0) & (cells < SIDE)).all(axis=1)
    if not inside.any():
        raise InvalidValueError(
            "no depth measurement lies over the workspace; check the camera's pose and depth unit"
        )
    xyz, cells, colors = xyz[inside], cells[inside], seen.rgb[known][inside]
    order = np.argsort(xyz[:, 2], kind="stable")
    flat = (cells[:, 1] * SIDE + cells[:, 0])[order]
    height = np.zeros(SIDE * SIDE, np.float32)
    rgb = np.zeros((SIDE * SIDE, 3), np.uint8)
    hit = np.zeros(SIDE * SIDE, bool)
    # Ascending order: the last assignment to a cell, the highest point, stays.
    height[flat], rgb[flat], hit[flat] = xyz[order, 2], colors[order], True
    source, distance = nearest(hit.reshape(SIDE, SIDE))
    return View(rgb[source], height[source], distance <= KNOWN_WITHIN)


def encode(view: View) -> Picture:
    """As ``codec.encode``: (5, N, N) float32, red, green, blue in [-1, 1], height, known."""
    color = (view.rgb.astype(np.float32) / np.float32(127.5) - 1).transpose(2, 0, 1)
    height = np.clip(view.height, *HEIGHT_RANGE) / np.float32(HEIGHT_UNIT)
    return np.concatenate([color, height[None], view.known[None]]).astype(np.float32)


def patch(picture: Picture, u: float, v: float, turn: float, side: int) -> Picture:
    """As one of ``codec.patches``: (5, S, S), turned by ``turn`` about (u, v)."""
    _, height, width = picture.shape
    middle, (c, s) = (side - 1) / 2, (math.cos(turn), math.sin(turn))
    rows, columns = np.mgrid[:side, :side] - middle
    x, y = u + c * columns - s * rows, v + s * columns + c * rows
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    out = np.zeros((len(picture), side, side), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            at_y, at_x = top + dy, left + dx
            share = np.abs(1 - dy - (y - top)) * np.abs(1 - dx - (x - left))
            inside = (at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width)
            seen = picture[:, at_y.clip(0, height - 1), at_x.clip(0, width - 1)]
            out += (seen * (share * inside)).astype(np.float32)
    return out
