"""What was taught before is not taught again: it stays on disk, named by all it depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import platformdirs

from grasplearn.learning.pretrained import Pretrained
from grasplearn.learning.taught import Taught
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.types import Demonstration

# The longest unused are forgotten beyond this; one taught net takes about 1 MB.
BYTES_LIMIT = 4_000_000_000
PACKAGE = Path(__file__).parents[1]
# All code that what is taught depends on, beside that of the libraries.
CODE = ("learning", "nets", "rules", "geometry.py", "types.py")
LIBRARIES = ("torch", "numpy", "opencv-python-headless")


def teach_once(
    demonstration: Demonstration, pretrained: Pretrained, teaching: Teaching, seed: int
) -> Taught:
    """Returns what ``teach`` returns, from the disk if the very same was taught before.

    ``seconds`` is then how long it took at that time.

    Raises:
        InvalidValueError: see ``teach``.
    """
    key = content_key(demonstration, pretrained.digest, teaching, seed)
    try:
        memory = joblib.Memory(cache_folder(), verbose=0)
    except OSError:  # a full disk or somebody else's: then it is taught each time
        return teach(demonstration, pretrained, teaching, seed)
    kept = memory.cache(_teach, ignore=["demonstration", "pretrained", "teaching", "seed"])
    taught: Taught = kept(key, demonstration, pretrained, teaching, seed)
    return taught


def cache_folder() -> Path:
    """Where taught nets are kept: below the user's cache folder (XDG_CACHE_HOME)."""
    return Path(platformdirs.user_cache_path("grasplearn")) / "taught"


def forget_the_oldest() -> None:
    """Keeps the folder within its limit."""
    if cache_folder().is_dir():
        joblib.Memory(cache_folder(), verbose=0).reduce_size(bytes_limit=BYTES_LIMIT)


def content_key(demonstration: Demonstration, digest: str, teaching: Teaching, seed: int) -> str:
    """Names a teaching run by all that its bytes depend on.

    Args:
        digest: of the pre-trained weights.
    """
    observation = demonstration.observation
    told = {
        "weights": digest,
        "teaching": asdict(teaching),
        "seed": seed,
        "camera": observation.camera.to_dict(),
        "grasp": demonstration.grasp.to_dict(),
        "code": code_digest(),
    }
    sha = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    sha.update(observation.rgb.tobytes())
    sha.update(observation.depth.tobytes())
    return sha.hexdigest()


@cache
def code_digest() -> str:
    """Of the sources that teach and of their libraries' versions."""
    sha = hashlib.sha256(json.dumps([version(name) for name in LIBRARIES]).encode())
    for name in CODE:
        path = PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sha.update(source.read_bytes())
    return sha.hexdigest()


def _teach(
    key: str,
    demonstration: Demonstration,
    pretrained: Pretrained,
    teaching: Teaching,
    seed: int,
) -> Any:
    return teach(demonstration, pretrained, teaching, seed)
