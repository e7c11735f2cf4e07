"""Training of the verifier: cases are drawn once with the frozen net, then learned from many times.

Both halves go on where they were stopped: every case is a file, and checkpoints are written on the
way. Neither simulator nor environment is needed.
"""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.files import write_json
from grasplearn.learning.cases import (
    NONE,
    Case,
    draw_case,
    load_case,
    save_case,
)
from grasplearn.learning.checkpoints import resume, save_checkpoint
from grasplearn.learning.families import find_families
from grasplearn.learning.pretrain import check_device, deaf_to_interrupts, schedule
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.nets.graspnet import CHANNELS, GraspNet
from grasplearn.nets.overview import CELLS, SIDE
from grasplearn.nets.verifier import KINDS, SPOTS, WINDOW, Verifier
from grasplearn.nets.weights import digest
from grasplearn.pictures import read_json

CASES, CHECKPOINT = ".cases", ".verifier.pt"
SETTINGS = "cases.json"
MAX_NORM, DECAY = 1.0, 0.05
# So many cases tell how large the maps' values are.
SCALED_BY = 100

Progress = Callable[[str, int, int], None]
Log = Callable[[int, Mapping[str, float]], None]
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class VerifierSettings:
    """What is trained and how; with weights and families it is all that the result depends on.

    Attributes:
        cases: how many are drawn; questions: of each; kin: see ``draw_case``.
        steps: of the optimizer, each on ``batch`` cases. rate: Adam's step size after the warm-up,
            decaying on a cosine.
        channels, overview: see ``Verifier``. overview_share: so much of what overviews say counts
            after training: of cases that it learned from it is surer than it should be.
        seed: of everything.
        check_every: steps between looks at the validation families and checkpoints.
        workers: processes that draw cases; 0 for none beside this one.
        device: ``cpu`` or ``cuda``, for the steps; cases are drawn on the CPU.
    """

    cases: int = 4800
    questions: int = 5
    kin: float = 0.45
    steps: int = 6000
    batch: int = 6
    rate: float = 1e-3
    channels: int = 48
    overview: int = 32
    overview_share: float = 0.6
    seed: int = 0
    check_every: int = 500
    workers: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            free = name in ("seed", "workers", "device", "kin", "overview")
            if not free and not value > 0:
                raise InvalidValueError(f"{name} must be above 0, got {value}")
        if not 0 <= self.kin <= 1 or self.overview < 0:
            raise InvalidValueError(
                "kin must be within [0, 1] and overview at least 0, "
                f"got {self.kin} and {self.overview}"
            )
        check_device(self.device)


