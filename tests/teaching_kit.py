"""What the tests of teaching share: small untrained weights, and a table with a thing on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from grasplearn.geometry import look_at
from grasplearn.learning.pretrained import Pretrained, save_pretrained
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.rules.sgm import SGMs
from grasplearn.types import Camera, Demonstration, Grasp, Observation

SMALL = NetSpec(width=8, depth=2, features=8, groups=2, turns=8, kernel=3, hidden=4)
# That sees as much of a demonstration as a verifier compares.
SEEING = replace(SMALL, depth=4)
SIDE, HEIGHT = 224, 0.7
# Straight above the workspace, and seeing all of it.
CAMERA = Camera(
    np.array([[SIDE * 1.4, 0, 111.5], [0, SIDE * 1.4, 111.5], [0, 0, 1]]),
    look_at((0.5, 0, HEIGHT), (0.5, 0, 0), (0, 1, 0)),
    SIDE,
    SIDE,
)


def tiny_weights(
    path: Path,
    seed: int = 0,
    modules: tuple[str, ...] = ("static-sgm", "static-sgm-one-pass"),
    spec: NetSpec = SMALL,
) -> Path:
    """Writes weights of a net so small that teaching it takes moments; they know nothing."""
    net = GraspNet(spec, seed)
    made = {name: SGMs.untrained(net, np.random.default_rng(seed)) for name in modules}
    save_pretrained(path, Pretrained(net, made, {"note": "of the tests"}))
    return path


def table(x: float = 0.5, y: float = 0.0) -> Observation:
    """A red bar of 10 x 3 cm, 4 cm high, with a green end, on a grey table with a little noise."""
    v, u = np.mgrid[:SIDE, :SIDE]
    top = HEIGHT - 0.04
    across = (u - 111.5) * top / CAMERA.K[0, 0] + 0.5 - x
    along = (111.5 - v) * top / CAMERA.K[1, 1] - y
    bar = (np.abs(across) < 0.05) & (np.abs(along) < 0.015)
    rgb = np.full((SIDE, SIDE, 3), 120, np.uint8)
    rgb[bar] = (200, 30, 30)
    rgb[bar & (across > 0.02)] = (30, 180, 40)
    rgb += np.random.default_rng(0).integers(0, 9, rgb.shape, dtype=np.uint8)
    return Observation(rgb, np.where(bar, top, HEIGHT).astype(np.float32), CAMERA)


def demonstration() -> Demonstration:
    """The bar, shown at its green end."""
    return Demonstration(table(), Grasp(np.array([0.535, 0.0, 0.022]), np.pi / 2 - 0.1, 0.06))
