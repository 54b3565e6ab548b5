"""farpoint hmin."""

from __future__ import annotations

import argparse
from typing import Any

import farpoint
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
    matrix = _common.open_input(options)
    pair = farpoint.h_min(matrix, **_common.computation(options))
    if options.json:
        record = {"h_min": pair.value, "i": pair.i, "j": pair.j, "metric": options.metric}
        if len(matrix.files) > 1:
            record["files"], record["rows"] = zip(*map(matrix.locate, (pair.i, pair.j)), strict=True)
        _common.print_json(record)
    elif len(matrix.files) > 1:
        where = " and ".join(map(matrix.describe, (pair.i, pair.j)))
        print(f"h_min {pair.value!r} ({options.metric}), between rows {pair.i} and {pair.j}: {where}")
    else:
        print(f"h_min {pair.value!r} ({options.metric}), between rows {pair.i} and {pair.j}")
