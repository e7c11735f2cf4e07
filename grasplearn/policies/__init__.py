"""The methods that a run can name. A new control is one file and one line here; a new way of
learning stands behind ``Learned``; anybody's function is entered as FILE.py:FUNCTION."""

from __future__ import annotations

from collections.abc import Callable

from grasplearn.errors import UnknownNameError
from grasplearn.learning.methods import LEARNED
from grasplearn.policies.base import FromFunction, Grasper, Policy
from grasplearn.policies.depth_heuristic import DepthHeuristic
from grasplearn.policies.entered import entered, is_entered
from grasplearn.policies.learned import SHIPPED, Learned
from grasplearn.policies.random_antipodal import RandomAntipodal
from grasplearn.policies.template import DepthTemplateMatching, TemplateMatching

CONTROLS: dict[str, Callable[[], Policy]] = {
    TemplateMatching.name: TemplateMatching,
    DepthTemplateMatching.name: DepthTemplateMatching,
    DepthHeuristic.name: DepthHeuristic,
    RandomAntipodal.name: RandomAntipodal,
}


def make_policy(name: str, weights: str = SHIPPED, remember: bool = False) -> Policy:
    """Returns a method by name.

    Args:
        weights: name or file of the pre-trained weights that learned ones start from.
        remember: whether learned ones keep on disk what they were taught.

    Raises:
        UnknownNameError: there is no such method.
        InvalidValueError: see ``entered``.
    """
    if name in LEARNED:
        return Learned(name, weights, remember)
    if is_entered(name):
        return entered(name)
    if name in CONTROLS:
        return CONTROLS[name]()
    raise UnknownNameError("method", name, (*LEARNED, *CONTROLS))


__all__ = ["CONTROLS", "LEARNED", "FromFunction", "Grasper", "Learned", "Policy", "make_policy"]
