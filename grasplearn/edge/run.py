"""Teaches and predicts where neither torch nor OpenCV is installed.

    python -m grasplearn.edge.run DIR --demo D --image I

DIR is what 'grasplearn export' wrote, D a demonstration's folder, I a folder with color.png,
depth.png and camera.json. Prints one line of JSON; exits with 2 and a sentence on bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grasplearn.edge.device import Device
from grasplearn.edge.picture import read_observation
from grasplearn.errors import GraspLearnError, InvalidValueError, refusal

BAD_INPUT = 2


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    told = _parser().parse_args(arguments)
    try:
        print(json.dumps(_run(told), allow_nan=False))
    except GraspLearnError as error:
        print(f"grasplearn.edge.run: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"grasplearn.edge.run: {refusal(error, error.filename)}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _run(told: argparse.Namespace) -> dict[str, Any]:
    if (told.demo is None) == (told.skill is None):
        raise InvalidValueError("say with --demo what to teach, or with --skill what was taught")
    if told.threads < 1:
        raise InvalidValueError(f"threads must be at least 1, got {told.threads}")
    device = Device(told.folder, told.threads, told.eight_bit, fast=told.fast)
    done: dict[str, Any] = {}
    if told.demo is not None:
        taught = device.teach(told.demo, not told.imprint_only, told.always)
        done["taught"] = asdict(taught)
        if told.out is not None:
            device.save_skill(told.out, told.demo, taught)
            done["skill"] = str(told.out)
    else:
        device.load_skill(told.skill)
    if told.image is not None:
        done["verified"] = device.sight.reference is not None
        grasp, sure = device.predict(read_observation(told.image))
        done["grasp"], done["confidence"] = grasp.to_dict(), sure
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grasplearn.edge.run", description=__doc__)
    parser.add_argument("folder", type=Path, help="what 'grasplearn export' wrote")
    parser.add_argument("--demo", type=Path, help="teach this demonstration's folder")
    parser.add_argument("--skill", type=Path, help="use this skill's weights instead")
    parser.add_argument("--image", type=Path, help="predict on this picture's folder")
    parser.add_argument("--out", type=Path, help="write what was taught as a skill")
    parser.add_argument("--imprint-only", action="store_true", help="do not refine the imprint")
    parser.add_argument("--always", action="store_true", help="refine even a good imprint")
    parser.add_argument("--eight-bit", action="store_true", help="use the graphs in 8 bits")
    parser.add_argument("--fast", action="store_true", help="be quick at the cost of memory")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    return parser


if __name__ == "__main__":
    sys.exit(main())