def train_verifier(
    settings: VerifierSettings,
    weights: str,
    train: Path,
    validation: Path | None,
    out: Path,
    card: Mapping[str, Any],
    progress: Progress = lambda what, done, total: None,
    log: Log = lambda step, figures: None,
) -> Pretrained:
    """Trains a verifier for a pre-trained net and writes ``out``: the same weights and it.

    Where the weights have a verifier it begins as that one. Cases and a checkpoint beside ``out``
    are gone on from.

    Raises:
        FileFormatError: no families, or what lies beside ``out`` is of other settings.
        InvalidValueError: the net is too small, or the weights' verifier is of another shape.
    """
    pretrained = load_pretrained(weights)
    sees = pretrained.net.spec.patch_cells
    if sees < WINDOW:
        raise InvalidValueError(
            f"a verifier compares {WINDOW} cells, these weights see {sees} "
            "of a demonstration; take a deeper net or a larger kernel"
        )
    paths, rendered = find_families(train)
    cases = _cases(settings, pretrained.net, paths, out.with_suffix(CASES), progress)
    asked = [] if validation is None else _asked(pretrained.net, find_families(validation)[0])
    earlier = pretrained.verifier
    told = {
        **asdict(settings),
        "net": digest(pretrained.net.state_dict()),
        "begins": None if earlier is None else digest(earlier.state_dict()),
    }
    torch.manual_seed(settings.seed)
    verifier = Verifier(pretrained.net.spec.groups, settings.channels, settings.overview)
    verifier.scale.copy_(_scale(cases[:SCALED_BY]))
    if earlier is not None:
        _begin_with(verifier, earlier)
    verifier.to(settings.device)
    optimizer = torch.optim.AdamW(
        verifier.parameters(), settings.rate, betas=(0.9, 0.99), weight_decay=DECAY
    )
    for free in ("check_every", "workers", "device"):
        del told[free]
    place = out.with_suffix(CHECKPOINT)
    done = resume(place, verifier, optimizer, told, settings.device)
    began, losses = time.monotonic(), []
    for step in range(done, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(step, settings.steps)
        rng = np.random.default_rng([settings.seed, step])
        chosen = [cases[int(i)] for i in rng.integers(len(cases), size=settings.batch)]
        losses.append(_step(verifier, optimizer, _moved(_batch(chosen, rng), settings.device)))
        progress("steps", step + 1, settings.steps)
        if step + 1 == settings.steps or (step + 1) % settings.check_every == 0:
            figures = _figures(verifier, asked)
            log(
                step + 1,
                figures | {"loss": float(np.mean(losses)), "seconds": time.monotonic() - began},
            )
            losses = []
            save_checkpoint(place, verifier, optimizer, told, step + 1)
    verifier.cpu().requires_grad_(False)
    if verifier.overview is not None:
        verifier.overview.score.weight.mul_(settings.overview_share)
    trained = {
        **card,
        "settings": asdict(settings),
        "families": rendered,
        "began_with": pretrained.card.get("verifier_training"),
        "validation": _figures(verifier, asked),
    }
    made = Pretrained(
        pretrained.net,
        pretrained.modules,
        {**pretrained.card, "verifier_training": trained},
        verifier=verifier,
    )
    save_pretrained(out, made)
    return made


def _begin_with(verifier: Verifier, earlier: Verifier) -> None:
    """Overwrites what the earlier one has, too."""
    own = verifier.state_dict()
    for name, tensor in earlier.state_dict().items():
        if name not in own or own[name].shape != tensor.shape:
            raise InvalidValueError(
                f"the weights have a verifier of another shape ({earlier.shape}) than asked for "
                f"({verifier.shape}); ask for theirs or take weights without one"
            )
        own[name].copy_(tensor)


def _cases(
    settings: VerifierSettings, net: GraspNet, paths: list[Path], folder: Path, progress: Progress
) -> list[Path]:
    """Draws the cases that are not there yet; returns the files of all."""
    told = {
        "net": digest(net.state_dict()),
        "seed": settings.seed,
        "questions": settings.questions,
        "families": len(paths),
        # Of what is compared: cases that older code drew do not fit.
        "evidence": [KINDS, SPOTS, WINDOW, SIDE, CELLS],
        "right_on_kin": "part",
        "kin": settings.kin,
    }
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).exists():
        write_json(folder / SETTINGS, told)
    elif read_json(folder / SETTINGS, "settings of cases") != told:
        raise FileFormatError(
            f"{folder} is of a run with other settings; delete it or rename --out"
        )
    numbers = range(settings.cases)
    drawn = DataLoader(
        _Drawn(settings, copy.deepcopy(net), paths, folder),
        batch_size=None,
        num_workers=settings.workers,
        worker_init_fn=deaf_to_interrupts,
    )
    files = []
    for number, file in zip(numbers, drawn, strict=True):
        if file is not None:
            files.append(Path(file))
        progress("cases", number + 1, settings.cases)
    return files


@dataclass(frozen=True)
class _Drawn(Dataset[str | None]):
    """Every case's file, drawn where it is not there yet; None for a thing that cannot be shown."""

    settings: VerifierSettings
    net: GraspNet
    paths: list[Path]
    folder: Path

    def __len__(self) -> int:
        return self.settings.cases

    def __getitem__(self, number: int) -> str | None:
        file = self.folder / f"case-{number:06d}.npz"
        if not file.exists():
            rng = np.random.default_rng([self.settings.seed, number])
            path = self.paths[number % len(self.paths)]
            settings = self.settings
            case = draw_case(path, self.net, rng, settings.questions, self.paths, settings.kin)
            if case is None:
                return None
            save_case(file, case)
        return str(file)


