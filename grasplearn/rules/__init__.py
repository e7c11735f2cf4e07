"""Learning rules: how a net's blocks come by their gradients. One file and one line each."""

from collections.abc import Callable

from grasplearn.rules.backprop import Backprop
from grasplearn.rules.backprop_checkpointed import CheckpointedBackprop
from grasplearn.rules.base import BlockGrad, Guard, LearningRule
from grasplearn.rules.static_sgm import StaticSGM

RULES: dict[str, Callable[[], LearningRule]] = {
    "backprop": Backprop,
    "backprop-checkpointed": CheckpointedBackprop,
    "static-sgm": StaticSGM,
    "static-sgm-one-pass": lambda: StaticSGM(error="cached"),
}

__all__ = ["RULES", "BlockGrad", "Guard", "LearningRule"]
