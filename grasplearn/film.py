"""A video of trials: methods side by side, trial after trial."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from grasplearn.show.style import Frame, Verdict, verdict
from grasplearn.show.video import Header, Video, beside, with_header
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.viewer import Recorder, Sink
from grasplearn.sim.world import World
from grasplearn.types import TrialResult

# Rendering takes nearly all of a demo's time: 10 frames per simulated second, shown at 15.
EVERY = 3
FPS = 15
SPEED = FPS * EVERY / 30
# How long a trial's last picture stays, in frames.
REST = 15


class Film:
    """Records trials with ``watch`` and writes them down with ``cut``, a column a method.

    Only one trial's frames are kept in memory.

    Args:
        catalogue: of the watched world. path: of the MP4.
        methods: the columns, from the left. trials: how many each will be shown in.
        live: is given every frame at once, and the phase it shows.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        path: Path,
        methods: tuple[str, ...],
        trials: int,
        live: Sink | None = None,
    ) -> None:
        self._recorder = Recorder(catalogue, self._take, every=EVERY)
        self._video = Video(path, FPS)
        self._trials = trials
        self._live = live
        self._verdicts: dict[str, list[Verdict]] = {method: [] for method in methods}
        self._frames: list[tuple[Frame, str]] = []
        self._columns: list[list[Frame]] = []

    def __enter__(self) -> Self:
        self._video.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._recorder.close()
        self._video.__exit__(kind, error, trace)

    def watch(self, world: World, phase: str) -> None:
        self._recorder(world, phase)

    def end_column(self, world: World, result: TrialResult) -> None:
        """Ends one method's part of the trial: its last picture says how it went."""
        if not self._frames:  # it ended before anything moved
            self._take(self._recorder.frame(world), "")
        seen = self._verdicts[result.method]
        before = tuple(seen)
        number = len(before) + 1
        title = result.method

        def shown(frame: Frame, phase: str, verdicts: tuple[Verdict, ...]) -> Frame:
            return with_header(frame, Header(title, phase, number, self._trials, verdicts))

        column = [shown(frame, phase, before) for frame, phase in self._frames]
        seen.append(verdict(result))
        column.append(shown(self._frames[-1][0], "", tuple(seen)))
        self._columns.append(column)
        self._frames = []

    def end_trial(self) -> None:
        """Writes the trial's columns side by side, if it was filmed."""
        picture = None
        for picture in beside(*self._columns) if self._columns else ():
            self._video.add(picture)
        if picture is not None:
            self._video.add(picture, REST)
        self._columns = []

    def _take(self, frame: Frame, phase: str) -> None:
        self._frames.append((frame, phase))
        if self._live:
            self._live(frame, phase)
