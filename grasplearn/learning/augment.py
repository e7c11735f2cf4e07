"""The support set: endless scenes from the one picture that was shown.

The demonstrated thing is cut out by its height, turned, moved, stretched, tilted and put back onto
its own emptied table, among the demonstration's other things (which teach what it is NOT) and
whatever else is given; the higher one is seen, as by a camera from above. Then the light changes.

A sample is a function of (seed, key) alone: under the same key it comes again to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import HEIGHTMAP_SIDE, hue_rotation
from grasplearn.learning.backdrops import draw_backdrop
from grasplearn.learning.cutout import CutOut, Pieces
from grasplearn.learning.families import View
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import HEIGHT_UNIT, Place, place_target, warp
from grasplearn.nets.graspnet import NetSpec
from grasplearn.nets.head import Target
from grasplearn.types import MAX_WIDTH, Array, Grasp

# How often a free place is looked for.
DRAWS = 6
COLOR, HEIGHT, KNOWN, MASK = slice(0, 3), 3, 4, 5
# What a recoloured table's colours, in [-1, 1], are multiplied by, and moved by, all and each.
TABLE_FACTOR, TABLE_OFFSET, TABLE_TINT = (0.6, 1.2), (-0.4, 0.6), 0.15


@dataclass(frozen=True)
class Augmentation:
    """How far samples go from the demonstration; all ranges are symmetric about no change.

    Attributes:
        side: of the samples, pixels; smaller ones are cheaper and hold less of a scene.
        scale: of the thing, as a share; stretch: of one direction against the other.
        tilt: perspective across the thing, share per 100 pixels.
        others: how many other things are put beside it, at most.
        occluder: probability that one of them lies on it; hidden: the most it may hide.
        backdrop: share of samples that are put into another scene instead of onto the own table.
        recolored: share of samples whose table has other colours: tables differ from scene to
            scene, and the demonstration shows only one.
        gain: of brightness; tint: of each colour; slope: of the light over the picture;
            own_gain: of the thing's own brightness, as it turns in the light.
        hue: share of samples whose thing has its colours turned: kin have others. Not for a
            demonstration in which something else could be mistaken for the thing.
        noise: of colours in [-1, 1]; height_noise: m.
        holes: how many round patches are unknown.
    """

    side: int = HEIGHTMAP_SIDE
    scale: float = 0.05
    stretch: float = 0.04
    tilt: float = 0.08
    others: int = 3
    occluder: float = 0.2
    hidden: float = 0.4
    backdrop: float = 0.5
    recolored: float = 0.7
    gain: float = 0.35
    tint: float = 0.1
    slope: float = 0.2
    own_gain: float = 0.12
    hue: float = 0.0
    noise: float = 0.03
    height_noise: float = 0.001
    holes: int = 3

    def __post_init__(self) -> None:
        if self.side < 64 or self.side % 4:
            raise InvalidValueError(
                f"side must be a multiple of 4 and at least 64, got {self.side}"
            )
        if not 0 <= self.hidden < 1 or not 0 <= self.occluder <= 1 or not 0 <= self.hue <= 1:
            raise InvalidValueError("hidden, occluder and hue must be shares from 0 to 1")


@dataclass(frozen=True)
class Pose:
    """Where a cut-out goes in a sample.

    Attributes:
        place: of its own place there, and its turn.
        to_source: (3, 3), homography from the sample's pixels to the cut-out's.
        stretched: (2, 2), what was done to its pixels before the turn.
        which: of the cut-outs; lift: by how much it lies higher, in the height channel's unit.
    """

    place: Place
    to_source: Array
    stretched: Array
    which: int = 0
    lift: float = 0.0


class SupportSet:
    """Makes samples of one demonstration.

    Args:
        pieces: its heightmap, taken apart; grasp: what was shown; spec: of the net to be taught.
        seed: with the key, all that a sample depends on.
        backdrops: the other scenes; without any the own table serves always.
        equals: further places that are as right as the shown one, as offsets from it in pixels and
            turns: where the thing looks the same when it is turned.
    """

    def __init__(
        self,
        pieces: Pieces,
        grasp: Grasp,
        spec: NetSpec,
        seed: int,
        settings: Augmentation | None = None,
        backdrops: Sequence[View] = (),
        equals: Sequence[Place] = (),
    ) -> None:
        self.settings = settings or Augmentation()
        self.spec, self.seed, self.grasp = spec, seed, grasp
        self.thing, self.table = pieces.thing, pieces.table
        self.others = _of_one_size(pieces.others)
        self._radii = [_radius(other) for other in pieces.others]
        self.backdrops, self.equals = tuple(backdrops), tuple(equals)

    def batch(self, keys: Sequence[int]) -> Batch:
        """Returns the samples of some keys."""
        rngs = [np.random.default_rng([self.seed, key]) for key in keys]
        things = [self._thing_pose(rng) for rng in rngs]
        scene = self._empty_table(rngs)
        others = [self._other_poses(rng, pose) for rng, pose in zip(rngs, things, strict=True)]
        for slot in range(self.settings.others if self.others else 0):
            _paste(scene, self._layer([poses[slot] for poses in others]))
        layer = warp(self.thing.layers, _stack(things), self.settings.side)
        shine = _column([rng.uniform(-1, 1) for rng in rngs]) * self.settings.own_gain
        layer[:, COLOR] = (layer[:, COLOR] + 1) * (1 + shine) - 1
        if self.settings.hue:
            self._recolor(layer, rngs)
        mask = layer[:, MASK] > 0.5
        seen = mask & (layer[:, HEIGHT] >= scene[:, HEIGHT])
        seen = torch.where(self._too_hidden(mask, seen, things)[:, None, None], mask, seen)
        _paste(scene, layer, seen)
        self._relight(scene, rngs)
        places = [self._right_places(pose) for pose in things]
        target = Target(place_target(places, self.spec, self.settings.side), self._widths(things))
        return Batch(scene, target, tuple(keys))

    def _thing_pose(self, rng: np.random.Generator) -> Pose:
        s = self.settings
        margin = min(0.15 * s.side, 24)
        u, v = rng.uniform(margin, s.side - 1 - margin, 2)
        place = Place(float(u), float(v), float(rng.uniform(0, 2 * math.pi)))
        return self._pose(rng, place, self.thing.place)

    def _right_places(self, pose: Pose) -> list[Place]:
        to_sample = np.linalg.inv(pose.to_source)
        right = [pose.place]
        for equal in self.equals:
            at = to_sample @ [self.thing.place.u + equal.u, self.thing.place.v + equal.v, 1.0]
            right.append(Place(at[0] / at[2], at[1] / at[2], pose.place.turn + equal.turn))
        return right

    def _pose(
        self, rng: np.random.Generator, place: Place, source: Place, which: int = 0, lift: float = 0
    ) -> Pose:
        s = self.settings
        scale = (1 + s.scale) ** rng.uniform(-1, 1)
        uneven = (1 + s.stretch) ** rng.uniform(-1, 1)
        axis = rng.uniform(0, math.pi)
        lean = rng.uniform(-1, 1, 2) * s.tilt / 100
        along = np.array([[math.cos(axis), -math.sin(axis)], [math.sin(axis), math.cos(axis)]])
        stretched = scale * along @ np.diag([uneven, 1 / uneven]) @ along.T
        c, n = math.cos(place.turn), math.sin(place.turn)
        back = np.linalg.inv(stretched) @ np.array([[c, -n], [n, c]])
        to_source = _projective(source, back, lean) @ _shift(-place.u, -place.v)
        return Pose(place, to_source, stretched, which, lift)

    def _other_poses(self, rng: np.random.Generator, thing: Pose) -> list[Pose]:
        """Where the other things go: beside it mostly; the first sometimes onto it."""
        s, poses = self.settings, []
        for slot in range(s.others if self.others else 0):
            which = int(rng.integers(len(self.others)))
            lift = 0.0
            if slot == 0 and rng.random() < s.occluder:
                far, angle = rng.uniform(8, 40), rng.uniform(0, 2 * math.pi)
                u, v = thing.place.u + far * math.cos(angle), thing.place.v + far * math.sin(angle)
                lift = float(self.thing.layers[HEIGHT][self.thing.layers[MASK] > 0.5].max())
            else:
                u, v = self._beside(rng, thing, self._radii[which])
            place = Place(float(u), float(v), float(rng.uniform(0, 2 * math.pi)))
            # With one chance in three this place stays empty: far outside.
            if rng.random() < 1 / 3:
                place = Place(-1e4, -1e4, 0.0)
            poses.append(self._pose(rng, place, self.others[which].place, which, lift))
        return poses

    def _beside(self, rng: np.random.Generator, thing: Pose, radius: float) -> Array:
        """Returns where something of a radius, pixels, stands clear of the thing, if it can."""
        height, width = self.thing.layers.shape[1:]
        middle = np.linalg.inv(thing.to_source) @ [width / 2, height / 2, 1.0]
        options = rng.uniform(0, self.settings.side - 1, (DRAWS, 2))
        distance = np.hypot(*(options - middle[:2] / middle[2]).T)
        clear = np.flatnonzero(distance > radius + _radius(self.thing))
        return np.asarray(options[clear[0] if len(clear) else distance.argmax()])

    def _layer(self, poses: list[Pose]) -> Tensor:
        sources = torch.stack([self.others[pose.which].layers for pose in poses])
        layer = warp(sources, _stack(poses), self.settings.side)
        layer[:, HEIGHT] += _column([pose.lift for pose in poses])[:, 0]
        return layer

    def _empty_table(self, rngs: list[np.random.Generator]) -> Tensor:
        side, middle = self.settings.side, (self.table.shape[-1] - 1) / 2
        poses = []
        for rng in rngs:
            du, dv = rng.uniform(-0.2, 0.2, 2) * self.table.shape[-1]
            source = Place(middle + float(du), middle + float(dv), 0.0)
            turn = float(rng.uniform(0, 2 * math.pi))
            poses.append(self._pose(rng, Place((side - 1) / 2, (side - 1) / 2, turn), source))
        tables = warp(self.table, _stack(poses), side, "reflection")
        for table, rng in zip(tables, rngs, strict=True):
            if rng.random() < self.settings.recolored:
                factor = rng.uniform(*TABLE_FACTOR, 3)
                offset = rng.uniform(*TABLE_OFFSET) + rng.uniform(-TABLE_TINT, TABLE_TINT, 3)
                colors = torch.from_numpy(np.stack([factor, offset])).to(table.dtype)
                by, plus = colors.view(2, 3, 1, 1)
                table[COLOR] = (table[COLOR] * by + plus).clamp(-1, 1)
            if self.backdrops and rng.random() < self.settings.backdrop:
                table.copy_(draw_backdrop(self.backdrops, rng, side))
        return tables

    def _too_hidden(self, mask: Tensor, seen: Tensor, things: list[Pose]) -> Tensor:
        """Which samples (B,) hide too much of the thing, or the demonstrated spot itself."""
        all_of_it = mask.sum((1, 2)).clamp(min=1)
        hidden = 1 - seen.sum((1, 2)) / all_of_it > self.settings.hidden
        covered = mask & ~seen
        for sample, pose in enumerate(things):
            u, v = round(pose.place.u), round(pose.place.v)
            spot = covered[sample, max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5]
            hidden[sample] |= bool(spot.float().mean() > 0.25)
        return hidden

    def _recolor(self, layer: Tensor, rngs: list[np.random.Generator]) -> None:
        """Turns the colours of some samples' things, in place."""
        for thing, rng in zip(layer, rngs, strict=True):
            if rng.random() < self.settings.hue:
                turn = torch.from_numpy(hue_rotation(rng.uniform(-math.pi, math.pi)))
                turned = torch.einsum("ij,jhw->ihw", turn.to(thing.dtype), thing[COLOR] + 1)
                thing[COLOR] = turned.clamp(0, 2) - 1

    def _relight(self, scene: Tensor, rngs: list[np.random.Generator]) -> None:
        """Changes light, adds noise and holes, in place."""
        s, side = self.settings, self.settings.side
        axis = torch.linspace(-1, 1, side)
        v, u = torch.meshgrid(axis, axis, indexing="ij")
        pixel = torch.arange(side)
        for sample, rng in zip(scene, rngs, strict=True):
            a, b = rng.uniform(-s.slope, s.slope, 2)
            light = (1 + s.gain) ** rng.uniform(-1, 1) * (1 + a * u + b * v)
            tint = torch.from_numpy(1 + rng.uniform(-s.tint, s.tint, 3)).to(sample.dtype)
            lit = (sample[COLOR] + 1) * light * tint.view(3, 1, 1) - 1
            noise = torch.from_numpy(rng.standard_normal((4, side, side), np.float32))
            sample[COLOR] = (lit + s.noise * noise[:3]).clamp(-1, 1)
            sample[HEIGHT] += s.height_noise / HEIGHT_UNIT * noise[3]
            for _ in range(s.holes):
                (x, y), radius = rng.uniform(0, side, 2), rng.uniform(1, 9)
                inside = (pixel - x) ** 2 + ((pixel - y) ** 2)[:, None] < radius**2
                sample[KNOWN][inside] = 0

    def _widths(self, things: list[Pose]) -> Tensor:
        """Returns the openings (B,) / MAX_WIDTH that fit the stretched things."""
        jaws = np.array([math.cos(self.grasp.yaw), -math.sin(self.grasp.yaw)])
        factors = [float(np.linalg.norm(pose.stretched @ jaws)) for pose in things]
        return (torch.tensor(factors) * self.grasp.width / MAX_WIDTH).clamp(max=1)


