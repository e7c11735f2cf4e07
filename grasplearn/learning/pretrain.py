"""Pre-training: features whose imprint of one demonstration finds the demonstrated spot elsewhere.

Each step draws an episode: a demonstration is imprinted, questions are asked, and the loss of the
answers is followed back through the imprint itself. Neither simulator nor environment is needed.
Checkpoints make a stopped run go on where it was; every step's randomness depends on the seed and
the step's number alone. Under ``torchrun`` every process draws episodes of its own and torch's
DistributedDataParallel averages their gradients.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from grasplearn.errors import InvalidValueError
from grasplearn.geometry import HEIGHTMAP_SIDE, HEIGHTMAP_SPAN
from grasplearn.learning.checkpoints import resume, save_checkpoint
from grasplearn.learning.episodes import Episode, EpisodeSettings, draw_episode, is_right
from grasplearn.learning.families import find_families
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.team import Team
from grasplearn.nets.chain import Batch
from grasplearn.nets.codec import best_place
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.grown import grown
from grasplearn.nets.head import Target

CHECKPOINT = "checkpoint.pt"
WARM_UP = 100
MAX_NORM = 1.0

Progress = Callable[[str, int, int], None]
Log = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class PretrainSettings:
    """What is trained and how; with the families it is all that the weights depend on.

    Attributes:
        spec: of the net. episodes: how they are drawn.
        turns: rotations of a demonstration in training; the net has ``spec.turns``, whose features
            do not care, and half as many train in little more than half the time.
        steps: of the optimizer, each on ``batch`` episodes. stop: end after so many of them, the
            step size being what it is then; None for all.
        rate: Adam's step size after the warm-up; it decays on a cosine to a hundredth.
        seed: of the initial weights and all episodes.
        check_every: steps between looks at the validation families and checkpoints.
        bf16: multiply in bfloat16: quicker on CUDA, and on processors that have it (AVX-512 BF16).
        device: ``cpu`` or ``cuda``.
        workers: processes that draw the next episodes meanwhile; 0 for none.
    """

    spec: NetSpec = field(default_factory=NetSpec)
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    turns: int = 8
    steps: int = 8000
    batch: int = 2
    rate: float = 1e-3
    seed: int = 0
    check_every: int = 500
    bf16: bool = False
    device: str = "cpu"
    workers: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "check_every"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.stop is not None and not 1 <= self.stop <= self.steps:
            raise InvalidValueError(f"stop must be in [1, {self.steps}], got {self.stop}")
        if not 0 < self.rate < math.inf:
            raise InvalidValueError(f"rate must be above 0 and finite, got {self.rate}")
        check_device(self.device)


def check_device(name: str) -> None:
    """Raises InvalidValueError for a device that torch does not have."""
    if name not in ("cpu", "cuda"):
        raise InvalidValueError(f"device must be cpu or cuda, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("this machine has no CUDA device; use --device cpu")


def pretrain(
    settings: PretrainSettings,
    train: Path,
    validation: Path | None,
    out: Path,
    card: Mapping[str, Any],
    start: str | None = None,
    progress: Progress = lambda what, done, total: None,
    log: Log = lambda step, figures: None,
) -> Pretrained:
    """Trains a net and writes ``out``; a checkpoint beside it is gone on from.

    Args:
        train, validation: folders of families; card: what the weights' card is to hold as well.
        start: weights to begin with instead of random ones; a smaller net's are grown.

    Raises:
        FileFormatError: no families, or the checkpoint is of other settings.
    """
    paths, rendered = find_families(train)
    asked = find_families(validation)[0] if validation is not None else []
    net = GraspNet(settings.spec, settings.seed)
    if start is not None:
        net = grown(load_pretrained(start).net, settings.spec, settings.seed)
    net.to(settings.device)
    team = Team.of_environment(settings.device)
    optimizer = torch.optim.Adam(_trained(net), settings.rate, betas=(0.9, 0.99))
    place = out.with_suffix("." + CHECKPOINT)
    done = resume(place, net, optimizer, _told(settings), settings.device)
    loss_of = team.shared(_EpisodeLoss(net))
    began = time.monotonic()
    losses: list[Tensor] = []
    end = settings.steps if settings.stop is None else settings.stop
    drawn = DataLoader(
        _Episodes(paths, settings, team),
        batch_size=None,
        sampler=range(done, end),
        num_workers=settings.workers,
        worker_init_fn=deaf_to_interrupts,
        pin_memory=settings.device == "cuda",
    )
    for step, some in zip(range(done, end), drawn, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(step, settings.steps)
        losses.append(_step(loss_of, optimizer, some, settings))
        progress("steps", step + 1, end)
        last = step + 1 == end
        if team.leads and (last or (step + 1) % settings.check_every == 0):
            figures = localisation(net, asked, settings.seed) if asked else {}
            figures["loss"] = float(torch.stack(losses).mean())
            figures["seconds"] = time.monotonic() - began
            losses = []
            log(step + 1, figures)
            save_checkpoint(place, net, optimizer, _told(settings), step + 1)
    full = {
        **card,
        "pretraining": {**asdict(settings), "families": rendered, "started_from": start},
        "validation": localisation(net, asked, settings.seed) if asked else {},
    }
    net.head.learn_window(False)
    net.cpu()
    made = Pretrained(net, {}, full)
    if team.leads:
        save_pretrained(out, made)
    return made


class _EpisodeLoss(nn.Module):
    """``GraspNet.episode_loss`` as a module's forward, which is what torch can distribute."""

    def __init__(self, net: GraspNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, drawn: Drawn) -> Tensor:
        batch = Batch(drawn.pictures, Target(drawn.place, drawn.width))
        return self.net.episode_loss(drawn.patches, drawn.widths, batch, drawn.questions)


