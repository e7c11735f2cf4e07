"""``python -m grasplearn``: the same as the console script."""

from grasplearn.cli import main

main()
