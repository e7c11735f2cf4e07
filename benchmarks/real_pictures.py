"""Real pictures: a grasp is taught on each and found again in the picture turned, shifted, re-lit.

    python benchmarks/real_pictures.py --pictures FOLDER [--methods imprint,static-sgm,template]

FOLDER holds ``000000-color.png``, ``000000-depth.png`` (16-bit millimetres), ... and
``camera_params.json``, as in NVlabs/UnseenObjectClustering; which grasps are shown on them stands
in ``real_pictures.json`` beside this file. The pictures belong to nobody here: without the folder
the check is skipped.

A change turns the camera about its line of sight, shifts the picture and changes the light. The
table is found anew in every picture, as in one of a person's own, so the thing is elsewhere in the
workspace, turned by any angle; where it is, geometry tells. Found again means within 2 cm and 30
degrees (things that are round: at any angle).
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro

from grasplearn.errors import GraspLearnError, NoGraspError
from grasplearn.files import load_picture, pixel_grasp, write_json
from grasplearn.geometry import HEIGHTMAP_SPAN, WORKSPACE_CENTER, invert, yaw_difference
from grasplearn.policies import make_policy
from grasplearn.policies.base import Grasper
from grasplearn.show.overlay import demonstration_picture, prediction_picture, save_png
from grasplearn.show.table import MEAN, print_summary
from grasplearn.sim.judge import MAX_POSITION_ERROR, MAX_YAW_ERROR
from grasplearn.statistics import wilson
from grasplearn.table import table_pose
from grasplearn.types import Array, Camera, Demonstration, Grasp, Observation

SHOWN = Path(__file__).with_suffix(".json")
# Holds a picture of 640 x 480 at any angle.
CANVAS = 800
SHIFT_PX = 60
# The thing stays as far from the workspace's edge, m: what it looks like must be in the picture.
MARGIN = 0.05
# As in the simulator's tiers: brightness, colour of the light, its fall across the picture, noise.
GAIN, TINT, SLOPE, NOISE = 0.3, 0.08, 0.2, 3.0


@dataclass(frozen=True)
class Shown:
    """A demonstration on a real picture; ``round`` things look the same at every angle."""

    picture: str
    thing: str
    demonstration: Demonstration
    round: bool


def read(pictures: Path) -> list[Shown]:
    told = json.loads(SHOWN.read_text(encoding="utf-8"))
    out = []
    for entry in told["demonstrations"]:
        name = entry["picture"]
        color, depth = (pictures / f"{name}-{kind}.png" for kind in ("color", "depth"))
        observation = load_picture(color, depth, pictures / told["camera"])
        demonstration = Demonstration(observation, pixel_grasp(observation, *entry["grasp"]))
        out.append(Shown(name, entry["thing"], demonstration, entry.get("round", False)))
    return out


def changed(shown: Demonstration, rng: np.random.Generator) -> Demonstration:
    """Returns the picture turned, shifted and re-lit, and the grasp where it is there."""
    while True:
        turn, shift = rng.uniform(0, 2 * math.pi), rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
        observation, T_new_old = _moved(shown.observation, turn, shift)
        grasp = shown.grasp
        direction = T_new_old[:3, :3] @ (math.cos(grasp.yaw), math.sin(grasp.yaw), 0)
        center = T_new_old[:3, :3] @ grasp.center_world + T_new_old[:3, 3]
        if np.abs(center[:2] - WORKSPACE_CENTER).max() < HEIGHTMAP_SPAN / 2 - MARGIN:
            yaw = math.atan2(direction[1], direction[0])
            return Demonstration(_relit(observation, rng), Grasp(center, yaw, grasp.width))


def _moved(seen: Observation, turn: float, shift: Array) -> tuple[Observation, Array]:
    """The picture as the camera sees it, rolled by ``turn`` rad; and from the old world to the new.

    A camera may roll about its line of sight without any change of depth. Both focal lengths must
    be equal for that; those of the pictures are, to 0.04 %.
    """
    camera = seen.camera
    c, s = math.cos(turn), math.sin(turn)
    roll = np.array([[c, -s], [s, c]])
    middle = np.array([(camera.width - 1) / 2, (camera.height - 1) / 2])
    offset = (CANVAS - 1) / 2 + shift - roll @ middle
    affine, size = np.column_stack([roll, offset]), (CANVAS, CANVAS)
    rgb = cv2.warpAffine(seen.rgb, affine, size, flags=cv2.INTER_LINEAR)
    depth = cv2.warpAffine(seen.depth, affine, size, flags=cv2.INTER_NEAREST)
    focal = (camera.K[0, 0] + camera.K[1, 1]) / 2
    K = np.diag([focal, focal, 1.0])
    K[:2, 2] = roll @ camera.K[:2, 2] + offset
    T_new_cam = table_pose(np.asarray(depth, np.float32), K)
    T_rolled_cam = np.eye(4)
    T_rolled_cam[:2, :2] = roll
    new = Camera(K, T_new_cam, CANVAS, CANVAS)
    observation = Observation(np.asarray(rgb, np.uint8), np.asarray(depth, np.float32), new)
    return observation, T_new_cam @ T_rolled_cam @ invert(camera.T_world_cam)


def _relit(seen: Observation, rng: np.random.Generator) -> Observation:
    axis = np.linspace(-1, 1, CANVAS)
    across, down = rng.uniform(-SLOPE, SLOPE, 2)
    light = (1 + GAIN) ** rng.uniform(-1, 1) * (1 + across * axis + down * axis[:, None])
    tint = 1 + rng.uniform(-TINT, TINT, 3)
    noise = rng.normal(0, NOISE, seen.rgb.shape)
    rgb = np.clip(seen.rgb * light[..., None] * tint + noise, 0, 255).astype(np.uint8)
    return Observation(rgb, seen.depth, seen.camera)


def found(grasper: Grasper, there: Demonstration, is_round: bool) -> tuple[Grasp | None, Any]:
    """The grasp, and what of it goes into a row."""
    try:
        grasp = grasper(there.observation)
    except NoGraspError:
        return None, {"success": False, "position_error_m": None, "yaw_error_rad": None}
    error = float(np.linalg.norm((grasp.center_world - there.grasp.center_world)[:2]))
    turn = yaw_difference(grasp.yaw, there.grasp.yaw)
    success = error < MAX_POSITION_ERROR and (is_round or turn < MAX_YAW_ERROR)
    return grasp, {"success": success, "position_error_m": error, "yaw_error_rad": turn}


def summary(rows: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rates and Wilson intervals per method and value of ``key``, and over all of them."""
    cells: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        for column in (row[key], MEAN):
            cells[row["method"], column].append(row["success"])
    out = []
    for (method, column), wins in cells.items():
        low, high = wilson(sum(wins), len(wins))
        out.append(
            {"method": method, "tier": column, "metric": "success", "trials": len(wins)}
            | {"successes": sum(wins), "rate": float(np.mean(wins))}
            | {"wilson_low": low, "wilson_high": high}
        )
    return out


