"""Columns of lists: Arrow IPC and Feather files, mapped where they are not compressed; Parquet, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from farpoint._files._choice import choose
from farpoint._inputs import from_arrow
from farpoint._mapped import Rows
from farpoint._spool import Spool


def read_arrow(path: Path, column: str | None, spool: Spool) -> list[Rows]:
    """Return the rows of each record batch: where they lie, or decompressed into the spool."""
    pa = _pyarrow()
    with pa.memory_map(str(path)) as source:
        whole = source.read_buffer()  # mapped as long as it, or an array over it, lives
    batches = _record_batches(pa, whole, column)
    found: list[Rows] = []

    def is_mapped(rows: Rows) -> bool:
        address = int(rows.__array_interface__["data"][0])
        return bool(whole.address <= address < whole.address + whole.size)

    for mapped, rows in groupby(_matrices(batches, str(path)), key=is_mapped):
        keep = list if mapped else spool.gather
        found += keep(rows)
    return found


def _record_batches(pa: Any, whole: Any, column: str | None) -> Iterator[Any]:
    """Read the column, and no other, of an IPC file or stream, a batch at a time."""
    try:
        schema = pa.ipc.open_file(whole).schema
        is_file = True
    except pa.ArrowInvalid:
        schema = pa.ipc.open_stream(whole).schema
        is_file = False
    index = schema.names.index(_choose_column(pa, schema, column))
    options = pa.ipc.IpcReadOptions(included_fields=[index])
    if is_file:
        reader = pa.ipc.open_file(whole, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).column(0)
    else:
        for batch in pa.ipc.open_stream(whole, options=options):
            yield batch.column(0)


def read_parquet(path: Path, column: str | None, spool: Spool) -> list[Rows]:
    """Decode a column into the spool, some rows of a row group at a time."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        name = _choose_column(pa, file.schema_arrow, column)
        batches = (batch.column(0) for batch in file.iter_batches(columns=[name]))
        return spool.gather(_matrices(batches, str(path)))


def _matrices(batches: Iterator[Any], name: str) -> Iterator[Rows]:
    """Return the rows of each batch that has some; all of the same number of columns."""
    columns: int | None = None
    first_row = 0
    for batch in batches:
        batch.validate(full=True)
        if len(batch):
            rows = from_arrow(batch, name, first_row)
            if columns not in (None, rows.shape[1]):
                raise ValueError(f"{name} has lists of different lengths ({columns} and {rows.shape[1]})")
            columns = rows.shape[1]
            yield rows
        first_row += len(batch)


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise ImportError('this format needs pyarrow: pip install "farpoint[io]"') from None
    return pa


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
