from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.geometry import pose_matrix, transform
from grasplearn.learning.families import family_name, find_families, load_family
from grasplearn.render import RenderSettings, render
from grasplearn.sim.families import Family, draw_family, places, thinned
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.types import MAX_WIDTH


def family(world: World, object_id: str, seed: int) -> Family:
    """The first that can be drawn: not every pose can be grasped."""
    catalogue = world.catalogue
    model, rng = catalogue.get(object_id), np.random.default_rng(seed)
    kin, others = catalogue.kin_of(object_id)[:1], catalogue.neighbours_of(object_id)
    tries = (draw_family(world, model, kin, others, rng) for _ in range(20))
    return next(some for some in tries if some is not None)


@pytest.fixture(scope="module")
def drawn(world: World) -> list[Family]:
    wanted = ("hammer_00", "mug_00", "box_00", "carrot_00", "pan_00", "wrench_00")
    return [family(world, name, seed) for seed, name in enumerate(wanted)]


def labelled(world: World, drawn: list[Family]) -> Iterator[tuple[Family, int, np.ndarray]]:
    for some in drawn:
        for index, scene in enumerate(some.scenes):
            world.eye.show(scene)
            yield some, index, world.eye.render(scene.camera, scene.light, labels=True)[2]


def test_a_family_shows_its_object_first_and_plainly(drawn: list[Family]) -> None:
    for some in drawn:
        first = some.scenes[0]
        assert some.plain >= 2 and len(some.scenes) >= 6
        assert {s.tier for s in some.scenes[: some.plain]} <= {"same", "alike"}
        for scene in some.scenes:
            kin = scene.tier == "kin"
            assert kin or scene.objects[0].object_id == some.object_id
            assert scene.objects[0].scale == first.objects[0].scale
            assert scene.objects[0].hue_shift == first.objects[0].hue_shift
        tiers = {scene.tier for scene in some.scenes}
        assert tiers == {"alike"} or {"same", "clutter", "view"} <= tiers


def test_a_look_alike_stands_in_every_scene_or_in_none(world: World) -> None:
    families = [family(world, "spoon_00", seed) for seed in range(12)]
    alike = [some for some in families if some.scenes[0].tier == "alike"]
    assert 1 <= len(alike) <= 8
    for some in alike:
        twins = 0
        for scene in some.scenes:
            own, other = scene.objects[:2]
            if other.object_id == own.object_id:
                twins += 1
                assert other.scale != own.scale or other.hue_shift != own.hue_shift
        assert twins >= len(some.scenes) - 1, "there may be no room, once"


def test_places_lie_on_the_object_and_in_sight(world: World, drawn: list[Family]) -> None:
    found = 0
    for some, index, labels in labelled(world, drawn):
        scene = some.scenes[index]
        target = scene.objects[0]
        model = world.catalogue.get(target.object_id)
        T = pose_matrix(target.position, target.quaternion)
        points = transform(T, model.surface.points * target.scale)
        for grasps, width in zip(some.grasps[index], some.widths[index], strict=True):
            assert not grasps or 0 < width <= MAX_WIDTH
            for u, v, _ in places(scene, grasps, labels, scene.camera):
                x, y = 0.5 + (u - 111.5) * 0.002, -(v - 111.5) * 0.002
                distance = np.hypot(*(points[:, :2] - (x, y)).T).min()
                assert distance < 0.5 * width + 0.012
                found += 1
    assert found > 40


def test_every_known_grasp_of_a_part_is_told_on_a_kin_too(
    world: World, drawn: list[Family]
) -> None:
    kin = 0
    for some in drawn:
        for scene, grasps, parts in zip(some.scenes, some.grasps, some.parts, strict=True):
            model = world.catalogue.get(scene.objects[0].object_id)
            for equals, on_part in zip(grasps, parts, strict=True):
                spots = np.array([T[:3, 3] for T in on_part]).reshape(-1, 3)
                # A symmetry may turn a box's lid down, where no hand can come.
                if len(model.symmetry_rotations) == 1:
                    assert len({model.part_at(spot) for spot in spots}) <= 1
                if equals:
                    nearest = np.linalg.norm(spots - equals[0][:3, 3], axis=1).min()
                    assert nearest < 1e-9
                kin += scene.tier == "kin" and len(on_part) > len(equals)
    assert kin > 5


def test_places_are_thinned_to_those_that_differ() -> None:
    """3 pixels, or half a turn of the jaws, are no difference; 5 pixels and 0.3 rad are."""
    places = np.array(
        [
            [50, 50, 0.1],
            [53, 50, 0.1],
            [50, 50, 0.1 + np.pi],
            [50, 55, 0.1],
            [50, 50, 0.4],
            [50, 50, 0.1 - np.pi + 0.1],
        ]
    )
    assert np.array_equal(thinned(places), places[[0, 3, 4]])
    assert thinned(np.empty((0, 3))).shape == (0, 3)


def test_things_rest_on_the_table_and_do_not_run_through_each_other(
    world: World, drawn: list[Family]
) -> None:
    for some in drawn:
        for scene in some.scenes:
            if scene.tier == "clutter":
                continue
            world.build(scene.objects)
            for index, placed in enumerate(scene.objects):
                points = world.catalogue.get(placed.object_id).surface.points * placed.scale
                lowest = transform(pose_matrix(placed.position, placed.quaternion), points)[:, 2]
                assert -0.003 < lowest.min() < 0.004
                if index:
                    assert world.distance(0, index, 0.05) > 0


def test_rendering_is_resumed_and_always_the_same(tmp_path: Path) -> None:
    settings = RenderSettings(3, "validation", seed=5)
    assert render(settings, tmp_path / "a") == 3
    paths, told = find_families(tmp_path / "a")
    assert told["split"] == "validation" and len(paths) == 3
    before = {path.name: path.read_bytes() for path in paths}
    paths[1].unlink()
    kept = paths[0].stat().st_mtime_ns
    render(settings, tmp_path / "a")
    assert paths[0].stat().st_mtime_ns == kept, "what is there is left alone"
    assert {path.name: path.read_bytes() for path in paths} == before
    for path in paths:
        views = load_family(path)
        split = Catalogue.builtin().split_of(views.object_id)
        assert split == "validation"
    with pytest.raises(FileFormatError, match="other families"):
        render(RenderSettings(4, "validation", seed=5), tmp_path / "a")


def test_a_narrow_set_holds_plain_scenes_alone(tmp_path: Path) -> None:
    render(RenderSettings(2, "validation", ("same",)), tmp_path)
    for index in range(2):
        views = load_family(tmp_path / family_name(index)).views
        assert {view.tier for view in views} == {"same"}


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InvalidValueError):
        RenderSettings(0)
    with pytest.raises(UnknownNameError, match="'validation'"):
        RenderSettings(1, "validaton")
    with pytest.raises(UnknownNameError, match="clutter"):
        RenderSettings(1, tiers=("cluter",))
