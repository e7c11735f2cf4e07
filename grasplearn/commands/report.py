"""``grasplearn report``: one HTML page of an evaluation, and of what changed to further ones."""

from __future__ import annotations

import json
import math
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grasplearn.commands.common import Report as Progress
from grasplearn.commands.common import progress, write_figures
from grasplearn.commands.replay import Replay, heat, lesson_folder, lesson_name, replay
from grasplearn.config_evaluation import Report
from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.files import load_demonstration
from grasplearn.lessons import is_complete
from grasplearn.plan import lessons_of, load_catalogue, select_objects
from grasplearn.policies import LEARNED
from grasplearn.policies.learned import one_thread, weights_digest
from grasplearn.results import Row, commit, versions
from grasplearn.runs import Run, read_run
from grasplearn.show.overlay import closeup, demonstration_picture, prediction_picture
from grasplearn.show.report import CEILING, Change, Failure, ReportPage, verdict_of, write_report
from grasplearn.show.style import Frame, verdict
from grasplearn.show.video import Video
from grasplearn.sim.judge import MAX_POSITION_ERROR, MAX_YAW_ERROR
from grasplearn.sim.viewer import Recorder, side_camera
from grasplearn.statistics import compare_runs
from grasplearn.trial import SCRIPTED
from grasplearn.types import Outcome, TrialResult

PAGE = "report.html"
PICTURE_SIDE, THUMBNAIL_SIDE = 320, 112
# A clip is to be small: 10 frames per simulated second, shown at 15.
CLIP_SIZE, EVERY, FPS = (320, 320), 3, 15
assert CEILING == SCRIPTED


def run(options: Report) -> None:
    if options.pictures < 0 or options.clips < 0:
        raise InvalidValueError("pictures and clips must be at least 0")
    first, *others = [read_run(folder) for folder in (options.run, *options.others)]
    with progress(options.quiet) as report:
        failures, unshown = _failures(first, options.pictures, options.clips, report)
        page = ReportPage(
            name=first.folder.resolve().name,
            rows=first.rows,
            teaching=first.teaching,
            thumbnails=_thumbnails(first),
            failures=failures,
            unshown=unshown,
            memory=_memory(first),
            changes=[_change(first, other) for other in others],
            finished=_is_finished(first),
            command=first.summary.get("command") or _command(first),
            commit=str(first.summary.get("commit", commit())),
            versions=first.summary.get("versions", versions()),
            settings=_told(first),
        )
        place = write_report(page, options.out or first.folder / PAGE)
    verdict = verdict_of(first.rows)
    best, second = verdict["best"], verdict["second"]
    tie = f" and {second['method']}" if second and second["rate"] == best["rate"] else ""
    print(f"best: {best['method']}{tie}, {best['rate']:.2f}")
    for change in page.changes:
        print(
            f"{change.name}: {len(change.significant)} of {len(change.cells)} changes significant"
        )
    print(f"page: {place}")
    figures = {"page": str(place), "changes": [list(change.cells) for change in page.changes]}
    write_figures(options.json, figures)


def _failures(
    run: Run, pictures: int, clips: int, report: Progress
) -> tuple[dict[str, list[Failure]], str]:
    """By method its worst failures, one of every outcome first; and why some are not shown."""
    chosen = [
        (method, row)
        for method in run.methods
        if method != SCRIPTED
        for row in _worst([r for r in run.rows if r["method"] == method], pictures)
    ]
    found: dict[str, list[Failure]] = {}
    filmed: set[str] = set()
    missing = 0
    for count, (method, row) in enumerate(chosen):
        report("pictures", count, len(chosen))
        film = method not in filmed and len(filmed) < clips
        try:
            failure = _failure(run, row, replay(run, row), film)
        except GraspLearnError:
            missing += 1
            continue
        found.setdefault(method, []).append(failure)
        if failure.clip:
            filmed.add(method)
    report("pictures", len(chosen), len(chosen))
    unshown = f"{missing} more could not be set up again on this machine." if missing else ""
    return found, unshown


def _worst(rows: Sequence[Row], count: int) -> list[Row]:
    """Failures with a grasp: of every outcome the farthest off, then the farthest of all."""

    def far(row: Row) -> float:
        if row["position_error_m"] is None or row["yaw_error_rad"] is None:
            return 0.0
        offset = float(row["position_error_m"]) / MAX_POSITION_ERROR
        return max(offset, float(row["yaw_error_rad"]) / MAX_YAW_ERROR)

    lost = [r for r in rows if not r["success"] and r["outcome"] != Outcome.ERROR.value]
    lost.sort(key=far, reverse=True)
    firsts = {r["outcome"]: r for r in reversed(lost)}
    some = [r for r in lost if r is firsts[r["outcome"]]]
    return [*some, *(r for r in lost if r not in some)][:count]


def _failure(run: Run, row: Row, seen: Replay, film: bool) -> Failure:
    result = TrialResult(**{**row, "outcome": Outcome(row["outcome"])})
    ended = verdict(result)
    error = ""
    if row["position_error_m"] is not None and row["yaw_error_rad"] is not None:
        degrees = math.degrees(row["yaw_error_rad"])
        error = f"{1000 * row['position_error_m']:.0f} mm and {degrees:.0f}° off"
    clip, poster = _clip(row, seen) if film else (b"", None)
    return Failure(
        row=row,
        shown=demonstration_picture(seen.lesson.demonstration, None, PICTURE_SIDE),
        seen=prediction_picture(seen.observation, seen.predicted, seen.correct, None, PICTURE_SIDE),
        heat=heat(run, row, seen, PICTURE_SIDE),
        label=ended.label,
        advice=ended.advice,
        error=error,
        clip=clip,
        poster=poster,
    )


