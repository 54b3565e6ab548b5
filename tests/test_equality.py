"""Bit-equality with the reference, on data made to be hard."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from tests.answers import by_reference
from tests.conftest import EMULATED, Array, Check, Engine, assert_same

DIMENSIONS = (1, 2, 3, 15, 16, 17, 64, 384, 1000)
METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev")
ALL_DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int8, np.uint8)


def normal(n: int, d: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 33, 260])
def test_shapes(check: Check, n: int, d: int) -> None:
    X = normal(n, d, seed=n * 1000 + d).astype(np.float32)
    for k in sorted({1, max(1, n - 1), n}):
        check(X, k, assign=True)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda t: np.dtype(t).name)
@pytest.mark.parametrize("metric", METRICS)
def test_dtypes_and_metrics(check: Check, metric: str, dtype: Any) -> None:
    X = (normal(400, 37) * 20 + 30).astype(dtype)
    s = check(X, 90, metric=metric, assign=True)
    assert s.info["dtype"] == np.dtype(dtype).name


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_integer_grid_is_all_ties(check: Check, metric: str, d: int, dtype: Any) -> None:
    side = {1: 300, 2: 17, 3: 7, 5: 4}[d]
    grid = np.stack(np.meshgrid(*[np.arange(side)] * d), -1).reshape(-1, d)
    X = np.random.default_rng(d).permutation(grid % 127).astype(dtype)
    check(X, len(X), metric=metric, assign=True)
    check(X, len(X) // 3, metric=metric, start=len(X) - 1)


@pytest.mark.parametrize("n", [5, 700, 3000])
def test_all_rows_equal(check: Check, n: int) -> None:
    X = np.full((n, 7), 0.3, dtype=np.float32)
    s = check(X, n, start=n // 2, assign=True)
    # Duplicates come in index order, at radius 0, and no row twice.
    rest = [i for i in range(n) if i != n // 2]
    np.testing.assert_array_equal(s.indices, [n // 2, *rest])
    assert s.h_min == 0
    assert s.covering_radius == 0
    assert s.labels is not None
    assert (s.labels == 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_half_of_the_rows_are_duplicates(check: Check, metric: str) -> None:
    unique = normal(300, 20).astype(np.float32)
    X = np.concatenate((unique, unique))[np.random.default_rng(1).permutation(600)]
    s = check(X, 600, metric=metric, assign=True)
    assert (s.radii[:300] > 0).all()
    assert (s.radii[300:] == 0).all()
    assert (np.diff(s.indices[300:]) > 0).all()


def test_parallel_rows_have_cosine_distance_zero_and_not_less(check: Check) -> None:
    # 1 - x.y / sqrt(x.x y.y) comes out below zero for some multiples.
    base = normal(40, 9)
    X = np.concatenate([base * factor for factor in (1, 3, 7, 0.1, 11)])
    s = check(X, 200, metric="cosine", assign=True)
    assert (s.radii >= 0).all()
    assert s.distances is not None
    assert (s.distances >= 0).all()


@pytest.mark.parametrize("ordinary", [1, 3, 30])
@pytest.mark.parametrize("tiny", [1e-45, 1e-41, 1e-38])
def test_subnormal_columns_beside_ordinary_ones(check: Check, ordinary: int, tiny: float) -> None:
    # The directions beyond the ordinary columns' have lengths that float32 cannot invert.
    X = normal(100, 130) * tiny
    X[:, :ordinary] = normal(100, ordinary, seed=1)
    check(X.astype(np.float32), 50, assign=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", "chebyshev"])
def test_huge_common_offset(check: Check, metric: str, dtype: Any) -> None:
    X = (normal(500, 24) + 1e6).astype(dtype)
    check(X, 150, metric=metric, assign=True)


def test_tight_clusters_far_apart(check: Check) -> None:
    centres = normal(5, 16) * 1e4
    X = (np.repeat(centres, 120, axis=0) + normal(600, 16, seed=1) * 1e-3).astype(np.float32)
    check(X, 200, assign=True)


@pytest.mark.parametrize("exponent", [-30, -42, 30, 38])
@pytest.mark.parametrize("metric", METRICS)
def test_float32_scales(check: Check, metric: str, exponent: int) -> None:
    X = normal(300, 33)
    X = (X / np.abs(X).max() * 10.0**exponent).astype(np.float32)
    X = X[np.abs(X).max(axis=1) > 0]
    s = check(X, 80, metric=metric, assign=True)
    if metric != "cosine" and exponent != -42:
        assert (s.radii > 0).all()
        assert np.isfinite(s.radii[1:]).all()


@pytest.mark.parametrize("exponent", [-300, -170, 160, 300])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", "chebyshev"])
def test_float64_scales(check: Check, metric: str, exponent: int) -> None:
    X = normal(200, 17)
    scaled = X / np.abs(X).max() * 10.0**exponent
    s = check(scaled, 60, metric=metric, assign=True)
    assert np.isfinite(s.radii[1:]).all()
    assert (s.radii > 0).all()


def test_a_power_of_two_changes_nothing_but_the_unit(engine: Engine) -> None:
    X = normal(300, 20).astype(np.float32)
    plain = farpoint.select(X, 100, **engine.arguments)
    for exponent in (-100, -7, 90):
        scaled = farpoint.select(np.ldexp(X, exponent), 100, **engine.arguments)
        np.testing.assert_array_equal(scaled.indices, plain.indices)
        np.testing.assert_array_equal(scaled.radii, np.ldexp(plain.radii, exponent))


def test_cosine_rows_of_very_different_lengths(check: Check) -> None:
    lengths = 10.0 ** np.random.default_rng(5).uniform(-280, 280, size=(200, 1))
    check(normal(200, 12) * lengths, 70, metric="cosine")


def test_subnormal_and_signed_zero_elements(check: Check) -> None:
    X = normal(200, 10).astype(np.float32)
    X[::3, 2] = np.float32(1e-45)
    X[1::3, 2] = np.float32(-0.0)
    check(X, 200)
    check((X * 1e-40).astype(np.float32), 200)


def test_one_huge_element_in_each_row(check: Check) -> None:
    X = normal(400, 30).astype(np.float32)
    X[np.arange(400), np.random.default_rng(2).integers(0, 30, 400)] = 1e6
    check(X, 150, assign=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_warm_starts(check: Check, metric: str, dtype: Any) -> None:
    X = normal(500, 19).astype(dtype)
    anchors = normal(45, 19, seed=9).astype(dtype)
    selected = [3, 499, 77]
    for options in (
        {"selected": selected},
        {"anchors": anchors},
        {"selected": selected, "anchors": anchors},
        {"selected": np.arange(0, 500, 2), "anchors": X[:30]},
    ):
        s = check(X, 60, metric=metric, assign=True, **options)
        assert not set(s.indices) & set(np.asarray(options.get("selected", [])).tolist())
        assert np.isfinite(s.radii[0])


def test_everything_but_one_row_selected(check: Check) -> None:
    X = normal(50, 4)
    s = check(X, 1, selected=np.arange(49), assign=True)
    assert s.indices.tolist() == [49]
    assert s.covering_radius == 0


@pytest.mark.parametrize("metric", METRICS)
def test_min_distance(check: Check, metric: str) -> None:
    X = normal(500, 6).astype(np.float32)
    full = farpoint.select(X, 500, metric=metric)
    for radius in (full.radii[1], full.radii[30], full.radii[200], full.radii[200] * (1 - 1e-9), 1e9):
        s = check(X, min_distance=radius, metric=metric, assign=True)
        expected = int((full.radii >= radius).sum())
        assert len(s) == expected
        assert s.h_min >= radius
        assert s.covering_radius < radius
    both = check(X, 20, min_distance=full.radii[200], metric=metric)
    assert len(both) == 20


def test_min_distance_can_refuse_every_pick(check: Check) -> None:
    s = check(normal(30, 3), min_distance=1e6, anchors=normal(4, 3, seed=1), assign=True)
    assert len(s) == 0
    assert s.h_min == np.inf
    assert s.labels is not None
    assert (s.labels == -1).all()


def test_min_distance_selects_nothing_where_everything_is_selected(check: Check) -> None:
    s = check(normal(12, 3), min_distance=0.5, selected=np.arange(12), assign=True)
    assert len(s) == 0
    assert s.covering_radius == 0


def test_a_fraction_takes_at_most_what_is_left(check: Check) -> None:
    assert len(check(normal(20, 3), 0.5, selected=np.arange(15))) == 5


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_distances_that_float64_does_not_hold(check: Check, engine: Engine, metric: str) -> None:
    """In order all the same, and without a warning; infinite where they cannot be said."""
    X = np.array([[0.0, 0.0], [1.7e308, -1.7e308], [-1.7e308, 1.7e308], [1e300, 1.0], [1e300, 5e153]])
    s = check(X, 5, metric=metric, assign=True)
    assert s.indices.tolist() == [0, 1, 2, 3, 4]
    assert (s.radii[:3] == np.inf).all()
    assert s.radii[3] == (1e300 if metric == "euclidean" else np.inf)
    assert len(check(X, min_distance=np.inf, metric=metric)) == 1
    pair = farpoint.h_min(X, metric=metric, **engine.arguments)
    assert (pair.i, pair.j) == (3, 4)
    assert farpoint.pairwise_distances(X, metric=metric, **engine.arguments)[1, 2] == np.inf


@pytest.mark.parametrize("k, expected", [(0.1, 21), (0.5, 104), (1.0, 207), (0.001, 1), (207, 207)])
def test_fractions(check: Check, k: int | float, expected: int) -> None:
    assert len(check(normal(207, 5), k)) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_start_at_the_center(check: Check, metric: str) -> None:
    X = (normal(321, 8) + 2).astype(np.float32)
    s = check(X, 10, metric=metric, start="center")
    unit = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
    mean = unit.astype(np.float64).mean(axis=0)
    if metric == "cosine":
        mean /= np.linalg.norm(mean)
    order = {"manhattan": 1, "chebyshev": np.inf}.get(metric, 2)
    assert s.indices[0] == np.argmin(np.linalg.norm(unit - mean, order, axis=1))


def test_start_at_random_follows_the_seed(check: Check) -> None:
    X = normal(300, 5)
    first = [check(X, 3, start="random", seed=seed).indices[0] for seed in range(8)]
    again = [farpoint.select(X, 3, start="random", seed=seed).indices[0] for seed in range(8)]
    assert first == again
    assert len(set(first)) > 3


def test_memory_layouts(check: Check, tmp_path: Path) -> None:
    X = normal(250, 31).astype(np.float32)
    expected = check(X, 60)
    np.save(tmp_path / "x.npy", X)
    wide = np.zeros((250, 62), dtype=np.float32)
    wide[:, ::2] = X
    tall = np.zeros((500, 40), dtype=np.float32)
    tall[::2, 3:34] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    reversed_rows = np.ascontiguousarray(X[::-1])[::-1]
    offset = np.frombuffer(b"\0" + X.tobytes(), dtype=np.uint8)[1:].view(np.float32).reshape(X.shape)
    for variant in (
        np.asfortranarray(X),
        wide[:, ::2],
        tall[::2, 3:34],
        read_only,
        reversed_rows,
        offset,
        X.astype(">f4"),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        X.view(np.matrix),
    ):
        s = check(variant, 60)
        np.testing.assert_array_equal(s.indices, expected.indices)
        np.testing.assert_array_equal(s.radii, expected.radii)


@pytest.mark.parametrize("seed", range(12))
def test_random_instances(check: Check, seed: int) -> None:
    """Odd shapes, odd options, all at once."""
    rng = np.random.default_rng(seed)
    for _ in range(6):
        n, d = int(rng.integers(1, 400)), int(rng.integers(1, 70))
        kind = rng.integers(5)
        if kind == 0:
            X = rng.integers(-2, 3, (n, d)).astype(np.float64)
        elif kind == 1:
            X = rng.standard_normal((n, d))[rng.integers(0, n, n)]
        elif kind == 2:
            X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-3, 4, (n, 1))
        elif kind == 3:
            X = rng.standard_normal((n, d)) + 10.0 ** rng.integers(0, 6)
        else:
            X = rng.uniform(0, 1, (n, d)) ** 8
        X = X.astype([np.float32, np.float64][rng.integers(2)])
        options: dict[str, Any] = {"assign": bool(rng.integers(2))}
        if rng.integers(2) and n > 2:
            options["selected"] = rng.permutation(n)[: int(rng.integers(1, n - 1))]
        if rng.integers(3) == 0:
            options["anchors"] = rng.standard_normal((int(rng.integers(1, 20)), d))
        free = n - len(options.get("selected", ()))
        if len(options) == 1:
            options["start"] = int(rng.integers(n))
        check(X, int(rng.integers(1, free + 1)), **options)


@cache
def point_cloud(kind: str, d: int, n: int, k: int) -> tuple[Array, farpoint.Selection]:
    """Return points and what Numba selects of them, whose batches know nothing of boxes."""
    rng = np.random.default_rng(d)
    clouds: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "uniform": lambda: rng.uniform(size=(n, d)),
        "grid": lambda: rng.integers(0, max(2, round(n ** (1 / d))), (n, d)),
        "clusters": lambda: rng.integers(0, 5, (n, 1)) * 10.0 + rng.standard_normal((n, d)) * 0.01,
    }
    X = clouds[kind]().astype(np.float32)
    return X, farpoint.select(X, k, assign=True, backend="numba")


@pytest.mark.parametrize("kind", ["uniform", "grid", "clusters"])
@pytest.mark.parametrize("d", [2, 3, 8])
def test_point_clouds_against_another_engine(engine: Engine, kind: str, d: int) -> None:
    """Large enough for trees, rounds and threads."""
    n, k = (4_000, 300) if EMULATED and engine.backend == "cuda" else (20_000, 1000)
    X, expected = point_cloud(kind, d, n, k)
    assert_same(farpoint.select(X, k, assign=True, **engine.arguments), expected)


class TestDistances:
    """nearest, h_min, pairwise_distances, covering_radius."""

    def test_first_of_equal_pairs(self, engine: Engine) -> None:
        # Rows 0 and 2 fall into one cell and are looked at first; row 1 is as near.
        parallel = np.array([708608, 790528, 260096, 516096, 460800, 774144, 321536, 872448, 643072])
        X = parallel[:, None].astype(ml_dtypes.bfloat16)
        assert farpoint.h_min(X, metric="cosine", **engine.arguments) == (0.0, 0, 1)
        for seed in range(5):
            X = np.random.default_rng(seed).integers(0, 2, (300, 16)).repeat(2, axis=1).astype(np.float32)
            X = np.unique(X, axis=0)
            np.random.default_rng(seed).shuffle(X)
            expected = by_reference(farpoint.h_min, X)
            assert farpoint.h_min(X, **engine.arguments) == expected

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda t: np.dtype(t).name)
    def test_against_reference(self, engine: Engine, metric: str, dtype: Any) -> None:
        X = (normal(230, 21) * 20 + 30).astype(dtype)
        Y = (normal(145, 21, seed=1) * 20 + 30).astype(dtype)
        calls: tuple[tuple[Any, tuple[Any, ...]], ...] = (
            (farpoint.nearest, (X, Y)),
            (farpoint.nearest, (Y, X)),
            (farpoint.pairwise_distances, (X, Y)),
            (farpoint.h_min, (X,)),
            (farpoint.covering_radius, (X, Y)),
        )
        for function, arguments in calls:
            expected = by_reference(function, *arguments, metric=metric)
            actual = function(*arguments, metric=metric, **engine.arguments)
            if isinstance(expected, farpoint.Nearest):
                np.testing.assert_array_equal(actual.distances, expected.distances)
                np.testing.assert_array_equal(actual.indices, expected.indices)
            else:
                np.testing.assert_array_equal(actual, expected)

    @pytest.mark.parametrize("n", [2, 3, 40, 700])
    @pytest.mark.parametrize("kind", ["normal", "grid", "equal", "pairs", "offset"])
    def test_closest_pair_ties(self, engine: Engine, kind: str, n: int) -> None:
        rng = np.random.default_rng(n)
        kinds: dict[str, Callable[[], Array]] = {
            "normal": lambda: rng.standard_normal((n, 5)),
            "grid": lambda: rng.integers(0, 30, (n, 2)).astype(float),
            "equal": lambda: np.ones((n, 3)),
            # Every row has a partner at the same distance; the lowest pair must win.
            "pairs": lambda: np.stack((np.arange(n) // 2 * 10.0 + np.arange(n) % 2, np.zeros(n)), 1)[
                rng.permutation(n)
            ],
            "offset": lambda: rng.standard_normal((n, 5)) + 1e5,
        }
        X = kinds[kind]()
        for dtype in (np.float32, np.float64):
            expected = by_reference(farpoint.h_min, X.astype(dtype))
            assert farpoint.h_min(X.astype(dtype), **engine.arguments) == expected

    def test_chunks_do_not_show(self, engine: Engine) -> None:
        """More rows than any chunk holds; integer values, so ties are everywhere."""
        rng = np.random.default_rng(0)
        Y = rng.integers(0, 12, (9000, 3)).astype(np.float32)
        X = rng.integers(0, 12, (50, 3)).astype(np.float32) + 0.5
        expected = by_reference(farpoint.nearest, X, Y)
        actual = farpoint.nearest(X, Y, **engine.arguments)
        np.testing.assert_array_equal(actual.distances, expected.distances)
        np.testing.assert_array_equal(actual.indices, expected.indices)

    def test_closest_pair_across_chunks(self, engine: Engine) -> None:
        X = normal(9001, 6).astype(np.float32)
        X[8999] = X[17] + np.float32(1e-4)
        X[4500] = X[4101] + np.float32(1e-4)
        pairs = [(17, 8999), (4101, 4500)]
        distances = [farpoint.pairwise_distances(X[[i]], X[[j]], backend="reference")[0, 0] for i, j in pairs]
        assert max(distances) < 3e-4  # and no others: the next pair is hundreds of times as far
        best = int(np.argmin(distances))
        assert farpoint.h_min(X, **engine.arguments) == (distances[best], *pairs[best])

    def test_out(self, engine: Engine) -> None:
        X, Y = normal(70, 9), normal(50, 9, seed=2)
        expected = by_reference(farpoint.pairwise_distances, X, Y)
        for dtype in (np.float32, np.float64):
            out = np.zeros((70, 50), dtype=dtype)
            assert farpoint.pairwise_distances(X, Y, out, **engine.arguments) is out
            np.testing.assert_array_equal(out, expected.astype(dtype))

    def test_mixed_dtypes_meet_in_the_type_that_holds_both(self, engine: Engine) -> None:
        X = normal(60, 8)
        Y = (normal(40, 8, seed=1) * 50).astype(np.int8)
        expected = farpoint.nearest(X, Y.astype(np.float64), backend="reference")
        actual = farpoint.nearest(X, Y, **engine.arguments)
        np.testing.assert_array_equal(actual.distances, expected.distances)
        np.testing.assert_array_equal(actual.indices, expected.indices)


def test_selection_agrees_with_distances(engine: Engine) -> None:
    """Radii, labels and covering radius are what the distance functions return, to the bit."""
    X = normal(800, 40).astype(np.float32)
    s = farpoint.select(X, 120, assign=True, **engine.arguments)
    picks = X[s.indices]
    assert farpoint.h_min(picks, **engine.arguments).value == s.h_min
    assert farpoint.covering_radius(X, picks, **engine.arguments) == s.covering_radius
    found = farpoint.nearest(X, picks, **engine.arguments)
    np.testing.assert_array_equal(found.distances, s.distances)
    np.testing.assert_array_equal(found.indices, s.labels)
