"""Pictures agree with geometry: where a thing is seen is where it is, and how far."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasplearn.geometry import invert, look_at, pose_matrix, project, transform, unproject
from grasplearn.sim.camera import (
    CAMERA_HEIGHT,
    FAR,
    Eye,
    hue_rotation,
    overhead_camera,
    table_textures,
)
from grasplearn.sim.demonstrator import is_colorful
from grasplearn.sim.objects import Catalogue
from grasplearn.sim.robot import PARKED, Kinematics
from grasplearn.sim.scenes import sample_camera
from grasplearn.sim.world import World
from grasplearn.tiers import TIERS
from grasplearn.types import Array, Camera, Light, PlacedObject, SceneSpec

LIGHT = Light(shadow=False)


def skewed_camera(width: int, height: int, off: tuple[float, float]) -> Camera:
    """Unequal focal lengths, the principal point beside the middle, looking from the side."""
    K = np.array([[230.0, 0, width / 2 + off[0]], [0, 260.0, height / 2 + off[1]], [0, 0, 1]])
    T = look_at((0.58, -0.15, 0.75), (0.5, 0.02, 0.0), (0.3, 1.0, 0.2))
    return Camera(K, T, width, height)


CAMERAS = {
    "overhead": overhead_camera(),
    "low": overhead_camera(height=0.6, offset=(0.02, -0.03)),
    "tilted": overhead_camera(tilt=np.deg2rad(20), tilt_direction=2.1),
    "large": overhead_camera(side=420, tilt=np.deg2rad(10)),
    "wide": skewed_camera(300, 200, (23.5, -17.25)),
    "tall": skewed_camera(180, 320, (-20.75, 31.0)),
}
cameras = pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())


def scene_of(*objects: PlacedObject, camera: Camera, **changes: object) -> SceneSpec:
    values = {
        "light": LIGHT,
        "table_texture": next(iter(table_textures())),
        "table_tint": (1.0, 1.0, 1.0),
        "sensor_seed": None,
        **changes,
    }
    return SceneSpec(objects=objects, camera=camera, **values)  # type: ignore[arg-type]


def placed(object_id: str, x: float, y: float, z: float, yaw: float = 0.0) -> PlacedObject:
    quaternion = Rotation.from_euler("xyz", [0.4, -0.3, yaw]).as_quat()
    return PlacedObject(object_id, (x, y, z), tuple(quaternion))


@pytest.fixture(scope="module")
def eye(catalogue: Catalogue) -> Iterator[Eye]:
    made = Eye(catalogue)
    yield made
    made.close()


def outline(catalogue: Catalogue, thing: PlacedObject, camera: Camera) -> Array:
    """Pixels (n, 2) of the visible mesh's corners."""
    return project(camera, corners_world(catalogue, thing))


def corners_world(catalogue: Catalogue, thing: PlacedObject) -> Array:
    """(n, 3) m, the visible mesh's corners."""
    mesh = trimesh.load(catalogue.get(thing.object_id).folder / "visual.obj", force="mesh")
    return transform(pose_matrix(thing.position, thing.quaternion), mesh.vertices * thing.scale)


@cameras
def test_a_thing_is_seen_where_it_projects_to(
    eye: Eye, catalogue: Catalogue, camera: Camera
) -> None:
    """The outermost pixels against the outermost corners of the mesh, on all four sides."""
    rng = np.random.default_rng(0)
    size = np.array([camera.width, camera.height])
    off = []
    for object_id in ("can_00", "hammer_00", "box_00", "banana_00"):
        for turn in Rotation.random(8, random_state=int(rng.integers(1000))):
            x, y = np.array([0.5, 0.0]) + rng.uniform(-0.04, 0.04, 2)
            thing = PlacedObject(object_id, (x, y, 0.1), tuple(turn.as_quat()), scale=0.7)
            eye.show_objects([thing])
            v, u = np.nonzero(eye.render(camera, LIGHT, labels=True)[2] == 0)
            corners = outline(catalogue, thing, camera)
            assert (corners > 1).all() and (corners < size - 2).all(), "must be all in the picture"
            low = np.array([u.min(), v.min()]) - corners.min(axis=0)
            high = np.array([u.max(), v.max()]) - corners.max(axis=0)
            off.append((low, high))
    # A pixel belongs to a thing that covers its centre: what is seen ends up to one pixel, half of
    # one on average, inside of the outline, alike on opposite sides. A tip may hide between pixels.
    both = np.array(off)
    assert np.abs(both.mean(axis=1)).max() < 1.0
    assert np.abs(both.mean(axis=(0, 1))).max() < 0.12, "pixels are shifted against the projection"
    assert np.abs(both.mean(axis=0) - [[0.5, 0.5], [-0.5, -0.5]]).max() < 0.3


