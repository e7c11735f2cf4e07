"""How the second look is trained: its cases, where it begins, that a stopped run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from family_kit import write_families
from teaching_kit import SEEING, tiny_weights

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.learning.cases import NONE, draw_case
from grasplearn.learning.families import find_families, load_family, save_family
from grasplearn.learning.meta_train import MetaTrainSettings, meta_train
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.train_verifier import VerifierSettings, train_verifier
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.overview import Comparison
from grasplearn.nets.weights import digest


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
    plain = settings(cases=4, steps=3)
    earlier = train_verifier(plain, weights, families, None, tmp_path / "a.safetensors", {})
    assert earlier.verifier is not None
    own = {name: tensor.clone() for name, tensor in earlier.verifier.state_dict().items()}
    earlier.verifier.overview = Comparison(4)
    save_pretrained(tmp_path / "a.safetensors", earlier)
    begun = settings(cases=4, steps=1, rate=1e-12)
    from_it = str(tmp_path / "a.safetensors")
    later = train_verifier(begun, from_it, families, None, tmp_path / "b.safetensors", {})
    assert later.verifier is not None
    assert later.verifier.overview is None, "it was trained beside another one"
    for name, tensor in later.verifier.state_dict().items():
        assert torch.allclose(own[name], tensor, atol=1e-6), name
    assert later.card["verifier_training"]["began_with"]["settings"]["steps"] == 3
    again = load_pretrained(str(tmp_path / "b.safetensors")).verifier
    assert again is not None and digest(again.state_dict()) == digest(later.verifier.state_dict())
    with pytest.raises(InvalidValueError, match="48 channels, not of 8"):
        other = settings(cases=4, steps=1, channels=8)
        train_verifier(other, from_it, families, None, tmp_path / "c.safetensors", {})


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
        return all(tier == "by kin kin" for tier in case.tiers)

    drawn = [of_kin(seed, 0.5) for seed in range(8)]
    assert any(drawn) and not all(drawn)
    assert not any(of_kin(seed, 0.0) for seed in range(4))


@pytest.mark.parametrize("kin", [0.0, 1.0])
def test_on_a_kin_alone_every_spot_of_the_part_is_right(tmp_path: Path, kin: float) -> None:
    """Here the part is everywhere, at every angle."""
    paths, _ = find_families(write_families(tmp_path, 1, last="kin"))
    axis, turns = np.arange(0, 224, 12.0), np.arange(0, np.pi, 0.5)
    part = np.stack(np.meshgrid(axis, axis, turns), -1).reshape(-1, 3)
    family = load_family(paths[0])
    views = tuple(replace(view, parts=(part,)) for view in family.views)
    save_family(tmp_path, 0, replace(family, views=views))
    case = draw_case(paths[0], GraspNet(SEEING, 0), np.random.default_rng(0), 8, kin=kin)
    assert case is not None
    of_kin = np.array([tier.endswith("kin") for tier in case.tiers])
    right = case.right | (case.log_probability == NONE)
    assert right[of_kin].all() and not right[~of_kin].all(1).any()
    assert of_kin.all() if kin else not of_kin.all()


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    for bad in ("steps", "kin"):
        with pytest.raises(InvalidValueError, match=bad):
            VerifierSettings(**{bad: 0 if bad == "steps" else -1})  # type: ignore[arg-type]
    shallow = NetSpec(width=8, depth=1, features=8, groups=2, turns=8, kernel=3, hidden=4)
    save_pretrained(tmp_path / "w.safetensors", Pretrained(GraspNet(shallow)))
    families = write_families(tmp_path / "families", 1)
    with pytest.raises(InvalidValueError, match="13 cells"):
        train_verifier(
            settings(), str(tmp_path / "w.safetensors"), families, None, tmp_path / "v", {}
        )