def main(
    pictures: Path = Path("../shared/data/real_rgbd"),
    methods: str = "imprint,static-sgm,template",
    weights: str = "shipped",
    changes: int = 40,
    seed: int = 0,
    json_file: Path | None = None,
    overlays: Path | None = None,
) -> None:
    """Prints the table; ``overlays``: a folder for the demonstrations and every failure."""
    if not pictures.is_dir():
        print(f"skipped: there are no pictures in {pictures}; say where with --pictures")
        return
    rows: list[dict[str, Any]] = []
    for index, shown in enumerate(read(pictures)):
        name = f"{shown.picture} {shown.thing}"
        if overlays:
            save_png(overlays / f"{name}.png", demonstration_picture(shown.demonstration, name))
        rng = np.random.default_rng([seed, index])
        there = [changed(shown.demonstration, rng) for _ in range(changes)]
        for method in methods.split(","):
            policy = make_policy(method, weights)
            grasper = policy.teach(shown.demonstration, np.random.default_rng(seed))
            for number, case in enumerate(there):
                grasp, told = found(grasper, case, shown.round)
                place = {"picture": shown.picture, "thing": name, "change": number}
                rows.append({"method": method, **place, **told})
                if overlays and not told["success"]:
                    picture = prediction_picture(case.observation, grasp, case.grasp, name, 480)
                    save_png(overlays / method / f"{name} {number:02d}.png", picture)
            wins = [r["success"] for r in rows if (r["method"], r["thing"]) == (method, name)]
            print(f"{name}: {method} {sum(wins)} of {len(wins)}", file=sys.stderr)
    print_summary(summary(rows, "picture"))
    if json_file:
        settings = {"weights": weights, "changes": changes, "seed": seed}
        write_json(json_file, {**settings, "rows": summary(rows, "thing"), "trials": rows})


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except GraspLearnError as error:
        sys.exit(f"real_pictures: {error}")
