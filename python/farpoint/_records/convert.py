"""Between JSON lines and Arrow tables."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from farpoint._json_values import finite

# Bytes of lines that are parsed at a time.
_BLOCK_BYTES = 1 << 24


def json_line(record: dict[str, Any]) -> bytes:
    """Return a record as a line: dates as ISO 8601 has them, decimals as strings, NaN and infinities as null.

    Raises
    ------
    ValueError
        It holds what JSON does not have, such as bytes.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # NaN or an infinity
        text = json.dumps(finite(record), ensure_ascii=False, allow_nan=False, default=_plain)
    except TypeError as error:
        raise ValueError(f"cannot be written as JSON: {error}; write .parquet") from None
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, (dt.date, dt.time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


class JsonTables:
    """JSON lines as Arrow tables of one schema, some megabytes at a time.

    Parameters
    ----------
    lines : callable
        Returns the lines from the first; it is called twice: for their types, and for what they hold.

    Attributes
    ----------
    schema : pyarrow.Schema
        Fields in the order in which they first come. Strings stay strings, whatever they look like; integers
        and numbers with fractions are float64 together; what is not there is null.

    Raises
    ------
    ValueError
        A field holds values of different kinds, such as strings and numbers.
    """

    def __init__(self, lines: Callable[[], Iterable[bytes]]) -> None:
        import pyarrow as pa

        self._lines = lines
        names: dict[str, None] = {}
        schema = pa.schema([])
        for records in _blocks(lines()):
            names |= dict.fromkeys(name for record in records for name in record)
            found = pa.schema(list(_struct(records).type))
            schema = _converted(pa.unify_schemas, [schema, found], promote_options="permissive")
        self.schema = pa.schema([schema.field(name) for name in names])

    def __iter__(self) -> Iterator[Any]:
        import pyarrow as pa

        kind = pa.struct(list(self.schema))
        for records in _blocks(self._lines()):
            found = _struct(records, kind)
            yield pa.Table.from_arrays(found.flatten(), schema=self.schema)


def _blocks(lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    block: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        block.append(json.loads(line))
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _struct(records: list[dict[str, Any]], kind: Any = None) -> Any:
    import pyarrow as pa

    return _converted(pa.array, records, type=kind)


def _converted(convert: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    import pyarrow as pa

    try:
        return convert(*arguments, **options)
    except (pa.ArrowException, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the selected records do not fit into one table ({reason}); write .jsonl"
        ) from error
