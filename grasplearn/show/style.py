"""The one look of pictures and videos: colours, lettering, and how a trial's end is worded."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.types import Outcome, TrialResult

Frame = NDArray[np.uint8]
Color = tuple[int, int, int]

# RGB. Blue against orange stays apart in every common form of colour blindness.
SHOWN: Color = (64, 200, 255)
PREDICTED: Color = (255, 150, 30)
UNKNOWN: Color = (232, 62, 140)
INK: Color = (18, 21, 26)
PAPER: Color = (240, 242, 245)
MUTED: Color = (158, 167, 178)
FAINT: Color = (58, 64, 73)

_COLORS: dict[str, Color] = {
    "good": (86, 211, 134),
    "partly": (245, 196, 66),
    "bad": (250, 118, 118),
}

_FONT = cv2.FontFace("sans")
REGULAR, BOLD = 400, 650


@dataclass(frozen=True)
class Verdict:
    """How a trial ended, for a person.

    Attributes:
        label: two or three words. advice: one sentence.
        kind: "good", "partly" or "bad"; also the class name in the page's style sheet.
    """

    label: str
    advice: str
    kind: str

    @property
    def color(self) -> Color:
        return _COLORS[self.kind]


def verdict(result: TrialResult) -> Verdict:
    """Words and colour for a trial's end."""
    if result.success:
        return Verdict("success", result.outcome.advice, "good")
    if result.lifted:
        advice = "the taught object was lifted, but not as it was shown"
        return Verdict("lifted elsewhere", advice, "partly")
    advice = result.outcome.advice
    if result.outcome is Outcome.ERROR and result.message:
        advice = result.message
    return Verdict(result.outcome.value.replace("_", " "), advice, "bad")


def text_width(text: str, size: int, weight: int = REGULAR) -> int:
    """Width (px) of a line of text."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _FONT, size, weight)
    return int(width)


def write(
    picture: Frame,
    text: str,
    at: tuple[int, int],
    size: int,
    color: Color = PAPER,
    weight: int = REGULAR,
    room: int | None = None,
) -> int:
    """Writes a line into ``picture``, in place.

    Args:
        picture: (H, W, 3) uint8, a canvas that the caller owns.
        at: px, left end of the base line. size: px, height of the letters' box.
        room: px; a longer text ends in an ellipsis. None: up to the picture's edge.

    Returns:
        The x (px) where the text ends.
    """
    room = picture.shape[1] - at[0] if room is None else room
    if text_width(text, size, weight) > room:
        while text and text_width(text + "…", size, weight) > room:
            text = text[:-1]
        text = text.rstrip() + "…" if text else ""
    # OpenCV would wrap at the right edge and write on over the next line.
    cv2.putText(picture, text, at, color, _FONT, size, weight, 0, (0, 1 << 20))
    return at[0] + text_width(text, size, weight)
