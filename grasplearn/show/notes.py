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
    "untaught": "the same net before it saw the demonstration",
    "scripted": "knows where everything lies and repeats the shown grasp: the ceiling",
    "template": "looks for the shown spot in the picture, at every place and angle",
    "template-depth": "the same by shape alone, blind to colours",
    "depth-heuristic": "grasps the largest thing across its narrow side, whatever was shown",
    "random": "grasps any two edges that face each other, whatever was shown",
}

# What a step of teaching costs, in one line: F is a forward pass. The same as in docs/RULES.md.
COSTS = {
    "static-sgm": "3 F a step and its modules; memory flat in depth",
    "static-sgm-one-pass": "2 F a step and its modules; memory flat in depth",
    "backprop": "3 F a step; memory grows linearly with depth",
    "backprop-checkpointed": "4 F a step; memory grows with the square root of depth",
    "dni": "3 F, one pull-back and its modules a step; memory flat in depth",
    "cdni": "2 F, one pull-back and its modules a step; memory flat in depth",
    "meprop": "3 F a step; memory grows linearly with depth",
    "forward-gradient": "2 F per direction and 1 F a step; memory flat in depth",
    "spsa": "2 F per direction and 1 F a step; memory flat in depth",
    "fixed-point": "2 F per direction a step, in integers; memory flat in depth",
    "last-block": "1 F and one block's backward pass a step; memory flat in depth",
    "imprint": "milliseconds, once; no more memory than prediction",
    "untaught": "nothing",
}
