"""Frozen values that travel between the floors, validated when they are made.

Frames are right-handed. ``world``: z up, the table top is z = 0, the robot's base is at the origin
and looks along +x. ``cam``: OpenCV's, x right, y down, z forward. ``object``: the mesh file's own.
``T_a_b`` maps coordinates in b to a. Lengths are metres and angles radians unless a name tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasplearn.errors import InvalidValueError
from grasplearn.tiers import TIERS

Array = NDArray[np.float64]

# 2 x 0.04 m: the stroke of the Panda's fingers (URDF joint limits).
MAX_WIDTH = 0.08
IMAGE_SIDE_RANGE = (16, 4096)

SPLITS = ("train", "validation", "test")


def _finite(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise InvalidValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidValueError(f"{name} must be finite, got {array.tolist()}")
    array.setflags(write=False)
    return array


def _pose(name: str, value: ArrayLike) -> Array:
    matrix = _finite(name, value, (4, 4))
    rotation = matrix[:3, :3]
    proper = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
    if not proper or np.linalg.det(rotation) < 0 or not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise InvalidValueError(f"{name} must be a rigid transform (4, 4) with a proper rotation")
    return matrix


def wrap_yaw(yaw: float) -> float:
    """Wraps a jaw angle to [-pi/2, pi/2); a parallel jaw looks the same after half a turn."""
    wrapped = float((yaw + np.pi / 2) % np.pi - np.pi / 2)
    # The remainder of a tiny negative number rounds up to pi itself.
    return wrapped if wrapped < np.pi / 2 else wrapped - np.pi


class _ByContent:
    """Equality of frozen values that hold arrays; the one a dataclass makes would raise."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Grasp(_ByContent):
    """A top-down grasp with a parallel jaw.

    Attributes:
        center_world: (3,) m, the point midway between the two pads when they touch.
        yaw: rad, the direction in which the jaws close, measured from world +x towards +y;
            stored in [-pi/2, pi/2).
        width: m in (0, MAX_WIDTH], the opening between the pads before closing.

    Raises:
        InvalidValueError: a value is not finite or the width is outside its range.
    """

    center_world: Array
    yaw: float
    width: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "center_world", _finite("center_world", self.center_world, (3,)))
        if not np.isfinite(self.yaw):
            raise InvalidValueError(f"yaw must be finite, got {self.yaw}")
        object.__setattr__(self, "yaw", wrap_yaw(float(self.yaw)))
        if not (np.isfinite(self.width) and 0 < self.width <= MAX_WIDTH):
            raise InvalidValueError(
                f"width must be in (0, {MAX_WIDTH}] m, the hand's opening; got {self.width}"
            )
        object.__setattr__(self, "width", float(self.width))

    @property
    def T_world_grasp(self) -> Array:
        """(4, 4): x along the closing direction, z down (the approach direction)."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        T = np.eye(4)
        T[:3, 0] = (c, s, 0)
        T[:3, 1] = (s, -c, 0)
        T[:3, 2] = (0, 0, -1)
        T[:3, 3] = self.center_world
        return T

    def to_dict(self) -> dict[str, Any]:
        return {
            "center_world": [float(v) for v in self.center_world],
            "yaw": self.yaw,
            "width": self.width,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Grasp:
        return Grasp(data["center_world"], data["yaw"], data["width"])


@dataclass(frozen=True, eq=False)
class Camera(_ByContent):
    """A calibrated pinhole camera without distortion.

    Attributes:
        K: (3, 3) intrinsics in pixels; pixel centres lie at integer coordinates.
        T_world_cam: (4, 4), camera (OpenCV axes) to world.
        width, height: pixels.
    """

    K: Array
    T_world_cam: Array
    width: int
    height: int

    def __post_init__(self) -> None:
        K = _finite("K", self.K, (3, 3))
        if K[0, 0] <= 0 or K[1, 1] <= 0:
            raise InvalidValueError("K needs positive focal lengths K[0, 0] and K[1, 1], in pixels")
        if K[0, 1] or K[1, 0] or not np.array_equal(K[2], [0, 0, 1]):
            raise InvalidValueError("K must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], without skew")
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "T_world_cam", _pose("T_world_cam", self.T_world_cam))
        low, high = IMAGE_SIDE_RANGE
        for side in (self.width, self.height):
            if not (low <= side <= high and side == int(side)):
                raise InvalidValueError(
                    f"a picture's sides must be {low} to {high} whole pixels, "
                    f"got {self.width} x {self.height}"
                )

    def to_dict(self) -> dict[str, Any]:
        return {
            "K": self.K.tolist(),
            "T_world_cam": self.T_world_cam.tolist(),
            "width": self.width,
            "height": self.height,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Camera:
        return Camera(data["K"], data["T_world_cam"], data["width"], data["height"])


@dataclass(frozen=True, eq=False)
class Observation(_ByContent):
    """One RGB-D picture.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32, m along the camera's z axis; 0 where the sensor saw nothing.
        camera: the calibrated camera that took it.

    Raises:
        InvalidValueError: wrong shapes or types, NaN or negative depth, or no valid depth at all.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Camera

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.rgb.shape != (*size, 3) or self.rgb.dtype != np.uint8:
            raise InvalidValueError(
                f"rgb must be uint8 of shape {(*size, 3)}, got {self.rgb.dtype} {self.rgb.shape}"
            )
        if self.depth.shape != size:
            raise InvalidValueError(
                f"depth must have the picture's shape {size}, got {self.depth.shape}"
            )
        depth = np.asarray(self.depth, dtype=np.float32)
        if not np.isfinite(depth).all() or (depth < 0).any():
            raise InvalidValueError(
                "depth holds NaN, infinite or negative values; mark unknown pixels with 0"
            )
        if not (depth > 0).any():
            raise InvalidValueError("depth is 0 (unknown) everywhere; is it the depth picture?")
        object.__setattr__(self, "depth", depth)


