"""The jobs of the studio, one method each; all that they tell goes through ``tell``."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasplearn.errors import FileFormatError, InvalidValueError, NoGraspError
from grasplearn.files import pixel_grasp
from grasplearn.geometry import HEIGHTMAP_SPAN, WORKSPACE_CENTER, heightmap, project
from grasplearn.learning.pretrained import load_pretrained, shipped_weights
from grasplearn.learning.teaching import Progress
from grasplearn.learning.teaching_settings import teaching_of
from grasplearn.library import WEIGHTS, find_skill, skill_folder
from grasplearn.nets.codec import decode, encode, quality_map
from grasplearn.nets.weights import load_tensors
from grasplearn.policies.learned import one_thread, weights_digest
from grasplearn.show.heat import heat_layer
from grasplearn.show.overlay import depth_picture
from grasplearn.skill import KIND, Skill
from grasplearn.studio.dropped import files_in, meshes_in, told_by_name
from grasplearn.studio.settings import Settings
from grasplearn.studio.state import unpack
from grasplearn.studio.table import Picture, Table, encoded, own_picture
from grasplearn.studio.trying import Trying
from grasplearn.types import Demonstration, Grasp, Observation

# So many pictures can still be taught on after newer ones.
KEPT_PICTURES = 4
# Drawing heat may take this share of the time of teaching.
HEAT_SHARE = 0.25
# Units of depth for the page: 0.1 mm.
DEPTH_UNIT = 0.0001

Tell = Callable[[dict[str, Any]], None]


class Stopped(Exception):
    """The job was cancelled."""


class Workbench:
    """Does the jobs.

    Args:
        tell: takes what is to be known, plain values and bytes.
        check: raises Stopped where the job was cancelled; called often.
    """

    def __init__(self, settings: Settings, tell: Tell, check: Callable[[], None]) -> None:
        self.settings, self._tell, self._check = settings, tell, check
        weights_digest(["imprint"], settings.weights)  # what cannot work is told at once
        self.table = Table(settings.objects)
        self.pictures: dict[int, Picture] = {}
        self.current: Picture | None = None

    # -- what lies on the table --------------------------------------------------------------

    def scene(self, job: int, object_id: str, tier: str, seed: int) -> dict[str, Any]:
        """A new scene."""
        return self._show(self.table.lay(object_id, tier, seed, job))

    def picture(self, job: int, folder: str) -> dict[str, Any]:
        """A person's own picture."""
        with told_by_name(folder):
            return self._show(own_picture(files_in(folder), job))

    def mesh(self, job: int, folder: str, tier: str, seed: int) -> dict[str, Any]:
        """A person's own object: into the catalogue, and onto the table."""
        with told_by_name(folder):
            names, complaints = self.table.add_objects(meshes_in(folder))
        self._tell({"say": "objects", "objects": self.table.choices()})
        return {**self.scene(job, names[0], tier, seed), "complaints": complaints}

    def _show(self, picture: Picture) -> dict[str, Any]:
        self.pictures[picture.number] = self.current = picture
        for old in sorted(self.pictures)[:-KEPT_PICTURES]:
            del self.pictures[old]
        observation = picture.observation
        self._tell(
            {
                "say": "picture",
                "picture": _told(picture),
                "color": encoded(observation.rgb, ".webp"),
                "depth_view": encoded(depth_picture(observation, None, 1), ".webp"),
                "depth": _units(observation.depth),
                "observation": observation,
            }
        )
        return {"picture": picture.number}

    # -- teaching ------------------------------------------------------------------------------

    def teach(
        self,
        job: int,
        picture: int,
        grasp: dict[str, float],
        name: str,
        rule: str,
        always: bool,
        steps: int | None,
        replace: bool,
        seed: int,
    ) -> dict[str, Any]:
        """One demonstration becomes a skill; until it is whole, an older one stays as it is.

        Raises:
            GraspLearnError: whatever a person can mend.
        """
        shown = self._picture(picture)
        self._tell_phase(job, "looking at the grasp")
        at = grasp["u"], grasp["v"], grasp["yaw_deg"], grasp["width"]
        chosen = pixel_grasp(shown.observation, *at)
        lesson = self.table.lesson(shown, chosen)
        folder = skill_folder(self.settings.library, name)
        if folder.exists() and not replace:
            raise InvalidValueError(f"there is a skill '{name}' already; choose another name")
        own = teaching_of(load_pretrained(self.settings.weights), rule)
        teaching = dataclasses.replace(own, steps=steps or own.steps, measure_memory=True)
        if always:
            teaching = dataclasses.replace(teaching, doubt=0.0)
        self._tell_phase(job, "imprinting")
        with one_thread([rule]):
            skill = Skill.teach(
                Demonstration(shown.seen, chosen),
                teaching,
                weights=self.settings.weights,
                seed=seed,
                watch=lambda step, update: self._check(),
                look=_Looking(job, shown, chosen, self._tell, self._check),
            )
            self._check()
            self._tell_heat(job, shown, skill)
        self._check()
        skill.save(folder, lesson=lesson, replace=replace)
        self._tell({"say": "library"})
        taught, report = skill.taught, skill.taught.report
        return {
            "skill": name,
            "kept": taught.kept,
            "seconds": taught.seconds,
            "steps": 0 if report is None else len(report.losses),
            "peak_bytes": None if report is None else report.peak_bytes,
            "missed": taught.missed,
            "warning": taught.warning,
        }

    def find(self, job: int, skill: str, picture: int) -> dict[str, Any]:
        """Where a skill would grasp on a picture; draws its heat."""
        shown = self._picture(picture)
        found = self._load(skill)
        with one_thread([found.method]):
            prediction = found.predict(shown.seen)
        layer = heat_layer(shown.observation, prediction.quality)
        self._tell({"say": "heat", "job": job, "heat": encoded(layer, ".png")})
        return {
            "skill": skill,
            "picture": picture,
            "grasp": on_picture(shown.observation, prediction.grasp),
            "confidence": prediction.confidence,
        }

    def take_in(self, job: int, folder: str, name: str | None) -> dict[str, Any]:
        """A skill from one file; it is read whole before it enters the library.

        Raises:
            FileFormatError: it is no skill, damaged, or taught on weights that are not here.
        """
        (file,) = files_in(folder)
        place = Path(folder) / ".skill"
        unpack(file, place)
        _, card = load_tensors(place / WEIGHTS, KIND)
        told = card.get("weights")
        weights = told.get("name") if isinstance(told, dict) else None
        # A file must not have this process open whatever it names.
        if weights not in (*shipped_weights(), self.settings.weights):
            raise FileFormatError(
                f"{file.name} was taught on weights that are not here; export it where it was "
                "taught on shipped ones, or start the studio with --weights FILE"
            )
        Skill.load(place)
        wanted = skill_folder(self.settings.library, name or file.name.split(".")[0])
        home, number = wanted, 2
        while home.exists():
            home = skill_folder(self.settings.library, f"{wanted.name}-{number}")
            number += 1
        self._check()
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place, home)
        self._tell({"say": "library"})
        return {"skill": home.name}

    # -- trying --------------------------------------------------------------------------------

    def try_out(
        self, job: int, skills: list[str], tier: str, trials: int, seed: int
    ) -> dict[str, Any]:
        """Trials of one skill, or of two in the same scenes."""
        self._tell_phase(job, "loading")
        loaded = {name: self._load(name) for name in skills}
        trying = Trying(job, loaded, self.settings, self.table, self._tell, self._check)
        try:
            with one_thread([skill.method for skill in loaded.values()]):
                return trying.run(tier, trials, seed)
        finally:
            if self.current is not None:
                self.table.again(self.current)

    def live(self) -> bytes | None:
        """A frame of what the camera sees now; None where there is no scene."""
        if self.current is None or self.current.scene is None:
            return None
        return self.table.live(self.current)

    # -- helpers ---------------------------------------------------------------------------------

    def _load(self, name: str) -> Skill:
        return Skill.load(find_skill(self.settings.library, name))

    def _picture(self, number: int) -> Picture:
        if number not in self.pictures:
            raise InvalidValueError("that picture is gone; draw the grasp on the one shown now")
        return self.pictures[number]

    def _tell_phase(self, job: int, phase: str) -> None:
        self._check()
        self._tell({"say": "progress", "job": job, "progress": {"phase": phase}})

    def _tell_heat(self, job: int, shown: Picture, skill: Skill) -> None:
        try:
            layer = heat_layer(shown.observation, skill.predict(shown.seen).quality)
        except NoGraspError:
            return
        self._tell({"say": "heat", "job": job, "heat": encoded(layer, ".png")})


