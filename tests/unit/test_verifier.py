"""The second look: what it is shown, what it can change, how it is trained, who may use it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from family_kit import write_families
from teaching_kit import SEEING, demonstration, table, tiny_weights

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.geometry import heightmap
from grasplearn.learning.cases import NONE, draw_case
from grasplearn.learning.families import find_families
from grasplearn.learning.meta_train import MetaTrainSettings, meta_train
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.reference import Reference
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.learning.train_verifier import VerifierSettings, train_verifier
from grasplearn.nets.codec import Place, best_place, encode, patches, place_of
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.overview import SIDE, overviews
from grasplearn.nets.proposals import propose, weighed
from grasplearn.nets.verifier import WINDOW, Look, Verifier, evidence
from grasplearn.nets.weights import digest
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
    told, pairs = torch.zeros(1, 3), torch.zeros(1, 3, 10, SIDE, SIDE)
    with torch.no_grad():
        for likeness, same in ((0.0, True), (0.5, False)):
            share = torch.tensor([likeness])
            right = verifier(seen, colors, pairs, share, told)
            for maps, pixels in ((others, colors), (seen, other_colors)):
                assert torch.equal(verifier(maps, pixels, pairs, share, told), right) == same


def test_an_overview_is_turned_back_and_knows_no_table() -> None:
    _, picture, place = pictures()
    side = picture.shape[-1]
    turned = Place(place.v, side - 1 - place.u, math.pi / 2)
    pixels, other = (
        torch.nn.functional.avg_pool2d(p, STRIDE)
        for p in (picture, torch.rot90(picture, 1, (1, 2)))
    )
    (here,) = overviews(pixels, [place], STRIDE)
    (there,) = overviews(other, [turned], STRIDE)
    assert torch.allclose(here, there, atol=1e-3)
    assert not torch.allclose(here, overviews(other, [Place(turned.u, turned.v, 0)], STRIDE)[0])
    stands = here[3] > 0.12
    assert 5 < int(stands.sum()) < SIDE**2 / 2
    assert bool((here[:3, ~stands] == 0).all()) and bool((here[:3, stands] != 0).any())


def test_an_overview_is_centred_on_the_place() -> None:
    pixels = torch.zeros(5, 56, 56)
    pixels[3, 20:24, 30:34] = 1.0
    place = Place(31.5 * STRIDE + 1.5, 21.5 * STRIDE + 1.5, 0.0)
    for turn in (0.0, 0.7):
        height = overviews(pixels, [Place(place.u, place.v, turn)], STRIDE)[0, 3]
        assert height.argmax() == SIDE**2 // 2
        assert torch.allclose(height, height.flip(0, 1), atol=1e-5)


def test_what_lies_farther_away_than_a_window_is_heard() -> None:
    """The two places differ in their overviews alone."""
    seen = torch.randn(1, 1, 12, WINDOW, WINDOW).expand(1, 2, 12, WINDOW, WINDOW)
    colors = torch.randn(1, 1, 15, WINDOW, WINDOW).expand(1, 2, 15, WINDOW, WINDOW)
    pairs, told, share = torch.randn(1, 2, 10, SIDE, SIDE), torch.zeros(1, 2), torch.zeros(1)
    for overview, same in ((0, True), (4, False)):
        torch.manual_seed(0)
        verifier = Verifier(2, overview=overview)
        for name, parameter in verifier.named_parameters():
            if "score" in name:
                torch.nn.init.normal_(parameter)
        with torch.no_grad():
            first, second = verifier(seen, colors, pairs, share, told)[0]
        assert bool(torch.isclose(first, second, atol=1e-5)) == same


def settings(**more: object) -> VerifierSettings:
    return VerifierSettings(
        **{"cases": 16, "questions": 3, "steps": 120, "rate": 3e-3, "check_every": 40, **more}  # type: ignore[arg-type]
    )


def test_training_makes_better_choices_than_the_head(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 16)
    validation = write_families(tmp_path / "validation", 12, seed=1)
    weights = tiny_weights(tmp_path / "w.safetensors", spec=SEEING)
    out = tmp_path / "v.safetensors"
    made = train_verifier(settings(), str(weights), families, validation, out, {"command": "x"})
    figures = made.card["verifier_training"]["validation"]
    assert figures["mean verified"] > figures["mean proposed"] + 0.1
    again = load_pretrained(str(out))
    assert again.verifier is not None and made.verifier is not None
    assert digest(again.verifier.state_dict()) == digest(made.verifier.state_dict())
    assert set(again.modules) == {"static-sgm", "static-sgm-one-pass"}, "the rest is kept"
    assert not any(p.requires_grad for p in again.verifier.parameters())
    # Modules that are trained later leave it where it is.
    task = MetaTrainSettings(tasks=1, steps=1, batch=1, side=96)
    later = meta_train(task, str(out), families, tmp_path / "m.safetensors", {})
    assert later.verifier is not None
    assert digest(later.verifier.state_dict()) == digest(made.verifier.state_dict())


def test_training_begins_with_the_weights_own_verifier(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 4)
    weights = str(tiny_weights(tmp_path / "w.safetensors", spec=SEEING))
    plain = settings(cases=4, steps=3, overview=0)
    earlier = train_verifier(
        plain, weights, families, None, tmp_path / "a.safetensors", {}
    ).verifier
    begun = settings(cases=4, steps=1, rate=1e-12, overview=4)
    from_it = str(tmp_path / "a.safetensors")
    later = train_verifier(begun, from_it, families, None, tmp_path / "b.safetensors", {})
    assert earlier is not None and later.verifier is not None
    assert earlier.overview is None and later.verifier.overview is not None
    own = later.verifier.state_dict()
    for name, tensor in earlier.state_dict().items():
        assert torch.allclose(own[name], tensor, atol=1e-6), name
    assert later.card["verifier_training"]["began_with"]["settings"]["steps"] == 3
    again = load_pretrained(str(tmp_path / "b.safetensors")).verifier
    assert again is not None and digest(again.state_dict()) == digest(later.verifier.state_dict())
    with pytest.raises(InvalidValueError, match="other channels"):
        other = settings(cases=4, steps=1, channels=8)
        train_verifier(other, from_it, families, None, tmp_path / "c.safetensors", {})


def test_so_much_counts_of_what_overviews_say(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 4)
    weights = str(tiny_weights(tmp_path / "w.safetensors", spec=SEEING))
    made = []
    for share in (1.0, 0.25):
        run = settings(cases=4, steps=3, overview=4, overview_share=share)
        out = tmp_path / f"{share}.safetensors"
        verifier = train_verifier(run, weights, families, None, out, {}).verifier
        assert verifier is not None and verifier.overview is not None
        made.append(verifier.overview.score.weight)
    assert bool(made[0].any()) and torch.equal(made[0] * 0.25, made[1])


class Stop(Exception):
    pass


@pytest.mark.parametrize(("phase", "when"), [("cases", 3), ("steps", 12)])
def test_a_stopped_training_goes_on_to_the_same_bytes(
    tmp_path: Path, phase: str, when: int
) -> None:
    families = write_families(tmp_path / "families", 4)
    weights = str(tiny_weights(tmp_path / "w.safetensors", spec=SEEING))
    run = settings(cases=6, steps=20, check_every=5)
    whole = train_verifier(run, weights, families, None, tmp_path / "a.safetensors", {})

    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == (phase, when):
            raise Stop

    out = tmp_path / "b.safetensors"
    with pytest.raises(Stop):
        train_verifier(run, weights, families, None, out, {}, progress=stop)
    steps: list[int] = []
    parts = train_verifier(
        settings(cases=6, steps=20, check_every=5, workers=1),
        weights,
        families,
        None,
        out,
        {},
        progress=lambda what, done, total: steps.append(done) if what == "steps" else None,
    )
    assert steps[0] == (11 if phase == "steps" else 1), "it went on from the checkpoint"
    assert whole.verifier and parts.verifier
    assert digest(parts.verifier.state_dict()) == digest(whole.verifier.state_dict())
    with pytest.raises(FileFormatError, match="other settings"):
        train_verifier(settings(seed=1), weights, families, None, out, {})


def test_cases_hold_right_proposals_and_now_and_then_a_twin(tmp_path: Path) -> None:
    paths, _ = find_families(write_families(tmp_path / "families", 12))
    net = GraspNet(SEEING, 0)
    drawn = [draw_case(path, net, np.random.default_rng(i), 4) for i, path in enumerate(paths)]
    cases = [case for case in drawn if case is not None]
    assert all(bool(case.right.any(1).all()) for case in cases)
    assert not any(case.right[case.log_probability == NONE].any() for case in cases)
    twins = [case.tiers[0].startswith("twin") for case in cases]
    assert any(twins) and not all(twins)


def test_now_and_then_a_kin_demonstrates(tmp_path: Path) -> None:
    paths, _ = find_families(write_families(tmp_path / "families", 1, last="kin"))
    net = GraspNet(SEEING, 0)

    def of_kin(seed: int, kin: float) -> bool:
        case = draw_case(paths[0], net, np.random.default_rng(seed), 6, kin=kin)
        assert case is not None
        return all(tier == "kin" for tier in case.tiers)

    drawn = [of_kin(seed, 0.5) for seed in range(8)]
    assert any(drawn) and not all(drawn)
    assert not any(of_kin(seed, 0.0) for seed in range(4))


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    for bad in ("steps", "kin", "overview"):
        with pytest.raises(InvalidValueError, match=bad):
            VerifierSettings(**{bad: 0 if bad == "steps" else -1})  # type: ignore[arg-type]
    shallow = NetSpec(width=8, depth=1, features=8, groups=2, turns=8, kernel=3, hidden=4)
    save_pretrained(tmp_path / "w.safetensors", Pretrained(GraspNet(shallow)))
    families = write_families(tmp_path / "families", 1)
    with pytest.raises(InvalidValueError, match="13 cells"):
        train_verifier(
            settings(), str(tmp_path / "w.safetensors"), families, None, tmp_path / "v", {}
        )


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
