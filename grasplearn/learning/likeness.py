"""What else in a demonstration looks like the shown spot to the freshly imprinted net.

On the demonstrated thing itself: places that are as right. A ball has no front, a rolling pin has
two equal ends; teaching one of them and forbidding the other would teach what no picture can tell.
On other things: a rival, which refining can teach the net to tell from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.geometry import Heightmap
from grasplearn.learning.augment import MASK
from grasplearn.learning.cutout import CutOut
from grasplearn.nets.codec import Place, encode, good_places
from grasplearn.nets.graspnet import GraspNet

# A place is as right if it is at least this share as probable as the shown one.
AS_PROBABLE = 0.2
MOST = 16
# A grasp at a rim may lie so many pixels off what was cut out.
SEAM = 3
# So many cells around the thing are neither it nor something else.
AROUND = 3


@dataclass(frozen=True)
class Likeness:
    """What was found.

    Attributes:
        equals: the thing's other right places, as offsets (u, v, turn) from the shown one.
        rival: probability of the best place off the thing / of the shown one, at most 1.
        rival_place: where that is; None where there is nothing but the thing.
    """

    equals: tuple[Place, ...]
    rival: float
    rival_place: Place | None


def likeness(net: GraspNet, view: Heightmap, thing: CutOut, shown: Place) -> Likeness:
    """Looks at a demonstration with the net that it was imprinted into.

    Args:
        view: the demonstration; thing: cut out of it; shown: where the grasp is in it.
    """
    picture = encode(view).to(next(net.parameters()))
    quality = net.predict(picture[None]).quality[0].cpu()
    stride = net.spec.stride
    x, y = (round((q - (stride - 1) / 2) / stride) for q in (shown.u, shown.v))
    own = float(quality[[-1, 0, 1], max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max())
    elsewhere = quality.masked_fill(cells_of(thing, shown, view.side, stride), -math.inf)
    best = float(elsewhere.max())
    rivals = good_places(elsewhere, stride, best, 1) if math.isfinite(best) else []
    found = []
    for place in good_places(quality, stride, own + math.log(AS_PROBABLE), MOST):
        offset = Place(place.u - shown.u, place.v - shown.v, place.turn)
        turn = (place.turn + math.pi) % (2 * math.pi) - math.pi
        is_shown = math.hypot(offset.u, offset.v) < 2 * stride and abs(turn) < math.pi / 8
        if not is_shown and _is_on(thing, offset):
            found.append(offset)
    rival = math.exp(min(best - own, 0.0))
    return Likeness(tuple(found), rival, rivals[0] if rivals else None)


def cells_of(thing: CutOut, shown: Place, side: int, stride: int) -> Tensor:
    """Which cells (h, w) the thing or its surroundings take up."""
    top, left = round(shown.v - thing.place.v), round(shown.u - thing.place.u)
    height, width = thing.layers.shape[1:]
    mask = torch.zeros(1, 1, side, side)
    mask[0, 0, top : top + height, left : left + width] = thing.layers[MASK]
    cells = F.max_pool2d(mask, stride)
    return F.max_pool2d(cells, 2 * AROUND + 1, 1, AROUND)[0, 0] > 0.5


def _is_on(thing: CutOut, offset: Place) -> bool:
    u, v = round(thing.place.u + offset.u), round(thing.place.v + offset.v)
    if u < -SEAM or v < -SEAM:
        return False
    near = thing.layers[MASK, max(v - SEAM, 0) : v + SEAM + 1, max(u - SEAM, 0) : u + SEAM + 1]
    return bool(torch.any(near > 0.5))
