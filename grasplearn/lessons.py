"""A lesson on disk: the demonstration for all to see, and apart from it what only judges may."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grasplearn.errors import FileFormatError
from grasplearn.files import load_demonstration, save_demonstration, write_json
from grasplearn.types import Camera, Lesson, Light, PlacedObject, SceneSpec

PRIVATE = "lesson.json"


def save_lesson(folder: Path, lesson: Lesson) -> None:
    """Writes the demonstration's files and, last, ``lesson.json``, which makes it complete."""
    save_demonstration(folder, lesson.demonstration)
    write_json(
        folder / PRIVATE,
        {
            "object_id": lesson.object_id,
            "part": lesson.part,
            "pose_index": lesson.pose_index,
            "T_object_grasp": lesson.T_object_grasp.tolist(),
            "scene": scene_to_dict(lesson.scene),
        },
    )


def load_lesson(folder: Path) -> Lesson:
    """Reads a lesson.

    Raises:
        FileFormatError: a file is missing or holds something else.
    """
    demonstration = load_demonstration(folder)
    path = folder / PRIVATE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Lesson(
            demonstration=demonstration,
            object_id=data["object_id"],
            part=data["part"],
            scene=scene_from_dict(data["scene"]),
            T_object_grasp=data["T_object_grasp"],
            pose_index=data["pose_index"],
        )
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is no lesson ({error!r}); make it again") from error


def is_complete(folder: Path) -> bool:
    return (folder / PRIVATE).exists()


def scene_to_dict(scene: SceneSpec) -> dict[str, Any]:
    return {
        "objects": [asdict(o) for o in scene.objects],
        "camera": scene.camera.to_dict(),
        "light": asdict(scene.light),
        "table_texture": scene.table_texture,
        "table_tint": list(scene.table_tint),
        "sensor_seed": scene.sensor_seed,
        "tier": scene.tier,
        "hidden": scene.hidden,
    }


def scene_from_dict(data: dict[str, Any]) -> SceneSpec:
    objects = tuple(
        PlacedObject(
            **{**o, "position": tuple(o["position"]), "quaternion": tuple(o["quaternion"])}
        )
        for o in data["objects"]
    )
    light = {**data["light"]}
    for name in ("direction", "color"):
        light[name] = tuple(light[name])
    return SceneSpec(
        objects=objects,
        camera=Camera.from_dict(data["camera"]),
        light=Light(**light),
        table_texture=data["table_texture"],
        table_tint=tuple(data["table_tint"]),
        sensor_seed=data["sensor_seed"],
        tier=data["tier"],
        hidden=data["hidden"],
    )
