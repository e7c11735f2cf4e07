"""A skill: one taught object, in memory and as a folder that can be moved anywhere.

The folder holds ``demonstration/`` (the files of ``files.py``; for one shown in the simulator also
``lesson.json``, which judges of trials read and nothing here does), ``changed.safetensors`` (the
weights that teaching changed, and the card: how they came about and what they belong to), and for
people ``thumbnail.png`` and ``heatmap.png``.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import FileFormatError, InvalidValueError, NoGraspError, UnknownNameError
from grasplearn.files import (
    CAMERA_FILE,
    COLOR_FILE,
    DEPTH_FILE,
    GRASP_FILE,
    load_demonstration,
    save_demonstration,
    whole_folder,
)
from grasplearn.geometry import heightmap
from grasplearn.learning.augment import Augmentation
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.fine_tune import Report, Watch
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.taught import Prediction, Taught
from grasplearn.learning.teaching import Look, teach, verifier_of
from grasplearn.learning.teaching_settings import Teaching, teaching_of
from grasplearn.lessons import save_lesson
from grasplearn.library import (
    DEMONSTRATION,
    HEATMAP,
    THUMBNAIL,
    WEIGHTS,
    check_replaceable,
    is_skill,
)
from grasplearn.nets.codec import place_of
from grasplearn.nets.weights import fill, load_tensors, save_tensors
from grasplearn.results import versions
from grasplearn.rules.base import Guard
from grasplearn.show.heat import heat_picture
from grasplearn.show.overlay import demonstration_picture, save_png
from grasplearn.show.style import Frame
from grasplearn.types import Demonstration, Lesson, Observation

KIND = "skill"
THUMBNAIL_SIDE = 256
# Of a digest, enough to tell two sets of weights apart by eye.
SHOWN_DIGEST = 12


@dataclass(frozen=True, eq=False)
class Skill:
    """A taught net with all that is needed to keep it.

    Attributes:
        taught: the net and how it was taught.
        changed: the weights in which it differs from the pre-trained net, by name.
        weights: name or file of the pre-trained weights; digest: which weights those were.
        seed: of teaching.
        versions: of what taught it.
    """

    taught: Taught
    changed: Mapping[str, Tensor]
    weights: str
    digest: str
    seed: int
    versions: Mapping[str, str]

    @classmethod
    def teach(
        cls,
        demonstration: Demonstration,
        teaching: Teaching | None = None,
        *,
        weights: str | Path = "shipped",
        seed: int = 0,
        watch: Watch | None = None,
        look: Look | None = None,
    ) -> Skill:
        """Teaches one demonstration.

        Args:
            teaching: the method and its settings; static-sgm with the weights' own by default.
            weights: pre-trained ones, by name or file. seed: of the samples, at least 0.
            watch: is told every update of every step; look: is shown the net after every step.

        Raises:
            InvalidValueError: nothing stands at the demonstrated grasp, or the weights have no
                modules for the method.
            UnknownNameError, FileFormatError: see ``load_pretrained``.
        """
        if seed < 0:
            raise InvalidValueError(f"seed must be at least 0, got {seed}")
        pretrained = load_pretrained(str(weights))
        view = heightmap(demonstration.observation)
        # Imprinting would take bare table too; that can only be a slip of the hand.
        take_apart(view, place_of(view, demonstration.grasp))
        taught = teach(
            demonstration, pretrained, teaching or teaching_of(pretrained), seed, watch, look
        )
        return cls.of(taught, pretrained, weights, seed)

    @classmethod
    def of(cls, taught: Taught, pretrained: Pretrained, weights: str | Path, seed: int) -> Skill:
        """Makes a skill of what ``learning.teaching.teach`` returned for the same arguments."""
        before, after = pretrained.net.state_dict(), taught.net.state_dict()
        changed = {name: t for name, t in after.items() if not torch.equal(t, before[name])}
        return cls(taught, changed, str(weights), pretrained.digest, seed, versions())

    @property
    def method(self) -> str:
        return self.taught.teaching.method

    @property
    def demonstration(self) -> Demonstration:
        return self.taught.demonstration

    def predict(self, observation: Observation) -> Prediction:
        """Finds the demonstrated spot in a picture.

        Raises:
            NoGraspError: nothing stands on the table, or the net's maps are not finite.
            InvalidValueError: the picture does not show the workspace.
        """
        return self.taught.predict(observation)

    def card(self) -> dict[str, Any]:
        """How this skill came about, as JSON values; times are wall times in s."""
        taught, report = self.taught, self.taught.report
        return {
            "teaching": asdict(taught.teaching),
            "seed": self.seed,
            "weights": {"name": self.weights, "digest": self.digest},
            "kept": taught.kept,
            "probe_loss": None if taught.probe_loss is None else _plain(taught.probe_loss),
            "missed": taught.missed,
            "warning": taught.warning,
            "seconds": taught.seconds,
            "fine_tuning": None if report is None else _report_card(report),
            "versions": dict(self.versions),
        }

    def save(
        self, folder: str | Path, *, lesson: Lesson | None = None, replace: bool = False
    ) -> None:
        """Writes the skill's folder, all at once.

        Args:
            folder: it appears whole or not at all.
            lesson: what the simulator knows of the demonstration, to judge trials by.
            replace: whether it may take the place of another skill there.

        Raises:
            InvalidValueError: the place is taken, or cannot be written to; a weight is not finite.
        """
        folder = Path(folder)
        check_replaceable(folder)
        with whole_folder(folder, replace) as place:
            shown = place / DEMONSTRATION
            save_demonstration(shown, self.demonstration)
            told = {**self.card(), "demonstration": _digests(shown)}
            if lesson is not None:
                save_lesson(shown, lesson)
            save_tensors(place / WEIGHTS, KIND, self.changed, told)
            save_png(place / THUMBNAIL, _thumbnail(self.demonstration))
            save_png(place / HEATMAP, self.heatmap())

    @classmethod
    def load(cls, folder: str | Path, weights: str | Path | None = None) -> Skill:
        """Reads a skill.

        Args:
            weights: name or file of the pre-trained weights that it was taught on; None: where
                they were then.

        Raises:
            FileFormatError: there is no skill, it is damaged or of another version, or its
                pre-trained weights are not to be had.
        """
        folder = Path(folder)
        if not is_skill(folder):
            raise FileFormatError(
                f"no skill at {folder}; a skill is a folder with {WEIGHTS} and {DEMONSTRATION}/, "
                "as 'grasplearn teach' makes it"
            )
        changed, card = load_tensors(folder / WEIGHTS, KIND)
        demonstration = load_demonstration(folder / DEMONSTRATION)
        try:
            if dict(card["demonstration"]) != _digests(folder / DEMONSTRATION):
                raise FileFormatError(
                    f"{folder / DEMONSTRATION} is not what this skill was taught; teach it again"
                )
            name, digest = str(card["weights"]["name"]), str(card["weights"]["digest"])
            base = _base(folder, name, digest, weights)
            net, teaching = copy.deepcopy(base.net), _teaching(card["teaching"])
            fill(net, {**net.state_dict(), **changed}, folder / WEIGHTS)
            taught = Taught(
                net,
                demonstration.grasp.yaw,
                demonstration,
                teaching,
                None if card["fine_tuning"] is None else _report(card["fine_tuning"]),
                str(card["kept"]),
                None if card["probe_loss"] is None else _pair(card["probe_loss"]),
                None if card["missed"] is None else float(card["missed"]),
                str(card["warning"]),
                float(card["seconds"]),
                verifier_of(teaching.method, str(card["kept"]), base),
            )
            return cls(taught, changed, name, digest, int(card["seed"]), dict(card["versions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"{folder} was made by another version of GraspLearn ({error!r}); teach it again"
            ) from error

    def heatmap(self) -> Frame:
        """The taught net's answer to its own demonstration, as a picture for people."""
        grasp, observation = self.demonstration.grasp, self.demonstration.observation
        try:
            return heat_picture(observation, self.predict(observation).quality, shown=grasp)
        except NoGraspError:
            return demonstration_picture(self.demonstration)


