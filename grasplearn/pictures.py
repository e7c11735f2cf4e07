"""Reads a person's own pictures and cameras from files; every error names the file and the fix.

Pictures are taken as they are: undistorted, depth registered to the colours, pixel for pixel.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.types import IMAGE_SIDE_RANGE, Array

# A float64 depth picture of the largest size, twice over.
MAX_FILE_BYTES = 2 * 8 * IMAGE_SIDE_RANGE[1] ** 2
MILLIMETRE = 0.001
# No table is this far from its camera: such numbers are millimetres.
FARTHEST_MEDIAN = 50.0
# A lens that sees 157 degrees; below it, focal lengths are hardly in pixels.
MIN_FOCAL_PER_SIDE = 0.1

_SPELLINGS = {
    "fx": ("fx",),
    "fy": ("fy",),
    "cx": ("cx", "ppx", "x_offset"),
    "cy": ("cy", "ppy", "y_offset"),
}
_MATRIX_KEYS = ("K", "k", "camera_matrix", "intrinsic_matrix")
_WIDTH_KEYS, _HEIGHT_KEYS = ("width", "img_width"), ("height", "img_height")
_SCALE_KEYS = ("depth_scale_m", "depth_scale")


@dataclass(frozen=True)
class CameraFile:
    """What a camera's JSON file says.

    Attributes:
        K: (3, 3) intrinsics in pixels.
        T_world_cam: (4, 4) camera (OpenCV axes) to world, or None.
        size: (width, height) in pixels, or None.
        depth_scale: m per unit of an integer depth picture.
    """

    K: Array
    T_world_cam: Array | None
    size: tuple[int, int] | None
    depth_scale: float


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name in front of what is wrong with a value that came from it."""
    try:
        yield
    except InvalidValueError as error:
        raise InvalidValueError(f"{path}: {error}") from error


def read_bytes(path: Path, what: str) -> bytes:
    """Returns a file's content.

    Raises:
        InvalidValueError: it is missing, a folder, not readable or far too large.
    """
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder; give the {what} file itself")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 2**20
            raise InvalidValueError(f"{path} is larger than {limit} MiB; is it the {what} file?")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidValueError(f"no {what} file {path}; check the path") from error
    except OSError as error:
        raise InvalidValueError(f"cannot read the {what} file {path}: {error.strerror}") from error


def read_color(path: Path) -> NDArray[np.uint8]:
    """Reads an 8-bit PNG, JPEG or TIFF, grey or with alpha too, as RGB (H, W, 3).

    Raises:
        InvalidValueError, FileFormatError: see ``read_bytes``; not such a picture, or too large.
    """
    picture = _decode(path, read_bytes(path, "colour picture"))
    if picture.dtype != np.uint8:
        raise FileFormatError(
            f"{path} holds {picture.dtype} values; the colour picture must have 8 bits a channel"
        )
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.asarray(np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2), np.uint8)
    return np.ascontiguousarray(picture[:, :, 2::-1], dtype=np.uint8)


