"""Proposals: the most probable places of a quality map, and a second opinion on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from grasplearn.nets.codec import Place, around, peaks, probability_of

# So many are looked at again, unless they are less probable than the best by this factor's log.
MOST, FAINTEST = 8, 14.0


@dataclass(frozen=True)
class Proposal:
    """A peak: where it is, the log of the probability around it, and its turn, row and column."""

    place: Place
    log_probability: float
    cell: tuple[int, int, int]


def propose(quality: Tensor, stride: int) -> list[Proposal]:
    """Returns the peaks of (R, h, w) logits, the most probable first; at least one."""
    probability = probability_of(quality)
    found = []
    for cell in peaks(quality, float(quality.max()) - FAINTEST, MOST):
        place, share = around(probability, cell, stride)
        found.append(Proposal(place, float(torch.tensor(share).clamp(min=1e-12).log()), cell))
    return sorted(found, key=lambda proposal: -proposal.log_probability)


def weighed(quality: Tensor, proposals: list[Proposal], scores: Tensor) -> Tensor:
    """Returns logits (R, h, w) in which the proposals share their probability anew.

    Args:
        quality: what they were proposed from. scores: (K,), logits over them.
    """
    told = torch.tensor([p.log_probability for p in proposals], dtype=torch.float64)
    shifts = scores.double().cpu().log_softmax(0) + told.logsumexp(0) - told
    logits = quality.double().cpu()
    logits = logits - logits.logsumexp((0, 1, 2))
    shift = torch.zeros_like(logits)
    turns = len(logits)
    # Where neighbourhoods overlap the more probable proposal's counts.
    for proposal, by in reversed(list(zip(proposals, shifts, strict=True))):
        r, y, x = proposal.cell
        rows, columns = slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)
        for turn in (r - 1, r, r + 1):
            shift[turn % turns, rows, columns] = by
    return logits + shift
