"""Where a taught net believes the demonstrated spot to be, painted over a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.geometry import HEIGHTMAP_SPAN, WORKSPACE_CENTER, points_world
from grasplearn.show.overlay import SIDE, Mark, draw_grasps, with_caption
from grasplearn.show.style import PREDICTED, SHOWN, Frame
from grasplearn.types import Grasp, Observation

# Probabilities are painted by their logarithm, from the peak down to a thousandth of it: the net
# is often so sure that otherwise a single cell would shine.
DECADES = 3
# How much of the picture the hottest spot hides.
OPACITY = 0.8
SPECK_PX = 5


def heat_picture(
    observation: Observation,
    quality: NDArray[np.float32],
    *,
    shown: Grasp | None = None,
    predicted: Grasp | None = None,
    caption: str | None = "where the taught net sees the spot",
    side: int = SIDE,
) -> Frame:
    """Paints probabilities over a picture, on the surfaces that they are about.

    Args:
        quality: (h, w), per cell of the workspace, as ``Prediction.quality``.
        shown, predicted: grasps to draw over it.
        caption: None leaves the strip below out.
        side: px that the shorter side gets at least.
    """
    heat, glow = _glow(observation, quality)
    alpha = OPACITY * heat[..., None]
    painted = np.rint(observation.rgb * (1 - alpha) + glow * alpha).astype(np.uint8)
    marks = [Mark(shown, SHOWN, "shown")] if shown else []
    marks += [Mark(predicted, PREDICTED, "predicted")] if predicted else []
    picture = draw_grasps(Observation(painted, observation.depth, observation.camera), marks, side)
    return picture if caption is None else with_caption(picture, caption, marks)


def heat_layer(observation: Observation, quality: NDArray[np.float32]) -> Frame:
    """The same paint alone, (H, W, 4) uint8 RGBA, to be laid over the picture."""
    heat, glow = _glow(observation, quality)
    return np.dstack([glow, np.rint(255 * OPACITY * heat).astype(np.uint8)])


def _glow(
    observation: Observation, quality: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Frame]:
    """Levels (H, W) in [0, 1] on the picture, and their colours (H, W, 3)."""
    heat = _on_picture(observation, _levels(quality))
    bgr = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return heat, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _levels(quality: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) in [0, 1]: 1 at the peak, 0 from DECADES below it on."""
    share = quality / max(float(quality.max()), 1e-30)
    levels = np.clip(1 + np.log10(np.maximum(share, 1e-30)) / DECADES, 0, 1)
    return np.asarray(levels, np.float32)


def _on_picture(observation: Observation, levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W): the level of the cell that each pixel's point lies over.

    A sensor's specks without depth take the highest level beside them; larger holes stay dark.
    """
    points, known = points_world(observation)
    rows, columns = levels.shape
    x = (points[..., 0] - WORKSPACE_CENTER[0]) / HEIGHTMAP_SPAN * columns + (columns - 1) / 2
    y = (WORKSPACE_CENTER[1] - points[..., 1]) / HEIGHTMAP_SPAN * rows + (rows - 1) / 2
    heat = cv2.remap(levels, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    heat[~known] = 0
    beside = cv2.dilate(heat, np.ones((SPECK_PX, SPECK_PX)))
    return np.asarray(np.where(known, heat, beside), np.float32)
