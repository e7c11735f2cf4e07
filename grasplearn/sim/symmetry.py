"""Which rotations leave an object as it was: the group declared axes span, and finding axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from grasplearn.errors import AssetError
from grasplearn.types import Array, SymmetryAxis

# A continuous axis is sampled every 5 degrees: half a step is a quarter of the 10 degree
# yaw error that any grasp forgives.
CONTINUOUS_STEPS = 72
# A dihedral group over a continuous axis has 144 members, the largest polyhedral one 60.
MAX_GROUP = 720
SPHERE_SAMPLES = 5000

# Turned onto itself, the surface may be off by this much: a scan's noise, a rounded edge.
MIN_TOLERANCE = 0.0015
RELATIVE_TOLERANCE = 0.025
# Colour differences, of 255, between what lies where: on average, and nearly everywhere.
MEAN_SHADE, MAX_SHADE = 14.0, 45.0
PROBES, NEIGHBOURS = 800, 8
# Degrees; no two of them belong to one discrete rotation of order 2 to 12.
CONTINUOUS_TESTS = (17.0, 40.0, 75.0, 131.0)


def rotation_group(axes: Sequence[SymmetryAxis]) -> Array:
    """All rotations that the axes generate together.

    Args:
        axes: symmetry axes in the object's frame; none means the identity alone.

    Returns:
        (n, 3, 3) float64, the identity first; closed under products. Continuous axes are sampled
        every 5 degrees; where they generate every rotation (a sphere) the result is instead an
        even sample of SPHERE_SAMPLES rotations, about 9 degrees apart.

    Raises:
        AssetError: the axes contradict each other (their products never close).
    """
    if _is_sphere(axes):
        return _even_rotations(SPHERE_SAMPLES)
    generators = [
        Rotation.from_rotvec(np.array(a.axis) * 2 * np.pi / (a.order or CONTINUOUS_STEPS))
        for a in axes
    ]
    group = np.eye(3)[None]
    frontier = group
    while len(frontier) and generators:
        products = np.concatenate([frontier @ g.as_matrix() for g in generators])
        known = len(group)
        group = _unique(np.concatenate([group, products]))
        frontier = group[known:]
        if len(group) > MAX_GROUP:
            raise AssetError(
                f"{len(axes)} symmetry axes generate more than {MAX_GROUP} rotations; "
                "they must pass through each other at the angles of a prism or a regular solid"
            )
    return group


def _unique(matrices: Array) -> Array:
    """The first of each distinct matrix, in order."""
    _, first = np.unique(np.round(matrices.reshape(-1, 9), 4) + 0.0, axis=0, return_index=True)
    result: Array = matrices[np.sort(first)]
    return result


def _is_sphere(axes: Sequence[SymmetryAxis]) -> bool:
    """A continuous axis and any other that is neither along it nor a flip across it."""
    for a in axes:
        for b in axes if a.order == 0 else ():
            along = abs(float(np.dot(a.axis, b.axis)))
            if along < 0.999 and not (along < 1e-3 and b.order == 2):
                return True
    return False


def _even_rotations(count: int) -> Array:
    """(count, 3, 3) rotations, evenly spread, the identity put first.

    Source: Alexa, "Super-Fibonacci Spirals: Fast, Low-Discrepancy Sampling of SO(3)", CVPR 2022.
    """
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    s = np.arange(count) + 0.5
    inner, outer = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / phi, 2 * np.pi * s / psi
    quaternions = np.stack(
        [inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)],
        axis=1,
    )
    rotations: Array = Rotation.from_quat(quaternions).as_matrix()
    rotations[0] = np.eye(3)
    return rotations


def find_symmetry(
    points: Array,
    colors: NDArray[np.uint8],
    frames: Sequence[Array],
    size: float,
) -> tuple[SymmetryAxis, ...]:
    """Finds rotational symmetries by turning the surface and comparing it with itself.

    Conservative: an axis is claimed only where both shape and colours agree everywhere.

    Args:
        points: (n, 3) m, dense on the surface, with the centroid of the solid as origin (every
            symmetry axis of a solid passes through it).
        colors: (n, 3) uint8 of the points.
        frames: candidates, (3, 3) with three orthogonal axes as columns; the one with the most
            symmetry wins, the first of equals.
        size: m, a typical extent of the object, to which the tolerance is relative.

    Returns:
        Axes that together generate the group found; empty without symmetry.
    """
    tolerance = max(MIN_TOLERANCE, RELATIVE_TOLERANCE * size)
    tree = cKDTree(points)
    probe = np.linspace(0, len(points) - 1, min(PROBES, len(points))).astype(int)
    # Colours of neighbourhoods: print and scanning noise are finer than a grasp cares about.
    spacing, near = tree.query(points[probe], k=NEIGHBOURS)
    # Between samples even the surface itself is not met exactly.
    tolerance += float(np.quantile(spacing[:, 1], 0.98))
    shades = colors.astype(np.float64)
    own = shades[near].mean(axis=1)

    def holds(axis: Array, angle: float) -> bool:
        turned = points[probe] @ Rotation.from_rotvec(axis * angle).as_matrix().T
        distance, there = tree.query(turned, k=NEIGHBOURS)
        if np.quantile(distance[:, 0], 0.98) > tolerance:
            return False
        difference = np.abs(shades[there].mean(axis=1) - own).max(axis=1)
        return bool(difference.mean() < MEAN_SHADE and np.quantile(difference, 0.95) < MAX_SHADE)

    def order(axis: Array) -> int:
        if all(holds(axis, np.radians(angle)) for angle in CONTINUOUS_TESTS):
            return 0
        return next((n for n in (6, 4, 3, 2) if holds(axis, 2 * np.pi / n)), 1)

    best: tuple[SymmetryAxis, ...] = ()
    for frame in frames:
        axes = _compatible(frame, [order(axis) for axis in frame.T])
        if len(rotation_group(axes)) > len(rotation_group(best)):
            best = axes
    return best


def _compatible(frame: Array, orders: Sequence[int]) -> tuple[SymmetryAxis, ...]:
    """The largest group that three orthogonal axes of these orders (1: none) can form.

    Besides the sphere and the cube that is a prism: one main axis and flips across it.
    """
    turns = [CONTINUOUS_STEPS if order == 0 else order for order in orders]
    main = int(np.argmax(turns))
    if not (all(order == 0 for order in orders) or all(turn % 4 == 0 for turn in turns)):
        orders = [
            order if i == main else 2 if turns[i] % 2 == 0 else 1 for i, order in enumerate(orders)
        ]
    elif 0 in orders and any(orders):
        orders = [0 if i == main else 2 for i in range(3)]
    return tuple(
        SymmetryAxis((float(axis[0]), float(axis[1]), float(axis[2])), order)
        for axis, order in zip(frame.T, orders, strict=True)
        if order != 1
    )
