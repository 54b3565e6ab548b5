"""Data frames of several libraries: what a selection needs of them, and nothing that one of them alone has.

Libraries are looked at only where their data are given, when they are imported already.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from farpoint._inputs import as_matrix, from_arrow
from farpoint._parts import PartedMatrix

IndexArray = npt.NDArray[np.int64]
# Arrow columns of more chunks are copied into one: each chunk costs a little in every pass over the rows.
_MOST_CHUNKS = 4096


class Frame(Protocol):
    """A data frame of some library."""

    def names(self) -> list[Any]:
        """Return the names of its columns."""
        ...

    def __len__(self) -> int: ...

    def matrix(self, name: Any, called: str) -> PartedMatrix:
        """Return a column of lists as a matrix; `called` is what messages call it."""
        ...

    def values(self, name: Any) -> Any:
        """Return a column of one value a row as an array."""
        ...

    def take(self, rows: IndexArray) -> Any:
        """Return these rows, in this order, as the library's own kind of data frame."""
        ...

    def add(self, taken: Any, name: str, values: npt.NDArray[Any]) -> Any:
        """Return what `take` returned with one more column."""
        ...


def as_frame(data: Any) -> Frame:
    """Recognise a data frame.

    Raises
    ------
    TypeError
        It is none that is known, with what would be.
    """
    for kind, (module, name) in _KINDS.items():
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and isinstance(data, known):
            found: Frame = kind(data)
            return found
    module = type(data).__module__.partition(".")[0]
    advice = {
        ("polars", "LazyFrame"): "call collect() first",
        ("datasets", "DatasetDict"): "pass one of its splits, such as data['train']",
        ("datasets", "IterableDataset"): "its rows cannot be looked at again; make a Dataset of it",
        ("pyarrow", "RecordBatch"): "pyarrow.Table.from_batches([data]) makes a table of it",
    }.get((module, type(data).__name__), "convert it, or select from its embeddings with farpoint.select")
    raise TypeError(
        "data must be a datasets.Dataset, a DataFrame of pandas or polars, or a pyarrow.Table, not "
        f"{module}.{type(data).__name__}: {advice}"
    )


def matrix_of_arrow(column: Any, called: str) -> PartedMatrix:
    """Return a pyarrow.ChunkedArray of lists as a matrix, whose chunks stay where they are."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        is_matrix = not isinstance(kind, pa.FixedShapeTensorType)
    else:
        inner = getattr(kind, "value_type", None)
        is_matrix = inner is not None and pa.types.is_nested(inner)
    if is_matrix:
        raise ValueError(
            f"{called} must hold a list of numbers in each row, not {kind}; flatten what has more dimensions"
        )
    if column.num_chunks > _MOST_CHUNKS:
        column = pa.chunked_array([column.combine_chunks()])
    parts = []
    first_row = 0
    for chunk in column.chunks:
        if len(chunk):
            parts.append(as_matrix(from_arrow(chunk, called, first_row), called))
            if parts[-1].shape[1] != parts[0].shape[1]:
                raise ValueError(
                    f"{called} has lists of different lengths: row {first_row} has {parts[-1].shape[1]} "
                    f"elements, row 0 has {parts[0].shape[1]}"
                )
        first_row += len(chunk)
    if not parts:
        raise ValueError(f"{called} is empty: data have no rows")
    return PartedMatrix([(called, parts)], called, in_files=False)


class _ArrowTable:
    def __init__(self, data: Any) -> None:
        self._data = data

    def names(self) -> list[Any]:
        return list(self._data.column_names)

    def __len__(self) -> int:
        return int(self._data.num_rows)

    def matrix(self, name: Any, called: str) -> PartedMatrix:
        return matrix_of_arrow(self._data.column(name), called)

    def values(self, name: Any) -> Any:
        return self._data.column(name).to_numpy()

    def take(self, rows: IndexArray) -> Any:
        return self._data.take(rows)

    def add(self, taken: Any, name: str, values: npt.NDArray[Any]) -> Any:
        import pyarrow as pa

        return taken.append_column(name, pa.array(values))


class _Dataset:
    """Of datasets: read through its own view as Arrow, which knows of its order, whatever its format."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def names(self) -> list[Any]:
        return list(self._data.column_names)

    def __len__(self) -> int:
        return len(self._data)

    def _column(self, name: str) -> Any:
        return self._data.select_columns([name]).with_format("arrow")[:].column(name)

    def matrix(self, name: Any, called: str) -> PartedMatrix:
        return matrix_of_arrow(self._column(name), called)

    def values(self, name: Any) -> Any:
        return self._column(name).to_numpy()

    def take(self, rows: IndexArray) -> Any:
        return self._data.select(rows)

    def add(self, taken: Any, name: str, values: npt.NDArray[Any]) -> Any:
        return taken.add_column(name, values)


