"""What all commands' settings share; see ``config``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
OptionalName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
OptionalCount = Annotated[int | None, arg(metavar="N", help_behavior_hint="")]
OptionalGrasp = Annotated[str | None, arg(metavar="U,V,YAW_DEG[,WIDTH_M]", help_behavior_hint="")]
Folder = Annotated[Path, arg(metavar="DIR")]
Names = Annotated[str, arg(metavar="A,B")]
Count = Annotated[int, arg(metavar="N")]


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command understands."""

    seed: Count = 0
    """The same seed gives the same result."""
    json: OptionalFile = None
    """Write the figures into this file too."""
    quiet: bool = False
    """Show no progress."""
