"""Predicting and teaching on a device, with numpy and onnxruntime alone.

What ``learning.teaching.teach`` does, from the same samples: imprint, look whether the imprint is
enough, refine, look whether that helped. The steps are those of the chain of block graphs, which
take little memory, or of the one graph of all, which takes little time.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from grasplearn.edge import answer, layout, picture, store
from grasplearn.edge.chain import Chain
from grasplearn.edge.picture import read_json
from grasplearn.edge.runtime import Array, Bind, Bound, plain, session
from grasplearn.edge.sight import Sight
from grasplearn.edge.whole import Whole
from grasplearn.errors import FileFormatError, InvalidValueError
from grasplearn.types import Grasp, Observation

IMPRINT, REFINED = "imprint", "refined"


@dataclass(frozen=True)
class Taught:
    """What teaching did; see ``learning.teaching.Taught`` and ``learning.fine_tune.Report``."""

    kept: str
    missed: float | None
    probe_loss: tuple[float, float] | None
    losses: tuple[float, ...]
    guards: dict[str, int]
    warning: str
    seconds: float


class Device:
    """An export's folder, opened.

    Attributes:
        manifest: what was exported; weights: as they are now, by name; sight: with them.
        shown_yaw: rad, of the demonstrated grasp; None before any demonstration.

    Raises:
        FileFormatError: it is no export, of another version, or damaged.
        InvalidValueError: 8 bits and fast exclude each other.
    """

    def __init__(
        self,
        folder: str | Path,
        threads: int = 1,
        eight_bit: bool = False,
        bind: Bind = plain,
        fast: bool = False,
    ) -> None:
        """``eight_bit``: use the 8-bit form of every graph that has one. ``fast``: be quick at the
        cost of memory."""
        if eight_bit and fast:
            raise InvalidValueError("the one graph of a step has no 8-bit form; leave out one")
        self._folder, self._threads, self._bind = Path(folder), threads, bind
        self._fast = fast
        self.manifest = read_json(self._folder / layout.MANIFEST)
        if self.manifest.get("format") != layout.FORMAT:
            raise FileFormatError(f"{folder} was exported by another version; export it again")
        if eight_bit and not (self._folder / layout.EIGHT_BIT).is_dir():
            raise FileFormatError(f"{folder} has no 8-bit graphs; export it with --eight-bit")
        self._eight_bit = eight_bit
        self.weights, _ = store.read(self._folder / layout.WEIGHTS, layout.WEIGHTS_KIND)
        self._base = {name: array.copy() for name, array in self.weights.items()}
        self.shown_yaw: float | None = None
        self._tolerated = 0.0
        self._bound: dict[str, Bound] = {}
        self.sight = Sight(self._open, self.weights, self.manifest)

    def predict(self, seen: Observation) -> tuple[Grasp, float]:
        """Returns the best grasp in a picture, and the probability around its place.

        Raises:
            InvalidValueError: nothing was taught yet, or the picture does not show the workspace.
            NoGraspError: nothing stands on the table.
        """
        if self.shown_yaw is None:
            raise InvalidValueError("nothing was taught yet; give a demonstration or a skill")
        view = picture.heightmap(seen)
        _, widths, verified = self.sight.maps(picture.encode(view))
        return answer.decode(verified, widths, view, self.shown_yaw, self._tolerated)

    def teach(self, demo: Path, refine: bool = True, always: bool = False) -> Taught:
        """Teaches the folder of a demonstration.

        Args:
            refine: look whether the imprint is enough, and refine it if not; needs the samples that
                'grasplearn export' writes beside a demonstration.
            always: refine whether or not the imprint is enough.

        Raises:
            FileFormatError: a file is missing or damaged.
            InvalidValueError: the samples are for another export.
        """
        start = time.perf_counter()
        grasp, view = self._show(demo)
        own = self._own_cells(demo)
        for name, array in self._base.items():
            self.weights[name][:] = array
        if not refine:
            self.sight.imprint(picture.encode(view), grasp, own)
            return Taught(IMPRINT, None, None, (), {}, "", time.perf_counter() - start)
        support = demo / layout.SUPPORT
        card = self._card(support)
        # The full program's own picture of the demonstration: the first of the probe.
        shown = self._samples(support / layout.probe_file(0))["picture"][0]
        self.sight.imprint(shown, grasp, own)
        told = self.manifest["teaching"]
        before, missed = self._look(support, card["probe"])
        if not (always or card["rival"] >= told["rival"] or missed >= told["doubt"]):
            return Taught(IMPRINT, missed, None, (), {}, "", time.perf_counter() - start)
        imprinted = {name: array.copy() for name, array in self.weights.items()}
        reference = self.sight.reference
        losses, guards = self._refine(support, card)
        for name, array in imprinted.items():
            self.weights[name] += (array - self.weights[name]) * (1 - float(told["share"]))
        self.sight.imprint(shown, grasp, own)  # into the features as they are now
        after, misses = self._look(support, card["probe"])
        kept, warning = REFINED, ""
        if not (np.isfinite(losses).all() and after < before and misses <= missed):
            kept = IMPRINT
            warning = "refining did not help on samples held out: the imprint was kept"
            for name, array in imprinted.items():
                self.weights[name][:] = array
            self.sight.reference = reference
        seconds = time.perf_counter() - start
        return Taught(kept, missed, (before, after), tuple(losses), guards, warning, seconds)

    def save_skill(self, folder: Path, demo: Path, taught: Taught) -> None:
        """Writes what was taught as a skill that the full program opens.

        Raises:
            InvalidValueError: the place is taken.
        """
        if folder.exists():
            raise InvalidValueError(f"{folder} is there already; choose another name")
        shown = folder / layout.SKILL_DEMONSTRATION
        shown.mkdir(parents=True)
        digests = {}
        for name in layout.DEMONSTRATION_FILES:
            shutil.copyfile(demo / name, shown / name)
            digests[name] = hashlib.sha256((shown / name).read_bytes()).hexdigest()
        own = Path(layout.SUPPORT) / layout.REFERENCE
        if (demo / own).is_file():  # without it a loaded skill gives answers no second look
            (shown / own).parent.mkdir()
            shutil.copyfile(demo / own, shown / own)
        changed = {
            name: array
            for name, array in self.weights.items()
            if not np.array_equal(array, self._base[name])
        }
        card = {
            "teaching": self.manifest["teaching"],
            "seed": self._card(demo / layout.SUPPORT)["seed"] if taught.missed is not None else 0,
            "weights": self.manifest["weights"],
            "kept": taught.kept,
            "probe_loss": taught.probe_loss and list(taught.probe_loss),
            "missed": taught.missed,
            "warning": taught.warning,
            "seconds": taught.seconds,
            "fine_tuning": _fine_tuning(taught),
            "versions": {"numpy": np.__version__, "onnxruntime": onnxruntime.__version__},
            "demonstration": digests,
        }
        store.write(folder / layout.SKILL_WEIGHTS, layout.SKILL_KIND, changed, card)

    def load_skill(self, folder: Path) -> None:
        """Takes up the weights of a skill that the full program or a device was taught.

        Raises:
            FileFormatError: it is none, or was taught on other weights than were exported.
        """
        changed, card = store.read(folder / layout.SKILL_WEIGHTS, layout.SKILL_KIND)
        if card["weights"]["digest"] != self.manifest["weights"]["digest"]:
            raise FileFormatError(f"{folder} was taught on other weights; export those")
        for name, array in self._base.items():
            self.weights[name][:] = changed.get(name, array)
        demo = folder / layout.SKILL_DEMONSTRATION
        grasp, view = self._show(demo)
        self.sight.look_at(picture.encode(view), grasp, self._own_cells(demo))

    def _show(self, demo: Path) -> tuple[Grasp, picture.View]:
        """Takes up what of a demonstration every answer depends on; returns it and its picture."""
        grasp = picture.read_grasp(demo)
        view = picture.heightmap(picture.read_observation(demo))
        self.shown_yaw = grasp.yaw
        self._tolerated = max(0.0, answer.room_in(view).lacking(grasp))
        return grasp, view

    def _open(self, file: str) -> Bound:
        if file not in self._bound:
            self._bound[file] = self._bind(file, self._session(file), self.weights, None)
        return self._bound[file]

    def _session(self, file: str) -> onnxruntime.InferenceSession:
        path = self._folder / layout.EIGHT_BIT / file
        if not (self._eight_bit and path.is_file()):
            path = self._folder / file
        return session(path, self._threads, self._fast)

    def _own_eight_bit(self, name: str, index: int) -> onnxruntime.InferenceSession | None:
        """A block's own 8-bit graph: scales are constants in it, and every block has others."""
        path = self._folder / layout.EIGHT_BIT / layout.chain_file(f"{name}.{index}")
        return session(path, self._threads) if self._eight_bit and path.is_file() else None

    def _card(self, support: Path) -> dict[str, Any]:
        if not support.is_dir():
            raise FileFormatError(
                f"no samples at {support}, which refining needs; make them with 'grasplearn "
                "export', or keep the imprint with --imprint-only"
            )
        card, told = read_json(support / layout.SUPPORT_CARD), self.manifest["teaching"]
        fits = (
            card["weights"] == self.manifest["weights"]["digest"]
            and card["batch"] == told["batch"]
            and card["size"] == told["augmentation"]["side"]
        )
        if not fits:
            raise InvalidValueError(f"the samples at {support} are of another export; export again")
        return card

    def _own_cells(self, demo: Path) -> Array | None:
        """Which cells of a demonstration the thing takes up, where that was prepared."""
        path = demo / layout.SUPPORT / layout.REFERENCE
        return self._samples(path)[layout.OWN] if path.is_file() else None

    def _samples(self, path: Path) -> dict[str, Array]:
        return store.read(path, layout.SAMPLES_KIND)[0]

    def _look(self, support: Path, count: int) -> tuple[float, float]:
        """The mean loss over the probe, and the share of it in which the spot is missed."""
        losses, missed = [], []
        for number in range(count):
            found = self._samples(support / layout.probe_file(number))
            quality, widths, verified = self.sight.maps(found["picture"][0])
            right, width = found["place"][0], float(found["width"][0])
            weight = float(self.manifest["width_weight"])
            losses.append(answer.loss(quality, widths, right, width, weight))
            missed.append(not answer.is_found(verified, right, self.sight.stride))
        return float(np.mean(losses)), float(np.mean(missed))

    def _refine(self, support: Path, card: dict[str, Any]) -> tuple[list[float], dict[str, int]]:
        told, optimizer = self.manifest["teaching"], self.manifest["optimizer"]
        steps, last = int(told["steps"]), float(optimizer["last"])
        remembers = self.manifest["recurring_batches"] is not None
        chain = self._steps(tuple(optimizer["states"]), remembers)
        errors: dict[int, Array] = {}
        losses, guards = [], {"scaled": 0, "skipped": 0}
        for step in range(steps):
            number = step % int(card["batches"])
            batch = self._samples(support / layout.step_file(number))
            chain.picture[:], chain.place[:] = batch["picture"], batch["place"]
            chain.width[:] = batch["width"]
            factor = last + (1 - last) * (1 + math.cos(math.pi * step / steps)) / 2
            done = chain.step(float(optimizer["rate"]) * factor, step + 1, errors.get(number))
            if remembers:
                errors[number] = chain.error.copy()
            losses.append(done.loss)
            guards["scaled"] += done.scaled
            guards["skipped"] += done.skipped
        return losses, guards

    def _steps(self, states: tuple[str, ...], remembers: bool) -> Chain | Whole:
        if self._fast:
            return Whole(self._session, self.weights, states, remembers, self._bind)
        modules, _ = store.read(self._folder / layout.MODULES, layout.MODULES_KIND)
        return Chain(
            lambda name: self._session(layout.chain_file(name)),
            self.weights,
            modules,
            states,
            lambda name, *ends: self._bind(layout.chain_file(name), *ends),
            self._own_eight_bit,
            int(self.manifest["frozen"]),
        )


def _fine_tuning(taught: Taught) -> dict[str, Any] | None:
    if not taught.losses:
        return None
    losses = [loss if math.isfinite(loss) else None for loss in taught.losses]
    return {
        "losses": losses,
        "seconds": taught.seconds,
        "peak_bytes": None,
        "guards": taught.guards,
        "warning": "",
    }