def read_depth(path: Path, depth_scale: float = MILLIMETRE) -> NDArray[np.float32]:
    """Reads depth along the camera's z axis as metres (H, W), 0 where it is unknown.

    Args:
        path: 16-bit PNG or TIFF, or integer .npy: units of ``depth_scale``, 0 for unknown; float
            TIFF or .npy: metres, NaN or infinite for unknown.
        depth_scale: m per unit of integers.

    Raises:
        InvalidValueError, FileFormatError: see ``read_bytes``; not such a picture, or too large;
            nothing known in it; millimetres stored as floats.
    """
    data = read_bytes(path, "depth picture")
    raw = _load_npy(path, data) if data.startswith(b"\x93NUMPY") else _decode(path, data)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[:, :, 0]
    if raw.ndim != 2:
        raise FileFormatError(
            f"{path} has shape {raw.shape}, depth has one channel; is it the colour picture?"
        )
    if raw.dtype == np.uint8:
        raise FileFormatError(
            f"{path} has 8 bits, too coarse for distances; save 16-bit millimetres or float metres"
        )
    if raw.dtype.kind in "iu":
        # Dividing by a whole number of units rounds correctly where a product with 0.0001 may not.
        per_metre = 1 / depth_scale
        whole = round(per_metre)
        depth = raw / (whole if abs(per_metre - whole) < 1e-6 * per_metre else per_metre)
    elif raw.dtype.kind == "f":
        depth = np.where(np.isfinite(raw), raw, 0).astype(np.float64)
    else:
        raise FileFormatError(f"{path} holds {raw.dtype} values; depth is integers or floats")
    if (depth < 0).any():
        raise FileFormatError(f"{path} holds negative depth; mark unknown pixels with 0")
    known = depth[depth > 0]
    if known.size == 0:
        raise FileFormatError(f"{path} is unknown (0 or NaN) everywhere; is it the depth picture?")
    median = float(np.median(known))
    if median > FARTHEST_MEDIAN:
        raise FileFormatError(
            f"{path} has a median depth of {median:.0f} m: it seems to hold millimetres; "
            "divide by 1000 or save them as 16-bit integers"
        )
    return depth.astype(np.float32)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        InvalidValueError, FileFormatError: see ``read_bytes``; not JSON, or not an object.
    """
    try:
        data = json.loads(read_bytes(path, what))
    except json.JSONDecodeError as error:
        raise FileFormatError(
            f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a JSON text file") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"{path} must hold a JSON object with names and values")
    return data


def read_camera(path: Path) -> CameraFile:
    """Reads a camera from JSON.

    The intrinsics are ``K`` (also ``camera_matrix``; 3 x 3 or 9 numbers, or ROS's
    ``{"data": ...}``) or ``fx, fy, cx, cy`` (also ``ppx, ppy`` or ``x_offset, y_offset``), at the
    top or in an object named ``intrinsics``. Optional: ``T_world_cam`` (4 x 4), ``width`` and
    ``height``, and ``depth_scale_m`` (m per unit of integer depth, else 0.001).

    Raises:
        InvalidValueError, FileFormatError: see ``read_json``; a value is missing or unusable.
    """
    data = read_json(path, "camera")
    inner = data.get("intrinsics")
    data = {**inner, **data} if isinstance(inner, dict) else data
    matrix = _first(data, _MATRIX_KEYS)
    if matrix is not None:
        K = _numbers(path, "K", matrix, (3, 3))
    else:
        values = {name: _first(data, keys) for name, keys in _SPELLINGS.items()}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise FileFormatError(
                f"{path} lacks {', '.join(missing)}; give K (3 x 3) or fx, fy, cx, cy in pixels"
            )
        fx, fy, cx, cy = (float(_numbers(path, n, v, ())) for n, v in values.items())
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    pose = data.get("T_world_cam")
    width, height = _first(data, _WIDTH_KEYS), _first(data, _HEIGHT_KEYS)
    scale = _first(data, _SCALE_KEYS)
    depth_scale = MILLIMETRE if scale is None else float(_numbers(path, "depth scale", scale, ()))
    if depth_scale <= 0:
        raise FileFormatError(f"{path}: the depth scale must be positive, got {depth_scale}")
    return CameraFile(
        K,
        None if pose is None else _numbers(path, "T_world_cam", pose, (4, 4)),
        None
        if width is None or height is None
        else (int(_numbers(path, "width", width, ())), int(_numbers(path, "height", height, ()))),
        depth_scale,
    )


def _first(data: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((data[key] for key in keys if key in data), None)


def _numbers(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> Array:
    """Returns finite numbers of a shape; flat lists and ROS's ``{"data": [...]}`` will do."""
    if isinstance(value, dict):
        value = value.get("data")
    wanted = f"{' x '.join(map(str, shape))} numbers" if shape else "a number"
    try:
        array = np.array(value, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {name} must be {wanted}") from error
    if not np.isfinite(array).all():
        raise FileFormatError(f"{path}: {name} must be {wanted}, all finite")
    return array


def _check_side(path: Path, width: int, height: int) -> None:
    low, high = IMAGE_SIDE_RANGE
    if not (low <= width <= high and low <= height <= high):
        raise InvalidValueError(
            f"{path} is {width} x {height} pixels; the sides must be {low} to {high}: resize it, "
            "and its camera's intrinsics by the same factor"
        )


def _decode(path: Path, data: bytes) -> NDArray[Any]:
    # The header tells the size before a huge picture takes the memory.
    size = _header_size(data)
    if size is None:
        raise FileFormatError(f"{path} is not a PNG, JPEG, TIFF or .npy file, or it is damaged")
    _check_side(path, *size)
    picture = None
    # The decoder would print its own complaint, or fill what is missing with grey.
    if not data.startswith(b"\x89PNG") or _png_is_whole(data):
        with suppress(cv2.error):
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FileFormatError(f"{path} cannot be decoded: it is damaged or cut off; save it again")
    return np.asarray(picture)


def _load_npy(path: Path, data: bytes) -> NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0
        shape = (header if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)[0]
        if len(shape) >= 2:
            _check_side(path, shape[1], shape[0])
        stream.seek(0)
        return np.asarray(np.load(stream, allow_pickle=False))
    except InvalidValueError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as a .npy array of numbers") from error


def _header_size(data: bytes) -> tuple[int, int] | None:
    """Returns (width, height) from the header of a PNG, JPEG or TIFF; None if it is none."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack(">II", data[16:24])
            return width, height
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data)
    except struct.error:
        return None
    return None


def _png_is_whole(data: bytes) -> bool:
    """Whether every chunk has its checksum and the last one is there."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if data[end : end + 4] != zlib.crc32(data[at + 4 : end]).to_bytes(4, "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        marker = data[at + 1]
        # Frame headers are C0 to CF, save for tables (C4, C8, CC).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[at : at + 2])
    found = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack(order + "HH", data[entry : entry + 4])
        short = kind == 3
        field = data[entry + 8 : entry + (10 if short else 12)]
        (found[tag],) = struct.unpack(order + ("H" if short else "I"), field)
    return (found[256], found[257]) if {256, 257} <= found.keys() else None
