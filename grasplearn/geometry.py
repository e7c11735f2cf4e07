"""Pixels, cameras, poses and heightmaps: pure functions on plain values.

Source: pinhole model and frames as in OpenCV's calib3d; a heightmap is the orthographic view of
Zeng et al. (arXiv 1803.09956, section III), here with the camera's colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from grasplearn.errors import InvalidValueError
from grasplearn.room import Room
from grasplearn.types import MAX_WIDTH, Array, Camera, Grasp, Observation, wrap_yaw

# The square of table that pictures are made into: its middle, its side and its pixels.
WORKSPACE_CENTER = (0.5, 0.0)
HEIGHTMAP_SPAN = 0.448
HEIGHTMAP_SIDE = 224
# Half of a Panda fingertip's breadth across the closing direction (collision mesh: 18 mm).
PAD_HALF_BREADTH = 0.009
# The pads' middle goes this far below the top of what lies between the jaws ...
INSERTION_DEPTH = 0.018
# ... but not nearer to the table than this: the fingertips reach 7 mm below the pads' middle.
MIN_CENTER_HEIGHT = 0.010


def pose_matrix(position: ArrayLike, quaternion: ArrayLike) -> Array:
    """Returns the (4, 4) transform of a position (3,) and a quaternion (x, y, z, w)."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    T[:3, 3] = position
    return T


