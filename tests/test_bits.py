"""Metrics of packed bits: equality with the reference, with SciPy, and what is refused."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import farpoint
from tests.answers import by_reference
from tests.conftest import ENGINES, Array, Check, Engine, assert_same, every_engine
from tests.test_laws import common, few_each

METRICS = ("hamming", "jaccard")
BIT_ENGINES = [engine for engine in ENGINES if engine.backend != "cuda"]


@pytest.fixture(params=BIT_ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Any:
    """Every engine that has these metrics, active for the test."""
    chosen: Engine = request.param
    with chosen.active():
        yield chosen


def fingerprints(n: int, columns: int, density: float, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return np.packbits(rng.random((n, 8 * columns)) < density, axis=1)


def clustered(n: int, columns: int, seed: int = 0) -> Array:
    """Rows of very different numbers of bits, near each other in groups; some are empty, some twice there."""
    rng = np.random.default_rng(seed)
    centres = rng.random((8, 8 * columns)) < np.linspace(0.01, 0.9, 8)[:, None]
    bits = centres[rng.integers(0, 8, n)] ^ (rng.random((n, 8 * columns)) < 0.04)
    bits[rng.random(n) < 0.03] = False
    twice = rng.random(n) < 0.1
    bits[twice] = bits[rng.integers(0, n, int(twice.sum()))]
    return np.packbits(bits, axis=1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("columns", [1, 7, 8, 33, 256, 512])
@pytest.mark.parametrize("n", [1, 2, 65, 300])
def test_shapes(check: Check, metric: str, n: int, columns: int) -> None:
    check(clustered(n, columns), n, metric=metric, assign=True, start=n // 2)
    for density in (0.03, 0.5):
        check(fingerprints(n, columns, density), max(1, n // 3), metric=metric, assign=True)


@pytest.mark.parametrize("metric", METRICS)
def test_more_picks_than_a_block_of_columns_holds(check: Check, metric: str) -> None:
    check(clustered(1300, 8), 1100, metric=metric, assign=True)


@pytest.mark.parametrize("metric", METRICS)
def test_ties_are_the_rule(check: Check, metric: str) -> None:
    """Every byte several times: few distances, each of very many pairs."""
    X = np.random.default_rng(1).permutation(np.arange(256).repeat(6) % 256).astype(np.uint8)[:, None]
    s = check(X, len(X), metric=metric, assign=True, start=100)
    assert (s.radii == 0).sum() == len(X) - 256
    check(X, 40, metric=metric, selected=[5, 600], anchors=X[:3] ^ 1, assign=True)


@pytest.mark.parametrize("metric", METRICS)
def test_all_rows_equal_or_empty(check: Check, metric: str) -> None:
    for X in (np.full((700, 5), 77, np.uint8), np.zeros((700, 5), np.uint8)):
        s = check(X, 700, metric=metric, start=9, assign=True)
        np.testing.assert_array_equal(s.indices, [9, *(i for i in range(700) if i != 9)])
        assert s.h_min == 0


@pytest.mark.parametrize("metric", METRICS)
def test_warm_starts_and_min_distance(check: Check, metric: str) -> None:
    X = clustered(500, 32)
    radius = farpoint.select(X, 60, metric=metric).radii[40]
    for options in (
        {"selected": [3, 17, 400]},
        {"anchors": fingerprints(30, 32, 0.2, seed=5)},
        {"selected": [1], "anchors": X[7:9], "min_distance": radius},
        {"min_distance": radius},
        {"start": "random", "seed": 3},
    ):
        check(X, None if "min_distance" in options else 60, metric=metric, assign=True, **options)


@pytest.mark.parametrize("metric", METRICS)
def test_layouts(check: Check, metric: str, tmp_path: Path) -> None:
    X = clustered(300, 33)
    expected = by_reference(farpoint.select, X, 50, metric=metric)
    assert_same(check(X[:, :33][::1], 50, metric=metric), expected)
    assert_same(check(np.asfortranarray(X), 50, metric=metric), expected)
    assert_same(check(np.repeat(X, 2, axis=0)[::2], 50, metric=metric), expected)
    np.save(tmp_path / "a.npy", X[:100])
    np.save(tmp_path / "b.npy", X[100:])
    assert_same(check(tmp_path, 50, metric=metric), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("columns", [1, 8, 33, 128])
def test_other_functions_against_the_reference(engine: Engine, metric: str, columns: int) -> None:
    here = {"metric": metric, **engine.arguments}
    for X in (clustered(150, columns), fingerprints(150, columns, 0.02)):
        Y = clustered(200, columns, seed=1)
        for x, y in ((X, Y), (Y, X)):
            actual = farpoint.nearest(x, y, **here)
            expected = by_reference(farpoint.nearest, x, y, metric=metric)
            np.testing.assert_array_equal(actual.distances, expected.distances)
            np.testing.assert_array_equal(actual.indices, expected.indices)
        distinct = np.unique(X, axis=0)
        calls: tuple[tuple[Any, tuple[Array, ...]], ...] = (
            (farpoint.pairwise_distances, (X, Y)),
            (farpoint.covering_radius, (X, Y)),
            (farpoint.h_min, (X,)),
            (farpoint.h_min, (distinct,)),
        )
        for function, arguments in calls:
            np.testing.assert_array_equal(
                function(*arguments, **here), by_reference(function, *arguments, metric=metric)
            )


@pytest.mark.parametrize("metric", METRICS)
def test_chunks_do_not_show(engine: Engine, metric: str) -> None:
    """More rows than a chunk holds; the closest pair is in two of them."""
    X = fingerprints(9001, 8, 0.5)
    X[8999] = X[17]
    X[8999, 0] ^= 1
    value = farpoint.pairwise_distances(X[[17]], X[[8999]], metric=metric, backend="reference")[0, 0]
    assert farpoint.h_min(X, metric=metric, **engine.arguments) == (value, 17, 8999)
    found = farpoint.nearest(X[:40], X[40:], metric=metric, **engine.arguments)
    assert found.indices[17] == 8999 - 40
    expected = by_reference(farpoint.nearest, X[:40], X[40:], metric=metric)
    np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.mark.parametrize("metric", METRICS)
def test_interrupted_limited_and_extended(engine: Engine, metric: str, tmp_path: Path) -> None:
    X = clustered(600, 64)
    expected = by_reference(farpoint.select, X, 300, metric=metric, assign=True)
    here = {"metric": metric, **engine.arguments}
    first = farpoint.select(X, 70, checkpoint=tmp_path / "run.npz", **here)
    assert_same(first, expected.prefix(70))
    resumed = farpoint.select(X, 300, checkpoint=tmp_path / "run.npz", assign=True, **here)
    assert_same(resumed, expected)
    assert_same(farpoint.extend(first, X, 300, assign=True, **engine.arguments), expected)
    assert_same(farpoint.select(X, 300, memory_limit="4MB", assign=True, **here), expected)
    later = farpoint.update(first, X[::-1], X=X, **engine.arguments)
    assert later.h_min >= first.h_min


@pytest.mark.parametrize("metric", METRICS)
def test_against_unpacked_bits(metric: str) -> None:
    """What SciPy says of the bits: of hamming times their number."""
    distance = pytest.importorskip("scipy.spatial.distance")
    X = clustered(120, 11)
    bits = np.unpackbits(X, axis=1).astype(bool)
    expected = distance.cdist(bits, bits, metric) * (bits.shape[1] if metric == "hamming" else 1)
    np.testing.assert_allclose(
        farpoint.pairwise_distances(X, metric=metric), expected, rtol=1e-14, atol=1e-13
    )


@every_engine
@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
@few_each
def test_laws(engine: Engine, metric: str, data: st.DataObject) -> None:
    if engine.backend == "cuda":
        return
    shape = (data.draw(st.integers(2, 40)), data.draw(st.integers(1, 9)))
    X = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 3, 128, 255, 170])))
    k = data.draw(st.integers(2, len(X)))
    start = data.draw(st.integers(0, len(X) - 1))
    with engine.active():
        s = farpoint.select(X, k, start=start, metric=metric, **engine.arguments)
    assert_same(s, by_reference(farpoint.select, X, k, start=start, metric=metric))
    assert len(set(s.indices.tolist())) == k
    assert (np.diff(s.radii) <= 0).all()
    distances = farpoint.pairwise_distances(X[s.indices], metric=metric, backend="reference")
    assert s.h_min == distances[~np.eye(k, dtype=bool)].min()


@pytest.mark.parametrize("metric", METRICS)
@given(
    X=hnp.arrays(np.uint8, st.tuples(st.integers(2, 10), st.integers(1, 3)), elements=st.integers(0, 255)),
    data=st.data(),
)
@common
def test_the_certificate_holds_against_exhaustive_search(metric: str, X: Array, data: st.DataObject) -> None:
    k = data.draw(st.integers(2, len(X)))
    s = farpoint.select(X, k, start=data.draw(st.integers(0, len(X) - 1)), metric=metric)
    distances = farpoint.pairwise_distances(X, metric=metric, backend="reference")
    np.fill_diagonal(distances, np.inf)
    best = max(distances[np.ix_(rows, rows)].min() for rows in combinations(range(len(X)), k))
    assert s.h_min <= best <= s.upper_bound
    # The triangle inequality, on which it rests.
    np.fill_diagonal(distances, 0.0)
    assert (distances[:, None, :] <= distances[:, :, None] + distances[None, :, :] + 1e-15).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "given", [np.zeros((3, 8), bool), np.zeros((3, 8), np.int8), [[0, 1], [1, 0]], [[True]]]
)
def test_other_types_are_refused(metric: str, given: Any) -> None:
    dtype = np.asarray(given).dtype
    message = rf"X has dtype {dtype}; metric '{metric}' takes packed bits, uint8: numpy.packbits\(X, axis=1\)"
    with pytest.raises(TypeError, match=message):
        farpoint.select(given, 1, metric=metric)
    with pytest.raises(TypeError, match=message.replace("X", "anchors")):
        farpoint.select(fingerprints(5, 2, 0.5), 1, metric=metric, anchors=given)


@pytest.mark.parametrize("metric", METRICS)
def test_what_has_no_meaning_is_refused(metric: str) -> None:
    X = fingerprints(20, 4, 0.5)
    with pytest.raises(ValueError, match='start="center" has no meaning for metric'):
        farpoint.select(X, 3, metric=metric, start="center")
    with pytest.raises((ValueError, RuntimeError), match="backend 'cuda'"):
        farpoint.select(X, 3, metric=metric, backend="cuda")


def test_tensors_of_bytes_are_taken() -> None:
    torch = pytest.importorskip("torch")
    X = fingerprints(50, 4, 0.5)
    assert_same(
        farpoint.select(torch.from_numpy(X), 9, metric="jaccard"), farpoint.select(X, 9, metric="jaccard")
    )
