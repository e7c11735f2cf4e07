"""The Gymnasium environment, by Gymnasium's own checker and by our own questions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics

from grasplearn.env import TableGrasp
from grasplearn.errors import DisplayError, InvalidValueError, UnknownNameError
from grasplearn.geometry import points_world
from grasplearn.sim.demonstrator import replay
from grasplearn.tiers import TIERS
from grasplearn.types import Demonstration, Grasp, Observation, Outcome

ID = "grasplearn/TableGrasp-v0"
OBJECT = "can_00"


@pytest.fixture(scope="module")
def env() -> Iterator[TableGrasp]:
    made = TableGrasp(object_id=OBJECT, render_mode="rgb_array")
    yield made
    made.close()


def scripted_action(env: TableGrasp) -> np.ndarray:
    """The demonstrator's grasp, which looks into the simulator."""
    world, lesson = env._world, env._lesson
    assert world.scene is not None and lesson is not None
    grasp = replay(world, lesson, world.scene, np.random.default_rng(0))
    assert grasp is not None
    return TableGrasp.action_of(grasp)


def test_gymnasium_s_checker_finds_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering included, but for the window, which needs a display."""
    monkeypatch.setitem(TableGrasp.metadata, "render_modes", ["rgb_array"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ID, object_id=OBJECT, render_mode="rgb_array")
        try:
            check_env(env.unwrapped, skip_render_check=False)
        finally:
            env.close()


def test_the_spaces_hold_what_comes_out(env: TableGrasp) -> None:
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert observation["rgb"].std() > 5 and 0.5 < np.median(observation["depth"]) < 1.0
    assert isinstance(info["demonstration"], Demonstration)
    assert (info["object"], info["is_success"], info["outcome"]) == (OBJECT, False, "")
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert terminated and not truncated and reward == float(info["is_success"])
    assert Outcome(info["outcome"]).advice == info["advice"]


def test_nothing_private_is_told(env: TableGrasp) -> None:
    """A policy may see the demonstration, and not the scene or the object's frame."""
    observation, info = env.reset(seed=3)
    known = {"is_success", "outcome", "object", "part", "demonstration", "camera"}
    assert set(info) == known
    seen = Observation(observation["rgb"], observation["depth"], info["camera"])
    assert abs(np.median(points_world(seen)[0][..., 2])) < 0.005, "not this picture's camera"


def test_the_same_seed_gives_the_same_episode(env: TableGrasp) -> None:
    def episode(seed: int) -> tuple[Any, ...]:
        first, _ = env.reset(seed=seed)
        action = np.array([0.0, 0.0, 0.3, 0.4], np.float32)
        second, reward, *_, info = env.step(action)
        pictures = [o[k].tobytes() for o in (first, second) for k in ("rgb", "depth")]
        return (*pictures, reward, info["outcome"])

    runs = [episode(seed) for seed in (5, 6, 5)]
    assert runs[0] == runs[2]
    assert runs[0][:2] != runs[1][:2]


def test_without_a_seed_the_episodes_go_on_from_the_last_one(env: TableGrasp) -> None:
    def three() -> list[bytes]:
        first, _ = env.reset(seed=9)
        return [first["rgb"].tobytes(), *(env.reset()[0]["rgb"].tobytes() for _ in range(2))]

    pictures = three()
    assert len(set(pictures)) == 3 and three() == pictures


def test_the_demonstrator_s_action_succeeds(env: TableGrasp) -> None:
    won = []
    for seed in range(3):
        env.reset(seed=seed)
        action = scripted_action(env)
        assert env.action_space.contains(action)
        _, reward, _, _, info = env.step(action)
        assert reward == float(info["is_success"])
        assert info["on_part"]
        won.append(info["is_success"])
    assert sum(won) >= 2


def test_a_grasp_beside_everything_does_not(env: TableGrasp) -> None:
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([-0.93, -0.93, 0, -0.8], np.float32))
    assert reward == 0 and not info["is_success"] and not info["lifted"]
    assert info["outcome"] in ("missed", "collided")


@pytest.mark.parametrize(
    "action",
    [
        [np.nan, 0, 0, 0.05],
        [0.5, np.inf, 0, 0.05],
        [0.5, 0, 0],
        [0.5, 0, 0, 0.05, 0],
        [[0.5, 0, 0, 0.05]],
        0.5,
    ],
)
def test_a_bad_action_is_refused_and_the_episode_goes_on(env: TableGrasp, action: Any) -> None:
    env.reset(seed=0)
    with pytest.raises(InvalidValueError, match="4 finite numbers"):
        env.step(np.array(action))
    env.step(np.array([0.0, 0, 0, 0.2]))


def test_an_action_outside_the_space_is_taken_at_its_border(env: TableGrasp) -> None:
    outcomes = []
    for action in ([9.0, 0.0, -5.0, 3.0], [1.0, 0.0, -1.0, 1.0]):
        env.reset(seed=1)
        observed, reward, *_, info = env.step(np.array(action))
        outcomes.append((observed["rgb"].tobytes(), reward, info["outcome"]))
    assert outcomes[0] == outcomes[1]


