"""farpoint hmin."""

from __future__ import annotations

import argparse
from typing import Any

import farpoint
from farpoint._parts import PartedMatrix
from farpoint.cli import _common


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "hmin",
        help="minimum pairwise distance of all rows",
        description="Find the closest pair of rows, exactly: its distance is h_min of the whole matrix.",
    )
    _common.add_input(command)
    command.add_argument(
        "--full",
        action="store_true",
        help="a summary of how evenly spread the rows are, beside uniform points",
    )
    _common.add_computation(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Find and print."""
    matrix = _common.open_input(options)
    if options.full:
        _run_full(options, matrix)
        return
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


def _run_full(options: argparse.Namespace, matrix: PartedMatrix) -> None:
    """Print the summary of `farpoint.uniformity`."""
    computation = _common.computation(options)
    if computation.pop("metric") != "euclidean":
        raise ValueError("--full has euclidean distances alone; for cosine distances give normalised rows")
    if computation.pop("device") is not None:
        raise ValueError("--device has no meaning with --full: its samples are computed on processors")
    found = farpoint.uniformity(matrix, **computation)
    if options.json:
        _common.print_json(found.to_dict())
    else:
        print(found)
