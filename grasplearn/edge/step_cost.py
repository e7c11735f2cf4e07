"""What a rule's step costs: time, live bytes, a process's growth, multiplications.

A step here is all that the rule does until its last block's gradient has come, each dropped as it
comes; what an optimizer adds is the same for all rules (and nothing for one that makes its own
update). Several rules are timed in turn, round after round, so that a busy machine is busy for all.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from grasplearn.edge.memory import peak_memory
from grasplearn.errors import GraspLearnError
from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.graspnet import CHANNELS, GraspNet, NetSpec
from grasplearn.nets.head import Target
from grasplearn.rules.base import LearningRule
from grasplearn.rules.sgm import SGMs

REFERENCE = "backprop"


@dataclass(frozen=True)
class Size:
    """How large a step: depth in multiples of the net's own, a picture's side in pixels."""

    depth: int
    size: int
    batch: int


@dataclass(frozen=True)
class Cost:
    """A row of the table.

    Attributes:
        rule, depth, size, batch: of what.
        step_s: median of all rounds; time_ratio: to backprop's median.
        peak_live_bytes: exact, above weights and batch; inference_live_bytes: of predicting the
            same batch.
        analytic_bytes: of the trunk's activations, by what the rule declares.
        resident_growth_bytes: of a fresh process; None where it was not asked for.
        multiplies: of convolutions and matrix products.
    """

    rule: str
    depth: int
    size: int
    batch: int
    step_s: float
    time_ratio: float
    peak_live_bytes: int
    inference_live_bytes: int
    analytic_bytes: int
    resident_growth_bytes: int | None
    multiplies: int


def batch_of(spec: NetSpec, size: Size, seed: int) -> Batch:
    """Returns random pictures, each with a place of its own; the same samples at every step."""
    rng = np.random.default_rng(seed)
    cells = size.size // spec.stride
    pictures = rng.random((size.batch, CHANNELS, size.size, size.size), dtype=np.float32)
    place = torch.zeros(size.batch, spec.turns, cells, cells)
    for sample in range(size.batch):
        place[(sample, *rng.integers((spec.turns, cells, cells)))] = 1
    target = Target(place, torch.full((size.batch,), 0.5))
    return Batch(torch.from_numpy(pictures), target, tuple(range(size.batch)))


def stepper(net: Chain, rule: LearningRule, batch: Batch, seed: int) -> Callable[[], None]:
    """Returns a callable that does one step; the first one, which may find out things, is done."""
    rng = np.random.default_rng(seed)
    state = rule.init(net, rng)

    def step() -> None:
        for _ in rule.block_grads(net, batch, state, rng):
            pass

    step()
    return step


def parts_of(net: Chain, rule: LearningRule) -> dict[str, list[Tensor]]:
    """Returns the tensors of every block and of the head by name, in order: what the meter tells
    who is at work by. A block's gradient module belongs to the block."""
    last = len(net.blocks)
    parts: dict[str, list[Tensor]] = {
        "head" if index == last else f"block {index}": list(net.part(index).parameters())
        for index in range(last + 1)
    }
    modules = getattr(rule, "modules", None)
    if isinstance(modules, SGMs):
        for index, module in enumerate(modules):
            parts[f"block {index}"] += module.parameters()
    return parts


def interleaved(
    steps: Mapping[str, Callable[[], None]], rounds: int, tick: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Returns every step's median of seconds, each timed right after itself; ticks at each.

    What ran before still has threads spinning and the caches full of its arrays: whatever followed
    onnxruntime looked up to half slower than it is.
    """
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            step()
            start = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - start)
            tick()
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


class Multiplies(TorchDispatchMode):
    """Counts the multiplications of convolutions and matrix products, integers too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            # Torch counts a multiplication and an addition.
            made = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
            self.count += int(made) // 2
        return result


def multiplies(call: Callable[[], object]) -> int:
    """Returns how many multiplications a call's convolutions and matrix products take."""
    with Multiplies() as counter:
        call()
    return int(counter.count)


def analytic_bytes(net: Chain, batch: Batch, memory: str) -> int:
    """Returns the bytes of activations and gradients at the trunk's widest moment.

    ``linear``: every block's output and one gradient; ``sqrt``: the inputs of about sqrt(L)
    segments, one segment's outputs and one gradient; ``flat``: a block's input, output, guessed
    gradient and the error. What the head needs besides is the same for all and not in it.
    """
    sizes: list[int] = []
    with torch.no_grad():
        h = batch.pictures[:1]
        for block in net.blocks:
            h = block(h)
            sizes.append(h.numel() * h.element_size() * len(batch.pictures))
    if memory == "linear":
        return sum(sizes) + max(sizes)
    if memory == "sqrt":
        length = math.ceil(len(sizes) / round(math.sqrt(len(sizes))))
        kept = [sizes[start - 1] for start in range(length, len(sizes), length)]
        return sum(kept) + max(sizes) * (length + 1)
    return 4 * max(sizes)


def costs(
    net: GraspNet,
    rules: Mapping[str, LearningRule],
    batch: Batch,
    size: Size,
    rounds: int,
    seed: int,
    resident: Callable[[str], int] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Cost]:
    """Measures rules, of which REFERENCE must be one, in one run.

    Args:
        resident: tells a rule's growth of a fresh process; None leaves it out.
        tick: called for every rule at each round, and once more when it has been measured.
    """
    steps = {name: stepper(net, rule, batch, seed) for name, rule in rules.items()}
    seconds = interleaved(steps, rounds, tick)
    inference = peak_memory(net.predict, batch.pictures)
    rows = []
    for name, step in steps.items():
        rows.append(
            Cost(
                name,
                **asdict(size),
                step_s=seconds[name],
                time_ratio=seconds[name] / seconds[REFERENCE],
                peak_live_bytes=peak_memory(step).peak,
                inference_live_bytes=inference.peak,
                analytic_bytes=analytic_bytes(net, batch, rules[name].memory),
                resident_growth_bytes=None if resident is None else resident(name),
                multiplies=multiplies(step),
            )
        )
        tick()
    return rows


def resident_growth(rule: str, weights: str, size: Size, seed: int, frozen: int = 0) -> int:
    """Returns the bytes by which a fresh process grows at most during a step.

    Args:
        frozen: how many of the first blocks stay as they are.

    Raises:
        GraspLearnError: the process failed.
    """
    asked = {"rule": rule, "weights": weights, "seed": seed, "frozen": frozen, **asdict(size)}
    done = subprocess.run(
        [sys.executable, "-m", "grasplearn.edge.resident", json.dumps(asked)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise GraspLearnError(f"measuring {rule} in a fresh process failed: {done.stderr[-300:]}")
    return int(done.stdout)


def resident_bytes(field: str = "VmRSS") -> int:
    """Returns this process's resident bytes, now (``VmRSS``) or at most so far (``VmHWM``)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise GraspLearnError(f"this system does not tell {field}; leave out the resident growth")