@dataclass
class _Looking:
    """Tells how far teaching has come, and draws where the net looks as often as time allows."""

    job: int
    shown: Picture
    grasp: Grasp
    tell: Tell
    check: Callable[[], None]
    drawing_s: float = 0.0

    def __post_init__(self) -> None:
        self.start = time.perf_counter()
        self.view = heightmap(self.shown.seen)
        self.picture = encode(self.view)

    def __call__(self, progress: Progress) -> None:
        self.check()
        told: dict[str, Any] = {
            "phase": "refining" if progress.step else "imprinted",
            "step": progress.step,
            "steps": progress.steps,
            "seconds": time.perf_counter() - self.start,
            "resident_bytes": resident_bytes(),
        }
        if progress.peak_bytes is not None:
            told["peak_bytes"] = progress.peak_bytes
        if progress.loss is not None and np.isfinite(progress.loss):
            told["loss"] = progress.loss
        self.tell({"say": "progress", "job": self.job, "progress": told})
        if self.drawing_s <= HEAT_SHARE * told["seconds"]:
            with self._timed():
                self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        maps = progress.net.predict(self.picture.to(next(progress.net.parameters()))[None])
        try:
            decode(maps, self.view, self.grasp.yaw)
        except NoGraspError:  # nothing that could be drawn
            return
        layer = heat_layer(self.shown.observation, quality_map(maps).cpu().numpy())
        self.tell({"say": "heat", "job": self.job, "heat": encoded(layer, ".png")})

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.drawing_s += time.perf_counter() - begun


