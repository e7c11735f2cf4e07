"""Makes and loads a user's own folder, for the tests of the importer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from grasplearn.sim.client import Client
from grasplearn.sim.importer import import_folder
from grasplearn.sim.mesh_checks import ImportReport
from grasplearn.sim.object_folder import ObjectModel

URDF = """<?xml version="1.0"?>
<robot name="thing"><link name="base">
  <inertial><mass value="{mass}"/></inertial>
  <visual><origin xyz="0 0 0.1" rpy="0 1.5707963 0"/><geometry>{visual}</geometry></visual>
  <collision><origin xyz="0 0 0.1" rpy="0 1.5707963 0"/><geometry>{collision}</geometry></collision>
</link></robot>
"""
BOX = '<box size="0.05 0.03 0.08"/>'


def box(*size: float) -> trimesh.Trimesh:
    return trimesh.creation.box(size or (0.05, 0.03, 0.08))


def write_urdf(folder: Path, visual: str = BOX, collision: str = BOX, mass: str = "0.2") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = URDF.format(visual=visual, collision=collision, mass=mass)
    (folder / "thing.urdf").write_text(text)


def load(folder: Path) -> tuple[list[ObjectModel], list[ImportReport]]:
    return import_folder(folder, folder.parent / "cache")


def load_one(folder: Path) -> ObjectModel:
    models, reports = load(folder)
    assert reports == []
    return models[0]


def picture(model: ObjectModel) -> np.ndarray:
    """RGB pixels that the object itself covers, seen from above."""
    client = Client()
    try:
        client.loadURDF(str(model.urdf))
        view = client.computeViewMatrix([0, 0, 0.3], [0, 0, 0], [0, 1, 0])
        lens = client.computeProjectionMatrixFOV(30, 1, 0.05, 1)
        width, height, rgb, _, mask = client.getCameraImage(
            64, 64, view, lens, renderer=client.ER_TINY_RENDERER, shadow=0, lightDirection=[0, 0, 1]
        )
        seen = np.reshape(rgb, (height, width, 4))[..., :3][np.reshape(mask, (height, width)) >= 0]
        return seen.astype(int)
    finally:
        client.close()
