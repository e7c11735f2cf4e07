"""The methods that a run can name. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from grasplearn.policies.base import FromFunction, Grasper, Policy
from grasplearn.policies.depth_heuristic import DepthHeuristic
from grasplearn.policies.random_antipodal import RandomAntipodal
from grasplearn.policies.template import DepthTemplateMatching, TemplateMatching

POLICIES: dict[str, Callable[[], Policy]] = {
    TemplateMatching.name: TemplateMatching,
    DepthTemplateMatching.name: DepthTemplateMatching,
    DepthHeuristic.name: DepthHeuristic,
    RandomAntipodal.name: RandomAntipodal,
}

__all__ = ["POLICIES", "FromFunction", "Grasper", "Policy"]
