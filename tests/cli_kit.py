"""The program in a process of its own."""

from __future__ import annotations

import sys


def command(*arguments: object) -> list[str]:
    """Returns what starts it, for ``subprocess``."""
    # A shell starts what runs in its background with Ctrl-C switched off; a terminal does not.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from grasplearn.cli import main; main()"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]