def _clip(row: Row, seen: Replay) -> tuple[bytes, Frame | None]:
    """The trial as MP4, and its last picture; nothing if it goes otherwise than it did then."""
    frames: list[Frame] = []
    recorder = Recorder(
        seen.world.catalogue,
        lambda frame, phase: frames.append(frame),
        side_camera(CLIP_SIZE),
        EVERY,
    )
    try:
        report = seen.execute(recorder)
    finally:
        recorder.close()
    same = {row["outcome"], Outcome.LIFTED.value if row["lifted"] else row["outcome"]}
    # The judge calls a lift of something else by its own name.
    same |= {Outcome.LIFTED.value} if row["outcome"] == Outcome.WRONG_OBJECT.value else set()
    if report is None or report.outcome.value not in same or not frames:
        return b"", None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with Video(path, FPS) as video:
            for frame in frames:
                video.add(frame)
        return path.read_bytes(), frames[-1]


def _thumbnails(run: Run) -> dict[str, Frame]:
    """Every object as its first demonstration shows it."""
    pictures: dict[str, Frame] = {}
    for row in run.rows:
        folder = lesson_folder(run, lesson_name(row))
        if row["object"] not in pictures and is_complete(folder):
            shown = load_demonstration(folder)
            pictures[row["object"]] = closeup(shown.observation, shown.grasp, 0.2, THUMBNAIL_SIDE)
    return pictures


def _memory(run: Run) -> dict[str, int]:
    """Live bytes at the peak of one teaching step of every method that takes steps.

    Measured now, on the first lesson; nothing if these are not the run's weights any more.
    """
    learned = [method for method in run.methods if method in LEARNED]
    row = next((r for r in run.rows if is_complete(lesson_folder(run, lesson_name(r)))), None)
    try:
        same = weights_digest(learned, run.settings.weights) == run.facts.get("weights_digest")
    except GraspLearnError:
        same = False
    if row is None or not learned or not same:
        return {}
    from grasplearn.learning.pretrained import load_pretrained
    from grasplearn.learning.teaching import teach
    from grasplearn.learning.teaching_settings import Teaching

    shown = load_demonstration(lesson_folder(run, lesson_name(row)))
    pretrained = load_pretrained(run.settings.weights)
    found = {}
    with one_thread(learned):
        for method in learned:
            teaching = Teaching(method, steps=1, probe=0, measure_memory=True)
            report = teach(shown, pretrained, teaching, 0).report
            if report is not None and report.peak_bytes is not None:
                found[method] = report.peak_bytes
    return found


def _change(first: Run, other: Run) -> Change:
    mine, theirs = _told(first), _told(other)
    differ = {
        name: (mine.get(name, "none"), theirs.get(name, "none"))
        for name in dict.fromkeys([*mine, *theirs])
        if mine.get(name) != theirs.get(name)
    }
    for name in ("commit", "versions"):
        a, b = first.summary.get(name, ""), other.summary.get(name, "")
        if a != b:
            differ[name] = (a, b) if isinstance(a, str) else _changed(a, b)
    return Change(other.folder.resolve().name, compare_runs(first.rows, other.rows), differ)


def _changed(a: Any, b: Any) -> tuple[str, str]:
    names = [name for name in a if a.get(name) != b.get(name)] if isinstance(b, dict) else []
    return (
        ", ".join(f"{n} {a.get(n)}" for n in names),
        ", ".join(f"{n} {b.get(n)}" for n in names),
    )


def _is_finished(run: Run) -> bool:
    """Whether every trial that the settings ask for has its row."""
    settings = run.settings
    try:
        models = select_objects(load_catalogue(settings.objects)[0], settings)
    except GraspLearnError:  # somebody else's objects
        return bool(run.summary)
    lessons = len({name.object_id for name in lessons_of(settings, models)}) * settings.demos
    wanted = lessons * len(settings.tiers) * settings.trials * len(settings.methods)
    return len(run.rows) >= wanted and bool(run.summary)


def _told(run: Run) -> dict[str, Any]:
    """The run's settings for a person."""
    told = json.loads(json.dumps({**vars(run.settings), **run.facts}))
    return {
        name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in told.items()
        if value not in (None, "")
    }


def _command(run: Run) -> str:
    """What a run that was broken off would be gone on with."""
    settings = run.settings
    words = ["grasplearn", "evaluate", "--methods", ",".join(settings.methods)]
    words += ["--tiers", ",".join(settings.tiers), "--split", settings.split]
    words += ["--demos", str(settings.demos), "--trials", str(settings.trials)]
    words += ["--seed", str(settings.seed), "--weights", settings.weights]
    if settings.max_objects is not None:
        words += ["--max-objects", str(settings.max_objects)]
    if settings.objects is not None:
        words += ["--objects", settings.objects]
    return shlex.join([*words, "--out", str(run.folder), "--resume"])
