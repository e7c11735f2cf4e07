"""Training scenes in families: one object, shown and asked for in several scenes of several tiers.

A family is what an episode of training is drawn from: any of its plain scenes is the demonstration,
the others are questions, and where each grasp of the object lies in each of them is known. The
object may be stretched or recoloured for its whole family: to the net that is another object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from grasplearn.geometry import (
    HEIGHTMAP_SIDE,
    HEIGHTMAP_SPAN,
    WORKSPACE_CENTER,
    pose_matrix,
    project,
)
from grasplearn.sim.camera import table_textures
from grasplearn.sim.demonstrator import equal_grasps, is_colorful, kin_pose
from grasplearn.sim.grasp_search import find_grasps
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.scenes import draw_twin, sample_camera, sample_light
from grasplearn.sim.spread import Spread, lying
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.types import MAX_WIDTH, Array, Camera, PlacedObject, SceneSpec

# Grasps a family knows, and how many of an object's are looked for on each part.
GRASPS = 4
CANDIDATES = 10
SCALE = 1.25
# How many scenes of a family show the object plainly: any of them may be the demonstration.
PLAIN = 2
# Scenes after the plain ones; ``kin`` stands for ``same`` where the category has no other member.
LATER = ("clutter", "view", "clutter", "kin", "same")
MAX_HIDDEN = 0.5
# A kin's grasp answers the shown one if it is this near, m, once both objects have the same box.
KIN_REACH = 0.06
EDGE_PX = 5
# Places that differ by less, in pixels and rad, are as good as one.
NEAR_PX, NEAR = 4.0, 0.2


@dataclass(frozen=True)
class KnownGrasp:
    """A grasp in an object's frame: part, pose (4, 4), opening (m)."""

    part: str
    T_object_grasp: Array
    width: float


@dataclass(frozen=True)
class Family:
    """Scenes that hold one object (first in each), and its grasps there.

    Attributes:
        plain: how many of the scenes, the first ones, may be the demonstration.
        grasps: per scene and grasp the (4, 4) poses in the object's frame that are equally right;
            none where the scene's object has no such grasp.
        widths: per scene and grasp, m.
        parts: per scene and grasp the poses of every known grasp on the same part of the scene's
            object: on a kin any of them is right.
    """

    object_id: str
    scenes: tuple[SceneSpec, ...]
    plain: int
    grasps: tuple[tuple[tuple[Array, ...], ...], ...]
    widths: tuple[tuple[float, ...], ...]
    parts: tuple[tuple[tuple[Array, ...], ...], ...]


def known_grasps(world: World, model: ObjectModel, pose_index: int) -> list[KnownGrasp]:
    """Antipodal grasps on the graspable parts of a lone object, found once per world.

    They are right by geometry; whether they hold is not asked.
    """
    key = (model.object_id, "", pose_index)
    if key not in world.memo:
        rng = np.random.default_rng(pose_index)
        world.memo[key] = [
            KnownGrasp(part, f.T_object_grasp, f.grasp.width)
            for part in model.graspable
            for f in islice(
                find_grasps(world, model, pose_index, part, rng, undisturbed=True), CANDIDATES
            )
        ]
    return list(world.memo[key])


def draw_family(
    world: World,
    model: ObjectModel,
    kin: Sequence[ObjectModel],
    others: Sequence[ObjectModel],
    rng: np.random.Generator,
    tiers: Sequence[str] = tuple(TIERS),
) -> Family | None:
    """Draws a family; None if the object has no grasp in the pose that was drawn.

    Args:
        kin: other members of the category; others: what neighbours are drawn from.
        tiers: which may occur; ``same`` alone gives plain scenes only.
    """
    weights = np.array([p.probability for p in model.stable_poses])
    pose_index = int(rng.choice(len(weights), p=weights / weights.sum()))
    known = known_grasps(world, model, pose_index)
    if not known:
        return None
    colorful = is_colorful(model)
    scale = float(SCALE ** rng.uniform(-1, 1)) if rng.random() < 0.5 else 1.0
    hue = float(rng.uniform(-np.pi, np.pi)) if colorful and rng.random() < 0.5 else 0.0
    fitting = [g for g in known if g.width * scale <= MAX_WIDTH]
    if not fitting:
        return None
    chosen = [fitting[i] for i in rng.permutation(len(fitting))[:GRASPS]]
    twin = None
    if "alike" in tiers and rng.random() < 0.25:
        twin = draw_twin(model, colorful, rng)
    names = ["alike" if twin else "same"] * PLAIN
    later = ("alike",) * 4 if twin else LATER
    names += [name if name in tiers else "same" for name in later]
    scenes, grasps, widths, parts = [], [], [], []
    for name in names:
        tier = TIERS[name]
        shown, pose = model, pose_index
        if tier.other_member:
            candidates = [k for k in kin if known_grasps(world, k, kin_pose(model, pose_index, k))]
            if candidates:
                shown = candidates[int(rng.integers(len(candidates)))]
                pose = kin_pose(model, pose_index, shown)
        target = _variant(lying(shown, pose, rng.uniform(-np.pi, np.pi)), scale, hue)
        objects = Spread(others, rng).arrange(target, shown, tier, twin)
        scenes.append(
            SceneSpec(
                objects=objects,
                camera=sample_camera(tier, rng),
                light=sample_light(rng),
                table_texture=str(rng.choice(list(table_textures()))),
                table_tint=tuple(rng.uniform(0.75, 1.0) * rng.uniform(0.85, 1.0, 3)),
                sensor_seed=int(rng.integers(2**31)),
                tier=name,
            )
        )
        its = known_grasps(world, shown, pose)
        own = [(g if shown is model else _answering(model, g, shown, its)) for g in chosen]
        grasps.append(tuple(tuple(equal_grasps(shown, g.T_object_grasp)) if g else () for g in own))
        widths.append(tuple(g.width * scale if g else 0.0 for g in own))
        by_part = {g.part: _on_part(shown, g.part, its, scale) for g in chosen}
        parts.append(tuple(by_part[g.part] for g in chosen))
    return Family(model.object_id, tuple(scenes), PLAIN, tuple(grasps), tuple(widths), tuple(parts))


