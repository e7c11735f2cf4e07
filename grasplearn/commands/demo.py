"""``grasplearn demo``: one demonstration, the trials that follow, a video and a page of it all."""

from __future__ import annotations

import json
import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from grasplearn.commands.common import Report, load_objects, names, progress, write_figures
from grasplearn.commands.learnt import draw_heat, save_skill
from grasplearn.config import Demo
from grasplearn.errors import FileFormatError, UnknownNameError
from grasplearn.evaluate import make_lesson
from grasplearn.files import write_files
from grasplearn.film import SPEED, Film
from grasplearn.learning.methods import UNTAUGHT
from grasplearn.lessons import save_lesson
from grasplearn.plan import METHODS, EvaluationSettings
from grasplearn.policies import LEARNED, Grasper
from grasplearn.policies.learned import one_thread, weights_digest
from grasplearn.results import RESULTS, RUN, Row, locked, summarize, to_row
from grasplearn.show.notes import NOTES
from grasplearn.show.overlay import (
    demonstration_picture,
    depth_picture,
    prediction_picture,
    save_png,
)
from grasplearn.show.page import DemoPage, Figure, TrialPicture, write_page
from grasplearn.show.style import Frame
from grasplearn.show.table import print_summary
from grasplearn.sim.camera import Eye
from grasplearn.sim.judge import correct_grasp
from grasplearn.sim.objects import USER_SPLIT, Catalogue
from grasplearn.sim.viewer import FROM_THE_SIDE, Window, portrait_camera, view
from grasplearn.sim.world import Watcher, World
from grasplearn.statistics import MEAN
from grasplearn.tiers import TIERS
from grasplearn.trial import SCRIPTED, run_trial, teach, trial_scene, trial_seed
from grasplearn.types import Grasp, SceneSpec, TrialResult, TrialSpec

DEFAULT_OBJECT, DEFAULT_PART = "hammer_06", "handle"
# So many trials are on the video: more would take longer than anybody watches.
FILMED = 3
PAGE, VIDEO, PICTURES = "index.html", "trials.mp4", "trials"


def run(options: Demo) -> None:
    if options.rule not in LEARNED:
        raise UnknownNameError("learning rule", options.rule, LEARNED)
    methods = options.methods or f"{UNTAUGHT},{options.rule},{SCRIPTED}"
    settings = EvaluationSettings(
        methods=names(methods, METHODS),
        tiers=(options.tier,),
        objects=None if options.objects is None else str(options.objects),
        trials=options.trials,
        seed=options.seed,
        weights=options.weights,
    )
    with progress(options.quiet) as report, ExitStack() as stack:
        stack.enter_context(one_thread(settings.methods))
        catalogue = load_objects(options.objects, report)
        options = _chosen(options, catalogue)
        model = catalogue.get(str(options.object))
        window = Window(catalogue) if options.gui else None
        if window:
            stack.callback(window.close)
        stack.enter_context(locked(options.out))
        if (options.out / RUN).exists():
            raise FileFormatError(f"{options.out} holds an evaluation; choose another --out")
        digest = weights_digest(settings.methods, settings.weights)
        world = World(catalogue)
        stack.callback(world.close)
        demo = _Demo(options, settings, world, window)
        try:
            report("demonstration", 0, 1)
            demo.demonstrate(model.object_id)
            report("demonstration", 1, 1)
            demo.teach(report)
            demo.hold_trials(report)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped; {len(demo.rows)} trials are kept in {options.out}, and the same command "
                "makes all of them again"
            ) from None
        shown = {"object": model.object_id, "part": demo.lesson.part, "weights_digest": digest}
        summary = summarize(options.out, asdict(settings) | shown)
        page = write_page(demo.page(summary), options.out / PAGE)
    print_summary(_of_the_tier(summary))
    if demo.skill:
        print(f"skill: {demo.skill}")
    print(f"page: {page}")
    write_figures(options.json, summary)


def _chosen(options: Demo, catalogue: Catalogue) -> Demo:
    """With an object: a user's own first one, or one that everybody knows, by its handle."""
    if options.object is not None:
        return options
    own = [name for name in catalogue if catalogue.split_of(name) == USER_SPLIT]
    if own:
        return replace(options, object=own[0])
    return replace(options, object=DEFAULT_OBJECT, part=options.part or DEFAULT_PART)


