"""What the graphs call their inputs and outputs; all others are named after weights."""

from __future__ import annotations

# A picture (B, 5, S, S); its target: place (B, R, s, s) and width (B,); step size, step's number.
PICTURE, PLACE, WIDTH, RATE, STEP = "picture", "place", "width", "rate", "step"
# What a prediction and an imprint put out.
QUALITY, WIDTHS, KERNELS = "quality", "widths", "kernels"
# What a step puts out besides weights and states: the loss before, and how many parts' gradients
# were scaled and skipped.
LOSS, SCALED, SKIPPED = "loss", "scaled", "skipped"
# What the second look compares: normalised features and the log of their groups' size. What it is
# given of the proposals, and what it says of them.
FEATURES, LIVELINESS = "features", "liveliness"
AGREEMENTS, PIXELS, OVERVIEWS, SHOWN = "agreements", "pixels", "overviews", "shown"
LIKENESS, TOLD, SCORES, COMPARED = "likeness", "told", "scores", "compared"
# The error at the head's input that a step is told, and the one that it found.
ERROR, NEW_ERROR = "error", "new_error"
# An output that becomes the input of the rest of its name.
NEW = "new."
# Of the chain's small graphs: a block's input and output, and the graphs' own names.
H, OUT = "h", "out"
FORWARD, TEACH, STEM, BLOCK, LAST, HEAD = "forward", "teach", "stem", "block", "last", "head"
# What OUT was before an elementwise operator, VIA and a number: to be put into OUT's own memory.
VIA = "via."
# The graphs that a sample passes through in the head, in that order; LOOK and TURN once for some
# turns. TEACH_HEAD, the update, follows the last sample.
NORMALISE, LOOK, JUDGE, TURN, RETURN, SEND = (
    f"head_{name}" for name in ("normalise", "look", "judge", "turn", "return", "send")
)
# What they hand on: normalised features, their factors, and their gradient, NAME.GROUP for one
# group's (1, F / G, h, w); and the sums of the head's gradients, GRAD and the weight's name.
NORMAL, INVERSE, PULLED, GRAD = "normal", "inverse", "pulled", "grad."
