"""Columns of lists: Arrow IPC and Feather files, mapped where they are not compressed; Parquet, decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from farpoint._files._choice import choose
from farpoint._inputs import from_arrow
from farpoint._mapped import Rows
from farpoint._spool import Spool

# Rows of Parquet that are decoded at a time.
_BATCH_ROWS = 1 << 13
# How many bytes a byte of a file can become, if they are numbers that mean something.
_LARGEST_EXPANSION = 1000


def read_arrow(path: Path, column: str | None, spool: Spool) -> list[Rows]:
    """Return the rows of each record batch: where they lie, or decompressed into the spool."""
    with pyarrow_for(path) as pa:
        with pa.memory_map(str(path)) as source:
            whole = source.read_buffer()  # mapped as long as it, or an array over it, lives

        def lie_in_file(rows: Rows) -> bool:
            address = int(rows.__array_interface__["data"][0])
            return bool(whole.address <= address < whole.address + whole.size)

        # A reader of one column decompresses no other, but copies what need not be decompressed.
        first = next(_matrices(_columns(pa, whole, column, alone=False), str(path)), None)
        if first is None:
            return []
        columns = _columns(pa, whole, column, alone=not lie_in_file(first))
        found: list[Rows] = []
        for in_place, rows in groupby(_matrices(columns, str(path)), key=lie_in_file):
            keep = list if in_place else spool.gather
            found += keep(rows)
        return found


def _columns(pa: Any, whole: Any, wanted: str | None, *, alone: bool) -> Iterator[Any]:
    """Read a column of an IPC file or stream, a record batch at a time."""
    try:
        schema = pa.ipc.open_file(whole).schema
        is_file = True
    except pa.ArrowInvalid:
        schema = pa.ipc.open_stream(whole).schema
        is_file = False
    index = schema.names.index(_choose_column(pa, schema, wanted))
    options = pa.ipc.IpcReadOptions(included_fields=[index]) if alone else None
    place = 0 if alone else index
    if is_file:
        reader = pa.ipc.open_file(whole, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).column(place)
    else:
        for batch in pa.ipc.open_stream(whole, options=options):
            yield batch.column(place)


def read_parquet(path: Path, column: str | None, spool: Spool) -> list[Rows]:
    """Decode a column into the spool, some rows at a time."""
    with pyarrow_for(path) as pa:
        import pyarrow.parquet as pq

        # Mapped, and by row groups: otherwise pyarrow holds a group of encoded pages, or several groups.
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
            name = _choose_column(pa, file.schema_arrow, column)
            batches = (
                batch.column(0)
                for group in range(file.num_row_groups)
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[name])
            )
            return spool.gather(_matrices(batches, str(path)))


def _matrices(batches: Iterator[Any], name: str) -> Iterator[Rows]:
    """Return the rows of each batch that has some; all of the same number of columns."""
    columns: int | None = None
    first_row = 0
    for batch in batches:
        # Offsets, lengths and counts of nulls, which Arrow believes: damage would end the process.
        batch.validate(full=True)
        if len(batch):
            rows = from_arrow(batch, name, first_row)
            if columns not in (None, rows.shape[1]):
                raise ValueError(f"{name} has lists of different lengths ({columns} and {rows.shape[1]})")
            columns = rows.shape[1]
            yield rows
        first_row += len(batch)


@contextmanager
def pyarrow_for(path: Path) -> Iterator[Any]:
    """Return pyarrow to read a file with; take back what it holds of memory that it no longer uses."""
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise ImportError('this format needs pyarrow: pip install "farpoint[io]"') from None
    try:
        yield pa
    except pa.ArrowMemoryError as error:
        size = re.search(r"size (\d+)", str(error))
        if size and int(size[1]) > _LARGEST_EXPANSION * path.stat().st_size:
            raise ValueError(f"is damaged: it asks for {int(size[1]):,} bytes of memory") from error
        raise
    finally:
        pa.default_memory_pool().release_unused()


def _choose_column(pa: Any, schema: Any, wanted: str | None) -> str:
    if wanted is None:
        lists = [
            field.name
            for field in schema
            if isinstance(field.type, pa.FixedShapeTensorType)
            or pa.types.is_fixed_size_list(field.type)
            or pa.types.is_list(field.type)
            or pa.types.is_large_list(field.type)
        ]
        if not lists:
            raise ValueError(f"no column holds lists of numbers; the columns are {', '.join(schema.names)}")
        return choose(lists, None, "list column", "column")
    return choose(schema.names, wanted, "column", "column")
