"""What a studio works with; the server and the simulator's process both know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a studio works with.

    Attributes:
        library: the folder of skills. runs: where trials leave pictures, videos and reports.
        weights: name or file of the pre-trained weights.
        objects: a user's own folder of meshes, or None.
    """

    library: Path
    runs: Path
    weights: str = "shipped"
    objects: Path | None = None
