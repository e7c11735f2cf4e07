"""The second look: what it is shown, what it can change, how it is trained, who may use it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from teaching_kit import SEEING, demonstration, table, tiny_weights

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import heightmap
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.reference import Reference
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.nets.codec import Place, best_place, encode, patches, place_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.proposals import propose, weighed
from grasplearn.nets.verifier import WINDOW, Look, Verifier, evidence
from grasplearn.skill import Skill

STRIDE = SEEING.stride


def two_peaks() -> torch.Tensor:
    """Logits (8, 56, 56) with a best place and, a little less probable, another one."""
    quality = torch.zeros(8, 56, 56)
    quality[2, 20, 30], quality[5, 40, 10] = 12.0, 11.0
    return quality


def test_proposals_are_the_peaks_the_most_probable_first() -> None:
    first, second = propose(two_peaks(), STRIDE)[:2]
    assert (first.cell, second.cell) == ((2, 20, 30), (5, 40, 10))
    assert first.log_probability - second.log_probability == pytest.approx(1.0, abs=0.01)
    assert (first.place.u, first.place.v) == pytest.approx((30 * 4 + 1.5, 20 * 4 + 1.5), abs=0.1)


def test_the_head_s_own_scores_change_nothing() -> None:
    quality = two_peaks()
    proposals = propose(quality, STRIDE)
    same = weighed(quality, proposals, torch.tensor([p.log_probability for p in proposals]))
    expected = quality.double() - quality.double().logsumexp((0, 1, 2))
    assert torch.allclose(same, expected, atol=1e-6)


def test_scores_move_the_best_place_and_probability_stays_whole() -> None:
    quality = two_peaks()
    proposals = propose(quality, STRIDE)
    scores = torch.tensor([p.log_probability for p in proposals])
    scores[1] += 4.0
    moved = weighed(quality, proposals, scores)
    place, _ = best_place(moved, STRIDE)
    assert (round(place.u), round(place.v)) == (round(10 * 4 + 1.5), round(40 * 4 + 1.5))
    assert float(moved.exp().sum()) == pytest.approx(1.0, abs=1e-3)


def pictures() -> tuple[GraspNet, torch.Tensor, Place]:
    shown = demonstration()
    view = heightmap(shown.observation)
    return GraspNet(SEEING, 0), encode(view), place_of(view, shown.grasp)


def test_a_template_s_own_turn_is_undone() -> None:
    """What a rival looks like must not depend on how it lies."""
    net, picture, place = pictures()
    side = picture.shape[-1]
    # numpy's and torch's rot90 turn counter-clockwise as seen, like a place's turn.
    turned = Place(place.v, side - 1 - place.u, math.pi / 2)
    there = Look.spot(net, torch.rot90(picture, 1, (1, 2)), turned)
    here = Look.spot(net, picture, place)
    for part in ("features", "liveliness", "pixels"):
        assert torch.allclose(getattr(there, part), getattr(here, part), atol=1e-3)


def test_evidence_is_the_agreement_cell_by_cell() -> None:
    net, picture, place = pictures()
    seen = Look.at(net, picture[None])
    shown, other = (Look.spot(net, picture, p) for p in (place, Place(60, 60, 0)))
    r, y, x = cell = (3, round((place.v - 1.5) / 4), round((place.u - 1.5) / 4))
    groups, half = SEEING.groups, WINDOW // 2
    agreements, pixels = (maps[0] for maps in evidence(shown, other, seen, [cell]))
    exact, near, unwanted, _, lively, own = agreements.split(groups)
    inside = (slice(y - half, y + half + 1), slice(x - half, x + half + 1))
    for wanted, found in ((shown, exact), (other, unwanted)):
        products = (wanted.features[r] * seen.features[0][:, *inside]).unflatten(0, (groups, -1))
        assert torch.allclose(products.sum(1), found, atol=1e-5)
    assert bool((near >= exact).all()) and bool((near > exact).any())
    assert torch.allclose(lively[:, half, half], seen.liveliness[0, :, y, x])
    assert torch.equal(own, shown.liveliness[r])
    around = picture[:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean((1, 2))
    assert torch.allclose(pixels[:5, half, half], around, atol=1e-6)
    assert torch.equal(pixels[5:], torch.cat([shown.pixels[r], other.pixels[r]]))


def test_places_at_the_edge_can_be_looked_at() -> None:
    net, picture, place = pictures()
    spot = Look.spot(net, picture, place)
    corners = [(0, 0, 0), (7, 55, 55), (0, 0, 55)]
    agreements, pixels = evidence(spot, spot, Look.at(net, picture[None]), corners)
    assert agreements.shape == (3, 6 * SEEING.groups, WINDOW, WINDOW)
    assert pixels.shape == (3, 15, WINDOW, WINDOW)
    assert bool(torch.isfinite(agreements).all()) and bool(torch.isfinite(pixels).all())


def test_without_likeness_the_rival_is_not_looked_at() -> None:
    verifier = Verifier(2)
    torch.nn.init.normal_(verifier.score.weight)
    seen, colors = (torch.randn(1, 3, maps, WINDOW, WINDOW) for maps in (12, 15))
    others, other_colors = seen.clone(), colors.clone()
    others[:, :, 4:8] = torch.randn(1, 3, 4, WINDOW, WINDOW)
    other_colors[:, :, 10:] = torch.randn(1, 3, 5, WINDOW, WINDOW)
    told = torch.zeros(1, 3)
    with torch.no_grad():
        for likeness, same in ((0.0, True), (0.5, False)):
            share = torch.tensor([likeness])
            right = verifier(seen, colors, share, told)
            for maps, pixels in ((others, colors), (seen, other_colors)):
                assert torch.equal(verifier(maps, pixels, share, told), right) == same


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    """Weights whose verifier has opinions of its own."""
    base = load_pretrained(str(tiny_weights(tmp_path / "base.safetensors", spec=SEEING)))
    torch.manual_seed(0)
    verifier = Verifier(SEEING.groups, overview=4)
    for part in (verifier, verifier.overview):
        torch.nn.init.normal_(part.score.weight, std=3.0)
    path = tmp_path / "verified.safetensors"
    save_pretrained(path, Pretrained(base.net, base.modules, verifier=verifier))
    return path


def test_what_is_taught_uses_it_and_what_is_untaught_does_not(verified: Path) -> None:
    """It compares with the demonstration, which an untaught net must not know."""
    pretrained = load_pretrained(str(verified))
    for method, uses in (
        ("untaught", False),
        ("imprint-unverified", False),
        ("imprint", True),
        ("static-sgm", True),
    ):
        teaching = Teaching(method, steps=1, probe=1, doubt=2, rival=2)
        taught = teach(demonstration(), pretrained, teaching, 0)
        assert (taught.verifier is not None) == uses
        prediction = taught.predict(table(0.45, 0.05))
        assert float(prediction.quality.sum()) == pytest.approx(1.0, abs=1e-4)
        plain = taught.net.predict(encode(heightmap(table(0.45, 0.05)))[None]).quality
        expected = plain.flatten().softmax(0).view_as(plain[0]).sum(0)
        same = np.allclose(prediction.quality, expected.numpy(), atol=1e-5)
        assert same != uses


def test_a_refined_net_is_verified_by_its_own_features(verified: Path) -> None:
    pretrained = load_pretrained(str(verified))
    teaching = Teaching("backprop", steps=12, probe=3, doubt=0, rival=0)
    taught = teach(demonstration(), pretrained, teaching, 0)
    assert taught.kept == "refined" and taught.verifier is pretrained.verifier
    view, seen = heightmap(taught.demonstration.observation), heightmap(table(0.45, 0.05))
    shown = place_of(view, taught.demonstration.grasp)
    picture = encode(seen)[None]
    features = taught.net.features(picture)
    own = Reference.of(taught.net, view, shown).verified(
        taught.verifier, taught.net, picture, features, taught.net.head(features).quality[0]
    )
    expected = own.flatten().softmax(0).view_as(own).sum(0).detach().numpy()
    assert np.allclose(taught.predict(table(0.45, 0.05)).quality, expected, atol=1e-5)


def test_a_net_that_refining_broke_is_dropped_not_verified(verified: Path) -> None:
    pretrained = load_pretrained(str(verified))
    teaching = Teaching("backprop", steps=2, probe=2, doubt=0, rate=1e18)
    taught = teach(demonstration(), pretrained, teaching, 0)
    assert taught.kept == "imprint" and "not finite" in taught.warning


def test_a_skill_from_disk_answers_the_same(verified: Path, tmp_path: Path) -> None:
    skill = Skill.teach(demonstration(), Teaching("imprint"), weights=verified)
    skill.save(tmp_path / "skill")
    again = Skill.load(tmp_path / "skill")
    scene = table(0.45, 0.05)
    assert np.array_equal(again.predict(scene).quality, skill.predict(scene).quality)


def test_a_reference_needs_something_to_refer_to() -> None:
    shown = demonstration()
    view = heightmap(shown.observation)
    net = GraspNet(SEEING, 0)
    place = place_of(view, shown.grasp)
    net.imprint(patches(encode(view), place, SEEING), 0.5)
    assert 0 <= Reference.of(net, view, place).likeness <= 1
    with pytest.raises(InvalidValueError):
        Reference.of(net, view, Place(5.0, 5.0, 0.0))
