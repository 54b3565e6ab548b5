"""The command line: farpoint select | dedup | hmin | report | info | demo.

Exit status: 0 done; 2 bad input, with one line on standard error; 130 interrupted, by SIGTERM too. A command
that fails writes nothing but its checkpoint, and the embeddings that it was told to keep.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from farpoint._config import version
from farpoint._signals import sigterm_interrupts
from farpoint.cli import _dedup, _demo, _hmin, _info, _report, _select
from farpoint.cli._common import log_on_standard_error

_COMMANDS = (_select, _dedup, _hmin, _report, _info, _demo)


class _Parser(argparse.ArgumentParser):
    """One line for a mistake, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"farpoint: error: {message} (farpoint --help shows how)\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog="farpoint",
        description="Select the most evenly spread rows of a matrix of embeddings, exactly.",
    )
    top.add_argument("--version", action="version", version=f"farpoint {version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Default: the process's arguments.

    Returns
    -------
    int
        The exit status.
    """
    try:
        options = parser().parse_args(argv)
    except SystemExit as end:  # --help, --version and mistakes
        return end.code if isinstance(end.code, int) else 2
    try:
        with sigterm_interrupts(), log_on_standard_error(getattr(options, "verbose", 0), options.json):
            options.run(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("farpoint: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read us has enough (head). Python would complain again when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, RuntimeError, ImportError, OSError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"farpoint: error: {text}", file=sys.stderr)
        return 2
    return 0
