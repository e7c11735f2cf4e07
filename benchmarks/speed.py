"""How fast the world runs, beside panda-gym in the same process.

    python benchmarks/speed.py [--trials-per-tier 40] [--json-file out/speed.json]

CPU seconds of one process; panda-gym (extra ``peers``) gets a row if it is installed. Trials: scene
drawn, reset, one 224 x 224 RGB-D observation, a grasp with lift, hold and shake, on ten test
categories in turn, seed 0; demonstrations are made before the clock runs. Steps: the arm and one
box at rest, as panda-gym's PickAndPlace has one cube; and with all four objects of a scene.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from grasplearn.evaluate import make_lesson
from grasplearn.sim.demonstrator import replay
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene, trial_seed
from grasplearn.types import PlacedObject


def cpu_time(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def trials(world: World, count: int, tier: str) -> dict[str, list[float]]:
    """CPU seconds of the parts of a trial: drawing the scene, reset and picture, execution."""
    firsts = {m.category: m.object_id for m in world.catalogue.select(split="test")}
    lessons = [
        make_lesson(world, name, seed=0, look_alike=TIERS[tier].look_alike)
        for name in list(firsts.values())[:10]
    ]
    times: dict[str, list[float]] = {"draw": [], "reset_and_observe": [], "execute": []}
    for index in range(count):
        lesson = lessons[index % len(lessons)]
        model = world.catalogue.get(lesson.object_id)
        others = world.catalogue.neighbours_of(model.object_id)
        seed = trial_seed(0, tier, model.object_id, 0, index)
        start = time.process_time()
        scene = trial_scene(world, lesson, tier, others, seed)
        times["draw"].append(time.process_time() - start)
        grasp = replay(world, lesson, scene, np.random.default_rng(0))
        start = time.process_time()
        world.reset(scene)
        world.observe()
        times["reset_and_observe"].append(time.process_time() - start)
        if grasp is not None:
            times["execute"].append(cpu_time(lambda g=grasp: world.execute(g)))
    return times


def observations(world: World, count: int) -> float:
    """Observations per CPU second over scenes of tier ``same``, light and shadow as drawn."""
    model = world.catalogue.select(split="test")[0]
    lesson = make_lesson(world, model.object_id, seed=0)
    others = world.catalogue.neighbours_of(model.object_id)
    spent = 0.0
    scenes = 10
    for index in range(scenes):
        world.reset(trial_scene(world, lesson, "same", others, index))
        world.observe()
        spent += cpu_time(lambda: [world.observe() for _ in range(count // scenes)])
    return count / spent


def steps(world: World, objects: Sequence[PlacedObject], count: int) -> float:
    """Physics steps per CPU second with the arm and these objects, none of them asleep."""
    world.build(objects)
    return count / cpu_time(lambda: world.step(count))


def peer(count: int) -> dict[str, float] | None:
    """panda-gym's PandaPickAndPlace: physics steps and 224 x 224 frames per CPU second."""
    try:
        import gymnasium
        import panda_gym  # noqa: F401  registers its environments
    except ImportError:
        return None
    env = gymnasium.make(
        "PandaPickAndPlace-v3", render_mode="rgb_array", render_width=224, render_height=224
    )
    env.reset(seed=0)
    client = env.unwrapped.sim.physics_client  # type: ignore[attr-defined]
    physics = count / cpu_time(lambda: [client.stepSimulation() for _ in range(count)])
    env.render()
    frames = 30 / cpu_time(lambda: [env.render() for _ in range(30)])
    env.close()
    return {"physics_steps_per_s": physics, "frames_per_s": frames}


def main(trials_per_tier: int = 40, json_file: Path | None = None) -> None:
    """Prints and optionally writes the figures."""
    world = World(Catalogue.builtin())
    out: dict[str, Any] = {"trial_cpu_s": {}}
    for tier in TIERS:
        times = trials(world, trials_per_tier, tier)
        medians = {name: float(np.median(values)) for name, values in times.items()}
        out["trial_cpu_s"][tier] = medians | {"sum": sum(medians.values())}
        print(f"trial, {tier:8}", {k: round(v, 3) for k, v in out["trial_cpu_s"][tier].items()})
    lesson = make_lesson(world, "box_06", seed=0)
    out["grasplearn"] = {
        "physics_steps_per_s": steps(world, lesson.scene.objects[:1], 6000),
        "physics_steps_per_s_four_objects": steps(world, lesson.scene.objects, 6000),
        "frames_per_s": observations(world, 200),
    }
    out["panda_gym"] = peer(6000)
    for name in ("grasplearn", "panda_gym"):
        print(name, {k: round(v, 1) for k, v in (out[name] or {}).items()} or "not installed")
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(out, indent=2))


if __name__ == "__main__":
    tyro.cli(main)
