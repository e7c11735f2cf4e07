"""What each method does, in a sentence, for tables that people read."""

NOTES = {
    "static-sgm": "taught feed-forward: the demonstration is imprinted; where that is not enough, "
    "and refining helps, every block is fine-tuned on the way forward, by gradients that small "
    "frozen modules guess",
    "static-sgm-one-pass": "the same in a single pass a step, told the errors of a sample's last "
    "visit",
    "backprop": "imprinted, then fine-tuned by backpropagation through the whole net",
    "backprop-checkpointed": "the same gradients with less memory and more time",
    "dni": "taught feed-forward, by modules that go on learning to guess gradients meanwhile",
    "cdni": "the same with modules that begin with nothing and are told the target",
    "meprop": "backpropagation that passes on the largest part of each gradient alone",
    "forward-gradient": "taught forward, by exact slopes along random directions",
    "spsa": "taught by comparing forward passes of slightly moved weights",
    "fixed-point": "the same in integers alone, 16-bit weights and 8-bit activations",
    "last-block": "imprinted, then fine-tuned in its head and last block alone",
    "imprint": "the demonstration becomes the net's last kernels; nothing is fine-tuned",
    "imprint-unverified": "the same without a second look at the best places",
    "untaught": "the same net before it saw the demonstration",
    "scripted": "knows where everything lies and repeats the shown grasp: the ceiling",
    "template": "looks for the shown spot in the picture, at every place and angle",
    "template-depth": "the same by shape alone, blind to colours",
    "depth-heuristic": "grasps the largest thing across its narrow side, whatever was shown",
    "random": "grasps any two edges that face each other, whatever was shown",
}

# What a step of teaching costs, in one line; docs/RULES.md has the figures.
COSTS = {
    "static-sgm": "3 forward passes a step and its modules; memory flat in depth",
    "static-sgm-one-pass": "2 forward passes a step and its modules; memory flat in depth",
    "backprop": "as much as 3 forward passes a step; memory linear in depth",
    "backprop-checkpointed": "as much as 4 forward passes a step; memory sqrt of depth",
    "dni": "3 forward passes, a pull-back and its modules a step; memory flat in depth",
    "cdni": "2 forward passes, a pull-back and its modules a step; memory flat in depth",
    "meprop": "as much as 3 forward passes a step; memory linear in depth",
    "forward-gradient": "2 forward passes a direction and 1 more a step; memory flat in depth",
    "spsa": "2 forward passes a direction and 1 more a step; memory flat in depth",
    "fixed-point": "2 forward passes a direction, in integers; memory flat in depth",
    "last-block": "1 forward pass and one block backwards a step; memory flat in depth",
    "imprint": "milliseconds, once; no steps, no more memory than predicting",
    "imprint-unverified": "milliseconds, once; no steps, no more memory than predicting",
    "untaught": "nothing: it is not taught at all",
}
