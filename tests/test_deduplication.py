"""Near-duplicates, against plain loops over all pairs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import farpoint
from tests.conftest import Array

METRICS = ["euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"]

rng = np.random.default_rng(7)
X = rng.standard_normal((200, 5)).astype(np.float32)


def check_kept_and_dropped(X: Array, found: farpoint.Deduplication, distance: float, metric: str) -> None:
    """Look at every pair."""
    distances = farpoint.pairwise_distances(X, metric=metric, backend="reference")
    kept = found.kept
    assert (np.diff(kept) > 0).all()
    between = distances[np.ix_(kept, kept)][~np.eye(len(kept), dtype=bool)]
    assert (between >= distance).all()
    assert (between > 0).all()
    np.testing.assert_array_equal(found.distances, distances[:, kept].min(axis=1))
    np.testing.assert_array_equal(
        found.distances, distances[np.arange(len(distances)), found.representatives]
    )
    assert ((found.distances < distance) | (found.distances == 0)).all()
    assert set(found.representatives) == set(kept)
    np.testing.assert_array_equal(found.representatives[kept], kept)
    np.testing.assert_array_equal(np.sort(np.concatenate((kept, found.dropped))), np.arange(len(distances)))


@pytest.mark.parametrize("metric", METRICS)
@given(
    X=hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.integers(1, 4)),
    distance=st.one_of(st.sampled_from([0.0, 1.0, 2.0, 4.0, 1e-300, 1e300]), st.floats(0, 5)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_kept_rows_are_apart_and_the_others_near(metric: str, X: Array, distance: float) -> None:
    found = farpoint.deduplicate(X, distance, metric=metric)
    check_kept_and_dropped(X, found, distance, metric)
    assert found.distance == distance
    assert found.metric == metric


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_drops_exact_duplicates_alone(dtype: type) -> None:
    """The first of each is kept, whatever lies next to it."""
    several: Array = np.concatenate((X, X[::3], X[:50])).astype(dtype)
    beside = np.nextafter(several[:5], dtype(np.inf))
    rows = np.concatenate((several, beside))
    found = farpoint.deduplicate(rows, 0)
    _, first = np.unique(rows, axis=0, return_index=True)
    np.testing.assert_array_equal(found.kept, np.sort(first))
    np.testing.assert_array_equal(rows[found.representatives], rows)


def test_it_is_the_selection_with_that_distance() -> None:
    found = farpoint.deduplicate(X, 2.0, threads=1, backend="cpu")
    s = farpoint.select(X, min_distance=2.0, assign=True)
    np.testing.assert_array_equal(found.kept, np.sort(s.indices))
    assert s.labels is not None
    np.testing.assert_array_equal(found.representatives, s.indices[s.labels])
    assert found.info["backend"] == "cpu"
    assert found.info["threads"] == 1


def test_a_chain_of_near_pairs_is_not_one_group() -> None:
    line = np.arange(10.0)[:, None]
    found = farpoint.deduplicate(line, 1.5)
    assert len(found) >= 4
    check_kept_and_dropped(line, found, 1.5, "euclidean")


def test_files_and_a_memory_limit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X[:90])
    np.save(tmp_path / "b.npy", X[90:])
    expected = farpoint.deduplicate(X, 1.5)
    for limit in (None, "1MB"):
        found = farpoint.deduplicate(tmp_path, 1.5, memory_limit=limit, spill_folder=tmp_path)
        np.testing.assert_array_equal(found.kept, expected.kept)
        np.testing.assert_array_equal(found.representatives, expected.representatives)
        np.testing.assert_array_equal(found.distances, expected.distances)
    with pytest.raises(ValueError, match="memory_limit = 10 bytes is too little"):
        farpoint.deduplicate(X, 1.5, memory_limit=10)


def test_progress_is_told() -> None:
    told: list[int] = []
    found = farpoint.deduplicate(X, 1.5, progress=lambda done, total, radius: told.append(done))
    assert told[-1] == len(found)


def test_the_result_is_frozen_and_says_what_it_is() -> None:
    found = farpoint.deduplicate(X, 1.5)
    assert len(found) == len(found.kept)
    assert len(found) + len(found.dropped) == 200
    assert repr(found) == (
        f"Deduplication(kept={len(found)}, dropped={200 - len(found)}, distance=1.5, metric='euclidean')"
    )
    for array in (found.kept, found.representatives, found.distances):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        found.kept = found.dropped  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.kept, found.kept)
    with pytest.raises(ValueError, match="read-only"):
        again.kept[0] = 0


@pytest.mark.parametrize(
    "distance, error, message",
    [
        (-1.0, ValueError, "distance must be at least 0, not -1.0"),
        (np.nan, ValueError, "distance must be at least 0, not nan"),
        (np.inf, ValueError, "distance must be finite, not inf"),
        (10**400, ValueError, "distance must be a number that float64 holds"),
        (None, TypeError, "distance must be a number, not None; 0 drops exact duplicates"),
        ("1", TypeError, "distance must be a number, not '1'"),
        (True, TypeError, "distance must be a number, not True"),
    ],
)
def test_distances_that_are_none(distance: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        farpoint.deduplicate(X, distance)
