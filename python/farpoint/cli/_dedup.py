"""farpoint dedup."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import farpoint
from farpoint._atomic import atomic_write
from farpoint.cli import _common, _records


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "dedup",
        help="drop near-duplicates",
        description="Drop rows that are nearer than a distance to a row that is kept, or the records that "
        "they are the embeddings of. Without -o, numbers of the rows that are kept go to standard output, "
        "one a line, rising.",
    )
    _common.add_input(command)
    _records.add(command)
    command.add_argument(
        "--distance",
        type=float,
        metavar="D",
        required=True,
        help="kept rows are at least so far apart; 0 drops exact duplicates alone",
    )
    _common.add_output(
        command,
        ".npy or .txt (the rows that are kept), .csv or .json (also the kept row nearest to each row, "
        "and its distance); or the records that are kept: see there",
    )
    _common.add_computation(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Drop and write."""
    output = _records.output_path(options, _WRITERS)
    given = _records.Input(options, output)
    with _common.progress(options, total_is_known=False) as progress:
        matrix = given.matrix()
        found = farpoint.deduplicate(
            matrix, options.distance, progress=progress, **_common.computation(options)
        )
    with given.selected_are_written(found.kept):
        if output is not None and not given.writes_records:
            _WRITERS[output.suffix.lower()](found, output)
    if options.json:
        _common.print_json(_record(found))
    elif output is None and not given.writes_records:
        sys.stdout.write(_lines(found))
    if not options.quiet and not options.json:
        print(
            f"{len(found):,} of {len(found.representatives):,} rows of {given.name or matrix.name} kept, "
            f"{len(found.dropped):,} dropped: within {found.distance:g} of a kept one ({found.metric}, "
            f"{found.info['backend']}, {found.info['seconds']:.2f} s)",
            file=sys.stderr,
        )


def _record(found: farpoint.Deduplication) -> dict[str, Any]:
    return {
        "distance": found.distance,
        "metric": found.metric,
        "kept": found.kept.tolist(),
        "representatives": found.representatives.tolist(),
        "distances": found.distances.tolist(),
        "info": found.info,
    }


def _lines(found: farpoint.Deduplication) -> str:
    return "".join(f"{row}\n" for row in found.kept.tolist())


def _write_npy(found: farpoint.Deduplication, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, found.kept)


def _write_txt(found: farpoint.Deduplication, path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text(_lines(found), encoding="utf-8")


def _write_csv(found: farpoint.Deduplication, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "representative", "distance"))
        rows = range(len(found.representatives))
        writer.writerows(zip(rows, found.representatives.tolist(), found.distances.tolist(), strict=True))


def _write_json(found: farpoint.Deduplication, path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(_record(found), allow_nan=False) + "\n", encoding="utf-8")


_WRITERS: dict[str, Callable[[farpoint.Deduplication, Path], None]] = {
    ".npy": _write_npy,
    ".csv": _write_csv,
    ".json": _write_json,
    ".txt": _write_txt,
}
