"""Finds the table in a depth picture whose camera's pose nobody measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import WORKSPACE_CENTER, heightmap
from grasplearn.types import Array, Observation

SAMPLES = 20_000
HYPOTHESES = 300
# Four times a structured-light sensor's noise at 0.9 m (1.7 mm; Nguyen et al. 2012).
INLIER_DISTANCE = 0.007
# A plane that fewer of the known pixels lie on is not the table that things stand on.
MIN_SHARE = 0.15
# Where less of the workspace than this is about as high as a table, m, there is none at z = 0.
TABLE_SHARE = 0.05
TABLE_HEIGHT = 0.02


def table_pose(depth: NDArray[np.float32], K: Array, seed: int = 0) -> Array:
    """Returns T_world_cam (4, 4) with the depth picture's dominant plane as z = 0.

    The point of the plane under the picture's middle becomes the middle of the workspace, the
    picture's right becomes world +x, as far as the plane allows.

    Args:
        depth: (H, W) m, 0 where unknown. K: (3, 3), pixels.
        seed: of the sampling; the same picture and seed give the same pose.

    Raises:
        InvalidValueError: no plane dominates, or the picture's middle looks past it.

    Source: RANSAC, Fischler and Bolles 1981; the plane is then refitted by SVD to its inliers.
    """
    rng = np.random.default_rng(seed)
    v, u = np.nonzero(depth > 0)
    if len(u) > SAMPLES:
        chosen = rng.choice(len(u), SAMPLES, replace=False)
        u, v = u[chosen], v[chosen]
    points_cam = _rays(K, u, v) * depth[v, u].astype(np.float64)[:, None]
    normal, offset, share = _dominant_plane(points_cam, rng)
    if share < MIN_SHARE:
        raise InvalidValueError(
            f"no table found: the largest plane holds {share:.0%} of the depth picture; show more "
            "of the table, or give the camera's T_world_cam"
        )
    height, width = depth.shape
    ray = _rays(K, np.array([(width - 1) / 2]), np.array([(height - 1) / 2]))[0]
    middle_cam = ray * (-offset / (normal @ ray))
    if not (np.isfinite(middle_cam).all() and middle_cam[2] > 0):
        raise InvalidValueError(
            "the picture's middle does not look onto the table; turn the camera to it, or give its "
            "T_world_cam"
        )
    x_axis = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    x_axis /= np.linalg.norm(x_axis)
    T = np.eye(4)
    T[:3, :3] = np.stack([x_axis, np.cross(normal, x_axis), normal])
    T[:3, 3] = np.array([*WORKSPACE_CENTER, 0.0]) - T[:3, :3] @ middle_cam
    return T


def check_table(observation: Observation, camera_file: object) -> None:
    """Checks that a picture's camera has the table where the world has it.

    Args:
        camera_file: whence the camera is, for the message.

    Raises:
        InvalidValueError: the camera's pose cannot be right, or the workspace is not seen.
    """
    view = heightmap(observation)
    heights = view.height[view.known]
    if np.mean(np.abs(heights) < TABLE_HEIGHT) < TABLE_SHARE:
        raise InvalidValueError(
            f"{camera_file} puts what is seen at z = {np.median(heights):.2f} m, but the table "
            "must be z = 0; correct T_world_cam, or leave it out to have the table found"
        )


def _rays(K: Array, u: NDArray[np.generic], v: NDArray[np.generic]) -> Array:
    """Returns (k, 3) points at depth 1 on the rays through pixels."""
    pixels = np.stack([u, v, np.ones(len(u))]).astype(np.float64)
    return np.asarray(np.linalg.solve(K, pixels).T)


def _dominant_plane(points: Array, rng: np.random.Generator) -> tuple[Array, float, float]:
    """Returns unit normal (3,) towards the origin, offset m, and the share of points on it."""
    corners = points[rng.integers(len(points), size=(HYPOTHESES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    proper = lengths > 1e-9
    normals, corners = normals[proper] / lengths[proper, None], corners[proper]
    if len(normals) == 0:
        return np.array([0.0, 0.0, -1.0]), 0.0, 0.0
    offsets = -np.einsum("ij,ij->i", normals, corners[:, 0])
    distances = np.abs(points.astype(np.float32) @ normals.T.astype(np.float32) + offsets)
    best = int((distances < INLIER_DISTANCE).sum(axis=0).argmax())
    normal, offset = normals[best], float(offsets[best])
    for _ in range(4):
        near = points[np.abs(points @ normal + offset) < INLIER_DISTANCE]
        middle = near.mean(axis=0)
        normal = np.linalg.svd(near - middle, full_matrices=False)[2][2]
        offset = -float(normal @ middle)
    # The camera is above the table: its own distance from the plane, the offset, is positive.
    sign = 1.0 if offset > 0 else -1.0
    share = float((np.abs(points @ normal + offset) < INLIER_DISTANCE).mean())
    return sign * normal, sign * offset, share
