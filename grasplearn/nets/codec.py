"""Between the world's values and the net's tensors: pictures in, places, grasps out.

A *place* is (u, v, turn): where the demonstrated spot is, in heightmap pixels, and by which angle
the thing was turned (counter-clockwise seen from above) since the demonstration. Turns live on the
FULL turn: a demonstrated spot has a front and a back. Only the jaws have not, so a grasp's yaw, the
demonstrated yaw + the turn, is taken modulo half a turn at the very end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.errors import InvalidValueError, NoGraspError
from grasplearn.geometry import Heightmap, grasp_height, room_in
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.head import Maps
from grasplearn.types import MAX_WIDTH, Demonstration, Grasp

# What counts as 1 in the height channel, m, and the heights that are told apart.
HEIGHT_UNIT = 0.05
HEIGHT_RANGE = (-0.01, 0.25)
# Lower than this, m, nothing that stands on the table is believed in. Of nine neighbours' median:
# a sensor's noise (1.4 mm, hence 0.6 mm) never comes so high.
MIN_STANDING = 0.004
# A place as much less probable than the best (log) is no answer, however much room there is; so
# many are asked for.
FAINTEST, MOST = 6.0, 8
# A jaw opening that the net may ask for, m.
WIDTH_RANGE = (0.004, MAX_WIDTH)


@dataclass(frozen=True)
class Place:
    """u, v: heightmap pixels; turn: rad, since the demonstration; weight: share of the target."""

    u: float
    v: float
    turn: float
    weight: float = 1.0


def encode(view: Heightmap) -> Tensor:
    """Returns a heightmap as (5, N, N) float32: red, green, blue in [-1, 1], height, known.

    Height is in units of 5 cm; outside a picture all channels are 0: grey table, unknown.
    """
    color = torch.from_numpy(view.rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)
    height = torch.from_numpy(np.clip(view.height, *HEIGHT_RANGE) / np.float32(HEIGHT_UNIT))
    known = torch.from_numpy(view.known.astype(np.float32))
    return torch.cat([color, height[None].float(), known[None]])


def place_of(view: Heightmap, grasp: Grasp, turn: float = 0.0) -> Place:
    """Returns where a grasp lies in a heightmap, given how far its thing has been turned."""
    u, v = view.to_pixels(grasp.center_world[:2])
    return Place(float(u), float(v), turn)


def warp(picture: Tensor, to_source: Tensor, side: int, padding: str = "zeros") -> Tensor:
    """Looks a picture up at other places.

    Args:
        picture: (C, H, W), or (N, C, H, W), one for each map.
        to_source: (N, 3, 3), homographies from pixels (u, v, 1) of the result to the picture's.
        side: of the results, pixels.
        padding: what lies outside the picture: ``zeros``, ``border`` or ``reflection``.

    Returns:
        (N, C, side, side), interpolated linearly.
    """
    if picture.dim() == 3:
        picture = picture.expand(len(to_source), -1, -1, -1)
    height, width = picture.shape[-2:]
    axis = torch.arange(side, dtype=to_source.dtype, device=to_source.device)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    source = to_source @ pixels
    source = source[:, :2] / source[:, 2:]
    scale = source.new_tensor([2 / (width - 1), 2 / (height - 1)]).view(1, 2, 1)
    grid = (source * scale - 1).transpose(1, 2).unflatten(1, (side, side)).to(picture.dtype)
    return F.grid_sample(picture, grid, "bilinear", padding, align_corners=True)


def turned_about(place: Place, turns: Tensor, middle: float) -> Tensor:
    """Returns (N, 3, 3) homographies that show a picture turned about a place.

    ``turns`` (N,) rad; the place comes to lie at pixel (middle, middle).
    """
    c, s = torch.cos(turns), torch.sin(turns)
    # A point at (du, dv) came from R(-turn): v grows downwards, hence the signs.
    u = place.u - c * middle + s * middle
    v = place.v - s * middle - c * middle
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    rows = [torch.stack(r, -1) for r in ((c, -s, u), (s, c, v), (zero, zero, one))]
    return torch.stack(rows, 1)


def patches(picture: Tensor, place: Place, spec: NetSpec) -> Tensor:
    """Returns (turns, 5, S, S): the demonstration turned step by step about the shown grasp.

    Args:
        picture: (5, N, N) from ``encode``; place: of the grasp in it. Its turn is undone first.
    """
    side = spec.patch_cells * spec.stride
    turns = torch.arange(spec.turns, dtype=torch.float64) * (2 * math.pi / spec.turns) - place.turn
    to_source = turned_about(place, turns, (side - 1) / 2).to(picture.device)
    return warp(picture, to_source, side)


def imprint(net: GraspNet, demonstration: Demonstration, view: Heightmap) -> Tensor:
    """Makes a demonstration, whose heightmap is ``view``, the kernels of ``net``.

    Returns:
        What ``GraspNet.imprint`` returns.
    """
    grasp = demonstration.grasp
    picture = encode(view).to(next(net.parameters()))
    return net.imprint(patches(picture, place_of(view, grasp), net.spec), grasp.width / MAX_WIDTH)


def place_target(places: list[list[Place]], spec: NetSpec, side: int) -> Tensor:
    """Returns (B, turns, h, w): per sample a distribution over turns and cells.

    Each place is shared out linearly among the two turns and four cells around it, so that the mean
    over a peak gives the place back.

    Args:
        places: per sample the places that are equally right; side: of the pictures, pixels.

    Raises:
        InvalidValueError: a sample without any place inside its picture.
    """
    cells = side // spec.stride
    volume = np.zeros((len(places), spec.turns, cells, cells), np.float32)
    for sample, options in enumerate(places):
        for place in options:
            x, y = ((q - (spec.stride - 1) / 2) / spec.stride for q in (place.u, place.v))
            t = place.turn / (2 * math.pi) * spec.turns
            if not (-0.5 <= x <= cells - 0.5 and -0.5 <= y <= cells - 0.5):
                continue
            x, y = min(max(x, 0.0), cells - 1.0), min(max(y, 0.0), cells - 1.0)
            for corner in np.ndindex(2, 2, 2):
                at = [math.floor(q) + d for q, d in zip((t, y, x), corner, strict=True)]
                near = [1 - abs(q - a) for q, a in zip((t, y, x), at, strict=True)]
                if min(near) > 0:
                    volume[sample, at[0] % spec.turns, at[1], at[2]] += place.weight * math.prod(
                        near
                    )
        if not volume[sample].any():
            raise InvalidValueError("a sample's place must lie inside its picture")
    volume /= volume.sum((1, 2, 3), keepdims=True)
    return torch.from_numpy(volume)


def best_place(quality: Tensor, stride: int) -> tuple[Place, float]:
    """Returns the best place of (R, h, w) logits and its probability, finer than cells and turns.

    Best is the neighbourhood (3 turns x 3 x 3 cells) that holds the most probability: a right spot
    is often shared by several cells, where a chance likeness has one. The place is the mean over
    it, weighted with the probabilities there.
    """
    probability = probability_of(quality)
    shared = _neighbourhoods(probability, torch.add, 0.0)
    return around(probability, _cell(int(shared.argmax()), shared), stride)


def good_places(quality: Tensor, stride: int, least: float, most: int) -> list[Place]:
    """Returns the peaks of (R, h, w) logits from ``least`` on, at most so many, best first."""
    probability = probability_of(quality)
    return [around(probability, cell, stride)[0] for cell in peaks(quality, least, most)]


def peaks(quality: Tensor, least: float, most: int) -> list[tuple[int, int, int]]:
    """Returns the turn, row and column of the peaks of (R, h, w) logits; see ``good_places``."""
    flat = quality.double().cpu()
    highest = _neighbourhoods(flat, torch.maximum, -math.inf)
    found = torch.nonzero(((flat >= highest) & (flat >= least)).flatten())[:, 0]
    best = found[flat.flatten()[found].argsort(descending=True)][:most]
    return [_cell(int(index), flat) for index in best]


def _neighbourhoods(
    volume: Tensor, join: Callable[[Tensor, Tensor], Tensor], outside: float
) -> Tensor:
    """Returns (R, h, w): every place joined with the 26 around it; turns go round."""
    joined = F.pad(torch.cat([volume[-1:], volume, volume[:1]]), (1, 1, 1, 1), value=outside)
    # Axis by axis: ten times as fast as pooling over all three.
    for axis in range(3):
        count = joined.shape[axis] - 2
        first, middle, last = (joined.narrow(axis, start, count) for start in range(3))
        joined = join(join(first, middle), last)
    return joined


def probability_of(quality: Tensor) -> Tensor:
    """Returns what (R, h, w) logits say of every place, in double precision; sums to 1."""
    flat = quality.double().cpu()
    return torch.exp(flat - flat.logsumexp((0, 1, 2)))


def _cell(index: int, volume: Tensor) -> tuple[int, int, int]:
    _, height, width = volume.shape
    return index // (height * width), index // width % height, index % width


def around(probability: Tensor, cell: tuple[int, int, int], stride: int) -> tuple[Place, float]:
    """Returns the mean place around a cell (turn, row, column) of (R, h, w), and the probability
    there."""
    r, y, x = cell
    turns = len(probability)
    ys = torch.arange(max(y - 1, 0), min(y + 2, probability.shape[1]))
    xs = torch.arange(max(x - 1, 0), min(x + 2, probability.shape[2]))
    rs = torch.arange(r - 1, r + 2)
    window = probability[rs % turns][:, ys][:, :, xs]
    share = window / window.sum()
    row = float((share.sum((0, 2)) * ys).sum())
    column = float((share.sum((0, 1)) * xs).sum())
    turn = float((share.sum((1, 2)) * rs).sum()) * 2 * math.pi / turns
    middle = (stride - 1) / 2
    return Place(column * stride + middle, row * stride + middle, turn), float(window.sum())


def decode(
    maps: Maps, view: Heightmap, demonstrated_yaw: float, tolerated: float = 0.0, sample: int = 0
) -> tuple[Grasp, float]:
    """Returns the best grasp of one sample's maps, and the probability around its place.

    Of the probable places it is that at which the hand has room; ``tolerated``: see ``room``.

    Raises:
        NoGraspError: nothing stands on the table, or the maps hold no finite peak.
    """
    if not (cv2.medianBlur(view.height, 3)[view.known] > MIN_STANDING).any():
        raise NoGraspError("nothing stands on the table")
    quality = maps.quality[sample]
    if not bool(torch.isfinite(quality).all()):
        raise NoGraspError("the net's maps are not finite; teach again with a smaller step")
    stride = view.side // quality.shape[-1]
    probability = probability_of(quality)
    others = peaks(quality, float(quality.max()) - FAINTEST, MOST)
    found = [best_place(quality, stride)]
    found += [around(probability, cell, stride) for cell in others]
    width = float(maps.width[sample].flatten()[quality.flatten().argmax()]) * MAX_WIDTH
    width = min(max(width, WIDTH_RANGE[0]), WIDTH_RANGE[1])

    def grasp_at(place: Place) -> Grasp:
        xy = view.to_world((place.u, place.v))
        yaw = demonstrated_yaw + place.turn
        return Grasp(np.array([*xy, grasp_height(view, xy, yaw, width)]), yaw, width)

    grasps = [grasp_at(place) for place, _ in found]
    number, grasp = room_in(view, tolerated).best(grasps, [likely for _, likely in found])
    return grasp, found[number][1]


def quality_map(maps: Maps, sample: int = 0) -> Tensor:
    """Returns (h, w): per cell the probability that the demonstrated spot is there."""
    quality = maps.quality[sample]
    probability: Tensor = quality.flatten().softmax(0).view_as(quality).sum(0)
    return probability
