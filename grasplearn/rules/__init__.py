"""Learning rules: how a net's blocks come by their gradients. One file and one line each.

A rule is imported when it is made, so that its name can be asked for without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grasplearn.rules.base import LearningRule


def _rule(module: str, name: str, **settings: object) -> Callable[[], LearningRule]:
    def make() -> LearningRule:
        made: LearningRule = getattr(import_module(f"{__name__}.{module}"), name)(**settings)
        return made

    return make


# In the order of the tables.
RULES: dict[str, Callable[[], LearningRule]] = {
    "static-sgm": _rule("static_sgm", "StaticSGM"),
    "static-sgm-one-pass": _rule("static_sgm", "StaticSGM", error="cached"),
    "backprop": _rule("backprop", "Backprop"),
    "backprop-checkpointed": _rule("backprop_checkpointed", "CheckpointedBackprop"),
    "dni": _rule("dni", "DNI"),
    "cdni": _rule("dni", "DNI", told="target"),
    "meprop": _rule("meprop", "MeProp"),
    "forward-gradient": _rule("forward_gradient", "ForwardGradient"),
    "spsa": _rule("spsa", "SPSA"),
    "fixed-point": _rule("fixed_point", "FixedPoint"),
}

__all__ = ["RULES"]
