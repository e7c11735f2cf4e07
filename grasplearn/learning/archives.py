"""Files of arrays that training learns from: each appears complete or not at all, and one that is
damaged is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError
from grasplearn.files import write_files


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name.

    Raises:
        InvalidValueError: they cannot be written.
    """
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_files(path.parent, {path.name: stream.getvalue()})


@contextmanager
def reading_arrays(path: Path, what: str, remedy: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Gives arrays by name, of what is then made within.

    Args:
        what: the file is said to be. remedy: what to do about one that is not, after deleting it.

    Raises:
        FileFormatError: the file, or what is made of it, is damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            yield data
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, cv2.error) as error:
        raise FileFormatError(
            f"{path} is no whole {what} ({error}); delete it and {remedy}"
        ) from error
