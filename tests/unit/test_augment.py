"""The support set: right where it says it is, the same under the same key."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_codec import grasp_at, table

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import Heightmap
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.backdrops import FOLDER, draw_backdrop, load_backdrops
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.families import View, find_families, load_family
from grasplearn.nets.codec import best_place, place_of
from grasplearn.nets.graspnet import NetSpec
from grasplearn.sim.objects import Catalogue
from grasplearn.types import MAX_WIDTH

SPEC = NetSpec()
STILL = Augmentation(
    scale=0,
    stretch=0,
    tilt=0,
    gain=0,
    tint=0,
    slope=0,
    own_gain=0,
    noise=0,
    height_noise=0,
    holes=0,
)


def scene() -> Heightmap:
    view = table()
    view.height[150:170, 40:90] = 0.05
    view.rgb[150:170, 40:90] = (30, 160, 60)
    return view


def support(settings: Augmentation | None = None, seed: int = 0) -> SupportSet:
    grasp = grasp_at(scene(), 96, 80, 0.2)
    pieces = take_apart(scene(), place_of(scene(), grasp))
    return SupportSet(pieces, grasp, SPEC, seed, settings)


def test_the_same_key_gives_the_same_bytes_in_any_company() -> None:
    a, b = support().batch([0, 1, 2]), support().batch([2, 5])
    assert a.keys == (0, 1, 2)
    assert torch.equal(a.pictures[2], b.pictures[0])
    assert torch.equal(a.target.place[2], b.target.place[0])
    assert not torch.equal(a.pictures[0], a.pictures[1])
    assert not torch.equal(support(seed=1).batch([0]).pictures[0], a.pictures[0])


def test_samples_are_pictures_as_the_net_expects_them() -> None:
    batch = support(Augmentation(side=160)).batch(range(4))
    assert batch.pictures.shape == (4, 5, 160, 160) and batch.pictures.dtype == torch.float32
    assert torch.isfinite(batch.pictures).all()
    assert batch.pictures[:, :3].abs().max() <= 1
    assert batch.target.place.shape == (4, 16, 40, 40)
    assert torch.allclose(batch.target.place.sum((1, 2, 3)), torch.ones(4))


def test_the_target_lies_on_the_thing_turned_as_told() -> None:
    """The grasp is on the blue arm; the red one starts from its foot and runs along +x."""
    batch = support(STILL).batch(range(12))
    for sample in range(12):
        place, _ = best_place((batch.target.place[sample] + 1e-9).log(), SPEC.stride)
        u, v = round(place.u), round(place.v)
        color = batch.pictures[sample, :3, v, u]
        assert color[2] > 0.3 > color[0]
        # 16 px towards the arms' corner and 20 px along the red one, in the thing's own axes.
        dx, dy = 20, -16
        c, s = math.cos(place.turn), math.sin(place.turn)
        u2, v2 = round(place.u + c * dx - s * dy), round(place.v - s * dx - c * dy)
        if 1 <= u2 < 223 and 1 <= v2 < 223:
            color = batch.pictures[sample, :3, v2, u2]
            green = color[1] > max(color[0], color[2])  # the other thing lies on it
            assert color[0] > 0.3 or green


def test_widths_follow_the_stretch() -> None:
    assert torch.allclose(support(STILL).batch(range(3)).target.width, torch.tensor(0.5))
    stretched = Augmentation(scale=0.22, stretch=0.12)
    widths = support(stretched).batch(range(12)).target.width * MAX_WIDTH
    assert 0.028 < widths.min() < 0.037 and 0.043 < widths.max() < 0.056


def test_the_table_changes_its_colours_and_the_thing_does_not() -> None:
    """What was grey table is many colours over the samples; the demonstrated spot stays blue."""
    quiet = dict(others=0, noise=0, gain=0, tint=0, slope=0, own_gain=0, holes=0)
    tables = []
    for share in (0.0, 1.0):
        batch = support(Augmentation(recolored=share, **quiet)).batch(range(12))
        bare = batch.pictures[:, 3] < 0.02
        seen = zip(batch.pictures, bare, strict=True)
        tables.append(torch.stack([p[:3, b].median(1).values for p, b in seen]))
        for picture, place in zip(batch.pictures, batch.target.place, strict=True):
            found, _ = best_place((place + 1e-9).log(), SPEC.stride)
            color = picture[:3, round(found.v), round(found.u)]
            assert color[2] > 0.3 > color[0]
    assert tables[0].std(0).max() < 0.02 < 0.15 < tables[1].std(0).min()


def test_the_thing_changes_its_colours_where_kin_may_have_others() -> None:
    quiet = dict(others=0, noise=0, gain=0, tint=0, slope=0, own_gain=0, holes=0, recolored=0)
    spread = []
    for share in (0.0, 1.0):
        batch = support(Augmentation(hue=share, backdrop=0, **quiet)).batch(range(12))
        colors = []
        for picture, place in zip(batch.pictures, batch.target.place, strict=True):
            found, _ = best_place((place + 1e-9).log(), SPEC.stride)
            colors.append(picture[:3, round(found.v), round(found.u)])
        spread.append(float(torch.stack(colors).std(0).max()))
        assert batch.pictures[:, :3].abs().max() <= 1
    assert spread[0] < 0.1 < 0.3 < spread[1]


def test_the_spot_stays_visible() -> None:
    crowded = Augmentation(others=6, occluder=1.0, noise=0, gain=0, tint=0, slope=0, own_gain=0)
    batch = support(crowded).batch(range(20))
    for sample in range(20):
        place, _ = best_place((batch.target.place[sample] + 1e-9).log(), SPEC.stride)
        color = batch.pictures[sample, :3, round(place.v), round(place.u)]
        assert color[2] > 0.2


def test_things_are_cut_out_and_the_table_is_left() -> None:
    view = scene()
    pieces = take_apart(view, place_of(view, grasp_at(view, 96, 80, 0.0)))
    # All but the outermost cells of the corners.
    assert abs(int(pieces.thing.layers[5].sum()) - (12 * 50 + 30 * 12)) < 20
    assert len(pieces.others) == 1
    assert abs(int(pieces.others[0].layers[5].sum()) - 20 * 50) < 20
    assert float(pieces.table[3].abs().max()) == 0
    assert float(pieces.table[:3].std()) < 0.02


def test_a_thin_handle_is_cut_out_whole() -> None:
    """Spoons and combs are a few cells wide and little higher than the sensor's errors."""
    view = table(things=False)
    height = view.height.copy()
    height[100:103, 60:160] = 0.008
    thin = replace(view, height=height)
    pieces = take_apart(thin, place_of(view, grasp_at(view, 110, 101, 0.0)))
    assert abs(int(pieces.thing.layers[5].sum()) - 300) < 20


