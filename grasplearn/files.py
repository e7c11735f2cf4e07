"""A demonstration as plain files, and pictures that a person took.

A demonstration's folder holds ``color.png``; ``depth.png`` (16 bits, 0 for unknown);
``camera.json`` (``K``, ``T_world_cam``, ``width``, ``height``, ``depth_scale_m``: metres per unit
of depth) and ``grasp.json`` (``center_world`` m, ``yaw`` rad, ``width`` m). A robot can write them
as well.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError, InvalidValueError, refusal
from grasplearn.geometry import Heightmap, grasp_height, heightmap, unproject
from grasplearn.pictures import naming, read_camera, read_color, read_depth, read_json
from grasplearn.table import table_pose
from grasplearn.types import MAX_WIDTH, Array, Camera, Demonstration, Grasp, Observation

COLOR_FILE, DEPTH_FILE = "color.png", "depth.png"
CAMERA_FILE, GRASP_FILE = "camera.json", "grasp.json"
# Units of a 16-bit depth picture in m: the finest that reaches far enough is taken (6.5 m, 65 m).
DEPTH_SCALES = (0.0001, 0.001)
# How far from a clicked pixel its depth may be taken, for clicks on a sensor's holes.
CLICK_REACH_PX = 5
# renameat2(2), Linux: paths are taken from the working folder; the two change places.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def write_files(folder: str | Path, contents: dict[str, bytes]) -> None:
    """Writes files into a folder, which is made; each appears complete or not at all.

    All are written beside their places first, so that a full disk leaves the earlier ones as
    they were.

    Raises:
        InvalidValueError: the folder cannot be made or written to.
    """
    folder = Path(folder)
    waiting: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            waiting.append((Path(temporary), folder / name))
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            # mkstemp's files are for the owner's eyes only.
            Path(temporary).chmod(0o644)
        for source, place in waiting:
            source.replace(place)
    except OSError as error:
        raise InvalidValueError(refusal(error, error.filename2 or folder)) from error
    finally:
        for source, _ in waiting:
            source.unlink(missing_ok=True)


def write_json(path: str | Path, data: dict[str, Any]) -> None:
    """Writes one JSON file as ``write_files`` does."""
    write_files(Path(path).parent, {Path(path).name: _json(data)})


@contextmanager
def whole_folder(folder: str | Path, replace: bool = False) -> Iterator[Path]:
    """Hands out an empty folder; when the block ends in peace it takes its place, all at once.

    Until then, whatever happens, what was there stays as it was. The files are on the disk before
    the folder gets its name, so that a power cut leaves the old one or the new one.

    Args:
        folder: its place; folders above it are made.
        replace: whether it may take the place of another folder, which is then deleted.

    Raises:
        InvalidValueError: the place is taken, or cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        growing = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            growing.chmod(0o755)  # mkdtemp's folders are for the owner's eyes only
            yield growing
            for path in [*growing.rglob("*"), growing]:
                _sync(path)
            _take_place(growing, folder, replace)
            _sync(folder.parent)
        finally:
            # In its place it is not here any more, or the older one has come here instead.
            shutil.rmtree(growing, ignore_errors=True)
    except OSError as error:
        raise InvalidValueError(refusal(error, error.filename2 or folder)) from error


def save_demonstration(folder: str | Path, demonstration: Demonstration) -> None:
    """Writes a demonstration's four files; what is there already is replaced only when all succeed.

    Depth is rounded to 0.1 mm (to 1 mm beyond 6.5 m); all else is kept exactly.

    Raises:
        InvalidValueError: depth beyond 65 m, or the folder cannot be written to.
    """
    observation = demonstration.observation
    units, scale = _depth_units(observation.depth)
    camera = {**observation.camera.to_dict(), "depth_scale_m": scale}
    write_files(
        folder,
        {
            COLOR_FILE: _png(cv2.cvtColor(observation.rgb, cv2.COLOR_RGB2BGR)),
            DEPTH_FILE: _png(units),
            CAMERA_FILE: _json(camera),
            GRASP_FILE: _json(demonstration.grasp.to_dict()),
        },
    )


