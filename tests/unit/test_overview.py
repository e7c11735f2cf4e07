"""What an overview shows of a picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from teaching_kit import SEEING, demonstration

from grasplearn.geometry import heightmap
from grasplearn.nets.codec import Place, encode, place_of
from grasplearn.nets.overview import SIDE, overviews

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
    pixels[3, 20:23, 30:33] = 1.0
    place = Place(31 * STRIDE + 1.5, 21 * STRIDE + 1.5, 0.0)
    for turn in (0.0, 0.7):
        height = overviews(pixels, [Place(place.u, place.v, turn)], STRIDE)[0, 3]
        assert height.argmax() == SIDE**2 // 2
        assert torch.allclose(height, height.flip(0, 1), atol=1e-5)