def _thumbnail(demonstration: Demonstration) -> Frame:
    """The demonstration with its grasp; the shorter side has THUMBNAIL_SIDE pixels."""
    picture = demonstration_picture(demonstration, None, THUMBNAIL_SIDE)
    scale = THUMBNAIL_SIDE / min(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _base(folder: Path, name: str, digest: str, weights: str | Path | None) -> Pretrained:
    """The pre-trained weights that a skill was taught on.

    Raises:
        FileFormatError: they are not there, or have changed.
    """
    wanted = f"the pre-trained weights '{name}' ({digest[:SHOWN_DIGEST]})"
    try:
        base = load_pretrained(name if weights is None else str(weights))
    except UnknownNameError as error:
        where = name if weights is None else weights
        raise FileFormatError(
            f"{folder} was taught on {wanted}, and there are none at '{where}'; say where they "
            "are with --weights FILE, or teach it again"
        ) from error
    if base.digest != digest:
        raise FileFormatError(
            f"{folder} was taught on {wanted}, but these are {base.digest[:SHOWN_DIGEST]}; say "
            "where the old ones are with --weights FILE, or teach it again"
        )
    return base


def _digests(folder: Path) -> dict[str, str]:
    """What a demonstration's files hold, whatever a judge's file beside them says."""
    names = (COLOR_FILE, DEPTH_FILE, CAMERA_FILE, GRASP_FILE)
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def _teaching(card: Mapping[str, Any]) -> Teaching:
    return Teaching(**{**card, "augmentation": Augmentation(**card["augmentation"])})


def _report_card(report: Report) -> dict[str, Any]:
    return {
        "losses": _plain(report.losses),
        "seconds": report.seconds,
        "peak_bytes": report.peak_bytes,
        "guards": {guard.value: count for guard, count in report.guards.items()},
        "warning": report.warning,
    }


def _report(card: Mapping[str, Any]) -> Report:
    return Report(
        tuple(_number(loss) for loss in card["losses"]),
        float(card["seconds"]),
        card["peak_bytes"],
        {Guard(guard): int(count) for guard, count in card["guards"].items()},
        {},
        str(card["warning"]),
    )


def _pair(values: list[Any]) -> tuple[float, float]:
    first, second = values
    return _number(first), _number(second)


def _plain(values: tuple[float, ...]) -> list[float | None]:
    """JSON has no NaN."""
    return [value if math.isfinite(value) else None for value in values]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
