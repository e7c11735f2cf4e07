"""What an overview shows of a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from teaching_kit import SEEING, demonstration

from grasplearn.geometry import heightmap
from grasplearn.learning.reference import Reference
from grasplearn.nets.codec import Place, encode, place_of
from grasplearn.nets.overview import NEAR, SIDE, Comparison, overviews
from grasplearn.nets.proposals import Proposal
from grasplearn.nets.verifier import Look

STRIDE = SEEING.stride


def test_an_overview_is_turned_back_and_knows_no_table() -> None:
    shown = demonstration()
    view = heightmap(shown.observation)
    picture, place = encode(view), place_of(view, shown.grasp)
    side = picture.shape[-1]
    turned = Place(place.v, side - 1 - place.u, math.pi / 2)
    pixels, other = (F.avg_pool2d(p, STRIDE) for p in (picture, torch.rot90(picture, 1, (1, 2))))
    (here,) = overviews(pixels, [place], STRIDE)
    (there,) = overviews(other, [turned], STRIDE)
    assert torch.allclose(here, there, atol=1e-3)
    assert not torch.allclose(here, overviews(other, [Place(turned.u, turned.v, 0)], STRIDE)[0])
    stands = here[3] > 0.12
    assert 5 < int(stands.sum()) < SIDE**2 / 2
    assert bool((here[:3, ~stands] == 0).all()) and bool((here[:3, stands] != 0).any())


def test_an_overview_is_centred_on_the_place() -> None:
    pixels = torch.zeros(5, 56, 56)
    pixels[3, 21, 31] = 1.0
    place = Place(31 * STRIDE + 1.5, 21 * STRIDE + 1.5, 0.0)
    for turn in (0.0, 0.7):
        height = overviews(pixels, [Place(place.u, place.v, turn)], STRIDE)[0, 3]
        assert height.argmax() == SIDE**2 // 2
        assert torch.allclose(height, height.flip(0, 1), atol=1e-5)


def test_those_near_the_best_are_compared_and_no_other_one_wins() -> None:
    torch.manual_seed(0)
    comparison = Comparison(4)
    torch.nn.init.normal_(comparison.score.weight, std=60.0)
    picture = torch.rand(1, 5, 224, 224)
    places = [Place(60.0 + 20 * i, 100.0, 0.3 * i) for i in range(4)]
    proposals = [Proposal(place, 0.0, (0, 0, 0)) for place in places]
    pixels = F.avg_pool2d(picture, STRIDE)
    look = Look(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    overview = overviews(pixels[0], [Place(112.0, 112.0, 0.0)], STRIDE)[0]
    reference = Reference(look, look, 0.0, overview, None)

    def compared(told: list[float]) -> np.ndarray:
        return reference.compared(comparison, picture, proposals, STRIDE, np.array(told))

    every = compared([0.0, 0.0, 0.0, 0.0])
    wanted = comparison(overviews(pixels[0], places, STRIDE)[None], overview[None])[0]
    np.testing.assert_allclose(every, wanted.detach(), rtol=1e-3)
    assert every.std() > 0.1, "it has an opinion"
    three = compared([0.0, 0.0, 0.0, -NEAR])
    np.testing.assert_allclose(three[:3], every[:3], rtol=1e-3)
    assert three[3] == pytest.approx(every[:3].min() - NEAR, rel=1e-3)
    alone = compared([-NEAR, -NEAR, 0.0, -NEAR - 1])
    assert alone.tolist() == [-NEAR, -NEAR, 0.0, -NEAR - 1], "there is nothing to compare"
