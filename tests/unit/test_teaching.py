"""Teaching: imprinted, refined, checked; the better weights are kept, and the seed decides all."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from teaching_kit import CAMERA, HEIGHT, demonstration, table

from grasplearn.errors import (
    InvalidValueError,
    NoGraspError,
)
from grasplearn.geometry import heightmap
from grasplearn.learning import teaching as module
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.methods import IMPRINT, LAST_BLOCK, LEARNED, UNTAUGHT
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.probe import FIRST_KEY, is_found
from grasplearn.learning.teaching import REFINED, Taught, support_set, teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.nets import codec
from grasplearn.nets.chain import Batch
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.head import Target
from grasplearn.nets.weights import digest
from grasplearn.rules import RULES
from grasplearn.types import MAX_WIDTH, Demonstration, Grasp, Observation

TUNED = (*RULES, LAST_BLOCK)
QUICK = Teaching(
    steps=6,
    batch=2,
    probe=4,
    doubt=0,
    rate=0.01,
    augmentation=Augmentation(side=96),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pretrained(weights_file: Path) -> Pretrained:
    return load_pretrained(str(weights_file))


def taught(pretrained: Pretrained, method: str, seed: int = 0, **changes: Any) -> Taught:
    return teach(demonstration(), pretrained, replace(QUICK, method=method, **changes), seed)


def imprinted(pretrained: Pretrained) -> GraspNet:
    net = copy.deepcopy(pretrained.net)
    codec.imprint(net, demonstration(), heightmap(demonstration().observation))
    return net


def shown_loss(net: GraspNet) -> float:
    """The loss on the demonstration at its own place, not turned."""
    view, grasp = heightmap(demonstration().observation), demonstration().grasp
    place = codec.place_target([[codec.place_of(view, grasp)]], net.spec, view.side)
    target = Target(place, torch.tensor([grasp.width / MAX_WIDTH]))
    with torch.no_grad():
        return float(net.loss(Batch(codec.encode(view)[None], target)))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return digest(a.state_dict()) == digest(b.state_dict())


# -- what is taught ----------------------------------------------------------------------------


def test_untaught_is_the_net_as_it_was_loaded(pretrained: Pretrained) -> None:
    result = taught(pretrained, UNTAUGHT)
    assert same(result.net, pretrained.net) and result.net is not pretrained.net
    assert (result.kept, result.report, result.probe_loss, result.warning) == (
        UNTAUGHT,
        None,
        None,
        "",
    )


def test_imprint_is_the_imprint_and_nothing_else(pretrained: Pretrained) -> None:
    result = taught(pretrained, IMPRINT)
    assert same(result.net, imprinted(pretrained)) and not same(result.net, pretrained.net)
    assert (result.kept, result.report, result.probe_loss) == (IMPRINT, None, None)
    assert result.warning == "" and result.seconds > 0


@pytest.mark.parametrize("method", TUNED)
def test_a_tuned_net_is_better_than_its_imprint(pretrained: Pretrained, method: str) -> None:
    before = digest(pretrained.net.state_dict())
    # To Adam the few entries of a thinned gradient are as large as all of them.
    changes = {"rate": QUICK.rate / 3} if method == "meprop" and QUICK.rate else {}
    result = taught(pretrained, method, **changes)
    assert result.kept == REFINED and result.warning == ""
    assert result.probe_loss is not None and result.probe_loss[1] < result.probe_loss[0]
    assert result.report is not None and len(result.report.losses) == QUICK.steps
    assert digest(pretrained.net.state_dict()) == before, "what was given has changed"


@pytest.mark.parametrize("method", ["static-sgm", "static-sgm-one-pass"])
def test_the_modules_are_static(pretrained: Pretrained, method: str) -> None:
    before = digest(pretrained.modules[method].state_dict())
    taught(pretrained, method)
    assert digest(pretrained.modules[method].state_dict()) == before


def test_last_block_changes_the_head_and_the_last_block_alone(pretrained: Pretrained) -> None:
    result, start = taught(pretrained, LAST_BLOCK), imprinted(pretrained)
    kept = [same(result.net.part(i), start.part(i)) for i in range(len(start.blocks) + 1)]
    assert kept == [True] * (len(start.blocks) - 1) + [False, False]
    rule = taught(pretrained, "static-sgm").net
    assert not any(same(rule.part(i), start.part(i)) for i in range(len(start.blocks) + 1))


@pytest.mark.parametrize("method", ["backprop", "static-sgm"])
def test_the_first_blocks_stay_as_they_are_where_that_is_asked(
    pretrained: Pretrained, method: str
) -> None:
    result, start = taught(pretrained, method, frozen=0.5), imprinted(pretrained)
    kept = [same(result.net.part(i), start.part(i)) for i in range(len(start.blocks) + 1)]
    still = len(start.blocks) // 2
    assert still and kept == [True] * still + [False] * (len(kept) - still)


def test_checkpointing_teaches_what_backprop_does(pretrained: Pretrained) -> None:
    a, b = (taught(pretrained, m).net for m in ("backprop", "backprop-checkpointed"))
    for (name, x), y in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.allclose(x, y, rtol=1e-3, atol=1e-5), name


# -- the seed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "threads"), [*((method, 1) for method in LEARNED), ("static-sgm", 2)]
)
def test_the_same_seed_teaches_the_same_bytes(
    pretrained: Pretrained, method: str, threads: int
) -> None:
    torch.set_num_threads(threads)
    first, again = (taught(pretrained, method, seed=3, steps=2) for _ in range(2))
    assert same(first.net, again.net) and first.probe_loss == again.probe_loss
    if first.report is not None and again.report is not None:
        assert first.report.losses == again.report.losses


@pytest.mark.parametrize("method", TUNED)
def test_another_seed_teaches_something_else(pretrained: Pretrained, method: str) -> None:
    first, other = (taught(pretrained, method, seed=seed) for seed in (0, 1))
    assert first.report is not None and other.report is not None
    assert not set(first.report.losses) & set(other.report.losses)


# -- samples and the probe ---------------------------------------------------------------------


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The keys of every batch that is asked for."""
    asked: list[tuple[int, ...]] = []

    class Listening(SupportSet):
        def batch(self, keys: Sequence[int]) -> Batch:
            asked.append(tuple(keys))
            return super().batch(keys)

    monkeypatch.setattr(module, "SupportSet", Listening)
    return asked


