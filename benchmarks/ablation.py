"""What a part of answering is worth: the same imprints and scenes, with it and without.

    python benchmarks/ablation.py room [--objects 24] [--trials 2] [--seed 1] [--tiers same,clutter]
    python benchmarks/ablation.py wholes ...
    python benchmarks/ablation.py footprint ...

``room`` fits a grasp to the hand's room, ``wholes`` compares whole things with the demonstration's,
``footprint`` lays the shown thing over what is proposed.
On VALIDATION objects. Where both grasps are the same one is executed. Prints trials won and lost by
tier, and how deep (mm beyond ``room.TOLERANCE``) the grasps without it stood in what was seen, by
how they ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import tyro
from numpy.typing import NDArray

from grasplearn.errors import DemonstrationError, NoGraspError, SceneError
from grasplearn.evaluate import make_lesson
from grasplearn.footprint import Footprint
from grasplearn.geometry import heightmap, room_in
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.taught import Taught
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import Teaching
from grasplearn.plan import EvaluationSettings, load_catalogue, select_objects
from grasplearn.room import Room
from grasplearn.sim.judge import judge
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene, trial_seed
from grasplearn.types import Grasp, Lesson
from grasplearn.whole import Contrast


def as_proposed(self: Room, grasps: list[Grasp], probabilities: list[float]) -> tuple[int, Grasp]:
    """Stands in for ``Room.best``: the most probable place, whatever room there is."""
    return 0, grasps[0]


def alike(
    self: object, picture: object, places: Sequence[object], *_: object
) -> NDArray[np.float64]:
    """Stands in for ``scores`` of both: one place is as likely as another."""
    return np.zeros(len(places))


# What stands in for each part.
PARTS: dict[str, tuple[Any, str, Any]] = {
    "room": (Room, "best", as_proposed),
    "wholes": (Contrast, "scores", alike),
    "footprint": (Footprint, "scores", alike),
}


class Comparison:
    """Trials of one taught imprint after another, each with and without a part of answering."""

    def __init__(self, world: World, seed: int, part: str) -> None:
        self._world, self._seed, self._part = world, seed, PARTS[part]
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.depths: defaultdict[str, list[float]] = defaultdict(list)

    def hold(self, lesson: Lesson, taught: Taught, tier: str, trial: int) -> None:
        world = self._world
        seed = trial_seed(self._seed, tier, lesson.object_id, 0, trial)
        others = world.catalogue.neighbours_of(lesson.object_id)
        scene = trial_scene(world, lesson, tier, others, seed)
        world.reset(scene)
        seen = world.observe()
        with patch.object(*self._part):
            plain = taught.predict(seen).grasp
        better = taught.predict(seen).grasp
        model = world.catalogue.get(scene.objects[0].object_id)
        without = judge(lesson, model, scene, plain, world.execute(plain))
        with_it = without
        if plain.to_dict() != better.to_dict():
            world.reset(scene)
            with_it = judge(lesson, model, scene, better, world.execute(better))
            self.counts[tier]["changed"] += 1
        self.counts[tier].update(
            trials=1,
            without=int(without.success),
            with_it=int(with_it.success),
            won=int(with_it.success and not without.success),
            lost=int(without.success and not with_it.success),
        )
        depth = room_in(heightmap(seen)).lacking(plain)
        self.depths[without.outcome.value].append(1000 * depth)


def main(
    part: tyro.conf.Positional[Literal["room", "wholes", "footprint"]],
    objects: int = 24,
    trials: int = 2,
    seed: int = 1,
    tiers: str = ",".join(TIERS),
    weights: str = "shipped",
) -> None:
    """Holds the trials and prints the tables."""
    world, pretrained = World(load_catalogue(None)[0]), load_pretrained(weights)
    chosen = tuple(tiers.split(","))
    settings = EvaluationSettings(("imprint",), chosen, split="validation", max_objects=objects)
    comparison = Comparison(world, seed, part)
    for model in select_objects(world.catalogue, settings):
        for look_alike in (False, True):
            own = [tier for tier in chosen if TIERS[tier].look_alike == look_alike]
            try:
                lesson = own and make_lesson(world, model.object_id, seed, 0, look_alike, None)
            except (DemonstrationError, SceneError) as error:
                print(f"{model.object_id}: {error}")
                continue
            if not lesson:
                continue
            taught = teach(lesson.demonstration, pretrained, Teaching("imprint"), seed)
            for tier in own:
                for trial in range(trials):
                    try:
                        comparison.hold(lesson, taught, tier, trial)
                    except (NoGraspError, SceneError) as error:
                        print(f"{model.object_id}, {tier}: left out, {error}")
    names = ("trials", "without", "with_it", "won", "lost", "changed")
    total: Counter[str] = Counter()
    for tier, counts in comparison.counts.items():
        total.update(counts)
        print(f"{tier:10}" + "".join(f"{name} {counts[name]:<6}" for name in names))
    print(f"{'all':10}" + "".join(f"{name} {total[name]:<6}" for name in names))
    for outcome, depths in comparison.depths.items():
        told = np.percentile(depths, (50, 90, 99)).round(1)
        print(f"{outcome}: n {len(depths)}, mm too deep, 50/90/99 %: {told}")
    world.close()


if __name__ == "__main__":
    tyro.cli(main)
