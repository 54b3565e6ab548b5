"""Records in the rows of Parquet, Arrow IPC and Feather files, read some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files._errors import errors_of
from farpoint._files.arrow import pyarrow_for
from farpoint._records._file import IndexArray, PlacedLines, temporary_file
from farpoint._records.convert import json_line
from farpoint._records.text import TextTemplate

# Rows that are decoded at a time: a record may be long.
_BATCH_ROWS = 1 << 10


class TableFile:
    """A file of one table; see RecordFile."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def schema(self) -> Any:
        """Return the schema, with what the file says besides (its metadata)."""
        with _table(self.path) as table:
            return table.schema

    def scan(self, text: TextTemplate | None, added: Sequence[str]) -> int:
        """Read the schema, and the columns that the text is made of."""
        with _table(self.path) as table:
            for name in added:
                if name in table.schema.names:
                    raise ValueError(f"has a column {name!r} already; choose another name")
            if text is not None:
                for _ in _texts(text, table):
                    pass
            return table.count()

    def texts(self, text: TextTemplate) -> Iterator[str]:
        """Read these columns once more."""
        with _table(self.path) as table:
            yield from _texts(text, table)

    def lines(self, rows: IndexArray, spill_folder: str) -> PlacedLines:
        """Write the rows to a temporary file."""
        lengths = np.empty(len(rows), dtype=np.int64)
        file = temporary_file(spill_folder)
        try:
            i = 0
            for batch in self.batches(rows):
                for record in batch.to_pylist():
                    try:
                        lengths[i] = file.write(json_line(record))
                    except ValueError as error:
                        raise ValueError(f"{self.path}: row {rows[i]} {error}") from None
                    i += 1
            return PlacedLines(file, np.cumsum(lengths) - lengths, lengths)
        except BaseException:
            file.close()
            raise

    def batches(self, rows: IndexArray) -> Iterator[Any]:
        """Take the rows out of what is read, which is the parts of the file that hold some."""
        taken = 0
        with _table(self.path) as table:
            for start, batch in table.batches(None, rows):
                last = int(np.searchsorted(rows, start + len(batch)))
                if last > taken:
                    yield batch.take(rows[taken:last] - start)
                    taken = last
            if taken < len(rows):
                raise ValueError("has fewer rows than when it was read before")


def _texts(text: TextTemplate, table: _Parquet | _Ipc) -> Iterator[str]:
    missing = [name for name in text.fields if name not in table.schema.names]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; there are {', '.join(table.schema.names)}")
    row = 0
    try:
        for _, batch in table.batches(text.fields):
            for record in batch.to_pylist():
                yield text.of(record)
                row += 1
    except ValueError as error:
        raise ValueError(f"row {row} {error}") from None


class _Parquet:
    """A Parquet file, of which row groups are read that hold wanted rows."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        self.schema = self._file.schema_arrow

    def count(self) -> int:
        return int(self._file.metadata.num_rows)

    def batches(self, columns: list[str] | None, rows: IndexArray | None = None) -> Iterator[tuple[int, Any]]:
        """Return pieces, each with the number of its first row: all, or those that hold some of `rows`."""
        end = 0
        for group in range(self._file.num_row_groups):
            start, end = end, end + self._file.metadata.row_group(group).num_rows
            if rows is not None and np.searchsorted(rows, start) == np.searchsorted(rows, end):
                continue
            for batch in self._file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                batch.validate(full=True)
                yield start, batch
                start += len(batch)


class _Ipc:
    """An Arrow IPC file or stream, mapped."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            self._whole = source.read_buffer()
        self.schema = self._open().schema

    def _open(self) -> Any:
        import pyarrow as pa

        try:
            return pa.ipc.open_file(self._whole)
        except pa.ArrowInvalid:
            return pa.ipc.open_stream(self._whole)

    def _all(self) -> Iterator[Any]:
        reader = self._open()
        if hasattr(reader, "get_batch"):
            return map(reader.get_batch, range(reader.num_record_batches))
        return iter(reader)

    def count(self) -> int:
        return sum(map(len, self._all()))

    def batches(self, columns: list[str] | None, rows: IndexArray | None = None) -> Iterator[tuple[int, Any]]:
        """Return pieces, each with the number of its first row: all, or those that hold some of `rows`."""
        end = 0
        for batch in self._all():
            start, end = end, end + len(batch)
            if rows is not None and np.searchsorted(rows, start) == np.searchsorted(rows, end):
                continue
            chosen = batch if columns is None else batch.select(columns)
            chosen.validate(full=True)
            for begin in range(0, len(batch), _BATCH_ROWS):
                yield start + begin, chosen.slice(begin, _BATCH_ROWS)


@contextmanager
def _table(path: Path) -> Iterator[_Parquet | _Ipc]:
    with errors_of(path), pyarrow_for(path):
        table = _Parquet(path) if path.suffix.lower() == ".parquet" else _Ipc(path)
        _check_names(table.schema)
        if not len(table.schema):
            raise ValueError("has no columns")
        yield table


def _check_names(fields: Iterable[Any]) -> None:
    """Raise if a name is not UTF-8, which Arrow sees only where it is used."""
    for field in fields:
        try:
            field.name  # noqa: B018 - it is decoded here
        except UnicodeDecodeError:
            raise ValueError("is damaged: the name of a column is not UTF-8") from None
        _check_names(field.type.field(i) for i in range(field.type.num_fields))
