"""What is shown: overlays, videos, tables and pages, from made-up values."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rich.console import Console

from grasplearn.errors import FileFormatError, GraspLearnError, InvalidValueError
from grasplearn.geometry import look_at, project
from grasplearn.show import page as page_module
from grasplearn.show import video as video_module
from grasplearn.show.overlay import (
    closeup,
    demonstration_picture,
    depth_picture,
    draw_grasps,
    prediction_picture,
    save_png,
)
from grasplearn.show.page import DemoPage, Figure, TrialPicture, write_page
from grasplearn.show.style import PREDICTED, SHOWN, UNKNOWN, Frame, text_width, verdict, write
from grasplearn.show.table import cell, print_summary
from grasplearn.show.video import Header, Video, beside, middle_frame, read_video, with_header
from grasplearn.types import Camera, Demonstration, Grasp, Observation, Outcome, TrialResult


@pytest.fixture
def observation() -> Observation:
    K = np.array([[336, 0, 111.5], [0, 336, 111.5], [0, 0, 1]])
    camera = Camera(K, look_at([0.5, 0.1, 0.75], [0.5, 0, 0], [0, 1, 0]), 224, 224)
    depth = np.full((224, 224), 0.75, np.float32)
    depth[:10, :10] = 0
    return Observation(np.full((224, 224, 3), 128, np.uint8), depth, camera)


@pytest.fixture
def grasp() -> Grasp:
    return Grasp(np.array([0.55, 0.06, 0.03]), 0.4, 0.05)


def result(success: bool = True, **changes: Any) -> TrialResult:
    values: dict[str, Any] = dict(
        method="template", tier="same", object="mug", category="mug", demonstration=0, trial=0,
        scene_seed=1, outcome=Outcome.LIFTED if success else Outcome.MISSED, success=success,
        lifted=success, on_part=success, position_error_m=0.004, yaw_error_rad=0.1, grasp=None,
        teach_time_s=0.0, predict_time_s=0.0, execute_time_s=0.0,
    )  # fmt: skip
    return TrialResult(**values | changes)


def row(method: str, tier: str = "same", metric: str = "success") -> dict[str, Any]:
    return {
        "method": method, "tier": tier, "metric": metric, "trials": 10, "successes": 9,
        "rate": 0.9, "wilson_low": 0.596, "wilson_high": 0.982,
    }  # fmt: skip


def frames(count: int, height: int = 96, width: int = 128) -> list[Frame]:
    return [np.full((height, width, 3), 20 * i % 256, np.uint8) for i in range(count)]


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# -- overlay ---------------------------------------------------------------------------------


def test_marks_lie_on_the_projected_grasp_and_nowhere_else(
    observation: Observation, grasp: Grasp
) -> None:
    before = draw_grasps(observation, [])
    after = demonstration_picture(Demonstration(observation, grasp), caption=None)
    assert after.shape == (672, 672, 3)
    v, u = np.nonzero((before != after).any(axis=2))
    center = (project(observation.camera, grasp.center_world) + 0.5) * 3 - 0.5
    assert np.abs([u.mean(), v.mean()] - center).max() < 1.0
    # Half the diagonal of 50 mm x 18 mm at 336 px / 0.72 m, enlarged threefold, and the rim.
    assert np.hypot(u - center[0], v - center[1]).max() < 0.0266 * 3 * 336 / 0.70 + 8
    assert tuple(after[round(center[1]), round(center[0])]) == SHOWN


def test_prediction_and_correct_grasp_have_their_own_colours(
    observation: Observation, grasp: Grasp
) -> None:
    other = Grasp(np.array([0.4, -0.05, 0.03]), 1.2, 0.06)
    picture = prediction_picture(observation, grasp, other, "trial 3")
    for color in (SHOWN, PREDICTED):
        assert (picture[:672] == color).all(axis=2).sum() > 100
    assert picture.shape[0] > 672
    assert (prediction_picture(observation, None, caption=None) == 128).all()


def test_a_grasp_out_of_sight_or_beside_the_lens_marks_nothing(observation: Observation) -> None:
    for center in ([5.0, 0, 0], [0.5, 0.1, 0.75], [0.5, 0.2, 1.5]):
        grasp = Grasp(np.array(center), 0.0, 0.05)
        assert (prediction_picture(observation, grasp, caption=None) == 128).all()


def test_small_and_large_pictures_are_enlarged_by_whole_factors(
    observation: Observation, grasp: Grasp
) -> None:
    assert draw_grasps(observation, [], side=100).shape == (224, 224, 3)
    assert draw_grasps(observation, [], side=225).shape == (448, 448, 3)
    assert closeup(observation, grasp, side=300).shape == (300, 300, 3)


def test_drawing_leaves_the_observation_alone(observation: Observation, grasp: Grasp) -> None:
    prediction_picture(observation, grasp, grasp, side=224)
    depth_picture(observation, side=224)
    assert (observation.rgb == 128).all()


def test_holes_of_the_depth_picture_are_marked(observation: Observation) -> None:
    holes = (depth_picture(observation, caption=None) == UNKNOWN).all(axis=2)
    assert holes[:30, :30].all()
    assert holes.sum() == 900


def test_png_is_written_whole_or_refused_in_a_sentence(
    tmp_path: Path, observation: Observation
) -> None:
    path = save_png(tmp_path / "new" / "a.png", observation.rgb)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(GraspLearnError, match=r"cannot write .*; choose another place"):
        save_png(path / "below_a_file.png", observation.rgb)
    assert leftovers(path.parent) == ["a.png"]


def test_long_text_ends_in_an_ellipsis_within_its_room() -> None:
    canvas = np.zeros((40, 400, 3), np.uint8)
    write(canvas, "a caption much too long for its place", (10, 28), 20, room=120)
    assert canvas[:, 10:130].any() and not canvas[:, 134:].any()
    assert text_width("", 20) == 0


# -- video -----------------------------------------------------------------------------------


def test_video_is_h264_in_even_size_with_its_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    with Video(path) as video:
        for frame in frames(7, 95, 127):
            video.add(frame)
        video.add(frames(1, 95, 127)[0], times=3)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height, stream.average_rate) == (128, 96, 30)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    decoded = list(read_video(path))
    assert len(decoded) == 10
    assert np.abs([f.mean() for f in decoded[:7]] - 20.0 * np.arange(7)).max() < 4
    assert abs(middle_frame(path).mean() - 100) < 4
    assert leftovers(path.parent) == ["a.mp4"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_what_was_filmed_before_an_exception_is_playable(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(kind), Video(path) as video:
        for frame in frames(5):
            video.add(frame)
        raise kind
    assert len(list(read_video(path))) == 5
    assert leftovers(tmp_path) == ["a.mp4"]


def test_an_exception_before_the_first_frame_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), Video(path):
        raise RuntimeError
    with pytest.raises(InvalidValueError, match="no frame was added"), Video(path):
        pass
    assert path.read_bytes() == b"older"
    assert leftovers(tmp_path) == ["a.mp4"]


def test_bad_frames_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="uint8"), Video(tmp_path / "a.mp4") as video:
        video.add(np.zeros((96, 128), np.uint8))
    with pytest.raises(InvalidValueError, match="one size"), Video(tmp_path / "b.mp4") as video:
        for frame in (*frames(1), *frames(1, 64, 64)):
            video.add(frame)


def test_unwritable_places_and_a_missing_codec_are_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "file" / "a.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(GraspLearnError, match="cannot write"), Video(path):
            pass
    monkeypatch.setattr(video_module, "CODEC", "no-such-codec")
    with pytest.raises(GraspLearnError, match=r"no H\.264 encoder"), Video(tmp_path / "a.mp4"):
        pass
    assert leftovers(tmp_path) == ["file", "folder.mp4"]


def test_reading_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for name in ("a.mp4", "missing.mp4"):
        with pytest.raises(FileFormatError, match="cannot be read as a video"):
            middle_frame(tmp_path / name)


def test_the_shorter_stream_holds_its_last_frame() -> None:
    joined = list(beside(frames(5), frames(2, 64, 64), gap=8))
    assert [f.shape for f in joined] == [(96, 200, 3)] * 5
    assert joined[4][0, 0, 0] == 80 and joined[4][0, 190, 0] == 20
    with pytest.raises(InvalidValueError, match="at least one frame"):
        list(beside(frames(2), []))


def test_header_stands_above_and_has_one_height() -> None:
    frame = frames(1, 480, 480)[0]
    good, bad = verdict(result()), verdict(result(False))
    first = with_header(frame, Header("untaught", "lift", 1, 4))
    last = with_header(frame, Header("x" * 200, "", 2, 4, (good, bad)))
    assert first.shape == last.shape and first.shape[0] > 480
    assert (first[-480:] == frame).all()
    for ended in (good, bad):
        assert (last[:-480] == ended.color).all(axis=2).any()
        assert not (first[:-480] == ended.color).all(axis=2).any()


def test_verdicts_tell_lifting_from_success() -> None:
    assert verdict(result()).kind == "good"
    assert verdict(result(False, lifted=True, outcome=Outcome.LIFTED)).kind == "partly"
    assert verdict(result(False, outcome=Outcome.WRONG_OBJECT)).label == "wrong object"
    assert verdict(result(False, outcome=Outcome.ERROR, message="why")).advice == "why"


# -- table -----------------------------------------------------------------------------------


def printed(rows: list[dict[str, Any]], width: int, terminal: bool) -> str:
    console = Console(width=width, force_terminal=terminal, no_color=True, highlight=False)
    with console.capture() as capture:
        print_summary(rows, console=console)
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get())


def test_table_has_methods_as_rows_and_the_mean_last() -> None:
    rows = [row("[b]odd", tier) for tier in ("mean", "clutter", "same")] + [row("random")]
    text = printed(rows, 40, terminal=False)
    assert text.splitlines()[2].split() == ["method", "same", "clutter", "mean"]
    assert "[b]odd  0.90 [.60-.98]  0.90 [.60-.98]  0.90 [.60-.98]" in text
    assert "10 trials a cell" in text
    assert cell(row("x") | {"rate": 1.0, "wilson_high": 1.0}) == "1.00 [.60-1.00]"


def test_a_narrow_terminal_folds_the_table_and_cuts_nothing() -> None:
    text = printed([row("backprop-checkpointed", t) for t in ("same", "view")], 50, terminal=True)
    assert "…" not in text and text.count("[.60-.98]") == 2
    assert max(map(len, text.splitlines()[1:])) <= 50
    assert "no trials" in printed([], 80, terminal=False)


# -- page ------------------------------------------------------------------------------------


@pytest.fixture
def demo(observation: Observation, grasp: Grasp, tmp_path: Path) -> DemoPage:
    picture = prediction_picture(observation, grasp, grasp, None, side=224)
    with Video(tmp_path / "a film.mp4") as video:
        video.add(frames(1)[0], times=4)
    metrics = ("success", "lifted", "on_part", "unheard_of")
    return DemoPage(
        object_name="mug",
        part="handle",
        object_picture=picture,
        shown=(Figure(picture, "the shown grasp"),),
        summary=[row(m, "same", metric) for m in ("template", "random") for metric in metrics],
        trials=(
            TrialPicture(result(), picture),
            TrialPicture(result(False, method="random", position_error_m=None), picture),
        ),
        command="grasplearn demo --object mug --seed 0",
        seed=0,
        versions={"GraspLearn": "0.1.0"},
        video=video.path,
        notes={"random": "a control"},
    )


def test_page_holds_everything_and_asks_no_network(demo: DemoPage, tmp_path: Path) -> None:
    html = write_page(demo, tmp_path / "demo.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert not re.search(r"(?:src|href)=[\"']?//", html) and "<script" not in html
    sources = re.findall(r"(?:src|poster)=\"([^\"]*)\"", html)
    assert sources and all(s.startswith(("data:image/webp", "data:video/mp4")) for s in sources)
    assert html.count("<img") == html.count(" alt=") == 4
    assert Outcome.MISSED.advice in html and demo.command in html and "a control" in html
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert leftovers(tmp_path) == ["a film.mp4", "demo.html"]


def test_page_escapes_what_others_named(demo: DemoPage, tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    hostile = replace(
        demo,
        object_name=evil,
        part=evil,
        command=evil,
        versions={evil: evil},
        summary=[row(evil, evil)],
        shown=(Figure(demo.object_picture, evil),),
        trials=(TrialPicture(result(method=evil, tier=evil), demo.object_picture),),
        video_caption=evil,
        notes={evil: evil},
    )
    html = write_page(hostile, tmp_path / "demo.html").read_text()
    assert "<script" not in html and '("1")' not in html
    assert html.count("&lt;script&gt;") >= 12


def test_a_large_video_is_linked_relatively(
    demo: DemoPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "INLINE_BYTES", 10)
    html = write_page(demo, tmp_path / "pages" / "demo.html").read_text()
    assert 'src="../a%20film.mp4"' in html and "data:video" not in html


def test_a_page_needs_no_video_but_figures(demo: DemoPage, tmp_path: Path) -> None:
    html = write_page(replace(demo, video=None), tmp_path / "demo.html").read_text()
    assert "<video" not in html
    with pytest.raises(InvalidValueError, match="success"):
        replace(demo, summary=[])