@cameras
def test_a_small_thing_s_middle_is_where_it_projects_to(
    eye: Eye, catalogue: Catalogue, camera: Camera
) -> None:
    for x, y in ((0.45, 0.05), (0.55, -0.08), (0.5, 0.1)):
        thing = PlacedObject("can_00", (x, y, 0.05), (0, 0, 0, 1), scale=0.25)
        eye.show_objects([thing])
        mask = eye.render(camera, LIGHT, labels=True)[2] == 0
        v, u = np.nonzero(mask)
        corners = outline(catalogue, thing, camera)
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
        assert mask.sum() > 12
        assert np.abs([u.mean(), v.mean()] - middle).max() < 0.6


@cameras
def test_depth_is_the_distance_to_the_table(eye: Eye, camera: Camera) -> None:
    far_away = PlacedObject("can_00", (0.5, 0.0, -2.0), (0, 0, 0, 1))
    eye.show(scene_of(far_away, camera=camera))
    depth = eye.render(camera, LIGHT)[1]
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    pixels = np.stack([u, v], -1)
    points = unproject(camera, pixels, np.ones(depth.shape))
    origin = camera.T_world_cam[:3, 3]
    wanted = -origin[2] / (points - origin)[..., 2]
    assert np.abs(depth - wanted).max() < 0.0003
    on_table = unproject(camera, pixels, depth)
    assert np.abs(on_table[..., 2]).max() < 0.0003


def test_depth_of_a_thing_is_the_distance_to_its_surface(eye: Eye, catalogue: Catalogue) -> None:
    """A can upright under the camera: its lid is nearer by its height."""
    camera = overhead_camera()
    height = catalogue.get("can_00").size[2]
    thing = PlacedObject("can_00", (0.5, 0.0, 0.05), (0, 0, 0, 1))
    eye.show(scene_of(thing, camera=camera))
    _, depth, labels = eye.render(camera, LIGHT, labels=True)
    points = corners_world(catalogue, thing)
    top = points[:, 2].max()
    assert depth[labels == 0].min() == pytest.approx(CAMERA_HEIGHT - top, abs=0.001)
    assert np.ptp(points[:, 2]) == pytest.approx(height, rel=0.02)


def test_where_nothing_is_seen_depth_is_unknown(eye: Eye) -> None:
    """A camera that looks over the table's end."""
    K = np.array([[100.0, 0, 63.5], [0, 100.0, 63.5], [0, 0, 1]])
    camera = Camera(K, look_at((0.5, -0.5, 0.5), (0.5, 1.0, 0.1), (0, 0, 1)), 128, 128)
    thing = PlacedObject("can_00", (0.5, 0.0, 0.05), (0, 0, 0, 1))
    for sensor_seed in (None, 3):
        scene = scene_of(thing, camera=camera, sensor_seed=sensor_seed)
        eye.show(scene)
        depth = eye.observe(scene).depth
        assert (depth[:10] == 0).all(), "the background is not a measurement"
        assert depth.max() < FAR - 0.5


def test_two_eyes_see_the_same_bytes(eye: Eye, catalogue: Catalogue) -> None:
    things = (placed("mug_00", 0.45, 0.05, 0.1), placed("hammer_00", 0.55, -0.05, 0.05))
    turned = PlacedObject("cup_00", (0.6, 0.1, 0.05), (0, 0, 0, 1), scale=1.3, hue_shift=2.0)
    for shadow in (True, False):
        scene = scene_of(
            *things, turned, camera=CAMERAS["tilted"], light=Light(shadow=shadow), sensor_seed=5
        )
        # One eye has seen other things before, the other is new.
        eye.show(scene_of(placed("pan_00", 0.5, 0, 0.1), camera=CAMERAS["low"]))
        eye.render(CAMERAS["wide"], Light(shadow=True, color=(0.5, 0.9, 0.2)))
        eye.show(scene)
        other = Eye(catalogue)
        try:
            other.show(scene)
            first, second = eye.observe(scene), other.observe(scene)
        finally:
            other.close()
        assert first.rgb.tobytes() == second.rgb.tobytes()
        assert first.depth.tobytes() == second.depth.tobytes()


