"""``grasplearn render``: scenes for training, onto disk."""

from __future__ import annotations

from grasplearn.commands.common import names, progress
from grasplearn.config_training import Render
from grasplearn.render import RenderSettings, render
from grasplearn.tiers import TIERS


def run(options: Render) -> None:
    settings = RenderSettings(
        options.families,
        options.split,
        names(options.tiers, TIERS),
        tuple(part for part in (options.objects or "").split(",") if part),
        options.seed,
    )
    try:
        with progress(options.quiet) as report:
            count = render(settings, options.out, options.workers, report)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; the families in {options.out} are kept, the same command goes on from there"
        ) from None
    print(f"{count} families of scenes in {options.out}")
