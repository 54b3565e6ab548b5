"""Manhattan and chebyshev: their values by another library, their units, and what supports them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import farpoint
from farpoint.backends import choose_backend
from tests.answers import by_reference
from tests.conftest import Array, Engine, assert_same

SCIPY_NAMES = {"manhattan": "cityblock", "chebyshev": "chebyshev"}
METRICS = tuple(SCIPY_NAMES)


def rows(n: int, d: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    made = np.random.default_rng(seed).standard_normal((n, d))
    return (made * 20 + 50).clip(0, 127).astype(dtype) if np.dtype(dtype).kind in "iu" else made.astype(dtype)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan"])
def test_a_minimum_distance_that_is_subnormal_is_kept(metric: str) -> None:
    """Very many stored values stand for one such distance: they are not looked at one by one."""
    X = np.ldexp(rows(60, 5, np.float64), -1040 if metric == "manhattan" else -520)
    for scale in (1, 2.0**-12):
        apart = float(farpoint.select(X * scale, 30, metric=metric).h_min)
        for distance in (apart, np.nextafter(apart, np.inf)):
            s = farpoint.select(X * scale, metric=metric, min_distance=float(distance))
            assert s.h_min >= distance
            assert s.covering_radius < distance


@pytest.mark.parametrize("d", [1, 3, 16, 47, 130])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8])
@pytest.mark.parametrize("metric", METRICS)
def test_values_are_those_of_scipy(engine: Engine, metric: str, dtype: Any, d: int) -> None:
    X, Y = rows(40, d, dtype), rows(23, d, dtype, seed=1)
    expected = cdist(X.astype(np.float64), Y.astype(np.float64), SCIPY_NAMES[metric])
    found = farpoint.pairwise_distances(X, Y, metric=metric, **engine.arguments)
    # One rounding to the stored type, and those of a float64 sum.
    tolerance = 2.0**-24 if np.dtype(dtype) != np.float64 else 2.0**-53 * (d + 2)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("metric", METRICS)
def test_a_selection_is_that_of_all_distances(engine: Engine, metric: str) -> None:
    X = rows(400, 31, np.float64)
    distances = cdist(X, X, SCIPY_NAMES[metric])
    nearest, order, radii = np.full(400, np.inf), [0], []
    for _ in range(60):
        nearest = np.minimum(nearest, distances[order[-1]])
        order.append(int(np.argmax(nearest)))
        radii.append(nearest[order[-1]])
    s = farpoint.select(X, 60, metric=metric, assign=True, **engine.arguments)
    assert s.indices.tolist() == order[:60]
    np.testing.assert_allclose(s.radii[1:], radii[:-1], rtol=1e-14)
    assert s.covering_radius == pytest.approx(radii[-1], rel=1e-14)
    assert s.labels is not None
    np.testing.assert_array_equal(s.labels, distances[:, order[:60]].argmin(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", METRICS)
def test_a_power_of_two_changes_nothing_but_the_unit(engine: Engine, metric: str, dtype: Any) -> None:
    X = rows(300, 20, dtype)
    plain = farpoint.select(X, 100, metric=metric, **engine.arguments)
    for exponent in (-100, -7, 1, 90, *((-1001, 999) if dtype == np.float64 else ())):
        scaled = farpoint.select(np.ldexp(X, exponent), 100, metric=metric, **engine.arguments)
        np.testing.assert_array_equal(scaled.indices, plain.indices)
        np.testing.assert_array_equal(scaled.radii, np.ldexp(plain.radii, exponent))


@pytest.mark.parametrize("metric", METRICS)
def test_small_integers_are_exact(engine: Engine, metric: str) -> None:
    X = rows(200, 37, np.uint8)
    expected = cdist(X.astype(np.float64), X.astype(np.float64), SCIPY_NAMES[metric])
    np.testing.assert_array_equal(farpoint.pairwise_distances(X, metric=metric, **engine.arguments), expected)
    np.fill_diagonal(expected, np.inf)
    pair = farpoint.h_min(X, metric=metric, **engine.arguments)
    assert pair == (expected.min(), *divmod(int(expected.argmin()), len(X)))


@pytest.mark.parametrize("metric", METRICS)
def test_the_largest_elements_of_a_type_do_not_overflow(engine: Engine, metric: str) -> None:
    top = float(np.finfo(np.float32).max)
    X = np.array([[top, -top, top], [-top, top, -top], [0, 0, 0], [top, 0, 0]], dtype=np.float32)
    found = farpoint.pairwise_distances(X, metric=metric, **engine.arguments)
    expected = cdist(X.astype(np.float64), X.astype(np.float64), SCIPY_NAMES[metric])
    np.testing.assert_allclose(found, expected, rtol=2.0**-24)
    assert farpoint.select(X, 4, metric=metric, **engine.arguments).indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("metric", METRICS)
def test_sums_that_round_up_hide_no_nearer_pick(engine: Engine, metric: str) -> None:
    """Differences that a float32 sum rounds up every time: its bound is as near the distance as can be."""
    rng = np.random.default_rng(3)
    X = np.zeros((300, 259), dtype=np.float32)
    X[:, 0] = rng.integers(0, 3, 300)
    X[:, 1:] = rng.integers(0, 3, (300, 258)) * np.float32(1.01 * 2.0**-24)
    expected = by_reference(farpoint.select, X, 120, metric=metric, assign=True)
    s = farpoint.select(X, 120, metric=metric, assign=True, **engine.arguments)
    np.testing.assert_array_equal(s.indices, expected.indices)
    np.testing.assert_array_equal(s.radii, expected.radii)
    np.testing.assert_array_equal(s.labels, expected.labels)


@pytest.mark.parametrize("metric", METRICS)
def test_the_screen_skips_most_pairs(metric: str) -> None:
    """A screen that lets everything through would be exact, too."""
    s = farpoint.select(rows(5000, 64), 200, metric=metric, backend="cpu")
    pairs = 5000 * 200
    assert s.info["pairs_refined"] < 0.1 * pairs
    assert s.info["pairs_screened"] <= pairs


@pytest.mark.parametrize("kind", ["normal", "clusters", "outliers"])
@pytest.mark.parametrize("metric", METRICS)
def test_work_enough_for_bytes(metric: str, kind: str) -> None:
    """From n d k = 10^9 on rows may become bytes: fine enough for some data, given up for other."""
    X = rows(20_000, 96)
    if kind == "clusters":
        X = X * np.float32(1e-3) + rows(7, 96, seed=1)[np.arange(len(X)) % 7] * 100
    elif kind == "outliers":
        X[::1000] *= 1e4
    options: dict[str, Any] = {"metric": metric, "assign": True}
    expected = farpoint.select(X, 600, backend="numba", **options)
    for threads in (1, 3):
        assert_same(farpoint.select(X, 600, backend="cpu", threads=threads, **options), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_cuda_says_that_it_does_not_support_them(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from farpoint.backends import cuda

    monkeypatch.setattr(type(cuda.BACKEND), "unavailable", lambda self: None)
    with pytest.raises(ValueError, match=f"backend 'cuda' does not support metric '{metric}'; it supports"):
        choose_backend("cuda", metric)
    monkeypatch.setattr(type(cuda.BACKEND), "present", lambda self: True)
    assert choose_backend("auto", metric, "float32", work=1e15).name != "cuda"
