"""``grasplearn meta-train``: a rule's synthetic gradient modules for given weights."""

from __future__ import annotations

from typing import Any

from grasplearn.commands.common import progress, write_figures
from grasplearn.commands.training import card_head, logging, resumable, use_threads
from grasplearn.config_training import MetaTrain
from grasplearn.errors import InvalidValueError
from grasplearn.learning.meta_train import MetaTrainSettings, meta_train
from grasplearn.learning.teaching_settings import BY_METHOD


def run(options: MetaTrain) -> None:
    settings = MetaTrainSettings(
        options.rule,
        options.tasks,
        options.steps,
        options.batch,
        options.side,
        options.rate,
        teaching_optimizer=options.teaching_optimizer,
        teaching_rates=_rates(options.teaching_rates),
        inner=options.inner,
        reach=options.reach,
        seed=options.seed,
        check_every=options.check_every,
    )
    use_threads(options.threads)
    with resumable(), progress(options.quiet) as report, logging(options.log) as log:
        made = meta_train(
            settings,
            options.weights,
            options.families,
            options.out,
            card_head(),
            report,
            log,
            refining=_noted(options),
        )
    print(f"weights with modules for {settings.rule}: {options.out}")
    write_figures(options.json, dict(made.card["meta_training"][settings.rule]))


def _noted(options: MetaTrain) -> dict[str, Any] | None:
    """What is to be noted of refining, if anything."""
    told: dict[str, Any] = {
        "steps": options.refining_steps,
        "optimizer": options.refining_optimizer,
        "share": options.refining_share,
        "rate": options.refining_rate,
        BY_METHOD: dict(map(_rate, filter(None, options.refining_rates.split(",")))) or None,
        "blocks": options.refining_blocks,
        "frozen": options.refining_frozen,
        "doubt": options.refining_doubt,
    }
    return {name: value for name, value in told.items() if value is not None} or None


def _rates(told: str) -> tuple[float, ...]:
    try:
        return tuple(float(rate) for rate in told.split(","))
    except ValueError as error:
        raise InvalidValueError(
            f"--teaching-rates takes NUMBER,NUMBER, as in 0.001,0.002; got '{told}'"
        ) from error


def _rate(told: str) -> tuple[str, float]:
    method, _, rate = told.partition("=")
    try:
        return method, float(rate)
    except ValueError as error:
        raise InvalidValueError(
            f"--refining-rates takes METHOD=NUMBER, as in backprop=0.002; got '{told}'"
        ) from error
