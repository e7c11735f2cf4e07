"""Meta-training of static synthetic gradient modules.

Task after task a demonstration of a training object is taught as it will be taught later, with the
modules' own gradients (on-policy); at every step the true gradients are found as well, and the
modules are regressed onto them. Afterwards they never change.

Source: the scheme is arXiv 2009.09675's; the on-policy share and the scaling of each block's error
by its gradient's size are ours.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from grasplearn.errors import InvalidValueError, UnknownNameError
from grasplearn.learning.augment import Augmentation, SupportSet
from grasplearn.learning.backdrops import load_backdrops
from grasplearn.learning.checkpoints import resume, save_checkpoint
from grasplearn.learning.cutout import take_apart
from grasplearn.learning.episodes import EpisodeSettings, draw_episode
from grasplearn.learning.families import find_families
from grasplearn.learning.fine_tune import FineTuning, fine_tune
from grasplearn.learning.likeness import likeness
from grasplearn.learning.optimizers import OPTIMIZERS
from grasplearn.learning.pretrain import schedule
from grasplearn.learning.pretrained import Pretrained, load_pretrained, save_pretrained
from grasplearn.learning.teaching_settings import (
    BY_METHOD,
    LARS,
    RECURRING_BATCHES,
    REFINING,
    Teaching,
    teaching_of,
)
from grasplearn.nets.chain import Batch, Chain
from grasplearn.nets.codec import place_of
from grasplearn.nets.graspnet import GraspNet
from grasplearn.nets.weights import digest
from grasplearn.rules import RULES
from grasplearn.rules.backprop import Backprop
from grasplearn.rules.base import BlockGrad, Memory
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.static_sgm import SGMState, StaticSGM

CHECKPOINT = ".meta.pt"
# How often a step of teaching follows the modules; otherwise it follows the true gradient.
ON_POLICY = 0.7
MAX_NORM = 1.0

Progress = Callable[[str, int, int], None]
Log = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class MetaTrainSettings:
    """What is trained and how; with weights and families it is all that the modules depend on.

    Attributes:
        rule: a static-SGM rule by name. tasks: demonstrations that are taught.
        steps: of teaching per task. batch: samples a step. side: of a sample, pixels.
        rate: Adam's step size for the modules, decaying on a cosine to a hundredth.
        teaching_optimizer: the tasks' own: lars, sgd or adam.
        teaching_rates: the tasks' own step sizes are drawn from these.
        inner: channels inside a module; reach: cells that it looks to each side, beside the next.
        seed: of everything.
    """

    rule: str = "static-sgm"
    tasks: int = 300
    steps: int = 24
    batch: int = 6
    side: int = 128
    rate: float = 2e-3
    teaching_optimizer: str = LARS
    teaching_rates: tuple[float, ...] = (2.5e-3, 5e-3, 1e-2)
    inner: int = 8
    reach: int = 0
    seed: int = 0
    check_every: int = 25

    def __post_init__(self) -> None:
        for name in ("tasks", "steps", "batch", "inner", "check_every"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.teaching_optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.teaching_optimizer, OPTIMIZERS)
        if not all(0 < rate < float("inf") for rate in self.teaching_rates):
            raise InvalidValueError(f"step sizes must be above 0, got {self.teaching_rates}")
        made = RULES[self.rule]() if self.rule in RULES else None
        if not isinstance(made, StaticSGM):
            known = [name for name in RULES if name.startswith("static-sgm")]
            raise InvalidValueError(f"only {', '.join(known)} have modules; got '{self.rule}'")

    @property
    def static_rule(self) -> StaticSGM:
        made = RULES[self.rule]()
        assert isinstance(made, StaticSGM)
        return made


@dataclass
class _Tally:
    """What was seen since the last look."""

    losses: list[float] = field(default_factory=list)
    cosines: list[list[float]] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        cosines = np.nanmean(self.cosines, axis=0)
        told = {f"cosine {i}": float(c) for i, c in enumerate(cosines)}
        return {"loss": float(np.mean(self.losses)), "cosine": float(cosines.mean()), **told}


def meta_train(
    settings: MetaTrainSettings,
    weights: str,
    train: Path,
    out: Path,
    card: Mapping[str, Any],
    progress: Progress = lambda what, done, total: None,
    log: Log = lambda step, figures: None,
    refining: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Trains a rule's modules and writes ``out``: the same weights with the modules added.

    Args:
        refining: noted in the card for ``teaching_of``; None leaves what is noted there.

    They begin with another rule's where the weights hold some.

    A checkpoint beside ``out`` is gone on from.

    Raises:
        FileFormatError: no families, or the checkpoint is of other settings.
    """
    paths, rendered = find_families(train)
    pretrained = load_pretrained(weights)
    if refining is not None:  # what cannot be noted is told before minutes of work
        for method in (Teaching.method, *refining.get(BY_METHOD, {})):
            teaching_of(replace(pretrained, card={REFINING: refining}), method)
    net = pretrained.net
    modules = _first_modules(pretrained, settings).requires_grad_(True)
    optimizer = torch.optim.Adam(modules.parameters(), settings.rate)
    place = out.with_suffix(f".{settings.rule}{CHECKPOINT}")
    told = {
        **asdict(settings),
        "net": digest(net.state_dict()),
        "modules": digest(modules.state_dict()),
    }
    del told["check_every"]
    told["teaching_rates"] = list(settings.teaching_rates)
    done = resume(place, modules, optimizer, told)
    tally, began = _Tally(), time.monotonic()
    for task in range(done, settings.tasks):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(task, settings.tasks)
        _teach_task(net, modules, optimizer, paths, settings, task, tally)
        progress("tasks", task + 1, settings.tasks)
        if (task + 1) % settings.check_every == 0 or task + 1 == settings.tasks:
            log(task + 1, tally.figures() | {"seconds": time.monotonic() - began})
            if task + 1 < settings.tasks:
                tally = _Tally()
            save_checkpoint(place, modules, optimizer, told, task + 1)
    modules.requires_grad_(False)
    trainings = {
        **pretrained.card.get("meta_training", {}),
        settings.rule: {
            **card,
            "settings": asdict(settings),
            "families": rendered,
            "last": tally.figures() if tally.losses else {},
        },
    }
    noted = {} if refining is None else {REFINING: dict(refining)}
    made = Pretrained(
        net,
        {**pretrained.modules, settings.rule: modules},
        {**pretrained.card, **noted, "meta_training": trainings},
        verifier=pretrained.verifier,
    )
    save_pretrained(out, made)
    return made


