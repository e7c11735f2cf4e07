"""Training of what compares overviews: sightings are drawn once, with everything else frozen, then
learned from many times, changed about each time.

Both halves go on where they were stopped. Neither simulator nor environment is needed.
"""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.learning.checkpoints import resume, save_checkpoint
from grasplearn.learning.families import find_families
from grasplearn.learning.numbered import Progress, draw_files
from grasplearn.learning.pretrain import schedule
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.second_look import SecondLookSettings
from grasplearn.learning.sightings import draw_sighting, save_sighting
from grasplearn.learning.surroundings import Sightings
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.overview import Comparison
from grasplearn.nets.verifier import Verifier
from grasplearn.nets.weights import digest

SIGHTINGS, VALIDATION, CHECKPOINT = ".sightings", ".validation", ".overview.pt"
MAX_NORM = 1.0
# What the loss of the comparison alone, without all else that is told, counts beside the whole's;
# there so many right places of other questions of the batch are wrong ones as well.
ALONE, STRANGERS = 0.3, 4
# Questions at once where nothing is learned.
AT_ONCE = 64

Log = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class OverviewSettings(SecondLookSettings):
    """See ``SecondLookSettings``; a step is on ``batch`` questions, ``channels`` are the
    ``Comparison``'s.

    Attributes:
        share: so much of what it says counts after training: of cases that it learned from it is
            surer than it should be.
        decay: of the weights, a step of the optimizer.
        bf16: multiply in bfloat16.
    """

    cases: int = 7900
    questions: int = 6
    kin: float = 0.4
    steps: int = 2800
    batch: int = 128
    rate: float = 1e-3
    channels: int = 32
    share: float = 0.8
    decay: float = 0.5
    bf16: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch <= STRANGERS:
            raise InvalidValueError(f"batch must be above {STRANGERS}, got {self.batch}")


