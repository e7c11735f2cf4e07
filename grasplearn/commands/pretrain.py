"""``grasplearn pretrain``: features that one demonstration's imprint can use."""

from __future__ import annotations

from grasplearn.commands.common import progress, write_figures
from grasplearn.commands.training import card_head, logging, resumable, use_threads
from grasplearn.config_training import Pretrain
from grasplearn.learning.episodes import EpisodeSettings
from grasplearn.learning.pretrain import PretrainSettings, pretrain
from grasplearn.nets.graspnet import NetSpec


def run(options: Pretrain) -> None:
    settings = PretrainSettings(
        NetSpec(
            width=options.width,
            depth=options.depth,
            features=options.features,
            groups=options.groups,
            hidden=options.hidden,
        ),
        EpisodeSettings(
            options.questions,
            options.side,
            composed=options.composed,
            kin=options.kin,
            augmented=options.augmented,
        ),
        options.turns,
        options.steps,
        options.batch,
        options.rate,
        options.seed,
        options.check_every,
        options.bf16,
        options.device,
        options.workers,
        options.stop,
    )
    use_threads(options.threads)
    with resumable(), progress(options.quiet) as report, logging(options.log) as log:
        made = pretrain(
            settings,
            options.families,
            options.validation,
            options.out,
            card_head(),
            options.start,
            report,
            log,
        )
    print(f"weights: {options.out}")
    write_figures(options.json, dict(made.card))
