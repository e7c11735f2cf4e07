"""The net: what is imprinted, and closed forms against autograd."""

from __future__ import annotations

import pytest
import torch

from grasplearn.nets.blocks import Residual, Stem
from grasplearn.nets.chain import Batch, Block, Head
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.head import Target
from grasplearn.nets.weights import digest

SMALL = NetSpec(width=6, depth=2, features=8, groups=2, turns=5, kernel=3, hidden=4)


@pytest.fixture
def net() -> GraspNet:
    made = GraspNet(SMALL).double()
    with torch.no_grad():
        made.head.gather.normal_()
    return made


def target(samples: int, cells: int) -> Target:
    place = torch.rand(samples, SMALL.turns, cells, cells).double()
    return Target(place / place.sum((1, 2, 3), keepdim=True), torch.rand(samples).double())


def test_the_heads_closed_form_equals_autograd(net: GraspNet) -> None:
    h = torch.rand(3, 6, 7, 7).double()
    goal = target(3, 7)
    wanted, found = Head.step(net.head, h, goal), net.head.step(h, goal)
    assert torch.allclose(found.loss, wanted.loss)
    assert torch.allclose(found.error, wanted.error, atol=1e-14)
    for name, g in wanted.grads.items():
        assert torch.allclose(found.grads[name], g, atol=1e-13), name


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (Stem(5, 6, 4), (2, 5, 16, 16)),
        (Stem(3, 4, 2), (2, 3, 8, 8)),
        (Residual(6, 2), (2, 6, 5, 5)),
    ],
    ids=["stem", "fine stem", "residual"],
)
def test_a_blocks_closed_form_equals_autograd(block: Block, shape: tuple[int, ...]) -> None:
    block = block.double()
    h = torch.randn(shape).double()
    out = block(h).detach()
    g = torch.randn_like(out)
    with torch.no_grad():
        found, found_input = block.vjp(h, out, g.clone())
        _, none = block.vjp(h, out, g.clone(), need_input=False)
    wanted, wanted_input = Block.vjp(block, h, out, g.clone())
    assert none is None
    assert torch.allclose(found_input, wanted_input)
    for name, w in wanted.items():
        assert torch.allclose(found[name], w), name
    scales = Block.scale_vjp(block, h, out, g.clone())
    with torch.no_grad():
        found = block.scale_vjp(h, out, g.clone())
    for name, w in scales.items():
        assert torch.allclose(found[name], w), name
    # Along a kernel the slope is the whole gradient's.
    along = [(grads["weight"] * block.weight).flatten(1).sum(1) for grads in (wanted, scales)]
    length = (block.weight**2).flatten(1).sum(1)
    assert torch.allclose(along[1], along[0] * length)
    assert torch.equal(scales["bias"], wanted["bias"])


def test_the_same_seed_makes_the_same_net_whatever_else_is_drawn() -> None:
    first = GraspNet(SMALL, seed=3)
    state = torch.random.get_rng_state()
    torch.rand(5)
    assert digest(GraspNet(SMALL, seed=3).state_dict()) == digest(first.state_dict())
    assert digest(GraspNet(SMALL, seed=4).state_dict()) != digest(first.state_dict())
    torch.random.set_rng_state(state)


def test_any_side_will_do_and_samples_do_not_see_each_other(net: GraspNet) -> None:
    pictures = torch.randn(3, 5, 48, 48).double()
    maps = net.predict(pictures)
    assert maps.quality.shape == maps.width.shape == (3, 5, 12, 12)
    alone = net.predict(pictures[1:2])
    assert torch.allclose(alone.quality[0], maps.quality[1])


def test_a_cell_means_the_same_in_a_crop_and_in_the_whole() -> None:
    """No normaliser over the picture: what is imprinted from a crop fits the picture."""
    spec = NetSpec(width=6, depth=2, features=8, groups=2, turns=5, kernel=3)
    net = GraspNet(spec).double()
    picture = torch.randn(1, 5, 96, 96).double()
    with torch.no_grad():
        whole = net.features(picture)
        crop = net.features(picture[:, :, 32:88, 32:88])
    assert torch.allclose(crop[:, :, 4:10, 4:10], whole[:, :, 12:18, 12:18])


def test_pre_training_sees_through_the_imprint(net: GraspNet) -> None:
    side = SMALL.patch_cells * SMALL.stride
    patches, pictures = (
        torch.randn(2, 5, 5, side, side).double(),
        torch.randn(3, 5, 32, 32).double(),
    )
    whole, widths = target(3, 8), torch.tensor([0.3, 0.6]).double()
    before = digest(net.state_dict())
    loss = net.episode_loss(patches, widths, Batch(pictures, whole), [1, 2])
    loss.backward()
    assert digest(net.state_dict()) == before
    assert net.head.kernels.grad is None
    assert float(net.block(0).weight.grad.abs().sum()) > 0
    alone = []
    for number, some in enumerate((slice(0, 1), slice(1, 3))):
        net.imprint(patches[number], float(widths[number]))
        alone.append(net.loss(Batch(pictures[some], Target(whole.place[some], whole.width[some]))))
    assert torch.allclose(torch.stack(alone).mean(), loss), "every episode has its own imprint"
