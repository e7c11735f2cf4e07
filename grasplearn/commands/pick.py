"""``grasplearn pick``: a skill at work, in the simulator or on a person's own picture."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from grasplearn.commands.common import Report, load_objects, progress, write_figures
from grasplearn.commands.own_picture import own_picture
from grasplearn.config import Pick
from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.geometry import invert, project
from grasplearn.lessons import is_complete, load_lesson
from grasplearn.library import DEMONSTRATION, find_skill
from grasplearn.policies.learned import one_thread
from grasplearn.results import to_row
from grasplearn.seeing import Seeing
from grasplearn.show.overlay import save_png
from grasplearn.show.style import verdict
from grasplearn.show.table import print_summary
from grasplearn.skill import Skill
from grasplearn.statistics import MEAN, rates
from grasplearn.tiers import TIERS
from grasplearn.types import Grasp, Lesson, Observation, TrialResult, TrialSpec

OUT = Path("out/pick")
OVERLAY, PICTURES = "overlay.png", "trials"


def run(options: Pick) -> None:
    folder = find_skill(options.library, options.name)
    observation = own_picture(options)
    if observation is not None and options.video is not None:
        raise InvalidValueError("--video films the simulator; a picture of your own has none")
    if options.tier not in TIERS:
        raise UnknownNameError("tier", options.tier, TIERS)
    if options.trials < 1:
        raise InvalidValueError(f"trials must be at least 1, got {options.trials}")
    skill = Skill.load(folder, options.weights)
    with one_thread([skill.method]):
        if observation is not None:
            _pick_from_picture(options, skill, observation)
        else:
            _pick_in_simulator(options, skill, folder)


def _pick_from_picture(options: Pick, skill: Skill, observation: Observation) -> None:
    seeing = Seeing(skill)
    grasp = seeing(observation)
    assert seeing.prediction is not None
    confidence = seeing.prediction.confidence
    place = options.out or OUT / options.name
    place = place if place.suffix == ".png" else place / OVERLAY
    caption = f"{options.name}, confidence {confidence:.2f}"
    save_png(place, seeing.picture(caption=caption))
    figures = {
        "skill": options.name,
        "method": skill.method,
        "confidence": confidence,
        **_frames(observation, grasp),
        "overlay": str(place),
    }
    print(json.dumps(figures, indent=2))
    write_figures(options.json, figures)


def _frames(observation: Observation, grasp: Grasp) -> dict[str, Any]:
    """The grasp in the world's and the camera's frame; m, rad and pixels."""
    camera = observation.camera
    T_cam_grasp = invert(camera.T_world_cam) @ grasp.T_world_grasp
    return {
        "width": grasp.width,
        "world": {
            "center": grasp.center_world.tolist(),
            "yaw": grasp.yaw,
            "T_world_grasp": grasp.T_world_grasp.tolist(),
        },
        "cam": {"center": T_cam_grasp[:3, 3].tolist(), "T_cam_grasp": T_cam_grasp.tolist()},
        "pixel": project(camera, grasp.center_world).tolist(),
        "T_world_cam": camera.T_world_cam.tolist(),
    }


def _pick_in_simulator(options: Pick, skill: Skill, folder: Path) -> None:
    if not is_complete(folder / DEMONSTRATION):
        raise InvalidValueError(
            f"'{options.name}' was shown on a picture of your own, which no simulated object fits; "
            "pick with --rgb, --depth and --camera"
        )
    lesson = load_lesson(folder / DEMONSTRATION)
    if TIERS[options.tier].look_alike and not TIERS[lesson.scene.tier].look_alike:
        raise InvalidValueError(
            f"no look-alike was there when '{options.name}' was shown; teach it with --tier "
            f"{options.tier} to pick in that tier"
        )
    out = options.out or OUT / options.name
    results: list[TrialResult] = []
    try:
        with progress(options.quiet) as report:
            _hold_trials(options, skill, lesson, out / PICTURES, results, report)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; the pictures of {len(results)} trials are in {out / PICTURES}"
        ) from None
    rows = [to_row(result) for result in results]
    summary = [row for row in rates(rows) if row["tier"] != MEAN]
    print_summary(summary)
    for result in results:
        print(f"trial {result.trial + 1}: {verdict(result).label}")
    print(f"pictures: {out / PICTURES}" + (f", video: {options.video}" if options.video else ""))
    write_figures(
        options.json, {"skill": options.name, "seed": options.seed, "rows": summary, "trials": rows}
    )


def _hold_trials(
    options: Pick,
    skill: Skill,
    lesson: Lesson,
    pictures: Path,
    results: list[TrialResult],
    report: Report,
) -> None:
    """Lets the skill meet every scene; what comes of it is added to ``results``."""
    from grasplearn.film import Film
    from grasplearn.sim.world import World, ignore
    from grasplearn.trial import run_trial, trial_scene, trial_seed

    catalogue = load_objects(options.objects, report)
    if lesson.object_id not in catalogue:
        raise InvalidValueError(
            f"'{options.name}' was taught on '{lesson.object_id}', which is not among the objects; "
            "say with --objects where yours are"
        )
    others = catalogue.neighbours_of(lesson.object_id)
    with ExitStack() as stack:
        world = World(catalogue)
        stack.callback(world.close)
        film = None
        if options.video is not None:
            film = stack.enter_context(
                Film(catalogue, options.video, (skill.method,), options.trials)
            )
        for old in pictures.glob("trial-*.png"):
            old.unlink()  # of an earlier pick, which may have had more
        for trial in range(options.trials):
            report("trials", trial, options.trials)
            seed = trial_seed(options.seed, options.tier, lesson.object_id, 0, trial)
            scene = trial_scene(world, lesson, options.tier, others, seed)
            spec = TrialSpec(skill.method, options.tier, lesson.object_id, 0, trial, seed)
            seeing = Seeing(skill)
            watch = film.watch if film else ignore
            result = run_trial(world, lesson, scene, seeing, spec, skill.taught.seconds, watch)
            results.append(result)
            caption = f"trial {trial + 1}: {verdict(result).label}"
            save_png(pictures / f"trial-{trial + 1:02d}.png", seeing.picture(caption=caption))
            if film:
                film.end_column(world, result)
                film.end_trial()
        report("trials", options.trials, options.trials)
