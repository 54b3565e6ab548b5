"""Options that several commands share."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farpoint._atomic import check_writable, try_to_write
from farpoint._files import open_files
from farpoint._json_values import finite
from farpoint._metrics import METRICS
from farpoint._parts import PartedMatrix
from farpoint._progress import TimeLeft
from farpoint.backends import BACKENDS

_SECONDS_BETWEEN_LINES = 0.25


def add_input(command: argparse.ArgumentParser) -> None:
    """Add the input files and how to find the matrix in them."""
    command.add_argument(
        "input",
        metavar="IN",
        nargs="+",
        help="matrix: .npy, .npz, .parquet, .arrow, .feather, .jsonl, .safetensors or Zarr; several files, "
        "patterns and folders are one matrix, sorted by name within each pattern and folder",
    )
    command.add_argument("--key", help="array of .npz, .safetensors and Zarr")
    command.add_argument("--column", help="column of .parquet, .arrow and .feather, field of .jsonl")


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
    command.add_argument(
        "--json",
        action="store_true",
        help="JSON on standard output; progress and log as JSON lines on standard error",
    )
    command.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="log what happens to standard error; -vv: in detail",
    )


def computation(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `add_computation` asked for, as arguments of the public functions."""
    names = ("metric", "backend", "device", "threads", "memory_limit", "spill_folder")
    return {name: getattr(options, name) for name in names}


def add_output(command: argparse.ArgumentParser, about: str) -> None:
    """Add where the result goes, and whether anything is said on the way."""
    command.add_argument("-o", "--output", metavar="OUT", help=f"{about}; - for standard output")
    command.add_argument("--quiet", action="store_true", help="no progress, no summary")


def output_path(options: argparse.Namespace, suffixes: Collection[str]) -> Path | None:
    """Return the file that the result goes to, which can be written; None: standard output."""
    if options.output in (None, "-"):
        return None
    output = Path(options.output)
    check_suffix(output, suffixes)
    check_writable(output)
    return output


def check_suffix(path: Path, suffixes: Collection[str]) -> None:
    """Raise unless a file to write has one of the suffixes."""
    if not path.name.lower().endswith(tuple(suffixes)):
        known = ", ".join(suffixes)
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}; the known ones are {known}")


@contextmanager
def progress(options: argparse.Namespace, total_is_known: bool) -> Iterator[JsonProgress | bool]:
    """Yield what to report to: JSON lines, a bar where somebody sees it, nothing."""
    if options.quiet:
        yield False
    elif options.json:
        lines = JsonProgress(total_is_known)
        yield lines
        lines.finish()
    else:
        yield sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None


@contextmanager
def log_on_standard_error(verbosity: int, as_json: bool) -> Iterator[None]:
    """Show the package's log: nothing, what happens, details."""
    if verbosity == 0:
        yield
        return
    logger = logging.getLogger("farpoint")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else logging.Formatter("%(name)s: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {"event": "log", "level": record.levelname.lower(), "message": record.getMessage()}
        return json.dumps({**event, "logger": record.name})


class JsonProgress:
    """Progress as JSON lines on standard error: an argument for `farpoint.select`.

    Parameters
    ----------
    total_is_known : bool
        False: there are as many picks as a minimum distance allows.
    """

    def __init__(self, total_is_known: bool) -> None:
        self._total_is_known = total_is_known
        self._began = time.perf_counter()
        self._left = TimeLeft()
        self._next_line = 0.0
        self._pending: dict[str, Any] | None = None

    def __call__(self, done: int, total: int, radius: float) -> None:
        """Take a report."""
        seconds = time.perf_counter() - self._began
        self._left.reached(done, seconds)
        left = self._left.until(total) if self._total_is_known else None
        self._pending = {
            "event": "progress",
            "done": done,
            "total": total if self._total_is_known else None,
            "radius": finite(radius),
            "seconds": round(seconds, 3),
            "seconds_left": None if left is None else round(left, 3),
        }
        if seconds >= self._next_line:
            self._next_line = seconds + _SECONDS_BETWEEN_LINES
            self.finish()

    def finish(self) -> None:
        """Print the last report, if it was held back."""
        if self._pending is not None:
            print(json.dumps(self._pending), file=sys.stderr, flush=True)
            self._pending = None


def check_folder(path: Path) -> None:
    """Raise before the work is done if `path` cannot be a folder to write to."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{path} cannot be written: {existing.name} is a file; give a folder")
    try_to_write(existing, path)


def print_json(record: dict[str, Any]) -> None:
    """Print one record; infinities were replaced by null before."""
    print(json.dumps(record, allow_nan=False))
