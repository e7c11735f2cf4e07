"""Families of scenes without a simulator: a two-coloured hook on a table, among blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grasplearn.files import write_json
from grasplearn.learning.families import SETTINGS, View, Views, save_family

SIDE = 224
# Corners of the two arms in pixels, about the grasp; colour; the hook has no symmetry.
ARMS = (((-10, -6, 34, 6), (200, 40, 30)), ((22, -6, 34, 26), (40, 60, 200)))


def view(rng: np.random.Generator, tier: str = "same", hidden: bool = False) -> View:
    """A scene with the hook somewhere; ``hidden``: its grasp cannot be seen."""
    u, v = rng.uniform(60, SIDE - 60, 2)
    yaw = rng.uniform(-np.pi, np.pi)
    picture = np.full((SIDE, SIDE, 3), 120, np.uint8)
    height = np.zeros((SIDE, SIDE), np.float32)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for _ in range(3):
        x, y, side = *rng.uniform(0, SIDE, 2), rng.uniform(8, 16)
        block = (np.abs(columns - x) < side) & (np.abs(rows - y) < side)
        picture[block], height[block] = rng.integers(0, 255, 3), 0.03
    # Seen from above, v grows downwards.
    along = (columns - u) * np.cos(yaw) - (rows - v) * np.sin(yaw)
    aside = (columns - u) * np.sin(yaw) + (rows - v) * np.cos(yaw)
    for (low, left, high, right), color in ARMS:
        arm = (along > low) & (along < high) & (-aside > left) & (-aside < right)
        picture[arm], height[arm] = color, 0.04
    place = np.empty((0, 3)) if hidden else np.array([[u, v, yaw]])
    known = np.ones((SIDE, SIDE), bool)
    return View(picture, height, known, height > 0, tier, (place,), (0.03,), (place,))


def write_families(folder: Path, count: int, seed: int = 0, last: str = "view") -> Path:
    """Writes so many families of four scenes, the ``last`` of that tier."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        views = tuple(view(rng, tier) for tier in ("same", "same", "same", last))
        save_family(folder, index, Views("hook", views, 2))
    write_json(folder / SETTINGS, {"families": count, "split": "train", "seed": seed})
    return folder
