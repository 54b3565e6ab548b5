"""A field of JSON lines that holds arrays of numbers: embeddings kept in the records themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files._choice import choose
from farpoint._json_lines import parse_object, read_lines
from farpoint._mapped import Rows
from farpoint._spool import Spool

# Bytes of rows that are gathered at a time.
_BLOCK_BYTES = 1 << 22
_NUMBERS = {int, float}


def read_json_lines(path: Path, column: str | None, spool: Spool) -> list[Rows]:
    """Parse a field into the spool, as float64: JSON's numbers have no other type."""
    return spool.gather(_blocks(path, column))


def _blocks(path: Path, column: str | None) -> Iterator[Rows]:
    rows: list[Rows] = []
    first_line = width = 0
    for line in read_lines(path):
        where = f"{path}: line {line.number}"
        record = parse_object(line, path)
        if column is None:
            arrays = [name for name, value in record.items() if _holds_numbers(value)]
            if not arrays:
                raise ValueError(
                    f"{where}: no field holds an array of numbers; the fields are {_named(record)}"
                )
            column = choose(arrays, None, "array field", "column")
        row = _row(record, column, where)
        if not first_line:
            first_line, width = line.number, len(row)
        if len(row) != width:
            raise ValueError(
                f"{where}: field {column!r} holds {len(row)} numbers where line {first_line} has {width}"
            )
        rows.append(row)
        if len(rows) * row.nbytes >= _BLOCK_BYTES:
            yield np.stack(rows)
            rows.clear()
    if rows:
        yield np.stack(rows)


def _row(record: dict[str, Any], column: str, where: str) -> Rows:
    if column not in record:
        raise ValueError(f"{where}: no field {column!r}; there are {_named(record)}")
    values = record[column]
    if values is None:
        raise ValueError(f"{where}: field {column!r} is null; drop or fill such records first")
    if not isinstance(values, list):
        raise ValueError(f"{where}: field {column!r} must be an array of numbers, not {values!r:.60}")
    if not set(map(type, values)) <= _NUMBERS:
        i, value = next((i, value) for i, value in enumerate(values) if type(value) not in _NUMBERS)
        raise ValueError(
            f"{where}: field {column!r} must be an array of numbers; its element {i} is {value!r:.60}"
        )
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise ValueError(f"{where}: field {column!r} holds a number that float64 does not hold") from None


def _holds_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and set(map(type, value)) <= _NUMBERS


def _named(record: dict[str, Any]) -> str:
    return f"{', '.join(record) or 'none':.200}"
