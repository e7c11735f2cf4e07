"""Every entry of RULES passes the suite; rules broken on purpose do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import conformance
import pytest
import torch
from torch import Tensor

from grasplearn.nets.chain import Batch
from grasplearn.rules import RULES
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.backprop_checkpointed import CheckpointedBackprop
from grasplearn.rules.base import BlockGrad, LearningRule
from grasplearn.rules.forward_gradient import ForwardGradient
from grasplearn.rules.meprop import MeProp
from grasplearn.rules.static_sgm import StaticSGM


@pytest.mark.parametrize("check", conformance.EVERY, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", RULES)
def test_rule_conforms(name: str, check) -> None:
    check(RULES[name]())


@pytest.mark.parametrize("name", [n for n, make in RULES.items() if make().exact])
def test_declared_exact_equals_autograd(name: str) -> None:
    conformance.check_exact(RULES[name]())


@pytest.mark.parametrize("name", [n for n, make in RULES.items() if not make().exact])
def test_inexact_rules_say_so(name: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        conformance.check_exact(RULES[name]())


# The registered forward gradient trains few numbers; the estimator as such is unbiased.
UNBIASED = {n: make() for n, make in RULES.items() if make().unbiased} | {
    "forward-gradient-of-all": ForwardGradient(4, "all"),
    "forward-gradient-of-the-end-too": ForwardGradient(4, "all", exact_end=False),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_declared_unbiased_has_the_gradient_as_its_mean(name: str) -> None:
    assert UNBIASED[name].unbiased
    conformance.check_unbiased(UNBIASED[name])


def test_the_check_for_bias_finds_it() -> None:
    """Keeping the largest entries alone, however often, is no mean of anything."""
    with pytest.raises(AssertionError):
        conformance.check_unbiased(MeProp())


@pytest.mark.parametrize("segments", [0, 1, 2, 4])
def test_checkpointed_equals_plain_to_the_bit(segments: int) -> None:
    net, batch = conformance.problem()
    plain = conformance.gradient(net, Backprop(), batch)
    again = conformance.gradient(net, CheckpointedBackprop(segments), batch)
    for name, g in plain.items():
        assert torch.equal(g, again[name]), name


class Oracle:
    """The true gradient at every block's output, found by autograd beforehand."""

    def __init__(self, net, batch: Batch) -> None:
        outs, h = [], batch.pictures
        with torch.enable_grad():
            for block in net.blocks:
                h = block(h)
                outs.append(h)
            loss = net.head.loss(h, batch.target)
            self.true = torch.autograd.grad(loss, outs)

    def guess(self, index: int, h: Tensor, e: Tensor) -> Tensor:
        return self.true[index].clone()


@dataclasses.dataclass(frozen=True, eq=False)
class Perfect:
    """Feed-forward with a perfect oracle: must equal backprop."""

    error: str = "exact"
    rule: type[StaticSGM] = StaticSGM
    exact = True
    unbiased = True
    memory = "flat"

    def init(self, net, rng):
        return self.feed_forward.init(net, rng)

    @property
    def feed_forward(self) -> StaticSGM:
        return self.rule(error=self.error, limit=float("inf"), trained="all")

    def block_grads(self, net, batch, state, rng):
        state.modules = Oracle(net, batch)
        yield from self.feed_forward.block_grads(net, batch, state, rng)


@pytest.mark.parametrize("error", ["exact", "cached", "target"])
def test_with_a_perfect_oracle_feed_forward_equals_backprop(error: str) -> None:
    conformance.check_exact(Perfect(error))


class WrongSign(StaticSGM):
    """Mutant: climbs."""

    def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
        for update in super().block_grads(net, batch, state, rng):
            yield dataclasses.replace(update, grads={n: -g for n, g in update.grads.items()})


class DroppedBlock(StaticSGM):
    """Mutant: forgets one block."""

    def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
        for update in super().block_grads(net, batch, state, rng):
            if update.index != 1:
                yield update


