"""A person's own picture on the command line: which flags belong together, and the grasp on it."""

from __future__ import annotations

from grasplearn.config import SkillCommon
from grasplearn.errors import InvalidValueError
from grasplearn.files import load_picture, pixel_grasp
from grasplearn.table import check_table
from grasplearn.types import Grasp, Observation


def own_picture(options: SkillCommon) -> Observation | None:
    """The picture that was given, or None where none was.

    Raises:
        InvalidValueError: a part of it is missing, or the camera's pose cannot be right.
        FileFormatError: see ``load_picture``.
    """
    flags = {"--rgb": options.rgb, "--depth": options.depth, "--camera": options.camera}
    missing = [flag for flag, path in flags.items() if path is None]
    if len(missing) == len(flags):
        return None
    if options.rgb is None or options.depth is None or options.camera is None:
        raise InvalidValueError(
            f"a picture needs --rgb, --depth and --camera; add {' and '.join(missing)}"
        )
    observation = load_picture(options.rgb, options.depth, options.camera)
    check_table(observation, options.camera)
    return observation


def own_grasp(observation: Observation, text: str) -> Grasp:
    """Reads ``U,V,YAW_DEG[,WIDTH_M]``.

    Raises:
        InvalidValueError: not three or four numbers; or see ``pixel_grasp``.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (3, 4):
        raise InvalidValueError(
            f"--grasp takes U,V,YAW_DEG[,WIDTH_M], as in 320,240,45,0.06; got '{text}'"
        )
    return pixel_grasp(observation, *numbers)
