"""Scenes of training objects, into which teaching puts the demonstrated thing as well.

One demonstration shows one table and a few other things; refined on them alone, a net forgets to
tell the thing from all the rest. The scenes ship beside the weights; 'grasplearn render' made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grasplearn.geometry import hue_rotation
from grasplearn.learning.families import View, find_families, load_family
from grasplearn.nets.codec import encode

FOLDER = Path(__file__).parent.parent / "weights" / "backdrops"


@cache
def load_backdrops(folder: Path = FOLDER) -> tuple[View, ...]:
    """Returns all scenes of a folder of families.

    Raises:
        FileFormatError: there are none, or one is damaged.
    """
    return tuple(view for path in find_families(folder)[0] for view in load_family(path).views)


def draw_backdrop(views: Sequence[View], rng: np.random.Generator, side: int) -> Tensor:
    """Returns a crop (5, side, side) of one of them, turned by quarters, mirrored, recoloured."""
    picture = encode(views[int(rng.integers(len(views)))].heightmap())
    picture = torch.rot90(picture, int(rng.integers(4)), (1, 2))
    if rng.random() < 0.5:
        picture = picture.flip(2)
    top, left = rng.integers(0, picture.shape[-1] - side + 1, 2)
    picture = picture[:, top : top + side, left : left + side].clone()
    if rng.random() < 0.5:
        turn = torch.from_numpy(hue_rotation(rng.uniform(-np.pi, np.pi))).to(picture.dtype)
        color = torch.einsum("ij,jhw->ihw", turn, picture[:3] + 1)
        picture[:3] = color.clamp(0, 2) - 1
    return picture
