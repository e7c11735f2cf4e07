"""What ``python -m grasplearn.edge.run`` needs: numpy, onnxruntime, and no more.

``python benchmarks/edge.py environment`` tells how large it is and how long its import takes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import grasplearn

FOREIGN = {"torch", "pybullet", "cv2", "scipy", "gymnasium", "onnx", "safetensors", "trimesh"}


def folders_of(names: list[str]) -> list[Path]:
    """What some distributions and all that they require have put among the libraries."""
    found: dict[str, list[Path]] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            whole = distribution(name)
            tops = {file.parts[0] for file in whole.files or () if file.parts[0] != ".."}
            found[name] = [Path(str(whole.locate_file(top))) for top in sorted(tops)]
            needed = (line for line in whole.requires or () if "extra ==" not in line)
            left += [re.split(r"[^\w.-]", line)[0] for line in needed]
    return [folder for folders in found.values() for folder in folders]


@pytest.fixture(scope="module")
def device_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's interpreter; its libraries are links, so that nothing is fetched."""
    place = tmp_path_factory.mktemp("device")
    try:
        folders = folders_of(["numpy", "onnxruntime"])
        venv.create(place, with_pip=False, symlinks=True)
        libraries = next((place / "lib").glob("python*/site-packages"))
        for folder in (*folders, Path(grasplearn.__file__).parent):
            (libraries / folder.name).symlink_to(folder)
    except (PackageNotFoundError, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no environment can be made of what is installed here: {error}")
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def shown(weights_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small export and a demonstration's folder."""
    from teaching_kit import demonstration

    from grasplearn.edge.export import Export, write_export
    from grasplearn.files import save_demonstration
    from grasplearn.learning.pretrained import load_pretrained

    folder = tmp_path_factory.mktemp("shown")
    told = Export(size=64, batch=1)
    write_export(folder / "export", load_pretrained(str(weights_file)), str(weights_file), told)
    save_demonstration(folder / "demo", demonstration())
    return folder / "export", folder / "demo"


def imported(python: Path, shown: tuple[Path, Path], folder: Path) -> set[str]:
    """What a whole run, teaching and prediction, imports: names of packages."""
    export, demo = shown
    runner = ["-X", "importtime", "-m", "grasplearn.edge.run", str(export)]
    told = ["--demo", str(demo), "--imprint-only", "--image", str(demo)]
    # From elsewhere, so that no checkout is found instead of what is installed.
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python == Path(sys.executable):
        outside["PYTHONPATH"] = str(Path(grasplearn.__file__).parents[1])
    done = subprocess.run(
        [str(python), *runner, *told], cwd=folder, env=outside, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"grasp"' in done.stdout
    lines = re.findall(r"^import time:.*\|\s*([\w.]+)$", done.stderr, re.MULTILINE)
    return {line.split(".")[0] for line in lines}


def test_numpy_and_onnxruntime_are_enough(device_python: Path, shown, tmp_path: Path) -> None:
    asked = f"import importlib.util as u; print([n for n in {FOREIGN} if u.find_spec(n)])"
    found = subprocess.run(
        [str(device_python), "-I", "-c", asked], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
    assert {"numpy", "onnxruntime", "grasplearn"} <= imported(device_python, shown, tmp_path)


def test_nothing_else_is_imported_where_it_could_be(shown, tmp_path: Path) -> None:
    found = imported(Path(sys.executable), shown, tmp_path)
    assert {"numpy", "onnxruntime"} <= found
    assert not found & FOREIGN