def _asked(net: GraspNet, paths: list[Path]) -> list[Case]:
    learner = copy.deepcopy(net)
    rngs = (np.random.default_rng([0, number]) for number in range(len(paths)))
    drawn = (draw_case(path, learner, rng, 0) for path, rng in zip(paths, rngs, strict=True))
    return [case for case in drawn if case is not None]


def _scale(files: list[Path]) -> Tensor:
    """Returns the standard deviation of every map over some cases."""
    seen = np.concatenate([load_case(file).agreements for file in files]).astype(np.float32)
    return torch.from_numpy(seen.std((0, 1, 3, 4)) + 1e-3)


def _batch(files: list[Path], rng: np.random.Generator) -> Batch:
    """Returns what ``Verifier`` takes of some cases, and what is right; laid down anew, and with
    the colours changed about: another object, as far as anybody can tell."""
    agreements, pixels, pairs, likeness, told, right = _given([load_case(file) for file in files])
    maps = [agreements, pixels, pairs]
    for axis in (-1, -2):
        if rng.random() < 0.5:
            maps = [some.flip(axis) for some in maps]
    if rng.random() < 0.5:
        maps = [some.transpose(-1, -2) for some in maps]
    agreements, pixels, pairs = maps
    colors = [*rng.permutation(3), *range(3, CHANNELS)]
    order = [CHANNELS * spot + channel for spot in range(SPOTS) for channel in colors]
    shuffled = pixels[:, :, order], pairs[:, :, order[: 2 * CHANNELS]]
    return agreements, *shuffled, likeness, told, right


def _given(cases: list[Case]) -> Batch:
    likeness = [c.likeness for c in cases for _ in c.tiers]
    return (
        torch.from_numpy(np.concatenate([c.agreements for c in cases])).float(),
        torch.from_numpy(np.concatenate([c.pixels for c in cases])).float(),
        torch.from_numpy(np.concatenate([c.pairs for c in cases])).float(),
        torch.tensor(likeness, dtype=torch.float32),
        torch.from_numpy(np.concatenate([c.log_probability for c in cases])),
        torch.from_numpy(np.concatenate([c.right for c in cases])),
    )


def _moved(batch: Batch, device: str) -> Batch:
    agreements, pixels, pairs, likeness, told, right = (part.to(device) for part in batch)
    return agreements, pixels, pairs, likeness, told, right


def _step(verifier: Verifier, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    *evidence, told, right = batch
    scores = verifier(*evidence, told)
    there = told > NONE
    logits = scores.masked_fill(~there, -torch.inf).log_softmax(-1)
    shares = logits.masked_fill(~right, -torch.inf).logsumexp(-1)
    # A question without any right, or any wrong, proposal teaches nothing.
    counts = right.any(-1) & (~right & there).any(-1)
    loss = -shares[counts].mean() if bool(counts.any()) else scores.sum() * 0
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(verifier.parameters(), MAX_NORM)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _figures(verifier: Verifier, cases: list[Case]) -> dict[str, float]:
    """Returns how often the best proposal is right, per tier: the head's and the verified one."""
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for case in cases:
        *evidence, told, _ = _moved(_given([case]), str(verifier.scale.device))
        scores = verifier(*evidence, told)
        best = scores.masked_fill(told <= NONE, -torch.inf).argmax(1).tolist()
        for tier, right, now in zip(case.tiers, case.right, best, strict=True):
            found[tier].append((bool(right[0]), bool(right[now])))
    rates = {tier: np.mean(pairs, axis=0) for tier, pairs in sorted(found.items())}
    if not rates:
        return {}
    before, after = np.mean(list(rates.values()), axis=0)
    return {
        **{f"{tier} proposed": float(pair[0]) for tier, pair in rates.items()},
        **{f"{tier} verified": float(pair[1]) for tier, pair in rates.items()},
        "mean proposed": float(before),
        "mean verified": float(after),
    }