def test_the_arm_is_parked_out_of_every_picture(catalogue: Catalogue) -> None:
    """Boxes about its links stay outside the pyramid that each camera sees."""
    rng = np.random.default_rng(0)
    views = [sample_camera(TIERS["view"], rng) for _ in range(300)]
    kinematics, eye = Kinematics(), Eye(catalogue, with_arm=True)
    try:
        kinematics._set(PARKED)
        boxes = [kinematics._client.getAABB(kinematics._arm, link) for link in range(-1, 11)]
        corners = np.array(
            [[(b[i][0], b[j][1], b[k][2]) for i, j, k in np.ndindex(2, 2, 2)] for b in boxes]
        )
        rooms = [room_beside(camera, corners) for camera in views]
        assert min(rooms) > 0.02, f"a link comes within {min(rooms):.3f} m of a picture"
        # And the picture from where it is closest is the same with the arm and without.
        closest = views[int(np.argmin(rooms))]
        thing = PlacedObject("can_00", (0.5, 0.0, 0.05), (0, 0, 0, 1))
        eye.show(scene_of(thing, camera=closest))
        eye.move([(thing.position, thing.quaternion)], [*PARKED, 0, 0, 0.04, 0.04, 0])
        with_arm = eye.render(closest, LIGHT)
        eye._client.removeBody(eye._arm)
        without = eye.render(closest, LIGHT)
        assert all(np.array_equal(a, b) for a, b in zip(with_arm, without, strict=True))
    finally:
        kinematics.close()
        eye.close()


def room_beside(camera: Camera, boxes_world: Array) -> float:
    """Least distance (m) of boxes (n, 8, 3) from what a camera sees; negative inside it."""
    boxes = transform(invert(camera.T_world_cam), boxes_world)
    (fx, _, cx), (_, fy, cy), _ = camera.K
    w, h = camera.width, camera.height
    sides = np.array(
        [
            [-fx, 0, -(cx + 0.5)],
            [fx, 0, -(w - 0.5 - cx)],
            [0, -fy, -(cy + 0.5)],
            [0, fy, -(h - 0.5 - cy)],
        ]
    )
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    outside = (boxes @ sides.T).min(axis=1)  # of a box's corners, the innermost; per side
    return float(outside.max(axis=1).min())


def test_the_test_of_the_arm_s_parking_can_fail() -> None:
    camera = overhead_camera()
    corners = np.array(list(np.ndindex(2, 2, 2))) * 0.1
    assert room_beside(camera, corners[None] + (0.5, 0, 0)) < 0
    assert room_beside(camera, corners[None] + (0.5 + 0.27, 0, 0)) == pytest.approx(0, abs=0.01)
    assert room_beside(camera, corners[None] + (1.0, 0, 0)) > 0.1


def test_the_world_draws_the_arm_where_it_parks_it(world: World) -> None:
    thing = PlacedObject("can_00", (0.5, 0.0, 0.06), (0, 0, 0, 1))
    world.reset(scene_of(thing, camera=overhead_camera()))
    assert np.allclose(world.joint_positions[:7], PARKED)


def test_a_hue_is_turned_without_losing_its_brightness() -> None:
    for angle in (0.3, 2.0, -1.1):
        R = hue_rotation(angle)
        assert np.allclose(R @ R.T, np.eye(3)) and np.allclose(R @ np.ones(3), np.ones(3))
    assert np.allclose(hue_rotation(2 * np.pi / 3) @ (1, 0, 0), (0, 1, 0), atol=1e-9)


def test_a_twin_of_another_hue_differs_in_colour_alone(eye: Eye, catalogue: Catalogue) -> None:
    camera = overhead_camera()
    colorful = next(o for o in catalogue if is_colorful(catalogue.get(o)))
    pictures = []
    for hue in (0.0, 2.0):
        thing = PlacedObject(colorful, (0.5, 0.0, 0.05), (0, 0, 0, 1), hue_shift=hue)
        eye.show_objects([thing])
        pictures.append(eye.render(camera, LIGHT, labels=True))
    (rgb_a, depth_a, labels_a), (rgb_b, depth_b, labels_b) = pictures
    assert np.array_equal(depth_a, depth_b) and np.array_equal(labels_a, labels_b)
    inside = labels_a == 0
    change = np.abs(rgb_a.astype(int) - rgb_b)[inside].max(axis=1)
    assert np.median(change) > 30


def test_an_open_eye_has_nothing_on_the_disk_that_its_end_would_leave(
    eye: Eye, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = Path.write_bytes

    def noted(path: Path, data: bytes) -> int:
        written.append(path.parent.parent.name)
        return write(path, data)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", noted)
    eye.show_objects([PlacedObject("cup_00", (0.5, 0.0, 0.05), (0, 0, 0, 1), hue_shift=2.0)])
    assert written == [tmp_path.name], "the turned texture goes through a file"
    assert not list(tmp_path.iterdir())


def test_a_twin_of_another_size_is_that_much_larger(eye: Eye, catalogue: Catalogue) -> None:
    camera = overhead_camera()
    areas = []
    for scale in (1.0, 1.3):
        thing = PlacedObject("hammer_00", (0.5, 0.0, 0.0), (0, 0, 0, 1), scale=scale)
        eye.show_objects([thing])
        areas.append((eye.render(camera, LIGHT, labels=True)[2] == 0).sum())
    assert areas[1] / areas[0] == pytest.approx(1.3**2, rel=0.06)
