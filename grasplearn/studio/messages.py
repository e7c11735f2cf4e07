"""What the page sends as JSON, and within which limits; anything else is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from grasplearn.types import MAX_WIDTH

MAX_TRIALS = 50

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


class Body(BaseModel):
    """What is sent as JSON; a name that is not known here is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SceneBody(Body):
    """A new scene."""

    object: Name
    tier: Name
    seed: Seed = 0


class GraspBody(Body):
    """A grasp as it is drawn: pixels, degrees counter-clockwise, m."""

    u: Finite
    v: Finite
    yaw_deg: Finite
    width: Annotated[float, Field(gt=0, le=MAX_WIDTH, allow_inf_nan=False)]


class CheckBody(Body):
    """Is this grasp well?"""

    picture: Number
    grasp: GraspBody


class TeachBody(Body):
    """Teach this grasp."""

    picture: Number
    grasp: GraspBody
    name: Name
    rule: Name = "static-sgm"
    always: bool = False
    steps: Annotated[int, Field(ge=1, le=400)] | None = None
    replace: bool = False
    seed: Seed = 0


class TryBody(Body):
    """Try one skill, or two in the same scenes."""

    skills: Annotated[list[Name], Field(min_length=1, max_length=2)]
    tier: Name = "same"
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 10
    seed: Seed = 0


class FindBody(Body):
    """Where would this skill grasp here?"""

    skill: Name
    picture: Number


class OpenBody(Body):
    """What was dropped is to be opened; tier and seed are for the scene of a mesh."""

    tier: Name = "same"
    seed: Seed = 0


class RenameBody(Body):
    """A skill's new name."""

    name: Name