def train_overview(
    settings: OverviewSettings,
    weights: str,
    train: Path,
    validation: Path | None,
    out: Path,
    card: Mapping[str, Any],
    progress: Progress = lambda what, done, total: None,
    log: Log = lambda step, figures: None,
) -> Pretrained:
    """Trains a comparison for weights with a verifier and writes ``out``: the same weights and it.

    One that the weights have already is replaced. Sightings and a checkpoint beside ``out`` are
    gone on from.

    Raises:
        FileFormatError: no families, or what lies beside ``out`` is of other settings.
        InvalidValueError: the weights have no verifier, or the families have nothing to tell.
    """
    pretrained = load_pretrained(weights)
    if pretrained.verifier is None:
        raise InvalidValueError(
            f"{weights} has no verifier that could compare overviews; 'grasplearn train-verifier' "
            "makes one"
        )
    paths, rendered = find_families(train)
    drawing = _Drawing(settings, pretrained.net, pretrained.verifier, paths)
    files = drawing.all(out.with_suffix(SIGHTINGS), settings.cases, progress)
    stride = pretrained.net.spec.stride
    if not files:
        raise InvalidValueError(
            f"nothing in {train} stands high enough to be cut out; render other families"
        )
    cases = Sightings.load(files, stride, settings.device)
    asked = None
    if validation is not None:
        others, _ = find_families(validation)
        measuring = _Drawing(settings, pretrained.net, pretrained.verifier, others, measure=True)
        found = measuring.all(out.with_suffix(VALIDATION), 2 * len(others), progress)
        asked = Sightings.load(found, stride, settings.device)
    told = {**settings.decisive(), **drawing.told}
    torch.manual_seed(settings.seed)
    comparison = Comparison(settings.channels).to(settings.device)
    optimizer = torch.optim.AdamW(
        comparison.parameters(), settings.rate, betas=(0.9, 0.99), weight_decay=settings.decay
    )
    place = out.with_suffix(CHECKPOINT)
    done = resume(place, comparison, optimizer, told, settings.device)
    # A question without any right, or any wrong, proposal teaches nothing.
    useful = cases.right.any(-1) & (~cases.right & cases.there).any(-1)
    numbers = useful.nonzero()[:, 0]
    if not len(numbers):
        raise InvalidValueError("no question has both right and wrong proposals; draw more cases")
    rng = torch.Generator(settings.device)
    began, losses = time.monotonic(), []
    for step in range(done, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(step, settings.steps)
        rng.manual_seed(settings.steps * settings.seed + step)
        chosen = torch.randint(
            len(numbers), (settings.batch,), generator=rng, device=settings.device
        )
        losses.append(_step(comparison, optimizer, cases, numbers[chosen], rng, settings))
        progress("steps", step + 1, settings.steps)
        if step + 1 == settings.steps or (step + 1) % settings.check_every == 0:
            figures = {"loss": float(torch.stack(losses).mean())} | _figures(comparison, asked)
            log(step + 1, figures | {"seconds": time.monotonic() - began})
            losses = []
            save_checkpoint(place, comparison, optimizer, told, step + 1)
    comparison.requires_grad_(False).score.weight.mul_(settings.share)
    verifier = copy.deepcopy(pretrained.verifier)
    verifier.overview = comparison
    trained = {
        **card,
        "settings": asdict(settings),
        "families": rendered,
        "validation": _figures(comparison, asked),
    }
    made = Pretrained(
        pretrained.net,
        pretrained.modules,
        {**pretrained.card, "overview_training": trained},
        verifier=verifier.cpu(),
    )
    save_pretrained(out, made)
    return made


class _Drawing:
    """How sightings are drawn from families: to learn from, or to measure with, every family once
    and once more demonstrated by a kin."""

    def __init__(
        self,
        settings: OverviewSettings,
        net: GraspNet,
        verifier: Verifier,
        paths: list[Path],
        measure: bool = False,
    ) -> None:
        self.settings, self.paths, self.measure = settings, paths, measure
        self.net, self.verifier = copy.deepcopy(net), copy.deepcopy(verifier)
        self.verifier.overview = None
        self.told = {
            "net": digest(self.net.state_dict()),
            "verifier": digest(self.verifier.state_dict()),
            "seed": settings.seed,
            "questions": 0 if measure else settings.questions,
            "kin": None if measure else settings.kin,
            "families": len(paths),
        }

    def all(self, folder: Path, count: int, progress: Progress) -> list[Path]:
        return draw_files(
            partial(_draw, self), count, folder, self.told, self.settings.workers, progress
        )


def _draw(drawing: _Drawing, number: int, file: Path) -> bool:
    settings, paths = drawing.settings, drawing.paths
    how: tuple[int, Sequence[Path], float] = settings.questions, paths, settings.kin
    if drawing.measure:
        how = 0, (), float(number >= len(paths))
    rng = np.random.default_rng([settings.seed, number])
    path = paths[number % len(paths)]
    sighting = draw_sighting(path, drawing.net, drawing.verifier, rng, *how)
    if sighting is not None:
        save_sighting(file, sighting)
    return sighting is not None


def _step(
    comparison: Comparison,
    optimizer: torch.optim.Optimizer,
    cases: Sightings,
    some: Tensor,
    rng: torch.Generator,
    settings: OverviewSettings,
) -> Tensor:
    there, right = cases.there[some], cases.right[some]
    places, shown = cases.changed_overviews(some, rng)
    with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
        seen = comparison.seen(places.flatten(0, 1)).unflatten(0, right.shape)
        some_right = seen[torch.arange(len(some)), right.int().argmax(-1)]
        strangers = [some_right.roll(by + 1, 0) for by in range(STRANGERS)]
        every = torch.cat([seen, torch.stack(strangers, 1)], 1)
        count = every.shape[1]
        spots = comparison.seen(shown).repeat_interleave(count, 0)
        compared = comparison.compared(every.flatten(0, 1), spots).view(-1, count)
    compared = compared.float()
    own, others = compared.split([right.shape[1], STRANGERS], 1)
    alone = torch.cat([own.masked_fill(~there, -torch.inf), others], 1)
    loss = _loss((cases.told[some] + own).masked_fill(~there, -torch.inf), right)
    loss = loss + ALONE * _loss(alone, F.pad(right, (0, STRANGERS)))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(comparison.parameters(), MAX_NORM)
    optimizer.step()
    # Not as a number: that would wait for the GPU, at every step.
    detached: Tensor = loss.detach()
    return detached


def _loss(scores: Tensor, right: Tensor) -> Tensor:
    shares = scores.log_softmax(-1)
    return -shares.masked_fill(~right, -torch.inf).logsumexp(-1).mean()


@torch.no_grad()
def _figures(comparison: Comparison, cases: Sightings | None) -> dict[str, float]:
    """Returns how often the best proposal is right, per tier: without and with the comparison."""
    if cases is None:
        return {}
    numbers = torch.arange(len(cases.tiers), device=cases.told.device)
    compared = torch.cat([comparison(*cases.overviews(n)) for n in numbers.split(AT_ONCE)])
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    before, after = (
        cases.right.gather(1, scores.masked_fill(~cases.there, -torch.inf).argmax(1)[:, None])
        for scores in (cases.told, cases.told + compared)
    )
    for tier, *pair in zip(cases.tiers, before[:, 0].tolist(), after[:, 0].tolist(), strict=True):
        found[tier].append((pair[0], pair[1]))
    rates = {tier: np.mean(pairs, axis=0) for tier, pairs in sorted(found.items())}
    rates["all"] = np.mean([pair for pairs in found.values() for pair in pairs], axis=0)
    return {
        **{f"{tier} told": float(pair[0]) for tier, pair in rates.items()},
        **{f"{tier} compared": float(pair[1]) for tier, pair in rates.items()},
    }
