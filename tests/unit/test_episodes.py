"""Episodes in other tools' forms: a LeRobot dataset by its published layout, a Rerun recording."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teaching_kit import demonstration, table

from grasplearn.errors import GraspLearnError, InvalidValueError
from grasplearn.show.episode import JOINTS, Episode
from grasplearn.show.lerobot import CAMERA, write_lerobot
from grasplearn.show.rerun_file import write_rerun
from grasplearn.show.video import read_video
from grasplearn.types import Grasp

# What info.json of a dataset of version 3.0 holds: huggingface/lerobot, src/lerobot/datasets,
# DatasetInfo and its templates in utils.py; docs/source/lerobot-dataset-v3.mdx.
INFO = {
    "codebase_version": "v3.0",
    "chunks_size": 1000,
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
DEFAULT_FEATURES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
EPISODE_COLUMNS = {
    "episode_index",
    "tasks",
    "length",
    "dataset_from_index",
    "dataset_to_index",
    "data/chunk_index",
    "data/file_index",
    "meta/episodes/chunk_index",
    "meta/episodes/file_index",
}
STATS = {"min", "max", "mean", "std", "count"}
FPS = 10


def episode(length: int, task: str, success: bool, seed: int, side: int = 64) -> Episode:
    rng = np.random.default_rng(seed)
    shown = demonstration()
    return Episode(
        task=task,
        row={"method": "scripted", "tier": "same", "outcome": "lifted", "success": success},
        observation=table(0.52),
        demonstrated=shown.observation,
        predicted=Grasp(np.array([0.5, 0.0, 0.02]), 0.3, 0.05),
        # Every picture has a grey of its own, by which it is known again.
        frames=[np.full((side, 80, 3), 40 + 20 * seed + 4 * i, np.uint8) for i in range(length)],
        states=rng.normal(size=(length, len(JOINTS))),
        phases=["approach"] * length,
        fps=FPS,
    )


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [
        episode(7, "grasp the mug", True, 0),
        episode(4, "grasp the hammer", False, 1),
        episode(9, "grasp the mug", False, 2),
    ]


@pytest.fixture(scope="module")
def dataset(episodes: list[Episode], tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("lerobot") / "dataset"
    assert write_lerobot(folder, iter(episodes)) == 3
    return folder


def read(path: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path)


def info_of(dataset: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dataset / "meta" / "info.json").read_text())
    return found


def test_info_says_what_version_three_says(dataset: Path, episodes: list[Episode]) -> None:
    info = info_of(dataset)
    assert {key: info[key] for key in INFO} == INFO
    assert info["total_episodes"] == 3 and info["total_frames"] == 20 and info["total_tasks"] == 2
    assert info["splits"] == {"train": "0:3"} and info["fps"] == FPS
    assert info["data_files_size_in_mb"] > 0 and info["video_files_size_in_mb"] > 0
    for name, dtype in DEFAULT_FEATURES.items():
        assert info["features"][name] == {"dtype": dtype, "shape": [1], "names": None}
    assert not any("/" in name for name in info["features"])


def test_nothing_but_the_published_files_is_there(dataset: Path) -> None:
    found = {p.relative_to(dataset).as_posix() for p in dataset.rglob("*") if p.is_file()}
    first = {"chunk_index": 0, "file_index": 0}
    info = info_of(dataset)
    assert found == {
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        info["data_path"].format(**first),
        info["video_path"].format(video_key=CAMERA, **first),
    }


def test_columns_have_the_types_and_shapes_that_info_declares(dataset: Path) -> None:
    import pyarrow as pa

    data, features = read(dataset / "data/chunk-000/file-000.parquet"), info_of(dataset)["features"]
    tabular = {name: f for name, f in features.items() if f["dtype"] not in ("video", "image")}
    assert set(data.column_names) == set(tabular)
    for name, feature in tabular.items():
        kind = data.schema.field(name).type
        if feature["shape"] == [1]:
            assert (
                str(kind)
                == {"float32": "float", "bool": "bool", "int64": "int64"}[feature["dtype"]]
            )
        else:
            assert pa.types.is_fixed_size_list(kind) and kind.list_size == feature["shape"][0]
            assert str(kind.value_type) == "float" and len(feature["names"]) == kind.list_size


def test_rows_count_through_and_hold_what_happened(dataset: Path, episodes: list[Episode]) -> None:
    data = read(dataset / "data/chunk-000/file-000.parquet").to_pydict()
    assert data["index"] == list(range(20))
    assert data["episode_index"] == [0] * 7 + [1] * 4 + [2] * 9
    assert data["frame_index"] == [*range(7), *range(4), *range(9)]
    assert np.allclose(data["timestamp"], np.array(data["frame_index"]) / FPS)
    assert data["task_index"] == [0] * 7 + [1] * 4 + [0] * 9
    states = np.concatenate([e.states for e in episodes]).astype(np.float32)
    assert np.array_equal(np.array(data["observation.state"], np.float32), states)
    # An action is the next state; the last of an episode does not reach into the next one.
    actions = np.array(data["action"], np.float32)
    assert np.array_equal(actions[:6], states[1:7]) and np.array_equal(actions[6], states[6])
    assert [i for i, done in enumerate(data["next.done"]) if done] == [6, 10, 19]
    assert [i for i, r in enumerate(data["next.reward"]) if r] == [6]


def test_episodes_point_to_their_rows_and_frames(dataset: Path, episodes: list[Episode]) -> None:
    table_ = read(dataset / "meta/episodes/chunk-000/file-000.parquet")
    assert set(table_.column_names) >= EPISODE_COLUMNS | {
        f"videos/{CAMERA}/{name}"
        for name in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    }
    rest = [n for n in table_.column_names if n.startswith("stats/")]
    assert {re.split("/", n)[1] for n in rest} == set(info_of(dataset)["features"])
    frames = list(read_video(dataset / f"videos/{CAMERA}/chunk-000/file-000.mp4"))
    assert len(frames) == 20
    begin = 0
    for row, told in zip(table_.to_pylist(), episodes, strict=True):
        assert row["tasks"] == [told.task] and row["length"] == len(told.frames)
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (
            begin,
            begin + row["length"],
        )
        start = row[f"videos/{CAMERA}/from_timestamp"]
        assert row[f"videos/{CAMERA}/to_timestamp"] == pytest.approx(start + row["length"] / FPS)
        # A reader looks up the frame at from_timestamp + timestamp.
        for i, frame in enumerate(told.frames):
            shown = frames[round((start + i / FPS) * FPS)]
            assert abs(float(shown.mean()) - float(frame.mean())) < 3
        begin += row["length"]


def test_tasks_are_found_by_their_words(dataset: Path) -> None:
    import pandas as pd

    tasks = pd.read_parquet(dataset / "meta/tasks.parquet")
    assert list(tasks.index) == ["grasp the mug", "grasp the hammer"]
    assert list(tasks["task_index"]) == [0, 1] and tasks.index.name == "task"


def test_statistics_are_of_all_frames(dataset: Path, episodes: list[Episode]) -> None:
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    assert set(stats) == set(info_of(dataset)["features"])
    states = np.concatenate([e.states for e in episodes]).astype(np.float32)
    found = stats["observation.state"]
    assert set(found) >= STATS and found["count"] == [20]
    assert np.allclose(found["mean"], states.mean(axis=0), atol=1e-6)
    assert np.allclose(found["std"], states.std(axis=0), atol=1e-6)
    assert np.shape(stats[CAMERA]["mean"]) == (3, 1, 1)
    assert 0 <= np.min(stats[CAMERA]["min"]) <= np.max(stats[CAMERA]["max"]) <= 1


def test_a_dataset_is_written_whole_or_not_at_all(tmp_path: Path, episodes: list[Episode]) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InvalidValueError, match="there is no episode"):
        write_lerobot(tmp_path / "a", iter([]))
    with pytest.raises(InvalidValueError, match="one size"):
        write_lerobot(tmp_path / "a", [*episodes, episode(3, "grasp", True, 4, side=48)])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").touch()
    with pytest.raises(InvalidValueError, match="is there already"):
        write_lerobot(tmp_path / "b", episodes)
    assert [p.name for p in tmp_path.rglob("*")] == ["b", "mine"]


def test_an_episode_that_does_not_fit_together_is_refused(episodes: list[Episode]) -> None:
    first = episodes[0]
    for states, phases in ((first.states[:-1], first.phases), (first.states, first.phases[:-1])):
        with pytest.raises(InvalidValueError, match="as many states"):
            Episode(
                first.task, first.row, first.observation, first.demonstrated, first.predicted,
                first.frames, states, phases, FPS,
            )  # fmt: skip


@pytest.mark.parametrize("name", ["pyarrow", "rerun"])
def test_a_missing_extra_is_told_in_a_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, episodes: list[Episode]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GraspLearnError, match=r"not installed.*pip install 'grasplearn\["):
        if name == "rerun":
            write_rerun(tmp_path / "a.rrd", episodes)
        else:
            write_lerobot(tmp_path / "a", episodes)
    assert not list(tmp_path.iterdir())


def test_a_recording_is_read_by_rerun_itself(tmp_path: Path, episodes: list[Episode]) -> None:
    pytest.importorskip("rerun")
    path = tmp_path / "new" / "episodes.rrd"
    assert write_rerun(path, iter(episodes)) == 3
    # Their own command line reads it; "rrd stats" and "rrd verify" need no viewer.
    command = [sys.executable, "-m", "rerun", "rrd"]
    done = subprocess.run([*command, "verify", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*command, "print", str(path)], capture_output=True, text=True)
    said = done.stdout + done.stderr
    for name in ("episode_0000", "episode_0002", "/side", "/scene/points", "panda_joint1"):
        assert name in said, name
    assert [p.name for p in path.parent.iterdir()] == ["episodes.rrd"]
    with pytest.raises(InvalidValueError, match="there is no episode"):
        write_rerun(tmp_path / "none.rrd", iter([]))
    assert not (tmp_path / "none.rrd").exists()
