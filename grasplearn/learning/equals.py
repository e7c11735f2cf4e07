"""Which other places of the demonstrated thing are as right as the shown one.

A ball has no front, a rolling pin has two equal ends: teaching one of them and forbidding the other
would teach what no picture can tell. What the freshly imprinted net takes for the shown place on
the demonstrated thing itself, it must go on taking for it.
"""

from __future__ import annotations

import math

import torch

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


def equally_right(net: GraspNet, view: Heightmap, thing: CutOut, shown: Place) -> list[Place]:
    """Returns the thing's other right places as offsets (u, v, turn) from the shown one.

    Args:
        net: imprinted with it; view: the demonstration; thing: cut out of it.
    """
    picture = encode(view).to(next(net.parameters()))
    quality = net.predict(picture[None]).quality[0]
    stride = net.spec.stride
    x, y = (round((q - (stride - 1) / 2) / stride) for q in (shown.u, shown.v))
    own = quality[[-1, 0, 1], max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max()
    least = float(own) + math.log(AS_PROBABLE)
    found = []
    for place in good_places(quality, stride, least, MOST):
        offset = Place(place.u - shown.u, place.v - shown.v, place.turn)
        turn = (place.turn + math.pi) % (2 * math.pi) - math.pi
        is_shown = math.hypot(offset.u, offset.v) < 2 * stride and abs(turn) < math.pi / 8
        if not is_shown and _is_on(thing, offset):
            found.append(offset)
    return found


def _is_on(thing: CutOut, offset: Place) -> bool:
    u, v = round(thing.place.u + offset.u), round(thing.place.v + offset.v)
    if u < -SEAM or v < -SEAM:
        return False
    near = thing.layers[MASK, max(v - SEAM, 0) : v + SEAM + 1, max(u - SEAM, 0) : u + SEAM + 1]
    return bool(torch.any(near > 0.5))
