"""Grasps drawn on the picture they were meant for, and a depth picture for the eye."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from grasplearn.geometry import PAD_HALF_BREADTH, invert, project, transform
from grasplearn.show.files import save
from grasplearn.show.style import (
    BOLD,
    INK,
    MUTED,
    PAPER,
    PREDICTED,
    SHOWN,
    UNKNOWN,
    Color,
    Frame,
    text_width,
    write,
)
from grasplearn.types import Array, Demonstration, Grasp, Observation

# The shorter side of a picture is enlarged to at least this.
SIDE = 672
# Lines are drawn in sixteenths of a pixel.
_SHIFT = 4
# m from the lens; nearer, pixels would not fit into OpenCV's integers.
_NEAREST = 0.01


@dataclass(frozen=True)
class Mark:
    """A grasp to draw: two jaws as bars, the line along which they close, the centre.

    Attributes:
        color: RGB. label: for the caption strip; empty leaves it out.
        dashed: for a grasp that is only compared with.
    """

    grasp: Grasp
    color: Color
    label: str = ""
    dashed: bool = False


def draw_grasps(observation: Observation, marks: Sequence[Mark], side: int = SIDE) -> Frame:
    """Draws grasps on an enlarged copy of the picture, the first undermost.

    Args:
        side: px that the shorter side gets at least; enlargement is by a whole factor.

    Returns:
        (k H, k W, 3) uint8, k the smallest whole number that reaches ``side``.
    """
    height, width = observation.rgb.shape[:2]
    factor = _factor(observation, side)
    picture = _enlarged(observation.rgb, factor, cv2.INTER_CUBIC)
    unit = min(height, width) * factor / 150
    T_cam_world = invert(observation.camera.T_world_cam)
    for mark in marks:
        outline = _outline(mark.grasp)
        if (transform(T_cam_world, outline)[:, 2] < _NEAREST).any():
            continue  # beside or behind the lens: pixels would be ghosts
        # cv2.resize keeps the pixels' edges together, hence the halves.
        points = (project(observation.camera, outline) + 0.5) * factor - 0.5
        _draw(picture, points, mark, unit)
    return picture


def demonstration_picture(
    demonstration: Demonstration, caption: str | None = "the one demonstration", side: int = SIDE
) -> Frame:
    """The demonstrated grasp on its picture; ``caption`` None leaves the strip below out."""
    marks = [Mark(demonstration.grasp, SHOWN, "shown")]
    picture = draw_grasps(demonstration.observation, marks, side)
    return picture if caption is None else with_caption(picture, caption, marks)


def prediction_picture(
    observation: Observation,
    predicted: Grasp | None,
    correct: Grasp | None = None,
    caption: str | None = "",
    side: int = SIDE,
) -> Frame:
    """The predicted grasp and, dashed, the correct one.

    Args:
        predicted: None where nothing was found to grasp; the picture then shows none.
        correct: where the demonstrated grasp lies in this scene, if that is known.
        caption: None leaves the strip below out.
    """
    marks = []
    if correct is not None:
        marks.append(Mark(correct, SHOWN, "correct", dashed=True))
    if predicted is not None:
        marks.append(Mark(predicted, PREDICTED, "predicted"))
    picture = draw_grasps(observation, marks, side)
    return picture if caption is None else with_caption(picture, caption, marks)


def closeup(observation: Observation, grasp: Grasp, span: float = 0.24, side: int = SIDE) -> Frame:
    """Returns the square around a grasp, (side, side, 3) uint8, about ``span`` m wide."""
    camera = observation.camera
    ends = np.stack([grasp.center_world, grasp.center_world + camera.T_world_cam[:3, 0] * span])
    (u, v), (right, _) = project(camera, ends)
    edge = int(np.clip(abs(right - u), 16, min(camera.width, camera.height)))
    left = int(np.clip(round(u - edge / 2), 0, camera.width - edge))
    top = int(np.clip(round(v - edge / 2), 0, camera.height - edge))
    crop = observation.rgb[top : top + edge, left : left + edge]
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def depth_picture(
    observation: Observation, caption: str | None = "depth", side: int = SIDE
) -> Frame:
    """The depth picture in colours, bright is near; unknown pixels in a colour of their own.

    The colours span the 0.2th to the 99.8th percentile of what is known: a few stray pixels must
    not wash out the rest.
    """
    depth = observation.depth
    known = depth > 0
    near, far = (float(v) for v in np.percentile(depth[known], [0.2, 99.8]))
    scaled = np.clip((far - depth) / max(far - near, 1e-6), 0, 1)
    colors = _colormap(np.asarray(scaled * 255, np.uint8))
    colors[~known] = UNKNOWN
    picture = _enlarged(colors, _factor(observation, side), cv2.INTER_NEAREST)
    if caption is None:
        return picture
    strip = _Strip(picture.shape[1])
    strip.text(f"unknown {100 * (1 - known.mean()):.1f} %")
    strip.dot(UNKNOWN)
    strip.text(f"{far:.2f} m")
    strip.picture(_colormap(np.linspace(255, 0, 64).astype(np.uint8)[None]))
    strip.text(f"{near:.2f} m")
    return np.vstack([picture, strip.titled(caption)])


def with_caption(picture: Frame, caption: str, marks: Sequence[Mark] = ()) -> Frame:
    """Returns the picture with a dark strip below: the caption, and what the colours mean."""
    strip = _Strip(picture.shape[1])
    for mark in reversed([mark for mark in marks if mark.label]):
        strip.text(mark.label)
        strip.dot(mark.color)
    return np.vstack([picture, strip.titled(caption)])


def save_png(path: Path | str, picture: Frame) -> Path:
    """Writes (H, W, 3) uint8 RGB as PNG.

    Raises:
        GraspLearnError: the file cannot be written.
    """
    return save(path, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def _outline(grasp: Grasp) -> Array:
    """(7, 3) m: centre, then each jaw's middle and two ends, in the world."""
    T = grasp.T_world_grasp
    along, across = T[:3, 0] * grasp.width / 2, T[:3, 1] * PAD_HALF_BREADTH
    offsets = [0 * along]
    for jaw in (-along, along):
        offsets += [jaw, jaw - across, jaw + across]
    return np.asarray(grasp.center_world + np.stack(offsets))


