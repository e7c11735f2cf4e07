"""The step size of each way of fine-tuning, found on VALIDATION objects and without physics.

    python benchmarks/rates.py --weights narrow --tiers clutter,kin [--out out/rates] [--resume]

Every method is tried with the same step sizes on the same lessons, and refines each of them. It is
taught from each lesson once and asked about freshly drawn scenes of every tier; a hit is what the
metric calls "on part": within 2 cm and 30 degrees of the shown grasp up to symmetry (of kin: on the
same part). ``imprint`` and ``untaught`` stand beside them. The best step sizes go into RATES of
``learning/teaching_settings.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import tyro

from grasplearn.errors import DemonstrationError, NoGraspError, SceneError
from grasplearn.evaluate import make_lesson
from grasplearn.learning.methods import IMPRINT, LEARNED, UNTAUGHT
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.taught import Taught
from grasplearn.learning.teaching import teach
from grasplearn.learning.teaching_settings import RATES, Teaching
from grasplearn.plan import EvaluationSettings, load_catalogue, select_objects
from grasplearn.policies.learned import one_thread
from grasplearn.results import RowFile, claimed, read_lines
from grasplearn.sim.judge import judge
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene, trial_seed
from grasplearn.types import Grasp, GraspReport, Lesson, Observation, Outcome, SceneSpec

SPLIT = "validation"
LOG = "rates.jsonl"
DEFAULT = Teaching()
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is tried, and on what."""

    weights: str = "shipped"
    """Pre-trained weights: shipped, narrow or a file."""
    methods: str = ",".join(RATES)
    """Which ways of fine-tuning: names separated by commas."""
    optimizer: str = DEFAULT.optimizer
    """lars, sgd or adam."""
    rates: str = "5e-3,1.5e-2,4.5e-2"
    """The step sizes that each of them is tried with."""
    blocks: str = str(DEFAULT.blocks)
    """The blocks' step size / the head's: likewise."""
    frozen: str = str(DEFAULT.frozen)
    """What share of the blocks, the first ones, stay as they are: likewise."""
    shares: str = str(DEFAULT.share)
    """How far to go of what fine-tuning came to: likewise."""
    tiers: str = ",".join(TIERS)
    """Which tiers the scenes are of."""
    max_objects: int = 12
    """How many validation objects, spread over the categories."""
    scenes: int = 2
    """Scenes per object and tier."""
    steps: int = DEFAULT.steps
    batch: int = DEFAULT.batch
    side: int = DEFAULT.augmentation.side
    scale: float = DEFAULT.augmentation.scale
    stretch: float = DEFAULT.augmentation.stretch
    seed: int = 0
    workers: int = 1
    out: Path = Path("out/rates")
    """Here LOG is written: a row by method, step size, object and tier, an object at a time."""
    resume: bool = False
    """Go on with the objects that are not in the log yet."""

    def teachings(self) -> Iterator[Teaching]:
        """All that is tried: first without fine-tuning, then every method with every step size."""
        samples = replace(
            DEFAULT.augmentation, side=self.side, scale=self.scale, stretch=self.stretch
        )
        yield from (Teaching(UNTAUGHT), Teaching(IMPRINT))
        for method in self.methods.split(","):
            tried = (self.rates, self.blocks, self.frozen, self.shares)
            for rate, blocks, frozen, share in product(*(each.split(",") for each in tried)):
                yield Teaching(
                    method,
                    steps=self.steps,
                    batch=self.batch,
                    optimizer=self.optimizer,
                    rate=float(rate),
                    blocks=float(blocks),
                    frozen=float(frozen),
                    share=float(share),
                    augmentation=samples,
                    doubt=0,
                )


def scenes(
    world: World, lesson: Lesson, tier: str, search: Search
) -> Iterator[tuple[SceneSpec, Observation]]:
    """Scenes as an evaluation draws them, and what the camera sees."""
    others = world.catalogue.neighbours_of(lesson.object_id)
    for trial in range(search.scenes):
        seed = trial_seed(search.seed, tier, lesson.object_id, 0, trial)
        try:
            scene = trial_scene(world, lesson, tier, others, seed)
        except SceneError:
            continue
        world.reset(scene)
        yield scene, world.observe()


