"""Sightings keep what was seen, and are seen changed about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from family_kit import write_families
from teaching_kit import SEEING

from grasplearn.errors import FileFormatError
from grasplearn.learning.cases import NONE, answer
from grasplearn.learning.families import find_families
from grasplearn.learning.questions import draw_questions
from grasplearn.learning.sightings import (
    Sighting,
    draw_sighting,
    from_bytes,
    load_sighting,
    save_sighting,
    to_bytes,
)
from grasplearn.learning.surroundings import Sightings
from grasplearn.nets.codec import Place
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.overview import SIDE, overviews
from grasplearn.nets.verifier import Verifier


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sighting, Path]:
    folder = tmp_path_factory.mktemp("sightings")
    paths, _ = find_families(write_families(folder / "families", 1, last="kin"))
    net, verifier = GraspNet(SEEING, 0), Verifier(SEEING.groups)
    found = draw_sighting(paths[0], net, verifier, np.random.default_rng(1), 4)
    assert found is not None
    save_sighting(folder / "s.npz", found)
    return found, folder / "s.npz"


def test_it_survives_its_file_but_for_jpeg(drawn: tuple[Sighting, Path]) -> None:
    found, file = drawn
    again = load_sighting(file)
    assert again.tiers == found.tiers
    for name in ("spot", "places", "told", "right"):
        assert np.array_equal(getattr(again, name), getattr(found, name)), name
    lost = np.abs(again.pictures.astype(int) - found.pictures)
    assert again.pictures.shape == found.pictures.shape == (5, 5, 56, 56)
    assert lost.mean() < 6 < found.pictures.std()
    assert found.right.any(1).all() and not found.right[found.told == NONE].any()
    file_of_another = file.with_name("other.npz")
    file_of_another.write_bytes(file.read_bytes()[:900])
    with pytest.raises(FileFormatError, match="no whole sighting"):
        load_sighting(file_of_another)


@torch.no_grad()
def test_it_tells_what_the_second_look_says_before_comparing(tmp_path: Path) -> None:
    paths, _ = find_families(write_families(tmp_path / "families", 1))
    net, verifier = GraspNet(SEEING, 0), Verifier(SEEING.groups)
    found = draw_sighting(paths[0], net, verifier, np.random.default_rng(2), 2)
    rng = np.random.default_rng(2)
    asked = draw_questions(paths[0], rng, 2)
    reference = asked.shown_to(net)
    assert found is not None
    for number, scene in enumerate(asked.scenes):
        given = answer(net, scene, asked.right_places(scene), rng, True)
        parts = given.picture, given.features, given.proposals
        scores = reference.scores(verifier, net, *parts)
        assert len(scores) > 1
        np.testing.assert_allclose(found.told[number, : len(scores)], scores, rtol=1e-4)


def test_a_byte_a_value_loses_little() -> None:
    pixels = torch.rand(2, 5, 8, 8) * torch.tensor([2, 2, 2, 4.5, 1]).view(5, 1, 1)
    pixels -= torch.tensor([1, 1, 1, 0.2, 0]).view(5, 1, 1)
    assert torch.allclose(from_bytes(torch.from_numpy(to_bytes(pixels))), pixels, atol=0.011)


def test_overviews_are_those_of_the_second_look(drawn: tuple[Sighting, Path]) -> None:
    many = Sightings.load([drawn[1], drawn[1]], SEEING.stride)
    assert many.tiers == drawn[0].tiers * 2
    places, shown = many.overviews(torch.tensor([1, 6]))
    pictures = from_bytes(torch.from_numpy(load_sighting(drawn[1]).pictures))
    for question, own in ((1, 0), (2, 1)):
        told = [Place(*map(float, place)) for place in drawn[0].places[question]]
        wanted = overviews(pictures[1 + question], told, SEEING.stride)
        # The table's colours end a cell earlier or later where rounding decides.
        assert ((places[own] - wanted).abs() > 1e-3).float().mean() < 1e-3
    spot = Place(*map(float, drawn[0].spot), 0.0)
    wanted = overviews(pictures[0], [spot], SEEING.stride)[0]
    for own in shown:
        assert ((own - wanted).abs() > 1e-3).float().mean() < 1e-3


def test_they_are_changed_about_alike_and_apart(drawn: tuple[Sighting, Path]) -> None:
    many = Sightings.load([drawn[1]], SEEING.stride)
    some = torch.zeros(64, dtype=torch.long)
    places, shown = many.changed_overviews(some, torch.Generator().manual_seed(3))
    assert places.shape == (64, 8, 5, SIDE, SIDE) and shown.shape == (64, 5, SIDE, SIDE)
    again, _ = many.changed_overviews(some, torch.Generator().manual_seed(3))
    assert torch.equal(places, again)
    assert not torch.equal(places[0], places[1])
    grey = (shown[:, 0] - shown[:, 1]).abs().amax((1, 2)) < 0.5
    assert 0 < int(grey.sum()) < 32, "some lose their colours, most do not"
    # Flipped together: what stands left of the shown spot stands left of a right place.
    plain, spot = many.overviews(some[:1])
    right = int(drawn[0].right[0].argmax())

    def side(maps: torch.Tensor) -> torch.Tensor:
        height = maps[..., 3, :, :]
        return height[..., : SIDE // 2].mean((-1, -2)) - height[..., SIDE // 2 + 1 :].mean((-1, -2))

    if abs(float(side(spot)[0])) > 0.02 and side(plain[:, right]) * side(spot) > 0:
        alike = side(places[:, right]) * side(shown) > 0
        assert alike.float().mean() > 0.8
    assert len({bool(x > 0) for x in side(shown)}) == 2, "some are mirrored"
