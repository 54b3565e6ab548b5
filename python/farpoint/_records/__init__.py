"""Records of training data in files, one a row of a matrix of embeddings: checked, counted, picked.

Files are read in passes, some records at a time; what is kept of them is where the picked ones lie. A format
is a module here with a class that does what RecordFile says.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from farpoint._atomic import check_writable
from farpoint._files import is_source, name_of
from farpoint._files.paths import Source, expand
from farpoint._json_lines import SUFFIXES as _JSON_LINES
from farpoint._json_lines import is_json_lines
from farpoint._records._file import IndexArray, RecordFile
from farpoint._records._writing import Added, Picks, write_file, write_lines
from farpoint._records.json_lines import JsonLinesFile
from farpoint._records.tables import TableFile
from farpoint._records.text import TextTemplate

__all__ = [
    "SUFFIXES",
    "Records",
    "TextTemplate",
    "check_apart",
    "check_output",
    "holds_records",
    "open_records",
]

_log = logging.getLogger("farpoint")

_TABLES = (".parquet", ".arrow", ".feather")
# What records are read from, and written to.
SUFFIXES = (*_JSON_LINES, *_TABLES)


def holds_records(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it holds records."""
    return Path(path).name.lower().endswith(SUFFIXES)


def check_output(path: Path, sources: Sequence[str | os.PathLike[str]]) -> None:
    """Raise before the work is done if records cannot be written to `path`, or if it is a file that is read.

    Raises
    ------
    ValueError
        With what would be right.
    """
    if not holds_records(path):
        raise ValueError(
            f"{path}: unknown suffix {path.suffix!r}; records are written as {', '.join(SUFFIXES)}"
        )
    check_writable(path)
    check_apart(path, sources)


def check_apart(path: Path, sources: Sequence[str | os.PathLike[str]]) -> None:
    """Raise if `path` is one of other files that the same call reads or writes."""
    for other in map(Path, sources):
        same = path.exists() and other.exists() and path.samefile(other)
        if same or path.absolute() == other.absolute():
            raise ValueError(f"{path} is a file that is read, or written twice; give another file to write")


def open_records(source: Source) -> Records:
    """Return the records of a file, or of several files one after the other, named as matrices are.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        There is no such file, or it is of no known format.
    """
    if not is_source(source):
        raise TypeError(f"records must be a path or a list of paths, not {source!r:.80}")
    files: list[RecordFile] = []
    for path in expand(source, SUFFIXES):
        if is_json_lines(path):
            files.append(JsonLinesFile(path))
        elif holds_records(path):
            files.append(TableFile(path))
        else:
            raise ValueError(f"{path} holds no records by its suffix; those with records are {_known(path)}")
    return Records(files, name_of(source))


def _known(path: Path) -> str:
    advice = {
        ".json": "; of a JSON array jq makes lines: jq -c '.[]'",
        ".csv": "; pandas or polars convert it",
        ".tsv": "; pandas or polars convert it",
    }
    return ", ".join(SUFFIXES) + advice.get(path.suffix.lower(), "")


class Records:
    """The records of files, one after the other.

    Parameters
    ----------
    files : sequence of RecordFile
    name : str
        What to call all of them.

    Attributes
    ----------
    counts : list of int
        How many each file has, after `scan`.
    paths : list of path-like
        Of the files.
    """

    def __init__(self, files: Sequence[RecordFile], name: str) -> None:
        self.files = files
        self.name = name
        self.counts: list[int] = []
        self.paths: list[str | os.PathLike[str]] = [file.path for file in files]
        self._states: list[tuple[int, int]] = []

    def scan(self, *, text: TextTemplate | None = None, added: Sequence[str] = ()) -> int:
        """Read all of them once, and return how many there are.

        Parameters
        ----------
        text : TextTemplate, optional
            A text that each must have.
        added : sequence of str
            Names that fields are to be added by: no record may have such a one.

        Raises
        ------
        ValueError
            A record is damaged or lacks a field, with its file and line or row; or there are none.
        """
        if len(set(added)) < len(added):
            raise ValueError(f"{added[0]!r} is the name of two columns to add; choose another for one")
        self._states = [_state(file.path) for file in self.files]
        self.counts = [file.scan(text, added) for file in self.files]
        self._check_unchanged()
        if not len(self):
            raise ValueError(f"{self.name} holds no records")
        _log.info("%s: %d records", self.name, len(self))
        return len(self)

    def __len__(self) -> int:
        return sum(self.counts)

    def texts(self, text: TextTemplate) -> Iterator[str]:
        """Return the text of each record, in order."""
        for file in self.files:
            yield from file.texts(text)
        self._check_unchanged()

    def check_rows(self, rows: int, name: str) -> None:
        """Raise unless there are as many records as embeddings.

        Raises
        ------
        ValueError
            With both numbers.
        """
        if rows != len(self):
            raise ValueError(
                f"{self.name} has {len(self):,} records and {name} has {rows:,} rows: there must be an "
                "embedding for each record, in the same order"
            )

    def write(
        self, indices: IndexArray, path: Path, like: Path, added: Added | None = None, spill_folder: str = ""
    ) -> None:
        """Write records to a file, in the order of `indices` and the format that the name `like` says."""
        write_file(self._picks(indices), path, like, added or {}, spill_folder)
        self._check_unchanged()

    def write_lines(
        self, indices: IndexArray, stream: IO[bytes], added: Added | None = None, spill_folder: str = ""
    ) -> None:
        """Write records to a stream, as JSON lines."""
        write_lines(self._picks(indices), stream, added or {}, spill_folder)

    def _picks(self, indices: IndexArray) -> Picks:
        self._check_unchanged()
        return Picks(self.files, self.counts, indices)

    def _check_unchanged(self) -> None:
        for file, state in zip(self.files, self._states, strict=True):
            if _state(file.path) != state:
                raise ValueError(f"{file.path} was changed while it was used: start again")


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
