"""The five tiers of difficulty, in the one place where they are written down."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians


@dataclass(frozen=True)
class Tier:
    """What a tier's scenes are drawn from; everything not named here varies in every tier alike.

    Attributes:
        summary: one line for a person.
        neighbours: objects beside the taught one (a look-alike counts as one of them).
        touching: neighbours touch the taught object, and one or two lie on it where the hand is
            left room to come down.
        hidden: range of the fraction of its pixels that others hide.
        tilt: range of the camera's angle from the vertical, rad.
        height_change: greatest relative change of the camera's distance.
        other_member: the scene holds another member of the demonstrated object's category.
        look_alike: a twin in another colour or size stands in the demonstration and the scene.
    """

    summary: str
    neighbours: int = 3
    touching: bool = False
    hidden: tuple[float, float] = (0.0, 0.2)
    tilt: tuple[float, float] = (0.0, radians(2))
    height_change: float = 0.03
    other_member: bool = False
    look_alike: bool = False


TIERS: dict[str, Tier] = {
    "same": Tier("the taught object in a new pose, light and noise, beside three others"),
    "clutter": Tier(
        "neighbours touch and cover it, up to 40 % hidden",
        neighbours=6,
        touching=True,
        hidden=(0.0, 0.4),
    ),
    "view": Tier(
        "the camera has moved: tilted by 8 to 20 degrees, its distance changed by up to 20 %",
        tilt=(radians(8), radians(20)),
        height_change=0.2,
        hidden=(0.0, 0.3),
    ),
    "kin": Tier("another member of the category in the taught object's place", other_member=True),
    "alike": Tier(
        "a twin in another colour or another size beside it, which must be left alone",
        look_alike=True,
    ),
}
