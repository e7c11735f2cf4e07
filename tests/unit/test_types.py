"""The central values: what is refused, what is kept, and the way to a dictionary and back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import look_at
from grasplearn.lessons import scene_from_dict, scene_to_dict
from grasplearn.results import to_row
from grasplearn.types import (
    MAX_WIDTH,
    Camera,
    Demonstration,
    Grasp,
    Lesson,
    Light,
    Observation,
    Outcome,
    PlacedObject,
    SceneSpec,
    StablePose,
    SymmetryAxis,
    TrialResult,
    wrap_yaw,
)

NAN, INF = float("nan"), float("inf")
K = np.array([[100.0, 0, 31.5], [0, 110, 23.5], [0, 0, 1]])
POSE = look_at((0.5, 0.1, 0.8), (0.5, 0, 0), (0, 1, 0))
CAMERA = Camera(K, POSE, 64, 48)


def observation(**changes: Any) -> Observation:
    values = {
        "rgb": np.zeros((48, 64, 3), np.uint8),
        "depth": np.full((48, 64), 0.8, np.float32),
        "camera": CAMERA,
    }
    return Observation(**{**values, **changes})


def scene(**changes: Any) -> SceneSpec:
    values: dict[str, Any] = {
        "objects": (
            PlacedObject("mug_00", (0.5, 0.1, 0.04), (0, 0, 0.6, 0.8)),
            PlacedObject("mug_00", (0.4, -0.1, 0.05), (0, 0, 0, 1), scale=1.31, hue_shift=2.0),
        ),
        "camera": CAMERA,
        "light": Light(direction=(0.1, 0.2, 0.9), color=(1.0, 0.98, 0.9), ambient=0.5),
        "table_texture": "oak",
        "table_tint": (0.9, 0.91, 0.92),
        "sensor_seed": 7,
        "tier": "alike",
        "hidden": 0.125,
    }
    return SceneSpec(**{**values, **changes})


# -- Grasp -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "center, yaw, width",
    [
        ((0.5, 0, NAN), 0, 0.04),
        ((0.5, INF, 0), 0, 0.04),
        ((0.5, 0), 0, 0.04),
        ((0.5, 0, 0, 0), 0, 0.04),
        (((0.5, 0, 0),), 0, 0.04),
        ((0.5, 0, 0.1), NAN, 0.04),
        ((0.5, 0, 0.1), INF, 0.04),
        ((0.5, 0, 0.1), 0, 0.0),
        ((0.5, 0, 0.1), 0, -0.01),
        ((0.5, 0, 0.1), 0, NAN),
        ((0.5, 0, 0.1), 0, MAX_WIDTH + 1e-6),
    ],
)
def test_a_bad_grasp_is_refused(center: Any, yaw: float, width: float) -> None:
    with pytest.raises(InvalidValueError):
        Grasp(center, yaw, width)


@pytest.mark.parametrize("turns", range(-7, 8))
def test_half_turns_of_the_jaw_are_one_yaw(turns: int) -> None:
    for yaw in (-np.pi / 2, -1.2, 0.0, 0.3, 1.5):
        assert wrap_yaw(yaw + turns * np.pi) == pytest.approx(yaw, abs=1e-12) or (
            abs(abs(yaw) - np.pi / 2) < 1e-12
        )


@pytest.mark.parametrize(
    "yaw",
    [
        np.pi / 2,
        -np.pi / 2,
        np.nextafter(-np.pi / 2, -4),
        np.nextafter(np.pi / 2, 4),
        np.nextafter(np.pi / 2, 0),
        3 * np.pi / 2,
        -3 * np.pi / 2,
        1e6,
        -1e6,
        1e-20,
        -1e-20,
    ],
)
def test_a_yaw_is_stored_in_its_half_open_range_and_stays(yaw: float) -> None:
    wrapped = wrap_yaw(yaw)
    assert -np.pi / 2 <= wrapped < np.pi / 2
    assert wrap_yaw(wrapped) == wrapped


def test_a_grasp_comes_back_from_its_dictionary_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        grasp = Grasp(rng.normal(size=3), rng.uniform(-9, 9), rng.uniform(1e-4, MAX_WIDTH))
        assert Grasp.from_dict(json.loads(json.dumps(grasp.to_dict()))) == grasp


def test_a_grasp_s_frame_points_down_and_closes_along_x() -> None:
    T = Grasp((0.4, 0.1, 0.05), 0.5, 0.04).T_world_grasp
    assert np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3)) and np.linalg.det(T[:3, :3]) > 0
    assert np.allclose(T[:3, 2], (0, 0, -1))
    assert np.allclose(T[:3, 0], (np.cos(0.5), np.sin(0.5), 0))
    assert np.allclose(T[:3, 3], (0.4, 0.1, 0.05))


def test_a_grasp_cannot_be_changed_and_keeps_nothing_of_its_maker_s() -> None:
    center = np.array([0.5, 0.0, 0.1])
    grasp = Grasp(center, 0.0, 0.04)
    center[0] = 9
    assert grasp.center_world[0] == 0.5
    with pytest.raises(ValueError):
        grasp.center_world[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        grasp.yaw = 1.0  # type: ignore[misc]


# -- equality ----------------------------------------------------------------------------------


def test_values_that_hold_arrays_compare_by_content() -> None:
    other_camera = Camera(K, POSE, 64, 64)
    dark, grasp = observation(), Grasp((0.5, 0, 0.1), 0.2, 0.04)
    light = observation(rgb=np.ones((48, 64, 3), np.uint8))
    assert Camera(K.copy(), POSE.copy(), 64, 48) == CAMERA and other_camera != CAMERA
    assert grasp == Grasp((0.5, 0, 0.1), 0.2, 0.04) and grasp != Grasp((0.5, 0, 0.1), 0.3, 0.04)
    assert dark == observation() and dark != light and dark != "dark"
    assert Demonstration(dark, grasp) == Demonstration(observation(), grasp)
    assert Demonstration(dark, grasp) != Demonstration(light, grasp)
    assert scene() == scene() and scene() != scene(hidden=0.2)
    assert scene() != scene(camera=other_camera)
    lessons = [
        Lesson(Demonstration(dark, grasp), "a", "b", scene(), np.eye(4), i) for i in (0, 0, 1)
    ]
    assert lessons[0] == lessons[1] and lessons[0] != lessons[2]


# -- Camera, Observation -----------------------------------------------------------------------

SHEARED = np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    "changes",
    [
        {"K": np.eye(4)},
        {"K": K * np.array([[-1], [1], [1]])},
        {"K": np.diag([100, 0, 1])},
        {"K": np.where(np.eye(3, dtype=bool), NAN, K)},
        {"K": K * 2},  # the last row must be 0, 0, 1
        {"K": K + np.array([[0, 3, 0], [0, 0, 0], [0, 0, 0]])},  # skew
        {"T_world_cam": np.diag([1, 1, -1, 1])},  # a mirror
        {"T_world_cam": SHEARED},
        {"T_world_cam": np.eye(4) * 2},
        {"T_world_cam": np.full((4, 4), NAN)},
        {"T_world_cam": np.eye(3)},
        {"width": 15},
        {"height": 5000},
        {"width": 0},
        {"height": 48.5},
    ],
)
def test_a_bad_camera_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        Camera(**{"K": K, "T_world_cam": POSE, "width": 64, "height": 48, **changes})


def test_a_camera_comes_back_from_its_dictionary_to_the_last_bit() -> None:
    assert Camera.from_dict(json.loads(json.dumps(CAMERA.to_dict()))) == CAMERA


@pytest.mark.parametrize(
    "changes",
    [
        {"rgb": np.zeros((64, 48, 3), np.uint8)},
        {"rgb": np.zeros((48, 64), np.uint8)},
        {"rgb": np.zeros((48, 64, 4), np.uint8)},
        {"rgb": np.zeros((48, 64, 3), np.float32)},
        {"depth": np.ones((64, 48), np.float32)},
        {"depth": np.ones((48, 64, 1), np.float32)},
        {"depth": np.full((48, 64), NAN, np.float32)},
        {"depth": np.full((48, 64), INF, np.float32)},
        {"depth": np.full((48, 64), -0.1, np.float32)},
        {"depth": np.zeros((48, 64), np.float32)},
    ],
)
def test_a_bad_observation_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        observation(**changes)


# -- scenes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"position": (0, 0)},
        {"position": (0, 0, NAN)},
        {"quaternion": (0, 0, 1)},
        {"quaternion": (0, 0, 0, INF)},
        {"quaternion": (0, 0, 0, 0)},
        {"quaternion": (0, 0, 0, 2)},
        {"scale": 0},
        {"scale": -1},
        {"scale": NAN},
        {"hue_shift": NAN},
    ],
)
def test_a_bad_placement_is_refused(changes: dict[str, Any]) -> None:
    values = {"object_id": "a", "position": (0, 0, 0), "quaternion": (0, 0, 0, 1)}
    with pytest.raises(InvalidValueError):
        PlacedObject(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": ()},
        {"tier": "hard"},
        {"hidden": -0.1},
        {"hidden": 1.1},
        {"hidden": NAN},
        {"table_tint": (1.0, NAN, 1.0)},
        {"table_tint": (1.0, 1.0)},
    ],
)
def test_a_bad_scene_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        scene(**changes)


@pytest.mark.parametrize("sensor_seed", [None, 0, 12])
def test_a_scene_comes_back_from_its_dictionary(sensor_seed: int | None) -> None:
    before = scene(sensor_seed=sensor_seed)
    assert scene_from_dict(json.loads(json.dumps(scene_to_dict(before)))) == before


@pytest.mark.parametrize("order", [-1, 1])
def test_a_bad_symmetry_is_refused(order: int) -> None:
    with pytest.raises(InvalidValueError):
        SymmetryAxis((0, 0, 1), order)
    with pytest.raises(InvalidValueError):
        SymmetryAxis((0, 0, 0), 2)


def test_symmetry_axes_and_quaternions_are_stored_as_unit_vectors() -> None:
    assert SymmetryAxis((0, 0, 5), 0).axis == (0, 0, 1)
    assert np.linalg.norm(StablePose((0, 0, 0, 1.0005), 0.1, 1).quaternion) == pytest.approx(1)
    for quaternion, probability in (((0, 0, 0, 2), 0.5), ((0, 0, 0, 1), 0), ((0, 0, 0, 1), 1.1)):
        with pytest.raises(InvalidValueError):
            StablePose(quaternion, 0.1, probability)


# -- outcomes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_own_advice_and_survives_a_file(outcome: Outcome) -> None:
    assert len(outcome.advice) > 20
    assert sum(other.advice == outcome.advice for other in Outcome) == 1
    result = TrialResult(
        **{
            **{name: "x" for name in ("method", "tier", "object", "category")},
            **{name: 0 for name in ("demonstration", "trial", "scene_seed")},
            **{name: False for name in ("success", "lifted", "on_part")},
            **{name: 0.0 for name in ("teach_time_s", "predict_time_s", "execute_time_s")},
            "outcome": outcome,
            "position_error_m": None,
            "yaw_error_rad": None,
            "grasp": None,
        }
    )
    row = json.loads(json.dumps(to_row(result)))
    assert Outcome(row["outcome"]) is outcome
