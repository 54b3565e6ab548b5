"""The CUDA backend from the door to the extension, which a stand-in plays, with a stand-in for CuPy.

What the real ones do is tested by every other test, which gets an engine "cuda" where there is a device, and
by test_gpu.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from farpoint.backends import cuda as backend
from tests import fake_cupy
from tests.conftest import Array, assert_same
from tests.fake_cuda import FakeCuda

X = (np.random.default_rng(0).standard_normal((40, 6)) * 20).astype(np.float32)
Y = (np.random.default_rng(1).standard_normal((9, 6)) * 20).astype(np.float32)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Two devices."""
    found = FakeCuda()
    monkeypatch.setattr(backend, "_present", lambda: True)
    monkeypatch.setattr(backend, "_extension", lambda: found)
    return found


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
    fake_cupy.log.clear()
    return fake_cupy


def on_device(array: Array, index: int = 0) -> Any:
    return fake_cupy.ndarray(array, index)


class Interface:
    """As Numba's arrays: with a stream of its own, and with a way to numpy that must not be taken."""

    def __init__(self, array: Array, stream: int | None = 0x77) -> None:
        self._array = array
        self.__cuda_array_interface__ = fake_cupy.interface(array, stream)

    def __array__(self, *_: object, **__: object) -> Any:
        pytest.fail("copied to the host")


class DLPack:
    """As JAX's arrays."""

    def __init__(self, array: Array, index: int = 0) -> None:
        self._array = array
        self._index = index

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def view(self, dtype: Any) -> DLPack:
        return DLPack(self._array.view(dtype), self._index)

    def __dlpack__(self, *, stream: int) -> Array:
        assert self._array.dtype != BFLOAT16, "CuPy need not know it"
        assert stream == 0x1000 + self._index
        return self._array

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._index


class Tensor:
    """As PyTorch's; marked negative, and with a gradient."""

    device = SimpleNamespace(type="cuda", index=0)

    def __init__(self, array: Array, plain: bool = False) -> None:
        self._array = array
        self._plain = plain

    @property
    def dtype(self) -> str:
        return f"torch.{self._array.dtype.name}"

    def detach(self) -> Tensor:
        return self

    def resolve_conj(self) -> Tensor:
        return self

    def resolve_neg(self) -> Tensor:
        return Tensor(self._array, plain=True)

    def view(self, dtype: str) -> Tensor:
        assert dtype == "int16"
        return Tensor(self._array.view(np.int16), self._plain)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: int) -> Array:
        assert self._plain
        assert self._array.dtype != BFLOAT16
        return self._array


Tensor.__module__ = "torch"

SOURCES: dict[str, Callable[[Array], Any]] = {
    "cupy": on_device,
    "interface": Interface,
    "dlpack": DLPack,
    "torch": Tensor,
}
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(int16="int16"))


@every_source
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int64", "bool"]
)
def test_sources(extension: FakeCuda, cupy: Any, source: Any, dtype: str, metric: str) -> None:
    array = (X > 0 if dtype == "bool" else np.abs(X)).astype(BFLOAT16 if dtype == "bfloat16" else dtype)
    array[0] = 1
    array = array[(array != 0).any(axis=1)]
    if dtype == "bfloat16" and source is Interface:
        pytest.skip("the interface has no bfloat16")
    given = source(array)
    expected = farpoint.select(array, 12, metric=metric, assign=True, backend="reference")
    actual = farpoint.select(given, 12, metric=metric, assign=True)
    assert_same(actual, expected)
    assert actual.info["backend"] == "cuda"
    assert actual.info["device"] == "cuda:0 Fake 0"
    assert actual.info["dtype"] == expected.info["dtype"]
    assert {call[0] for call in extension.calls} == {"scan", "select"}
    assert all(where["after"] == 0x1000 for _, where in extension.calls)


