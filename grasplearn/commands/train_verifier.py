"""``grasplearn train-verifier``: a second look at what given weights propose."""

from __future__ import annotations

from grasplearn.commands.common import write_figures
from grasplearn.commands.training import train_second_look
from grasplearn.config_training import TrainVerifier
from grasplearn.learning.train_verifier import VerifierSettings, train_verifier


def run(options: TrainVerifier) -> None:
    made = train_second_look(options, VerifierSettings, train_verifier)
    print(f"weights with a verifier: {options.out}")
    write_figures(options.json, dict(made.card["verifier_training"]))