def hit(world: World, lesson: Lesson, scene: SceneSpec, grasp: Grasp) -> bool:
    model = world.catalogue.get(scene.objects[0].object_id)
    return judge(lesson, model, scene, grasp, GraspReport(Outcome.LIFTED, 0)).on_part


def row(world: World, lesson: Lesson, tier: str, taught: Taught, seen: list[Any]) -> Row:
    hits = 0
    for scene, observation in seen:
        try:
            hits += hit(world, lesson, scene, taught.predict(observation).grasp)
        except NoGraspError:
            continue
    return {
        "method": taught.teaching.method,
        "rate": taught.teaching.rate,
        "blocks": taught.teaching.blocks,
        "frozen": taught.teaching.frozen,
        "share": taught.teaching.share,
        "object": lesson.object_id,
        "tier": tier,
        "hits": hits,
        "trials": len(seen),
        "kept": taught.kept,
        "probe_loss": taught.probe_loss,
        "seconds": taught.seconds,
    }


def search_object(search: Search, object_id: str) -> list[Row]:
    """All rows of one object."""
    world, pretrained = World(load_catalogue(None)[0]), load_pretrained(search.weights)
    rows = []
    with one_thread(LEARNED):
        for look_alike in (False, True):
            tiers = [t for t in search.tiers.split(",") if TIERS[t].look_alike == look_alike]
            try:
                lesson = make_lesson(world, object_id, search.seed, 0, look_alike)
            except DemonstrationError:
                continue
            seen = {tier: list(scenes(world, lesson, tier, search)) for tier in tiers}
            for teaching in search.teachings() if tiers else ():
                taught = teach(lesson.demonstration, pretrained, teaching, search.seed)
                rows += [row(world, lesson, tier, taught, seen[tier]) for tier in tiers]
    world.close()
    return rows


def rate_of(rows: list[Row]) -> float:
    trials = sum(r["trials"] for r in rows)
    return sum(r["hits"] for r in rows) / trials if trials else float("nan")


def main(search: Search) -> None:
    """Prints the hit rate of every method and step size, by tier and their mean."""
    tiers = tuple(search.tiers.split(","))
    settings = EvaluationSettings(
        (IMPRINT,), tiers, split=SPLIT, max_objects=search.max_objects, seed=search.seed
    )
    list(search.teachings())  # what cannot be tried is told at once
    names = [m.object_id for m in select_objects(load_catalogue(None)[0], settings)]
    told = {k: v for k, v in asdict(search).items() if k not in ("workers", "out", "resume")}
    with claimed(search.out, told, search.resume):
        done = {r["object"] for r in read_lines(search.out / LOG, lambda r: r["object"])}
        with RowFile(search.out / LOG) as log:
            for made in joblib.Parallel(search.workers, return_as="generator_unordered")(
                joblib.delayed(search_object)(search, name) for name in names if name not in done
            ):
                log.append(made)
        rows = read_lines(search.out / LOG, lambda r: r["object"])
    cells: dict[tuple[str, float | None, float, float, float], list[Row]] = defaultdict(list)
    for r in rows:
        cells[r["method"], r["rate"], r["blocks"], r["frozen"], r["share"]].append(r)
    print(f"{len(names)} {SPLIT} objects, {search.scenes} scenes a tier, weights {search.weights}")
    print(
        f"{'method':24}",
        *(f"{name:>8}" for name in ("rate", "blocks", "frozen", "share")),
        *(f"{tier:>8}" for tier in (*tiers, "mean", "refined")),
    )
    for (method, *tried), some in cells.items():
        by_tier = [rate_of([r for r in some if r["tier"] == tier]) for tier in tiers]
        kept = sum(r["kept"] == "refined" for r in some) / len(some)
        figures = (*by_tier, sum(by_tier) / len(tiers), kept)
        print(
            f"{method:24}",
            *(f"{'' if tried[0] is None else each:>8}" for each in tried),
            *(f"{figure:8.3f}" for figure in figures),
        )


if __name__ == "__main__":
    main(tyro.cli(Search))
