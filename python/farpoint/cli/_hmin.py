"""farpoint hmin."""

from __future__ import annotations

import argparse
from typing import Any

import farpoint
from farpoint._files import load_matrix
from farpoint.cli import _common


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "hmin",
        help="minimum pairwise distance of all rows",
        description="Find the closest pair of rows, exactly: its distance is h_min of the whole matrix.",
    )
    _common.add_input(command)
    _common.add_computation(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Find and print."""
    with _common.naming(X=options.input):
        pair = farpoint.h_min(
            load_matrix(options.input, key=options.key, column=options.column),
            metric=options.metric,
            backend=options.backend,
            device=options.device,
            threads=options.threads,
            memory_limit=options.memory_limit,
            spill_folder=options.spill_folder,
        )
    if options.json:
        _common.print_json({"h_min": pair.value, "i": pair.i, "j": pair.j, "metric": options.metric})
    else:
        print(f"h_min {pair.value!r} ({options.metric}), between rows {pair.i} and {pair.j}")
