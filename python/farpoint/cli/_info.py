"""farpoint info."""

from __future__ import annotations

import argparse
from typing import Any

from farpoint._config import config, format_config
from farpoint.cli import _common


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "info",
        help="what is installed here",
        description="Show version, backends with their SIMD level or why they are missing, and threads.",
    )
    command.add_argument("--json", action="store_true", help="JSON on standard output")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print."""
    found = config()
    if options.json:
        _common.print_json(found)
    else:
        print("\n".join(format_config(found)))
