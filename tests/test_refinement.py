"""Refinement: never worse, what its result says is true, and how often it finds the best there is."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import farpoint
from farpoint import _independent
from farpoint._selecting import SelectionTask, prepare_selection
from farpoint._spread import Spread, values_to_kept_away
from tests.conftest import Array, Engine, assert_same

METRICS = ["euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"]

plane = np.random.default_rng(3).random((400, 2)).astype(np.float32)


def check_truth(X: Array, s: farpoint.Selection, selected: Any = (), anchors: Any = None) -> None:
    """Compute from all pairs what a selection says of itself."""
    kept = X[np.asarray(selected, dtype=np.int64)]
    if anchors is not None:
        kept = np.concatenate((kept, np.asarray(anchors, dtype=X.dtype)))
    picks = s.indices
    assert len(set(picks.tolist()) | set(selected)) == len(picks) + len(selected)
    before = np.concatenate((kept, X[picks]))
    distances = farpoint.pairwise_distances(X, before, metric=s.metric, backend="reference")
    for t in range(len(picks)):
        seen = distances[:, : len(kept) + t]
        radius = seen[picks[t]].min() if seen.shape[1] else np.inf
        assert s.radii[t] == radius
        if seen.shape[1]:
            # The farthest of the picks that are left, the lowest row first.
            left = np.sort(picks[t:])
            assert picks[t] == left[np.argmax(seen[left].min(axis=1))]
    free = np.setdiff1d(np.arange(len(X)), np.concatenate((picks, np.asarray(selected, dtype=np.int64))))
    covering = distances[free].min(axis=1).max() if len(free) else 0.0
    assert s.covering_radius == covering <= s.h_min
    if s.labels is not None:
        nearest = distances.argmin(axis=1) - len(kept)
        np.testing.assert_array_equal(s.labels, np.maximum(nearest, -1))
        np.testing.assert_array_equal(s.distances, distances.min(axis=1))


def integers(least: int) -> st.SearchStrategy[Array]:
    """Points on a grid: ties and duplicates abound."""
    shapes = st.tuples(st.integers(3, 30), st.integers(1, 4))
    return hnp.arrays(np.float32, shapes, elements=st.integers(least, 4))


@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_never_worse_and_true(metric: str, data: st.DataObject) -> None:
    X = data.draw(integers(1 if metric == "cosine" else -3))
    k = data.draw(st.integers(1, len(X)))
    s = farpoint.select(X, k, metric=metric, start=data.draw(st.integers(0, len(X) - 1)))
    r = farpoint.refine(
        s, X, moves=data.draw(st.integers(1, 30)), seed=data.draw(st.integers(0, 5)), assign=True
    )
    assert len(r) == k
    assert r.h_min >= s.h_min
    assert r.upper_bound == s.upper_bound
    assert r.upper_bound >= r.h_min or k == 1
    assert r.is_refined
    assert not s.is_refined
    gain = r.info["refinement"]["gain"]
    assert gain == (r.h_min / s.h_min - 1 if r.h_min > s.h_min else 0)
    check_truth(X, r)


@given(data=st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_kept_away_from_stays_so(data: st.DataObject) -> None:
    X = data.draw(integers(-3))
    rows = st.lists(st.integers(0, len(X) - 1), unique=True, max_size=3)
    selected = data.draw(rows)
    anchors = X[data.draw(rows)] + np.float32(0.5) if data.draw(st.booleans()) else None
    if anchors is not None and not len(anchors):
        anchors = None
    assume(len(X) > len(selected))
    k = data.draw(st.integers(1, len(X) - len(selected)))
    s = farpoint.select(X, k, selected=selected, anchors=anchors)
    stays = s.indices[: data.draw(st.integers(0, k))]
    r = farpoint.refine(s, X, moves=20, keep=stays, selected=selected, anchors=anchors, assign=True)
    assert r.h_min >= s.h_min
    assert set(stays) <= set(r.indices)
    check_truth(X, r, selected, anchors)


def test_more_than_any_start_of_the_greedy_reaches() -> None:
    greedy = max(farpoint.select(plane, 30, start=row).h_min for row in range(len(plane)))
    for seed in range(3):
        r = farpoint.refine(farpoint.select(plane, 30), plane, moves=300, seed=seed)
        assert r.h_min > 1.02 * greedy


def test_the_best_of_tiny_instances_is_found() -> None:
    """Brute force over all sets; greedy finds the best of a third of them."""
    rng = np.random.default_rng(11)
    found = greedy = total = 0
    for n, k, _ in itertools.product((8, 10, 12), (3, 4, 5), range(5)):
        X = rng.random((n, 2))
        distances = farpoint.pairwise_distances(X)
        np.fill_diagonal(distances, np.inf)
        best = max(distances[np.ix_(rows, rows)].min() for rows in itertools.combinations(range(n), k))
        s = farpoint.select(X, k)
        h_min = farpoint.refine(s, X, moves=60).h_min
        assert h_min <= best
        total, found, greedy = total + 1, found + (h_min == best), greedy + (s.h_min == best)
    assert greedy < 0.5 * total
    assert found >= 0.9 * total


def test_the_same_everywhere(engine: Engine) -> None:
    """With a limit of moves alone, to the bit."""
    X = np.random.default_rng(5).random((150, 3)).astype(np.float32)
    options: dict[str, Any] = {
        "moves": 25,
        "selected": [3, 5],
        "anchors": X[:2] + 1,
        "assign": True,
        "seed": 4,
    }
    s = farpoint.select(X, 12, selected=[3, 5], anchors=X[:2] + 1)
    expected = farpoint.refine(s, X, backend="reference", **options)
    assert expected.h_min > s.h_min
    actual = farpoint.refine(s, X, **options, **engine.arguments)
    assert_same(actual, expected)
    assert actual.info["refinement"]["moves"] == 25


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_element_types(dtype: type) -> None:
    X: Array = np.round(plane * 200).astype(dtype)
    s = farpoint.select(X, 20)
    r = farpoint.refine(s, X, moves=50)
    assert r.h_min > s.h_min
    check_truth(X, r)


def test_extreme_scales() -> None:
    for scale in (1e-30, 1e30):
        X: Array = plane.astype(np.float64) * scale * 1e150 if scale > 1 else plane * np.float32(scale)
        r = farpoint.refine(farpoint.select(X, 20), X, moves=50)
        plain = farpoint.refine(farpoint.select(plane.astype(X.dtype), 20), plane.astype(X.dtype), moves=50)
        assert r.info["refinement"]["gain"] == pytest.approx(plain.info["refinement"]["gain"], rel=0.3)
        check_truth(X, r)


def test_seeds_decide() -> None:
    s = farpoint.select(plane, 25)
    first, again, *others = (farpoint.refine(s, plane, moves=300, seed=seed) for seed in (0, None, 1, 2, 3))
    assert_same(first, again)
    assert any((first.indices != other.indices).any() for other in others)
    assert_same(first, farpoint.refine(s, plane, moves=300, seed=np.random.default_rng(0)))


def test_longer_is_not_worse() -> None:
    s = farpoint.select(plane, 25)
    found = [farpoint.refine(s, plane, moves=moves).h_min for moves in (1, 10, 100, 400)]
    assert found == sorted(found)
    r = farpoint.refine(farpoint.refine(s, plane, moves=10), plane, moves=100, seed=1)
    assert r.h_min >= found[1]
    assert r.upper_bound == s.upper_bound


@pytest.mark.alone
def test_time_is_limited() -> None:
    X = np.random.default_rng(0).random((20_000, 2)).astype(np.float32)
    s = farpoint.select(X, 300)
    began = time.perf_counter()
    r = farpoint.refine(s, X, seconds=0.5)
    assert time.perf_counter() - began < 3
    assert r.info["refinement"]["seconds"] >= 0.5
    assert r.h_min >= s.h_min
    small = farpoint.refine(farpoint.select(plane, 25), plane, seconds=1)
    assert small.info["refinement"]["gain"] > 0


def test_it_ends_where_the_bound_is_reached() -> None:
    line = np.arange(9.0)[:, None]
    r = farpoint.refine(farpoint.select(line, 5, start=1), line, seconds=60)
    assert r.h_min == 2
    assert r.info["refinement"]["seconds"] < 30


@pytest.mark.parametrize(
    "X, k",
    [(plane[:5], 5), (plane[:5], 1), (np.repeat(plane[:4], 3, axis=0), 6), (np.zeros((4, 2)), 2)],
    ids=["all rows", "one row", "duplicates", "one point"],
)
def test_nothing_to_gain(X: Array, k: int) -> None:
    s = farpoint.select(X, k)
    r = farpoint.refine(s, X, seconds=60, assign=True)
    np.testing.assert_array_equal(r.indices, s.indices)
    np.testing.assert_array_equal(r.radii, s.radii)
    assert r.upper_bound == s.upper_bound
    assert r.info["refinement"]["gain"] == 0
    assert r.info["refinement"]["moves"] == 0
    assert r.labels is not None


def test_as_an_option_of_select() -> None:
    s = farpoint.select(plane, 25)
    r = farpoint.select(plane, 25, refine={"moves": 60}, seed=2, assign=True)
    assert_same(r, farpoint.refine(s, plane, moves=60, seed=2, assign=True))
    assert r.h_min > s.h_min
    assert_same(farpoint.select(plane, 25, refine=False), s)
    assert farpoint.select(plane, 25, refine=0.2).info["refinement"]["seconds"] < 3
    # With as many rows as a distance allows.
    far = farpoint.select(plane, min_distance=0.1, refine={"moves": 60})
    assert far.h_min > farpoint.select(plane, min_distance=0.1).h_min


def test_a_start_that_was_given_stays() -> None:
    """One in the middle, which no good set has."""
    for start in (int(np.argmin(((plane - 0.5) ** 2).sum(axis=1))), "center"):
        r = farpoint.select(plane, 4, start=start, refine={"moves": 200})
        assert r.indices[0] == farpoint.select(plane, 1, start=start).indices[0]
    middle = int(farpoint.select(plane, 1, start="center").indices[0])
    shifted = np.roll(plane, -middle, axis=0)
    free = farpoint.select(shifted, 4, refine={"moves": 200})
    assert 0 not in free.indices
    assert 0 in farpoint.select(shifted, 4, start=0, refine={"moves": 200}).indices
    assert free.h_min > r.h_min


def test_ctrl_c_leaves_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = 0
    fill = Spread.fill

    def interrupted(self: Spread, *arguments: Any) -> None:
        nonlocal moves
        moves += 1
        if moves == 3:
            raise KeyboardInterrupt
        fill(self, *arguments)

    monkeypatch.setattr(Spread, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        farpoint.select(plane, 25, refine={"moves": 60}, checkpoint=tmp_path / "run.npz")
    monkeypatch.undo()
    assert_same(farpoint.Selection.load(tmp_path / "run.npz"), farpoint.select(plane, 25))
    resumed = farpoint.select(plane, 25, refine={"moves": 60}, checkpoint=tmp_path / "run.npz")
    assert_same(resumed, farpoint.select(plane, 25, refine={"moves": 60}))


def test_files_and_a_memory_limit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", plane[:150])
    np.save(tmp_path / "b.npy", plane[150:])
    expected = farpoint.select(plane, 25, refine={"moves": 40})
    found = farpoint.select(tmp_path, 25, refine={"moves": 40})
    assert_same(found, expected)
    assert len(found.locate().file) == 25
    limited = farpoint.select(tmp_path, 25, refine={"moves": 40}, memory_limit="1MB", spill_folder=tmp_path)
    assert limited.h_min > farpoint.select(plane, 25).h_min
    with pytest.raises(ValueError, match=r"memory_limit = 15,000 bytes is too little .*refine"):
        farpoint.select(plane, 25, refine={"moves": 40}, memory_limit=15_000)


def test_saving(tmp_path: Path) -> None:
    r = farpoint.select(plane, 25, refine={"moves": 40}, assign=True)
    r.save(tmp_path / "r.npz")
    loaded = farpoint.Selection.load(tmp_path / "r.npz")
    assert_same(loaded, r)
    assert loaded.upper_bound == r.upper_bound
    one = farpoint.select(plane, 1, refine={"moves": 4})
    one.save(tmp_path / "one.npz")
    assert farpoint.Selection.load(tmp_path / "one.npz").upper_bound == np.inf
    for wrong in ({"upper_bound": -1.0}, {"upper_bound": "2"}, {}, [1], {"upper_bound": True}):
        bad = farpoint.Selection(r.indices, r.radii, r.covering_radius, info={"refinement": wrong})
        bad.save(tmp_path / "bad.npz")
        with pytest.raises(ValueError, match="upper_bound of at least 0"):
            farpoint.Selection.load(tmp_path / "bad.npz")


def test_what_a_refined_selection_cannot_do() -> None:
    r = farpoint.select(plane, 25, refine={"moves": 40})
    assert r.prefix(25) is r
    with pytest.raises(ValueError, match="a refined selection has no prefixes"):
        r.prefix(10)
    with pytest.raises(ValueError, match=r"selection was refined.*selected=selection\.indices"):
        farpoint.extend(r, plane, 30)
    more = farpoint.update(r, plane[:50] + 5, X=plane)
    assert (more.radii >= r.h_min).all()


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"seconds": 0}, ValueError, "seconds must be a finite number of seconds above 0, not 0"),
        ({"seconds": np.inf}, ValueError, "seconds must be a finite number of seconds above 0, not inf"),
        ({"seconds": np.nan}, ValueError, "seconds must be a finite number"),
        ({"seconds": 10**400}, ValueError, "seconds must be a finite number"),
        ({"seconds": "1"}, TypeError, "seconds must be a number, not '1'"),
        ({"moves": 0}, ValueError, "moves must be at least 1, not 0"),
        ({"moves": 1.5}, TypeError, "moves must be an integer, not 1.5"),
        ({"seed": "x"}, TypeError, "seed must be None, an int or a numpy Generator, not str"),
        ({"keep": [400]}, ValueError, "keep holds row 400; rows are 0 to 399"),
        ({"keep": [0, 0]}, ValueError, "keep holds row 0 more than once"),
        ({"keep": [1]}, ValueError, "keep holds row 1, which is not in selection"),
        ({"anchors": plane[:1]}, ValueError, "selection was not made from this X with these options"),
        ({"backend": "gpu"}, ValueError, "unknown backend"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    s = farpoint.select(plane, 5)
    assert 1 not in s.indices
    with pytest.raises(error, match=message):
        farpoint.refine(s, plane, **{"moves": 5, **options})


@pytest.mark.parametrize(
    "refine, error, message",
    [
        ("fast", TypeError, "refine must be a number, not 'fast'"),
        (-1.0, ValueError, "refine must be a finite number of seconds above 0, not -1.0"),
        ({"second": 1}, ValueError, "refine knows seconds, moves and seed, not second"),
        ({"moves": -1}, ValueError, "moves must be at least 1, not -1"),
    ],
)
def test_errors_of_the_option(refine: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        farpoint.select(plane, 5, refine=refine)


def test_other_selections_are_refused() -> None:
    s = farpoint.select(plane, 5)
    with pytest.raises(ValueError, match="selection was not made from this X"):
        farpoint.refine(s, plane[:300], moves=5)
    with pytest.raises(ValueError, match="selection was not made from this X"):
        farpoint.refine(s, plane[::-1], moves=5)
    with pytest.raises(TypeError, match=r"selection must be a farpoint\.Selection, not list"):
        farpoint.refine([1, 2], plane, moves=5)  # type: ignore[arg-type]
    nothing = farpoint.select(plane[:5], selected=range(5), min_distance=1.0)
    with pytest.raises(ValueError, match="selection is empty"):
        farpoint.refine(nothing, plane[:5], moves=5)


def task_of(X: Array, **options: Any) -> SelectionTask:
    defaults: dict[str, Any] = dict.fromkeys(
        ("selected", "anchors", "min_distance", "device", "threads", "memory_limit", "spill_folder")
    )
    arguments = {"metric": "sqeuclidean", "backend": "auto", "assign": False, **defaults, **options}
    return prepare_selection(X, 2, **arguments)


@pytest.mark.parametrize("kept_away", [False, True])
@pytest.mark.parametrize("k", [2, 7, 300])
def test_a_spread_follows_its_exchanges(kept_away: bool, k: int) -> None:
    """After any exchanges it is what it would be, had it been made of the rows that it has now."""
    rng = np.random.default_rng(k)
    X: Array = rng.integers(0, 30, (400, 3)).astype(np.float64)
    task = task_of(X, **({"selected": [1, 2], "anchors": X[5:7] + 0.5} if kept_away else {}))
    away = values_to_kept_away(task)
    members = rng.permutation(np.arange(3, 400))[:k]
    spread = Spread(task, members, away)
    for _ in range(30):
        vacancy = spread.without(int(rng.integers(k)))
        others = np.delete(spread.members, vacancy.slot)
        values = ((X[:, None] - X[others]) ** 2).sum(axis=2).min(axis=1)
        if away is not None:
            values = np.minimum(values, away)
        outside = np.setdiff1d(np.arange(400), [*spread.members, *([1, 2] if kept_away else [])])
        row, value = spread.farthest(vacancy, [])
        assert value == values[outside].max()
        assert row == outside[np.argmax(values[outside])]
        spread.fill(vacancy, int(rng.choice(outside)))
        fresh = Spread(task, spread.members, away)
        np.testing.assert_array_equal(spread.values, fresh.values)
        np.testing.assert_array_equal(spread.near, fresh.near)
        among = ((X[spread.members][:, None] - X[spread.members]) ** 2).sum(axis=2)
        np.fill_diagonal(among, np.inf)
        near = among.min(axis=1) if away is None else np.minimum(among.min(axis=1), away[spread.members])
        np.testing.assert_array_equal(spread.near, near)


def test_independent_sets_are_independent() -> None:
    task = task_of(plane.astype(np.float64))
    pool = np.sort(np.random.default_rng(0).permutation(400)[:200])
    graph = _independent.Graph(task, pool, None, lambda: False)
    within = farpoint.pairwise_distances(plane[pool].astype(np.float64), metric="sqeuclidean")
    np.fill_diagonal(within, np.inf)
    for count in (5, 20):
        largest = max(
            t for t in np.linspace(0.001, 0.5, 100) if graph.independent(t, count, pool[:0]) is not None
        )
        found = graph.independent(largest, count, np.array([7]))
        if found is not None:
            assert found[0] == 7
        found = graph.independent(largest, count, pool[:0])
        assert found is not None
        smallest = within[np.ix_(found, found)].min()
        assert graph.smallest(found) == pytest.approx(smallest)
        assert smallest >= largest
    near = np.flatnonzero(within[7] < 0.01)
    assert graph.independent(0.01, 5, np.array([7, near[0]])) is None


def test_an_independent_set_gains_where_moves_are_few() -> None:
    X = np.random.default_rng(2).standard_normal((1500, 30)).astype(np.float32)
    s = farpoint.select(X, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_independent, "_LARGEST_POOL", 0)
        without = farpoint.refine(s, X, moves=5)
    assert farpoint.refine(s, X, moves=5).h_min > 1.005 * without.h_min


@pytest.mark.parametrize(
    "constraint",
    [{"weights": np.arange(50.0)}, {"groups": [0, 1] * 25, "quotas": 2}, {"exclude": [3]}],
    ids=["weights", "quotas", "exclude"],
)
def test_not_with_constraints(constraint: dict[str, Any]) -> None:
    X = np.random.default_rng(0).random((50, 2))
    with pytest.raises(ValueError, match="refine cannot be combined with weights, quotas or exclude"):
        farpoint.select(X, 4, refine=0.1, **constraint)
    with pytest.raises(ValueError, match="refine cannot be combined with weights, quotas or exclude"):
        farpoint.refine(farpoint.select(X, 4, **constraint), X, moves=1)


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_packed_bits(metric: str) -> None:
    X = np.packbits(np.random.default_rng(0).random((300, 64)) < 0.3, axis=1)
    s = farpoint.select(X, 20, metric=metric)
    r = farpoint.refine(s, X, moves=300)
    within = farpoint.h_min(X[r.indices], metric=metric).value
    assert r.h_min == within > s.h_min
    assert r.covering_radius == farpoint.covering_radius(X, X[r.indices], metric=metric) <= r.h_min
    kept = farpoint.deduplicate(X, s.h_min, metric=metric)
    assert farpoint.h_min(X[kept.kept], metric=metric).value >= s.h_min
    assert (kept.distances < s.h_min).all()
