"""Memory over a teaching step of every learning rule, and which block is at work meanwhile.

    python benchmarks/memory.py --size 224 --batch 1 --plot-file docs/memory.png

Live tensor bytes above weights and samples, followed exactly by the memory meter; a line of JSON a
rule. Weights: the shipped ones' shape, or with ``--net`` an untrained net of another shape.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from edge import pretrained_of

from grasplearn.commands.common import names
from grasplearn.edge.memory import MemoryUse, peak_memory, timeline
from grasplearn.edge.step_cost import Size, batch_of, parts_of, stepper
from grasplearn.errors import GraspLearnError
from grasplearn.rules import RULES
from grasplearn.show.timelines import draw_timelines

MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rules", default="all", help="names separated by commas, or all")
    parser.add_argument("--weights", default="shipped")
    parser.add_argument("--net", default="", help="an untrained net: width=64,features=48,...")
    parser.add_argument("--depth", type=int, default=1, help="multiples of the net's own")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--plot-file", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = pretrained_of(options.weights, options.net).deeper(options.depth)
    batch = batch_of(base.net.spec, Size(options.depth, options.size, options.batch), 0)
    inference = peak_memory(base.net.predict, batch.pictures).peak
    print(json.dumps({"predict_mib": round(inference / MIB, 2)}), flush=True)
    uses: dict[str, MemoryUse] = {}
    parts: dict[str, list[torch.Tensor]] = {}
    for name in names(options.rules, RULES):
        rule = base.rule(name)
        parts = parts_of(base.net, rule)
        uses[name] = use = timeline(parts, stepper(base.net, rule, batch, 0))
        told = {part: round(peak / MIB, 2) for part, peak in use.peaks().items()}
        row = {"rule": name, "peak_mib": round(use.peak / MIB, 2), "to_predict": 0.0}
        row["to_predict"] = round(use.peak / inference, 2)
        print(json.dumps({**row, "changes": len(use.events), "peak_mib_of": told}), flush=True)
    if options.plot_file is not None:
        draw_timelines(uses, list(parts), inference, options.plot_file)
        print(f"drawn: {options.plot_file}")


if __name__ == "__main__":
    try:
        main()
    except GraspLearnError as error:
        raise SystemExit(str(error)) from error
