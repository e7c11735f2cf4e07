"""The Gymnasium environment ``grasplearn/TableGrasp-v0``: one picture, one grasp, one verdict.

An episode is one trial: ``reset`` shows a scene with a demonstrated object in it, ``step`` executes
a grasp and ends the episode. ``info["demonstration"]`` holds the one shot; what the simulator knows
beyond it stays inside.
"""

from __future__ import annotations

import zlib
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.geometry import HEIGHTMAP_SPAN, WORKSPACE_CENTER, grasp_height, heightmap
from grasplearn.sim.camera import CAMERA_SIDE
from grasplearn.sim.demonstrator import demonstrate
from grasplearn.sim.judge import judge
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.viewer import Recorder, Window
from grasplearn.sim.world import World, ignore
from grasplearn.tiers import TIERS
from grasplearn.trial import trial_scene
from grasplearn.types import MAX_WIDTH, Grasp, Lesson, Observation

MIN_WIDTH = 0.005
_HALF_SPAN = HEIGHTMAP_SPAN / 2
# What the actions -1 and 1 stand for: x, y (m, world), yaw (rad), opening (m).
ACTION_LOW = np.array([*(c - _HALF_SPAN for c in WORKSPACE_CENTER), -np.pi / 2, MIN_WIDTH])
ACTION_HIGH = np.array([*(c + _HALF_SPAN for c in WORKSPACE_CENTER), np.pi / 2, MAX_WIDTH])

Observed = dict[str, NDArray[Any]]


