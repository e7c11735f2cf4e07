"""Scenes made by hand, for the tests of the simulator's floor."""

from __future__ import annotations

from grasplearn.sim.camera import overhead_camera, table_textures
from grasplearn.sim.objects import Catalogue
from grasplearn.types import Light, PlacedObject, SceneSpec


def placed(
    catalogue: Catalogue, object_id: str, x: float, y: float, pose_index: int = 0
) -> PlacedObject:
    pose = catalogue.get(object_id).stable_poses[pose_index]
    return PlacedObject(object_id, (x, y, pose.height), pose.quaternion)


def scene_of(*objects: PlacedObject, sensor_seed: int | None = None) -> SceneSpec:
    return SceneSpec(
        objects, overhead_camera(), Light(), next(iter(table_textures())), (1, 1, 1), sensor_seed
    )