def _on_part(
    model: ObjectModel, part: str, known: Sequence[KnownGrasp], scale: float
) -> tuple[Array, ...]:
    fitting = (g for g in known if g.part == part and g.width * scale <= MAX_WIDTH)
    return tuple(T for g in fitting for T in equal_grasps(model, g.T_object_grasp))


def _variant(placed: PlacedObject, scale: float, hue: float) -> PlacedObject:
    x, y, z = placed.position
    return replace(placed, position=(x, y, z * scale), scale=scale, hue_shift=hue)


def _answering(
    model: ObjectModel, shown: KnownGrasp, kin: ObjectModel, known: Sequence[KnownGrasp]
) -> KnownGrasp | None:
    """Which of a kin's grasps on the same part is nearest to the shown one, box to box.

    Its jaws are turned by half a turn where that makes both close the same way.
    """
    low, high = model.surface.points.min(0), model.surface.points.max(0)
    kin_low, kin_high = kin.surface.points.min(0), kin.surface.points.max(0)
    share = (shown.T_object_grasp[:3, 3] - low) / (high - low)
    wanted = kin_low + share * (kin_high - kin_low)
    best, least = None, KIN_REACH
    for grasp in known:
        if grasp.part != shown.part or grasp.width > MAX_WIDTH / SCALE:
            continue
        along = float(grasp.T_object_grasp[:3, 0] @ shown.T_object_grasp[:3, 0])
        if abs(along) < np.cos(np.deg2rad(40)):
            continue
        distance = float(np.linalg.norm(grasp.T_object_grasp[:3, 3] - wanted))
        if distance < least:
            T = grasp.T_object_grasp @ np.diag([np.sign(along), np.sign(along), 1.0, 1.0])
            best, least = KnownGrasp(grasp.part, T, grasp.width), distance
    return best


def places(
    scene: SceneSpec, grasps: Sequence[Array], labels: np.ndarray, camera: Camera
) -> list[tuple[float, float, float]]:
    """Where equally right grasps lie in a scene's heightmap, of those that can be seen.

    Args:
        grasps: (4, 4) poses in the first object's frame; labels: (H, W), which object each of the
            camera's pixels shows.

    Returns:
        (u, v, yaw): heightmap pixels, and the direction of the grasp's x axis on the FULL turn.
    """
    placed = scene.objects[0]
    T_world_object = pose_matrix(placed.position, placed.quaternion)
    found = []
    for T_object_grasp in grasps:
        T = T_object_grasp.copy()
        T[:3, 3] *= placed.scale
        T = T_world_object @ T
        if T[2, 2] > -np.cos(np.deg2rad(15)) or _covered(project(camera, T[:3, 3]), labels):
            continue
        pixel = HEIGHTMAP_SPAN / HEIGHTMAP_SIDE
        middle = (HEIGHTMAP_SIDE - 1) / 2
        u = (T[0, 3] - WORKSPACE_CENTER[0]) / pixel + middle
        v = (WORKSPACE_CENTER[1] - T[1, 3]) / pixel + middle
        if EDGE_PX <= u <= HEIGHTMAP_SIDE - EDGE_PX and EDGE_PX <= v <= HEIGHTMAP_SIDE - EDGE_PX:
            found.append((float(u), float(v), float(np.arctan2(T[1, 0], T[0, 0]))))
    return found


def thinned(places: Array) -> Array:
    """Returns places (k, 3) without those that hardly differ from an earlier one; jaws have no
    front and back."""
    kept: list[Array] = []
    for place in places:
        near = (
            np.hypot(*(place - other)[:2]) < NEAR_PX
            and abs(((place - other)[2] + np.pi / 2) % np.pi - np.pi / 2) < NEAR
            for other in kept
        )
        if not any(near):
            kept.append(place)
    return np.array(kept, np.float64).reshape(-1, 3)


def _covered(pixel: Array, labels: np.ndarray) -> bool:
    """Whether something else lies over a pixel of the picture, or it is outside."""
    u, v = np.rint(pixel).astype(int)
    window = labels[max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5]
    if not window.size or u < 0 or v < 0:
        return True
    own, foreign = (window == 0).mean(), (window > 0).mean()
    return bool(own < 0.05 or foreign > 0.35)
