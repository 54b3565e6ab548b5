"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from farpoint._files import open_files
from farpoint._metrics import METRICS
from farpoint._parts import PartedMatrix
from farpoint.backends import BACKENDS


def add_input(command: argparse.ArgumentParser) -> None:
    """Add the input files and how to find the matrix in them."""
    command.add_argument(
        "input",
        metavar="IN",
        nargs="+",
        help="matrix: .npy, .npz, .parquet, .arrow, .feather, .safetensors or Zarr; several files, patterns "
        "and folders are one matrix, sorted by name within each pattern and folder",
    )
    command.add_argument("--key", help="array of .npz, .safetensors and Zarr")
    command.add_argument("--column", help="column of .parquet, .arrow and .feather")


def open_input(options: argparse.Namespace) -> PartedMatrix:
    """Open what `add_input` asked for."""
    return open_files(
        options.input,
        key=options.key,
        column=options.column,
        spill_folder=options.spill_folder,
        in_memory=options.memory_limit is None,
    )


def add_computation(command: argparse.ArgumentParser) -> None:
    """Add what says how to compute."""
    command.add_argument("--metric", default="euclidean", choices=list(METRICS), help="default: euclidean")
    command.add_argument("--backend", default="auto", choices=["auto", *BACKENDS], help="default: auto")
    command.add_argument("--device", type=int, metavar="N", help="index of the CUDA device (default: 0)")
    command.add_argument("--threads", type=int, help="default: all processors")
    command.add_argument(
        "--memory-limit", metavar="SIZE", help='memory beyond the input, such as "4GiB" (default: no limit)'
    )
    command.add_argument(
        "--spill-folder", metavar="FOLDER", help="for temporary files (default: the system's)"
    )
    command.add_argument("--json", action="store_true", help="JSON on standard output")


def check_writable(path: Path) -> None:
    """Raise before the work is done, not after it."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file to write")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {folder}")
    _try_to_write(folder, path)


def check_folder(path: Path) -> None:
    """Raise before the work is done if `path` cannot be a folder to write to."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{path} cannot be written: {existing.name} is a file; give a folder")
    _try_to_write(existing, path)


def _try_to_write(folder: Path, path: Path) -> None:
    # Asking for permissions would not do: they say nothing of a file system that is read-only.
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from None


def print_json(record: dict[str, Any]) -> None:
    """Print one record; infinities were replaced by null before."""
    print(json.dumps(record, allow_nan=False))
