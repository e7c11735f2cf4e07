from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from family_kit import write_families
from teaching_kit import SMALL, tiny_weights

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.learning.episodes import EpisodeSettings
from grasplearn.learning.meta_train import MetaTrainSettings, meta_train
from grasplearn.learning.pretrain import PretrainSettings, localisation, pretrain, schedule
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.teaching_settings import Teaching, teaching_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.weights import digest
from grasplearn.rules.sgm import SGMs

EPISODES = EpisodeSettings(questions=2, side=96)


def settings(steps: int, **more: object) -> PretrainSettings:
    return PretrainSettings(
        SMALL,
        EPISODES,
        **{"turns": 4, "steps": steps, "batch": 1, "rate": 3e-3, "check_every": 10, **more},  # type: ignore[arg-type]
    )


class Stop(Exception):
    pass


def stop_at(when: int):  # type: ignore[no-untyped-def]
    def progress(what: str, done: int, total: int) -> None:
        if done == when:
            raise Stop

    return progress


def test_training_needs_neither_simulator_nor_environment() -> None:
    """On a bare GPU machine neither is installed."""
    modules = "grasplearn.commands.pretrain, grasplearn.commands.meta_train"
    look = "print(sorted({'pybullet', 'gymnasium', 'trimesh'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; {look}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_pre_training_learns_to_find_the_spot(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 12)
    paths = sorted(families.glob("family-*.npz"))
    before = localisation(GraspNet(SMALL, 0), paths)["mean"]
    made = pretrain(settings(120), families, None, tmp_path / "w.safetensors", {"command": "x"})
    after = localisation(made.net, paths)["mean"]
    assert after > max(before + 0.15, 0.5), f"{before} -> {after}"
    again = load_pretrained(str(tmp_path / "w.safetensors"))
    assert digest(again.net.state_dict()) == digest(made.net.state_dict())
    assert again.card["pretraining"]["families"]["split"] == "train"


def test_a_stopped_pre_training_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    whole = pretrain(settings(20), families, None, tmp_path / "a.safetensors", {})
    with pytest.raises(Stop):
        pretrain(settings(20), families, None, tmp_path / "b.safetensors", {}, progress=stop_at(15))
    seen: list[int] = []
    parts = pretrain(
        settings(20),
        families,
        None,
        tmp_path / "b.safetensors",
        {},
        progress=lambda what, done, total: seen.append(done),
    )
    assert seen == list(range(11, 21)), "it went on from the checkpoint, not from the start"
    assert digest(parts.net.state_dict()) == digest(whole.net.state_dict())
    with pytest.raises(FileFormatError, match="other settings"):
        pretrain(settings(20, seed=1), families, None, tmp_path / "b.safetensors", {})


