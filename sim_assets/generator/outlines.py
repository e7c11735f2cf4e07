"""Simple polygons in a plane: moving their edges inwards, cutting them into convex parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def inset(outline: Array, by: float) -> Array:
    """An outline (N, 2), counter-clockwise, with every edge moved inwards by ``by``."""
    if by == 0:
        return outline
    edge = np.roll(outline, -1, axis=0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], 1) / np.linalg.norm(edge, axis=1, keepdims=True)
    before = np.roll(normal, 1, axis=0)
    miter = normal + before
    moved: Array = outline + by * miter / np.maximum((miter * normal).sum(1, keepdims=True), 0.35)
    return moved


def triangulate(outline: ArrayLike) -> NDArray[np.int64]:
    """(N - 2, 3) triangles of a simple counter-clockwise outline, by cutting the roundest ear."""
    p = np.asarray(outline, float)
    left = list(range(len(p)))
    triangles = []
    while len(left) > 3:
        best, best_quality = 0, -np.inf
        for k in range(len(left)):
            i, j, m = left[k - 1], left[k], left[(k + 1) % len(left)]
            area = _cross(p[j] - p[i], p[m] - p[i])
            longest = max(np.sum((p[a] - p[b]) ** 2) for a, b in ((i, j), (j, m), (m, i)))
            if area <= 0 or area / longest <= best_quality:
                continue
            rest = p[[n for n in left if n not in (i, j, m)]]
            sides = [_cross(p[b] - p[a], rest - p[a]) for a, b in ((i, j), (j, m), (m, i))]
            if not np.any(np.min(sides, axis=0) >= -1e-12):
                best, best_quality = k, area / longest
        triangles.append((left[best - 1], left[best], left[(best + 1) % len(left)]))
        del left[best]
    return np.array([*triangles, tuple(left)], dtype=np.int64)


def convex_parts(outline: ArrayLike) -> list[list[int]]:
    """Vertex indices of convex parts of an outline: triangles merged while they stay convex."""
    p = np.asarray(outline, float)
    parts = [list(map(int, t)) for t in triangulate(p)]
    merging = True
    while merging:
        merging = False
        for a in range(len(parts)):
            for b in range(a + 1, len(parts)):
                joined = _join(parts[a], parts[b])
                if joined and _is_convex(p[joined]):
                    parts[a] = joined
                    del parts[b]
                    merging = True
                    break
            if merging:
                break
    return parts


def _join(a: list[int], b: list[int]) -> list[int] | None:
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[(j + 1) % len(b)] and a[(i + 1) % len(a)] == b[j]:
                rest = [b[(j + 2 + n) % len(b)] for n in range(len(b) - 2)]
                return [*a[: i + 1], *rest, *a[i + 1 :]]
    return None


def _is_convex(p: Array) -> bool:
    edge = np.roll(p, -1, axis=0) - p
    return bool((_cross(edge, np.roll(edge, -1, axis=0)) > -1e-10).all())


def _cross(a: Array, b: Array) -> Any:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
