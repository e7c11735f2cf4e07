"""What teaching starts from: a pre-trained net and, for the rules that need them, its modules.

One safetensors file holds all, under ``net.*``, ``<rule>.*`` and ``verifier.*``, with a card that
tells the data, the settings and the command that made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grasplearn.errors import FileFormatError, InvalidValueError, UnknownNameError
from grasplearn.nets.graspnet import GraspNet, NetSpec
from grasplearn.nets.verifier import Verifier
from grasplearn.nets.weights import fill, load_tensors, save_tensors
from grasplearn.rules import RULES
from grasplearn.rules.base import LearningRule
from grasplearn.rules.dni import DNI
from grasplearn.rules.fixed_point import FixedPoint
from grasplearn.rules.sgm import SGMs
from grasplearn.rules.static_sgm import StaticSGM
from grasplearn.rules.tail import Tail

KIND = "pretrained"
# Whose static modules the live ones start from.
WARM = "static-sgm"
NET, VERIFIER = "net", "verifier"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pre-trained net with its meta-trained modules.

    Attributes:
        net: without any demonstration in its head.
        modules: static synthetic gradient modules by the rule that uses them.
        card: JSON values: data, split, settings, seed, command, figures.
        digest: of all tensors; it names these weights in every result.
        verifier: takes a second look at what the net proposes; trained for this very net.
    """

    net: GraspNet
    modules: Mapping[str, SGMs] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    verifier: Verifier | None = None

    def deeper(self, times: int) -> Pretrained:
        """Returns the same net with ``times`` as many residual blocks, fresh weights and untrained
        modules: what a step costs does not depend on what is in them. As it is for 1."""
        if times == 1:
            return self
        net = GraspNet(self.net.spec.deeper(times))
        modules = {
            name: SGMs.untrained(net, np.random.default_rng(0), *module.shape)
            for name, module in self.modules.items()
        }
        return Pretrained(net, modules)

    def rule(self, name: str, frozen: int = 0, rate: float | None = None) -> LearningRule:
        """Returns a learning rule, with these weights' modules if it uses any.

        Args:
            frozen: how many of the first blocks it leaves as they are.
            rate: step size of a rule that makes its own update; None for the rule's default.

        Raises:
            UnknownNameError: there is no such rule.
            InvalidValueError: it needs modules, and these weights have none for it.
        """
        if name not in RULES:
            raise UnknownNameError("learning rule", name, RULES)
        rule = RULES[name]()
        if name == "dni" and isinstance(rule, DNI) and WARM in self.modules:
            # Static modules that go on learning, told what they are used to. (A label alone, which
            # is what cDNI is told, they misread.)
            rule = replace(rule, told="exact", modules=self.modules[WARM].after(frozen))
        elif isinstance(rule, StaticSGM):
            if name not in self.modules:
                raise InvalidValueError(
                    f"these weights hold no modules for {name}; make them with 'grasplearn "
                    "meta-train' or choose another rule"
                )
            rule = replace(rule, modules=self.modules[name].after(frozen))
        elif isinstance(rule, FixedPoint) and rate is not None:
            rule = rule.stepping(rate)
        return Tail(rule, frozen) if frozen else rule


def weights_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(files("grasplearn"))) / "weights"


def shipped_weights() -> tuple[str, ...]:
    """The names of the weights that come with the package."""
    return tuple(sorted(path.stem for path in weights_folder().glob("*.safetensors")))


def find_weights(weights: str) -> Path:
    """Returns the file of weights given by name or by path.

    Raises:
        UnknownNameError: neither a name nor a file.
    """
    if weights in shipped_weights():
        return weights_folder() / f"{weights}.safetensors"
    if Path(weights).is_file():
        return Path(weights)
    raise UnknownNameError("weights or weights file", weights, shipped_weights())


def load_pretrained(weights: str = "shipped") -> Pretrained:
    """Returns weights given by name or by path.

    Raises:
        UnknownNameError: neither a name nor a file.
        FileFormatError: the file is foreign, damaged, or of another kind.
    """
    path = find_weights(weights)
    tensors, card = load_tensors(path, KIND)
    try:
        net = GraspNet(NetSpec.from_dict(card["spec"]))
        modules = {
            # Earlier weights tell the channels inside alone.
            name: SGMs(net.spec.width, net.spec.depth, *([told] if type(told) is int else told))
            for name, told in card["modules"].items()
        }
        shape = card.get("verifier")
        verifier = None if shape is None else Verifier(**shape)
    except (KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise FileFormatError(f"{path} does not say which net it is for ({error!r})") from error
    everything = _parts(net, modules, verifier)
    for name, module in everything.items():
        start = f"{name}."
        own = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
        fill(module, own, path)
        module.requires_grad_(name == NET)
    return Pretrained(net, modules, card, card["digest"], verifier)


def _parts(
    net: GraspNet, modules: Mapping[str, SGMs], verifier: Verifier | None
) -> dict[str, torch.nn.Module]:
    """All that has tensors, by what stands before their names."""
    parts: dict[str, torch.nn.Module] = {NET: net, **modules}
    return parts if verifier is None else {**parts, VERIFIER: verifier}


def save_pretrained(path: str | Path, pretrained: Pretrained) -> None:
    """Writes weights; the file appears complete or not at all.

    Raises:
        InvalidValueError: a weight is not finite, or the file cannot be written.
    """
    verifier = pretrained.verifier
    everything = _parts(pretrained.net, pretrained.modules, verifier)
    tensors = {
        f"{name}.{key}": tensor
        for name, module in everything.items()
        for key, tensor in module.state_dict().items()
    }
    card = {
        **pretrained.card,
        "spec": asdict(pretrained.net.spec),
        "modules": {name: module.shape for name, module in pretrained.modules.items()},
        "verifier": None if verifier is None else verifier.shape,
    }
    save_tensors(path, KIND, tensors, card)
