"""Matrices from other libraries, without copies where none is needed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest

import farpoint
from farpoint._inputs import as_matrix
from farpoint.backends import BACKENDS
from tests.conftest import Array, Engine, every_engine, gpu

X = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
EXPECTED = farpoint.select(X, 20).indices


class OnlyDLPack:
    def __init__(self, array: Array) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


class OnlyInterface:
    def __init__(self, array: Array) -> None:
        self._array = array
        self.__array_interface__ = array.__array_interface__


class OnlyArrow:
    def __init__(self, array: Any) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self._array.__arrow_c_array__(requested_schema)


def tensors(array: Array) -> Any:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(array)


def with_order(array: Any) -> Any:
    """Name the order of the only dimension, which changes nothing."""
    kind = pa.fixed_shape_tensor(array.type.value_type, array.type.shape, permutation=[0])
    return pa.ExtensionArray.from_storage(kind, array.storage)


def fixed_lists(array: Array, value_type: Any = None) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel(), type=value_type), array.shape[1])


@pytest.mark.parametrize(
    "source",
    [
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        list(X),
        OnlyDLPack(X),
        OnlyInterface(X),
        memoryview(X),  # type: ignore[arg-type]
        fixed_lists(X),
        pa.chunked_array([fixed_lists(X[:25]), fixed_lists(X[25:])]),
        pa.array(X.tolist(), type=pa.list_(pa.float32())),
        pa.array(X.tolist(), type=pa.large_list(pa.float32())),
        OnlyArrow(fixed_lists(X)),
        fixed_lists(np.concatenate((X[:3], X)))[3:],
        pa.Tensor.from_numpy(X),
        tensors(X),
        tensors(np.concatenate((X[:3], X)))[3:],
        pa.chunked_array([tensors(X[:25]), tensors(X[25:])]),
        pa.chunked_array([with_order(tensors(X[:25])), with_order(tensors(X[25:]))]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_sources(source: Any) -> None:
    np.testing.assert_array_equal(farpoint.select(source, 20).indices, EXPECTED)


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(X)
    np.testing.assert_array_equal(farpoint.select(tensor, 20).indices, EXPECTED)
    grown = tensor.clone().requires_grad_()
    np.testing.assert_array_equal(farpoint.select(grown, 20).indices, EXPECTED)
    bits = X.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(
        farpoint.select(tensor.to(torch.bfloat16), 20).indices, farpoint.select(bits, 20).indices
    )
    assert np.shares_memory(as_matrix(tensor, "X"), X)
    # Signs and conjugates that are only marked: numpy does not know such views.
    marked = torch.complex(tensor, -tensor).conj().imag
    assert marked.is_neg()
    np.testing.assert_array_equal(farpoint.select(marked, 20).indices, EXPECTED)
    for bad, message in (
        (tensor.to_sparse(), "is a tensor that numpy cannot read"),
        (tensor.to("meta"), r"X is on device meta; backends of this version read cpu, cuda; pass X\.cpu"),
        (tensor.to(torch.complex64), "dtype complex64"),
        (OnlyDLPack(tensor.to(torch.bfloat16)), "cannot be read through DLPack .*; pass a numpy array"),
        (OnlyDLPack(grown), "cannot be read through DLPack .*; pass a numpy array"),
    ):
        with pytest.raises(TypeError, match=message):
            farpoint.select(bad, 2)


@pytest.mark.parametrize("device, name", [(8, "metal"), (10, "rocm"), (99, "type 99 of DLPack")])
def test_dlpack_of_another_device_is_not_touched(device: int, name: str) -> None:
    class OnDevice(OnlyDLPack):
        def __dlpack__(self, **options: Any) -> Any:
            pytest.fail("touched")

        def __dlpack_device__(self) -> tuple[int, int]:
            return device, 0

    with pytest.raises(TypeError, match=f"X is on device {name}; .* read cpu, cuda; copy it to the host"):
        farpoint.select(OnDevice(X), 2)


@pytest.mark.parametrize(
    "source, error, message",
    [
        (pa.array([[1.0], [1.0, 2.0]]), ValueError, "lists of different lengths"),
        (pa.array([[1.0], None]), ValueError, "row 1 is null"),
        (pa.array([[1.0], [None]]), ValueError, "row 1, column 0 is null"),
        (pa.array([1.0, 2.0]), TypeError, "must be an Arrow array of"),
        (pa.Tensor.from_numpy(X[0]), ValueError, "must be 2-D"),
        (tensors(X.reshape(60, 2, 3)), ValueError, r"must be 2-D .* shape \(60, 2, 3\)"),
        (pa.table({"a": fixed_lists(X)}), TypeError, "pass the column"),
        (pa.array([["a"]]), TypeError, "dtype object"),
        (pa.chunked_array([], type=pa.list_(pa.float32())), ValueError, "empty"),
    ],
    ids=str,
)
def test_bad_arrow(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        farpoint.select(source, 1)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_other_integers_are_converted_exactly(dtype: Any) -> None:
    values = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 30000, (50, 3))
    found = farpoint.select(values.astype(dtype), 12)
    holds = {"bool": np.uint8, "int16": np.float32, "uint16": np.float32}.get(dtype, np.float64)
    expected = farpoint.select(values.astype(holds), 12)
    assert found.info["dtype"] == np.dtype(holds).name
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.radii, expected.radii)


@pytest.mark.parametrize(
    "array",
    [
        X,
        X[::2],
        X[:, 1:4],
        X.astype(np.float16),
        X.astype(ml_dtypes.bfloat16),
        X.astype(np.float64),
        X[::-1],
    ],
)
def test_rows_that_are_contiguous_are_not_copied(array: Array) -> None:
    assert np.shares_memory(as_matrix(array, "X"), array)


@pytest.mark.parametrize("backend", [pytest.param(name, marks=[gpu] * (name == "cuda")) for name in BACKENDS])
@pytest.mark.parametrize("start", [0, "center"])
def test_a_float32_matrix_is_never_copied(backend: str, start: int | str) -> None:
    big = np.random.default_rng(2).standard_normal((200_000, 128)).astype(np.float32)
    options: dict[str, Any] = {"backend": backend, "threads": 1}
    farpoint.select(big[:2000], 20, **options)  # what is compiled or imported stays
    tracemalloc.start()
    try:
        farpoint.select(big, 4, start=start, **options)
        farpoint.nearest(big, big[:4], **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What Python and numpy allocate: a few numbers a row, and blocks. The engine's own is in benchmarks/.
    assert peak < big.nbytes / (5 if backend in ("cpu", "cuda") else 3)


@every_engine
def test_inputs_are_not_written_to(engine: Engine) -> None:
    before = X.copy()
    selected = np.array([1, 2])
    with engine.active():
        farpoint.select(X, 10, selected=selected, anchors=X[:3], assign=True, **engine.arguments)
        farpoint.nearest(X, X, **engine.arguments)
    np.testing.assert_array_equal(X, before)
    assert selected.tolist() == [1, 2]


def test_elements_that_are_not_aligned_are_copied() -> None:
    moved = np.frombuffer(b"x" + X.tobytes(), dtype=X.dtype, offset=1).reshape(X.shape)
    assert not moved.flags.aligned
    matrix = as_matrix(moved, "X")
    assert matrix.flags.aligned
    np.testing.assert_array_equal(matrix, X)
