"""``grasplearn objects``: which objects there are, as a table, as JSON and on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.spatial.transform import Rotation

from grasplearn.commands.common import Report, load_objects, progress, write_figures
from grasplearn.config import Objects
from grasplearn.geometry import WORKSPACE_CENTER
from grasplearn.show.overlay import save_png
from grasplearn.show.style import INK, PAPER, Frame, text_width, write
from grasplearn.show.table import print_table
from grasplearn.sim.camera import Eye
from grasplearn.sim.object_folder import ObjectModel
from grasplearn.sim.objects import USER_SPLIT, Catalogue
from grasplearn.sim.viewer import portrait_camera, view
from grasplearn.types import PlacedObject, SymmetryAxis

SIDE = 224
LABEL_SIZE = 16
STRIP = 28


def run(options: Objects) -> None:
    with progress(options.quiet) as report:
        catalogue = load_objects(options.objects, report)
        split = options.split if options.objects is None else USER_SPLIT
        models = catalogue.select(split=split, category=options.category)
        if options.objects is not None:
            models = tuple(m for m in models if catalogue.split_of(m.object_id) == USER_SPLIT)
        if options.sheet is not None:
            save_png(options.sheet, contact_sheet(catalogue, models, options.seed, report))
    rows = [_row(catalogue, model) for model in models]
    _print(rows)
    write_figures(options.json, {"rows": rows})


def _row(catalogue: Catalogue, model: ObjectModel) -> dict[str, Any]:
    return {
        "id": model.object_id,
        "category": model.category,
        "split": catalogue.split_of(model.object_id),
        "parts": list(model.parts),
        "graspable": list(model.graspable),
        "symmetry": [{"axis": list(s.axis), "order": s.order} for s in model.symmetry],
        "size_m": list(model.size),
        "mass_kg": model.mass,
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("id", "category", "split", "parts (graspable)", "symmetry"):
        table.add_column(name)
    table.add_column("size, mm", justify="right")
    table.add_column("mass, g", justify="right")
    for row in rows:
        parts = [f"({p})" if p in row["graspable"] else p for p in row["parts"]]
        axes = [_axis(SymmetryAxis(tuple(s["axis"]), s["order"])) for s in row["symmetry"]]
        cells = (
            row["id"],
            row["category"],
            row["split"],
            " ".join(parts),
            " ".join(axes),
            " x ".join(f"{1000 * v:.0f}" for v in row["size_m"]),
            f"{1000 * row['mass_kg']:.0f}",
        )
        table.add_row(*(Text(cell) for cell in cells))
    console = Console()
    print_table(table, console)
    console.print(f"{len(rows)} objects", highlight=False)


def _axis(symmetry: SymmetryAxis) -> str:
    """As ``z/any`` or ``x/2``: the axis nearest, and the parts of a turn that change nothing."""
    name = "xyz"[int(np.argmax(np.abs(symmetry.axis)))]
    return f"{name}/{symmetry.order or 'any'}"


def contact_sheet(
    catalogue: Catalogue, models: Sequence[ObjectModel], seed: int, report: Report
) -> Frame:
    """All objects, each as it lies most probably and turned by chance, named below."""
    rng = np.random.default_rng(seed)
    eye = Eye(catalogue)
    tiles = []
    try:
        for count, model in enumerate(models):
            report("pictures", count, len(models))
            tiles.append(_tile(eye, model, float(rng.uniform(0, 2 * np.pi))))
    finally:
        eye.close()
    report("pictures", len(models), len(models))
    columns = math.ceil(math.sqrt(len(tiles) * 1.5))
    blank = np.full((SIDE + STRIP, SIDE, 3), INK, np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _tile(eye: Eye, model: ObjectModel, yaw: float) -> Frame:
    pose = model.stable_poses[0]
    turned = Rotation.from_euler("z", yaw) * Rotation.from_quat(pose.quaternion)
    place = (*WORKSPACE_CENTER, pose.height)
    eye.show_objects([PlacedObject(model.object_id, place, tuple(turned.as_quat().tolist()))])
    picture = view(eye, portrait_camera(place, float(np.linalg.norm(model.size)), (SIDE, SIDE)), 2)
    strip = np.full((STRIP, SIDE, 3), INK, np.uint8)
    left = max(0, (SIDE - text_width(model.object_id, LABEL_SIZE)) // 2)
    write(strip, model.object_id, (left, 19), LABEL_SIZE, PAPER)
    return np.vstack([picture, strip])