def test_pre_training_can_end_before_its_schedule_does(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    out, seen = tmp_path / "a.safetensors", []
    early = pretrain(
        settings(20, stop=12), families, None, out, {}, progress=lambda *told: seen.append(told[1:])
    )
    assert seen[-1] == (12, 12) and early.card["pretraining"]["stop"] == 12
    later = pretrain(settings(20), families, None, out, {})
    whole = pretrain(settings(20), families, None, tmp_path / "b.safetensors", {})
    assert digest(later.net.state_dict()) == digest(whole.net.state_dict())
    assert digest(early.net.state_dict()) != digest(whole.net.state_dict())
    with pytest.raises(InvalidValueError, match="stop"):
        settings(20, stop=21)


def test_drawing_ahead_changes_nothing_and_the_window_is_learned(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    alone = pretrain(settings(6), families, None, tmp_path / "a.safetensors", {})
    ahead = pretrain(settings(6, workers=1), families, None, tmp_path / "b.safetensors", {})
    assert digest(ahead.net.state_dict()) == digest(alone.net.state_dict())
    assert float((alone.net.head.window - 1).abs().max()) > 0
    assert "head.window" not in dict(alone.net.named_parameters())


def test_pre_training_goes_on_with_a_smaller_net_that_grows(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 12)
    paths = sorted(families.glob("family-*.npz"))
    first = tmp_path / "a.safetensors"
    small = pretrain(settings(120), families, None, first, {})
    larger = replace(SMALL, width=SMALL.width * 2)
    made = pretrain(
        replace(settings(1), spec=larger),
        families,
        None,
        tmp_path / "b.safetensors",
        {},
        str(first),
    )
    assert made.net.spec == larger
    rates = [localisation(pretrained.net, paths)["mean"] for pretrained in (small, made)]
    assert rates[1] > rates[0] - 0.1, "one step does not undo what was learned"


def test_looking_at_validation_changes_nothing(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 2)
    net = GraspNet(SMALL, 0)
    before = digest(net.state_dict())
    first = localisation(net, sorted(families.glob("family-*.npz")))
    assert digest(net.state_dict()) == before
    assert first == localisation(net, sorted(families.glob("family-*.npz")))
    assert set(first) == {"same", "view", "mean"}


def test_the_step_size_rises_and_falls() -> None:
    rates = [schedule(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01) and max(rates) > 0.97
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)


def meta_settings(tasks: int, **more: object) -> MetaTrainSettings:
    return MetaTrainSettings(
        **{"tasks": tasks, "steps": 4, "batch": 2, "side": 64, "check_every": 2, **more}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("rule", ["static-sgm", "static-sgm-one-pass"])
def test_meta_training_brings_the_guesses_nearer(tmp_path: Path, rule: str) -> None:
    families = write_families(tmp_path / "families", 4)
    weights = str(tiny_weights(tmp_path / "w.safetensors", modules=()))
    seen: list[Mapping[str, float]] = []
    made = meta_train(
        meta_settings(30, rule=rule, check_every=10, rate=1e-2),
        weights,
        families,
        tmp_path / "m.safetensors",
        {"command": "x"},
        log=lambda step, figures: seen.append(figures),
    )
    assert seen[-1]["cosine"] > seen[0]["cosine"] + 0.03
    assert seen[-1]["loss"] < seen[0]["loss"]
    again = load_pretrained(str(tmp_path / "m.safetensors"))
    assert again.rule(rule) and again.card["meta_training"][rule]["settings"]["tasks"] == 30
    own = load_pretrained(weights)
    assert digest(made.net.state_dict()) == digest(own.net.state_dict()), "the net stays"


def test_a_second_rules_modules_begin_with_the_firsts(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    weights = str(tiny_weights(tmp_path / "w.safetensors", modules=()))
    first = tmp_path / "a.safetensors"
    meta_train(meta_settings(4, rate=1e-2), weights, families, first, {})
    still = meta_settings(1, rule="static-sgm-one-pass", rate=1e-12)
    made = meta_train(still, str(first), families, tmp_path / "b.safetensors", {})
    one, other = (made.modules[name] for name in ("static-sgm", "static-sgm-one-pass"))
    assert one is not other
    untrained = SGMs.untrained(made.net, np.random.default_rng(0), one.inner)
    named = zip(one.named_parameters(), other.parameters(), untrained.parameters(), strict=True)
    for (name, p), q, r in named:
        assert torch.allclose(p, q, atol=1e-6), name
        assert not torch.allclose(p, r, atol=1e-6) or "gate" in name, name


def test_how_weights_are_to_be_refined_is_noted_and_stays(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    weights = str(tiny_weights(tmp_path / "w.safetensors", modules=()))
    asked = {"steps": 5, "rate": 0.01, "doubt": 0.0}
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    meta_train(meta_settings(1), weights, families, first, {}, refining=asked)
    again = meta_settings(1, rule="static-sgm-one-pass")
    meta_train(again, str(first), families, second, {})
    for file in (first, second):
        told = teaching_of(load_pretrained(str(file)))
        assert (told.steps, told.rate, told.doubt, told.blocks) == (5, 0.01, 0.0, Teaching.blocks)
    with pytest.raises(FileFormatError, match="refining"):
        wrong = tmp_path / "c.safetensors"
        meta_train(meta_settings(1), weights, families, wrong, {}, refining={"steps": 0})
    with pytest.raises(UnknownNameError, match="guess"):
        own = {"rates": {"guess": 0.1}}
        meta_train(meta_settings(1), weights, families, wrong, {}, refining=own)
    assert not wrong.exists()


def test_a_stopped_meta_training_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 3)
    weights = str(tiny_weights(tmp_path / "w.safetensors", modules=()))
    run = meta_settings(6)
    whole = meta_train(run, weights, families, tmp_path / "a.safetensors", {})
    with pytest.raises(Stop):
        meta_train(run, weights, families, tmp_path / "b.safetensors", {}, progress=stop_at(5))
    parts = meta_train(run, weights, families, tmp_path / "b.safetensors", {})
    for one, other in zip(whole.modules.values(), parts.modules.values(), strict=True):
        assert digest(one.state_dict()) == digest(other.state_dict())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MetaTrainSettings(rule="backprop"),
        lambda: MetaTrainSettings(tasks=0),
        lambda: PretrainSettings(steps=0),
        lambda: PretrainSettings(rate=float("nan")),
        lambda: PretrainSettings(device="tpu"),
        lambda: EpisodeSettings(side=50),
    ],
)
def test_settings_out_of_range_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidValueError):
        make()


def test_modules_of_both_rules_live_in_one_file(tmp_path: Path) -> None:
    families = write_families(tmp_path / "families", 2)
    weights = str(tiny_weights(tmp_path / "w.safetensors", modules=()))
    both = tmp_path / "both.safetensors"
    meta_train(meta_settings(1), weights, families, both, {})
    meta_train(meta_settings(1, rule="static-sgm-one-pass"), str(both), families, both, {})
    made = load_pretrained(str(both))
    assert set(made.modules) == {"static-sgm", "static-sgm-one-pass"}
    assert set(made.card["meta_training"]) == set(made.modules)
    assert np.isfinite(made.card["meta_training"]["static-sgm"]["last"]["loss"])


def test_two_processes_train_one_net(tmp_path: Path) -> None:
    """Under torchrun both average their gradients; one writes."""
    families = write_families(tmp_path / "families", 2)
    program = tmp_path / "train.py"
    program.write_text(
        f"""
import sys, torch
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from pathlib import Path
from unit.test_training import settings
from grasplearn.learning.pretrain import pretrain
from grasplearn.nets.weights import digest
place = Path({str(tmp_path)!r})
made = pretrain(settings(3), place / "families", None, place / "w.safetensors", {{}})
rank = torch.distributed.get_rank()
(place / f"digest-{{rank}}").write_text(digest(made.net.state_dict()))
torch.distributed.destroy_process_group()
"""
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, str(program)], check=True, capture_output=True, timeout=120)
    one, other = ((tmp_path / f"digest-{rank}").read_text() for rank in (0, 1))
    assert one == other
    made = load_pretrained(str(tmp_path / "w.safetensors"))
    assert digest(made.net.state_dict()) == one
    alone = pretrain(settings(3), families, None, tmp_path / "alone.safetensors", {})
    assert digest(alone.net.state_dict()) != one, "each process drew episodes of its own"
