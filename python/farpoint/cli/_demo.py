"""farpoint demo."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from farpoint.cli import _common


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "demo",
        help="select from real embeddings that come with the package",
        description="Select from sentence embeddings of dictionary entries, and compare with random subsets.",
    )
    command.add_argument("-k", type=int, default=200, help="how many entries (default: 200)")
    command.add_argument(
        "-o",
        "--output",
        default="farpoint-demo",
        metavar="DIR",
        help="folder to write (default: farpoint-demo)",
    )
    command.add_argument("--json", action="store_true", help="JSON on standard output")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the demo and print what it found."""
    # Imported here: the demo is the only command that reads its data.
    from farpoint import demo

    _common.check_folder(Path(options.output))
    result = demo.run(options.k, Path(options.output))
    if options.json:
        _common.print_json(result.record())
    else:
        print("\n".join(result.lines()))
