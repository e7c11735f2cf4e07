"""Pictures to tensors, grasps to targets, maps back to grasps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from grasplearn.errors import InvalidValueError, NoGraspError
from grasplearn.geometry import HEIGHTMAP_SIDE, Heightmap, room_in, yaw_difference
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.nets.codec import (
    Place,
    best_place,
    decode,
    encode,
    imprint,
    patches,
    place_of,
    place_target,
    quality_map,
    turned_about,
    warp,
)
from grasplearn.nets.graspnet import NetSpec
from grasplearn.nets.head import Maps
from grasplearn.types import MAX_WIDTH, Camera, Demonstration, Grasp, Observation

SIDE = HEIGHTMAP_SIDE


def table(things: bool = True) -> Heightmap:
    """A table with an L-shaped thing, 3 cm high, with a coloured end."""
    rgb = np.full((SIDE, SIDE, 3), 120, np.uint8)
    height = np.zeros((SIDE, SIDE), np.float32)
    if things:
        for rows, columns, color in (
            (slice(90, 102), slice(90, 140), (200, 40, 40)),
            (slice(60, 102), slice(90, 102), (40, 40, 200)),
        ):
            height[rows, columns] = 0.03
            rgb[rows, columns] = color
    return Heightmap(rgb, height, np.ones((SIDE, SIDE), bool))


def grasp_at(view: Heightmap, u: float, v: float, yaw: float, width: float = 0.04) -> Grasp:
    return Grasp(np.array([*view.to_world((u, v)), 0.02]), yaw, width)


def test_encoding_is_centred_and_scaled() -> None:
    view = table()
    view.known[:10] = False
    x = encode(view)
    assert x.shape == (5, SIDE, SIDE) and x.dtype == torch.float32
    assert x[:3].abs().max() <= 1 and abs(float(x[0, 0, 0])) < 0.1
    assert float(x[3].max()) == pytest.approx(0.03 / 0.05)
    assert x[4, :10].sum() == 0 and x[4, 10:].all()


def test_a_grasp_survives_encoding_and_decoding() -> None:
    rng = np.random.default_rng(0)
    view, spec, kept = table(), NetSpec(), 0
    for _ in range(40):
        u, v = rng.uniform(6, SIDE - 7, 2)
        demonstrated, turn = rng.uniform(-np.pi / 2, np.pi / 2), rng.uniform(0, 2 * np.pi)
        width = rng.uniform(0.01, MAX_WIDTH)
        place = Place(u, v, turn)
        volume = place_target([[place]], spec, SIDE)
        assert float(volume.sum()) == pytest.approx(1)
        maps = Maps((volume + 1e-9).log(), torch.full_like(volume, width / MAX_WIDTH))
        wanted = grasp_at(view, u, v, demonstrated + turn)
        if room_in(view).lacking(replace(wanted, width=width)) > 0:
            continue  # the hand would be told to go elsewhere
        grasp, probability = decode(maps, view, demonstrated)
        off = np.linalg.norm(grasp.center_world[:2] - wanted.center_world[:2])
        assert off < 0.002
        assert yaw_difference(grasp.yaw, wanted.yaw) < math.radians(4)
        assert grasp.width == pytest.approx(width, abs=1e-4)
        assert probability > 0.99
        found, _ = best_place(maps.quality[0], spec.stride)
        assert abs(math.remainder(found.turn - turn, 2 * math.pi)) < math.radians(4)
        kept += 1
    assert kept > 20


def test_equally_right_places_share_the_target() -> None:
    spec = NetSpec()
    volume = place_target([[Place(101.5, 41.5, 0.0), Place(101.5, 41.5, math.pi)]], spec, SIDE)
    assert volume[0, 0, 10, 25] == volume[0, 8, 10, 25] == 0.5


def test_a_place_outside_its_picture_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="inside"):
        place_target([[Place(500, 10, 0)]], NetSpec(), SIDE)


def test_patches_show_the_thing_turned_counter_clockwise() -> None:
    view, spec = table(), NetSpec()
    # Grasped at the coloured end of the long arm, which runs to the left (-x).
    place = place_of(view, grasp_at(view, 139, 95.5, 0.0))
    found = patches(encode(view), place, spec)
    side = spec.patch_cells * spec.stride
    assert found.shape == (16, 5, side, side)
    middle = (side - 1) / 2
    high = (found[:, 3] > 0.3).double()
    axis = torch.arange(side) - middle
    for index in (0, 4, 8, 12):
        dx = float((high[index].sum(0) * axis).sum() / high[index].sum())
        dy = -float((high[index].sum(1) * axis).sum() / high[index].sum())
        angle = math.atan2(dy, dx)
        # At turn 0 it lies towards -x; the short arm pulls it up a little.
        expected = math.pi + index * 2 * math.pi / 16
        assert abs(math.remainder(angle - expected, 2 * math.pi)) < 0.4


def test_warping_keeps_what_it_should() -> None:
    x = encode(table())
    identity = torch.eye(3, dtype=torch.float64)[None]
    assert torch.allclose(warp(x, identity, SIDE)[0], x, atol=1e-5)
    shifted = identity.clone()
    shifted[0, 0, 2] = -SIDE
    assert warp(x, shifted, SIDE).abs().max() < 1e-4


def test_an_imprint_alone_finds_the_thing_turned_and_moved() -> None:
    """The shipped features, on a thing that no training has seen."""
    view = table()
    grasp = grasp_at(view, 96, 80, 0.2)
    camera = Camera([[200, 0, 64], [0, 200, 64], [0, 0, 1]], np.eye(4), 128, 128)
    seen = Observation(np.zeros((128, 128, 3), np.uint8), np.ones((128, 128)), camera)
    net = load_pretrained("shipped").net
    imprint(net, Demonstration(seen, grasp), view)
    picture = encode(view)
    for turn in (0.0, 1.0, 2.5, 4.5):
        to_source = turned_about(Place(96, 80, 0), torch.tensor([turn], dtype=torch.float64), 120.0)
        turned = warp(picture, to_source, SIDE)
        maps = net.predict(turned)
        place, _ = best_place(maps.quality[0], 4)
        assert math.hypot(place.u - 120, place.v - 120) < 6
        assert abs(math.remainder(place.turn - turn, 2 * math.pi)) < math.radians(15)
        best = maps.width.flatten()[maps.quality.flatten().argmax()]
        assert float(best) == pytest.approx(0.5, abs=0.1)
    assert quality_map(maps).sum() == pytest.approx(1, abs=1e-4)


def test_an_empty_table_and_broken_maps_are_told() -> None:
    maps = Maps(torch.zeros(1, 16, 56, 56), torch.zeros(1, 16, 56, 56))
    with pytest.raises(NoGraspError, match="nothing stands"):
        decode(maps, table(things=False), 0.0)
    broken = Maps(maps.quality * float("nan"), maps.width)
    with pytest.raises(NoGraspError, match="not finite"):
        decode(broken, table(), 0.0)


def test_a_net_that_cannot_be_is_refused() -> None:
    for wrong in ({"kernel": 4}, {"depth": 0}, {"groups": 5}, {"stride": 3}, {"width": 1.5}):
        with pytest.raises(InvalidValueError):
            NetSpec(**wrong)
    with pytest.raises(InvalidValueError, match="settings"):
        NetSpec.from_dict({"colour": 3})
