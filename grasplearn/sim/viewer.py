"""Watching a trial: frames for a video, or a window. A watcher, never a branch inside a trial."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import DisplayError
from grasplearn.geometry import look_at
from grasplearn.sim.camera import Eye
from grasplearn.sim.client import Client
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.types import Camera, Light, SceneSpec

SIZE = (480, 360)
_VIEW_LIGHT = Light(direction=(0.6, -0.5, 1.2), ambient=0.6, diffuse=0.45, shadow=True)

Sink = Callable[[NDArray[np.uint8], str], None]


def side_camera(size: tuple[int, int] = SIZE) -> Camera:
    """Looks at the table from the front right, the whole arm's hand in view."""
    width, height = size
    focal = 0.95 * width
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    T = look_at((1.18, -0.62, 0.62), (0.47, 0.02, 0.10), (0, 0, 1))
    return Camera(K, T, width, height)


class Recorder:
    """A watcher that renders every n-th call and hands (frame, phase) to a sink.

    Args:
        catalogue: of the watched world.
        sink: takes (H, W, 3) uint8 frames.
        every: of the world's 30 calls per simulated second, each n-th makes a frame; the quiet
            hold is shown at a third of that.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        sink: Sink,
        camera: Camera | None = None,
        every: int = 2,
    ) -> None:
        self._eye = Eye(catalogue, with_arm=True)
        self._camera = camera or side_camera()
        self._sink = sink
        self._every = every
        self._calls = 0
        self._scene: SceneSpec | None = None

    def __call__(self, world: World, phase: str) -> None:
        self._calls += 1
        if self._calls % (self._every * (3 if phase == "hold" else 1)) == 0:
            self._sink(self.frame(world), phase)

    def frame(self, world: World) -> NDArray[np.uint8]:
        """The world as it is now, (H, W, 3) uint8."""
        if self._scene is not world.scene and world.scene is not None:
            self._eye.show(world.scene)
            self._scene = world.scene
        self._eye.move(world.poses(), world.joint_positions)
        return self._eye.render(self._camera, _VIEW_LIGHT)[0]

    def close(self) -> None:
        self._eye.close()


class Window:
    """A watcher that shows the trial in PyBullet's own window, in real time.

    Raises:
        DisplayError: there is no display.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise DisplayError(
                "a window needs a display and there is none here (DISPLAY is not set); leave the "
                "window out and look at the video instead"
            )
        self._eye = Eye(catalogue, with_arm=True, mode=Client.gui_mode())
        if not self._eye.connected:
            raise DisplayError("PyBullet could not open its window on this display")
        self._scene: SceneSpec | None = None

    def __call__(self, world: World, phase: str) -> None:
        if self._scene is not world.scene and world.scene is not None:
            self._eye.show(world.scene)
            self._scene = world.scene
        self._eye.move(world.poses(), world.joint_positions)
        time.sleep(1 / 30)

    def close(self) -> None:
        self._eye.close()
