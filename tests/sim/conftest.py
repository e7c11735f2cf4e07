"""One simulator and a few lessons for all tests of the simulator's floor."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from grasplearn.sim.demonstrator import demonstrate
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.types import Lesson

Lessons = Callable[..., Lesson]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.builtin()


@pytest.fixture(scope="session")
def world(catalogue: Catalogue) -> Iterator[World]:
    made = World(catalogue)
    yield made
    made.close()


@pytest.fixture(scope="session")
def lessons(world: World, catalogue: Catalogue) -> Lessons:
    """Makes a lesson about an object the first time it is asked for."""
    known: dict[tuple[str, bool], Lesson] = {}

    def lesson(object_id: str, look_alike: bool = False) -> Lesson:
        key = (object_id, look_alike)
        if key not in known:
            model = catalogue.get(object_id)
            known[key] = demonstrate(
                world,
                model,
                catalogue.neighbours_of(model.object_id),
                np.random.default_rng(zlib.crc32(f"test/{key}".encode())),
                kin=catalogue.kin_of(object_id),
                look_alike=look_alike,
            )
        return known[key]

    return lesson
