"""What each rule promises beyond the common suite."""

from __future__ import annotations

import dataclasses

import conformance
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from grasplearn.errors import InvalidValueError
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.nets import integer
from grasplearn.nets.blocks import Residual, Stem
from grasplearn.nets.integer import Fit, Fixed
from grasplearn.nets.sparse import Keep
from grasplearn.nets.weights import digest
from grasplearn.rules.base import Guard
from grasplearn.rules.directions import direction
from grasplearn.rules.dni import DNI
from grasplearn.rules.fixed_point import FixedPoint
from grasplearn.rules.forward_gradient import ForwardGradient
from grasplearn.rules.meprop import MeProp
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.spsa import SPSA

KEPT = [(over, unified) for over in ("entries", "channels", "positions") for unified in (0, 1)]

# -- meprop ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("over", "unified"), KEPT)
def test_meprop_that_keeps_all_is_backprop(over: str, unified: int) -> None:
    conformance.check_exact(MeProp(1.0, over, bool(unified)))


@pytest.mark.parametrize(("over", "unified"), KEPT)
@pytest.mark.parametrize("stem", [False, True])
def test_the_smaller_product_is_the_masked_one(over: str, unified: int, stem: bool) -> None:
    """Gathering what is kept gives what masking the rest would."""
    torch.manual_seed(0)
    block = (Stem(5, 6, 4) if stem else Residual(6, 2)).double()
    h = torch.randn(2, 5 if stem else 6, 16, 16).double()
    with torch.no_grad():
        out = block(h)
    g = torch.randn(out.shape).double()
    keep = Keep(0.3, over, bool(unified))
    masked = g * (out > 0)
    thinned = keep.thin_(masked.clone())
    assert 0 < int((thinned != 0).sum()) < int((masked != 0).sum())
    conv = torch.nn.functional.conv2d
    with torch.enable_grad():
        x = h.clone().requires_grad_()
        how = {"stride": 4, "padding": 2} if stem else {"padding": 1}
        weight, bias = block.weight, block.bias
        wanted = torch.autograd.grad(conv(x, weight, bias, **how), (weight, bias, x), thinned)
    grads, for_input = block.sparse_vjp(h, out, g.clone(), keep)
    link = 0 if stem else masked
    for found, true in zip(
        (*grads.values(), for_input), (*wanted[:2], wanted[2] + link), strict=True
    ):
        assert torch.allclose(found, true)


def test_what_meprop_keeps_is_what_is_largest() -> None:
    g = torch.tensor([[3.0, -9.0, 1.0, 0.5], [0.1, 0.2, 8.0, -0.3]])
    assert Keep(0.25).thin_(g.clone()).tolist() == [[0, -9, 0, 0], [0, 0, 8, 0]]
    both = Keep(0.25, unified=True).thin_(g.clone())
    assert torch.equal(both, torch.tensor([[0, -9, 0, 0], [0, 0.2, 0, 0]]))
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(InvalidValueError, match="share"):
            MeProp(share)
    with pytest.raises(InvalidValueError, match="entries, channels, positions"):
        MeProp(over="rows")


# -- live synthetic gradients ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Recording(DNI):
    targets: dict = dataclasses.field(default_factory=dict)

    def teach(self, state, index, h, told, target) -> None:
        self.targets[index] = (h.clone(), target.clone())
        super().teach(state, index, h, told, target)


