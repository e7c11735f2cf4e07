"""The errors GraspLearn raises on bad input.

Every message is one sentence (or two) that names what is wrong and the fix or the valid choices;
the command line prints it as it is and exits with code 2.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import Any

_MENDS = {
    errno.ENOSPC: "free some space on its disk",
    errno.EACCES: "choose another place, one that you may write to",
    errno.EPERM: "choose another place, one that you may write to",
    errno.EROFS: "choose another place, one that you may write to",
    errno.EEXIST: "choose another place, a file stands in the way",
    errno.ENOTDIR: "choose another place, a file stands in the way",
    errno.EISDIR: "choose another place, a folder stands in the way",
}


class GraspLearnError(Exception):
    """Base of everything a user can cause and can mend."""


class InvalidValueError(GraspLearnError, ValueError):
    """A value is outside its documented range or has the wrong shape, type or unit."""


class UnknownNameError(GraspLearnError, KeyError):
    """A name (object, part, method, tier, ...) is not among the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        choices = list(known)
        close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        shown = ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")
        super().__init__(f"no {kind} '{name}'; {hint}{len(choices)} known: {shown}")
        self._made_of = (kind, name, choices)

    def __reduce__(self) -> tuple[Any, ...]:  # a worker process sends it home pickled
        return type(self), self._made_of

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class FileFormatError(GraspLearnError):
    """A file exists but does not hold what it should."""


class AssetError(GraspLearnError):
    """An object's mesh, URDF or description cannot be used."""


class SceneError(GraspLearnError):
    """No scene that meets the tier's conditions could be made."""


class DemonstrationError(GraspLearnError):
    """No physically verified demonstration was found for an object or part."""


class NoGraspError(GraspLearnError):
    """A policy found nothing to grasp in the picture."""


class WorkerError(GraspLearnError):
    """A worker process ended in the middle of its work."""


class DisplayError(GraspLearnError):
    """A window was asked for where there is no display."""


def refusal(error: OSError, place: object) -> str:
    """What the operating system said when ``place`` was to be written, as a sentence with a fix."""
    reason = (error.strerror or str(error)).lower()
    mend = _MENDS.get(error.errno or 0, "choose another place or free this one")
    return f"cannot write {place} ({reason}); {mend}"
