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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError
from grasplearn.learning.cases import (
    NONE,
    Case,
    draw_case,
    load_case,
    save_case,
)
from grasplearn.learning.checkpoints import resume, save_checkpoint
from grasplearn.learning.families import find_families
from grasplearn.learning.numbered import Progress, draw_files
from grasplearn.learning.pretrain import schedule
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.second_look import SecondLookSettings
from grasplearn.nets.graspnet import CHANNELS, GraspNet
from grasplearn.nets.verifier import KINDS, SPOTS, WINDOW, Verifier
from grasplearn.nets.weights import digest

CASES, CHECKPOINT = ".cases", ".verifier.pt"
MAX_NORM, DECAY = 1.0, 0.05
# So many cases tell how large the maps' values are.
SCALED_BY = 100

Log = Callable[[int, Mapping[str, float]], None]
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class VerifierSettings(SecondLookSettings):
    """See ``SecondLookSettings``; a step is on ``batch`` cases, ``channels`` are the
    ``Verifier``'s."""

    cases: int = 4800
    questions: int = 5
    kin: float = 0.45
    steps: int = 6000
    batch: int = 6
    rate: float = 1e-3
    channels: int = 48


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

    Where the weights have a verifier it begins as that one, without what compares overviews, which
    is to be trained for it anew. Cases and a checkpoint beside ``out`` are gone on from.

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
        **settings.decisive(),
        "net": digest(pretrained.net.state_dict()),
        "begins": None if earlier is None else digest(earlier.state_dict()),
    }
    torch.manual_seed(settings.seed)
    verifier = Verifier(pretrained.net.spec.groups, settings.channels)
    verifier.scale.copy_(_scale(cases[:SCALED_BY]))
    if earlier is not None:
        _begin_with(verifier, earlier)
    verifier.to(settings.device)
    optimizer = torch.optim.AdamW(
        verifier.parameters(), settings.rate, betas=(0.9, 0.99), weight_decay=DECAY
    )
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
    if earlier.channels != verifier.channels:
        raise InvalidValueError(
            f"the weights have a verifier of {earlier.channels} channels, not of "
            f"{verifier.channels}; take weights without one"
        )
    theirs = copy.deepcopy(earlier)
    theirs.overview = None
    verifier.load_state_dict(theirs.state_dict())


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
        "evidence": [KINDS, SPOTS, WINDOW],
        "right_on_kin": "part",
        "kin": settings.kin,
    }
    draw = partial(_draw, settings, copy.deepcopy(net), paths)
    return draw_files(draw, settings.cases, folder, told, settings.workers, progress)


def _draw(
    settings: VerifierSettings, net: GraspNet, paths: list[Path], number: int, file: Path
) -> bool:
    """Draws a case and writes it; False for a thing that cannot be shown."""
    rng = np.random.default_rng([settings.seed, number])
    path = paths[number % len(paths)]
    case = draw_case(path, net, rng, settings.questions, paths, settings.kin)
    if case is not None:
        save_case(file, case)
    return case is not None


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
    agreements, pixels, likeness, told, right = _given([load_case(file) for file in files])
    maps = [agreements, pixels]
    for axis in (-1, -2):
        if rng.random() < 0.5:
            maps = [some.flip(axis) for some in maps]
    if rng.random() < 0.5:
        maps = [some.transpose(-1, -2) for some in maps]
    agreements, pixels = maps
    colors = [*rng.permutation(3), *range(3, CHANNELS)]
    order = [CHANNELS * spot + channel for spot in range(SPOTS) for channel in colors]
    return agreements, pixels[:, :, order], likeness, told, right


def _given(cases: list[Case]) -> Batch:
    likeness = [c.likeness for c in cases for _ in c.tiers]
    return (
        torch.from_numpy(np.concatenate([c.agreements for c in cases])).float(),
        torch.from_numpy(np.concatenate([c.pixels for c in cases])).float(),
        torch.tensor(likeness, dtype=torch.float32),
        torch.from_numpy(np.concatenate([c.log_probability for c in cases])),
        torch.from_numpy(np.concatenate([c.right for c in cases])),
    )


def _moved(batch: Batch, device: str) -> Batch:
    agreements, pixels, likeness, told, right = (part.to(device) for part in batch)
    return agreements, pixels, likeness, told, right


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
