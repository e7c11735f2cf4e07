"""H.264 videos that browsers play, the bar above a trial's frames, and frames side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np

from grasplearn.errors import FileFormatError, GraspLearnError, InvalidValueError
from grasplearn.show.files import partial_path, writing
from grasplearn.show.style import (
    BOLD,
    FAINT,
    INK,
    MUTED,
    PAPER,
    Frame,
    Verdict,
    text_width,
    write,
)

FPS = 30
CODEC = "libx264"
# Visually lossless for rendered scenes, a few hundred kB a trial.
_OPTIONS = {"crf": "20", "preset": "veryfast"}
_BT709 = 1


class Video:
    """Writes frames into an MP4; the file takes its name only once it can be played.

    Whatever ends the block, Ctrl-C and errors included, the frames added so far are kept, unless
    they cannot be closed into a playable file: then nothing is left and an older file stands.

        with Video("trial.mp4") as video:
            video.add(frame)

    Args:
        path: the MP4 file; folders above it are made.
        fps: frames per second.

    Raises:
        GraspLearnError: the file cannot be written, or PyAV lacks the H.264 encoder.
        InvalidValueError: a frame is not (H, W, 3) uint8 or differs in size from the first; or the
            block ended in peace without any frame.
    """

    def __init__(self, path: Path | str, fps: int = FPS) -> None:
        self.path = Path(path)
        self.fps = fps
        self.frames = 0
        self._partial = partial_path(self.path)
        self._size = (0, 0)
        self._container: Any = None
        self._stream: Any = None

    def __enter__(self) -> Self:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            # Browsers begin to play before the end has come: the index must stand in front.
            self._container = av.open(
                str(self._partial), "w", format="mp4", options={"movflags": "+faststart"}
            )
        try:
            self._stream = self._container.add_stream(CODEC, rate=self.fps, options=_OPTIONS)
        except (ValueError, av.error.FFmpegError) as error:
            self._container.close()
            self._partial.unlink(missing_ok=True)
            raise GraspLearnError(
                f"this PyAV has no H.264 encoder ({CODEC}); install it from its wheel: "
                "pip install --force-reinstall --only-binary av av"
            ) from error
        return self

    def add(self, frame: Frame, times: int = 1) -> None:
        """Appends a frame, (H, W, 3) uint8 RGB, ``times`` times.

        An odd last row or column is doubled, H.264's colours come in pairs.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise InvalidValueError(
                f"a video's frame must be uint8 of shape (H, W, 3), got {frame.dtype} {frame.shape}"
            )
        height, width = frame.shape[:2]
        if not self.frames:
            self._begin(height, width)
        if (height, width) != self._size:
            raise InvalidValueError(
                f"all frames of a video must have one size; {self.path.name} began with "
                f"{self._size}, got {(height, width)}"
            )
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        with writing(self.path):
            for _ in range(times):
                picture.pts = self.frames
                self._container.mux(self._stream.encode(picture))
                self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with writing(self.path):
                if self.frames:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
                if self.frames:
                    self._partial.replace(self.path)
        except GraspLearnError:
            if kind is None:  # else the first error is the one to tell
                raise
        finally:
            self._partial.unlink(missing_ok=True)
        if kind is None and not self.frames:
            raise InvalidValueError(f"no frame was added to {self.path}, so there is no video")

    def _begin(self, height: int, width: int) -> None:
        self._size = (height, width)
        self._stream.pix_fmt = "yuv420p"
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        # Said aloud, lest players guess by the picture's size.
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = 1  # limited


def read_video(path: Path | str) -> Iterator[Frame]:
    """Returns an iterator over a video's frames, (H, W, 3) uint8 RGB.

    Raises:
        FileFormatError: the file is missing or is no video.
    """
    return map(_rgb, _pictures(path))


def _rgb(picture: Any) -> Frame:
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


def _pictures(path: Path | str) -> Iterator[Any]:
    try:
        with av.open(str(path)) as container:
            yield from container.decode(video=0)
    except (av.error.FFmpegError, IndexError) as error:
        raise FileFormatError(f"{path} cannot be read as a video: {error}") from error


