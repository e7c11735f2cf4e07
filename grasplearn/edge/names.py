"""What the graphs call their inputs and outputs; all others are named after weights."""

from __future__ import annotations

# A picture (B, 5, S, S); its target: place (B, R, s, s) and width (B,); step size, step's number.
PICTURE, PLACE, WIDTH, RATE, STEP = "picture", "place", "width", "rate", "step"
# What a prediction and an imprint put out.
QUALITY, WIDTHS, KERNELS = "quality", "widths", "kernels"
# What a step puts out besides weights and states: the loss before, and how many parts' gradients
# were scaled and skipped.
LOSS, SCALED, SKIPPED = "loss", "scaled", "skipped"
# The error at the head's input that a step is told, and the one that it found.
ERROR, NEW_ERROR = "error", "new_error"
# One sample's normalised features within the head, NORMAL.SAMPLE: an output of the chain's head, so
# that whoever runs it may lend it memory that lies idle meanwhile.
NORMAL = "normal"
# An output that becomes the input of the rest of its name.
NEW = "new."
# Of the chain's small graphs: a block's input and output, and the graphs' own names.
H, OUT = "h", "out"
FORWARD, TEACH, STEM, BLOCK = "forward", "teach", "stem", "block"