def schedule(step: int, steps: int) -> float:
    """The share of the step size at a step: a short rise, then half a cosine to a hundredth."""
    if step < min(WARM_UP, steps // 10):
        return (step + 1) / min(WARM_UP, steps // 10)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2


class Drawn(NamedTuple):
    """Some episodes as few tensors, which are all that goes from one process to another; see
    ``GraspNet.episode_loss``."""

    patches: Tensor
    widths: Tensor
    pictures: Tensor
    place: Tensor
    width: Tensor
    questions: tuple[int, ...]

    @staticmethod
    def of(episodes: Sequence[Episode]) -> Drawn:
        targets = [e.batch.target for e in episodes]
        return Drawn(
            torch.stack([e.patches for e in episodes]),
            torch.tensor([e.width for e in episodes], dtype=torch.float32),
            torch.cat([e.batch.pictures for e in episodes]),
            torch.cat([target.place for target in targets]),
            torch.cat([target.width for target in targets]),
            tuple(len(e.batch.pictures) for e in episodes),
        )

    def to(self, device: str) -> Drawn:
        return Drawn(
            self.patches.to(device, non_blocking=True),
            self.widths.to(device, non_blocking=True),
            self.pictures.to(device, non_blocking=True),
            self.place.to(device, non_blocking=True),
            self.width.to(device, non_blocking=True),
            self.questions,
        )


class _Episodes(Dataset[Drawn]):
    """The episodes of every step."""

    def __init__(self, paths: list[Path], settings: PretrainSettings, team: Team) -> None:
        self.paths, self.settings, self.team = paths, settings, team
        self.spec = replace(settings.spec, turns=settings.turns)

    def __getitem__(self, step: int) -> Drawn:
        rng = np.random.default_rng([self.settings.seed, step, *self.team.number])
        chosen = rng.choice(len(self.paths), self.settings.batch)
        return Drawn.of(
            [
                draw_episode(self.paths[i], self.spec, rng, self.settings.episodes, self.paths)
                for i in chosen
            ]
        )


def deaf_to_interrupts(worker: int) -> None:
    """Prepares a process that draws for another one."""
    # Signals are for the process that trains, which ends its workers; a group gets them together,
    # and a worker that died of one would be mourned with a traceback.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.SIG_IGN)
    sys.excepthook = _unless_hung_up
    torch.set_num_threads(1)


def _unless_hung_up(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Has a process that draws die of everything but its reader's going amid what it hands over."""
    if not issubclass(kind, ConnectionError):
        sys.__excepthook__(kind, error, trace)


def _trained(net: GraspNet) -> list[Tensor]:
    """All but what a demonstration overwrites, which is left out of every gradient."""
    net.head.kernels.requires_grad_(False)
    net.head.width.requires_grad_(False)
    net.head.learn_window(True)
    return [p for p in net.parameters() if p.requires_grad]


def _step(
    loss_of: nn.Module,
    optimizer: torch.optim.Optimizer,
    drawn: Drawn,
    settings: PretrainSettings,
) -> Tensor:
    optimizer.zero_grad()
    with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
        loss = loss_of(drawn.to(settings.device))
    loss.backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
    optimizer.step()
    # Not as a number: that would wait for the GPU, at every step.
    detached: Tensor = loss.detach()
    return detached


@torch.no_grad()
def localisation(net: GraspNet, paths: list[Path], seed: int = 0) -> dict[str, float]:
    """Returns how often the imprinted net finds the spot (2 cm, 30 degrees), over whole pictures.

    Per tier, and their mean as ``mean``. One episode per family; physics is not asked.
    """
    settings = EpisodeSettings(questions=8, side=HEIGHTMAP_SIDE, mirror=0, hue=0)
    own = net.head.kernels.clone(), net.head.width.clone()
    right: dict[str, list[bool]] = defaultdict(list)
    for number, path in enumerate(paths):
        episode = draw_episode(path, net.spec, np.random.default_rng([seed, number]), settings)
        device = net.head.kernels.device
        net.imprint(episode.patches.to(device), episode.width)
        maps = net.predict(episode.batch.pictures.to(device))
        for i, (tier, places) in enumerate(zip(episode.tiers, episode.places, strict=True)):
            found, _ = best_place(maps.quality[i], net.spec.stride)
            right[tier].append(is_right(found, places, HEIGHTMAP_SPAN / HEIGHTMAP_SIDE))
    net.head.kernels.copy_(own[0])
    net.head.width.copy_(own[1])
    rates = {tier: float(np.mean(some)) for tier, some in sorted(right.items())}
    return rates | {"mean": float(np.mean(list(rates.values())))}


def _told(settings: PretrainSettings) -> dict[str, Any]:
    told = asdict(settings)
    free = ("check_every", "device", "workers", "stop")
    return {name: value for name, value in told.items() if name not in free}
