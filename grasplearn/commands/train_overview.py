"""``grasplearn train-overview``: what compares surroundings in a second look."""

from __future__ import annotations

from grasplearn.commands.common import progress, write_figures
from grasplearn.commands.training import card_head, logging, resumable, use_threads
from grasplearn.config_training import TrainOverview
from grasplearn.learning.train_overview import OverviewSettings, train_overview


def run(options: TrainOverview) -> None:
    settings = OverviewSettings(
        options.cases,
        options.questions,
        options.kin,
        options.steps,
        options.batch,
        options.rate,
        options.channels,
        options.share,
        options.decay,
        seed=options.seed,
        check_every=options.check_every,
        workers=options.workers,
        device=options.device,
        bf16=options.bf16,
    )
    use_threads(options.threads)
    with resumable(), progress(options.quiet) as report, logging(options.log) as log:
        made = train_overview(
            settings,
            options.weights,
            options.families,
            options.validation,
            options.out,
            card_head(),
            report,
            log,
        )
    print(f"weights with a verifier that compares overviews: {options.out}")
    write_figures(options.json, dict(made.card["overview_training"]))