def middle_frame(path: Path | str) -> Frame:
    """Returns the frame that stands for a video, (H, W, 3) uint8 RGB; raises as ``read_video``."""
    count = sum(1 for _ in _pictures(path))
    picture = next(islice(_pictures(path), count // 2, None), None)
    if picture is None:
        raise FileFormatError(f"{path} holds no frame")
    return _rgb(picture)


@dataclass(frozen=True)
class Header:
    """What the bar above a frame says.

    Attributes:
        title: who is at work, as "taught, static-sgm". phase: what happens now, as "lift".
        trial, trials: which of how many, counted from 1; 0 trials leave all that out.
        verdicts: of the trials that have ended. Once the current one is among them, it is shown.
    """

    title: str
    phase: str = ""
    trial: int = 0
    trials: int = 0
    verdicts: tuple[Verdict, ...] = ()


def with_header(frame: Frame, header: Header) -> Frame:
    """Returns the frame, (H, W, 3) uint8, with the bar above it; bars of one width are as high."""
    return np.vstack([_bar(header, frame.shape[1]), frame])


def beside(*streams: Iterable[Frame], gap: int = 8) -> Iterator[Frame]:
    """Yields the streams' frames side by side; a stream that ends first holds its last frame.

    Lower frames stand at the top. Streams are read as they are needed: recordings of any length
    can be joined from disk with ``read_video``.

    Args:
        gap: px between two streams.

    Raises:
        InvalidValueError: a stream has no frame at all.
    """
    sources = [iter(stream) for stream in streams]
    current = [next(source, None) for source in sources]
    while True:
        frames = [frame for frame in current if frame is not None]
        if not frames or len(frames) < len(sources):
            raise InvalidValueError("every stream beside another needs at least one frame")
        yield _joined(frames, gap)
        following = [next(source, None) for source in sources]
        if all(frame is None for frame in following):
            return
        current = [
            held if new is None else new for held, new in zip(frames, following, strict=True)
        ]


def _joined(frames: list[Frame], gap: int) -> Frame:
    height = max(frame.shape[0] for frame in frames)
    width = sum(frame.shape[1] for frame in frames) + gap * (len(frames) - 1)
    canvas = np.full((height, width, 3), INK, np.uint8)
    x = 0
    for frame in frames:
        canvas[: frame.shape[0], x : x + frame.shape[1]] = frame
        x += frame.shape[1] + gap
    return canvas


@lru_cache(maxsize=16)
def _bar(header: Header, width: int) -> Frame:
    size = max(11, round(width / 27))
    margin, line = round(size * 0.8), round(size * 1.5)
    bar = np.full((line * 2 + round(size * 1.25), width, 3), INK, np.uint8)
    upper, lower = round(size * 1.55), round(size * 1.55) + line

    right = width - margin
    successes = sum(v.kind == "good" for v in header.verdicts)
    count = f"{successes} of {len(header.verdicts)} succeeded" if header.verdicts else ""
    x = right - text_width(count, size)
    write(bar, count, (x, upper), size, PAPER)
    write(bar, header.title, (margin, upper), size, PAPER, BOLD, room=x - 2 * margin)

    x = right
    where = f"trial {header.trial} of {header.trials}" if header.trials else ""
    if 0 < header.trial <= len(header.verdicts):
        ended = header.verdicts[header.trial - 1]
        x -= text_width(ended.label, size, BOLD)
        write(bar, ended.label, (x, lower), size, ended.color, BOLD)
    text = " • ".join(part for part in (where, header.phase) if part)
    write(bar, text, (margin, lower), size, MUTED, room=x - 2 * margin)

    # One segment a trial along the bar's foot: how it goes, at a glance.
    thickness = max(3, size // 4)
    edges = np.linspace(0, width, header.trials + 1).round().astype(int)
    for index in range(header.trials):
        done = index < len(header.verdicts)
        color = header.verdicts[index].color if done else FAINT
        bar[-thickness:, edges[index] : edges[index + 1] - (index < header.trials - 1) * 2] = color
    bar.setflags(write=False)
    return bar
