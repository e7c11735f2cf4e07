from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from family_kit import SIDE, view, write_families
from teaching_kit import SMALL

from grasplearn.errors import FileFormatError
from grasplearn.learning.episodes import EpisodeSettings, changed, draw_episode, is_right
from grasplearn.learning.families import (
    View,
    Views,
    family_name,
    find_families,
    load_family,
    save_family,
)
from grasplearn.nets.codec import Place


def test_a_family_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    family = Views("hook", (view(rng), view(rng, hidden=True)), 1)
    save_family(tmp_path, 7, family)
    again = load_family(tmp_path / family_name(7))
    assert (again.object_id, again.plain) == ("hook", 1)
    for a, b in zip(family.views, again.views, strict=True):
        assert np.allclose(a.places[0], b.places[0], atol=1e-3) and a.widths == b.widths
        assert np.abs(a.height - b.height).max() <= 0.0005
        assert (a.known == b.known).all() and (a.things == b.things).all() and a.tier == b.tier
        assert np.abs(a.picture.astype(int) - b.picture).mean() < 3
    assert len(again.views[1].places[0]) == 0


def test_a_family_keeps_where_the_parts_are(tmp_path: Path) -> None:
    one = view(np.random.default_rng(0))
    part = np.array([[60.0, 70.0, 0.5], [80.0, 70.0, 0.5]])
    save_family(tmp_path, 0, Views("hook", (replace(one, parts=(part,)),), 1))
    assert np.allclose(load_family(tmp_path / family_name(0)).views[0].parts[0], part)


