"""What teaching in onnxruntime is worth beside torch; each command prints a table.

    python benchmarks/edge.py parity --object wrench_04 --tier alike --seed 5 --scenes 300
    python benchmarks/edge.py memory --depth 1,2,4
    python benchmarks/edge.py time --rounds 5 --threads 2
    python benchmarks/edge.py success --objects 3 --trials 2
    python benchmarks/edge.py environment

``parity``: a whole teaching of the shipped weights in both, all steps, and the taught grasp in
pictures of new scenes. ``memory``: how far a fresh process grows, a step at batch 1; the median of
``--rounds`` processes of onnxruntime each, one of torch. ``time``: a step's median, all in
turn, beside that of torch's backprop of the same blocks. In both torch leaves the blocks alone
that the exported step leaves alone. ``success``: five tiers, paired, in torch, onnxruntime, 8 bits,
on validation objects. ``environment``: a fresh virtual environment with numpy and onnxruntime
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from edge_growth import growth, step_of

from grasplearn.edge import layout

MIB = 2**20
SMALL = 64
PARTS = ("forward_block", "teach_stem", "teach_block", "teach_last", "head_turn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in COMMANDS.items():
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--weights", default="shipped")
        command.add_argument("--net", default="", help="an untrained one: width=64,hidden=16")
        command.add_argument("--rule", default="static-sgm")
        command.add_argument("--size", type=int, default=224)
        command.add_argument("--batch", type=int, default=1)
        command.add_argument("--depth", default="1,2,4")
        command.add_argument("--rounds", type=int, default=5)
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--object", default="mug_06")
        command.add_argument("--tier", default="clutter")
        command.add_argument("--scenes", type=int, default=60)
        command.add_argument("--objects", type=int, default=3)
        command.add_argument("--trials", type=int, default=2)
        command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.run(options)


def pretrained_of(weights: str, net: str) -> Any:
    """Weights by name or file; or, for what a step costs, an untrained net with untrained modules.

    ``net``: its ``NetSpec`` as width=64,features=48; empty for the weights.
    """
    from grasplearn.learning.pretrained import Pretrained, load_pretrained
    from grasplearn.nets.graspnet import GraspNet, NetSpec
    from grasplearn.rules.sgm import SGMs

    if not net:
        return load_pretrained(weights)
    told = (part.split("=") for part in net.split(","))
    made = GraspNet(NetSpec.from_dict({name: int(value) for name, value in told}))
    rules = ("static-sgm", "static-sgm-one-pass")
    return Pretrained(
        made, {rule: SGMs.untrained(made, np.random.default_rng(0)) for rule in rules}
    )


def export(options: argparse.Namespace, folder: Path, depth: int = 1, size: int = 0) -> None:
    """Writes the graphs of a deeper net."""
    from grasplearn.edge.export import Export, write_export

    pretrained = pretrained_of(options.weights, options.net).deeper(depth)
    told = Export(options.rule, "lars", size or options.size, options.batch)
    write_export(folder, pretrained, options.weights, told)


def still(pretrained: Any, options: argparse.Namespace) -> int:
    """How many of a net's first blocks teaching leaves as they are: torch's rules, too, here."""
    from grasplearn.edge.export import Export
    from grasplearn.learning.teaching_settings import frozen_blocks

    return frozen_blocks(Export(options.rule).teaching(pretrained), len(pretrained.net.blocks))


def memory(options: argparse.Namespace) -> None:
    import onnx

    from grasplearn.edge.liveness import live_bytes
    from grasplearn.edge.step_cost import Size, resident_growth
    from grasplearn.learning.pretrained import save_pretrained

    rows = []
    for depth in map(int, options.depth.split(",")):
        with tempfile.TemporaryDirectory() as place:
            small, full = Path(place) / "small", Path(place) / "full"
            export(options, small, depth, SMALL)
            export(options, full, depth)
            row: dict[str, float] = {"depth": depth}
            for file in (layout.CHECK, *(layout.chain_file(name) for name in PARTS)):
                found = live_bytes(onnx.load(str(full / file)))
                row[f"live of {Path(file).stem}"] = round(found.peak / MIB, 2)
            print(json.dumps(row), flush=True)
            for kind in ("predict", "chain", "whole", "fast"):
                grown = [growth(small, full, kind) for _ in range(options.rounds)]
                row[kind] = float(np.median(grown)) / MIB
            weights = Path(place) / "weights.safetensors"
            save_pretrained(weights, pretrained_of(options.weights, options.net))
            frozen = still(pretrained_of(options.weights, options.net).deeper(depth), options)
            for rule in ("backprop", "backprop-checkpointed", options.rule):
                size = Size(depth, options.size, options.batch)
                grown_by = resident_growth(rule, str(weights), size, 0, frozen)
                row[f"torch {rule}"] = grown_by / MIB
        row["chain / predict"] = row["chain"] / row["predict"]
        rows.append(row)
        print(json.dumps(row), flush=True)
    first, last = rows[0]["chain"], rows[-1]["chain"]
    print(f"chain, deepest / shallowest: {last / first:.3f}")


def timing(options: argparse.Namespace) -> None:
    import torch

    from grasplearn.edge.step_cost import Size, batch_of, interleaved, stepper

    torch.set_num_threads(options.threads)
    for depth in map(int, options.depth.split(",")):
        base = pretrained_of(options.weights, options.net).deeper(depth)
        size = Size(depth, options.size, options.batch)
        batch = batch_of(base.net.spec, size, 0)
        with tempfile.TemporaryDirectory() as place:
            export(options, Path(place) / "e", depth)
            steps: dict[str, Callable[[], None]] = {}
            frozen = still(base, options)
            told = {"backprop": frozen, "backprop of all blocks": 0, options.rule: frozen}
            for name, first in told.items():
                rule = base.rule(name.split()[0], first)
                steps[name] = stepper(base.net, rule, batch, 0)
                print(f"depth x{depth}: {name} is ready", file=sys.stderr, flush=True)
            for kind in ("chain", "whole", "fast", "predict"):
                made = step_of(Path(place) / "e", kind, options.threads)
                made()
                steps[f"onnxruntime {kind}"] = lambda made=made: made() and None
                print(f"depth x{depth}: onnxruntime {kind} is ready", file=sys.stderr, flush=True)
            rounds: dict[str, list[float]] = {name: [] for name in steps}
            for number in range(options.rounds):
                for name, taken in interleaved(steps, 1).items():
                    rounds[name].append(taken)
                told = {name: round(taken[-1], 3) for name, taken in rounds.items()}
                print(f"round {number + 1}: {json.dumps(told)}", file=sys.stderr, flush=True)
            seconds = {name: float(np.median(taken)) for name, taken in rounds.items()}
        ratio = {name: round(value / seconds["backprop"], 3) for name, value in seconds.items()}
        row = {"depth": depth, "frozen": frozen, "ratio": ratio, "seconds": seconds}
        print(json.dumps(row), flush=True)


def parity(options: argparse.Namespace) -> None:
    from grasplearn.edge.device import Device
    from grasplearn.edge.export import Export, write_export, write_support
    from grasplearn.evaluate import make_lesson
    from grasplearn.files import load_demonstration, save_demonstration
    from grasplearn.learning.pretrained import load_pretrained
    from grasplearn.learning.teaching import teach
    from grasplearn.plan import load_catalogue
    from grasplearn.sim.world import World
    from grasplearn.tiers import TIERS

    world = World(load_catalogue(None)[0])
    twin = TIERS[options.tier].look_alike
    lesson = make_lesson(world, options.object, options.seed, 0, twin, None)
    shown = lesson.demonstration
    pretrained = load_pretrained(options.weights)
    told = Export(options.rule)
    with tempfile.TemporaryDirectory() as place:
        write_export(Path(place) / "e", pretrained, options.weights, told)
        demo = Path(place) / "demo"
        save_demonstration(demo, shown)
        # Both look at what the files hold: depth is rounded in them.
        shown = load_demonstration(demo)
        write_support(demo, shown, pretrained, told.teaching(pretrained), options.seed)
        print("exported", file=sys.stderr, flush=True)
        always = replace(told.teaching(pretrained), doubt=0.0)
        torch_s = time.perf_counter()
        wanted = teach(
            shown,
            pretrained,
            always,
            options.seed,
            lambda step, update: (
                print(f"torch: step {step + 1}, loss {float(update.loss):.4f}", file=sys.stderr)
                if update.loss is not None
                else None
            ),
        )
        torch_s = time.perf_counter() - torch_s
        print(f"taught in torch in {torch_s:.0f} s", file=sys.stderr, flush=True)
        device = Device(Path(place) / "e")
        found = device.teach(demo, always=True)
        assert wanted.report is not None
        losses = np.abs(np.array(found.losses) / np.array(wanted.report.losses) - 1).max()
        off = {
            name: float(np.linalg.norm(device.weights[name] - t.numpy()) / t.norm())
            for name, t in wanted.net.state_dict().items()
        }
        worst = max(off, key=lambda name: off[name])
        told_row = {
            "steps": len(found.losses),
            "kept": [found.kept, wanted.kept],
            "loss_off": float(losses),
            "weights_off": off[worst],
            "worst": worst,
            "seconds": [found.seconds, torch_s],
        }
        print(json.dumps(told_row), flush=True)
        print(json.dumps(_same_grasps(options, world, lesson, wanted, device)))
    world.close()


def _same_grasps(
    options: argparse.Namespace, world: Any, lesson: Any, wanted: Any, device: Any
) -> dict[str, Any]:
    """In new scenes: how far the two nets' grasps are apart, from one and the same heightmap and
    with the device's own on its side."""
    from grasplearn.edge import answer, picture
    from grasplearn.errors import NoGraspError, SceneError
    from grasplearn.geometry import heightmap, seen_inside
    from grasplearn.nets.codec import encode
    from grasplearn.trial import trial_scene, trial_seed

    others = world.catalogue.neighbours_of(lesson.object_id)
    shown = lesson.demonstration
    tolerated = seen_inside(heightmap(shown.observation), shown.grasp)
    apart: dict[str, list[float]] = {"same_heightmap": [], "own_heightmap": []}
    left_out = alike = 0
    for number in range(options.scenes):
        if number % 10 == 0:
            far = {name: max(found, default=0.0) for name, found in apart.items()}
            print(
                f"scene {number} of {options.scenes}, farthest apart so far: {json.dumps(far)} m",
                file=sys.stderr,
                flush=True,
            )
        seed = trial_seed(options.seed, options.tier, lesson.object_id, 0, number)
        try:
            world.reset(trial_scene(world, lesson, options.tier, others, seed))
            seen = world.observe()
            right = wanted.predict(seen).grasp
            view = heightmap(seen)
            _, widths, quality = device.sight.maps(encode(view).numpy())
            own = picture.View(view.rgb, view.height, view.known)
            made, _ = answer.decode(quality, widths, own, wanted.demonstrated_yaw, tolerated)
            whole, sure = device.predict(seen)
        except (NoGraspError, SceneError):
            left_out += 1
            continue
        theirs = picture.heightmap(seen)
        alike += all(
            np.array_equal(getattr(theirs, part), getattr(view, part))
            for part in ("rgb", "height", "known")
        )
        for name, grasp in (("same_heightmap", made), ("own_heightmap", whole)):
            far = float(np.linalg.norm(grasp.center_world - right.center_world))
            apart[name].append(far)
            if far >= 1e-3:
                row = {"scene": number, "with": name, "apart_m": far, "confidence": sure}
                print(json.dumps(row), flush=True)
    told: dict[str, Any] = {"scenes": options.scenes - left_out, "left_out": left_out}
    told["equal_heightmaps"] = alike
    for name, found in apart.items():
        within = sum(far < 1e-3 for far in found)
        told[name] = {"within_1_mm": within, "median_m": float(np.median(found))}
        told[name]["most_m"] = max(found)
    return told