@every_source
def test_no_copy_where_rows_are_contiguous(
    extension: FakeCuda, cupy: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    real = FakeCuda.select

    def select(self: FakeCuda, points: Any, **rest: Any) -> dict[str, Any]:
        given.append(points)
        return real(self, points, **rest)

    monkeypatch.setattr(FakeCuda, "select", select)
    wide = np.zeros((40, 12), np.float32)
    wide[:, :6] = X
    columns = np.asfortranarray(X)
    for array in (X, X[::2], X[::-1], wide[:, 1:5]):
        farpoint.select(source(array), 3)
        assert given[-1] == (array.ctypes.data, *array.shape, array.strides[0])
    assert_same(farpoint.select(source(columns), 20), farpoint.select(X, 20))
    assert given[-1].pointer != columns.ctypes.data


def test_streams(extension: FakeCuda, cupy: Any) -> None:
    """CuPy's current stream waits for the producer's, and the engine for CuPy's."""
    farpoint.select(Interface(X, stream=0x77), 2)
    assert cupy.log == [("wait", 0x1000, 0x77)]
    cupy.log.clear()
    farpoint.select(Interface(X, stream=None), 2)
    assert cupy.log == []
    farpoint.select(DLPack(X, 1), 2)
    assert cupy.log == [("exchange", 0x1001)]
    assert extension.calls[-1] == ("select", {"device": 1, "memory": 0, "after": 0x1001})


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8"])
def test_start_at_the_center_is_the_same_row(extension: FakeCuda, cupy: Any, dtype: str, metric: str) -> None:
    array = (np.random.default_rng(2).standard_normal((5000, 5)) * 20 + 3).astype(
        BFLOAT16 if dtype == "bfloat16" else dtype
    )
    expected = farpoint.select(array, 2, start="center", metric=metric)
    actual = farpoint.select(on_device(array, 1), 2, start="center", metric=metric)
    assert_same(actual, expected)


@pytest.mark.parametrize("exponent", [-300, 160, 300])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_float64_scales(extension: FakeCuda, cupy: Any, metric: str, exponent: int) -> None:
    array = X.astype(np.float64) / np.abs(X).max() * 10.0**exponent
    expected = farpoint.select(array, 30, metric=metric, anchors=array[:3] * 2)
    actual = farpoint.select(on_device(array, 1), 30, metric=metric, anchors=on_device(array[:3] * 2, 1))
    assert_same(actual, expected)


@pytest.mark.parametrize("host_anchors", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8"])
@pytest.mark.parametrize("other", ["float16", "bfloat16", "float32", "float64", "int8"])
def test_anchors_are_brought_to_the_points(
    extension: FakeCuda, cupy: Any, dtype: str, other: str, host_anchors: bool
) -> None:
    kinds = {"bfloat16": BFLOAT16}
    points = X.astype(kinds.get(dtype, dtype))
    values = np.round(Y) if dtype == "int8" else Y
    anchors = values.astype(kinds.get(other, other))
    expected = farpoint.select(points, 10, anchors=anchors)
    given = anchors if host_anchors else on_device(anchors, 1)
    assert_same(farpoint.select(on_device(points, 1), 10, anchors=given), expected)


@every_source
def test_distances(extension: FakeCuda, cupy: Any, source: Any) -> None:
    wide = Y.astype(np.float64)
    for host, y in ((Y, Y), (Y, source(Y)), (wide, source(wide)), (wide, wide)):
        found = farpoint.nearest(source(X), y)
        expected = farpoint.nearest(X, host)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.distances, expected.distances)
    assert farpoint.h_min(source(X)) == farpoint.h_min(X)
    assert farpoint.covering_radius(source(X), Y) == farpoint.covering_radius(X, Y)
    np.testing.assert_array_equal(
        farpoint.pairwise_distances(source(X), Y), farpoint.pairwise_distances(X, Y)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_out_on_the_device(
    extension: FakeCuda, cupy: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farpoint._api, "_OUT_ELEMENTS", 50)
    expected = farpoint.pairwise_distances(X, Y).astype(dtype)
    places: tuple[Callable[[Array], Any], ...] = (lambda memory: memory, lambda memory: on_device(memory, 1))
    for place in places:
        memory = np.zeros((40, 9), dtype)
        out = place(memory)
        assert farpoint.pairwise_distances(on_device(X, 1), Y, out) is out
        np.testing.assert_array_equal(memory, expected)
    zeros = np.zeros((40, 9))
    for wrong in (on_device(zeros), Interface(zeros), DLPack(zeros)):
        with pytest.raises(TypeError, match="out (is on a CUDA device|must be a numpy or CuPy array)"):
            farpoint.pairwise_distances(on_device(X, 1), Y, wrong)
    with pytest.raises(TypeError, match="out is on a CUDA device and the matrices are not"):
        farpoint.pairwise_distances(X, Y, on_device(zeros))
    with pytest.raises(ValueError, match=r"out has shape \(3, 3\)"):
        farpoint.pairwise_distances(on_device(X), Y, on_device(np.zeros((3, 3))))


@pytest.mark.parametrize(
    "array, error, message",
    [
        (np.zeros(5, np.float32), ValueError, "X must be 2-D (rows, columns); it has shape (5,)"),
        (np.zeros((0, 3), np.float32), ValueError, "X is empty: it has shape (0, 3)"),
        (np.zeros((2, 2), complex), TypeError, "X has dtype complex128; supported are bfloat16"),
        (np.array([[2**60, 1]]), TypeError, "beyond 2**53"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), ValueError, "X must be finite: row 1, column 1 is NaN"),
    ],
)
def test_bad_matrices(
    extension: FakeCuda, cupy: Any, array: Array, error: type[Exception], message: str
) -> None:
    for index in (0, 1):
        with pytest.raises(error, match=re.escape(message)):
            farpoint.select(on_device(array, index), 1)


def test_a_bad_bfloat16_element_is_named(extension: FakeCuda, cupy: Any) -> None:
    bad = X.astype(BFLOAT16)
    bad[3, 4] = np.inf
    with pytest.raises(ValueError, match="row 3, column 4 is inf"):
        farpoint.select(on_device(bad), 1)


def test_anchors_that_integers_cannot_hold(extension: FakeCuda, cupy: Any) -> None:
    points = on_device(np.arange(12, dtype=np.int8).reshape(6, 2))
    for anchors in ([[0.5, 1.0]], on_device(np.array([[0.5, 1.0]]))):
        with pytest.raises(TypeError, match="cannot hold; convert X to a floating type"):
            farpoint.select(points, 2, anchors=anchors)


def test_a_source_that_cupy_cannot_read(extension: FakeCuda, cupy: Any) -> None:
    class Sparse(Tensor):
        def __dlpack__(self, *, stream: int) -> Array:
            raise BufferError("sparse tensors cannot be exported")

        def resolve_neg(self) -> Tensor:
            return self

    Sparse.__module__ = "torch"
    with pytest.raises(TypeError, match=r"cannot be read by CuPy \(sparse tensors .*copy it to the host"):
        farpoint.select(Sparse(X), 1)


def test_places_do_not_mix_in_silence(extension: FakeCuda, cupy: Any) -> None:
    with pytest.raises(TypeError, match="anchors is on a CUDA device and X is on the host; copy anchors"):
        farpoint.select(X, 2, anchors=on_device(Y))
    with pytest.raises(TypeError, match="Y is on a CUDA device and X is on the host"):
        farpoint.nearest(X, on_device(Y), backend="cuda")
    with pytest.raises(TypeError, match="Y is on device 1 and X is on device 0"):
        farpoint.nearest(on_device(X), on_device(Y, 1))


def test_without_cupy(extension: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(TypeError, match=r'needs CuPy|cannot be imported.*pip install "farpoint\[cuda\]"'):
        farpoint.select(Interface(X), 1)
    # Host arrays need none.
    assert farpoint.select(X, 2, backend="cuda").info["backend"] == "cuda"


@every_source
def test_without_cuda(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_present", lambda: False)
    message = r"X is on a CUDA device: .*built without CUDA.*copy it to the host first \(X.get\(\)"
    with pytest.raises(RuntimeError, match=message):
        farpoint.select(source(X), 1)
    for name in ("cpu", "numba", "reference"):
        with pytest.raises(ValueError, match=f"X is on .*'{name}' does not support device 'cuda'.*copy it"):
            farpoint.select(source(X), 1, backend=name)
    with pytest.raises(RuntimeError, match="backend 'cuda' cannot be used here: farpoint was built without"):
        farpoint.select(X, 1, backend="cuda")


def test_no_device(extension: FakeCuda) -> None:
    extension.reason = "the driver is too old"
    with pytest.raises(RuntimeError, match="backend 'cuda' cannot be used here: the driver is too old"):
        farpoint.select(X, 1, backend="cuda")
    with pytest.raises(RuntimeError, match="cuda: the driver is too old; copy it"):
        farpoint.select(Interface(X), 1)
    found = farpoint.show_config("dict")["backends"]["cuda"]
    assert found == {"available": False, "reason": "the driver is too old"}


def test_show_config(extension: FakeCuda, capsys: pytest.CaptureFixture[str]) -> None:
    farpoint.show_config()
    assert "cuda       yes  devices 0: Fake 0 (9.0, 64 GiB)" in capsys.readouterr().out


@pytest.mark.parametrize("full", [set(), {"scan"}, {"select", "nearest", "closest_pair", "pairwise"}])
def test_auto_takes_a_device_for_much_work(
    extension: FakeCuda, monkeypatch: pytest.MonkeyPatch, full: set[str]
) -> None:
    """And goes on without where that has too little memory."""
    monkeypatch.setattr(farpoint.backends, "DEVICE_WORK", 40 * 6 * 9)
    extension.full = full
    expected = farpoint.select(X, 9, backend="reference", assign=True)
    assert farpoint.select(X, 8).info["backend"] == "cpu"
    assert not extension.calls
    actual = farpoint.select(X, 9, assign=True)
    assert_same(actual, expected)
    assert actual.info["backend"] == ("cpu" if full else "cuda")
    assert actual.info["device"] == (None if full else "cuda:0 Fake 0")
    reference = farpoint.nearest(X, Y, backend="reference")
    np.testing.assert_array_equal(farpoint.nearest(X, Y).distances, reference.distances)
    assert farpoint.h_min(X) == farpoint.h_min(X, backend="reference")
    np.testing.assert_array_equal(
        farpoint.pairwise_distances(X, Y), farpoint.pairwise_distances(X, Y, backend="reference")
    )
    if full:
        # What was named is not replaced.
        with pytest.raises(MemoryError, match="too little memory"):
            farpoint.select(X, 9, backend="cuda")
        with pytest.raises(MemoryError):
            farpoint.select(X, 9, device=0)


def test_auto_goes_on_without_a_device(extension: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farpoint.backends, "DEVICE_WORK", 0)
    extension.reason = "no device"
    assert farpoint.select(X, 9).info["backend"] == "cpu"
    monkeypatch.setattr(backend, "_present", lambda: False)
    monkeypatch.setattr(backend, "_extension", lambda: pytest.fail("asked for"))
    assert farpoint.select(X, 9).info["backend"] == "cpu"


def test_device(extension: FakeCuda, cupy: Any) -> None:
    for name in ("auto", "cuda"):
        s = farpoint.select(X, 3, backend=name, device=1)
        assert s.info["device"] == "cuda:1 Fake 1"
    assert {where["device"] for _, where in extension.calls} == {1}
    assert farpoint.select(on_device(X, 1), 3).info["device"] == "cuda:1 Fake 1"
    assert farpoint.select(on_device(X, 1), 3, device=1).info["device"] == "cuda:1 Fake 1"
    farpoint.nearest(X, Y, device=1)
    farpoint.h_min(X, device=1)
    farpoint.pairwise_distances(X, device=1)
    farpoint.covering_radius(X, Y, device=1)
    assert all(where["device"] == 1 for _, where in extension.calls[-8:])
    with pytest.raises(ValueError, match="device = 0, but X is on device 1; leave device out"):
        farpoint.select(on_device(X, 1), 3, device=0)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"device": -1}, ValueError, "device must be at least 0, not -1"),
        ({"device": 2}, ValueError, "device 2 does not exist; there are 2"),
        ({"device": "cuda:0"}, TypeError, "device must be an integer, not 'cuda:0'"),
        ({"device": 1.0}, TypeError, "device must be an integer"),
        ({"device": True}, TypeError, "device must be an integer, not a bool"),
        ({"device": 0, "backend": "cpu"}, ValueError, "device = 0 has no meaning with backend 'cpu'"),
        ({"device": 0, "backend": "numba"}, ValueError, "has no meaning with backend 'numba'"),
    ],
)
def test_bad_devices(
    extension: FakeCuda, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: farpoint.select(X, 2, **options),
        lambda: farpoint.nearest(X, Y, **options),
        lambda: farpoint.h_min(X, **options),
        lambda: farpoint.pairwise_distances(X, **options),
        lambda: farpoint.covering_radius(X, Y, **options),
    )
    for call in calls:
        with pytest.raises(error, match=re.escape(message)):
            call()
    assert not extension.calls