def test_an_older_family_knows_of_no_part_but_its_places(tmp_path: Path) -> None:
    write_families(tmp_path, 1)
    path = tmp_path / family_name(0)
    with np.load(path) as data:
        kept = dict(data)
    meta = json.loads(kept["meta"].tobytes())
    for told in meta["views"]:
        del told["parts"]
    np.savez(path, **{**kept, "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)})
    for one in load_family(path).views:
        assert np.array_equal(one.parts[0], one.places[0])


def test_on_a_kin_all_of_the_part_is_right_and_elsewhere_the_spot_alone() -> None:
    part = np.array([[60.0, 70.0, 0.5], [80.0, 70.0, 0.5]])
    own = replace(view(np.random.default_rng(0)), parts=(part,))
    assert np.array_equal(own.judged(0), own.places[0])
    assert np.array_equal(replace(own, tier="kin").judged(0), [*own.places[0], *part])


def test_a_mirrored_part_lies_where_its_places_do() -> None:
    one = view(np.random.default_rng(0))
    family = changed(
        Views("hook", (one,), 1), np.random.default_rng(0), EpisodeSettings(mirror=1.0, hue=0.0)
    )
    mirrored = family.views[0]
    assert not np.allclose(mirrored.places[0], one.places[0])
    assert np.array_equal(mirrored.parts[0], mirrored.places[0])


@pytest.mark.parametrize("damage", ["cut", "other", "missing key", "older"])
def test_a_damaged_family_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    write_families(tmp_path, 1)
    path = tmp_path / family_name(0)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "other":
        path.write_bytes(b"not a family")
    elif damage == "older":  # which kept no things: what is known was 255
        with np.load(path) as data:
            kept = dict(data)
        both = cv2.imdecode(kept["height0"], cv2.IMREAD_GRAYSCALE)
        both[SIDE:] = 255
        np.savez(path, **{**kept, "height0": cv2.imencode(".png", both)[1].ravel()})
    else:
        np.savez(path, color0=np.zeros(3, np.uint8))
    with pytest.raises(FileFormatError, match=family_name(0)):
        load_family(path)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="grasplearn render"):
        find_families(tmp_path)


def red(picture: torch.Tensor) -> torch.Tensor:
    return picture[0] - picture[2]


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_questions_know_where_the_grasp_went(tmp_path: Path, mirror: float) -> None:
    """Forward of the grasp lies the blue arm, behind it nothing, in every crop and mirror."""
    write_families(tmp_path, 6)
    settings = EpisodeSettings(questions=3, side=160, mirror=mirror, hue=0)
    seen = 0
    for index in range(6):
        episode = draw_episode(
            tmp_path / family_name(index), SMALL, np.random.default_rng(index), settings
        )
        pictures = episode.batch.pictures
        assert pictures.shape == (3, 5, 160, 160)
        assert torch.allclose(episode.batch.target.place.sum((1, 2, 3)), torch.ones(3))
        for picture, places in zip(pictures, episode.places, strict=True):
            for u, v, turn in places:
                yaw = turn + episode.grasp.yaw
                ahead = []
                # The demonstration's yaw is kept on the half turn, hence both ways.
                for sign in (1, -1):
                    x = round(u + sign * 28 * np.cos(yaw))
                    y = round(v - sign * 28 * np.sin(yaw))
                    inside = 0 <= x < 160 and 0 <= y < 160
                    ahead.append(float(red(picture)[y, x]) if inside else 0.0)
                here = float(red(picture)[round(v), round(u)])
                assert here > 0.5, "the grasp is on the red arm"
                seen += min(ahead) < -0.5
    assert seen >= 12, "the blue arm was found ahead of most grasps"


def test_the_target_peaks_where_the_place_is(tmp_path: Path) -> None:
    write_families(tmp_path, 1)
    settings = EpisodeSettings(questions=3, side=SIDE, mirror=0, hue=0)
    episode = draw_episode(tmp_path / family_name(0), SMALL, np.random.default_rng(0), settings)
    for target, places in zip(episode.batch.target.place, episode.places, strict=True):
        turn, row, column = np.unravel_index(int(target.argmax()), target.shape)
        (u, v, angle) = places[0]
        assert abs(u - (column * SMALL.stride + 1.5)) <= SMALL.stride
        assert abs(v - (row * SMALL.stride + 1.5)) <= SMALL.stride
        step = 2 * np.pi / SMALL.turns
        assert abs((angle - turn * step + np.pi) % (2 * np.pi) - np.pi) <= step


def test_a_family_can_be_seen_in_a_mirror_and_in_other_colours(tmp_path: Path) -> None:
    family = Views("hook", tuple(view(np.random.default_rng(i)) for i in range(3)), 2)
    settings = EpisodeSettings(mirror=0, hue=1)
    colored = changed(family, np.random.default_rng(3), settings)
    for a, b in zip(family.views, colored.views, strict=True):
        assert np.array_equal(a.height, b.height) and a.places is b.places
        red = (a.picture == (200, 40, 30)).all(axis=2)
        assert len(np.unique(b.picture[red], axis=0)) == 1
        assert np.abs(b.picture[red][0].astype(int) - (200, 40, 30)).max() > 20
    firsts = {tuple(v.picture[(w.picture == (200, 40, 30)).all(axis=2)][0]) for v, w in
              zip(colored.views, family.views, strict=True)}  # fmt: skip
    assert len(firsts) == 1, "one turn of the hues for the whole family"
    mirrored = changed(family, np.random.default_rng(3), EpisodeSettings(mirror=1, hue=0))
    for a, b in zip(family.views, mirrored.views, strict=True):
        assert np.array_equal(a.picture[:, ::-1], b.picture)
        (u, v, yaw), (w, x, turned) = a.places[0][0], b.places[0][0]
        assert (w, x) == (SIDE - 1 - u, v) and np.isclose(np.cos(turned), -np.cos(yaw))


def test_what_counts_as_right() -> None:
    places = np.array([[100.0, 100.0, 0.0]])
    assert is_right(Place(104, 104, np.pi), places, 0.002), "half a turn of the jaws is no error"
    assert is_right(Place(100, 109, np.deg2rad(25)), places, 0.002)
    assert not is_right(Place(100, 111, 0.0), places, 0.002)
    assert not is_right(Place(100, 100, np.deg2rad(35)), places, 0.002)


def test_what_cannot_be_cut_out_is_asked_in_other_scenes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    views = tuple(view(rng) for _ in range(3))
    settings = EpisodeSettings(questions=2, augmented=1.0)

    def tiers(name: str, scenes: tuple[View, ...]) -> tuple[str, ...]:
        save_family(tmp_path / name, 0, Views("hook", scenes, 2))
        path = tmp_path / name / family_name(0)
        return draw_episode(path, SMALL, np.random.default_rng(1), settings).tiers

    assert tiers("standing", views) == ()
    flat = tuple(replace(v, height=np.zeros_like(v.height), picture=v.picture * 0) for v in views)
    assert tiers("flat", flat) == ("same", "same")


def test_a_kin_can_be_the_demonstration(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    views = tuple(view(rng, tier) for tier in ("same", "same", "kin", "clutter"))
    save_family(tmp_path, 0, Views("hook", views, 2))
    settings = EpisodeSettings(mirror=0, hue=0, kin=1.0)
    episode = draw_episode(tmp_path / family_name(0), SMALL, np.random.default_rng(1), settings)
    assert np.abs(episode.view.rgb.astype(int) - views[2].picture).mean() < 5
    assert episode.tiers == ("kin",) * 3
    hidden = tuple(view(rng, tier, tier == "kin") for tier in ("same", "same", "kin", "clutter"))
    save_family(tmp_path, 1, Views("hook", hidden, 2))
    episode = draw_episode(tmp_path / family_name(1), SMALL, np.random.default_rng(1), settings)
    assert set(episode.tiers) == {"same", "clutter"}, "nothing is to be seen of the kin's grasp"