def success(options: argparse.Namespace) -> None:
    """Evaluates one teaching in torch, onnxruntime and 8 bits on the same validation scenes."""
    from grasplearn.cli import run

    methods = Path(__file__).with_name("edge_methods.py")
    names = {f"{methods}:in_{name}": name for name in ("torch", "onnxruntime", "eight_bit")}
    os.environ["GRASPLEARN_EDGE_WEIGHTS"] = options.weights
    os.environ["GRASPLEARN_EDGE_RULE"] = options.rule
    with tempfile.TemporaryDirectory() as place:
        flags = [f"--methods={','.join(names)}", "--split=validation", f"--trials={options.trials}"]
        flags += [f"--max-objects={options.objects}", f"--out={place}", f"--seed={options.seed}"]
        flags += ["--tiers=same,clutter,view,kin,alike", "--demos=1", "--workers=1"]
        if run(["evaluate", *flags]):
            raise SystemExit("the evaluation failed; its message stands above")
        summary = json.loads((Path(place) / "summary.json").read_text())
    for row in summary["rows"]:
        if row["metric"] == "success":
            told = {
                key: row[key] for key in ("tier", "trials", "rate", "wilson_low", "wilson_high")
            }
            print(json.dumps({"method": names[row["method"]], **told}))
    for pair in summary["paired"]:
        told = {key: pair[key] for key in ("tier", "difference", "low", "high")}
        print(json.dumps({"a": names[pair["a"]], "b": names[pair["b"]], **told}))


