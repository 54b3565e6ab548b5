"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

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
    command.add_argument("--threads", type=int, help="default: all processors")
    command.add_argument("--json", action="store_true", help="JSON on standard output")


def check_writable(path: Path) -> None:
    """Raise before the work is done, not after it."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file to write")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {folder}")


def print_json(record: dict[str, Any]) -> None:
    """Print one record; infinities were replaced by null before."""
    print(json.dumps(record, allow_nan=False))
