"""Methods from outside: any function in a file of the user's, named FILE.py:FUNCTION."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from grasplearn.errors import InvalidValueError
from grasplearn.policies.base import FromFunction


def is_entered(name: str) -> bool:
    """Whether a method's name is a place in a file."""
    return ".py:" in name


def entered(name: str) -> FromFunction:
    """Returns the policy that a name like ``my_method.py:grasp`` stands for.

    The function takes (demonstration, observation), returns a Grasp, and may raise NoGraspError.

    Raises:
        InvalidValueError: there is no such file or function, or the file cannot be imported.
    """
    path, function = _place(name)
    module = _module(str(path), path.stat().st_mtime_ns)
    found = getattr(module, function, None)
    if not callable(found):
        raise InvalidValueError(f"{path} has no function '{function}'; name it as FILE.py:FUNCTION")
    return FromFunction(name, found)


def entered_digest(methods: Iterable[str]) -> str:
    """Of the files of all entered methods, which can be imported; "" without any.

    Raises:
        InvalidValueError: see ``entered``.
    """
    names = [name for name in methods if is_entered(name)]
    sha = hashlib.sha256()
    for name in names:
        entered(name)
        sha.update(_place(name)[0].read_bytes())
    return sha.hexdigest() if names else ""


def _place(name: str) -> tuple[Path, str]:
    file, _, function = name.rpartition(":")
    if not Path(file).is_file():
        raise InvalidValueError(f"there is no file {file}, which the method '{name}' is to be in")
    return Path(file), function


@lru_cache(maxsize=16)
def _module(path: str, changed_ns: int) -> Any:
    title = f"grasplearn_entered_{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by name.
    sys.modules[title] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file may do
        raise InvalidValueError(
            f"{path} cannot be imported ({type(error).__name__}: {error}); mend it"
        ) from error
    return module