def environment(options: argparse.Namespace) -> None:
    """Makes the runner's environment for real, and asks it."""
    import venv
    from importlib.metadata import version

    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = Path(place) / "bin" / "python"
        pins = [f"{name}=={version(name)}" for name in ("numpy", "onnxruntime")]
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--constraint", str(root / "constraints.txt"), *pins], check=True)
        subprocess.run([*pip, "--no-deps", str(root)], check=True)
        libraries = next((Path(place) / "lib").glob("python*/site-packages"))
        sizes = {
            folder.name: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / MIB
            for folder in libraries.iterdir()
            if folder.is_dir() and not folder.name.startswith(("pip", "setuptools", "pkg_", "_"))
        }
        edge = libraries / "grasplearn" / "edge"
        own = sum(f.stat().st_size for f in edge.glob("*.py")) / MIB
        code = (
            "import time, sys, importlib.util as u; s = time.perf_counter(); "
            "import grasplearn.edge.run; print(time.perf_counter() - s, "
            "*(n for n in ('torch', 'pybullet', 'cv2', 'scipy') if u.find_spec(n)))"
        )
        taken = [
            subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
            for _ in range(max(3, options.rounds // 3))
        ]
        told = {
            "installed_mib": {k: round(v, 1) for k, v in sizes.items() if v >= 0.5},
            "needed_of_grasplearn_mib": round(own, 3),
            "import_s": sorted(float(done.stdout.split()[0]) for done in taken),
            "of_torch_pybullet_cv2_scipy": taken[0].stdout.split()[1:],
        }
        print(json.dumps(told))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "parity": parity,
    "memory": memory,
    "time": timing,
    "success": success,
    "environment": environment,
}


if __name__ == "__main__":
    main()
