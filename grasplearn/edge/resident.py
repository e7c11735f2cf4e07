"""One step in a fresh process, which prints by how many bytes it grew.

    python -m grasplearn.edge.resident '{"rule": "backprop", "weights": "shipped", ...}'

The allocator keeps what it once had. So a process that has done anything of the size before would
hide the step's need; this one has only loaded the net and the batch.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from grasplearn.edge.step_cost import Size, batch_of, resident_bytes
from grasplearn.learning.pretrained import load_pretrained


def main(told: str) -> None:
    asked = json.loads(told)
    torch.set_num_threads(1)
    size = Size(asked["depth"], asked["size"], asked["batch"])
    pretrained = load_pretrained(asked["weights"]).deeper(size.depth)
    rule = pretrained.rule(asked["rule"], asked["frozen"])
    rng = np.random.default_rng(asked["seed"])
    state = rule.init(pretrained.net, rng)
    # What a first step of any kind loads (kernels, code) does not count: one of a few pixels.
    small = batch_of(pretrained.net.spec, Size(size.depth, 32, 1), 1)
    for _ in rule.block_grads(pretrained.net, small, rule.init(pretrained.net, rng), rng):
        pass
    batch = batch_of(pretrained.net.spec, size, asked["seed"])
    with suppress(OSError):  # forgets the peak so far, where the system lets one
        Path("/proc/self/clear_refs").write_text("5")
    before = resident_bytes()
    for _ in rule.block_grads(pretrained.net, batch, state, rng):
        pass
    print(max(0, resident_bytes("VmHWM") - before))


if __name__ == "__main__":
    main(sys.argv[1])