@pytest.mark.parametrize(("lost", "distinct"), [(3, False), (7, True)])
def test_a_thing_that_the_sensor_tore_apart_is_cut_out_whole(lost: int, distinct: bool) -> None:
    """Beside the demonstrated grasp some cells of a handle are seen as low as the table."""
    view = table(things=False)
    height, rgb = view.height.copy(), view.rgb.copy()
    height[100:106, 60:160] = 0.012
    height[100:106, 112 : 112 + lost] = 0.0
    if distinct:
        rgb[100:106, 60:160] = (200, 30, 120)
    torn = replace(view, height=height, rgb=rgb)
    pieces = take_apart(torn, place_of(view, grasp_at(view, 110, 102, 0.0)))
    assert not pieces.others
    assert abs(int(pieces.thing.layers[5].sum()) - 600) < 40


@pytest.mark.parametrize("degrees", [27, 45, 63, 135])
def test_what_lies_aslant_is_cut_out_whole_as_well(degrees: float) -> None:
    view = table(things=False)
    height, rgb = view.height.copy(), view.rgb.copy()
    for start, end in ((-50, 2), (9, 50)):
        bar = cv2.boxPoints(((0, 0), (end - start, 3.5), degrees))
        middle = cv2.transform(
            np.array([[[(start + end) / 2, 0]]], np.float32),
            cv2.getRotationMatrix2D((0, 0), -degrees, 1),
        )[0, 0]
        cv2.fillConvexPoly(height, np.rint(bar + middle + (110, 100)).astype(np.int32), 0.012)
    whole = cv2.boxPoints(((110, 100), (100, 4), degrees))
    cv2.fillConvexPoly(rgb, np.rint(whole).astype(np.int32), (200, 30, 120))
    torn = replace(view, height=height, rgb=rgb)
    pieces = take_apart(torn, place_of(view, grasp_at(view, 110, 100, 0.0)))
    assert not pieces.others
    assert max(pieces.thing.layers.shape[1:]) > 60


