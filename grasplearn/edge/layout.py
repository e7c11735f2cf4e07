"""Which files an export and what goes with it consist of, and what they are called."""

from __future__ import annotations

FORMAT = 6
MANIFEST, WEIGHTS, MODULES = "manifest.json", "weights.safetensors", "modules.safetensors"
WEIGHTS_KIND, MODULES_KIND, SAMPLES_KIND = "edge weights", "edge modules", "edge samples"
PREDICT, IMPRINT, CHECK = "predict.onnx", "imprint.onnx", "check.onnx"
# Of weights that have a verifier.
VERIFY = "verify.onnx"
TEACH, TEACH_FIRST, CHAIN = "teach_step.onnx", "teach_first_step.onnx", "chain"
# Where the 8-bit forms of some of the graphs stand, under the same names.
EIGHT_BIT = "eight_bit"
SUPPORT, SUPPORT_CARD = "support", "support.json"
# Which cells of the demonstration the thing, or its surroundings, take up: OWN (h, w).
REFERENCE, OWN = "reference.safetensors", "own"
# A skill's, as ``grasplearn.skill`` has them; a test compares.
SKILL_KIND, SKILL_WEIGHTS, SKILL_DEMONSTRATION = "skill", "changed.safetensors", "demonstration"
DEMONSTRATION_FILES = ("color.png", "depth.png", "camera.json", "grasp.json")
# The head's weights that the graphs know.
HEAD = ("project", "kernels", "link", "spread", "spread_bias", "gather", "width", "window")


def step_file(number: int) -> str:
    return f"step_{number:03}.safetensors"


def probe_file(number: int) -> str:
    return f"probe_{number:03}.safetensors"


def chain_file(name: str) -> str:
    """Of one of the chain's graphs: NAME, or NAME.INDEX for a block's own."""
    return f"{CHAIN}/{name}.onnx"


def shared_file(file: str) -> str:
    """The float graph that a block's own form was made of: without the block's index."""
    name, *_, ending = file.split(".")
    return f"{name}.{ending}"