class _Pandas:
    def __init__(self, data: Any) -> None:
        self._data = data

    def names(self) -> list[Any]:
        return list(self._data.columns)

    def __len__(self) -> int:
        return len(self._data)

    def _column(self, name: Any) -> Any:
        if self.names().count(name) > 1:
            raise ValueError(f"data have several columns {name!r}; rename them")
        return self._data[name]

    def matrix(self, name: Any, called: str) -> PartedMatrix:
        column = self._column(name).array
        if hasattr(column, "__arrow_array__"):
            import pyarrow as pa

            found = column.__arrow_array__()
            return matrix_of_arrow(
                found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found]), called
            )
        stacked = as_matrix(_stacked(column, called), called)
        return PartedMatrix([(called, [stacked])], called, in_files=False)

    def values(self, name: Any) -> Any:
        return self._column(name).to_numpy()

    def take(self, rows: IndexArray) -> Any:
        return self._data.iloc[rows]

    def add(self, taken: Any, name: str, values: npt.NDArray[Any]) -> Any:
        return taken.assign(**{name: values})


def _stacked(rows: Sequence[Any], called: str) -> npt.NDArray[Any]:
    """Return lists or arrays as a matrix."""
    found: list[npt.NDArray[Any]] = []
    for i, value in enumerate(rows):
        if value is None or (isinstance(value, float) and value != value):
            raise ValueError(f"{called} must not have nulls: row {i} is null; drop or fill such rows first")
        try:
            row = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{called} must hold a list of numbers in each row; row {i}: {error}") from None
        if row.ndim != 1 or row.dtype.kind not in "biufV":
            raise ValueError(f"{called} must hold a list of numbers in each row; row {i} is {value!r:.60}")
        if len(row) != (len(found[0]) if found else len(row)):
            raise ValueError(
                f"{called} has lists of different lengths: row {i} has {len(row)} elements, row 0 has "
                f"{len(found[0])}"
            )
        found.append(row)
    if not found:
        raise ValueError(f"{called} is empty: data have no rows")
    return np.stack(found)


class _Polars:
    def __init__(self, data: Any) -> None:
        self._data = data

    def names(self) -> list[Any]:
        return list(self._data.columns)

    def __len__(self) -> int:
        return len(self._data)

    def matrix(self, name: Any, called: str) -> PartedMatrix:
        try:
            import pyarrow as pa
        except ImportError:
            raise ImportError('columns of lists need pyarrow: pip install "farpoint[io]"') from None
        chunks = [chunk.to_arrow() for chunk in self._data[name].get_chunks()]
        return matrix_of_arrow(pa.chunked_array(chunks, self._data[name].head(0).to_arrow().type), called)

    def values(self, name: Any) -> Any:
        return self._data[name].to_numpy()

    def take(self, rows: IndexArray) -> Any:
        return self._data[rows]

    def add(self, taken: Any, name: str, values: npt.NDArray[Any]) -> Any:
        import polars as pl

        return taken.with_columns(pl.Series(name, values))


# By the module and the name of the library's class.
_KINDS: dict[Any, tuple[str, str]] = {
    _ArrowTable: ("pyarrow", "Table"),
    _Dataset: ("datasets", "Dataset"),
    _Pandas: ("pandas", "DataFrame"),
    _Polars: ("polars", "DataFrame"),
}
