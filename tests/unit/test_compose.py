"""Scenes put together: the higher thing is seen, and places are kept only where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from family_kit import SIDE, view, write_families

from grasplearn.geometry import Heightmap
from grasplearn.learning.compose import compose, look_alike, stranger
from grasplearn.learning.cutout import things
from grasplearn.learning.episodes import EpisodeSettings, draw_episode
from grasplearn.learning.families import View, find_families
from grasplearn.nets.graspnet import NetSpec

SPEC = NetSpec(width=8, depth=2, turns=8)


def block(u: int, v: int, height: float, color: tuple[int, int, int]) -> View:
    """A grey table with one square block, whose middle is the only place."""
    picture = np.full((SIDE, SIDE, 3), 120, np.uint8)
    heights = np.zeros((SIDE, SIDE), np.float32)
    picture[v - 12 : v + 13, u - 12 : u + 13] = color
    heights[v - 12 : v + 13, u - 12 : u + 13] = height
    known = np.ones((SIDE, SIDE), bool)
    stands = things(Heightmap(picture, heights, known)) > 0
    place = np.array([[u, v, 0.3]])
    return View(picture, heights, known, stands, "same", (place,), (0.03,), (place,))


@pytest.mark.parametrize("on_top", [True, False])
def test_both_things_are_seen_and_the_place_is_kept(on_top: bool) -> None:
    made = compose(block(60, 60, 0.04, (200, 0, 0)), block(150, 150, 0.03, (0, 0, 200)), on_top)
    assert made.picture[60, 60].tolist() == [200, 0, 0]
    assert made.picture[150, 150].tolist() == [0, 0, 200]
    assert made.height[60, 60] == np.float32(0.04) and made.height[150, 150] == np.float32(0.03)
    assert made.places[0].tolist() == [[60, 60, 0.3]]


def test_where_things_stand_goes_with_them() -> None:
    """Through a move, a mirror, another size, and into a composed scene."""
    rng, one = np.random.default_rng(0), block(90, 120, 0.04, (200, 0, 0))
    one = replace(one, things=one.height > 0)
    for _ in range(5):
        moved = look_alike(one, 0, rng)
        assert moved.things.any() and (moved.things == (moved.height > 0)).all()
    two = block(150, 150, 0.03, (0, 0, 200))
    both = compose(one, replace(two, things=two.height > 0), on_top=True)
    assert (both.things == (both.height > 0)).all()


@pytest.mark.parametrize("on_top", [True, False])
@pytest.mark.parametrize(("height", "kept"), [(0.02, 1), (0.08, 0)])
def test_the_higher_thing_is_seen(on_top: bool, height: float, kept: int) -> None:
    """A place goes with its thing, under a higher one."""
    made = compose(block(60, 60, 0.04, (200, 0, 0)), block(64, 62, height, (0, 0, 200)), on_top)
    assert len(made.places[0]) == len(made.parts[0]) == kept
    assert made.height[60, 60] == np.float32(max(height, 0.04))


def test_onto_the_other_s_table() -> None:
    other = block(150, 150, 0.03, (0, 0, 200))
    other = replace(other, picture=np.where(other.height[..., None] > 0, other.picture, 40))
    mine = block(60, 60, 0.04, (200, 0, 0))
    assert compose(mine, other, on_top=True).picture[5, 5].tolist() == [120] * 3
    assert compose(mine, other, on_top=False).picture[5, 5].tolist() == [40] * 3


def test_what_was_not_cut_out_is_no_place() -> None:
    """A thing as low and grey as the table cannot be carried onto another one."""
    faint = block(60, 60, 0.008, (122, 122, 122))
    other = block(150, 150, 0.03, (0, 0, 200))
    assert len(compose(faint, other, on_top=True).places[0]) == 1
    assert len(compose(faint, other, on_top=False).places[0]) == 0


def test_a_look_alike_is_clearly_another() -> None:
    """Coloured: mostly in other colours; grey: always of another size, never in other colours."""
    rng = np.random.default_rng(0)
    shown = block(112, 112, 0.04, (200, 40, 30))
    grey = block(112, 112, 0.04, (90, 90, 90))
    areas, hues = [], []
    for _ in range(40):
        twin = look_alike(shown, 0, rng)
        assert not len(twin.places[0])
        high = twin.height > 0.01
        color = np.median(twin.picture[high], axis=0)
        if np.abs(color - [200, 40, 30]).max() < 20:
            areas.append(high.sum() / 625)
        else:
            hues.append(color)
        size = (look_alike(grey, 0, rng).height > 0.01).sum() / 625
        assert not 0.71 < size < 1.4
    assert len(hues) > 12 and len(areas) > 8
    assert all(not 0.71 < area < 1.4 for area in areas)


def test_a_stranger_keeps_its_size_and_has_no_place() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        laid = stranger(block(112, 112, 0.04, (200, 40, 30)), rng)
        assert not len(laid.places[0]) and not len(laid.parts[0])
        assert abs((laid.height > 0.01).sum() / 625 - 1) < 0.1
        assert laid.height.max() == np.float32(0.04)


def test_composed_questions_hold_more_and_stay_right(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The hook's red arm lies at every place that is told, with more standing about."""
    paths, _ = find_families(write_families(tmp_path, 3))
    plain, composed = (
        [
            draw_episode(
                path,
                SPEC,
                np.random.default_rng(seed),
                EpisodeSettings(questions=3, side=SIDE, mirror=0, hue=0, composed=share),
                paths,
            )
            for path in paths
            for seed in range(3)
        ]
        for share in (0.0, 1.0)
    )
    stands = [np.mean([(e.batch.pictures[:, 3] > 0.2).float().mean() for e in some]) for some in
              (plain, composed)]  # fmt: skip
    assert stands[1] > 1.3 * stands[0]
    for episode in composed:
        for picture, places in zip(episode.batch.pictures, episode.places, strict=True):
            assert len(places)
            for u, v, _ in places:
                color = picture[:3, round(v), round(u)]
                assert color[0] > color[2] + 0.3


def test_views_are_as_before_without_composing() -> None:
    rng = np.random.default_rng(3)
    shown = view(rng)
    before = shown.picture.copy()
    compose(shown, look_alike(shown, 0, rng), on_top=True)
    assert np.array_equal(shown.picture, before), "a family's scenes are shared by its questions"
