"""What an evaluation holds: its settings, the objects they choose, and the tasks they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.policies import CONTROLS, LEARNED
from grasplearn.policies.entered import is_entered
from grasplearn.policies.learned import SHIPPED
from grasplearn.results import Key
from grasplearn.sim.mesh_checks import ImportReport
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import USER_SPLIT, Catalogue
from grasplearn.tiers import TIERS
from grasplearn.trial import SCRIPTED
from grasplearn.types import SPLITS

# In the order of the tables.
METHODS = (*LEARNED, SCRIPTED, *CONTROLS)
ALL_SPLITS = "all"


@dataclass(frozen=True)
class EvaluationSettings:
    """What is evaluated; equal settings give equal rows, time fields apart.

    Attributes:
        methods: names out of METHODS, or FILE.py:FUNCTION. tiers: names out of TIERS.
        split: ``train``, ``validation``, ``test`` or ``all`` of the catalogue.
        objects: a user's own folder instead of the catalogue.
        max_objects: at most so many, spread over the categories; None: all.
        only: these objects by name, whatever their split; None: see above.
        demos: demonstrations per object. trials: per object, demonstration and tier.
        seed: of everything.
        weights: name or file of the pre-trained weights that learned methods start from.
        until_halfwidth: hold ``trials`` more, again and again, until no method's and tier's 95 %
            Wilson interval of success is wider than twice this; None: hold ``trials``.
    """

    methods: tuple[str, ...]
    tiers: tuple[str, ...]
    split: str = "test"
    objects: str | None = None
    max_objects: int | None = None
    demos: int = 1
    trials: int = 4
    seed: int = 0
    weights: str = SHIPPED
    until_halfwidth: float | None = None
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for kind, names, known in (("method", self.methods, METHODS), ("tier", self.tiers, TIERS)):
            if not names:
                raise InvalidValueError(f"name at least one {kind}: {', '.join(known)}")
            for name in names:
                if name not in known and not (kind == "method" and is_entered(name)):
                    raise UnknownNameError(kind, name, known)
        if self.split not in (*SPLITS, ALL_SPLITS):
            raise UnknownNameError("split", self.split, (*SPLITS, ALL_SPLITS))
        for what in ("demos", "trials"):
            if getattr(self, what) < 1:
                raise InvalidValueError(f"{what} must be at least 1, got {getattr(self, what)}")
        if self.max_objects is not None and self.max_objects < 1:
            raise InvalidValueError(f"max_objects must be at least 1, got {self.max_objects}")
        if self.until_halfwidth is not None and not 0 < self.until_halfwidth < 0.5:
            raise InvalidValueError(
                f"until_halfwidth must be above 0 and below 0.5, got {self.until_halfwidth}"
            )


@dataclass(frozen=True)
class LessonName:
    """Which demonstration of which object; ``look_alike``: whether its twin stood beside it."""

    object_id: str
    demonstration: int
    look_alike: bool

    @property
    def folder(self) -> str:
        """Its name on disk."""
        kind = "alike" if self.look_alike else "same"
        return f"{self.object_id}-{self.demonstration}-{kind}"


@dataclass(frozen=True)
class Task:
    """The unit of parallel work: one scene, and the methods that are still to meet it."""

    lesson: LessonName
    tier: str
    trial: int
    methods: tuple[str, ...]


def plan(
    settings: EvaluationSettings, models: Sequence[ObjectModel], done: set[Key], trials: int
) -> Iterator[Task]:
    """The tasks that are missing, lesson by lesson.

    Args:
        trials: per object, demonstration and tier.
    """
    for lesson in lessons_of(settings, models):
        for tier in settings.tiers:
            if TIERS[tier].look_alike != lesson.look_alike:
                continue
            for trial in range(trials):
                scene = (tier, lesson.object_id, lesson.demonstration, trial)
                missing = tuple(m for m in settings.methods if (m, *scene) not in done)
                if missing:
                    yield Task(lesson, tier, trial, missing)


def lessons_of(settings: EvaluationSettings, models: Sequence[ObjectModel]) -> Iterator[LessonName]:
    for model in models:
        for demonstration in range(settings.demos):
            for look_alike in look_alikes(settings):
                yield LessonName(model.object_id, demonstration, look_alike)


def look_alikes(settings: EvaluationSettings) -> list[bool]:
    """The kinds of lessons that the tiers need: without a look-alike, with one."""
    return sorted({TIERS[tier].look_alike for tier in settings.tiers})


def select_objects(catalogue: Catalogue, settings: EvaluationSettings) -> list[ObjectModel]:
    """The objects to evaluate; ``max_objects`` of them are spread evenly over the categories."""
    if settings.only is not None:
        return [catalogue.get(name) for name in settings.only]
    split = None if settings.split == ALL_SPLITS else settings.split
    if settings.objects is not None:
        split = USER_SPLIT
    models = list(catalogue.select(split=split))
    if settings.max_objects is None or settings.max_objects >= len(models):
        return models
    seen: dict[str, int] = defaultdict(int)
    ranked = []
    for model in models:
        ranked.append((seen[model.category], model.category, model))
        seen[model.category] += 1
    ranked.sort(key=lambda r: r[:2])
    return [model for _, _, model in ranked[: settings.max_objects]]


@cache
def load_catalogue(objects: str | None) -> tuple[Catalogue, tuple[ImportReport, ...]]:
    """The built-in objects, or a user's own with the built-in ones to stand beside them; and what
    is wrong with any of the user's."""
    builtin = Catalogue.builtin()
    if objects is None:
        return builtin, ()
    own, reports = Catalogue.from_folder(Path(objects))
    return own.joined(builtin), tuple(reports)
