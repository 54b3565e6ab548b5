"""On a real device, with the real CuPy and others: what the stand-ins of test_cuda.py cannot show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from farpoint.backends.cuda import MEMORY_VARIABLE
from tests.conftest import Array, Engine, assert_same, gpu

pytestmark = gpu

X = (np.random.default_rng(0).standard_normal((700, 24)) * 20).astype(np.float32)
Y = (np.random.default_rng(1).standard_normal((90, 24)) * 20).astype(np.float32)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def from_cupy(array: Array) -> Any:
    cupy = pytest.importorskip("cupy")
    return cupy.asarray(array)


def from_torch(array: Array) -> Any:
    torch = pytest.importorskip("torch")
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).cuda()
    return torch.from_numpy(array).cuda()


def from_jax(array: Array) -> Any:
    jax = pytest.importorskip("jax")
    return jax.device_put(array, jax.devices("gpu")[0])


def from_numba(array: Array) -> Any:
    cuda = pytest.importorskip("numba.cuda")
    return cuda.to_device(array)


SOURCES = (from_cupy, from_torch, from_jax, from_numba)
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)


def test_a_device_is_there() -> None:
    config = farpoint.show_config("dict")["backends"]["cuda"]
    assert config["available"]
    assert config["devices"]


def test_the_engine_is_among_those_that_every_test_runs() -> None:
    from tests.conftest import ENGINES

    assert {Engine("cuda"), Engine("cuda", eager=True)} <= set(ENGINES)


@every_source
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8"])
def test_sources(source: Callable[[Array], Any], dtype: str) -> None:
    array = X.astype(BFLOAT16 if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16" and source in (from_cupy, from_numba):
        pytest.skip("it has no bfloat16")
    expected = farpoint.select(array, 200, assign=True, backend="reference")
    actual = farpoint.select(source(array), 200, assign=True)
    assert_same(actual, expected)
    assert actual.info["device"].startswith("cuda:0 ")


@every_source
def test_float64_sources(source: Callable[[Array], Any]) -> None:
    if source is from_jax:
        pytest.skip("JAX has no float64 unless it is asked to")
    array = X.astype(np.float64) * 1e200
    for metric in ("euclidean", "cosine"):
        expected = farpoint.select(array, 200, metric=metric, anchors=array[:7], backend="reference")
        actual = farpoint.select(source(array), 200, metric=metric, anchors=source(array[:7]))
        assert_same(actual, expected)


def test_layouts() -> None:
    device = from_cupy(X)
    for view, host in (
        (device[::2], X[::2]),
        (device[::-1], X[::-1]),
        (device[:, 3:11], X[:, 3:11]),
        (device[:, ::2], X[:, ::2]),
        (device[:, 1:2], X[:, 1:2]),
        (from_cupy(np.asfortranarray(X)), X),
    ):
        assert_same(farpoint.select(view, 100), farpoint.select(host, 100, backend="reference"))


def test_tensors_and_point_clouds() -> None:
    torch = pytest.importorskip("torch")
    from farpoint.torch import KCenterGreedy, fps, sample_farthest_points, select

    host, device = torch.from_numpy(X), from_torch(X)
    found, expected = select(device, 200), select(host, 200)
    assert found.indices.device == found.radii.device == device.device
    assert_same(found.selection, expected.selection)
    batch = torch.arange(700) // 100
    indices = fps(device, batch.cuda(), 0.3, random_start=False)
    assert indices.device == device.device
    assert torch.equal(indices.cpu(), fps(host, batch, 0.3, random_start=False))
    lengths = torch.tensor([100, 7, 1, 33, 100, 100, 0])
    both = sample_farthest_points(device.reshape(7, 100, 24), lengths.cuda(), 20)
    for ours, theirs in zip(both, sample_farthest_points(host.reshape(7, 100, 24), lengths, 20), strict=True):
        assert ours.device == device.device
        assert torch.equal(ours.cpu(), theirs)
    sampler = KCenterGreedy(device, 0.1)
    picks = sampler.select_coreset_idxs()
    assert picks == farpoint.select(X, 70, start=picks[0]).indices.tolist()
    sampler.update_distances(picks[0])
    assert int(sampler.get_new_idx()) == picks[1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_start_at_the_center_is_the_same_row(dtype: str, metric: str) -> None:
    array = X.astype(BFLOAT16 if dtype == "bfloat16" else dtype)
    expected = farpoint.select(array, 2, start="center", metric=metric, backend="reference")
    device = from_torch(array)
    assert_same(farpoint.select(device, 2, start="center", metric=metric), expected)


def test_distances_and_out() -> None:
    cupy = pytest.importorskip("cupy")
    device = from_cupy(X)
    found, expected = farpoint.nearest(device, Y), farpoint.nearest(X, Y, backend="reference")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    pairs = farpoint.pairwise_distances(X, Y, backend="reference")
    for dtype in (np.float32, np.float64):
        out = cupy.zeros(pairs.shape, dtype)
        assert farpoint.pairwise_distances(device, Y, out) is out
        np.testing.assert_array_equal(out.get(), pairs.astype(dtype))


def test_work_that_is_under_way_is_waited_for() -> None:
    """The data are written on a stream of their own, after a long kernel."""
    cupy = pytest.importorskip("cupy")
    expected = farpoint.select(X, 50, backend="reference")
    square = cupy.zeros((6000, 6000), cupy.float32)
    for _attempt in range(3):
        target = cupy.zeros(X.shape, cupy.float32)
        source = cupy.asarray(X)
        cupy.cuda.Device().synchronize()
        with cupy.cuda.Stream(non_blocking=True):
            for _ in range(3):
                square = square @ square
            target[...] = source
            assert_same(farpoint.select(target, 50), expected)


@pytest.mark.parametrize("engine", [Engine("cuda"), Engine("cuda", eager=True)], ids=str)
def test_little_device_memory(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw rows stay on the host where they do not fit; the answer is the same."""
    array = np.random.default_rng(3).standard_normal((20_000, 256)).astype(np.float32)
    expected = farpoint.select(array, 300, backend="cpu")
    monkeypatch.setenv(MEMORY_VARIABLE, str(array.nbytes // 2))
    with engine.active():
        assert_same(farpoint.select(array, 300, **engine.arguments), expected)


def test_too_little_device_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "1000")
    with pytest.raises(MemoryError):
        farpoint.select(X, 50, backend="cuda")
    monkeypatch.setattr(farpoint.backends, "DEVICE_WORK", 0)
    assert farpoint.select(X, 50).info["backend"] == "cpu"


def test_devices_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="device 99 does not exist; there (is|are)"):
        farpoint.select(X, 2, device=99)


def test_the_cpu_never_touches_the_driver() -> None:
    script = """
import numpy as np, farpoint
X = np.eye(50, dtype=np.float32)
farpoint.select(X, 20), farpoint.nearest(X, X), farpoint.h_min(X)
print("libcuda" in open("/proc/self/maps").read())
farpoint.select(X, 20, backend="cuda")
print("libcuda" in open("/proc/self/maps").read())
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
