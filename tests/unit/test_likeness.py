"""What a thing shows twice is right twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_codec import grasp_at

from grasplearn.geometry import HEIGHTMAP_SIDE, Heightmap
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.likeness import likeness
from grasplearn.nets.codec import Place, best_place, encode, good_places, patches, place_of
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.types import MAX_WIDTH

SPEC = NetSpec(width=16, depth=2)


def bar(one_sided: bool) -> Heightmap:
    """A bar with two equal ends, or with one of another colour."""
    side = HEIGHTMAP_SIDE
    rgb = np.full((side, side, 3), 128, np.uint8)
    height = np.zeros((side, side), np.float32)
    rgb[104:120, 72:152], height[104:120, 72:152] = (40, 60, 200), 0.03
    if one_sided:
        rgb[104:120, 112:152], height[104:120, 112:152] = (220, 60, 30), 0.06
    return Heightmap(rgb, height, np.ones((side, side), bool))


def equals_of(view: Heightmap) -> list[Place]:
    net = GraspNet(SPEC)
    grasp = grasp_at(view, 84, 112, 0.0)
    place = place_of(view, grasp)
    net.imprint(patches(encode(view), place, SPEC), grasp.width / MAX_WIDTH)
    return list(likeness(net, view, take_apart(view, place).thing, place).equals)


def test_the_other_end_is_as_right_and_turned_by_half() -> None:
    found = equals_of(bar(one_sided=False))
    ends = [p for p in found if abs(p.u - 56) < 6 and abs(p.v) < 6]
    assert ends and abs(abs((ends[0].turn) % (2 * math.pi)) - math.pi) < 0.4


def test_an_end_that_looks_different_is_not() -> None:
    assert not [p for p in equals_of(bar(one_sided=True)) if p.u > 30]


def test_samples_tell_all_right_places() -> None:
    """Half of the target lies on either end, wherever the bar goes."""
    view = bar(one_sided=False)
    grasp = grasp_at(view, 84, 112, 0.0)
    pieces = take_apart(view, place_of(view, grasp))
    still = Augmentation(scale=0, stretch=0, tilt=0, others=0, recolored=0)
    support = SupportSet(pieces, grasp, SPEC, 0, still, equals=[Place(56, 0, math.pi)])
    batch = support.batch(range(8))
    for target in batch.target.place:
        one, share = best_place((target + 1e-9).log(), SPEC.stride)
        rest = (target + 1e-9).log()
        near = slice(max(round(one.v / 4) - 3, 0), round(one.v / 4) + 3)
        rest[:, near, max(round(one.u / 4) - 3, 0) : round(one.u / 4) + 3] = -30
        other, _ = best_place(rest, SPEC.stride)
        if share < 0.9:  # both ends are inside
            distance = math.hypot(other.u - one.u, other.v - one.v)
            assert distance == pytest.approx(56, abs=3)
            turned = (other.turn - one.turn) % (2 * math.pi)
            assert turned == pytest.approx(math.pi, abs=0.3)


def test_peaks_come_in_order_and_over_the_full_turn() -> None:
    quality = torch.full((8, 12, 12), -20.0)
    quality[0, 3, 4], quality[7, 3, 4] = 5.0, 4.0  # one peak, beyond the first turn
    quality[3, 9, 9], quality[5, 0, 0] = 4.5, -3.0
    found = good_places(quality, 4, least=0.0, most=5)
    assert [(round((p.u - 1.5) / 4), round((p.v - 1.5) / 4)) for p in found] == [(4, 3), (9, 9)]
    assert len(good_places(quality, 4, least=-10.0, most=2)) == 2


def test_a_rival_is_what_looks_the_same_elsewhere() -> None:
    """A second bar is as probable as the first; one of another colour and height is less so."""
    rivals = []
    for height, color in ((0.03, (40, 60, 200)), (0.08, (220, 200, 30)), (0.0, (128, 128, 128))):
        view = bar(one_sided=False)
        view.rgb[180:196, 72:152], view.height[180:196, 72:152] = color, height
        net = GraspNet(SPEC)
        grasp = grasp_at(view, 84, 112, 0.0)
        place = place_of(view, grasp)
        net.imprint(patches(encode(view), place, SPEC), grasp.width / MAX_WIDTH)
        rivals.append(likeness(net, view, take_apart(view, place).thing, place).rival)
    assert rivals[0] > 0.9 > rivals[1] > rivals[2]
