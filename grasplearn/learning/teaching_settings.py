"""How a demonstration is taught: settings, and what refines with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.learning.augment import Augmentation
from grasplearn.learning.fine_tune import FineTuning
from grasplearn.learning.methods import IMPRINT, LAST_BLOCK, LEARNED, UNTAUGHT, UNVERIFIED
from grasplearn.learning.optimizers import OPTIMIZERS, Optimizer
from grasplearn.learning.pretrained import Pretrained
from grasplearn.rules import RULES
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.base import LearningRule
from grasplearn.rules.tail import Tail

# The head's step size of every method that fine-tunes, in steps of ``lars``: of those 5e-3 to 5e-2
# were looked at, on validation objects beside look-alikes. benchmarks/rates.py tries each method.
LARS = "lars"
RATES: dict[str, float] = {**dict.fromkeys(RULES, 1.5e-2), LAST_BLOCK: 1.5e-2}
# Rules that make their own update, with step sizes that are in no optimizer's units.
OWN_UPDATE = ("fixed-point",)
# Where weights' card notes how they are to be refined, and what may be noted there; ``rates``: by
# method, where it is not ``rate``.
REFINING, BY_METHOD = "refining", "rates"
NOTED = ("steps", "optimizer", "rate", "blocks", "frozen", "share", "doubt", BY_METHOD)
# Rules that remember a sample's error must meet it again: so many batches take turns.
REMEMBERING = ("static-sgm-one-pass",)
RECURRING_BATCHES = 4


@dataclass(frozen=True)
class Teaching:
    """Settings of teaching.

    Attributes:
        method: one of LEARNED.
        steps: of fine-tuning; batch: samples a step.
        optimizer: lars, sgd or adam. Steps of ``lars`` are shares of what is there and keep what
            the weights know; ``adam`` moves every weight about equally far.
        rate: the head's step size; None for the method's own out of RATES, or the optimizer's. Of
            a rule in OWN_UPDATE its own one.
            blocks: the blocks' / the head's. Large ones cost more than they brought.
        frozen: share of the blocks, the first ones, that stay as they are; of ``last-block`` all
            but the last do. Fewer multiplications, but what they put out is kept for a second pass.
        share: of the way from the imprint that is kept, 1 for all; less keeps more of what the
            weights knew (Wortsman et al., arXiv 2109.01903).
        augmentation: how the samples differ from the demonstration.
        probe: samples, besides the demonstration, on which refined and imprinted are compared.
        doubt: share of them that the imprint must miss before anything is refined: what it already
            finds, refining could only lose. 0 refines always, more than 1 never for this reason.
        rival: something else in the demonstration that the imprint finds at least this share as
            probable as the shown spot calls for refining as well; likewise.
        measure_memory: follow the first step's live bytes (that step takes longer).
        threads: that torch works with; the bytes that come out depend on it.

    Raises:
        UnknownNameError: there is no such method.
        InvalidValueError: a value is out of its range.
    """

    method: str = "static-sgm"
    steps: int = 8
    batch: int = 4
    optimizer: str = LARS
    rate: float | None = None
    blocks: float = 0.02
    frozen: float = 0.0
    share: float = 0.5
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(side=160, hue=0.3))
    probe: int = 23
    doubt: float = 0.2
    rival: float = 0.1
    measure_memory: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        if self.method not in LEARNED:
            raise UnknownNameError("learned method", self.method, LEARNED)
        if self.optimizer not in OPTIMIZERS:
            raise InvalidValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}")
        for name, least in (("steps", 1), ("batch", 1), ("probe", 0), ("threads", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidValueError(f"{name} must be a whole number from {least} on: {value}")
        for name in ("doubt", "rival"):
            if not getattr(self, name) >= 0:
                raise InvalidValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("blocks", "share"):
            if not 0 < getattr(self, name) <= 1:
                raise InvalidValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if not 0 <= self.frozen < 1:
            raise InvalidValueError(f"frozen must be in [0, 1), got {self.frozen}")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise InvalidValueError(f"rate must be above 0 and finite, got {self.rate}")


def teaching_of(pretrained: Pretrained, method: str = Teaching.method) -> Teaching:
    """Returns the settings with which a method teaches some weights, as far as their card notes
    any: what was pre-trained on less has to change more.

    Raises:
        UnknownNameError: there is no such method.
        FileFormatError: what is noted is none of NOTED, or out of its range.
    """
    noted = dict(pretrained.card.get(REFINING, {}))
    try:
        if set(noted) - set(NOTED):
            raise InvalidValueError(f"only {', '.join(NOTED)} can be noted")
        own = dict(noted.pop(BY_METHOD, {}))
        if method in OWN_UPDATE:
            noted.pop("rate", None)
        if method in own:
            noted["rate"] = own[method]
        return Teaching(method, **noted)
    except (ValueError, TypeError) as error:
        raise FileFormatError(
            f"the weights' card asks for refining that is none ({error}); meta-train them again"
        ) from error


def rule_of(teaching: Teaching, pretrained: Pretrained) -> LearningRule | None:
    """What fine-tunes some weights, or None where nothing is.

    Raises:
        InvalidValueError: the weights have no modules for the method.
    """
    if teaching.method in (IMPRINT, UNVERIFIED, UNTAUGHT):
        return None
    blocks = len(pretrained.net.blocks)
    if teaching.method == LAST_BLOCK:
        return Tail(Backprop(), blocks - 1)
    return pretrained.rule(teaching.method, frozen_blocks(teaching, blocks), teaching.rate)


def frozen_blocks(teaching: Teaching, blocks: int) -> int:
    """How many of a net's first blocks stay as they are."""
    return int(teaching.frozen * blocks)


def optimizer_of(teaching: Teaching) -> Optimizer:
    """What refines, with its step size."""
    own = {"rate": RATES[teaching.method]} if teaching.optimizer == LARS else {}
    told = own if teaching.rate is None else {"rate": teaching.rate}
    return OPTIMIZERS[teaching.optimizer](**told)


def fine_tuning(teaching: Teaching) -> FineTuning:
    """How a net is refined."""
    return FineTuning(
        optimizer=optimizer_of(teaching),
        blocks=teaching.blocks,
        measure_memory=teaching.measure_memory,
    )
