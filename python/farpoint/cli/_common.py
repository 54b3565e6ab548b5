"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farpoint._atomic import try_to_write
from farpoint._metrics import METRICS
from farpoint.backends import BACKENDS


def add_input(command: argparse.ArgumentParser) -> None:
    """Add the input file and how to find the matrix in it."""
    command.add_argument(
        "input", metavar="IN", help="matrix: .npy, .npz, .parquet, .arrow, .feather or .safetensors"
    )
    command.add_argument("--key", help="array of an .npz or .safetensors file")
    command.add_argument("--column", help="column of a .parquet, .arrow or .feather file")


def add_computation(command: argparse.ArgumentParser) -> None:
    """Add what says how to compute."""
    command.add_argument("--metric", default="euclidean", choices=list(METRICS), help="default: euclidean")
    command.add_argument("--backend", default="auto", choices=["auto", *BACKENDS], help="default: auto")
    command.add_argument("--device", type=int, metavar="N", help="index of the CUDA device (default: 0)")
    command.add_argument("--threads", type=int, help="default: all processors")
    command.add_argument("--json", action="store_true", help="JSON on standard output")


def check_folder(path: Path) -> None:
    """Raise before the work is done if `path` cannot be a folder to write to."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{path} cannot be written: {existing.name} is a file; give a folder")
    try_to_write(existing, path)


@contextmanager
def naming(**files: str | None) -> Iterator[None]:
    """Make errors about an argument of the public functions name the file that it came from."""
    try:
        yield
    except (TypeError, ValueError) as error:
        message = str(error)
        for name, file in files.items():
            if file is not None and re.match(rf"{name}\b", message):
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(file + message[len(name) :]) from error
        raise


def print_json(record: dict[str, Any]) -> None:
    """Print one record; infinities were replaced by null before."""
    print(json.dumps(record, allow_nan=False))