def load_demonstration(folder: str | Path) -> Demonstration:
    """Reads the four files of a demonstration.

    Raises:
        InvalidValueError, FileFormatError: a file is missing or does not hold what it should.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidValueError(
            f"no folder {folder}; a demonstration is a folder with {COLOR_FILE}, {DEPTH_FILE}, "
            f"{CAMERA_FILE} and {GRASP_FILE}"
        )
    observation = load_picture(folder / COLOR_FILE, folder / DEPTH_FILE, folder / CAMERA_FILE)
    path = folder / GRASP_FILE
    data = read_json(path, "grasp")
    missing = [key for key in ("center_world", "yaw", "width") if key not in data]
    if missing:
        raise FileFormatError(f"{path} lacks {', '.join(missing)}")
    with naming(path):
        try:
            return Demonstration(observation, Grasp.from_dict(data))
        except (TypeError, ValueError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise InvalidValueError("center_world must be 3 numbers, yaw and width one") from error


def load_picture(
    rgb_path: str | Path, depth_path: str | Path, camera_path: str | Path
) -> Observation:
    """Reads a picture from a person's own files.

    What they may hold stands at ``read_color``, ``read_depth`` and ``read_camera``. Without
    ``T_world_cam`` in the camera's file the table is found in the depth, see ``table_pose``.

    Raises:
        InvalidValueError, FileFormatError: one sentence that names the file and the fix.
    """
    rgb_path, depth_path, camera_path = Path(rgb_path), Path(depth_path), Path(camera_path)
    told = read_camera(camera_path)
    rgb = read_color(rgb_path)
    depth = read_depth(depth_path, told.depth_scale)
    height, width = rgb.shape[:2]
    if depth.shape != (height, width):
        raise InvalidValueError(
            f"{rgb_path} is {width} x {height} pixels but {depth_path} is "
            f"{depth.shape[1]} x {depth.shape[0]}; register the depth to the colours"
        )
    if told.size not in (None, (width, height)):
        raise InvalidValueError(
            f"{camera_path} is for {told.size[0]} x {told.size[1]} pixels but {rgb_path} is "
            f"{width} x {height}; scale the intrinsics with the picture"
        )
    with naming(camera_path):
        if 0 < told.K[0, 0] < 0.1 * width:
            raise InvalidValueError(f"a focal length of {told.K[0, 0]:g} is not in pixels")
        pose = np.eye(4) if told.T_world_cam is None else told.T_world_cam
        camera = Camera(told.K, pose, width, height)
    if told.T_world_cam is None:
        with naming(depth_path):
            camera = Camera(told.K, table_pose(depth, told.K), width, height)
    return Observation(rgb, depth, camera)


def pixel_grasp(
    observation: Observation, u: float, v: float, yaw_deg: float, width: float | None = None
) -> Grasp:
    """Turns a click on a picture into a grasp.

    Args:
        observation: the picture.
        u, v: pixel, from the middle of the upper left one, to the right and down.
        yaw_deg: in which direction the jaws close, degrees counter-clockwise from the picture's
            right, as seen in the picture.
        width: m in (0, MAX_WIDTH], the jaws' opening; None opens them fully.

    Raises:
        InvalidValueError: the pixel is outside the picture, has no depth nearby or does not show a
            place in the workspace; a value is not finite or out of range.
    """
    camera = observation.camera
    if not np.isfinite([u, v, yaw_deg]).all():
        raise InvalidValueError(
            f"a grasp's pixel and angle must be finite, got {u}, {v}, {yaw_deg}"
        )
    if not (-0.5 <= u < camera.width - 0.5 and -0.5 <= v < camera.height - 0.5):
        raise InvalidValueError(
            f"pixel ({u:g}, {v:g}) lies outside the picture of {camera.width} x {camera.height}"
        )
    point = unproject(camera, (u, v), _depth_near(observation.depth, u, v))
    # What the angle becomes on the table is the camera's affair: two rays through neighbouring
    # pixels are followed to the grasp's height.
    angle = np.deg2rad(yaw_deg)
    pixel, half_step = np.array([u, v]), np.array([np.cos(angle), -np.sin(angle)]) / 2
    step = _on_level(camera, pixel + half_step, point[2])
    step -= _on_level(camera, pixel - half_step, point[2])
    yaw = float(np.arctan2(step[1], step[0]))
    opening = MAX_WIDTH if width is None else float(width)
    view = heightmap(observation)
    if not _inside(view, point[:2]):
        raise InvalidValueError(
            f"pixel ({u:g}, {v:g}) shows x = {point[0]:.2f}, y = {point[1]:.2f} m, outside the "
            f"workspace of {view.span:.2f} m around {view.center}; move the object or the camera"
        )
    grasp = Grasp(point, yaw, opening)
    z = grasp_height(view, point[:2], grasp.yaw, grasp.width)
    return Grasp(np.array([point[0], point[1], z]), grasp.yaw, grasp.width)


def _take_place(growing: Path, folder: Path, replace: bool) -> None:
    try:
        growing.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not folder.is_dir():
            raise
        if not replace:
            raise InvalidValueError(f"{folder} is there already; choose another name") from error
        if not _exchange(growing, folder):
            # Not every system can do it in one step; here a power cut may leave the older one
            # under its hidden name.
            aside = growing.with_name(f"{growing.name}.old")
            folder.rename(aside)
            try:
                growing.rename(folder)
            except OSError:
                aside.rename(folder)
                raise
            shutil.rmtree(aside, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Lets two folders change places in one step; says whether that worked."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(a), os.fsencode(b)
    return bool(rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _inside(view: Heightmap, xy_world: Array) -> bool:
    pixel = view.to_pixels(xy_world)
    return bool(((pixel >= 0) & (pixel <= view.side - 1)).all())


def _depth_near(depth: NDArray[np.float32], u: float, v: float) -> float:
    rows, columns = np.nonzero(depth > 0)
    distance = np.hypot(columns - u, rows - v)
    nearest = int(distance.argmin())
    if distance[nearest] > CLICK_REACH_PX:
        raise InvalidValueError(
            f"no depth within {CLICK_REACH_PX} pixels of ({u:g}, {v:g}); choose a pixel that the "
            "depth camera sees"
        )
    return float(depth[rows[nearest], columns[nearest]])


def _on_level(camera: Camera, pixel: Array, z: float) -> Array:
    """Returns (x, y) m where the ray through a pixel meets height z."""
    eye = camera.T_world_cam[:3, 3]
    along = unproject(camera, pixel, 1.0) - eye
    return np.asarray((eye + along * (z - eye[2]) / along[2])[:2])


def _depth_units(depth: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    farthest = float(depth.max())
    for scale in DEPTH_SCALES:
        per_metre = round(1 / scale)
        if farthest * per_metre < 2**16 - 0.5:
            return np.rint(depth.astype(np.float64) * per_metre).astype(np.uint16), scale
    raise InvalidValueError(
        f"depth reaches {farthest:.0f} m, a 16-bit picture holds 65 m; mark what is unknown with 0"
    )


def _png(picture: NDArray[Any]) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
