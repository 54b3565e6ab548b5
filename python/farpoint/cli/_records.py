"""Records of training data on the command line: files of them in, the selected ones out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint._atomic import atomic_write, check_writable
from farpoint._files import open_files
from farpoint._json_lines import is_json_lines
from farpoint._parts import PartedMatrix
from farpoint.cli import _common, _embed


def add(command: argparse.ArgumentParser) -> None:
    """Add where the embeddings of records come from."""
    group = command.add_argument_group(
        "records",
        "IN are records (.jsonl, .ndjson, both also with .gz, .parquet, .arrow or .feather) with "
        "--embeddings or --embed, if OUT has such a suffix, and where they are JSON lines. An OUT of such a "
        "suffix gets those that are selected, in the order of selection; -o - writes them to standard "
        "output, as JSON lines.",
    )
    group.add_argument(
        "--embeddings",
        metavar="FILE",
        action="append",
        help="the matrix with a row for each record, in files as IN; may be given several times (default: "
        "--column of the records)",
    )
    _embed.add(group)


def given(options: argparse.Namespace) -> bool:
    """Whether IN are records, and not a matrix alone."""
    return (
        options.embeddings is not None
        or options.embed is not None
        or (options.output is not None and _is_for_records(Path(options.output)))
        or any(is_json_lines(Path(name)) for name in options.input)
    )


def output_path(options: argparse.Namespace, suffixes: Collection[str]) -> Path | None:
    """Return the file that the result goes to, or the selected records; None: standard output."""
    from farpoint._records import SUFFIXES

    if options.json and options.output == "-" and given(options):
        raise ValueError("--json and -o - both write to standard output; name a file after -o")
    return _common.output_path(options, [*suffixes, *SUFFIXES] if given(options) else suffixes)


def _is_for_records(path: Path) -> bool:
    from farpoint._records import holds_records

    return holds_records(path)


class Input:
    """What a command works on: a matrix, and the records that it has the embeddings of, if there are any.

    Parameters
    ----------
    options : argparse.Namespace
    output : Path, optional
        What `output_path` returned.
    added : sequence of str
        Names of columns that the records will get.
    beside : sequence of str or None
        Other files that will be written.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        output: Path | None,
        *,
        added: Sequence[str] = (),
        beside: Sequence[str | None] = (),
    ) -> None:
        _embed.check(options)
        self._options = options
        self._output = output
        self._embedding: _embed.Embedding | None = None
        self._records: Any = None
        self._targets = [] if output is None else [output]
        self._targets += [Path(name) for name in (*beside, options.save_embeddings) if name is not None]
        for path in self._targets:
            check_writable(path)
        if not given(options):
            if added:
                raise ValueError(f"column {added[0]!r} can be added to records alone, and IN is a matrix")
            return
        from farpoint._records import open_records

        self._records = open_records(options.input)
        self._check_targets(self._records.paths)
        if options.embed is not None:
            self._embedding = _embed.Embedding(options)
        self._records.scan(text=self._embedding and self._embedding.text, added=added)

    def _check_targets(self, sources: Sequence[str | os.PathLike[str]]) -> None:
        """Raise if a file would be written that is read, or another that is written."""
        from farpoint._records import check_apart

        for i, path in enumerate(self._targets):
            check_apart(path, [*sources, *self._targets[:i]])

    @property
    def matrix_source(self) -> list[str | os.PathLike[str]]:
        """The files that the matrix is in, where it is in files."""
        found: list[str | os.PathLike[str]] = self._options.embeddings or self._options.input
        # Of a folder those with records, in their order.
        return found if self._records is None or self._options.embeddings else self._records.paths

    @property
    def name(self) -> str | None:
        """What to call the records; None where there are none."""
        return None if self._records is None else str(self._records.name)

    def matrix(self) -> PartedMatrix:
        """Return the matrix, with a row for each record."""
        options = self._options
        if self._embedding is not None:
            matrix = self._embedding.of(self._records)
        else:
            matrix = open_files(
                self.matrix_source,
                key=options.key,
                column=options.column,
                spill_folder=options.spill_folder,
                in_memory=options.memory_limit is None,
            )
            if self._records is not None:
                self._check_targets([name for name, _ in matrix.files])
        self.check_rows(len(matrix), matrix.name)
        return matrix

    def check_rows(self, rows: int, name: str) -> None:
        """Raise unless a matrix has a row for each record."""
        if self._records is not None:
            self._records.check_rows(rows, name)

    @property
    def writes_records(self) -> bool:
        """Whether records are what goes to the output, and not the result."""
        if self._records is None:
            return False
        return self._options.output == "-" or (self._output is not None and _is_for_records(self._output))

    @contextmanager
    def selected_are_written(
        self, indices: npt.NDArray[np.int64], added: dict[str, npt.NDArray[Any]] | None = None
    ) -> Iterator[None]:
        """Write the records with these numbers, where they are wanted, if what is done meanwhile succeeds."""
        spill_folder = self._options.spill_folder or ""
        if not self.writes_records:
            yield
        elif self._output is None:
            yield
            self._records.write_lines(indices, sys.stdout.buffer, added, spill_folder)
        else:
            with atomic_write(self._output) as partial:
                self._records.write(indices, partial, self._output, added, spill_folder)
                yield