def _first_modules(pretrained: Pretrained, settings: MetaTrainSettings) -> SGMs:
    """Untrained ones, or another rule's that the weights hold: all guess the same gradient, some
    from a worse hint."""
    others = (m for name, m in pretrained.modules.items() if name != settings.rule)
    for module in others:
        if (module.inner, module.reach) == (settings.inner, settings.reach):
            return copy.deepcopy(module)
    return SGMs.untrained(
        pretrained.net, np.random.default_rng(settings.seed), settings.inner, settings.reach
    )


def _teach_task(
    net: GraspNet,
    modules: SGMs,
    optimizer: torch.optim.Optimizer,
    paths: list[Path],
    settings: MetaTrainSettings,
    task: int,
    tally: _Tally,
) -> None:
    """Teaches one demonstration and regresses the modules at every step."""
    rng = np.random.default_rng([settings.seed, task])
    path = paths[int(rng.integers(len(paths)))]
    episode = draw_episode(path, net.spec, rng, EpisodeSettings(questions=1))
    learner = copy.deepcopy(net)
    learner.imprint(episode.patches, episode.width)
    place = place_of(episode.view, episode.grasp)
    try:
        pieces = take_apart(episode.view, place)
    except InvalidValueError:
        return  # too flat to be cut out: nothing that teaching would accept
    support = SupportSet(
        pieces,
        episode.grasp,
        net.spec,
        int(rng.integers(2**31)),
        Augmentation(side=settings.side),
        load_backdrops(),
        likeness(learner, episode.view, pieces.thing, place).equals,
    )
    rule = settings.static_rule
    on_policy = replace(rule, modules=modules)
    teacher = _Teacher(modules, optimizer, on_policy, rng, tally)
    recurring = rule.error == "cached"
    pool = RECURRING_BATCHES if recurring else settings.steps
    firsts = [(step % pool) * settings.batch for step in range(settings.steps)]
    batches = (support.batch(range(first, first + settings.batch)) for first in firsts)
    rate = settings.teaching_rates[int(rng.integers(len(settings.teaching_rates)))]
    fine_tune(
        learner,
        batches,
        teacher,
        rng,
        FineTuning(OPTIMIZERS[settings.teaching_optimizer](rate)),
        settings.steps,
    )


@dataclass(frozen=True)
class _Teacher:
    """A learning rule that, before it hands a step on, regresses the modules onto the truth."""

    modules: SGMs
    optimizer: torch.optim.Optimizer
    policy: StaticSGM
    rng: np.random.Generator
    tally: _Tally

    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    memory: ClassVar[Memory] = "linear"

    def init(self, net: Chain, rng: np.random.Generator) -> SGMState:
        return self.policy.init(net, rng)

    def block_grads(
        self, net: Chain, batch: Batch, state: SGMState, rng: np.random.Generator
    ) -> Iterator[BlockGrad]:
        outputs, gradients = true_gradients(net, batch)
        told = self.policy.told(net, batch, state)
        error = gradients[-1] if told is None else told
        self._regress(outputs, gradients, error)
        if self.rng.random() < ON_POLICY:
            yield from self.policy.block_grads(net, batch, state, rng)
        else:
            if self.policy.error == "cached":
                state.errors[batch.keys] = gradients[-1].clone()
            yield from Backprop().block_grads(net, batch, None, rng)

    def _regress(self, outputs: list[Tensor], gradients: list[Tensor], error: Tensor) -> None:
        cosines, total = [], torch.zeros(())
        with torch.enable_grad():
            pairs = zip(self.modules, outputs[:-1], gradients[:-1], strict=True)
            for module, h, truth in pairs:
                # Where the block put out 0 its own ReLU takes nothing of the gradient.
                guess, true = (g * (h > 0) for g in (module(h, error), truth))
                total = total + ((guess - true) ** 2).mean() / (true**2).mean().clamp(min=1e-20)
                flat = torch.nn.functional.cosine_similarity(guess.flatten(), true.flatten(), dim=0)
                cosines.append(float(flat.detach()))
            self.optimizer.zero_grad()
            (total / len(cosines)).backward()
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), MAX_NORM)
        self.optimizer.step()
        self.tally.losses.append(float(total.detach()) / len(cosines))
        self.tally.cosines.append(cosines)


def true_gradients(net: Chain, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """Returns every block's output and the loss's gradient there, by autograd."""
    with torch.enable_grad():
        h, outputs = batch.pictures, []
        for block in net.blocks:
            h = block(h)
            outputs.append(h)
        loss = net.head.loss(h, batch.target)
        gradients = torch.autograd.grad(loss, outputs)
    return [h.detach() for h in outputs], list(gradients)
