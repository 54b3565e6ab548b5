"""farpoint report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import farpoint
from farpoint import reporting
from farpoint.cli import _common
from farpoint.selection import Selection

_DEFAULT_OUTPUT = "report.html"


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "report",
        help="a page that shows a selection",
        description="Write one HTML page about a saved selection: h_min and its bound, radii, and with the "
        "matrix also nearest neighbours, a projection, nearest pairs and clusters. The page loads nothing "
        "and runs no script.",
    )
    command.add_argument("selection", metavar="SELECTION", help="what farpoint select wrote: .npz")
    command.add_argument(
        "input",
        metavar="X",
        nargs="*",
        help="the matrix that it was made from, as for farpoint select; without it the page shows less",
    )
    command.add_argument("--key", help="array of .npz, .safetensors and Zarr")
    command.add_argument("--column", help="column of .parquet, .arrow and .feather")
    command.add_argument(
        "--texts",
        metavar="FILE",
        help="what each row stands for: records with --text, or a text a line (.txt, .txt.gz)",
    )
    command.add_argument(
        "--text", metavar="FIELD", help="field of the records that is the text, or a template of several"
    )
    _common.add_output(command, f".html (default: {_DEFAULT_OUTPUT}, or none with --json)")
    command.add_argument("--title", default=reporting.TITLE, help=f"default: {reporting.TITLE}")
    command.add_argument(
        "--sample",
        type=int,
        default=4000,
        metavar="N",
        help="rows of X that are compared with all others (default: 4000)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="for the sample and the random subset (default: 0)"
    )
    command.add_argument("--threads", type=int, help="default: all processors")
    command.add_argument(
        "--json",
        action="store_true",
        help="what the page shows as JSON on standard output, progress as JSON lines",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Make the page and write it."""
    to_standard_output = options.output == "-"
    if to_standard_output and options.json:
        raise ValueError("--json and -o - both write to standard output; give a file to -o")
    wants_page = options.output is not None or not options.json
    output = None
    if wants_page and not to_standard_output:
        options.output = options.output or _DEFAULT_OUTPUT
        output = _common.output_path(options, (".html", ".htm"))
    if wants_page:
        reporting.require_libraries("a report", "report", "matplotlib", "jinja2")
    selection = Selection.load(options.selection)
    texts = None
    if options.texts is not None:
        from farpoint.reporting.texts import read_texts

        if not options.input:
            raise ValueError("--texts is of rows that are found in X: give X too")
        texts = read_texts(Path(options.texts), options.text)
    elif options.text is not None:
        raise ValueError("--text has no meaning without --texts")
    X = None
    if options.input:
        X = farpoint.open_matrix(options.input, key=options.key, column=options.column)
    elif options.key is not None or options.column is not None:
        raise ValueError(f"--{'key' if options.key is not None else 'column'} has no meaning without X")
    arguments: dict[str, Any] = {name: getattr(options, name) for name in ("sample", "seed", "threads")}
    with _progress(options) as progress:
        if not wants_page:
            from farpoint.reporting.collecting import collect

            _common.print_json(collect(selection, X, progress=progress, **arguments).record())
            return
        made = farpoint.report(selection, X, texts=texts, title=options.title, progress=progress, **arguments)
    if output is None:
        sys.stdout.buffer.write(reporting.encoded(made.html))
        return
    made.save(output)
    if options.json:
        _common.print_json(made.facts.record())
    elif not options.quiet:
        print(f"{output}: {len(selection):,} picks, h_min {selection.h_min:.6g}", file=sys.stderr)


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield what to report stages to: JSON lines, a line where somebody sees it, nothing."""
    if options.quiet:
        yield None
    elif options.json:
        yield _json_line
    elif sys.stderr.isatty():
        try:
            yield _terminal_line
        finally:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
    else:
        yield None


def _json_line(done: int, total: int, what: str) -> None:
    event = {"event": "progress", "done": done, "total": total, "stage": what}
    print(json.dumps(event), file=sys.stderr, flush=True)


def _terminal_line(done: int, total: int, what: str) -> None:
    # Over the line before.
    if done < total:
        print(f"\r\033[Kfarpoint: {what} ({done + 1} of {total})", end="", file=sys.stderr, flush=True)
