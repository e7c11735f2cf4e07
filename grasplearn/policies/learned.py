"""Policies that are taught: a pre-trained net and one of the ways of teaching it.

Torch is imported when the first of them is needed; the controls do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from grasplearn.errors import UnknownNameError
from grasplearn.learning.methods import LEARNED
from grasplearn.rules import RULES
from grasplearn.types import Demonstration, Grasp, Observation

if TYPE_CHECKING:
    from grasplearn.learning.pretrained import Pretrained
    from grasplearn.learning.taught import Taught

SHIPPED = "shipped"


@dataclass(frozen=True)
class Learned:
    """Teaches a pre-trained net.

    Attributes:
        method: one of LEARNED. weights: name or file of the pre-trained ones.
        remember: whether what was taught is kept on disk and taken from there.

    Raises:
        UnknownNameError: there is no such method.
    """

    method: str
    weights: str = SHIPPED
    remember: bool = False

    def __post_init__(self) -> None:
        if self.method not in LEARNED:
            raise UnknownNameError("learned method", self.method, LEARNED)

    @property
    def name(self) -> str:
        return self.method

    def teach(self, demonstration: Demonstration, rng: np.random.Generator) -> LearnedGrasper:
        """Teaches with the method's own settings.

        Raises:
            InvalidValueError: nothing stands at the demonstrated grasp, or the weights have no
                modules for the method.
            UnknownNameError, FileFormatError: see ``load_pretrained``.
        """
        from grasplearn.learning.teaching import teach
        from grasplearn.learning.teaching_settings import teaching_of
        from grasplearn.policies.taught_cache import teach_once

        pretrained, seed = _pretrained(self.weights), int(rng.integers(2**31))
        taught = (teach_once if self.remember else teach)(
            demonstration, pretrained, teaching_of(pretrained, self.method), seed
        )
        return LearnedGrasper(taught, pretrained, seed)


@dataclass(frozen=True)
class LearnedGrasper:
    """A taught net as a grasper.

    Attributes:
        pretrained, seed: what it was taught from.
    """

    taught: Taught
    pretrained: Pretrained
    seed: int

    def __call__(self, observation: Observation) -> Grasp:
        return self.taught.predict(observation).grasp

    @property
    def facts(self) -> Mapping[str, Any]:
        """What happened when it was taught, as JSON values; no times, so that runs can be compared.

        ``kept``, ``warning``; of methods that fine-tune ``missed``; where that was called for also
        ``probe_loss`` (imprinted, refined), ``last_loss`` and ``guards``. A loss that is not finite
        is None.
        """
        taught, report = self.taught, self.taught.report
        facts: dict[str, Any] = {"kept": taught.kept, "warning": taught.warning}
        if taught.missed is not None:
            facts["missed"] = taught.missed
        if report is not None:
            facts["last_loss"] = _plain(report.losses[-1])
            facts["guards"] = {guard.value: count for guard, count in report.guards.items()}
        if taught.probe_loss is not None:
            facts["probe_loss"] = [_plain(loss) for loss in taught.probe_loss]
        return facts


def weights_digest(methods: Iterable[str], weights: str) -> str:
    """Checks that weights serve all methods; returns their digest, "" if no method needs any.

    Raises:
        UnknownNameError, FileFormatError: see ``load_pretrained``.
        InvalidValueError: the weights have no modules for one of the methods.
    """
    learned = [method for method in methods if method in LEARNED]
    if not learned:
        return ""
    pretrained = _pretrained(weights)
    for method in learned:
        if method in RULES:
            pretrained.rule(method)
    return pretrained.digest


@contextmanager
def one_thread(methods: Iterable[str]) -> Iterator[None]:
    """Inside, torch works with one thread if any method is a learned one.

    How many threads share a sum decides how it is rounded; results must not depend on that.
    """
    if not any(method in LEARNED for method in methods):
        yield
        return
    from grasplearn.learning.threads import threads

    with threads(1):
        yield


def _pretrained(weights: str) -> Pretrained:
    """Weights, read once per process as long as their file stays as it is."""
    from grasplearn.learning.pretrained import find_weights

    path = find_weights(weights)
    status = path.stat()
    return _read(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: str, changed_ns: int, size: int) -> Pretrained:
    from grasplearn.learning.pretrained import load_pretrained

    return load_pretrained(path)


def _plain(loss: float) -> float | None:
    """JSON has no NaN."""
    return loss if np.isfinite(loss) else None
