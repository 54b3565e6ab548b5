"""Data frames: the same kind comes out, with the rows of the selection in its order and all columns."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import farpoint
import farpoint.datasets
from farpoint import _frames
from tests.conftest import Array, assert_same

N = 300
X = np.random.default_rng(0).standard_normal((N, 5)).astype(np.float32)
TEXT = [f"text {i}" for i in range(N)]
SOURCE = ["code" if i % 3 else "web" for i in range(N)]
QUALITY = np.linspace(1, 2, N)
PICKS = farpoint.select(X, 40)
LIBRARIES = (
    "datasets",
    "pandas",
    "pandas with Arrow",
    "polars",
    "polars in chunks",
    "pyarrow",
    "pyarrow in chunks",
)


def table(array: Array = X, chunk: int = N) -> Any:
    """Make a table of fixed-size lists, in chunks."""
    lists = pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
    columns = {"text": TEXT, "source": SOURCE, "quality": QUALITY, "embedding": lists}
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=chunk))


def frame(library: str) -> Any:
    name = library.split()[0]
    module = pytest.importorskip(name)
    if name == "datasets":
        return module.Dataset(pa_table(module, table()))
    if library == "pandas":
        columns = {"text": TEXT, "source": SOURCE, "quality": QUALITY, "embedding": list(X)}
        return module.DataFrame(columns, index=[f"row {i}" for i in range(N)])
    if library == "pandas with Arrow":
        return (
            table().to_pandas(types_mapper=module.ArrowDtype).set_index(module.Index(range(1000, 1000 + N)))
        )
    if name == "polars":
        return module.from_arrow(table(chunk=N if library == "polars" else 70), rechunk=False)
    return table(chunk=N if library == "pyarrow" else 70)


def pa_table(datasets: Any, rows: Any) -> Any:
    return datasets.table.InMemoryTable(rows)


def texts(data: Any) -> list[str]:
    """Return the column text of any kind of data frame."""
    column = data["text"]
    return [str(text) for text in (column.to_pylist() if isinstance(data, pa.Table) else list(column))]


def columns(data: Any) -> list[str]:
    return list(
        data.columns if hasattr(data, "iloc") or not hasattr(data, "column_names") else data.column_names
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_of_the_selection_in_its_order(library: str) -> None:
    data = frame(library)
    rows, selection = farpoint.datasets.select(data, "embedding", 40, return_selection=True)
    assert_same(selection, PICKS)
    assert "files" not in selection.info
    assert type(rows) is type(data)
    assert columns(rows) == ["text", "source", "quality", "embedding"]
    assert texts(rows) == [TEXT[i] for i in PICKS.indices]
    if library.startswith("pandas"):
        assert list(rows.index) == [data.index[i] for i in PICKS.indices]
    assert texts(farpoint.datasets.select(data, "embedding", min_distance=2.5)) == [
        TEXT[i] for i in farpoint.select(X, min_distance=2.5).indices
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_order_and_radius_as_columns(library: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = frame(library)
    rows = farpoint.datasets.select(data, "embedding", 40, order_column="order", radius_column="radius")
    assert columns(rows) == [*columns(data), "order", "radius"]
    for name, expected in (("order", range(40)), ("radius", PICKS.radii)):
        column = rows[name].to_pylist() if isinstance(rows, pa.Table) else list(rows[name])
        assert column == list(expected)
    assert "order" not in columns(data)
    with pytest.raises(ValueError, match="order_column = 'text' is a column of data already"):
        farpoint.datasets.select(data, "embedding", 40, order_column="text")
    with pytest.raises(ValueError, match="order_column and radius_column are both 'a'"):
        farpoint.datasets.select(data, "embedding", 40, order_column="a", radius_column="a")


@pytest.mark.parametrize("library", LIBRARIES)
def test_embeddings_apart(library: str, tmp_path: Path) -> None:
    data = frame(library)
    np.save(tmp_path / "a.npy", X[:100])
    np.save(tmp_path / "b.npy", X[100:])
    paths: tuple[Any, ...] = (str(tmp_path / "*.npy"), tmp_path, [tmp_path / "a.npy", tmp_path / "b.npy"])
    for source in (X, *paths):
        assert texts(farpoint.datasets.select(data, source, 40)) == [TEXT[i] for i in PICKS.indices]
    in_float64 = farpoint.select(X.tolist(), 40)
    rows = farpoint.datasets.select(data, X.tolist(), 40)
    assert texts(rows) == [TEXT[i] for i in in_float64.indices]
    with pytest.raises(
        ValueError, match=r"data have 300 rows and column has 299 rows: there must be an embedding"
    ):
        farpoint.datasets.select(data, X[1:], 40)
    with pytest.raises(ValueError, match=r"data have 300 rows and .*a\.npy has 100 rows"):
        farpoint.datasets.select(data, str(tmp_path / "a.npy"), 40)


@pytest.mark.parametrize("library", LIBRARIES)
def test_weights_and_groups_are_columns(library: str) -> None:
    data = frame(library)
    options: dict[str, Any] = {"quotas": {"web": 5}}
    rows = farpoint.datasets.select(data, "embedding", 20, weights="quality", groups="source", **options)
    expected = farpoint.select(X, 20, weights=QUALITY, groups=SOURCE, **options)
    assert texts(rows) == [TEXT[i] for i in expected.indices]
    with pytest.raises(ValueError, match=r"weights = 'best' is not a column of data; there are text, source"):
        farpoint.datasets.select(data, "embedding", 20, weights="best")


@pytest.mark.parametrize("library", LIBRARIES)
def test_deduplicate(library: str) -> None:
    data = frame(library)
    rows, found = farpoint.datasets.deduplicate(data, "embedding", 1.0, return_deduplication=True)
    assert texts(rows) == [TEXT[i] for i in farpoint.deduplicate(X, 1.0).kept]
    assert len(found.dropped) == N - len(rows) > 0
    assert texts(farpoint.datasets.deduplicate(data, X, 1.0)) == texts(rows)


@pytest.mark.parametrize("library", LIBRARIES)
def test_names_that_are_none(library: str) -> None:
    data = frame(library)
    with pytest.raises(ValueError, match=r"'vector' is neither a column of data \(text, source, quality, "):
        farpoint.datasets.select(data, "vector", 3)
    with pytest.raises(
        TypeError, match="column must be the name of a column, a matrix of embeddings or paths"
    ):
        farpoint.datasets.select(data, 3, 3)
    with pytest.raises((TypeError, ValueError), match="column 'text' must"):
        farpoint.datasets.select(data, "text", 3)
    with pytest.raises((TypeError, ValueError), match="column 'quality' must"):
        farpoint.datasets.select(data, "quality", 3)


BAD_ROWS: dict[str, tuple[Any, str]] = {
    "null": (None, "must not have nulls: row 250 is null"),
    "ragged": ([1.0], "has lists of different lengths.* row 250 has 1 elements, row 0 has 5"),
    "not finite": ([0.0, np.nan, 0.0, 0.0, 0.0], "must be finite: row 250, column 1 is NaN"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize("library", ["datasets", "pandas", "pandas with Arrow", "polars", "pyarrow"])
def test_bad_rows_are_named(library: str, name: str) -> None:
    value, message = BAD_ROWS[name]
    rows: list[Any] = X.tolist()
    rows[250] = value
    column = pa.chunked_array([pa.array(rows, type=pa.list_(pa.float32()))])
    data: Any = pa.table({"e": column})
    if library == "datasets":
        datasets = pytest.importorskip("datasets")
        data = datasets.Dataset(pa_table(datasets, data))
    elif library == "polars":
        data = pytest.importorskip("polars").from_arrow(data)
    elif library == "pandas":
        data = pytest.importorskip("pandas").DataFrame({"e": rows})
    elif library == "pandas with Arrow":
        data = data.to_pandas(types_mapper=pytest.importorskip("pandas").ArrowDtype)
    with pytest.raises(ValueError, match=rf"^column 'e' {message}"):
        farpoint.datasets.select(data, "e", 3)


def test_rows_of_different_lengths_in_different_chunks() -> None:
    kind = pa.list_(pa.float32())
    column = pa.chunked_array(
        [pa.array([], kind), pa.array([[1.0], [2.0]], kind), pa.array([[1.0, 2.0]], kind)]
    )
    with pytest.raises(
        ValueError, match="column 'e' has lists of different lengths: row 2 has 2 elements, row 0"
    ):
        farpoint.datasets.select(pa.table({"e": column}), "e", 1)


@pytest.mark.parametrize("value", ["abc", 3.5, {"a": 1}, [[1.0], [2.0]], [1.0, "a"], [[1.0], [2.0, 3.0]]])
def test_objects_that_are_no_lists_of_numbers(value: Any) -> None:
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"e": [[1.0, 2.0], value]})
    with pytest.raises(ValueError, match="column 'e' must hold a list of numbers in each row; row 1"):
        farpoint.datasets.select(data, "e", 1)


def test_pandas_keeps_the_type_of_arrays() -> None:
    pandas = pytest.importorskip("pandas")
    for dtype in (np.float16, np.float32, np.float64, np.int8):
        rows = (X * 20).astype(dtype)
        data = pandas.DataFrame({"e": list(rows)})
        _, s = farpoint.datasets.select(data, "e", 3, return_selection=True)
        assert s.info["dtype"] == np.dtype(dtype).name
    twice = pandas.DataFrame(np.zeros((2, 2)), columns=["e", "e"])
    with pytest.raises(ValueError, match="data have several columns 'e'; rename them"):
        farpoint.datasets.select(twice, "e", 1)
    numbered = pandas.DataFrame({0: TEXT, 7: list(X)})
    assert len(farpoint.datasets.select(numbered, 7, 3)) == 3


@pytest.mark.parametrize("nested", ["lists", "Array2D"])
def test_matrices_in_rows_are_refused(nested: str) -> None:
    datasets = pytest.importorskip("datasets")
    features = None
    if nested == "Array2D":
        features = datasets.Features({"e": datasets.Array2D((2, 2), "float32")})
    data = datasets.Dataset.from_dict({"e": np.zeros((3, 2, 2)).tolist()}, features=features)
    with pytest.raises(
        ValueError, match="column 'e' must hold a list of numbers in each row, not .*; flatten"
    ):
        farpoint.datasets.select(data, "e", 1)


def test_datasets_in_any_order_and_format() -> None:
    """Shuffled and filtered ones are read in the order in which they are seen, whatever the format."""
    data = frame("datasets")
    shuffled = data.shuffle(seed=3)
    order = [int(text.split()[1]) for text in texts(shuffled)]
    expected = [TEXT[order[i]] for i in farpoint.select(X[order], 40).indices]
    assert texts(farpoint.datasets.select(shuffled, "embedding", 40)) == expected
    for form in ("numpy", "torch", "pandas", "arrow"):
        if form == "torch":
            pytest.importorskip("torch")
        shown = shuffled.with_format(form)
        rows = farpoint.datasets.select(shown, "embedding", 40)
        assert rows.format["type"] == shown.format["type"]
        assert texts(rows.with_format(None)) == expected
    only = data.with_format("numpy", columns=["text"])
    assert texts(farpoint.datasets.select(only, "embedding", 40)) == [TEXT[i] for i in PICKS.indices]


def test_datasets_in_a_file_are_read_where_they_lie(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    frame("datasets").save_to_disk(tmp_path / "d")
    data = datasets.load_from_disk(tmp_path / "d")
    matrix = _frames.as_frame(data).matrix("embedding", "e")
    chunk = data.data.column("embedding").chunks[0]
    assert matrix.parts[0].__array_interface__["data"][0] == chunk.values.buffers()[1].address
    assert not matrix.parts[0].flags.owndata
    assert texts(farpoint.datasets.select(data, "embedding", 40)) == [TEXT[i] for i in PICKS.indices]


@pytest.mark.parametrize("library", ["polars in chunks", "pyarrow in chunks"])
def test_chunks_are_not_copied(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = frame(library)
    matrix = _frames.as_frame(data).matrix("embedding", "e")
    assert [len(part) for part in matrix.parts] == [70, 70, 70, 70, 20]
    assert not any(part.flags.owndata for part in matrix.parts)
    monkeypatch.setattr(_frames, "_MOST_CHUNKS", 4)
    assert len(_frames.as_frame(data).matrix("embedding", "e").parts) == 1


def test_what_is_no_data_frame() -> None:
    polars, datasets = pytest.importorskip("polars"), pytest.importorskip("datasets")
    data = frame("datasets")
    for other, advice in (
        (polars.LazyFrame({"e": [[1.0]]}), r"not polars\.LazyFrame: call collect\(\) first"),
        (
            datasets.DatasetDict({"train": data}),
            r"DatasetDict: pass one of its splits, such as data\['train'\]",
        ),
        (data.to_iterable_dataset(), "IterableDataset: its rows cannot be looked at again"),
        (table().to_batches()[0], r"RecordBatch: pyarrow.Table.from_batches\(\[data\]\)"),
        (X, "ndarray: convert it, or select from its embeddings with farpoint.select"),
    ):
        with pytest.raises(TypeError, match=f"data must be a datasets.Dataset, .*{advice}"):
            farpoint.datasets.select(other, "e", 1)


def test_subclasses_are_taken() -> None:
    pandas = pytest.importorskip("pandas")

    class Frame(pandas.DataFrame):  # type: ignore[misc, name-defined]
        """As geopandas has one."""

        @property
        def _constructor(self) -> Any:
            return Frame

    rows = farpoint.datasets.select(Frame(frame("pandas")), "embedding", 40)
    assert type(rows) is Frame
    assert texts(rows) == [TEXT[i] for i in PICKS.indices]


def test_no_rows() -> None:
    for data in (table()[:0], frame("pandas")[:0], frame("polars")[:0]):
        with pytest.raises(ValueError, match="column 'embedding' is empty: data have no rows"):
            farpoint.datasets.select(data, "embedding", 1)


def test_checkpoints_of_columns(tmp_path: Path) -> None:
    """A column in chunks is no file: it is recognised by its rows."""
    data = frame("pyarrow in chunks")
    path = tmp_path / "c.npz"
    farpoint.datasets.select(data, "embedding", 10, checkpoint=path)
    _, s = farpoint.datasets.select(data, "embedding", 40, checkpoint=path, return_selection=True)
    assert s.info["resumed_from"] == 10
    assert_same(s, PICKS)


@pytest.mark.parametrize("name", farpoint.datasets.__all__)
def test_documentation(name: str) -> None:
    function = getattr(importlib.import_module("farpoint.datasets"), name)
    text = inspect.getdoc(function) or ""
    for section in ("Returns", "Raises", "Examples"):
        assert f"{section}\n{'-' * len(section)}" in text
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^\**(\w+, )*{parameter}\b", text, re.M), parameter
