"""Episodes as one Rerun recording (.rrd), to be looked at with ``rerun FILE``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.geometry import points_world
from grasplearn.show.episode import JOINTS, Episode
from grasplearn.show.files import partial_path, writing
from grasplearn.show.style import PREDICTED

APPLICATION = "grasplearn"


def write_rerun(path: Path, episodes: Iterable[Episode]) -> int:
    """Writes the recording, whole or not at all, and returns how many episodes it has.

    Every episode is a folder of entities: ``side`` (pictures), ``joints``, ``phase`` over the time
    line ``time``; ``scene`` (the observation's coloured points and picture) and ``grasp``.

    Raises:
        InvalidValueError: there is no episode.
        GraspLearnError: rerun-sdk is missing, or the file cannot be written.
    """
    rr = _rerun()
    partial, count = partial_path(path), 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            recording = rr.RecordingStream(APPLICATION)
            recording.save(str(partial))
            for episode in episodes:
                _log(rr, recording, f"episode_{count:04d}", episode)
                count += 1
            recording.flush()
            recording.disconnect()
            if count:
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    if count == 0:
        raise InvalidValueError("there is no episode to write")
    return count


def _log(rr: Any, recording: Any, name: str, episode: Episode) -> None:
    row, seen = episode.row, episode.observation
    said = f"{episode.task}: {row['method']}, {row['tier']}, {row['outcome']}"
    recording.log(f"{name}/about", rr.TextDocument(said), static=True)
    points, known = points_world(seen)
    recording.log(
        f"{name}/scene/points", rr.Points3D(points[known], colors=seen.rgb[known]), static=True
    )
    recording.log(f"{name}/scene/picture", rr.Image(seen.rgb), static=True)
    recording.log(f"{name}/shown", rr.Image(episode.demonstrated.rgb), static=True)
    grasp = episode.predicted
    along = grasp.T_world_grasp[:3, 0] * grasp.width / 2
    jaws = [[grasp.center_world - along, grasp.center_world + along]]
    recording.log(
        f"{name}/grasp", rr.LineStrips3D(jaws, colors=[PREDICTED], radii=0.002), static=True
    )
    for index, frame in enumerate(episode.frames):
        recording.set_time("time", duration=index / episode.fps)
        recording.log(f"{name}/side", rr.Image(frame).compress(jpeg_quality=85))
        recording.log(f"{name}/phase", rr.TextLog(episode.phases[index]))
        for joint, value in zip(JOINTS, episode.states[index], strict=True):
            recording.log(f"{name}/joints/{joint}", rr.Scalars(float(value)))
    recording.reset_time()


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise GraspLearnError(
            "rerun-sdk is not installed; pip install 'grasplearn[rerun]'"
        ) from error
    return rerun