def _radius(cut_out: CutOut) -> float:
    """How far a thing reaches from its middle, pixels, on the whole."""
    return 0.4 * math.hypot(*cut_out.layers.shape[1:])


def _of_one_size(cut_outs: Sequence[CutOut]) -> tuple[CutOut, ...]:
    """Pads them on the right and below, so that they can be worked on together."""
    sizes = [cut_out.layers.shape[1:] for cut_out in cut_outs]
    height, width = (max((size[i] for size in sizes), default=0) for i in (0, 1))
    return tuple(
        CutOut(F.pad(c.layers, (0, width - w, 0, height - h)), c.place)
        for c, (h, w) in zip(cut_outs, sizes, strict=True)
    )


def _projective(source: Place, back: Array, lean: Array) -> Array:
    """Returns (3, 3): offsets from a place in the sample to the source's pixels."""
    out = np.zeros((3, 3))
    out[:2, :2] = back + np.outer([source.u, source.v], lean)
    out[:2, 2] = source.u, source.v
    out[2] = *lean, 1
    return out


def _shift(u: float, v: float) -> Array:
    out = np.eye(3)
    out[:2, 2] = u, v
    return out


def _stack(poses: list[Pose]) -> Tensor:
    return torch.from_numpy(np.stack([pose.to_source for pose in poses]))


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def _paste(scene: Tensor, layer: Tensor, seen: Tensor | None = None) -> None:
    """Puts a layer (B, 6, S, S) into the scene (B, 5, S, S), in place: the higher one is seen."""
    if seen is None:
        seen = (layer[:, MASK] > 0.5) & (layer[:, HEIGHT] >= scene[:, HEIGHT])
    torch.where(seen[:, None], layer[:, :MASK], scene, out=scene)
