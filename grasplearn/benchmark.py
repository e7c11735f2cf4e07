"""Named benchmarks: which objects, demonstrations, scenes and seeds, and a hash of all of it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from grasplearn.assets import assets_root
from grasplearn.errors import UnknownNameError
from grasplearn.evaluate import LESSONS
from grasplearn.plan import METHODS, EvaluationSettings
from grasplearn.policies import CONTROLS
from grasplearn.tiers import TIERS
from grasplearn.trial import SCRIPTED

BENCHMARKS = ("v2",)
# What the quick subset tries: nothing whose figures hang on the weights.
QUICK_METHODS = (SCRIPTED, *CONTROLS)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, or its quick subset.

    Attributes:
        name: out of BENCHMARKS. quick: whether this is the subset.
        seed, tiers, demos, trials, objects: see ``EvaluationSettings``.
    """

    name: str
    quick: bool
    seed: int
    tiers: tuple[str, ...]
    demos: int
    trials: int
    objects: tuple[str, ...]

    @property
    def default_methods(self) -> tuple[str, ...]:
        return QUICK_METHODS if self.quick else METHODS

    def settings(self, methods: Sequence[str], weights: str) -> EvaluationSettings:
        """What an evaluation of these methods on it is."""
        return EvaluationSettings(
            methods=tuple(methods),
            tiers=self.tiers,
            split="test",
            demos=self.demos,
            trials=self.trials,
            seed=self.seed,
            weights=weights,
            only=self.objects,
        )

    @property
    def hash(self) -> str:
        """Of all that is fixed: names and numbers, the tiers' definitions, the objects' files."""
        manifest = tomllib.loads((assets_root() / "manifest.toml").read_text(encoding="utf-8"))
        digests = {row["id"]: row["sha256"] for row in manifest["objects"]}
        told = {
            **asdict(self),
            "tier_definitions": {tier: asdict(TIERS[tier]) for tier in self.tiers},
            # All objects: neighbours and kin come from the others.
            "object_digests": digests,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What every result says of it."""
        return {"benchmark": self.name, "quick": self.quick, "benchmark_hash": self.hash}


def read_benchmark(name: str, quick: bool = False) -> Benchmark:
    """Returns a benchmark by name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise UnknownNameError("benchmark", name, BENCHMARKS)
    text = (files("grasplearn") / f"benchmark_{name}.toml").read_text(encoding="utf-8")
    told = tomllib.loads(text)
    subset = told.pop("quick")
    told |= subset if quick else {}
    told |= {key: tuple(told[key]) for key in ("tiers", "objects")}
    return Benchmark(quick=quick, **told)


def demonstrations_digest(out: Path) -> str:
    """Of all lessons of a run: equal where the simulator made the same ones to the bit."""
    sha = hashlib.sha256()
    for path in sorted((out / LESSONS).rglob("*")):
        if path.is_file():
            sha.update(path.relative_to(out).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()
