"""Watching a trial: frames for a video, or a window. A watcher, never a branch inside a trial."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasplearn.errors import DisplayError
from grasplearn.geometry import look_at
from grasplearn.sim.camera import Eye
from grasplearn.sim.client import Client
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.world import World
from grasplearn.types import Camera, Light, SceneSpec

SIZE = (480, 360)
# Where the side camera stands and what it looks at, m: the jaws' whole way in view, the forearm not
# in front of it.
VIEWPOINT, VIEWED = (1.08, -0.70, 0.55), (0.46, 0.0, 0.14)
# Whence portraits are taken: the table's ground behind a thing, or the sky behind the hand.
FROM_ABOVE, FROM_THE_SIDE = (0.10, -0.62, 0.75), (0.50, -0.80, 0.30)
# Bright, but with something left for the white arm to stand out by.
_VIEW_LIGHT = Light(
    direction=(0.5, -0.7, 1.1), color=(1.0, 0.99, 0.97), ambient=0.5, diffuse=0.45, shadow=True
)
# What is seen beyond the table, from the picture's top to its foot.
_SKY = np.array([(205, 214, 224), (236, 239, 242)], np.float64)

Sink = Callable[[NDArray[np.uint8], str], None]


def side_camera(size: tuple[int, int] = SIZE) -> Camera:
    """Looks at the table from the front right, the whole arm's hand in view."""
    return _camera(VIEWPOINT, VIEWED, 1.15 * size[0], size)


def portrait_camera(
    center_world: ArrayLike,
    extent: float,
    size: tuple[int, int],
    away: tuple[float, float, float] = FROM_ABOVE,
) -> Camera:
    """Looks from 1 m ``away`` at something ``extent`` m large, so that it fills the picture."""
    direction = np.array(away) / np.linalg.norm(away)
    return _camera(center_world + direction, center_world, 0.8 * min(size) / extent, size)


def _camera(
    eye: ArrayLike,
    target: ArrayLike,
    focal: float,
    size: tuple[int, int],
) -> Camera:
    width, height = size
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, look_at(eye, target, (0, 0, 1)), width, height)


def view(eye: Eye, camera: Camera, fine: int = 1) -> NDArray[np.uint8]:
    """Renders what ``eye`` shows for a person, in even light and before a plain background.

    Args:
        fine: pixels rendered per pixel and direction; more than 1 smooths edges.

    Returns:
        (H, W, 3) uint8.
    """
    K = camera.K.copy()
    K[:2] *= fine
    K[:2, 2] += (fine - 1) / 2  # edges of pixels stay together, not their centres
    larger = Camera(K, camera.T_world_cam, fine * camera.width, fine * camera.height)
    rgb, depth, _ = eye.render(larger, _VIEW_LIGHT)
    height = np.linspace(0, 1, larger.height)[:, None, None]
    sky = (1 - height) * _SKY[0] + height * _SKY[1]
    rgb = np.where((depth == 0)[..., None], sky, rgb).astype(np.uint8)
    if fine == 1:
        return rgb
    size = (camera.width, camera.height)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


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
        return view(self._eye, self._camera)

    def close(self) -> None:
        self._eye.close()


class Window:
    """A watcher that shows the trial in PyBullet's own window, in real time.

    Raises:
        DisplayError: there is no display.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        if sys.platform.startswith("linux") and not _x_server_answers():
            raise DisplayError(
                "a window needs a display and there is none here (DISPLAY is not set, or nobody "
                "answers there); leave the window out and look at the video instead"
            )
        self._eye = Eye(catalogue, with_arm=True, mode=Client.gui_mode())
        if not self._eye.connected:
            raise DisplayError("PyBullet could not open its window on this display")
        self._eye.set_up_window(side_camera(), VIEWED)
        self._scene: SceneSpec | None = None

    def __call__(self, world: World, phase: str) -> None:
        if self._scene is not world.scene and world.scene is not None:
            self._eye.freeze_window()
            self._eye.show(world.scene)
            self._scene = world.scene
        self._eye.move(world.poses(), world.joint_positions)
        self._eye.refresh_window()
        time.sleep(1 / 30)

    def close(self) -> None:
        self._eye.close()


def _x_server_answers() -> bool:
    """Asks before bullet does: where it finds no X server, it ends the whole process."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)
