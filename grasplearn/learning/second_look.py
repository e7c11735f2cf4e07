"""What the trainings of the verifier and of its comparison of overviews share: both draw cases once
and learn from them many times."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from grasplearn.errors import InvalidValueError
from grasplearn.learning.pretrain import check_device

# May be 0, or are no numbers.
_FREE = ("seed", "workers", "device", "kin", "bf16")


@dataclass(frozen=True)
class SecondLookSettings:
    """What is trained and how; with weights and families it is all that the result depends on.

    Attributes:
        cases: how many are drawn; questions: of each; kin: see ``draw_questions``.
        steps: of the optimizer. batch: of each. rate: Adam's step size after the warm-up, decaying
            on a cosine.
        channels: of what is trained.
        seed: of everything.
        check_every: steps between looks at the validation families and checkpoints.
        workers: processes that draw cases; 0 for none beside this one.
        device: ``cpu`` or ``cuda``, for the steps; cases are drawn on the CPU.
    """

    cases: int
    questions: int
    kin: float
    steps: int
    batch: int
    rate: float
    channels: int
    seed: int = 0
    check_every: int = 500
    workers: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name not in _FREE and not value > 0:
                raise InvalidValueError(f"{name} must be above 0, got {value}")
        if not 0 <= self.kin <= 1:
            raise InvalidValueError(f"kin must be within [0, 1], got {self.kin}")
        check_device(self.device)

    def decisive(self) -> dict[str, Any]:
        """Returns those that the result depends on."""
        free = ("check_every", "workers", "device")
        return {name: value for name, value in asdict(self).items() if name not in free}