@dataclass
class _Demo:
    """One demonstration and its trials: what is made grows here, and in the folder."""

    options: Demo
    settings: EvaluationSettings
    world: World
    window: Window | None
    rows: list[Row] = field(default_factory=list)
    pictures: list[TrialPicture] = field(default_factory=list)
    taught: dict[str, tuple[Grasper, float]] = field(default_factory=dict)
    learnt: tuple[Figure, ...] = ()
    skill: Path | None = None

    def demonstrate(self, object_id: str) -> None:
        options, world = self.options, self.world
        look_alike = TIERS[options.tier].look_alike
        self.lesson = make_lesson(world, object_id, options.seed, 0, look_alike, options.part)
        demonstration = self.lesson.demonstration
        save_lesson(options.out / "demonstration", self.lesson)
        save_png(options.out / "demonstration.png", demonstration_picture(demonstration))
        if self.window:
            world.reset(self.lesson.scene)
            world.execute(demonstration.grasp, self.window)

    def teach(self, report: Report) -> None:
        """Teaches every method; draws what the nets see now, and keeps the skill."""
        options, lesson, methods = self.options, self.lesson, self.settings.methods
        for count, method in enumerate(methods):
            report("teaching", count, len(methods))
            start = time.perf_counter()
            grasper = teach(method, self.world, lesson, options.seed, options.weights)
            self.taught[method] = grasper, time.perf_counter() - start
        report("teaching", len(methods), len(methods))
        self.world.reset(self._scene(0))
        graspers = {method: grasper for method, (grasper, _) in self.taught.items()}
        self.learnt = draw_heat(graspers, lesson, self.world.observe(), options.out)
        self.skill = save_skill(graspers, lesson, options.weights, options.out)

    def _seed(self, trial: int) -> int:
        return trial_seed(self.options.seed, self.options.tier, self.lesson.object_id, 0, trial)

    def _scene(self, trial: int) -> SceneSpec:
        others = self.world.catalogue.neighbours_of(self.lesson.object_id)
        tier = self.options.tier
        return trial_scene(self.world, self.lesson, tier, others, self._seed(trial))

    def hold_trials(self, report: Report) -> None:
        """Lets every method meet every scene; films the first ones."""
        options, lesson, methods = self.options, self.lesson, self.settings.methods
        for old in (options.out / PICTURES).glob("trial-*.png"):
            old.unlink()  # of an earlier demo, which may have had more
        filmed = min(options.trials, FILMED)
        total = options.trials * len(methods)
        with Film(self.world.catalogue, options.out / VIDEO, methods, filmed) as film:
            for trial in range(options.trials):
                seed, scene = self._seed(trial), self._scene(trial)
                for method in methods:
                    report("trials", len(self.rows), total)
                    watchers: list[Watcher] = [self.window] if self.window else []
                    if trial < filmed:
                        watchers.append(film.watch)
                    spec = TrialSpec(method, options.tier, lesson.object_id, 0, trial, seed)
                    grasper, teach_time = self.taught[method]
                    result = run_trial(
                        self.world, lesson, scene, grasper, spec, teach_time, _all(watchers)
                    )
                    if trial < filmed:
                        film.end_column(self.world, result)
                    self._keep(result, scene)
                film.end_trial()
        report("trials", total, total)

    def _keep(self, result: TrialResult, scene: SceneSpec) -> None:
        """Writes down the trial's row and draws its picture."""
        self.rows.append(to_row(result))
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_files(self.options.out, {RESULTS: lines.encode()})
        self.world.reset(scene)
        observation = self.world.observe()
        predicted = Grasp.from_dict(result.grasp) if result.grasp else None
        picture = prediction_picture(
            observation,
            predicted,
            correct_grasp(self.lesson, scene, self.world, predicted),
            None,
            448,
        )
        name = f"trial-{result.trial + 1:02d}-{result.method}.png"
        save_png(self.options.out / PICTURES / name, picture)
        self.pictures.append(TrialPicture(result, picture))

    def page(self, summary: dict[str, Any]) -> DemoPage:
        options, lesson, methods = self.options, self.lesson, self.settings.methods
        demonstration = lesson.demonstration
        filmed = min(options.trials, FILMED)
        name = self.world.catalogue.get(lesson.object_id).category.replace("_", " ")
        return DemoPage(
            object_name=name,
            part=lesson.part.replace("_", " "),
            object_picture=self._portrait(),
            shown=(
                Figure(
                    demonstration_picture(demonstration, None),
                    "What the camera above the table saw, and the grasp that was shown on it.",
                ),
                Figure(
                    depth_picture(demonstration.observation, None),
                    "Its depth, bright is near; pink is where the sensor saw nothing.",
                ),
            ),
            summary=_of_the_tier(summary),
            trials=tuple(self.pictures),
            command=shlex.join(["grasplearn", *sys.argv[1:]]),
            seed=options.seed,
            versions=summary["versions"],
            video=options.out / VIDEO,
            video_caption=(
                f"The first {filmed} of {options.trials} trials at {SPEED:g} times the speed, "
                f"from the left: {', '.join(methods)}."
            ),
            notes=NOTES,
            learnt=self.learnt,
        )

    def _portrait(self) -> Frame:
        """The robot with the object in its hand, as the demonstration ended."""
        lesson, eye = self.lesson, Eye(self.world.catalogue, with_arm=True)
        pictures: list[Frame] = []

        def keep_one(world: World, phase: str) -> None:
            if phase == "hold" and not pictures:
                eye.show(lesson.scene)
                eye.move(world.poses(), world.joint_positions)
                pictures.append(view(eye, camera, fine=2))

        held = lesson.demonstration.grasp.center_world + np.array([0.0, 0.0, 0.12])
        camera = portrait_camera(held, 0.5, (640, 640), FROM_THE_SIDE)
        try:
            self.world.reset(lesson.scene)
            self.world.execute(lesson.demonstration.grasp, keep_one)
        finally:
            eye.close()
        return pictures[0]


def _of_the_tier(summary: dict[str, Any]) -> list[Row]:
    """Without the mean of the tiers: a demo has one."""
    return [row for row in summary["rows"] if row["tier"] != MEAN]


def _all(watchers: list[Watcher]) -> Watcher:
    def watch(world: World, phase: str) -> None:
        for watcher in watchers:
            watcher(world, phase)

    return watch
