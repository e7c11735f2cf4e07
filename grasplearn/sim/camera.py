"""The eye: a picture of a scene from a camera, and what a depth sensor makes of it.

The eye keeps a simulation of its own that holds only what can be seen, no collision shapes and no
motion; poses are copied into it. Physics therefore does not depend on who watches, and an
observation does not pay for an arm that is parked out of the picture.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from grasplearn.assets import assets_root
from grasplearn.geometry import WORKSPACE_CENTER, hue_rotation, invert, look_at
from grasplearn.sim import robot
from grasplearn.sim.bodies import Body, Pose, load_body
from grasplearn.sim.client import Client, muted
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.sensor import SENSOR
from grasplearn.types import Camera, Light, Observation, PlacedObject, SceneSpec

NEAR, FAR = 0.05, 3.0
TABLE_SIZE = (1.6, 1.6, 0.04)
TABLE_CENTER_X = 0.5
# Repeats of the texture along each side of the table.
TILES = 2
_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
CAMERA_HEIGHT = 0.75
CAMERA_SIDE = 224
# Sees 0.54 m of table from CAMERA_HEIGHT: the workspace and a margin for tilted and low views.
CAMERA_FOV = 2 * math.atan(0.27 / CAMERA_HEIGHT)


def overhead_camera(
    side: int = CAMERA_SIDE,
    height: float = CAMERA_HEIGHT,
    tilt: float = 0.0,
    tilt_direction: float = 0.0,
    offset: Sequence[float] = (0.0, 0.0),
) -> Camera:
    """A square camera that looks at the middle of the workspace.

    Args:
        side: pixels. height: m along the line of sight.
        tilt: rad from the vertical, towards ``tilt_direction`` (rad from world +x).
        offset: (2,) m, shift of the point looked at.
    """
    focal = side / 2 / math.tan(CAMERA_FOV / 2)
    middle = (side - 1) / 2
    target = np.array([WORKSPACE_CENTER[0] + offset[0], WORKSPACE_CENTER[1] + offset[1], 0.0])
    away = np.array(
        [
            math.sin(tilt) * math.cos(tilt_direction),
            math.sin(tilt) * math.sin(tilt_direction),
            math.cos(tilt),
        ]
    )
    T = look_at(target + height * away, target, (0.0, 1.0, 0.0))
    K = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    return Camera(K, T, side, side)


def _view_matrix(camera: Camera) -> list[float]:
    T_gl_cam = np.diag([1.0, -1.0, -1.0, 1.0])
    return list((T_gl_cam @ invert(camera.T_world_cam)).T.ravel())


def _projection_matrix(camera: Camera) -> list[float]:
    # TinyRenderer samples a pixel at its lower left corner, not at its centre as OpenGL does:
    # column u stands at u of w, row v at h - 1 - v of h (measured in tests/sim/test_camera.py).
    w, h = camera.width, camera.height
    P = np.zeros((4, 4))
    P[0, 0] = 2 * camera.K[0, 0] / w
    P[1, 1] = 2 * camera.K[1, 1] / h
    P[0, 2] = 1 - 2 * camera.K[0, 2] / w
    P[1, 2] = 2 * (camera.K[1, 2] + 1) / h - 1
    P[2, 2] = -(FAR + NEAR) / (FAR - NEAR)
    P[2, 3] = -2 * FAR * NEAR / (FAR - NEAR)
    P[3, 2] = -1
    return list(P.T.ravel())


def table_textures() -> dict[str, Path]:
    """The table tops that ship, by name."""
    return {path.stem: path for path in sorted((assets_root() / "tables").glob("*.png"))}


class Eye:
    """Shows one scene at a time.

    Args:
        catalogue: where the objects' meshes are.
        with_arm: draw the robot too (videos and windows; observations go without it).
        mode: pybullet connection mode; ``Client().GUI`` opens a window.
    """

    def __init__(
        self, catalogue: Catalogue, with_arm: bool = False, mode: int | None = None
    ) -> None:
        self._client = Client() if mode is None else Client(mode)
        self._catalogue = catalogue
        self._with_arm = with_arm
        self._arm: int | None = None
        self._bodies: list[Body] = []

    def show(self, scene: SceneSpec) -> None:
        """Replaces whatever was shown by ``scene``."""
        self.show_objects(scene.objects)
        client = self._client
        with muted():
            # The top alone: the renderer would spend a fifth of its time on a box's hidden faces.
            shape = client.createVisualShape(
                client.GEOM_MESH,
                vertices=[(x * TABLE_SIZE[0] / 2, y * TABLE_SIZE[1] / 2, 0.0) for x, y in _CORNERS],
                indices=[0, 1, 2, 0, 2, 3],
                uvs=[((x + 1) * TILES / 2, (y + 1) * TILES / 2) for x, y in _CORNERS],
                normals=[(0.0, 0.0, 1.0)] * 4,
                rgbaColor=[*scene.table_tint, 1.0],
            )
            table = client.createMultiBody(0, -1, shape, [TABLE_CENTER_X, 0.0, 0.0])
            texture = client.loadTexture(str(table_textures()[scene.table_texture]))
            client.changeVisualShape(table, -1, textureUniqueId=texture)
            self._arm = robot.load(client, visual=True) if self._with_arm else None

    def show_objects(self, objects: Sequence[PlacedObject]) -> None:
        """Shows objects alone, floating: enough to tell what hides what."""
        client = self._client
        with muted():
            client.resetSimulation()
            self._arm = None
            self._bodies = []
            for placed in objects:
                model = self._catalogue.get(placed.object_id)
                body = load_body(client, model, placed, visual=True)
                if placed.hue_shift:
                    texture = self._shifted(model, placed.hue_shift)
                    client.changeVisualShape(body.id, -1, textureUniqueId=texture)
                self._bodies.append(body)

    def move(self, poses: Sequence[Pose], joints: Sequence[float] = ()) -> None:
        """Copies object poses (position, quaternion; scene order) and the arm's joint angles."""
        for body, (position, quaternion) in zip(self._bodies, poses, strict=True):
            body.place(position, quaternion)
        if self._arm is not None:
            for joint, angle in enumerate(joints):
                self._client.resetJointState(self._arm, joint, angle)

    def render(
        self, camera: Camera, light: Light, labels: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
        """Returns rgb (H, W, 3), depth (H, W) in m and, if asked for, labels (H, W).

        Depth is 0 where nothing is. A label is the object's index in the scene, -1 for table, arm
        and background.
        """
        client = self._client
        _, _, rgba, depth, mask = client.getCameraImage(
            camera.width,
            camera.height,
            _view_matrix(camera),
            _projection_matrix(camera),
            lightDirection=light.direction,
            lightColor=light.color,
            lightDistance=2.0,
            shadow=int(light.shadow),
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            lightSpecularCoeff=light.specular,
            renderer=client.ER_TINY_RENDERER,
            flags=0 if labels else client.ER_NO_SEGMENTATION_MASK,
        )
        size = (camera.height, camera.width)
        rgb = np.asarray(rgba, dtype=np.uint8).reshape(*size, 4)[:, :, :3]
        buffer = np.asarray(depth, dtype=np.float64).reshape(size)
        metric = FAR * NEAR / (FAR - (FAR - NEAR) * buffer)
        metric[buffer >= 1] = 0.0  # nothing there
        out = np.full(size, -1, np.int32)
        if labels:
            seen = np.asarray(mask, dtype=np.int32).reshape(size)
            for index, body in enumerate(self._bodies):
                out[seen == body.id] = index
        return np.ascontiguousarray(rgb), metric.astype(np.float32), out

    def observe(self, scene: SceneSpec) -> Observation:
        """Takes the scene's picture with its camera, light and sensor."""
        rgb, depth, _ = self.render(scene.camera, scene.light)
        if scene.sensor_seed is not None:
            rgb, depth = SENSOR.sense(rgb, depth, np.random.default_rng(scene.sensor_seed))
        return Observation(rgb, depth, scene.camera)

    def _shifted(self, model: ObjectModel, angle: float) -> int:
        """Loads an object's texture with its hues turned."""
        turned = np.clip(model.texture() @ hue_rotation(angle).T, 0, 255).astype(np.uint8)
        # pybullet reads textures from files alone. The folder goes at once: one that lived as long
        # as this does would be left behind by every worker that is killed.
        with tempfile.TemporaryDirectory(prefix="grasplearn-") as folder:
            path = Path(folder) / f"{model.object_id}-{angle:.6f}.png"
            png = cv2.imencode(".png", cv2.cvtColor(turned, cv2.COLOR_RGB2BGR))[1]
            path.write_bytes(png.tobytes())
            texture: int = self._client.loadTexture(str(path))
        return texture

    def set_up_window(self, camera: Camera, target: Sequence[float]) -> None:
        """Has an eye with a window look from where ``camera`` stands at ``target``, panels away."""
        client = self._client
        away = camera.T_world_cam[:3, 3] - np.asarray(target)
        distance = float(np.linalg.norm(away))
        # Bullet's yaw is 0 for a camera that looks along +y.
        yaw = math.degrees(math.atan2(away[0], -away[1]))
        pitch = -math.degrees(math.asin(away[2] / distance))
        client.configureDebugVisualizer(client.COV_ENABLE_GUI, 0)
        # The window's lens is wider than any of ours.
        client.resetDebugVisualizerCamera(0.7 * distance, yaw, pitch, target)

    def freeze_window(self) -> None:
        """Keeps a scene that is being built out of sight until ``refresh_window``."""
        self._client.configureDebugVisualizer(self._client.COV_ENABLE_RENDERING, 0)

    def refresh_window(self) -> None:
        """Has the window show the poses that were set; only a step of time does that."""
        self._client.stepSimulation()
        self._client.configureDebugVisualizer(self._client.COV_ENABLE_RENDERING, 1)

    @property
    def connected(self) -> bool:
        return self._client.connected

    def close(self) -> None:
        self._client.close()