class StaleActivation(StaticSGM):
    """Mutant: one block's weight gradient is made with its input of the step before."""

    def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
        block = net.block(1)
        sound = {way: getattr(block, way) for way in ("vjp", "scale_vjp")}

        def stale(way: str):
            def pull(h, *rest, **more):
                before = getattr(state, "before", h.roll(1, 0))
                state.before = h
                return sound[way](before, *rest, **more)

            return pull

        for way in sound:
            setattr(block, way, stale(way))
        yield from super().block_grads(net, batch, state, rng)
        for way in sound:
            delattr(block, way)


class PostUpdate(StaticSGM):
    """Mutant: a block's updated weights, not those of the step's start, feed the next block."""

    def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
        head = net.head.step(net.features(batch.pictures), batch.target)
        yield BlockGrad(len(net.blocks), head.grads, head.loss)
        h = batch.pictures
        for index in range(len(net.blocks)):
            block = net.block(index)
            out = block(h)
            g = state.modules.guess(index, out, head.error)
            yield self._update(block, index, h, out, g, float("inf"))
            h = block(h)


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (WrongSign, conformance.check_sign),
        (WrongSign, conformance.check_loss_falls),
        (DroppedBlock, conformance.check_complete),
        (StaleActivation, conformance.check_forgets),
    ],
    ids=lambda value: value.__name__,
)
def test_mutant_is_caught(mutant: type[StaticSGM], check) -> None:
    check(StaticSGM())
    with pytest.raises((AssertionError, KeyError)):
        check(mutant())


@dataclasses.dataclass(frozen=True, eq=False)
class Broken:
    """Any rule with its sign turned or a block dropped."""

    rule: LearningRule
    fault: str

    def __getattr__(self, name: str):
        return getattr(self.rule, name)

    def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
        for update in self.rule.block_grads(net, batch, state, rng):
            if self.fault == "sign":
                part = dict(net.part(update.index).named_parameters())
                made = update.weights
                yield dataclasses.replace(
                    update,
                    grads={n: -g for n, g in update.grads.items()},
                    weights=made and {n: 2 * part[n].detach() - w for n, w in made.items()},
                )
            elif update.index != 1:
                yield update


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_caught_with_a_wrong_sign_or_without_a_block(name: str) -> None:
    with pytest.raises(AssertionError):
        conformance.check_loss_falls(Broken(RULES[name](), "sign"))
    with pytest.raises(AssertionError):
        conformance.check_complete(Broken(RULES[name](), "block"))


@pytest.mark.parametrize("name", ["dni", "cdni", "meprop"])
def test_a_stale_activation_is_caught_in_every_rule_that_pulls_back(name: str) -> None:
    class Stale(type(RULES[name]())):
        def block_grads(self, net, batch, state, rng) -> Iterator[BlockGrad]:
            block, kept = net.block(1), stale
            sound = {way: getattr(block, way) for way in ("vjp", "sparse_vjp")}

            def late(way: str):
                def pull(h, *rest, **more):
                    before = kept.get("h", h)
                    kept["h"] = h.clone()
                    return sound[way](before, *rest, **more)

                return pull

            for way in sound:
                setattr(block, way, late(way))
            yield from super().block_grads(net, batch, state, rng)
            for way in sound:
                delattr(block, way)

    stale: dict[str, Tensor] = {}
    settings = vars(RULES[name]())
    if "trust" in settings:  # else a fresh module's guess is not followed, stale or not
        settings = {**settings, "trust": float("inf")}
    with pytest.raises(AssertionError):
        conformance.check_forgets(Stale(**settings))


@pytest.mark.parametrize("mutant", [WrongSign, DroppedBlock, StaleActivation, PostUpdate])
def test_mutant_is_caught_by_the_oracle_too(mutant: type[StaticSGM]) -> None:
    with pytest.raises((AssertionError, KeyError)), torch.no_grad():
        conformance.check_exact(Perfect(rule=mutant))
