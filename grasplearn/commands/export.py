"""``grasplearn export``: predicting and teaching as graphs for a device."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from grasplearn.commands.common import progress, write_figures
from grasplearn.config import Export
from grasplearn.errors import InvalidValueError
from grasplearn.learning.pretrained import find_weights, load_pretrained, shipped_weights
from grasplearn.library import DEMONSTRATION, WEIGHTS, find_skill
from grasplearn.skill import Skill

if TYPE_CHECKING:
    from grasplearn.edge.export import Export as Told

MIB = 2**20


def run(options: Export) -> None:
    if importlib.util.find_spec("onnx") is None:
        raise InvalidValueError("exporting needs onnx; install it: pip install 'grasplearn[edge]'")
    from grasplearn.edge import export as edge

    told = edge.Export(options.rule, options.optimizer, options.size, options.batch)
    folder: Path | None = None
    weights = options.name
    if weights not in shipped_weights() and not Path(weights).is_file():
        folder = find_skill(options.library, options.name)
        weights = options.weights or Skill.load(folder).weights
    if options.eight_bit and folder is None:
        raise InvalidValueError(
            "8-bit scales come from a skill's samples; export a skill with --eight-bit, not weights"
        )
    find_weights(weights)
    pretrained = load_pretrained(weights)
    with progress(options.quiet) as report:
        report("graphs", 0, 1)
        manifest = edge.write_export(options.out, pretrained, weights, told)
        report("graphs", 1, 1)
        if folder is not None:
            report("samples", 0, 1)
            _write_skill(folder, options.out, weights, told)
            report("samples", 1, 1)
        if options.eight_bit:
            from grasplearn.edge.eight_bit import write_eight_bit

            report("8-bit graphs", 0, 1)
            write_eight_bit(options.out, options.out / "skill" / DEMONSTRATION)
            report("8-bit graphs", 1, 1)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"exported: {options.out}, {len(manifest['graphs'])} graphs, {size / MIB:.1f} MiB")
    write_figures(options.json, {"folder": str(options.out), "bytes": size, **manifest})


def _write_skill(folder: Path, out: Path, weights: str, told: Told) -> None:
    """Puts a skill beside the graphs, and the samples to teach it again into its demonstration."""
    from grasplearn.edge.export import write_support

    skill = Skill.load(folder, weights)
    place = out / "skill"
    shutil.copytree(folder / DEMONSTRATION, place / DEMONSTRATION)
    shutil.copyfile(folder / WEIGHTS, place / WEIGHTS)
    base = load_pretrained(weights)
    own = told.teaching(base)
    write_support(place / DEMONSTRATION, skill.demonstration, base, own, skill.seed)
