"""pytest-benchmark: sizes of seconds, for watching changes. The answers are asserted.

pytest benchmarks/test_speed.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import farpoint
import peers

Benchmark = Callable[..., Any]
_SHAPES = [(1000, 64, 100), (20_000, 384, 1000), (50_000, 16, 1000)]


def rows(n: int, d: int) -> peers.Matrix:
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((50, d), dtype=np.float32)
    return centres[generator.integers(0, 50, n)] + generator.standard_normal((n, d), dtype=np.float32)


@pytest.mark.parametrize("n, d, k", _SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_select(benchmark: Benchmark, n: int, d: int, k: int, threads: int) -> None:
    X = rows(n, d)
    selection = benchmark(farpoint.select, X, k, threads=threads)
    np.testing.assert_array_equal(selection.indices, farpoint.select(X, k, backend="numba").indices)


@pytest.mark.parametrize("n, d, k", _SHAPES)
def test_numpy_loop(benchmark: Benchmark, n: int, d: int, k: int) -> None:
    X = rows(n, d)
    picks = benchmark(peers.numpy_loop, X, k, 60.0)
    assert (picks.indices[:50] == farpoint.select(X, 50).indices).all()


def test_nearest(benchmark: Benchmark) -> None:
    X, Y = rows(20_000, 128), rows(2000, 128)
    found = benchmark(farpoint.nearest, X, Y)
    np.testing.assert_array_equal(
        found.distances[:200], farpoint.nearest(X[:200], Y, backend="reference").distances
    )


def test_h_min(benchmark: Benchmark) -> None:
    X = rows(10_000, 128)
    pair = benchmark(farpoint.h_min, X)
    assert pair == farpoint.h_min(X, backend="numba")
