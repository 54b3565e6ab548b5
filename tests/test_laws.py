"""Laws that every selection obeys, searched for counterexamples by Hypothesis."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import farpoint
from tests.conftest import Array, Engine, every_engine

METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev")

common = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# There are a dozen engines.
few_each = settings(common, max_examples=20)


def matrices(max_rows: int = 40, max_columns: int = 20) -> st.SearchStrategy[Array]:
    shapes = st.tuples(st.integers(2, max_rows), st.integers(1, max_columns))
    small = st.integers(-3, 3).map(float)
    real = st.floats(-100, 100, width=32, allow_subnormal=False)
    return shapes.flatmap(
        lambda shape: st.one_of([hnp.arrays(np.float32, shape, elements=e) for e in (small, real)])
    )


def cosine_ready(X: Array, metric: str) -> Array:
    if metric == "cosine":
        assume(X.any(axis=1).all())
    return X


@pytest.mark.parametrize("metric", METRICS)
@every_engine
@given(X=matrices(), data=st.data())
@few_each
def test_radii_never_increase_and_h_min_is_the_closest_pair(
    engine: Engine, metric: str, X: Array, data: st.DataObject
) -> None:
    with engine.active():
        cosine_ready(X, metric)
        k = data.draw(st.integers(2, len(X)))
        start = data.draw(st.integers(0, len(X) - 1))
        s = farpoint.select(X, k, start=start, metric=metric, **engine.arguments)
        assert len(set(s.indices.tolist())) == k
        assert (np.diff(s.radii) <= 0).all()
        for t in {2, k // 2, k} - {0, 1}:
            chosen = s.prefix(t)
            distances = farpoint.pairwise_distances(X[chosen.indices], metric=metric, backend="reference")
            assert chosen.h_min == distances[~np.eye(t, dtype=bool)].min()
            everything = farpoint.pairwise_distances(X, X[chosen.indices], metric=metric, backend="reference")
            free = np.setdiff1d(np.arange(len(X)), chosen.indices)
            assert chosen.covering_radius == (everything[free].min(axis=1).max() if len(free) else 0)


@every_engine
@given(X=matrices(), data=st.data())
@few_each
def test_every_prefix_is_the_selection_of_that_length(engine: Engine, X: Array, data: st.DataObject) -> None:
    with engine.active():
        k = data.draw(st.integers(1, len(X)))
        t = data.draw(st.integers(1, k))
        longer = farpoint.select(X, k, **engine.arguments)
        shorter = farpoint.select(X, t, **engine.arguments)
        prefix = longer.prefix(t)
        np.testing.assert_array_equal(prefix.indices, shorter.indices)
        np.testing.assert_array_equal(prefix.radii, shorter.radii)
        assert prefix.covering_radius == shorter.covering_radius
        assert prefix.upper_bound == shorter.upper_bound


@pytest.mark.parametrize("metric", METRICS)
@every_engine
@given(seed=st.integers(0, 2**32), n=st.integers(2, 40), d=st.integers(2, 9))
@few_each
def test_permuting_rows_permutes_the_result(engine: Engine, metric: str, seed: int, n: int, d: int) -> None:
    with engine.active():
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, d))
        distances = farpoint.pairwise_distances(X, metric=metric, backend="reference")
        values = distances[np.triu_indices(n, 1)]
        assume(len(np.unique(values)) == len(values))
        order = rng.permutation(n)
        start = int(rng.integers(n))
        plain = farpoint.select(X, n, start=start, metric=metric, **engine.arguments)
        permuted = farpoint.select(
            X[order], n, start=int(np.flatnonzero(order == start)[0]), metric=metric, **engine.arguments
        )
        np.testing.assert_array_equal(order[permuted.indices], plain.indices)
        np.testing.assert_array_equal(permuted.radii, plain.radii)


@pytest.mark.parametrize("metric", METRICS)
@given(X=matrices(max_rows=12, max_columns=4), data=st.data())
@common
def test_the_certificate_holds_against_exhaustive_search(metric: str, X: Array, data: st.DataObject) -> None:
    cosine_ready(X, metric)
    k = data.draw(st.integers(2, len(X)))
    start = data.draw(st.integers(0, len(X) - 1))
    s = farpoint.select(X, k, start=start, metric=metric)
    distances = farpoint.pairwise_distances(X, metric=metric, backend="reference")
    np.fill_diagonal(distances, np.inf)
    best = max(distances[np.ix_(rows, rows)].min() for rows in combinations(range(len(X)), k))
    assert s.h_min <= best <= s.upper_bound
    assert s.upper_bound <= s.h_min * (4 if metric in ("sqeuclidean", "cosine") else 2) * (1 + 1e-6) + 1e-11


@pytest.mark.parametrize("metric", METRICS)
@every_engine
@given(X=matrices(max_columns=5), data=st.data())
@few_each
def test_more_anchors_never_raise_a_radius_beyond_the_certificate(
    engine: Engine, metric: str, X: Array, data: st.DataObject
) -> None:
    """The first radius falls; a later one can rise, for greedy goes another way, but never beyond the bound.

    If pick t had a larger radius with more anchors than twice the radius r_t with few, the t + 1 rows would
    be more than 2 r_t apart and away from the anchors, in t cells of radius r_t: two in one (pigeonhole).
    """
    with engine.active():
        cosine_ready(X, metric)
        elements = st.floats(-100, 100, width=32, allow_subnormal=False)
        shape = (data.draw(st.integers(1, 6)), X.shape[1])
        anchors = cosine_ready(data.draw(hnp.arrays(np.float32, shape, elements=elements)), metric)
        few = farpoint.select(X, len(X), anchors=anchors[:1], metric=metric, **engine.arguments)
        many = farpoint.select(X, len(X), anchors=anchors, metric=metric, **engine.arguments)
        assert many.radii[0] <= few.radii[0]
        for t in range(1, len(X) + 1):
            assert many.radii[t - 1] <= few.prefix(t).upper_bound
        # With the picks held fixed, every row is at most as far from what is kept away from.
        assign = {"metric": metric, **engine.arguments, "assign": True}
        alone = farpoint.select(X, 1, selected=few.indices[:-1], **assign)
        with_anchors = farpoint.select(X, 1, selected=few.indices[:-1], anchors=anchors, **assign)
        assert alone.distances is not None
        assert with_anchors.distances is not None
        assert (with_anchors.distances <= alone.distances).all()


def test_a_later_radius_can_rise_with_more_anchors() -> None:
    """Why the law above has a factor: the smallest known counterexample to the plain one."""
    X = np.array([[2.0], [0], [10], [0], [6], [4], [5]])
    few = farpoint.select(X, 5, anchors=[[10.0]])
    many = farpoint.select(X, 5, anchors=[[10.0], [9.0]])
    assert few.radii.tolist() == [10, 5, 2, 1, 1]
    assert many.radii.tolist() == [9, 4, 2, 2, 1]
