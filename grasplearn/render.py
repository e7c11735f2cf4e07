"""Renders training families in parallel processes; what is there already is left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import joblib
import numpy as np

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.files import write_json
from grasplearn.geometry import heightmap
from grasplearn.learning.cutout import things
from grasplearn.learning.families import (
    SETTINGS,
    View,
    Views,
    family_name,
    save_family,
)
from grasplearn.pictures import read_json
from grasplearn.sim.families import Family, draw_family, places, thinned
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.sensor import SENSOR
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.types import SPLITS, Array, Observation, SceneSpec

# Families that a process renders in one go: of few objects, whose grasps are then found once.
CHUNK = 20
DRAWS = 5
# Per grasp, (4, 4) poses in an object's frame.
Poses = tuple[tuple[Array, ...], ...]


@dataclass(frozen=True)
class RenderSettings:
    """What is rendered; equal settings give equal files.

    Attributes:
        families: how many. split: whose objects. tiers: which may occur.
        objects: folders that ``python -m sim_assets.generator`` made, beside the catalogue.
        seed: of everything.

    Raises:
        InvalidValueError: a value is out of range.
    """

    families: int
    split: str = "train"
    tiers: tuple[str, ...] = tuple(TIERS)
    objects: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.families < 1:
            raise InvalidValueError(f"families must be at least 1, got {self.families}")
        if self.split not in SPLITS:
            raise UnknownNameError("split", self.split, SPLITS)
        for name in self.tiers:
            if name not in TIERS:
                raise UnknownNameError("tier", name, TIERS)


def render(
    settings: RenderSettings,
    out: Path,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Renders what is missing in ``out``; returns how many families are there.

    Raises:
        FileFormatError: other settings were rendered there.
    """
    told = asdict(settings) | {"tiers": list(settings.tiers), "objects": list(settings.objects)}
    if (out / SETTINGS).exists():
        if read_json(out / SETTINGS, "render settings") != told:
            raise FileFormatError(f"{out} holds other families; choose another --out")
    else:
        write_json(out / SETTINGS, told)
    missing = [i for i in range(settings.families) if not (out / family_name(i)).exists()]
    done = settings.families - len(missing)
    chunks = [missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)]
    with joblib.Parallel(n_jobs=workers, return_as="generator_unordered") as pool:
        progress("families", done, settings.families)
        for count in pool(joblib.delayed(_render_some)(settings, out, chunk) for chunk in chunks):
            done += count
            progress("families", done, settings.families)
    return done


@dataclass(frozen=True)
class _Studio:
    """A process's simulator, and whom it may picture."""

    world: World
    models: tuple[ObjectModel, ...]
    by_category: dict[str, list[ObjectModel]]


@cache
def _studio(objects: tuple[str, ...], split: str) -> _Studio:
    catalogue = Catalogue.builtin()
    for folder in objects:
        catalogue = catalogue.joined(Catalogue.generated(Path(folder)))
    models = tuple(sorted(catalogue.select(split=split), key=lambda m: m.object_id))
    by_category = defaultdict(list)
    for model in models:
        by_category[model.category].append(model)
    return _Studio(World(catalogue), models, dict(by_category))


def _render_some(settings: RenderSettings, out: Path, indices: list[int]) -> int:
    studio = _studio(settings.objects, settings.split)
    made = 0
    for index in indices:
        # Neighbouring families are of the same object or category, which a process knows already.
        model = studio.models[index * len(studio.models) // settings.families]
        kin = [k for k in studio.by_category[model.category] if k is not model]
        others = [m for m in studio.models if m.category != model.category]
        rng = np.random.default_rng([settings.seed, index])
        # Few kin, so that their grasps need not be found for all of a category.
        kin = [kin[i] for i in rng.permutation(len(kin))[:2]]
        for _ in range(DRAWS):
            family = draw_family(studio.world, model, kin, others, rng, settings.tiers)
            if family is not None and _pictured(studio.world, family, out, index):
                made += 1
                break
    return made


def _pictured(world: World, family: Family, out: Path, index: int) -> bool:
    """Takes a family's pictures and saves them; not if no question about it can be asked."""
    views = tuple(
        _view(world, scene, grasps, widths, parts)
        for scene, grasps, widths, parts in zip(
            family.scenes, family.grasps, family.widths, family.parts, strict=True
        )
    )
    shown = [
        any(len(v.places[k]) for v in views[: family.plain])
        and sum(len(v.places[k]) > 0 for v in views) > 1
        for k in range(len(family.widths[0]))
    ]
    if not any(shown):
        return False
    save_family(out, index, Views(family.object_id, views, family.plain))
    return True


def _view(
    world: World,
    scene: SceneSpec,
    grasps: Poses,
    widths: tuple[float, ...],
    parts: Poses,
) -> View:
    world.eye.show(scene)
    rgb, depth, labels = world.eye.render(scene.camera, scene.light, labels=True)
    if scene.sensor_seed is not None:
        rgb, depth = SENSOR.sense(rgb, depth, np.random.default_rng(scene.sensor_seed))
    seen = heightmap(Observation(rgb, depth, scene.camera))

    def found(poses: Poses) -> tuple[Array, ...]:
        each = (places(scene, some, labels, scene.camera) for some in poses)
        return tuple(np.array(some, np.float64).reshape(-1, 3) for some in each)

    return View(
        seen.rgb,
        seen.height,
        seen.known,
        things(seen) > 0,
        scene.tier,
        found(grasps),
        widths,
        tuple(thinned(some) for some in found(parts)),
    )
