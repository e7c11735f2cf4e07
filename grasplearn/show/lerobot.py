"""Episodes as a LeRobot dataset of version 3.0, without their package.

Source: huggingface/lerobot, docs/source/lerobot-dataset-v3.mdx and src/lerobot/datasets
(dataset_metadata.py, feature_utils.py, utils.py): the layout, the columns and the path templates.
All episodes go into one file of each kind, which the layout allows up to its size limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.files import whole_folder
from grasplearn.show.episode import JOINTS, Episode
from grasplearn.show.video import Video

VERSION = "v3.0"
CAMERA = "observation.images.side"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FIRST = {"chunk_index": 0, "file_index": 0}
# Their defaults. Beyond a file's limit a further one would have to begin.
CHUNK_SIZE, DATA_MB, VIDEO_MB = 1000, 100, 200
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Stats = dict[str, dict[str, Any]]


def write_lerobot(folder: Path, episodes: Iterable[Episode]) -> int:
    """Writes the dataset, all of it or nothing, and returns how many episodes it has.

    Args:
        folder: must not be there yet. episodes: are taken one at a time; all of one size and fps.

    Raises:
        InvalidValueError: there is no episode, they differ, or the place is taken.
        GraspLearnError: pyarrow is missing, or nothing can be written there.
    """
    _arrow()
    with whole_folder(folder) as place:
        return _Dataset(place).write(episodes)


class _Dataset:
    """One dataset while it grows."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.columns: dict[str, list[Any]] = {}
        self.episodes: list[dict[str, Any]] = []
        self.tasks: dict[str, int] = {}
        self.samples: dict[str, list[NDArray[np.float64]]] = {}
        self.frames = 0

    def write(self, episodes: Iterable[Episode]) -> int:
        source = iter(episodes)
        first = next(source, None)
        if first is None:
            raise InvalidValueError("there is no episode to write")
        size, fps = first.frames[0].shape, first.fps
        path = self.place / VIDEO_PATH.format(video_key=CAMERA, **FIRST)
        with Video(path, fps) as video:
            episode: Episode | None = first
            while episode is not None:
                if (episode.frames[0].shape, episode.fps) != (size, fps):
                    raise InvalidValueError("all episodes of a dataset need one size and one fps")
                for frame in episode.frames:
                    video.add(frame)
                self._add(episode)
                episode = next(source, None)
        self._finish((size[0], size[1]), fps)
        return len(self.episodes)

    def _add(self, episode: Episode) -> None:
        index, count, fps = len(self.episodes), len(episode.frames), episode.fps
        task = self.tasks.setdefault(episode.task, len(self.tasks))
        last = np.arange(count) == count - 1
        columns: dict[str, NDArray[Any]] = {
            "observation.state": episode.states.astype(np.float32),
            "action": episode.actions,
            "next.reward": (last & episode.success).astype(np.float32),
            "next.success": last & episode.success,
            "next.done": last,
            "timestamp": (np.arange(count) / fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, index),
            "index": np.arange(self.frames, self.frames + count),
            "task_index": np.full(count, task),
        }
        for name, values in columns.items():
            self.columns.setdefault(name, []).append(values)
        samples = {name: np.asarray(v, np.float64) for name, v in columns.items()}
        samples[CAMERA] = np.stack(episode.frames[:: max(1, count // 16)]) / 255
        stats = {name: _stats(name, values) for name, values in samples.items()}
        for name, values in samples.items():
            self.samples.setdefault(name, []).append(values)
        self.episodes.append(
            {
                "episode_index": index,
                "tasks": [episode.task],
                "length": count,
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": self.frames,
                "dataset_to_index": self.frames + count,
                f"videos/{CAMERA}/chunk_index": 0,
                f"videos/{CAMERA}/file_index": 0,
                f"videos/{CAMERA}/from_timestamp": self.frames / fps,
                f"videos/{CAMERA}/to_timestamp": (self.frames + count) / fps,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                **{f"stats/{n}/{k}": v for n, of in stats.items() for k, v in of.items()},
            }
        )
        self.frames += count

    def _finish(self, size: tuple[int, int], fps: int) -> None:
        pa, _ = _arrow()
        data = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        self._table(DATA_PATH.format(**FIRST), {n: _column(pa, v) for n, v in data.items()})
        names = list(self.episodes[0])
        self._table(
            EPISODES_PATH.format(**FIRST),
            {name: pa.array([episode[name] for episode in self.episodes]) for name in names},
        )
        import pandas as pd

        tasks = pd.DataFrame(
            {"task_index": list(self.tasks.values())}, index=pd.Index(self.tasks, name="task")
        )
        tasks.to_parquet(self.place / "meta" / "tasks.parquet")
        stats = {name: _stats(name, np.concatenate(v)) for name, v in self.samples.items()}
        self._json("meta/stats.json", stats)
        self._json(
            "meta/info.json",
            {
                "codebase_version": VERSION,
                "robot_type": "franka_panda",
                "total_episodes": len(self.episodes),
                "total_frames": self.frames,
                "total_tasks": len(self.tasks),
                "chunks_size": CHUNK_SIZE,
                "data_files_size_in_mb": DATA_MB,
                "video_files_size_in_mb": VIDEO_MB,
                "fps": fps,
                "splits": {"train": f"0:{len(self.episodes)}"},
                "data_path": DATA_PATH,
                "video_path": VIDEO_PATH,
                "features": features(size, fps),
            },
        )

    def _table(self, path: str, columns: Mapping[str, Any]) -> None:
        pa, pq = _arrow()
        place = self.place / path
        place.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(dict(columns)), place, compression="snappy")

    def _json(self, path: str, data: dict[str, Any]) -> None:
        place = self.place / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(data, indent=4) + "\n", encoding="utf-8")


def features(size: tuple[int, int], fps: int) -> dict[str, dict[str, Any]]:
    """What ``info.json`` says of every column and of the video.

    Args:
        size: (height, width) of the pictures, px.
    """
    height, width = (side + side % 2 for side in size)  # H.264's colours come in pairs

    def scalar(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [1], "names": None}

    joints = {"dtype": "float32", "shape": [len(JOINTS)], "names": list(JOINTS)}
    return {
        "observation.state": joints,
        "action": joints,
        CAMERA: {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.fps": fps,
                "video.channels": 3,
                "is_depth_map": False,
                "has_audio": False,
            },
        },
        "next.reward": scalar("float32"),
        "next.success": scalar("bool"),
        "next.done": scalar("bool"),
        "timestamp": scalar("float32"),
        "frame_index": scalar("int64"),
        "episode_index": scalar("int64"),
        "index": scalar("int64"),
        "task_index": scalar("int64"),
    }


def _column(pa: Any, values: NDArray[Any]) -> Any:
    """A column as their reader expects it: vectors as lists of fixed length."""
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _stats(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Their statistics: per element of a vector, per channel (3, 1, 1) of a picture."""
    picture = values.ndim == 4
    table = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    found = {
        "min": table.min(axis=0),
        "max": table.max(axis=0),
        "mean": table.mean(axis=0),
        "std": table.std(axis=0),
        **{key: np.quantile(table, q, axis=0) for key, q in QUANTILES.items()},
    }
    shaped = {k: v.reshape(3, 1, 1) if picture else v for k, v in found.items()}
    return {**{k: v.tolist() for k, v in shaped.items()}, "count": [len(values)]}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise GraspLearnError(
            "pyarrow is not installed, which LeRobot datasets need; pip install "
            "'grasplearn[lerobot]'"
        ) from error
    return pyarrow, pyarrow.parquet