@pytest.mark.parametrize("method", TUNED)
def test_samples_come_again_only_where_the_rule_must_know_them(
    pretrained: Pretrained, keys: list[tuple[int, ...]], method: str
) -> None:
    taught(pretrained, method, steps=9)
    steps, probe = keys[-9:], keys[:-9]
    assert {len(batch) for batch in steps} == {QUICK.batch}
    different = 4 if method == "static-sgm-one-pass" else 9
    assert len(set(steps)) == different and steps[0] != steps[1]
    assert len({key for batch in steps for key in batch}) == different * QUICK.batch
    assert sorted(key for batch in probe for key in batch) == [
        FIRST_KEY + n for n in range(QUICK.probe)
    ]
    assert max(len(batch) for batch in probe) <= QUICK.batch


def test_one_pass_is_one_pass_from_the_second_visit_on(
    pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    features = GraspNet.features
    monkeypatch.setattr(
        GraspNet, "features", lambda net, x: (passes.append(len(x)), features(net, x))[1]
    )
    counts = []
    for steps in (4, 9):
        passes.clear()
        taught(pretrained, "static-sgm-one-pass", steps=steps)
        counts.append(len(passes))
    assert counts[0] == counts[1], "a full extra pass was made after the first visits"


def test_the_demonstration_itself_is_in_the_probe(pretrained: Pretrained) -> None:
    result = taught(pretrained, "static-sgm", probe=0)
    assert result.probe_loss is not None and result.missed in (0.0, 1.0)
    assert result.probe_loss[0] == pytest.approx(shown_loss(imprinted(pretrained)), rel=1e-5)


def test_what_the_imprint_finds_is_not_refined(pretrained: Pretrained) -> None:
    """Refining could only lose then; where the imprint misses more than is tolerated, it begins."""
    always = taught(pretrained, "static-sgm", probe=12)
    assert always.missed is not None and always.report is not None
    never = taught(pretrained, "static-sgm", probe=12, doubt=always.missed + 0.01, rival=2.0)
    assert never.missed == always.missed
    assert (never.kept, never.report, never.probe_loss, never.warning) == (IMPRINT, None, None, "")
    assert same(never.net, imprinted(pretrained))
    just = taught(pretrained, "static-sgm", probe=12, doubt=always.missed, rival=2.0)
    assert just.report is not None and same(just.net, always.net)
    rivalled = taught(pretrained, "static-sgm", probe=12, doubt=2.0, rival=0.0)
    assert rivalled.report is not None and same(rivalled.net, always.net)


def test_found_is_near_any_right_place_up_to_the_jaws_half_turn() -> None:
    right = torch.zeros(16, 20, 20)
    right[3, 10, 10] = 1
    quality = torch.full((16, 20, 20), -9.0)
    for turn, row, found in ((3, 10, True), (11, 12, True), (4, 10, True), (6, 10, False),
                             (3, 14, False)):  # fmt: skip
        peak = quality.clone()
        peak[turn, row, 10] = 9
        assert is_found(peak, right, 4) is found, (turn, row)
    assert not is_found(quality * float("nan"), right, 4)


def test_the_probe_is_the_mean_over_its_samples(pretrained: Pretrained) -> None:
    result = taught(pretrained, "static-sgm", probe=3)
    view, net = heightmap(demonstration().observation), imprinted(pretrained)
    support, _ = support_set(net, view, demonstration().grasp, QUICK, 0)
    with torch.no_grad():
        losses = [float(net.loss(support.batch([FIRST_KEY + n]))) for n in range(3)]
    assert result.probe_loss is not None
    assert result.probe_loss[0] == pytest.approx(np.mean([shown_loss(net), *losses]), rel=1e-4)


# -- guards ------------------------------------------------------------------------------------


# A step of fixed-point is at most the move that measures: no step size makes it worse.
@pytest.mark.parametrize("method", [method for method in TUNED if method != "fixed-point"])
@pytest.mark.parametrize("rate", [10.0, 1e18])
def test_where_refining_makes_it_worse_the_imprint_is_kept(
    pretrained: Pretrained, method: str, rate: float
) -> None:
    result = taught(pretrained, method, rate=rate)
    assert result.kept == IMPRINT and "the imprint was kept" in result.warning
    assert same(result.net, imprinted(pretrained))
    assert result.report is not None and result.probe_loss is not None
    assert not result.probe_loss[1] < result.probe_loss[0]


def test_a_loss_that_is_not_finite_is_told(pretrained: Pretrained) -> None:
    result = taught(pretrained, "backprop", rate=1e18)
    assert result.report is not None and not np.isfinite(result.report.losses).all()
    assert "not finite" in result.warning and result.kept == IMPRINT
    assert 0 <= result.predict(demonstration().observation).confidence <= 1


def test_a_net_worse_than_untaught_on_its_own_demonstration_is_told(
    pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inverted(net: GraspNet, *shown: Any) -> None:
        codec.imprint(net, *shown)
        net.head.kernels.data.mul_(-10)

    monkeypatch.setattr(module, "imprint", inverted)
    result = taught(pretrained, IMPRINT)
    assert shown_loss(result.net) > shown_loss(pretrained.net)
    assert "no better than an untaught one" in result.warning


def test_refining_goes_a_share_of_the_way(pretrained: Pretrained) -> None:
    imprinted, half, whole = (
        taught(pretrained, method, doubt=0, rate=1e-2, share=share).net
        for method, share in ((IMPRINT, 1.0), ("backprop", 0.5), ("backprop", 1.0))
    )
    middle, end = dict(half.named_parameters()), dict(whole.named_parameters())
    moved = 0
    for name, start in imprinted.named_parameters():
        if name != "head.kernels":
            assert torch.allclose(middle[name], (start + end[name]) / 2, atol=1e-6)
            moved += int(not torch.equal(start, end[name]))
    assert moved > 3


def test_refined_features_are_imprinted_into_once_more(pretrained: Pretrained) -> None:
    imprinted, refined = (
        taught(pretrained, method, doubt=0, rate=1e-2).net for method in (IMPRINT, "backprop")
    )
    again, shown = copy.deepcopy(refined), demonstration()
    codec.imprint(again, shown, heightmap(shown.observation))
    assert torch.equal(again.head.kernels, refined.head.kernels)
    assert not torch.allclose(imprinted.head.kernels, refined.head.kernels)
    assert torch.equal(imprinted.head.width, refined.head.width)


def test_a_rising_loss_is_no_warning_where_the_probe_fell(
    pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = module.fine_tune

    def warned(*arguments: Any) -> Any:
        net, report = tune(*arguments)
        return net, replace(report, warning="the loss rose")

    monkeypatch.setattr(module, "fine_tune", warned)
    assert taught(pretrained, "backprop").warning == ""
    assert "the loss rose" in taught(pretrained, "backprop", rate=10.0).warning


# -- prediction --------------------------------------------------------------------------------


def test_a_taught_net_finds_the_shown_spot(pretrained: Pretrained) -> None:
    """Where it was shown, and where the bar has moved to."""
    result = taught(pretrained, "backprop", steps=30, batch=4, rate=0.02, blocks=0.5, share=1.0)
    shown = demonstration().grasp
    for x, y in ((0.5, 0.0), (0.44, 0.08)):
        prediction = result.predict(table(x, y))
        wanted = shown.center_world[:2] + np.array([x - 0.5, y])
        assert np.linalg.norm(prediction.grasp.center_world[:2] - wanted) < 0.02
        assert prediction.quality.shape == (56, 56) and prediction.quality.dtype == np.float32
        assert prediction.quality.sum() == pytest.approx(1, abs=1e-4)
        assert 0.03 < prediction.confidence <= 1
        row, column = np.unravel_index(prediction.quality.argmax(), prediction.quality.shape)
        u, v = heightmap(table(x, y)).to_pixels(wanted)
        assert np.hypot(column * 4 + 1.5 - u, row * 4 + 1.5 - v) < 10
    untaught = taught(pretrained, UNTAUGHT).predict(table(0.44, 0.08))
    assert untaught.confidence < 0.2


def test_an_empty_table_holds_no_grasp(pretrained: Pretrained) -> None:
    empty = Observation(
        np.full((224, 224, 3), 120, np.uint8), np.full((224, 224), HEIGHT, np.float32), CAMERA
    )
    with pytest.raises(NoGraspError, match="nothing stands"):
        taught(pretrained, IMPRINT).predict(empty)


# -- what is refused ---------------------------------------------------------------------------


def test_weights_without_modules_are_refused(pretrained: Pretrained) -> None:
    bare = Pretrained(pretrained.net)
    with pytest.raises(InvalidValueError, match="no modules for static-sgm"):
        taught(bare, "static-sgm")
    assert taught(bare, "backprop").kept == REFINED


@pytest.mark.parametrize(
    ("center", "told"),
    [((0.35, 0.15, 0.01), "nothing stands at"), ((0.1, 0.0, 0.01), "outside the workspace")],
)
def test_a_grasp_beside_everything_is_refused(
    pretrained: Pretrained, center: tuple[float, ...], told: str
) -> None:
    wrong = Demonstration(table(), Grasp(np.array(center), 0.0, 0.05))
    with pytest.raises(InvalidValueError, match=told):
        teach(wrong, pretrained, QUICK, 0)


# -- looking on --------------------------------------------------------------------------------


def test_looking_on_changes_nothing(pretrained: Pretrained) -> None:
    seen: list[tuple[int, int]] = []
    result = teach(
        demonstration(),
        pretrained,
        replace(QUICK, measure_memory=True),
        0,
        lambda step, update: seen.append((step, update.index)),
    )
    parts = len(pretrained.net.blocks) + 1
    assert len(seen) == QUICK.steps * parts and seen[-1][0] == QUICK.steps - 1
    assert result.report is not None and (result.report.peak_bytes or 0) > 0
    assert same(result.net, taught(pretrained, "static-sgm").net)


@pytest.mark.parametrize("callers", [1, 2])
def test_the_caller_s_threads_change_nothing_and_come_back(
    pretrained: Pretrained, callers: int
) -> None:
    wanted = digest(taught(pretrained, "static-sgm").net.state_dict())
    torch.set_num_threads(callers)
    seen: list[int] = []
    made = teach(
        demonstration(),
        pretrained,
        replace(QUICK, method="static-sgm"),
        0,
        lambda step, update: seen.append(torch.get_num_threads()),
    )
    assert digest(made.net.state_dict()) == wanted
    assert set(seen) == {1} and torch.get_num_threads() == callers
