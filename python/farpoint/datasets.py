"""Selection from data frames and files of records: rows in, the same kind of rows out, all columns kept.

>>> import pandas, farpoint.datasets
>>> data = pandas.DataFrame({"text": ["a", "b", "c"], "embedding": [[0.0], [0.1], [5.0]]})
>>> farpoint.datasets.select(data, "embedding", 2)
  text embedding
0    a     [0.0]
2    c     [5.0]
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint._atomic import atomic_write
from farpoint._files import is_source, open_files
from farpoint._files.paths import Source
from farpoint._frames import Frame, as_frame

__all__ = ["deduplicate", "select", "select_file"]

Data = TypeVar("Data")


@overload
def select(
    data: Data,
    column: Any,
    k: int | float | None = None,
    *,
    order_column: str | None = None,
    radius_column: str | None = None,
    return_selection: Literal[False] = False,
    **options: Any,
) -> Data: ...


@overload
def select(
    data: Data,
    column: Any,
    k: int | float | None = None,
    *,
    order_column: str | None = None,
    radius_column: str | None = None,
    return_selection: Literal[True],
    **options: Any,
) -> tuple[Data, farpoint.Selection]: ...


def select(
    data: Any,
    column: Any,
    k: int | float | None = None,
    *,
    order_column: str | None = None,
    radius_column: str | None = None,
    return_selection: bool = False,
    **options: Any,
) -> Any:
    """Select rows of a data frame by their embeddings.

    Parameters
    ----------
    data : datasets.Dataset, pandas.DataFrame, polars.DataFrame or pyarrow.Table
    column : str, (n, d) array_like, or paths
        The column that holds the embeddings, a list or an array of numbers in each row; or these as a matrix
        of their own, or the files that it is in, with a row for each row of `data`.
    k : int or float, optional
        How many rows, as for `farpoint.select`.
    order_column, radius_column : str, optional
        Add columns of these names: the place of each row in the selection, from 0, and its radius (infinite
        for a first one).
    return_selection : bool
        Return the selection too.
    **options
        As for `farpoint.select`. `weights` and `groups` may be names of columns.

    Returns
    -------
    data frame, or (data frame, Selection)
        Of the kind of `data`: the selected rows in the order of selection, with all of their columns; in
        pandas with their index.

    Raises
    ------
    ValueError, TypeError
        There is no such column, a row of it is null or of another length (with its number), there are more or
        fewer embeddings than rows (with both numbers); and as for `farpoint.select`.

    Notes
    -----
    Columns of Arrow (of datasets, polars, pyarrow and pandas' Arrow types) are read where they lie, also in a
    file that is mapped, chunk by chunk, unless they have to be converted. A Dataset that was shuffled,
    filtered or sorted is read in its own order, which copies the column. pandas' columns of lists or of
    arrays are copied, in the type of the arrays; Python's numbers are float64.

    Examples
    --------
    >>> import pandas
    >>> data = pandas.DataFrame({"text": ["a", "b", "c"], "embedding": [[0.0], [0.1], [5.0]]})
    >>> farpoint.datasets.select(data, "embedding", 2, radius_column="radius")
      text embedding  radius
    0    a     [0.0]     inf
    2    c     [5.0]     5.0
    >>> rows, selection = farpoint.datasets.select(data, [[0], [9], [1]], 2, return_selection=True)
    >>> rows["text"].tolist(), selection.h_min
    (['a', 'b'], 9.0)
    """
    frame = as_frame(data)
    _check_new(frame.names(), order_column, radius_column)
    matrix = _matrix(frame, column)
    selection = farpoint.select(matrix, k, **_with_columns(frame, options))
    taken = frame.take(selection.indices)
    for name, values in _added(selection, order_column, radius_column).items():
        taken = frame.add(taken, name, values)
    return (taken, selection) if return_selection else taken


@overload
def deduplicate(
    data: Data, column: Any, distance: float, *, return_deduplication: Literal[False] = False, **options: Any
) -> Data: ...


@overload
def deduplicate(
    data: Data, column: Any, distance: float, *, return_deduplication: Literal[True], **options: Any
) -> tuple[Data, farpoint.Deduplication]: ...


def deduplicate(
    data: Any, column: Any, distance: float, *, return_deduplication: bool = False, **options: Any
) -> Any:
    """Drop rows of a data frame that are near-duplicates by their embeddings.

    Parameters
    ----------
    data, column
        As for `select`.
    distance : float
        As for `farpoint.deduplicate`.
    return_deduplication : bool
        Return also which row stands for each.
    **options
        As for `farpoint.deduplicate`.

    Returns
    -------
    data frame, or (data frame, Deduplication)
        Of the kind of `data`: the rows that are kept, in their order, with all of their columns.

    Raises
    ------
    ValueError, TypeError
        As for `select` and `farpoint.deduplicate`.

    Examples
    --------
    >>> import pandas
    >>> data = pandas.DataFrame({"text": ["a", "b", "c"], "embedding": [[0.0], [0.1], [5.0]]})
    >>> farpoint.datasets.deduplicate(data, "embedding", 0.5)
      text embedding
    0    a     [0.0]
    2    c     [5.0]
    """
    frame = as_frame(data)
    found = farpoint.deduplicate(_matrix(frame, column), distance, **options)
    taken = frame.take(found.kept)
    return (taken, found) if return_deduplication else taken


def select_file(
    source: Source,
    output: str | os.PathLike[str],
    k: int | float | None = None,
    *,
    embeddings: Any = None,
    key: str | None = None,
    column: str | None = None,
    order_column: str | None = None,
    radius_column: str | None = None,
    **options: Any,
) -> farpoint.Selection:
    r"""Select records of files by their embeddings, and write them to a file: ``farpoint select``.

    Files may be larger than memory: they are read in passes, some records at a time.

    Parameters
    ----------
    source : path-like, or list of path-like
        Files of records: JSON lines (.jsonl, .ndjson, both also with .gz), .parquet, .arrow or .feather.
        Patterns, folders and several files are one sequence, as for `farpoint.open_matrix`.
    output : path-like
        Where the selected records go, in the order of selection, in a format of the above that the suffix
        says. JSON lines from JSON lines are copied byte by byte; tables keep their schema.
    k : int or float, optional
        How many records, as for `farpoint.select`.
    embeddings : (n, d) array_like, or paths, optional
        A row for each record. Default: `column` of the records.
    key, column : str, optional
        Which array or column of `embeddings`, if these are paths, or else of the records: see
        `farpoint.open_matrix`.
    order_column, radius_column : str, optional
        As for `select`. In JSON lines an infinite radius is null.
    **options
        As for `farpoint.select`.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError, TypeError
        A record is damaged, with its file and line; there are more or fewer embeddings than records, with
        both numbers; `output` is one of the files that are read; and as for `farpoint.select`.
    OSError
        A file cannot be read or written. Whatever is raised, nothing was written.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "data.jsonl")
    >>> with open(path, "w") as file:
    ...     _ = file.write('{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n')
    >>> s = farpoint.datasets.select_file(path, path + ".gz", 2, embeddings=[[0.0], [0.1], [5.0]])
    >>> import gzip
    >>> gzip.open(path + ".gz", "rt").read().splitlines()
    ['{"text": "a"}', '{"text": "c"}']
    """
    from farpoint._records import check_output, open_records

    target = Path(output)
    records = open_records(source)
    check_output(target, records.paths)
    records.scan(added=[name for name in (order_column, radius_column) if name is not None])
    if embeddings is not None and not is_source(embeddings):
        if key is not None or column is not None:
            raise ValueError("key and column have no meaning with embeddings that are no paths")
        matrix = embeddings
    else:
        matrix = open_files(
            records.paths if embeddings is None else embeddings,
            key=key,
            column=column,
            spill_folder=options.get("spill_folder"),
            in_memory=options.get("memory_limit") is None,
        )
        check_output(target, [name for name, _ in matrix.files])
    records.check_rows(len(matrix), getattr(matrix, "name", "embeddings"))
    selection = farpoint.select(matrix, k, **options)
    with atomic_write(target) as partial:
        added = _added(selection, order_column, radius_column)
        records.write(selection.indices, partial, target, added, options.get("spill_folder") or "")
    return selection


def _matrix(frame: Frame, column: Any) -> Any:
    """Return the matrix that a column holds, or that is given apart, with a row for each row."""
    names = frame.names()
    if isinstance(column, (str, int, tuple)) and column in names:
        return frame.matrix(column, f"column {column!r}")
    if is_source(column):
        if isinstance(column, str) and not Path(column).exists() and not glob.has_magic(column):
            listed = ", ".join(map(str, names))
            raise ValueError(f"{column!r} is neither a column of data ({listed}) nor a file of embeddings")
        matrix: Any = open_files(column)
        name = matrix.name
    elif isinstance(column, (int, float)) or column is None:
        raise TypeError(
            f"column must be the name of a column, a matrix of embeddings or paths, not {column!r}"
        )
    else:
        matrix, name = column, "column"
    rows = len(matrix)
    if rows != len(frame):
        raise ValueError(
            f"data have {len(frame):,} rows and {name} has {rows:,} rows: there must be an embedding for "
            "each row of data, in the same order"
        )
    return matrix


def _with_columns(frame: Frame, options: Mapping[str, Any]) -> dict[str, Any]:
    """Put columns where their names are given as weights or groups."""
    found = dict(options)
    for name in ("weights", "groups"):
        if isinstance(found.get(name), str):
            if found[name] not in frame.names():
                listed = ", ".join(map(str, frame.names()))
                raise ValueError(f"{name} = {found[name]!r} is not a column of data; there are {listed}")
            found[name] = frame.values(found[name])
    return found


def _check_new(names: list[Any], order_column: str | None, radius_column: str | None) -> None:
    for argument, name in (("order_column", order_column), ("radius_column", radius_column)):
        if name is not None and name in names:
            raise ValueError(f"{argument} = {name!r} is a column of data already; choose another name")
    if order_column is not None and order_column == radius_column:
        raise ValueError(
            f"order_column and radius_column are both {order_column!r}; choose another name for one"
        )


def _added(
    selection: farpoint.Selection, order_column: str | None, radius_column: str | None
) -> dict[str, npt.NDArray[Any]]:
    values = {order_column: np.arange(len(selection)), radius_column: selection.radii}
    return {name: array for name, array in values.items() if name is not None}