@pytest.mark.parametrize("told", ["nothing", "target", "exact"])
def test_the_bootstrapped_target_is_autograds_pull_back_through_one_block(told: str) -> None:
    net, batch = conformance.problem()
    rule = Recording(told, trust=float("inf"))
    state = rule.init(net, np.random.default_rng(0))
    for _ in range(3):  # so that the guesses are not 0
        before = {index: live.module for index, live in state.live.items()}
        kept = {i: {n: t.clone() for n, t in m.state_dict().items()} for i, m in before.items()}
        scales = {index: live.scale for index, live in state.live.items()}
        list(rule.block_grads(net, batch, state, np.random.default_rng(0)))
    errors = net.head.step(net.features(batch.pictures).detach(), batch.target).error
    seen = {"nothing": None, "exact": errors}.get(told, net.head.target_error(batch.target))
    last = len(net.blocks) - 1
    for index in range(last):
        h, target = rule.targets[index]
        with torch.enable_grad():
            x = h.detach().requires_grad_()
            out = net.block(index + 1)(x)
            if index + 1 == last:
                g = errors
            else:
                guess = torch.func.functional_call(
                    before[index + 1], kept[index + 1], (out.detach(), seen)
                )
                g = guess.detach() * scales[index + 1]
            (wanted,) = torch.autograd.grad(out, x, g)
        assert float(wanted.abs().max()) > 0
        assert torch.allclose(target, wanted, rtol=1e-9, atol=1e-15), index


def test_live_modules_come_to_say_the_true_gradient_and_leave_the_warm_ones_alone() -> None:
    net, batch = conformance.problem()
    true = conformance.true_gradient(net, batch)
    modules = SGMs.untrained(net, np.random.default_rng(0))
    before = digest(modules.state_dict())
    for rule in (DNI(), DNI("target"), DNI("exact", modules)):
        state = rule.init(net, np.random.default_rng(0))
        found = [conformance.gradient(net, rule, batch, state) for _ in range(150)]
        near = {name: g for name, g in true.items() if name.startswith("blocks.2")}
        first = {name: g for name, g in true.items() if name.startswith("blocks.0")}
        for part, least in ((near, 0.9), (first, 0.3)):
            assert conformance.cosine(found[-1], part) > least
            assert conformance.cosine(found[-1], part) > conformance.cosine(found[0], part)
    assert digest(modules.state_dict()) == before


def test_live_rules_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InvalidValueError, match="nothing, target, exact"):
        DNI("label")
    net, _ = conformance.problem()
    with pytest.raises(InvalidValueError, match="told='exact'"):
        DNI(modules=SGMs.untrained(net, np.random.default_rng(0)))
    chain, batch = conformance.small_chain()
    with pytest.raises(InvalidValueError, match="Classes tells no error from the target alone"):
        conformance.gradient(chain, DNI("target"), batch)
    with pytest.raises(InvalidValueError, match="rate"):
        DNI(rate=-1.0)


# -- forward gradients -------------------------------------------------------------------------


def test_the_slope_is_the_exact_directional_derivative() -> None:
    net, batch = conformance.problem()
    true = conformance.true_gradient(net, batch)
    rule = ForwardGradient(1, "all", exact_end=False)
    seed = int(np.random.default_rng(0).integers(2**53, size=1)[0])
    slope = sum(
        float((true[name] * v).sum())
        for index in range(len(net.blocks) + 1)
        for name, v in _named(net, index, direction(net.part(index), "all", seed, index)).items()
    )
    found = conformance.gradient(net, rule, batch)
    for name, g in found.items():
        assert torch.allclose(g.abs(), torch.full_like(g, abs(slope)), rtol=1e-9), name


def _named(net, index, grads):
    prefix = "head." if index == len(net.blocks) else f"blocks.{index}."
    return {prefix + name: g for name, g in grads.items()}


@pytest.mark.parametrize("rule", [ForwardGradient(), SPSA(signed=False)], ids=["forward", "spsa"])
def test_in_the_space_that_is_trained_the_mean_is_the_gradients_part(rule) -> None:
    net, batch = conformance.small_chain()
    true = conformance.true_gradient(net, batch)
    wanted = {}
    for name, g in true.items():
        if name.startswith(("blocks.0", "blocks.1")):
            pattern = dict(net.named_parameters())[name].detach().sign() / g.shape[1] ** 0.5
            g = (g * pattern).sum(1, keepdim=True) * pattern
        wanted[name] = g
    found = conformance.mean_gradient(net, rule, batch, draws=150)
    assert conformance.cosine(found, wanted) > 0.97


