"""Selected records, in the order of selection, as JSON lines, Parquet or Arrow."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from farpoint._files.arrow import pyarrow_for
from farpoint._json_lines import WHITE_SPACE, is_compressed, is_json_lines
from farpoint._json_values import finite
from farpoint._records._file import IndexArray, PlacedLines, RecordFile, temporary_file
from farpoint._records.convert import JsonTables
from farpoint._records.json_lines import JsonLinesFile
from farpoint._records.tables import TableFile

# Rows that are put in order at a time, and what makes a row group of Parquet or a record batch of Arrow.
_ROWS_AT_A_TIME = 1 << 10
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 26

# By name: integers or numbers, one a pick.
Added = Mapping[str, npt.NDArray[Any]]


class Picks:
    """Records that are picked, by file.

    Parameters
    ----------
    files : sequence of RecordFile
    counts : sequence of int
        How many records each has.
    indices : (k,) int64 array
        Numbers of records, of all files together, in the order of selection; each once.

    Attributes
    ----------
    rows : list of int64 array
        Of each file the numbers of its records that are picked, rising.
    rank : (k,) int64 array
        The place of each pick if they rise.
    starts : (len(files) + 1,) int64 array
        That of the first of each file, and the end.
    """

    def __init__(self, files: Sequence[RecordFile], counts: Sequence[int], indices: IndexArray) -> None:
        self.files = files
        rising = np.argsort(indices)
        self.rank = np.empty_like(rising)
        self.rank[rising] = np.arange(len(rising))
        bounds = np.cumsum([0, *counts], dtype=np.int64)
        self.starts = np.searchsorted(indices[rising], bounds)
        self.rows = [
            indices[rising[begin:end]] - bound
            for begin, end, bound in zip(self.starts[:-1], self.starts[1:], bounds, strict=False)
        ]

    def __len__(self) -> int:
        return len(self.rank)


def write_file(picks: Picks, path: Path, like: Path, added: Added, spill_folder: str) -> None:
    """Write to a file, in the format that the name of another, `like`, says."""
    if not is_json_lines(like):
        with _table_writer(path, like) as write:
            for table in _tables(picks, added, spill_folder):
                write(table)
        return
    with ExitStack() as stack:
        stream: Any = stack.enter_context(path.open("wb"))
        if is_compressed(like):
            import gzip

            # Without a name and a time: the same records are the same bytes.
            stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
        write_lines(picks, stream, added, spill_folder)


def write_lines(picks: Picks, stream: IO[bytes], added: Added, spill_folder: str) -> None:
    """Write JSON lines to a stream."""
    with _placed(picks, spill_folder) as placed:
        for line in _lines(picks, placed, added):
            stream.write(line)


@contextmanager
def _placed(picks: Picks, spill_folder: str) -> Iterator[list[PlacedLines]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(file.lines(rows, spill_folder)))
            for file, rows in zip(picks.files, picks.rows, strict=True)
        ]


def _lines(picks: Picks, placed: Sequence[PlacedLines], added: Added) -> Iterator[bytes]:
    """Return the lines in the order of selection, each ended."""
    owners = np.searchsorted(picks.starts, picks.rank, side="right") - 1
    for i, (owner, rank) in enumerate(zip(owners.tolist(), picks.rank.tolist(), strict=True)):
        line = placed[owner][rank - int(picks.starts[owner])]
        if added:
            line = with_fields(line, {name: values[i].item() for name, values in added.items()})
        yield line if line.endswith(b"\n") else line + b"\n"


def with_fields(line: bytes, fields: Mapping[str, int | float]) -> bytes:
    """Return the line of an object with more fields at its end; the rest stays as it is, byte by byte.

    Infinity, which is the radius of a first pick and which JSON does not have, is null.
    """
    object_ = line.rstrip(WHITE_SPACE)
    inside = object_[:-1].rstrip(WHITE_SPACE)
    text = ", ".join(
        f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(finite(value))}"
        for name, value in fields.items()
    )
    comma = b"" if inside.endswith(b"{") else b", "
    return inside + comma + text.encode("utf-8") + b"}" + line[len(object_) :]


def _tables(picks: Picks, added: Added, spill_folder: str) -> Iterator[Any]:
    """Return tables of one schema, in the order of selection; the first may be without rows."""
    tables = [file for file in picks.files if isinstance(file, TableFile)]
    if len(tables) == len(picks.files):
        yield from _rows_in_order(picks, tables, added, spill_folder)
        return
    if tables:
        lines = next(file for file in picks.files if isinstance(file, JsonLinesFile))
        raise ValueError(
            f"{tables[0].path} has a schema and {lines.path} has none: together they are written as .jsonl"
        )
    with _placed(picks, spill_folder) as placed:
        converted = JsonTables(lambda: _lines(picks, placed, {}))
        done = 0
        for table in (converted.schema.empty_table(), *converted):
            yield _with_columns(table, added, done)
            done += len(table)


def _rows_in_order(
    picks: Picks, files: Sequence[TableFile], added: Added, spill_folder: str
) -> Iterator[Any]:
    """Keep the picked rows in a temporary file as they come, and take them from there in their order."""
    import pyarrow as pa

    schema = _common_schema(files)
    with temporary_file(spill_folder) as file:
        with pa.ipc.new_stream(pa.PythonFile(file, "w"), schema) as out:
            for source, rows in zip(files, picks.rows, strict=True):
                for batch in source.batches(rows) if len(rows) else ():
                    out.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        file.flush()
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    batches = list(pa.ipc.open_stream(pa.py_buffer(content)))
    starts = np.cumsum([0, *map(len, batches)], dtype=np.int64)
    yield _with_columns(pa.Table.from_batches([], schema), added, 0)
    for begin in range(0, len(picks), _ROWS_AT_A_TIME):
        ranks = picks.rank[begin : begin + _ROWS_AT_A_TIME]
        owners = np.searchsorted(starts, ranks, side="right") - 1
        order = np.argsort(owners, kind="stable")
        pieces = [
            batches[owner].take(ranks[order][owners[order] == owner] - starts[owner])
            for owner in np.unique(owners)
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        table = pa.Table.from_batches(pieces, schema).combine_chunks().take(back)
        yield _with_columns(table, added, begin)


def _common_schema(files: Sequence[TableFile]) -> Any:
    first = files[0].schema()
    for file in files[1:]:
        other = file.schema()
        if not other.equals(first):
            raise ValueError(
                f"{file.path} has columns ({_described(other)}) that are not those of {files[0].path} "
                f"({_described(first)}): together they are written as .jsonl"
            )
    return first


def _described(schema: Any) -> str:
    return f"{', '.join(f'{field.name}: {field.type}' for field in schema):.200}"


def _with_columns(table: Any, added: Added, begin: int) -> Any:
    """Add columns to a table of the picks from the `begin`-th on."""
    import pyarrow as pa

    for name, values in added.items():
        table = table.append_column(name, pa.array(values[begin : begin + len(table)]))
    return table


@contextmanager
def _table_writer(path: Path, like: Path) -> Iterator[Any]:
    """Yield what writes tables of one schema, gathered into groups of many rows."""
    with pyarrow_for(path) as pa:
        import pyarrow.parquet as pq

        writer: Any = None
        waiting: list[Any] = []

        def open_for(schema: Any) -> Any:
            if like.suffix.lower() == ".parquet":
                return pq.ParquetWriter(str(path), schema)
            return pa.ipc.new_file(str(path), schema, options=pa.ipc.IpcWriteOptions(unify_dictionaries=True))

        def write() -> None:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
            waiting.clear()

        def take(table: Any) -> None:
            nonlocal writer
            writer = writer or open_for(table.schema)
            waiting.append(table)
            if (
                sum(map(len, waiting)) >= _GROUP_ROWS
                or sum(table.nbytes for table in waiting) >= _GROUP_BYTES
            ):
                write()

        try:
            yield take
            if waiting:
                write()
        finally:
            if writer is not None:
                writer.close()
