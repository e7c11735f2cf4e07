"""What lies on the table: a scene of the simulator or a person's own picture, and grasps on it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.files import load_picture
from grasplearn.geometry import invert, pose_matrix, transform
from grasplearn.show.style import Frame
from grasplearn.sim.arrange import Wish
from grasplearn.sim.camera import CAMERA_SIDE
from grasplearn.sim.demonstrator import is_colorful
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import USER_SPLIT, Catalogue
from grasplearn.sim.scenes import draw_twin, sample_scene
from grasplearn.sim.world import World
from grasplearn.table import check_table
from grasplearn.tiers import TIERS
from grasplearn.types import Array, Camera, Demonstration, Grasp, Lesson, Observation, SceneSpec

# Rows of pixels of what the page shows; the net is given as few as in a trial.
SHOWN_HEIGHT = 480
ASPECT = 4 / 3
# A grasp belongs to the object whose surface is this near to its centre, m: the middle of a cup's
# rim is in the air.
REACH = 0.03
# Levels of 255 by which a pixel flickers from one live frame to the next.
GRAIN = 2
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80]


@dataclass(frozen=True, eq=False)
class Picture:
    """What can be pointed at.

    Attributes:
        number: names it; every new one has a higher one.
        observation: colours and depth, for a person. title: likewise.
        seen: the same view for the net, in pixels as large as those of trials. Of the finer ones
            several fall into each of a heightmap's cells, where the highest wins: all would be
            taught some 2 mm higher than it will ever be seen.
        scene: whence it is; None for a person's own picture, which both see as it is.
    """

    number: int
    observation: Observation
    seen: Observation
    title: str
    scene: SceneSpec | None = None


class Table:
    """The scene that the studio shows.

    Args:
        objects: a user's own folder besides the built-in objects, or None.
    """

    def __init__(self, objects: Path | None) -> None:
        self.catalogue = Catalogue.builtin()
        self.sources: dict[str, Path] = {}  # a user's own objects: whence they came
        self.complaints: list[str] = []
        if objects is not None:
            _, self.complaints = self.add_objects(objects)
        self.world = World(self.catalogue)
        self._rng = np.random.default_rng()
        self._count = 0

    def add_objects(self, folder: Path) -> tuple[list[str], list[str]]:
        """Takes a folder of meshes into the catalogue; returns their names, and what is wrong.

        Raises:
            AssetError: none of them can be used.
        """
        own, reports = Catalogue.from_folder(folder)
        self.catalogue = own.joined(self.catalogue)
        self.sources |= dict.fromkeys(own, folder)
        if hasattr(self, "world"):
            self.world.close()
            self.world = World(self.catalogue)
        return list(own), [str(report) for report in reports]

    def choices(self) -> list[dict[str, str]]:
        """Every object's name and split, a user's own first."""
        names = [{"id": name, "split": self.catalogue.split_of(name)} for name in self.catalogue]
        return sorted(names, key=lambda row: row["split"] != USER_SPLIT)

    def lay(self, object_id: str, tier: str, seed: int, number: int) -> Picture:
        """Draws a scene of the tier around an object and takes its picture.

        Raises:
            UnknownNameError: no such object or tier. SceneError: see ``sample_scene``.
        """
        if tier not in TIERS:
            raise UnknownNameError("tier", tier, TIERS)
        model = self.catalogue.get(object_id)
        rng = np.random.default_rng(zlib.crc32(f"{seed}/studio/{object_id}/{tier}".encode()))
        likely = np.array([pose.probability for pose in model.stable_poses])
        pose = int(rng.choice(len(likely), p=likely / likely.sum()))
        twin = draw_twin(model, is_colorful(model), rng) if TIERS[tier].look_alike else None
        others = self.catalogue.neighbours_of(object_id)
        scene = sample_scene(self.world, Wish(model, pose, others, twin), tier, rng)
        fine = replace(scene, camera=wide_camera(scene.camera, SHOWN_HEIGHT))
        scene = replace(scene, camera=wide_camera(scene.camera, CAMERA_SIDE))
        self.world.reset(scene)
        seen, shown = self.world.observe(), self.world.eye.observe(fine)
        return Picture(number, shown, seen, object_id.replace("_", " "), scene)

    def again(self, picture: Picture) -> None:
        """Puts a scene back that trials have been held over."""
        if picture.scene is not None:
            self.world.reset(picture.scene)

    def live(self, picture: Picture) -> bytes:
        """What the camera sees this moment, as JPEG.

        While nothing moves, only the sensor's grain changes from frame to frame; the scene is not
        rendered anew.
        """
        rgb = picture.observation.rgb
        grain = np.frombuffer(self._rng.bytes(rgb.size), np.uint8).reshape(rgb.shape) % (GRAIN + 1)
        return encoded(np.asarray(cv2.add(rgb, grain), np.uint8), ".jpg")

    def lesson(self, picture: Picture, grasp: Grasp) -> Lesson | None:
        """What judges must know of a grasp that was shown on a scene; None on an own picture.

        Raises:
            InvalidValueError: nothing of the scene stands there, or it is the look-alike.
        """
        scene = picture.scene
        if scene is None:
            return None
        index = self.pointed_at(scene, grasp)
        first = scene.objects[0]
        if TIERS[scene.tier].look_alike and index != 0:
            raise InvalidValueError(
                f"in tier '{scene.tier}' only {first.object_id} can be taught, and not its "
                "look-alike; point at the one of the usual size and colour, or choose another tier"
            )
        shown = scene.objects[index]
        others = [placed for i, placed in enumerate(scene.objects) if i != index]
        model = self.catalogue.get(shown.object_id)
        T_world_object = pose_matrix(shown.position, shown.quaternion)
        T_object_grasp = invert(T_world_object) @ grasp.T_world_grasp
        return Lesson(
            demonstration=Demonstration(picture.seen, grasp),
            object_id=shown.object_id,
            part=model.part_at(T_object_grasp[:3, 3]),
            scene=replace(scene, objects=(shown, *others)),
            T_object_grasp=T_object_grasp,
            pose_index=_pose_index(model, T_world_object[:3, :3]),
        )

    def pointed_at(self, scene: SceneSpec, grasp: Grasp) -> int:
        """Index of the scene's object that a grasp is on.

        Raises:
            InvalidValueError: none is near enough.
        """
        distances = []
        for placed in scene.objects:
            model = self.catalogue.get(placed.object_id)
            T_object_world = invert(pose_matrix(placed.position, placed.quaternion))
            center = transform(T_object_world, grasp.center_world) / placed.scale
            distances.append(float(model.surface.tree.query(center)[0]) * placed.scale)
        nearest = int(np.argmin(distances))
        if distances[nearest] > REACH:
            raise InvalidValueError("nothing stands between the jaws; drag across an object")
        return nearest

    def close(self) -> None:
        self.world.close()


def own_picture(files: Sequence[Path], number: int) -> Picture:
    """A person's own picture out of the files that were dropped: colours, depth and a camera.

    Which is which is told by the names: ``depth`` or ``.npy`` for the depth, ``.json`` for the
    camera.

    Raises:
        InvalidValueError, FileFormatError: one is missing; or see ``load_picture``.
    """
    cameras = [f for f in files if f.suffix.lower() == ".json" and "grasp" not in f.stem.lower()]
    pictures = [f for f in files if f.suffix.lower() != ".json"]
    depths = [f for f in pictures if "depth" in f.stem.lower() or f.suffix.lower() == ".npy"]
    colors = [f for f in pictures if f not in depths]
    for kind, found, wanted in (
        ("colour picture", colors, "a PNG, JPEG or TIFF without 'depth' in its name"),
        ("depth picture", depths, "a file with 'depth' in its name, or a .npy"),
        ("camera", cameras, "a .json file with K, or fx, fy, cx and cy"),
    ):
        if len(found) != 1:
            raise InvalidValueError(
                f"a picture of your own needs exactly one {kind} ({wanted}), and there are "
                f"{len(found)} among the files; drop the three files together"
            )
    observation = load_picture(colors[0], depths[0], cameras[0])
    check_table(observation, cameras[0].name)
    return Picture(number, observation, observation, f"your picture {colors[0].name}")


def wide_camera(camera: Camera, height: int) -> Camera:
    """The same view in so many rows of pixels: as much of the table, and more to the sides."""
    width = round(ASPECT * height)
    focal = camera.K[0, 0] * height / CAMERA_SIDE
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, camera.T_world_cam, width, height)


def encoded(picture: Frame, ending: str) -> bytes:
    """A picture, (H, W, 3 or 4) uint8 RGB(A), as the bytes of a .jpg, .png or .webp."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = JPEG if ending == ".jpg" else [cv2.IMWRITE_WEBP_QUALITY, 90]
    options = [] if ending == ".png" else options
    return cv2.imencode(ending, cv2.cvtColor(picture, order), options)[1].tobytes()


def _pose_index(model: ObjectModel, rotation: Array) -> int:
    """Which of its stable poses an object lies in: the one with the same side up."""
    up = rotation[2]
    ups = [Rotation.from_quat(p.quaternion).as_matrix()[2] for p in model.stable_poses]
    return int(np.argmax([float(side @ up) for side in ups]))