class TableGrasp(gymnasium.Env[Observed, NDArray[np.float32]]):
    """Grasp the demonstrated object where it was demonstrated.

    Observation: ``rgb`` (224, 224, 3) uint8 and ``depth`` (224, 224) float32, m, 0 unknown.
    Action: (4,) float32 in [-1, 1]: x, y, yaw and opening of a top-down grasp, each scaled from
    ACTION_LOW to ACTION_HIGH; ``action_of`` makes one from a grasp. The grasp's height follows
    from the depth picture (``geometry.grasp_height``).
    Reward: 1 for a success, else 0. ``info``: ``is_success``, ``outcome``, ``object``, ``part``,
    ``demonstration``, ``camera`` (calibration); after a step ``advice``, ``lifted``, ``on_part``.

    Args:
        object_id: which object; None draws one from ``split`` at every reset.
        split: ``train``, ``validation`` or ``test``. tier: see ``grasplearn.tiers``.
        render_mode: ``rgb_array`` (a view from the side) or ``human`` (PyBullet's window).
    """

    metadata = {  # noqa: RUF012 gymnasium declares it so
        "render_modes": ["rgb_array", "human"],
        "render_fps": 15,
    }

    def __init__(
        self,
        object_id: str | None = None,
        split: str = "train",
        tier: str = "same",
        render_mode: str | None = None,
    ) -> None:
        if tier not in TIERS:
            raise UnknownNameError("tier", tier, TIERS)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UnknownNameError("render mode", render_mode, self.metadata["render_modes"])
        self._catalogue = Catalogue.builtin()
        if object_id is not None:
            self._objects = [self._catalogue.get(object_id)]
        else:
            self._objects = list(self._catalogue.select(split=split))
        self._tier = tier
        self.render_mode = render_mode
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {
                "rgb": spaces.Box(0, 255, (CAMERA_SIDE, CAMERA_SIDE, 3), np.uint8),
                "depth": spaces.Box(0.0, 10.0, (CAMERA_SIDE, CAMERA_SIDE), np.float32),
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self._world = World(self._catalogue)
        self._window = Window(self._catalogue) if render_mode == "human" else None
        self._recorder: Recorder | None = None
        self._lessons: dict[str, Lesson] = {}
        self._lesson: Lesson | None = None
        self._observation: Observation | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Draws an object and a scene. ``options={"object_id": ...}`` asks for a certain object."""
        super().reset(seed=seed)
        model = self._objects[int(self.np_random.integers(len(self._objects)))]
        if options and "object_id" in options:
            model = self._catalogue.get(options["object_id"])
        lesson = self._lessons.get(model.object_id) or self._demonstrate(model.object_id)
        self._lesson = self._lessons[model.object_id] = lesson
        scene = trial_scene(
            self._world,
            lesson,
            self._tier,
            self._catalogue.neighbours_of(model.object_id),
            int(self.np_random.integers(2**31)),
        )
        self._world.reset(scene)
        self._observation = self._world.observe()
        return self._as_observed(), self._info(lesson)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Executes the grasp and ends the episode; beyond -1 and 1 an action is cut off there.

        Raises:
            InvalidValueError: the action has the wrong shape or is not finite; or no reset before.
        """
        if self._observation is None or self._lesson is None or self._world.scene is None:
            raise InvalidValueError("call reset() before step(): an episode is one grasp")
        values = np.asarray(action, np.float64)
        if values.shape != (4,) or not np.isfinite(values).all():
            raise InvalidValueError(
                f"an action is 4 finite numbers (x, y, yaw, width), got {action}"
            )
        share = (np.clip(values, -1, 1) + 1) / 2
        x, y, yaw, width = ACTION_LOW + share * (ACTION_HIGH - ACTION_LOW)
        z = grasp_height(heightmap(self._observation), (x, y), yaw, width)
        grasp = Grasp(np.array([x, y, z]), yaw, min(float(width), MAX_WIDTH))
        report = self._world.execute(grasp, self._window or ignore)
        scene, lesson = self._world.scene, self._lesson
        model = self._catalogue.get(scene.objects[0].object_id)
        verdict = judge(lesson, model, scene, grasp, report)
        info = self._info(lesson) | {
            "is_success": verdict.success,
            "outcome": verdict.outcome.value,
            "advice": verdict.outcome.advice,
            "lifted": verdict.lifted,
            "on_part": verdict.on_part,
        }
        self._observation = self._world.observe()
        observed = self._as_observed()
        self._observation = None
        return observed, float(verdict.success), True, False, info

    @staticmethod
    def action_of(grasp: Grasp) -> NDArray[np.float32]:
        """The action (4,) that asks for a grasp, its height left to the picture."""
        values = np.array([*grasp.center_world[:2], grasp.yaw, grasp.width])
        share = (values - ACTION_LOW) / (ACTION_HIGH - ACTION_LOW)
        return np.asarray(np.clip(2 * share - 1, -1, 1), np.float32)

    def render(self) -> NDArray[np.uint8] | None:
        """A (H, W, 3) uint8 picture in mode ``rgb_array``; updates the window in ``human``."""
        if self.render_mode == "human" and self._window is not None:
            self._window(self._world, "rest")
        if self.render_mode != "rgb_array":
            return None
        if self._recorder is None:
            self._recorder = Recorder(self._catalogue, lambda frame, phase: None)
        return self._recorder.frame(self._world)

    def close(self) -> None:
        for part in (self._window, self._recorder, self._world):
            if part is not None:
                part.close()

    def _demonstrate(self, object_id: str) -> Lesson:
        """The object's one demonstration: the same in every episode, process and seed."""
        model = self._catalogue.get(object_id)
        return demonstrate(
            self._world,
            model,
            self._catalogue.neighbours_of(model.object_id),
            np.random.default_rng(zlib.crc32(object_id.encode())),
            kin=self._catalogue.kin_of(object_id) if TIERS[self._tier].other_member else (),
            look_alike=TIERS[self._tier].look_alike,
        )

    def _as_observed(self) -> Observed:
        assert self._observation is not None
        return {"rgb": self._observation.rgb, "depth": self._observation.depth}

    def _info(self, lesson: Lesson) -> dict[str, Any]:
        assert self._world.scene is not None
        return {
            "is_success": False,
            "outcome": "",
            "object": lesson.object_id,
            "part": lesson.part,
            "demonstration": lesson.demonstration,
            "camera": self._world.scene.camera,
        }
