"""Sightings: what the comparison of overviews learns from.

A demonstration and questions, seen as coarsely as overviews are, and what a net and its verifier
say of the proposals without having compared them. Small, so that many can be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.learning.archives import reading_arrays, write_arrays
from grasplearn.learning.cases import NONE, answer
from grasplearn.learning.questions import draw_questions
from grasplearn.nets.codec import HEIGHT_UNIT, encode
from grasplearn.nets.graspnet import CHANNELS, GraspNet
from grasplearn.nets.proposals import MOST
from grasplearn.nets.verifier import Verifier

# Heights are kept as whole millimetres from this one upwards, in a byte.
LOWEST_MM = -20
# What is lost is less than the noise of training. Colours are not thinned out: at 8 mm a handle is
# a few pixels wide.
COLORS = (
    cv2.IMWRITE_JPEG_QUALITY, 80,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)  # fmt: skip
HEIGHTS = (cv2.IMWRITE_JPEG_QUALITY, 85)
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Sighting:
    """A demonstration and Q questions with K proposals each, n cells a side.

    Attributes:
        pictures: (1 + Q, 5, n, n), the demonstration first; see ``to_bytes``.
        spot: (2,), u and v of the demonstrated spot.
        places: (Q, K, 3), the proposals' u, v and turn.
        told: (Q, K), logits before any comparison; NONE where there is no proposal.
        right: (Q, K), whether it answers the question.
        tiers: (Q,) of the questions, see ``Questions``.
    """

    pictures: Bytes
    spot: NDArray[np.float32]
    places: NDArray[np.float32]
    told: NDArray[np.float32]
    right: NDArray[np.bool_]
    tiers: tuple[str, ...]


@torch.no_grad()
def draw_sighting(
    path: Path,
    net: GraspNet,
    verifier: Verifier,
    rng: np.random.Generator,
    count: int,
    others: Sequence[Path] = (),
    kin: float = 0.0,
) -> Sighting | None:
    """Draws a sighting from a family's file; None where the shown thing cannot be cut out.

    Args:
        net: proposes; its kernels are overwritten. verifier: its.
        count, others, kin: see ``draw_questions``.

    Raises:
        FileFormatError: see ``load_family``.
    """
    asked = draw_questions(path, rng, count, others, kin)
    try:
        reference = asked.shown_to(net)
    except InvalidValueError:
        return None
    pictures = [_seen(encode(asked.view), net)]
    shape = len(asked.scenes), MOST
    places = np.zeros((*shape, 3), np.float32)
    told, right = np.full(shape, NONE, np.float32), np.zeros(shape, bool)
    for number, scene in enumerate(asked.scenes):
        given = answer(net, scene, asked.right_places(scene), rng, count > 0)
        pictures.append(_seen(given.picture[0], net))
        some = slice(len(given.proposals))
        places[number, some] = [(p.place.u, p.place.v, p.place.turn) for p in given.proposals]
        told[number, some] = reference.scores(
            verifier, net, given.picture, given.features, given.proposals
        )
        right[number, some] = given.right
    spot = np.array([asked.place.u, asked.place.v], np.float32)
    return Sighting(np.stack(pictures), spot, places, told, right, asked.tiers)


def _seen(picture: Tensor, net: GraspNet) -> Bytes:
    return to_bytes(F.avg_pool2d(picture, net.spec.stride))


def to_bytes(pixels: Tensor) -> Bytes:
    """Returns pictures (..., 5, n, n), as ``codec.encode`` makes them, a byte a value."""
    colors, height, known = pixels.split((3, 1, 1), -3)
    millimetres = height * (HEIGHT_UNIT * 1000) - LOWEST_MM
    values = torch.cat([(colors + 1) * 127.5, millimetres, known * 255], -3)
    return np.asarray(values.round().clamp(0, 255).byte().numpy(), np.uint8)


def from_bytes(values: Tensor) -> Tensor:
    """Returns what ``to_bytes`` was given, rounded."""
    colors, height, known = values.float().split((3, 1, 1), -3)
    units = (height + LOWEST_MM) / (HEIGHT_UNIT * 1000)
    return torch.cat([colors / 127.5 - 1, units, known / 255], -3)


def save_sighting(path: Path, sighting: Sighting) -> None:
    """Writes a sighting; the file appears complete or not at all. What it shows loses a little: it
    is kept as JPEG.

    Raises:
        InvalidValueError: it cannot be written.
    """
    count, _, side, _ = sighting.pictures.shape
    strip = sighting.pictures.transpose(0, 2, 3, 1).reshape(count * side, side, CHANNELS)
    told = {name: value for name, value in vars(sighting).items() if name != "pictures"}
    told |= {
        "tiers": np.array(sighting.tiers),
        "colors": cv2.imencode(".jpg", np.ascontiguousarray(strip[..., 2::-1]), COLORS)[1].ravel(),
        "heights": cv2.imencode(".jpg", np.ascontiguousarray(strip[..., 3]), HEIGHTS)[1].ravel(),
        "known": cv2.imencode(".png", np.ascontiguousarray(strip[..., 4]))[1].ravel(),
    }
    write_arrays(path, told)


def load_sighting(path: Path) -> Sighting:
    """Reads a sighting.

    Raises:
        FileFormatError: the file is damaged or something else.
    """
    with reading_arrays(path, "sighting", "run the command again") as data:
        colors = _decoded(data["colors"], cv2.IMREAD_COLOR)[..., ::-1]
        others = [_decoded(data[name], cv2.IMREAD_GRAYSCALE) for name in ("heights", "known")]
        strip = np.concatenate([colors, *(some[..., None] for some in others)], 2)
        side = strip.shape[1]
        pictures = strip.reshape(-1, side, side, CHANNELS).transpose(0, 3, 1, 2)
        return Sighting(
            np.ascontiguousarray(pictures),
            data["spot"],
            data["places"],
            data["told"],
            data["right"],
            tuple(map(str, data["tiers"])),
        )


def _decoded(data: Bytes, flag: int) -> Bytes:
    picture = cv2.imdecode(data, flag)
    if picture is None:
        raise ValueError("a picture cannot be decoded")
    return np.asarray(picture, np.uint8)
