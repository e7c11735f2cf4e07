"""``grasplearn train-overview``: what compares surroundings in a second look."""

from __future__ import annotations

from grasplearn.commands.common import write_figures
from grasplearn.commands.training import train_second_look
from grasplearn.config_training import TrainOverview
from grasplearn.learning.train_overview import OverviewSettings, train_overview


def run(options: TrainOverview) -> None:
    made = train_second_look(options, OverviewSettings, train_overview)
    print(f"weights with a verifier that compares overviews: {options.out}")
    write_figures(options.json, dict(made.card["overview_training"]))