@pytest.mark.parametrize("rule", [SPSA(), SPSA(1), SPSA(3, signed=False, exact_end=False)])
def test_spsa_leaves_the_very_same_weights(rule: SPSA) -> None:
    net, batch = conformance.problem()
    before, places = digest(net.state_dict()), [p.data_ptr() for p in net.parameters()]
    list(rule.block_grads(net, batch, None, np.random.default_rng(0)))
    assert digest(net.state_dict()) == before
    assert [p.data_ptr() for p in net.parameters()] == places


def test_unknown_settings_of_directions_are_refused() -> None:
    for make in (ForwardGradient, SPSA, FixedPoint):
        with pytest.raises(InvalidValueError, match="directions"):
            make(directions=0)
        with pytest.raises(InvalidValueError, match="scale-bias"):
            make(trained="biases")
    with pytest.raises(InvalidValueError, match="size"):
        SPSA(size=0)


# -- fixed point -------------------------------------------------------------------------------

MULTIPLYING = ("mul", "mm", "matmul", "conv", "div", "pow", "dot", "ldexp", "lerp", "einsum")


class NoFloatingProduct(TorchDispatchMode):
    """Fails when a floating-point number is multiplied (or divided)."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split("::")[1].lower()
        if any(word in name for word in MULTIPLYING):
            for leaf in tree_leaves((args, kwargs or {})):
                floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
                assert not floating, f"{name} of floating-point numbers"
        return func(*args, **(kwargs or {}))


EVERY_HELP = FixedPoint(
    2, trained="all", guided=0.5, sharpness=1, halving=1, blocks=(0, -1), kernelwise=False
)


@pytest.mark.parametrize("rule", [FixedPoint(), FixedPoint(1, 8), EVERY_HELP])
def test_no_floating_point_number_is_multiplied_in_a_step(rule: FixedPoint) -> None:
    net, batch = conformance.problem(side=16)
    rng = np.random.default_rng(0)
    state = rule.init(net, rng)
    for _ in range(2):
        with NoFloatingProduct():
            for update in rule.block_grads(net, batch, state, rng):
                assert update.weights is not None


def test_the_walk_over_the_operations_finds_floating_products() -> None:
    net, batch = conformance.problem(side=16)
    with pytest.raises(AssertionError, match="of floating-point numbers"), NoFloatingProduct():
        list(SPSA().block_grads(net, batch, None, np.random.default_rng(0)))


@pytest.mark.parametrize("bits", [8, 16])
def test_weights_are_integers_of_their_bits_throughout(bits: int) -> None:
    net, batch = conformance.problem(side=16)
    rule, rng = FixedPoint(weight_bits=bits), np.random.default_rng(0)
    state = rule.init(net, rng)
    for update in rule.block_grads(net, batch, state, rng):
        for name, w in update.weights.items():
            whole = w * 2.0 ** state.exponents[update.index][name]
            assert torch.equal(whole, whole.round())
            assert float(whole.abs().max()) <= integer.LARGEST[bits]


def test_the_integer_loss_is_the_floats() -> None:
    net, batch = conformance.problem()
    rule, rng = FixedPoint(size=12), np.random.default_rng(0)
    told = [u.loss for u in rule.block_grads(net, batch, rule.init(net, rng), rng)]
    (loss,) = (float(loss) for loss in told if loss is not None)
    assert loss == pytest.approx(float(net.loss(batch).detach()), rel=0.05)


def test_only_the_chosen_blocks_move() -> None:
    net, batch = conformance.problem(side=16)
    still = conformance.gradient(net, FixedPoint(blocks=()), batch)
    moved = conformance.gradient(net, FixedPoint(blocks=(1, -1)), batch)
    changed = {n.rsplit(".", 1)[0] for n, g in moved.items() if not torch.equal(g, still[n])}
    assert changed == {"blocks.1", "head"}
    with pytest.raises(InvalidValueError, match="no block 9; blocks are -5 to 4"):
        conformance.gradient(net, FixedPoint(blocks=(9,)), batch)


def test_what_has_no_integer_form_is_told() -> None:
    chain, batch = conformance.small_chain()
    pictures = batch.pictures[:, :, None, None]
    with pytest.raises(InvalidValueError, match="Layer has no integer form"):
        conformance.gradient(chain, FixedPoint(), dataclasses.replace(batch, pictures=pictures))


def test_bad_settings_of_fixed_point_are_refused() -> None:
    for setting in ({"weight_bits": 4}, {"rate": -1}, {"guided": 1.0}, {"size": 1.5}):
        with pytest.raises(InvalidValueError):
            FixedPoint(**setting)


def test_its_own_update_is_applied_as_it_is_and_frozen_blocks_stay() -> None:
    net, batch = conformance.problem(side=16)
    rule = FixedPoint(blocks=(-1,))
    (wanted,) = (
        u.weights
        for u in rule.block_grads(
            net, batch, rule.init(net, np.random.default_rng(0)), np.random.default_rng(0)
        )
        if u.index == len(net.blocks)
    )
    settings = FineTuning(frozen=frozenset(range(len(net.blocks))))
    after, report = fine_tune(net, [batch], rule, np.random.default_rng(0), settings, steps=1)
    for name, w in wanted.items():
        assert torch.equal(dict(after.head.named_parameters())[name].detach(), w)
    assert digest(after.blocks.state_dict()) == digest(net.blocks.state_dict())
    assert report.guards[Guard.SKIPPED] == 0


def test_integer_arithmetic_against_pythons_own() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(1, 1 << 40, (300,), generator=draw)
    assert integer.square_root(values).tolist() == [int(v) for v in np.sqrt(values.numpy())]
    for long in (400, 4000):  # whose sums fit into 32 bits, and do not
        w = torch.randint(-32512, 32513, (5, long), generator=draw, dtype=torch.int16)
        x = torch.randint(-127, 128, (long, 30), generator=draw, dtype=torch.int8)
        assert torch.equal(integer.product(w, x), w.long() @ x.long())
    w, x = torch.full((1, long), 32512), torch.full((long, 1), 127)
    assert integer.product(w, x).item() == 32512 * 127 * long
    logits = torch.randn(500, generator=draw) * 5
    whole = (logits * 4096).round().long()
    assert integer.log_sum_exp(whole) / 4096 == pytest.approx(float(logits.logsumexp(0)), abs=2e-3)
    for kind in (torch.float32, torch.float64):
        p = torch.randn(200, generator=draw, dtype=kind) * 0.1
        q = integer.to_integers(p, 12, 16)
        assert torch.equal(q.to(kind), (p * 4096).round())
        assert torch.equal(integer.to_floats(q, 12, p), q.to(kind) / 4096)
    assert Fixed(torch.tensor([5, -5]), 3).at(1).tolist() == [1, -1]
    narrow = Fit().narrow("x", Fixed(torch.tensor([1000, -500]), 4))
    assert narrow.values.tolist() == [125, -62] and narrow.exponent == 1


@pytest.mark.parametrize("stem", [False, True])
def test_integer_blocks_do_what_the_blocks_do(stem: bool) -> None:
    torch.manual_seed(0)
    block = Stem(5, 6, 4) if stem else Residual(6, 2)
    h = torch.rand(2, 5 if stem else 6, 16, 16)
    fit = Fit()
    fixed = {}
    for name, p in block.named_parameters():
        exponent = integer.exponent_for(max(float(p.detach().abs().max()), 0.5), 16)
        fixed[name] = Fixed(integer.to_integers(p, exponent, 16), exponent)
    with torch.no_grad():
        wanted = block(h)
    x = fit.picture(h)
    out = block.integer(x, fixed, "block", fit)
    found = out.values.transpose(0, 1).double() / 2.0**out.exponent
    assert float((found - wanted).abs().max()) < 0.02 * float(wanted.max())
