"""The command line: reads the flags, runs the command, and says in one sentence what went wrong.

A command is a dataclass in ``config`` and, in ``commands``, a module of its name with a ``run``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import signal
import sys
from importlib.metadata import version

import tyro

from grasplearn.config import COMMANDS
from grasplearn.config_common import Common
from grasplearn.errors import GraspLearnError, refusal

BAD_INPUT, INTERRUPTED = 2, 130


def main() -> None:
    """The console script: exits with 0 (done), 2 (bad input) or 130 (Ctrl-C or SIGTERM)."""
    # What ends a service, a container or a batch job leaves no worker behind and tears no file.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    try:
        if arguments == ["--version"]:
            print(f"grasplearn {version('grasplearn')}")
            return 0
        options = parse(arguments)
        name = next(n for n, kind in COMMANDS.items() if kind is type(options))
        importlib.import_module(f"grasplearn.commands.{name.replace('-', '_')}").run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        # A second, impatient signal must not tear what is being said and tidied now.
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)
        return _say(str(interrupt) or "stopped", INTERRUPTED)
    except SystemExit:
        return 0  # the help was printed, or rich found that nobody reads any more
    except BrokenPipeError:
        # The reader, as in "grasplearn objects | head", has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except GraspLearnError as error:
        return _say(str(error), BAD_INPUT)
    except OSError as error:
        return _say(refusal(error, error.filename or "a file"), BAD_INPUT)
    return 0


def parse(arguments: list[str]) -> Common:
    """Reads the flags into a command's options; prints the help and exits where that is asked for.

    Raises:
        GraspLearnError: there is no such command or flag, or a value cannot be read.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options: Common = tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="grasplearn",
                description="Teach a robot a new grasp from one demonstration.\n\n"
                "Example: grasplearn demo",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:
            raise
        command = next((a for a in arguments if a in COMMANDS), "")
        raise GraspLearnError(
            f"{_gist(said.getvalue())}; see: {' '.join(['grasplearn', command, '--help'])}"
        ) from end
    return options


def _gist(framed: str) -> str:
    """The first paragraph inside tyro's frame, and the flag that it thinks was meant."""
    lines = [line.strip("│ ") for line in framed.splitlines() if not line.startswith(("╭", "╰"))]
    text = "\n".join(lines)
    first = " ".join(re.split(r"\n─+", text)[0].split())
    meant = re.search(r"Perhaps you meant:\n\s*(--[\w-]+)", text)
    return first.rstrip(".") + (f"; did you mean {meant[1]}?" if meant else "")


def _say(sentence: str, code: int) -> int:
    print(f"grasplearn: {sentence}", file=sys.stderr)
    return code
