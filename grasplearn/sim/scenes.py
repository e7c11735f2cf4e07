"""Draws scenes of a tier: who stands where, under which light, seen by which camera.

Everything that varies comes from the one generator that is handed in. Objects are placed and
settled by physics, and the scene is written down as they came to rest; a draw that breaks one of
the tier's conditions is thrown away and drawn again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grasplearn.errors import SceneError
from grasplearn.geometry import pose_matrix, project, transform
from grasplearn.sim.arrange import Twin, Wish, arrange, hidden_from
from grasplearn.sim.camera import CAMERA_HEIGHT, CAMERA_SIDE, overhead_camera, table_textures
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS, Tier
from grasplearn.types import Camera, Light, PlacedObject, SceneSpec

ATTEMPTS = 60
# How a look-alike differs: a turn of hues (rad), or its size.
TWIN_HUE = (np.deg2rad(45), np.deg2rad(120))
TWIN_BIGGER = (1.2, 1.35)
TWIN_SMALLER = (0.72, 0.82)


def sample_scene(world: World, wish: Wish, tier_name: str, rng: np.random.Generator) -> SceneSpec:
    """Draws one scene of the tier. ``world`` is used for settling and is left without a scene.

    Raises:
        SceneError: no draw met the tier's conditions.
    """
    tier = TIERS[tier_name]
    if tier.look_alike and wish.twin is None:
        raise SceneError(f"tier '{tier_name}' needs to know how the look-alike differs")
    for _ in range(ATTEMPTS):
        objects = arrange(world, wish, tier, rng)
        if objects is None:
            continue
        camera = sample_camera(tier, rng)
        if not _in_view(wish.target, objects[0], camera):
            continue
        scene = SceneSpec(
            objects=objects,
            camera=camera,
            light=sample_light(rng),
            table_texture=str(rng.choice(list(table_textures()))),
            table_tint=tuple(rng.uniform(0.75, 1.0) * rng.uniform(0.85, 1.0, 3)),
            sensor_seed=int(rng.integers(2**31)) if wish.sensor else None,
            tier=tier_name,
        )
        hidden = hidden_from(world, scene.objects, scene.camera)
        if not tier.hidden[0] <= hidden <= tier.hidden[1]:
            continue
        return replace(scene, hidden=round(hidden, 4))
    raise SceneError(
        f"no '{tier_name}' scene for {wish.target.object_id} met the tier's conditions in "
        f"{ATTEMPTS} draws; is the object too big for the workspace?"
    )


def _in_view(model: ObjectModel, placed: PlacedObject, camera: Camera) -> bool:
    T = pose_matrix(placed.position, placed.quaternion)
    pixels = project(camera, transform(T, model.surface.points))
    return bool((pixels > 3).all() and (pixels < np.array([camera.width, camera.height]) - 4).all())


def sample_camera(tier: Tier, rng: np.random.Generator) -> Camera:
    """Draws where a tier's picture is taken from."""
    return overhead_camera(
        side=CAMERA_SIDE,
        height=CAMERA_HEIGHT * (1 + rng.uniform(-tier.height_change, tier.height_change)),
        tilt=rng.uniform(*tier.tilt),
        tilt_direction=rng.uniform(-np.pi, np.pi),
        offset=tuple(rng.uniform(-0.01, 0.01, 2)),
    )


def sample_light(rng: np.random.Generator) -> Light:
    """Draws the lamp."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(np.deg2rad(35), np.deg2rad(80))
    # From candle light to a cloudy sky.
    warm, cold = np.array([1.0, 0.88, 0.68]), np.array([0.78, 0.9, 1.0])
    warmth = rng.uniform()
    direction = (
        float(np.cos(azimuth) * np.cos(elevation)),
        float(np.sin(azimuth) * np.cos(elevation)),
        float(np.sin(elevation)),
    )
    r, g, b = warmth * warm + (1 - warmth) * cold
    return Light(
        direction=direction,
        color=(float(r), float(g), float(b)),
        ambient=float(rng.uniform(0.35, 0.65)),
        diffuse=float(rng.uniform(0.3, 0.7)),
        specular=float(rng.uniform(0.0, 0.3)),
        shadow=bool(rng.random() < 0.5),
    )


def draw_twin(model: ObjectModel, colorful: bool, rng: np.random.Generator) -> Twin:
    """Another colour (where hues show: ``colorful``) or another size, by a coin."""
    if colorful and rng.random() < 0.5:
        return Twin(hue_shift=float(rng.choice([-1, 1]) * rng.uniform(*TWIN_HUE)))
    bigger, smaller = rng.uniform(*TWIN_BIGGER), rng.uniform(*TWIN_SMALLER)
    return Twin(scale=float(rng.choice([bigger, smaller])))