def test_info_has_the_same_keys(extension: FakeCuda) -> None:
    keys = set(farpoint.select(X, 2, backend="cuda").info)
    # What the work memory of the host's engine came to.
    of_the_host = {"bytes_work", "bytes_spilled"}
    assert set(farpoint.select(X, 2, backend="cpu").info) == keys | of_the_host
    assert set(farpoint.select(X, 2, backend="reference").info) <= keys


def test_the_memory_of_a_call_can_be_limited(extension: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.MEMORY_VARIABLE, "123456")
    farpoint.select(X, 2, backend="cuda")
    assert {where["memory"] for _, where in extension.calls} == {123456}
    monkeypatch.delenv(backend.MEMORY_VARIABLE)
    extension.calls.clear()
    farpoint.select(X, 2, backend="cuda", memory_limit="2MB")
    farpoint.nearest(X, X, backend="cuda", memory_limit="2MB")
    farpoint.h_min(X, backend="cuda", memory_limit="2MB")
    assert [where["memory"] for name, where in extension.calls if name != "scan"] == [2_000_000] * 3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8"])
def test_selections_on_a_device_go_on(extension: FakeCuda, cupy: Any, tmp_path: Path, dtype: str) -> None:
    array = X.astype(BFLOAT16 if dtype == "bfloat16" else dtype)
    there = on_device(array, 1)
    expected = farpoint.select(array, 30)
    assert_same(farpoint.extend(farpoint.select(there, 10), there, 30), expected)
    kept: dict[str, Any] = {"selected": [5], "anchors": on_device(array[:3], 1)}
    assert_same(
        farpoint.extend(farpoint.select(there, 10, **kept), there, 30, **kept),
        farpoint.select(array, 30, selected=[5], anchors=array[:3]),
    )
    with pytest.raises(ValueError, match="was not made from this X"):
        farpoint.extend(farpoint.select(there, 10), on_device(array[::-1].copy(), 1), 30)
    # A run goes on elsewhere: on the device, on the host, and back.
    path = tmp_path / "run.npz"
    for points, k in ((there, 10), (array, 20), (there, 30)):
        found = farpoint.select(points, k, checkpoint=path)
        assert found.info["resumed_from"] == k - 10
        assert found.info["backend"] == ("cpu" if points is array else "cuda")
    assert_same(found, expected)
    new = array[::-1] + np.asarray(3, dtype=array.dtype)
    assert_same(
        farpoint.update(found, on_device(new, 1), X=there),
        farpoint.select(new, min_distance=found.h_min, anchors=array[found.indices]),
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_selections_on_a_device_are_refined(extension: FakeCuda, cupy: Any, dtype: str) -> None:
    host = np.random.default_rng(8).random((60, 3)).astype(BFLOAT16 if dtype == "bfloat16" else dtype)
    there = on_device(host, 1)
    options: dict[str, Any] = {"selected": [2], "anchors": host[:2], "assign": True}
    expected = farpoint.select(host, 8, refine={"moves": 15}, backend="reference", **options)
    actual = farpoint.select(there, 8, refine={"moves": 15}, **options)
    assert actual.info["backend"] == "cuda"
    assert actual.is_refined
    assert_same(actual, expected)
    distance = expected.h_min
    np.testing.assert_array_equal(
        farpoint.deduplicate(there, distance).representatives,
        farpoint.deduplicate(host, distance, backend="reference").representatives,
    )


def test_progress(extension: FakeCuda) -> None:
    seen: list[int] = []
    farpoint.select(X, 5, backend="cuda", progress=lambda done, *_: seen.append(done))
    assert seen == [2, 3, 4, 5]  # the first pick is where the selection starts


def test_the_cpu_never_imports_the_extension() -> None:
    script = """
import sys, importlib.util
import numpy as np
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: object() if name == "farpoint._cuda" else real(name, *rest)
import farpoint
X = np.eye(50, dtype=np.float32)
farpoint.select(X, 20), farpoint.nearest(X, X), farpoint.h_min(X)
for backend in ("cpu", "numba", "reference"):
    farpoint.select(X, 20, backend=backend)
print("farpoint._cuda" in sys.modules, "cupy" in sys.modules)
try:
    farpoint.select(X, 20, backend="cuda")
except ImportError as error:
    print("raised")
print(farpoint.show_config("dict")["backends"]["cuda"]["reason"].partition(":")[0])
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["False", "False", "raised", "ModuleNotFoundError"], (
        found.stdout + found.stderr
    )
