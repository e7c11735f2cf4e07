"""``grasplearn train-verifier``: a second look at what given weights propose."""

from __future__ import annotations

from grasplearn.commands.common import progress, write_figures
from grasplearn.commands.training import card_head, logging, resumable, use_threads
from grasplearn.config_training import TrainVerifier
from grasplearn.learning.train_verifier import VerifierSettings, train_verifier


def run(options: TrainVerifier) -> None:
    settings = VerifierSettings(
        options.cases,
        options.questions,
        options.kin,
        options.steps,
        options.batch,
        options.rate,
        seed=options.seed,
        check_every=options.check_every,
        workers=options.workers,
        device=options.device,
    )
    use_threads(options.threads)
    with resumable(), progress(options.quiet) as report, logging(options.log) as log:
        made = train_verifier(
            settings,
            options.weights,
            options.families,
            options.validation,
            options.out,
            card_head(),
            report,
            log,
        )
    print(f"weights with a verifier: {options.out}")
    write_figures(options.json, dict(made.card["verifier_training"]))