def test_an_action_says_where_in_metres_and_radians(
    env: TableGrasp, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[Grasp] = []
    execute = env._world.execute

    def spy(grasp: Grasp, *args: Any) -> Any:
        executed.append(grasp)
        return execute(grasp, *args)

    monkeypatch.setattr(env._world, "execute", spy)
    wanted = Grasp((0.43, -0.11, 0.02), -0.7, 0.033)
    env.reset(seed=0)
    env.step(TableGrasp.action_of(wanted))
    assert executed[0].center_world[:2] == pytest.approx((0.43, -0.11), abs=1e-6)
    assert (executed[0].yaw, executed[0].width) == pytest.approx((-0.7, 0.033), abs=1e-6)
    assert 0.005 < executed[0].center_world[2] < 0.3


def test_an_episode_is_one_grasp(env: TableGrasp) -> None:
    env.reset(seed=0)
    env.step(np.array([0.0, 0, 0, 0.2]))
    with pytest.raises(InvalidValueError, match="reset"):
        env.step(np.array([0.0, 0, 0, 0.2]))
    fresh = TableGrasp(object_id=OBJECT)
    try:
        with pytest.raises(InvalidValueError, match="reset"):
            fresh.step(np.array([0.0, 0, 0, 0.2]))
    finally:
        fresh.close()


def test_a_frame_shows_the_arm_and_changes_nothing(env: TableGrasp) -> None:
    first, _ = env.reset(seed=2)
    frame = env.render()
    assert frame is not None and frame.dtype == np.uint8 and frame.shape == (360, 480, 3)
    assert frame.std() > 10
    again = env._world.observe()
    assert np.array_equal(again.rgb, first["rgb"])
    env.step(scripted_action(env))
    after = env.render()
    assert after is not None and np.abs(after.astype(int) - frame).max() > 50


def test_an_object_can_be_asked_for_at_a_reset(env: TableGrasp) -> None:
    _, info = env.reset(seed=0, options={"object_id": "hammer_00"})
    assert info["object"] == "hammer_00"
    with pytest.raises(UnknownNameError, match="did you mean 'hammer_"):
        env.reset(seed=0, options={"object_id": "hammer_0"})
    _, info = env.reset(seed=0)
    assert info["object"] == OBJECT


@pytest.mark.parametrize(
    "settings", [{"tier": "hard"}, {"split": "exam"}, {"object_id": "can"}, {"render_mode": "ansi"}]
)
def test_a_bad_setting_is_refused_with_the_choices(settings: dict[str, str]) -> None:
    with pytest.raises(UnknownNameError, match="known"):
        TableGrasp(**settings)


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DisplayError):
        TableGrasp(object_id=OBJECT, render_mode="human")


@pytest.mark.parametrize("tier", [name for name in TIERS if name != "same"])
def test_every_tier_has_episodes(tier: str) -> None:
    env = TableGrasp(object_id="hammer_00", tier=tier)
    try:
        env.reset(seed=0)
        scene = env._world.scene
        assert scene is not None and scene.tier == tier
        _, _, terminated, _, info = env.step(scripted_action(env))
        assert terminated and info["outcome"]
        if TIERS[tier].other_member:
            assert scene.objects[0].object_id != "hammer_00"
    finally:
        env.close()


def test_a_wrapper_counts_the_episodes() -> None:
    env = RecordEpisodeStatistics(gymnasium.make(ID, object_id=OBJECT))
    try:
        env.reset(seed=0)
        *_, info = env.step(scripted_action(env.unwrapped))
        assert info["episode"]["l"] == 1
        assert info["episode"]["r"] == float(info["is_success"])
    finally:
        env.close()


def test_other_processes_give_the_same_bytes(env: TableGrasp) -> None:
    """Two environments in processes of their own against this one, over two episodes each."""
    seeds = [11, 12]
    actions = np.array([[0.0, 0.2, 0.2, 0.7], [-0.2, 0.0, -0.6, 0.3]], np.float32)
    vector = AsyncVectorEnv([lambda: gymnasium.make(ID, object_id=OBJECT)] * 2, shared_memory=True)
    try:
        first, info = vector.reset(seed=seeds)
        assert list(info["object"]) == [OBJECT] * 2
        assert all(isinstance(d, Demonstration) for d in info["demonstration"])
        second, rewards, terminations, _, info = vector.step(actions)
        outcomes = list(info["outcome"])
        assert terminations.all()
    finally:
        vector.close()
    for i, seed in enumerate(seeds):
        mine, _ = env.reset(seed=seed)
        after, reward, *_, told = env.step(actions[i])
        for key in ("rgb", "depth"):
            assert mine[key].tobytes() == first[key][i].tobytes()
            assert after[key].tobytes() == second[key][i].tobytes()
        assert (reward, told["outcome"]) == (rewards[i], outcomes[i])
