"""Settings of teaching: the methods' names, what the weights' card asks for, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.learning.methods import LAST_BLOCK, LEARNED
from grasplearn.learning.optimizers import Adam, Lars
from grasplearn.learning.pretrained import Pretrained, load_pretrained
from grasplearn.learning.teaching_settings import (
    RATES,
    Teaching,
    frozen_blocks,
    optimizer_of,
    rule_of,
    teaching_of,
)
from grasplearn.rules import RULES
from grasplearn.rules.fixed_point import FixedPoint


@pytest.fixture(scope="module")
def pretrained(weights_file: Path) -> Pretrained:
    return load_pretrained(str(weights_file))


def test_methods_stand_in_the_order_of_the_tables() -> None:
    assert LEARNED[:4] == (
        "static-sgm",
        "static-sgm-one-pass",
        "backprop",
        "backprop-checkpointed",
    )
    assert LEARNED[4:] == (
        *list(RULES)[4:],
        "last-block",
        "imprint",
        "imprint-unverified",
        "untaught",
    )
    assert set(RULES) < set(LEARNED)
    assert tuple(RATES) == (*RULES, LAST_BLOCK)


@pytest.mark.parametrize(
    "noted",
    [
        {"rate": -1.0},
        {"steps": "many"},
        {"probe": 3},
        {"rates": {"backprop": 0.0}},
        {"rates": 5},
        {"optimizer": "none"},
    ],
)
def test_what_the_weights_ask_for_is_done_or_refused(
    pretrained: Pretrained, noted: dict[str, Any]
) -> None:
    asked = replace(pretrained, card={"refining": {"steps": 3, "blocks": 0.5}})
    assert teaching_of(asked, "backprop") == Teaching("backprop", steps=3, blocks=0.5)
    assert teaching_of(pretrained, "dni") == Teaching("dni")
    several = replace(pretrained, card={"refining": {"rate": 0.1, "rates": {"backprop": 0.2}}})
    assert [teaching_of(several, m).rate for m in ("backprop", "dni")] == [0.2, 0.1]
    assert teaching_of(several, "fixed-point").rate is None
    far = teaching_of(replace(pretrained, card={"refining": {"optimizer": "adam", "share": 1.0}}))
    assert (far.share, optimizer_of(far)) == (1.0, Adam())
    assert optimizer_of(Teaching("dni")) == Lars(RATES["dni"])
    assert optimizer_of(Teaching(optimizer="adam", rate=0.01)) == Adam(0.01)
    with pytest.raises(FileFormatError, match="asks for refining that is none"):
        teaching_of(replace(pretrained, card={"refining": noted}), "backprop")


def test_a_rule_that_makes_its_own_update_has_its_own_step_size(pretrained: Pretrained) -> None:
    def shift(**settings: Any) -> int:
        rule = rule_of(Teaching("fixed-point", **settings), pretrained)
        assert isinstance(rule, FixedPoint)
        return rule.rate

    assert shift() == FixedPoint.rate
    assert [shift(rate=rate) for rate in (2.0, 1.0, 0.5, 0.14, 2**-5)] == [0, 0, 1, 3, 5]


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"batch": 0},
        {"probe": -1},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"frozen": 1.0},
        {"frozen": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(bad))):
        Teaching(**bad)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'backprop'"):
        Teaching("backpropp")


def test_a_share_of_the_blocks_is_whole_blocks_and_never_all() -> None:
    found = [frozen_blocks(Teaching(frozen=share), 9) for share in (0.0, 0.1, 0.5, 0.99)]
    assert found == [0, 0, 4, 8]