def pose_parts(T: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns position (3,) and quaternion (x, y, z, w) of a (4, 4) transform."""
    quaternion = Rotation.from_matrix(T[:3, :3]).as_quat(canonical=True)
    return tuple(map(float, T[:3, 3])), tuple(map(float, quaternion))


def invert(T: Array) -> Array:
    """Returns the inverse of a rigid (4, 4) transform."""
    out = np.eye(4)
    out[:3, :3] = T[:3, :3].T
    out[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return out


def transform(T_a_b: Array, points_b: ArrayLike) -> Array:
    """Maps points (..., 3) from frame b to frame a."""
    return np.asarray(points_b, dtype=np.float64) @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def look_at(eye_world: ArrayLike, target_world: ArrayLike, up_world: ArrayLike) -> Array:
    """Returns T_world_cam (OpenCV axes) of a camera at ``eye`` that sees ``target`` in its middle.

    ``up_world`` points to the top of the picture; it must not be parallel to the line of sight.
    """
    eye = np.asarray(eye_world, dtype=np.float64)
    forward = np.asarray(target_world, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up_world, dtype=np.float64))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, 0] = right
    T[:3, 1] = np.cross(forward, right)
    T[:3, 2] = forward
    T[:3, 3] = eye
    return T


def project(camera: Camera, points_world: ArrayLike) -> Array:
    """Projects points (..., 3) m in the world to pixels (..., 2) as (u, v)."""
    points_cam = transform(invert(camera.T_world_cam), points_world)
    uvw = points_cam @ camera.K.T
    return uvw[..., :2] / uvw[..., 2:]


def unproject(camera: Camera, pixels: ArrayLike, depth: ArrayLike) -> Array:
    """Lifts pixels (..., 2) as (u, v) with depths (...) m to world points (..., 3)."""
    pixels = np.asarray(pixels, dtype=np.float64)
    depth = np.asarray(depth, dtype=np.float64)
    x = (pixels[..., 0] - camera.K[0, 2]) / camera.K[0, 0]
    y = (pixels[..., 1] - camera.K[1, 2]) / camera.K[1, 1]
    points_cam = np.stack([x * depth, y * depth, depth], axis=-1)
    return transform(camera.T_world_cam, points_cam)


def points_world(observation: Observation) -> tuple[Array, NDArray[np.bool_]]:
    """Returns every pixel's world point (H, W, 3) and which of them are known (H, W)."""
    camera = observation.camera
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return unproject(camera, np.stack([u, v], -1), observation.depth), observation.depth > 0


def yaw_difference(a: float, b: float) -> float:
    """Smallest angle between two jaw directions, in [0, pi/2] rad."""
    return abs(wrap_yaw(a - b))


def hue_rotation(angle: float) -> Array:
    """Returns the (3, 3) rotation of RGB about its grey axis by ``angle`` rad."""
    axis = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


@dataclass(frozen=True)
class Heightmap:
    """The workspace seen straight from above, orthographically; u runs along +x, v along -y.

    Attributes:
        rgb: (N, N, 3) uint8.
        height: (N, N) float32, m above the table.
        known: (N, N) bool, False where no measurement fell nearby (holes, shadows of the view).
        span: m, side of the square; center: (x, y) m of its middle in the world.
    """

    rgb: NDArray[np.uint8]
    height: NDArray[np.float32]
    known: NDArray[np.bool_]
    span: float = HEIGHTMAP_SPAN
    center: tuple[float, float] = WORKSPACE_CENTER

    @property
    def side(self) -> int:
        return int(self.height.shape[0])

    @cached_property
    def metres_per_pixel(self) -> float:
        return self.span / self.side

    def to_pixels(self, xy_world: ArrayLike) -> Array:
        """World (..., 2) m to continuous pixels (..., 2) as (u, v)."""
        xy = np.asarray(xy_world, dtype=np.float64)
        middle = (self.side - 1) / 2
        u = (xy[..., 0] - self.center[0]) / self.metres_per_pixel + middle
        v = (self.center[1] - xy[..., 1]) / self.metres_per_pixel + middle
        return np.stack([u, v], axis=-1)

    def to_world(self, pixels: ArrayLike) -> Array:
        """Pixels (..., 2) as (u, v) to world (..., 2) m."""
        uv = np.asarray(pixels, dtype=np.float64)
        middle = (self.side - 1) / 2
        x = (uv[..., 0] - middle) * self.metres_per_pixel + self.center[0]
        y = (middle - uv[..., 1]) * self.metres_per_pixel + self.center[1]
        return np.stack([x, y], axis=-1)


def heightmap(
    observation: Observation,
    side: int = HEIGHTMAP_SIDE,
    span: float = HEIGHTMAP_SPAN,
    center: tuple[float, float] = WORKSPACE_CENTER,
) -> Heightmap:
    """Turns a picture from any calibrated camera into a heightmap.

    Points are dropped onto the grid, the highest wins; cells that no point fell on take the nearest
    cell's values and are marked unknown beyond two cells.

    Raises:
        InvalidValueError: not one point lies over the square.
    """
    points, known = points_world(observation)
    grid = Heightmap(
        np.zeros((side, side, 3), np.uint8),
        np.zeros((side, side), np.float32),
        np.zeros((side, side), bool),
        span,
        center,
    )
    u, v = np.moveaxis(np.rint(grid.to_pixels(points[..., :2])), -1, 0)
    over = known & (u >= 0) & (u < side) & (v >= 0) & (v < side)
    if not over.any():
        raise InvalidValueError(
            "no depth measurement lies over the workspace; check the camera's pose and depth unit"
        )
    pixels = np.flatnonzero(over)
    z = points[..., 2].ravel()[pixels]
    flat = (v * side + u).ravel()[pixels].astype(np.int64)
    # To sort all points by height would take five times as long.
    highest = np.full(side * side, -np.inf)
    np.maximum.at(highest, flat, z)
    top = np.flatnonzero(z == highest[flat])
    flat = flat[top]
    height = np.zeros(side * side, np.float32)
    rgb = np.zeros((side * side, 3), np.uint8)
    hit = np.zeros(side * side, np.uint8)
    height[flat] = z[top]
    rgb[flat] = observation.rgb.reshape(-1, 3).take(pixels[top], axis=0)
    hit[flat] = 1

    distance, labels = cv2.distanceTransformWithLabels(
        1 - hit.reshape(side, side), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.int64)
    nearest[labels.ravel()[hit > 0]] = np.flatnonzero(hit)
    source = nearest[labels.ravel()]
    return Heightmap(
        rgb.take(source, axis=0).reshape(side, side, 3),
        height[source].reshape(side, side),
        distance <= 2.5,
        span,
        center,
    )


def strip_heights(view: Heightmap, xy_world: ArrayLike, yaw: float, width: float) -> Array:
    """Returns the heights (k,) m in the strip that the pads enclose."""
    step = view.metres_per_pixel / 2
    along = np.arange(-width / 2, width / 2 + step, step)
    across = np.arange(-PAD_HALF_BREADTH, PAD_HALF_BREADTH + step, step)
    a, b = np.meshgrid(along, across)
    x, y = np.asarray(xy_world, dtype=np.float64)
    xs = x + a * np.cos(yaw) - b * np.sin(yaw)
    ys = y + a * np.sin(yaw) + b * np.cos(yaw)
    cells = np.rint(view.to_pixels(np.stack([xs, ys], -1))).astype(int).reshape(-1, 2)
    cells = cells[((cells >= 0) & (cells < view.side)).all(axis=1)]
    return np.asarray(view.height[cells[:, 1], cells[:, 0]], dtype=np.float64)


def center_height(top: float) -> float:
    """How high (m) the pads' middle goes when what lies between the jaws is ``top`` m high."""
    return max(top - min(INSERTION_DEPTH, top / 2), MIN_CENTER_HEIGHT)


def grasp_height(view: Heightmap, xy_world: ArrayLike, yaw: float, width: float) -> float:
    """Returns the height (m) of a grasp's centre that the picture alone suggests.

    The one rule that all vision policies and the Gymnasium action share: a little below the top of
    what is seen between the jaws.
    """
    heights = strip_heights(view, xy_world, yaw, min(width, MAX_WIDTH))
    top = float(np.percentile(heights, 90)) if heights.size else 0.0
    return center_height(max(top, 0.0))


def room_in(view: Heightmap, tolerated: float = 0.0) -> Room:
    """Returns what there is of room for the open hand in a heightmap."""
    return Room(view.height, view.known, view.to_pixels, partial(grasp_height, view), tolerated)


def seen_inside(view: Heightmap, grasp: Grasp) -> float:
    """Returns how much too deep (m, at least 0) a demonstrated grasp stands inside something."""
    return max(0.0, room_in(view).lacking(grasp))
