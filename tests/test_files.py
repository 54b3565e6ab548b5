"""Files in: every format, and every way to be wrong."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

import farpoint
from tests.conftest import Array

X = np.random.default_rng(0).standard_normal((90, 7)).astype(np.float32)


def lists(array: Array) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])


def write_arrow(path: Path, table: Any, writer: Callable[..., Any] = pa.ipc.new_file) -> None:
    with pa.OSFile(str(path), "wb") as sink, writer(sink, table.schema) as out:
        out.write_table(table, max_chunksize=25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "one.npz", X)
    np.savez(tmp_path / "two.npz", a=X, b=X[:5])
    table = pa.table({"text": [str(i) for i in range(len(X))], "embedding": lists(X)})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=20)
    write_arrow(tmp_path / "x.arrow", table)
    write_arrow(tmp_path / "x.feather", table)
    write_arrow(tmp_path / "stream.arrow", table, pa.ipc.new_stream)
    two = table.append_column("other", lists(X[:, :3].copy()))
    pq.write_table(two, tmp_path / "two.parquet")
    tensors = pa.table({"t": pa.FixedShapeTensorArray.from_numpy_ndarray(X)})
    pq.write_table(tensors, tmp_path / "tensors.parquet")
    write_arrow(tmp_path / "tensors.arrow", tensors)
    safetensors.numpy.save_file({"e": X}, tmp_path / "x.safetensors")
    safetensors.numpy.save_file({"e": X, "f": X[:3]}, tmp_path / "two.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    "name, options",
    [
        ("x.npy", {}),
        ("one.npz", {}),
        ("two.npz", {"key": "a"}),
        ("x.parquet", {}),
        ("x.parquet", {"column": "embedding"}),
        ("two.parquet", {"column": "embedding"}),
        ("x.arrow", {}),
        ("x.feather", {}),
        ("stream.arrow", {}),
        ("tensors.parquet", {}),
        ("tensors.arrow", {}),
        ("x.safetensors", {}),
        ("two.safetensors", {"key": "e"}),
    ],
)
def test_formats(folder: Path, name: str, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(np.asarray(farpoint.open_matrix(folder / name, **options)), X)


def test_large_formats_are_mapped_and_not_read(folder: Path) -> None:
    for name in ("x.npy", "x.safetensors"):
        matrix = farpoint.open_matrix(folder / name)
        assert isinstance(getattr(matrix, "base", None), mmap.mmap)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint8", "bfloat16"])
def test_safetensors_dtypes(tmp_path: Path, dtype: Any) -> None:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    array = (X * 20).astype(np.int8).astype(kind)
    header = json.dumps(
        {
            "__metadata__": {"made": "by hand"},
            "t": {
                "dtype": {"float64": "F64", "float16": "F16", "int8": "I8", "uint8": "U8"}.get(dtype, "BF16"),
                "shape": list(array.shape),
                "data_offsets": [0, array.nbytes],
            },
        }
    ).encode()
    path = tmp_path / "t.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + array.tobytes())
    loaded = farpoint.open_matrix(path)
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(np.asarray(loaded), array)
    if dtype != "bfloat16":
        np.testing.assert_array_equal(safetensors.numpy.load_file(path)["t"], array)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("two.npz", {}, "holds several arrays (a, b); say which with key"),
        ("two.npz", {"key": "c"}, "no array 'c'; there are a, b"),
        ("x.parquet", {"column": "embeddings"}, "no column 'embeddings'; there are text, embedding"),
        ("two.parquet", {}, "holds several list columns (embedding, other)"),
        ("two.safetensors", {}, "holds several tensors (e, f)"),
        ("x.npy", {"key": "a"}, "a .npy file has no keys; leave key out"),
        ("x.npy", {"column": "a"}, "a .npy file has no columns"),
        ("x.parquet", {"key": "a"}, "a .parquet file has no keys"),
    ],
)
def test_which_array(folder: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        farpoint.open_matrix(folder / name, **options)
    assert message in str(caught.value)


def test_no_column_of_lists(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0], "b": ["x"]}), tmp_path / "flat.parquet")
    with pytest.raises(ValueError, match="no column holds lists of numbers; the columns are a, b"):
        farpoint.open_matrix(tmp_path / "flat.parquet")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npy: no such file"):
        farpoint.open_matrix(tmp_path / "none.npy")
    with pytest.raises(ValueError, match=r"holds no file of a known suffix \(\.npy, \.npz"):
        farpoint.open_matrix(tmp_path)
    (tmp_path / "x.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"unknown suffix '\.csv'; the known ones are \.npy, \.npz"):
        farpoint.open_matrix(tmp_path / "x.csv")


SUFFIXES = ["npy", "npz", "parquet", "arrow", "feather", "safetensors"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"x", b"hello, this is no array at all\n" * 40, b"\0" * 999])
def test_not_what_the_suffix_says(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.{suffix}"):
        farpoint.open_matrix(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated(folder: Path, suffix: str) -> None:
    name = {"npz": "one.npz"}.get(suffix, f"x.{suffix}")
    content = (folder / name).read_bytes()
    bad = folder / f"cut.{suffix}"
    for length in [1, 7, 9, 60, 100, *np.linspace(120, len(content) - 1, 12).astype(int)]:
        bad.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"cut\.{suffix}"):
            farpoint.open_matrix(bad)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('a pickle was loaded')",))


def test_pickles_are_refused(tmp_path: Path) -> None:
    array = np.array([[Bomb()]], dtype=object)
    np.save(tmp_path / "bomb.npy", array, allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", array)
    for name in ("bomb.npy", "bomb.npz"):
        with pytest.raises(ValueError, match="not loaded"):
            farpoint.open_matrix(tmp_path / name)
    import pickle

    (tmp_path / "raw.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match=r"raw\.npy"):
        farpoint.open_matrix(tmp_path / "raw.npy")


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{}",
        b'{"t": 3}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]}}',
        b'{"t": {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [-8, 8]}}',
        b'{"t": {"dtype": "F32", "shape": [2000000000, 2000000000], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [4000, 4000], "data_offsets": [0, 64000000]}}',
        b'{"t": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [0, 4]}}',
        b'{"t": {"dtype": "F32", "shape": "22", "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": ["2", 2], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2.0], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [true, 4], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2]}}',
        b'{"t": {"dtype": ["F32"], "shape": [2, 2], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F99", "shape": [2, 2], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "shape": [2, 2], "data_offsets": [0, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}',
        b'{"t": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, '
        b'"u": {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"a": 1}}',
        b'{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"a": NaN}}',
        b'{"t": ' + b"[" * 100_000,
        '{"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}'.encode("utf-16"),
    ],
)
def test_lying_safetensors(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "lie.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    with pytest.raises(ValueError, match=r"lie\.safetensors"):
        farpoint.open_matrix(path)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load_file(path)


def test_a_file_selects_as_its_array_does(folder: Path) -> None:
    expected = farpoint.select(X, 20).indices
    for name in ("x.npy", "one.npz", "x.parquet", "x.arrow", "x.safetensors"):
        np.testing.assert_array_equal(farpoint.select(folder / name, 20).indices, expected)


def test_checksums_of_parquet_pages_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"e": lists(X)}), path, compression="none", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[content.index(X[40].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.parquet cannot be read: .*CRC"):
        farpoint.open_matrix(path)


def test_offsets_of_arrow_lists_are_checked(tmp_path: Path) -> None:
    """They are read without a look by whoever takes the lists apart."""
    offsets = pa.array(np.arange(0, X.size + 1, X.shape[1], dtype=np.int32))
    path = tmp_path / "x.arrow"
    write_arrow(path, pa.table({"e": pa.ListArray.from_arrays(offsets, pa.array(X.ravel()))}))
    content = bytearray(path.read_bytes())
    at = content.index(np.arange(0, 100, 7, dtype=np.int32).tobytes())
    content[at + 40 : at + 44] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.arrow"):
        farpoint.open_matrix(path)
