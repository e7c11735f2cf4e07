from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from teaching_kit import SMALL

from grasplearn.errors import InvalidValueError
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.grown import grown

LARGER = replace(SMALL, width=SMALL.width + 4, features=SMALL.features * 2, groups=SMALL.groups * 2)
DEEPER = replace(LARGER, depth=SMALL.depth + 2, hidden=SMALL.hidden + 3)


@pytest.mark.parametrize("spec", [SMALL, LARGER, DEEPER])
def test_a_grown_net_says_what_the_small_one_says_until_it_is_trained(spec) -> None:  # type: ignore[no-untyped-def]
    net = GraspNet(SMALL, 1)
    torch.nn.init.normal_(net.head.gather)
    net.head.window.mul_(torch.rand_like(net.head.window) + 0.5)
    made = grown(net, spec, seed=2)
    assert made.spec == spec
    # Large enough that both see all of it: a deeper net asks for more around the spot.
    side = DEEPER.patch_cells * DEEPER.stride
    patches, pictures = torch.randn(spec.turns, 5, side, side), torch.randn(2, 5, 48, 48)
    for some in (net, made):
        some.imprint(patches, 0.4)
    small, large = net.predict(pictures), made.predict(pictures)
    assert small.quality.std() > 0
    assert torch.allclose(small.quality, large.quality, atol=1e-4)
    assert torch.allclose(small.width, large.width, atol=1e-5)


def test_what_was_added_is_brought_in_by_training() -> None:
    made = grown(GraspNet(SMALL, 1), LARGER, seed=2)
    side = LARGER.patch_cells * LARGER.stride
    patches = torch.randn(LARGER.turns, 5, side, side)
    made.imprint(patches, 0.4)
    maps = made(torch.randn(1, 5, 48, 48))
    maps.quality.square().sum().backward()
    listening = made.block(1).weight.grad[: SMALL.width, SMALL.width :]
    assert float(listening.abs().sum()) > 0
    assert float(made.head.link.grad[:, SMALL.groups :].abs().sum()) > 0


def test_a_net_does_not_grow_into_a_smaller_or_other_one() -> None:
    net = GraspNet(SMALL, 1)
    for spec in (
        replace(SMALL, width=SMALL.width - 1),
        replace(SMALL, kernel=SMALL.kernel + 2),
        replace(SMALL, groups=SMALL.groups * 2),
    ):
        with pytest.raises(InvalidValueError, match="cannot grow"):
            grown(net, spec)


def test_teaching_cannot_change_the_window_and_an_imprint_reads_it() -> None:
    net = GraspNet(SMALL, 1)
    assert "head.window" in net.state_dict()
    assert "head.window" not in dict(net.named_parameters())
    side = SMALL.patch_cells * SMALL.stride
    patches = torch.randn(SMALL.turns, 5, side, side)
    net.imprint(patches, 0.4)
    before = net.head.kernels.clone()
    net.head.window[0] = 0
    net.imprint(patches, 0.4)
    per_group = SMALL.features // SMALL.groups
    assert not net.head.kernels[:, :per_group].any()
    assert torch.equal(net.head.kernels[:, per_group:], before[:, per_group:])