def test_a_thin_part_of_which_specks_are_left_is_cut_out_with_its_thing() -> None:
    view = table(things=False)
    height = view.height.copy()
    height[96:106, 40:90] = height[40:60, 40:60] = 0.03
    for start in range(94, 130, 6):
        height[99:102, start : start + 3] = 0.012
    specks = replace(view, height=height)
    pieces = take_apart(specks, place_of(view, grasp_at(view, 125, 100, 0.0)))
    assert len(pieces.others) == 1
    assert pieces.thing.layers.shape[2] > 80, "from the specks to the thing's far end"
    with pytest.raises(InvalidValueError, match="nothing stands"):
        take_apart(specks, place_of(view, grasp_at(view, 160, 100, 0.0)))


def test_things_that_stand_apart_are_cut_out_apart() -> None:
    view = table(things=False)
    height = view.height.copy()
    height[100:106, 60:110] = height[100:106, 118:160] = 0.012
    pieces = take_apart(replace(view, height=height), place_of(view, grasp_at(view, 100, 102, 0.0)))
    assert len(pieces.others) == 1


def test_the_sensor_s_errors_are_no_things() -> None:
    view = scene()
    rows, columns = np.mgrid[: view.side, : view.side]
    bump = np.float32(0.009) * np.exp(-((rows - 190) ** 2 + (columns - 40) ** 2) / 60)
    frayed = view.height + bump.astype(np.float32)
    frayed[::7, ::5] += 0.03  # single cells
    noisy = replace(view, height=frayed)
    pieces = take_apart(noisy, place_of(view, grasp_at(view, 96, 80, 0.0)))
    assert len(pieces.others) == 1, "neither the bump nor the specks"


@pytest.mark.parametrize(("view", "u"), [(scene(), 200), (table(things=False), 96)])
def test_a_grasp_on_nothing_is_refused(view: Heightmap, u: float) -> None:
    with pytest.raises(InvalidValueError, match="nothing stands"):
        take_apart(view, place_of(view, grasp_at(view, u, 200, 0.0)))


def test_settings_are_checked() -> None:
    for wrong in ({"side": 30}, {"side": 99}, {"hidden": 1.0}, {"occluder": 2.0}, {"hue": -0.1}):
        with pytest.raises(InvalidValueError):
            Augmentation(**wrong)
    assert np.isfinite(Augmentation().scale)


def test_samples_are_put_into_other_scenes_too() -> None:
    """A red scene shows behind about half of the samples, and the thing in front of it."""
    red = np.zeros((224, 224, 3), np.uint8)
    red[..., 0] = 255
    known = np.ones((224, 224), bool)
    backdrop = View(red, np.zeros((224, 224), np.float32), known, ~known, "same", (), (), ())
    grasp = grasp_at(scene(), 96, 80, 0.2)
    pieces = take_apart(scene(), place_of(scene(), grasp))
    quiet = Augmentation(others=0, recolored=0, noise=0, gain=0, tint=0, slope=0, own_gain=0)
    batch = SupportSet(pieces, grasp, SPEC, 0, quiet, [backdrop]).batch(range(40))
    bare = batch.pictures[:, 3] < 0.02
    colors = [p[:3, b].median(1).values for p, b in zip(batch.pictures, bare, strict=True)]
    strange = [float(c.max() - c.min()) > 0.5 for c in colors]
    assert 10 < sum(strange) < 30
    for picture, place in zip(batch.pictures, batch.target.place, strict=True):
        found, _ = best_place((place + 1e-9).log(), SPEC.stride)
        color = picture[:3, round(found.v), round(found.u)]
        assert color[2] > 0.3 > color[0], "the blue arm is in front"


def test_the_shipped_scenes_are_of_training_objects() -> None:
    views = load_backdrops()
    assert len(views) >= 50 and {view.tier for view in views} == {"same"}
    train = {model.object_id for model in Catalogue.builtin().select(split="train")}
    assert {load_family(path).object_id for path in find_families(FOLDER)[0]} <= train
    picture = draw_backdrop(views, np.random.default_rng(0), 128)
    assert picture.shape == (5, 128, 128) and picture[:3].abs().max() <= 1
