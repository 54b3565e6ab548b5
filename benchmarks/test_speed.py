"""pytest-benchmark: sizes of seconds, for watching changes. The answers are asserted.

pytest benchmarks/test_speed.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import data
import farpoint
import peers

Benchmark = Callable[..., Any]
_SHAPES = [(1000, 64, 100), (20_000, 384, 1000), (50_000, 16, 1000)]


@pytest.mark.parametrize("n, d, k", _SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_select(benchmark: Benchmark, n: int, d: int, k: int, threads: int) -> None:
    X = data.clustered(n, d)
    selection = benchmark(farpoint.select, X, k, threads=threads)
    np.testing.assert_array_equal(selection.indices, farpoint.select(X, k, backend="numba").indices)


@pytest.mark.parametrize("n, d, k", _SHAPES)
def test_numpy_loop(benchmark: Benchmark, n: int, d: int, k: int) -> None:
    X = data.clustered(n, d)
    picks = benchmark(peers.numpy_loop, X, k, 60.0)
    assert (picks.indices[:50] == farpoint.select(X, 50).indices).all()


@pytest.mark.parametrize("n, d, k", [(50_000, 3, 5000), (20_000, 8, 1000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_point_cloud(benchmark: Benchmark, n: int, d: int, k: int, threads: int) -> None:
    X = data.uniform(n, d)
    selection = benchmark(farpoint.select, X, k, threads=threads)
    np.testing.assert_array_equal(selection.indices, farpoint.select(X, k, backend="numba").indices)


@pytest.mark.parametrize("n, d, k", [(50_000, 3, 5000), (20_000, 8, 1000)])
def test_fpsample(benchmark: Benchmark, n: int, d: int, k: int) -> None:
    X = data.uniform(n, d)
    picks = benchmark(peers.fpsample_buckets, X, k, 7)
    ours = farpoint.select(X, k, start=int(picks.indices[0]))
    assert (picks.indices[:50] == ours.indices[:50]).all()


def test_memory_map(benchmark: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    data.write_clustered(path, 20_000, 256, np.float16)
    X = np.load(path, mmap_mode="r")
    selection = benchmark(farpoint.select, X, 500)
    np.testing.assert_array_equal(selection.indices, farpoint.select(X, 500, backend="numba").indices)


def test_nearest(benchmark: Benchmark) -> None:
    X, Y = data.clustered(20_000, 128), data.clustered(2000, 128, seed=1)
    found = benchmark(farpoint.nearest, X, Y)
    np.testing.assert_array_equal(
        found.distances[:200], farpoint.nearest(X[:200], Y, backend="reference").distances
    )


def test_h_min(benchmark: Benchmark) -> None:
    X = data.clustered(10_000, 128)
    pair = benchmark(farpoint.h_min, X)
    assert pair == farpoint.h_min(X, backend="numba")
