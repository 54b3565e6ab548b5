"""A matrix in several pieces: the bits of the matrix in one, by every engine."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from farpoint._parts import PartedMatrix
from tests.conftest import Array, Engine, assert_same, every_engine


def parted(X: Array, cuts: list[int], name: str = "shard") -> PartedMatrix:
    """Return rows in copies of their own; every third part with rows further apart than others."""
    pieces = np.split(X, cuts)
    for i in range(0, len(pieces), 3):
        spread = np.zeros((len(pieces[i]), X.shape[1] + 5), dtype=X.dtype)
        spread[:, : X.shape[1]] = pieces[i]
        pieces[i] = spread[:, : X.shape[1]]
    return PartedMatrix(
        [(f"{name}{i}", [piece.copy() if i % 3 else piece]) for i, piece in enumerate(pieces)], name
    )


def cuts(n: int, seed: int) -> list[int]:
    """Return places to cut at, repeated ones and the ends among them: parts may be empty or of one row."""
    random = np.random.default_rng(seed)
    return sorted([0, 1, 2, n - 1, n, *random.integers(0, n, 7).tolist()])


def data(n: int, d: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    rows = np.random.default_rng(seed).standard_normal((n, d)) * 20
    rows[n // 2] = rows[n // 3]
    return rows.astype(dtype)


CASES: list[dict[str, Any]] = [
    {"d": 20},
    {"d": 3},
    {"d": 1, "k": 100},
    {"d": 8, "dtype": np.float64},
    {"d": 33, "dtype": np.float16},
    {"d": 17, "dtype": ml_dtypes.bfloat16},
    {"d": 70, "dtype": np.int8},
    {"d": 5, "dtype": np.uint8},
    {"d": 20, "metric": "cosine"},
    {"d": 20, "metric": "cosine", "dtype": np.float64},
    {"d": 20, "metric": "sqeuclidean", "start": "center"},
    {"d": 20, "selected": [0, 2, 299], "assign": True},
    {"d": 3, "selected": [5, 150], "assign": True},
    {"d": 20, "anchors": 9, "assign": True},
    {"d": 4, "anchors": 9},
    {"d": 20, "dtype": np.float64, "scale": 1e200},
    {"d": 20, "dtype": np.float64, "scale": 1e-250, "metric": "cosine"},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@every_engine
def test_selections_are_those_of_one_matrix(engine: Engine, case: dict[str, Any]) -> None:
    options = dict(case)
    dtype = options.pop("dtype", np.float32)
    X = data(300, options.pop("d"), dtype) * np.asarray(options.pop("scale", 1), dtype=dtype)
    if dtype == np.uint8 and options.get("metric") == "cosine":
        X[~X.any(axis=1)] = 1
    k = options.pop("k", 40)
    anchors = options.pop("anchors", 0)
    for seed in range(2):
        whole = {**options, **({"anchors": X[:anchors] + X[1]} if anchors else {})}
        pieces = {**options, **({"anchors": parted(whole["anchors"], [2, 5])} if anchors else {})}
        with engine.active():
            expected = farpoint.select(X, k, **whole, **engine.arguments)
            found = farpoint.select(parted(X, cuts(300, seed)), k, **pieces, **engine.arguments)
        assert_same(found, expected)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@every_engine
def test_pairs_are_those_of_one_matrix(engine: Engine, metric: str, d: int) -> None:
    X, Y = data(150, d), data(90, d, seed=1)
    options: dict[str, Any] = {"metric": metric, **engine.arguments}
    x, y = parted(X, cuts(150, 2)), parted(Y, cuts(90, 3))
    with engine.active():
        expected = farpoint.nearest(X, Y, **options)
        for found in (farpoint.nearest(x, y, **options), farpoint.nearest(x, Y, **options)):
            np.testing.assert_array_equal(found.distances, expected.distances)
            np.testing.assert_array_equal(found.indices, expected.indices)
        assert farpoint.h_min(x, **options) == farpoint.h_min(X, **options)
        distances = farpoint.pairwise_distances(X, Y, **options)
        np.testing.assert_array_equal(farpoint.pairwise_distances(x, y, **options), distances)
        out = np.empty(distances.shape)
        farpoint.pairwise_distances(x, y, out, **options)
        np.testing.assert_array_equal(out, distances)
        assert farpoint.covering_radius(x, y, **options) == expected.distances.max()


def test_types_are_made_equal_part_by_part() -> None:
    X = data(60, 5)
    Y = data(20, 5, np.int8)
    x, y = parted(X, [7, 40]), parted(Y, [3, 9])
    for a, b, c, d in ((x, y, X, Y), (y, x, Y, X), (x, Y.astype(np.float64), X, Y.astype(np.float64))):
        np.testing.assert_array_equal(farpoint.nearest(a, b).distances, farpoint.nearest(c, d).distances)
    assert_same(farpoint.select(x, 9, anchors=y), farpoint.select(X, 9, anchors=Y))
    whole = np.rint(X).clip(-100, 100)
    assert_same(farpoint.select(y, 9, anchors=parted(whole, [30])), farpoint.select(Y, 9, anchors=whole))
    with pytest.raises(TypeError, match="a has dtype float32 with elements that b's dtype int8 cannot hold"):
        farpoint.select(parted(Y, [9], "b"), 9, anchors=parted(X, [9], "a"))


@every_engine
def test_bad_rows_are_named_by_their_source(engine: Engine) -> None:
    X = data(300, 6)
    with engine.active():
        bad = X.copy()
        bad[217, 2] = np.nan
        with pytest.raises(ValueError, match="^b2 must be finite: row 17, column 2 is NaN"):
            farpoint.select(parted(bad, [100, 200], "b"), 3, **engine.arguments)
        with pytest.raises(ValueError, match="^b1 must be finite: row 0, column 2 is NaN"):
            farpoint.select(X, 3, anchors=parted(bad, [217], "b"), **engine.arguments)
        bad[217] = 0
        with pytest.raises(ValueError, match="^b2: row 17 is all zeros"):
            farpoint.h_min(parted(bad, [100, 200], "b"), metric="cosine", **engine.arguments)


def test_rows_of_parts() -> None:
    X = data(50, 4)
    x = parted(X, [0, 10, 11, 11, 40, 50])
    assert (len(x), x.shape, x.dtype) == (50, (50, 4), X.dtype)
    assert x.starts.tolist() == [0, 10, 11, 40, 50]
    assert x.names == ["shard1", "shard2", "shard4", "shard5"]
    assert x.files == [(f"shard{i}", rows) for i, rows in enumerate([0, 10, 1, 0, 29, 10, 0])]
    np.testing.assert_array_equal(np.asarray(x), X)
    np.testing.assert_array_equal(np.asarray(x, dtype=np.float64), X.astype(np.float64))
    np.testing.assert_array_equal(np.stack(list(x)), X)
    rows = np.array([49, 0, 10, 11, 10, 39, 40])
    np.testing.assert_array_equal(x.take(rows), X[rows])
    assert x.take(rows[:0]).shape == (0, 4)
    for begin in range(0, 52, 3):
        for end in (begin, begin + 1, begin + 7, 50, 99):
            np.testing.assert_array_equal(x.rows(begin, end), X[begin:end])
            np.testing.assert_array_equal(x[begin:end], X[begin:end])
    np.testing.assert_array_equal(x[::7], X[::7])
    assert np.shares_memory(x.rows(12, 39), x.parts[2])
    for row in range(50):
        np.testing.assert_array_equal(x[row], X[row])
    with pytest.raises(IndexError):
        x[50]
    assert x.describe(10) == "row 0 of shard2"
    assert x.describe(39) == "row 28 of shard4"
    assert x.map(lambda part: part * 2).files == x.files
    np.testing.assert_array_equal(np.asarray(x.map(lambda part: part * 2)), X * 2)


def test_parts_that_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match="b has shape .* they cannot be one matrix"):
        PartedMatrix([("a", [np.eye(3)]), ("b", [np.eye(4)])], "m")
    with pytest.raises(ValueError, match="m has no rows"):
        PartedMatrix([("a", [np.zeros((0, 3))])], "m")


def test_the_extension_checks_parts() -> None:
    """Private, but wrong arguments must not reach memory that is not theirs."""
    _cpu = pytest.importorskip("farpoint._cpu")
    X = data(20, 4)
    for wrong in ([], [X, X[:, :3]], [X, X[:0]], [X, X.astype(np.float64)], [X, X.T]):
        with pytest.raises(ValueError, match="expected"):
            _cpu.scan(wrong, "float32", 1, "")
    assert _cpu.scan([X[:3], X[3:]], "float32", 1, "") == _cpu.scan(X, "float32", 1, "")