@dataclass(frozen=True)
class Demonstration:
    """The ONE shot: a picture and the grasp that was shown on it. All a learned policy is told."""

    observation: Observation
    grasp: Grasp


@dataclass(frozen=True)
class SymmetryAxis:
    """A rotation about an axis through the object's origin that leaves the object as it was.

    Attributes:
        axis: (3,) unit vector in the object's frame.
        order: n for invariance under 2 pi / n; 0 for invariance under any angle.
    """

    axis: tuple[float, float, float]
    order: int

    def __post_init__(self) -> None:
        axis = _finite("axis", self.axis, (3,))
        norm = float(np.linalg.norm(axis))
        if norm < 1e-9:
            raise InvalidValueError("a symmetry axis must not be zero")
        object.__setattr__(self, "axis", tuple(float(v) for v in axis / norm))
        if self.order < 0 or self.order == 1:
            raise InvalidValueError(f"a symmetry's order is 0 or at least 2, got {self.order}")


@dataclass(frozen=True)
class StablePose:
    """A way the object rests on a table.

    Attributes:
        quaternion: (x, y, z, w), object to world, before any yaw about the world's z.
        height: m, of the object's origin above the table.
        probability: of resting like this when dropped at random, in (0, 1].
    """

    quaternion: tuple[float, float, float, float]
    height: float
    probability: float

    def __post_init__(self) -> None:
        q = _finite("quaternion", self.quaternion, (4,))
        norm = float(np.linalg.norm(q))
        if abs(norm - 1) > 1e-3:
            raise InvalidValueError(f"a quaternion must have length 1, got {norm:.4f}")
        object.__setattr__(self, "quaternion", tuple(float(v) for v in q / norm))
        if not 0 < self.probability <= 1:
            raise InvalidValueError(f"probability must be in (0, 1], got {self.probability}")


class Outcome(StrEnum):
    """How a grasp ended; ``advice`` says what that means and what to try."""

    LIFTED = "lifted"
    MISSED = "missed"
    SLIPPED = "slipped"
    WRONG_OBJECT = "wrong_object"
    UNREACHABLE = "unreachable"
    COLLIDED = "collided"
    NO_GRASP = "no_grasp"
    ERROR = "error"

    @property
    def advice(self) -> str:
        return _ADVICE[self]


_ADVICE = {
    Outcome.LIFTED: "the taught object was lifted 15 cm, held 2 s and survived the shake",
    Outcome.MISSED: "the jaws closed on nothing: check the predicted position against the picture",
    Outcome.SLIPPED: "the object was held and lost: grasp nearer its centre of mass",
    Outcome.WRONG_OBJECT: "something else was lifted: the taught object was mistaken",
    Outcome.UNREACHABLE: "the arm cannot reach the grasp: keep it inside the workspace",
    Outcome.COLLIDED: "the hand hit something on its way down: open wider or turn the jaws",
    Outcome.NO_GRASP: "the policy found nothing to grasp in the picture",
    Outcome.ERROR: "the trial itself failed: see its message",
}


