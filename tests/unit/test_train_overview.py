"""How the comparison of overviews is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from family_kit import write_families
from teaching_kit import SEEING, tiny_weights

from grasplearn.config_training import SecondLook, TrainOverview, TrainVerifier
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.learning import train_overview as train_overview_module
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.second_look import SecondLookSettings
from grasplearn.learning.train_overview import STRANGERS, OverviewSettings, train_overview
from grasplearn.learning.train_verifier import VerifierSettings
from grasplearn.nets.overview import Comparison
from grasplearn.nets.verifier import Verifier
from grasplearn.nets.weights import digest


def settings(**more: object) -> OverviewSettings:
    small: dict[str, object] = {
        "cases": 6,
        "questions": 3,
        "steps": 20,
        "batch": 6,
        "channels": 4,
        "check_every": 5,
    }
    return OverviewSettings(**(small | more))  # type: ignore[arg-type]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Weights with a verifier that has no opinion yet, beyond the head's."""
    base = load_pretrained(str(tiny_weights(tmp_path / "base.safetensors", spec=SEEING)))
    made = Pretrained(base.net, base.modules, verifier=Verifier(SEEING.groups))
    save_pretrained(tmp_path / "w.safetensors", made)
    return str(tmp_path / "w.safetensors")


def test_it_learns_to_tell_places_apart(tmp_path: Path, weights: str) -> None:
    families = write_families(tmp_path / "families", 8)
    run = settings(cases=16, steps=90, batch=8, rate=3e-3, check_every=30)
    out, losses = tmp_path / "o.safetensors", []

    def log(step: int, figures: Mapping[str, float]) -> None:
        losses.append(figures["loss"])

    made = train_overview(run, weights, families, families, out, {}, log=log)
    figures = made.card["overview_training"]["validation"]
    assert losses[-1] < 0.6 * losses[0]
    assert figures["all compared"] >= figures["all told"]
    again, before = load_pretrained(str(out)), load_pretrained(weights)
    assert again.verifier is not None and made.verifier is not None and before.verifier is not None
    assert digest(again.verifier.state_dict()) == digest(made.verifier.state_dict())
    for name, tensor in before.verifier.state_dict().items():
        assert torch.equal(again.verifier.state_dict()[name], tensor), "the rest is frozen"
    assert digest(again.net.state_dict()) == digest(before.net.state_dict())
    assert set(again.modules) == set(before.modules)


class Stop(Exception):
    pass


@pytest.mark.parametrize(("phase", "when"), [("cases", 3), ("steps", 12)])
def test_a_stopped_training_goes_on_to_the_same_bytes(
    tmp_path: Path, weights: str, phase: str, when: int
) -> None:
    families = write_families(tmp_path / "families", 4)
    whole = train_overview(settings(), weights, families, None, tmp_path / "a.safetensors", {})

    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == (phase, when):
            raise Stop

    out = tmp_path / "b.safetensors"
    with pytest.raises(Stop):
        train_overview(settings(), weights, families, None, out, {}, progress=stop)
    steps: list[int] = []
    parts = train_overview(
        settings(workers=1),
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
        train_overview(settings(seed=1), weights, families, None, out, {})


def test_so_much_counts_of_what_it_says(tmp_path: Path, weights: str) -> None:
    families = write_families(tmp_path / "families", 2)
    made = []
    for share in (1.0, 0.25):
        out = tmp_path / f"{share}.safetensors"
        run = settings(cases=2, steps=2, share=share)
        verifier = train_overview(run, weights, families, None, out, {}).verifier
        assert verifier is not None and verifier.overview is not None
        made.append(verifier.overview.score.weight)
    assert bool(made[0].any()) and torch.equal(made[0] * 0.25, made[1])


def test_a_comparison_that_is_there_is_replaced(tmp_path: Path, weights: str) -> None:
    families = write_families(tmp_path / "families", 2)
    made = []
    for other in (False, True):
        base = load_pretrained(weights)
        assert base.verifier is not None
        if other:
            base.verifier.overview = Comparison(2)
            torch.nn.init.normal_(base.verifier.overview.score.weight)
        save_pretrained(tmp_path / "from.safetensors", base)
        out = tmp_path / f"{other}.safetensors"
        run = settings(cases=2, steps=2)
        made.append(
            train_overview(run, str(tmp_path / "from.safetensors"), families, None, out, {})
        )
    first, second = (one.verifier for one in made)
    assert first and second and digest(first.state_dict()) == digest(second.state_dict())


def test_families_that_tell_nothing_are_refused(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    families = write_families(tmp_path / "families", 2)
    monkeypatch.setattr(train_overview_module, "draw_sighting", lambda *told: None)
    with pytest.raises(InvalidValueError, match="render other families"):
        train_overview(settings(), weights, families, None, tmp_path / "o.safetensors", {})


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    for name, bad in (("steps", 0), ("kin", -1), ("batch", STRANGERS)):
        with pytest.raises(InvalidValueError, match=name):
            settings(**{name: bad})
    plain = str(tiny_weights(tmp_path / "w.safetensors", spec=SEEING))
    families = write_families(tmp_path / "families", 1)
    with pytest.raises(InvalidValueError, match="train-verifier"):
        train_overview(settings(), plain, families, None, tmp_path / "o.safetensors", {})


@pytest.mark.parametrize(
    ("options", "kind", "set_in_code"),
    [(TrainOverview, OverviewSettings, set()), (TrainVerifier, VerifierSettings, {"channels"})],
)
def test_the_command_line_offers_every_setting_with_its_default(
    options: type[SecondLook], kind: type[SecondLookSettings], set_in_code: set[str]
) -> None:
    offered = {field.name: field.default for field in fields(options)}
    for field in fields(kind):
        if field.name not in set_in_code:
            assert offered[field.name] == field.default, field.name