def _draw(picture: Frame, points: Array, mark: Mark, unit: float) -> None:
    center, a, a1, a2, b, b1, b2 = points
    pieces = 9 if mark.dashed else 1
    stops = np.linspace(a, b, 2 * pieces if mark.dashed else 2).reshape(-1, 2, 2)
    lines = [(p, q, 0.6) for p, q in stops] + [(a1, a2, 1.5), (b1, b2, 1.5)]
    # A dark rim keeps every colour readable on every ground.
    for color, rim in ((INK, 0.8), (mark.color, 0.0)):
        for p, q, thickness in lines:
            cv2.line(
                picture,
                _fixed(p),
                _fixed(q),
                color,
                max(1, round((thickness + rim) * unit)),
                cv2.LINE_AA,
                _SHIFT,
            )
        if not mark.dashed:
            radius = round((0.9 + rim / 2) * unit * (1 << _SHIFT))
            cv2.circle(picture, _fixed(center), radius, color, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed(point: Array) -> tuple[int, int]:
    u, v = np.rint(point * (1 << _SHIFT)).astype(int)
    return int(u), int(v)


def _factor(observation: Observation, side: int) -> int:
    return max(1, math.ceil(side / min(observation.camera.width, observation.camera.height)))


def _enlarged(picture: Frame, factor: int, interpolation: int) -> Frame:
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    return np.array(cv2.resize(picture, size, interpolation=interpolation), np.uint8)


def _colormap(values: Frame) -> Frame:
    colors = cv2.applyColorMap(np.ascontiguousarray(values), cv2.COLORMAP_VIRIDIS)
    return np.array(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB), np.uint8)


class _Strip:
    """The strip below a picture, filled from its right end."""

    def __init__(self, width: int) -> None:
        self._size = max(12, round(width / 34))
        self._strip = np.full((round(self._size * 2.2), width, 3), INK, np.uint8)
        self._base = round(self._size * 1.46)
        self._x = width

    def text(self, text: str) -> None:
        self._x -= self._size + text_width(text, self._size)
        write(self._strip, text, (self._x, self._base), self._size, MUTED)

    def dot(self, color: Color) -> None:
        side = round(self._size * 0.72)
        self._x -= side + self._size // 2
        middle = (self._x + side // 2, self._base - side // 2)
        cv2.circle(self._strip, middle, side // 2, color, cv2.FILLED, cv2.LINE_AA)

    def picture(self, picture: Frame) -> None:
        height, width = round(self._size * 0.72), self._size * 4
        self._x -= width + self._size // 2
        self._strip[self._base - height : self._base, self._x : self._x + width] = cv2.resize(
            picture, (width, height)
        )

    def titled(self, title: str) -> Frame:
        """Writes the title into what is left, and hands out the strip."""
        room = max(self._x - 2 * self._size, 0)
        write(self._strip, title, (self._size, self._base), self._size, PAPER, BOLD, room)
        return self._strip