@dataclass(frozen=True)
class PlacedObject:
    """An object in a scene.

    Attributes:
        object_id: its name in the catalogue.
        position, quaternion: pose of its frame in the world, m and (x, y, z, w).
        scale: factor on the catalogue's size.
        hue_shift: rad, rotation of its colours about the grey axis of RGB (0: as they are).
    """

    object_id: str
    position: tuple[float, ...]
    quaternion: tuple[float, ...]
    scale: float = 1.0
    hue_shift: float = 0.0

    def __post_init__(self) -> None:
        for name, size in (("position", 3), ("quaternion", 4)):
            value = _finite(name, getattr(self, name), (size,))
            object.__setattr__(self, name, tuple(float(v) for v in value))
        if abs(np.linalg.norm(self.quaternion) - 1) > 1e-3:
            raise InvalidValueError(f"a quaternion must have length 1, got {self.quaternion}")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InvalidValueError(f"scale must be above 0, got {self.scale}")
        if not np.isfinite(self.hue_shift):
            raise InvalidValueError(f"hue_shift must be finite, got {self.hue_shift}")


@dataclass(frozen=True)
class Light:
    """Direction (from the table to the light), colour (0..1) and strengths of the one lamp."""

    direction: tuple[float, float, float] = (0.3, -0.4, 1.0)
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ambient: float = 0.6
    diffuse: float = 0.5
    specular: float = 0.05
    shadow: bool = True


@dataclass(frozen=True)
class SceneSpec:
    """Everything a scene is: a world reset to the same spec gives the same bytes.

    Attributes:
        objects: the taught object first (the one a trial must lift), then all others, settled.
        camera: where the picture is taken from.
        light: the lamp.
        table_texture: file name in the catalogue's ``tables`` folder.
        table_tint: (3,) factors 0..1 on the texture's colours.
        sensor_seed: seed of the sensor's noise; None switches the sensor model off.
        tier: which of TIERS it was drawn from.
        hidden: fraction of the taught object's pixels that others hide, in [0, 1].
    """

    objects: tuple[PlacedObject, ...]
    camera: Camera
    light: Light
    table_texture: str
    table_tint: tuple[float, float, float]
    sensor_seed: int | None
    tier: str = "same"
    hidden: float = 0.0

    def __post_init__(self) -> None:
        if not self.objects:
            raise InvalidValueError("a scene needs at least one object, the taught one")
        if self.tier not in TIERS:
            raise InvalidValueError(f"tier must be one of {', '.join(TIERS)}; got '{self.tier}'")
        tint = _finite("table_tint", self.table_tint, (3,))
        object.__setattr__(self, "table_tint", tuple(float(v) for v in tint))
        if not 0 <= self.hidden <= 1:
            raise InvalidValueError(f"hidden must be in [0, 1], got {self.hidden}")


@dataclass(frozen=True, eq=False)
class Lesson(_ByContent):
    """A demonstration with what only the simulator knows; judges see it, learned policies never do.

    Attributes:
        demonstration: what a policy may see.
        object_id: which object was shown; part: at which named part.
        scene: the scene it was shown in.
        T_object_grasp: (4, 4), the grasp in the shown object's frame.
        pose_index: which of the object's stable poses it lay in.
    """

    demonstration: Demonstration
    object_id: str
    part: str
    scene: SceneSpec
    T_object_grasp: Array
    pose_index: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "T_object_grasp", _pose("T_object_grasp", self.T_object_grasp))


@dataclass(frozen=True)
class GraspReport:
    """What happened when a grasp was executed.

    Attributes:
        outcome: LIFTED means that *some* object was lifted, held and survived the shake.
        object_index: index in the scene of the object that was held, or None.
        advice: one sentence.
    """

    outcome: Outcome
    object_index: int | None = None

    @property
    def advice(self) -> str:
        return self.outcome.advice


@dataclass(frozen=True)
class TrialSpec:
    """One trial: which policy meets which scene after which lesson; ``seed`` repeats it."""

    method: str
    tier: str
    object_id: str
    demonstration: int
    trial: int
    seed: int


@dataclass(frozen=True)
class TrialResult:
    """A row of results.jsonl; see docs/METRIC.md for what each figure means.

    ``object`` was demonstrated, ``target`` was to be lifted: in tier ``kin`` another member.
    ``position_error_m`` and ``yaw_error_rad`` are NaN-free: None where no grasp was predicted.
    """

    method: str
    tier: str
    object: str
    category: str
    demonstration: int
    trial: int
    scene_seed: int
    outcome: Outcome
    success: bool
    lifted: bool
    on_part: bool
    position_error_m: float | None
    yaw_error_rad: float | None
    grasp: dict[str, Any] | None
    teach_time_s: float
    predict_time_s: float
    execute_time_s: float
    target: str = ""
    hidden: float = 0.0
    executor: str = "arm"
    message: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