def on_picture(observation: Observation, grasp: Grasp) -> dict[str, float]:
    """A grasp as it is drawn on a picture: pixel, angle (degrees), width (m)."""
    camera, T = observation.camera, grasp.T_world_grasp
    middle, ahead = project(
        camera, np.stack([grasp.center_world, grasp.center_world + 0.01 * T[:3, 0]])
    )
    angle = float(np.degrees(np.arctan2(middle[1] - ahead[1], ahead[0] - middle[0])))
    return {"u": float(middle[0]), "v": float(middle[1]), "yaw_deg": angle, "width": grasp.width}


def resident_bytes() -> int | None:
    """Memory of this process that is in use now; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{os.getpid()}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _units(depth: NDArray[np.float32]) -> bytes:
    units = np.rint(depth / DEPTH_UNIT).clip(0, 65535)
    return bytes(units.astype("<u2").tobytes())


def _told(picture: Picture) -> dict[str, Any]:
    """What the page must know to draw on a picture."""
    camera, scene = picture.observation.camera, picture.scene
    half = HEIGHTMAP_SPAN / 2
    x, y = WORKSPACE_CENTER
    corners = np.array(
        [[x + a * half, y + b * half, 0.0] for a, b in ((-1, 1), (1, 1), (1, -1), (-1, -1))]
    )
    known = picture.observation.depth[picture.observation.depth > 0]
    return {
        "number": picture.number,
        "title": picture.title,
        "width": camera.width,
        "height": camera.height,
        "focal": float(camera.K[0, 0]),
        "workspace": project(camera, corners).tolist(),
        "table_depth": float(np.median(known)),
        "depth_unit": DEPTH_UNIT,
        "own": scene is None,
        "object": None if scene is None else scene.objects[0].object_id,
        "tier": None if scene is None else scene.tier,
    }
