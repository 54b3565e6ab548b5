"""Going on from a selection, and new rows: the same bits as selecting at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from tests.answers import by_reference
from tests.conftest import Array, Engine, assert_same

Options = dict[str, Any]


def normal(n: int, d: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    rows = np.random.default_rng(seed).standard_normal((n, d))
    if np.dtype(dtype).kind in "iu":
        return (rows * 20 + 100).clip(0, 127).astype(dtype)
    return rows.astype(dtype)


def grid(n: int, d: int) -> Array:
    """Ties everywhere, and duplicates."""
    return np.random.default_rng(1).integers(0, 4, (n, d)).astype(np.float32)


CASES: dict[str, tuple[Array, Options]] = {
    "normal": (normal(300, 24), {}),
    "cosine": (normal(300, 24), {"metric": "cosine"}),
    "sqeuclidean": (normal(300, 24), {"metric": "sqeuclidean"}),
    "manhattan": (normal(300, 24), {"metric": "manhattan"}),
    "chebyshev": (normal(300, 24), {"metric": "chebyshev"}),
    "float16": (normal(300, 17, np.float16), {}),
    "float64": (normal(300, 17, np.float64), {"start": 5}),
    "int8": (normal(300, 17, np.int8), {"metric": "cosine"}),
    "uint8": (normal(300, 33, np.uint8), {"start": "center"}),
    "huge float64": (normal(200, 9, np.float64) * 1e200, {"metric": "sqeuclidean"}),
    "huge float64, manhattan": (normal(200, 9, np.float64) * 1e200, {"metric": "manhattan"}),
    "tiny float64": (normal(200, 9, np.float64) * 1e-200, {"metric": "sqeuclidean"}),
    "few columns": (normal(400, 3), {}),
    "ties in few columns": (grid(300, 2), {"start": 17}),
    "ties": (grid(300, 9), {}),
    "all equal": (np.ones((40, 12), dtype=np.float32), {}),
    "selected": (normal(300, 24), {"selected": [3, 200, 9]}),
    "anchors": (normal(300, 24), {"anchors": normal(7, 24, seed=5)}),
    "selected and anchors, with ties": (grid(300, 9), {"selected": [1, 2], "anchors": grid(5, 9) + 1}),
}
every_case = pytest.mark.parametrize("X, options", CASES.values(), ids=CASES)


def going_on(options: Options) -> Options:
    """What extend is to be told again; the rest is in the selection."""
    return {name: value for name, value in options.items() if name in ("selected", "anchors")}


@every_case
def test_more_picks_are_the_same_as_at_once(engine: Engine, X: Array, options: Options) -> None:
    free = len(X) - len(options.get("selected", []))
    at_once = by_reference(farpoint.select, X, free, assign=True, **options)
    for t in (1, 31, free - 1, free):
        first = farpoint.select(X, t, **options, **engine.arguments)
        for k in (t, t + 1, free - 1, free):
            if k < t or k > free:
                continue
            found = farpoint.extend(first, X, k, **going_on(options), **engine.arguments)
            np.testing.assert_array_equal(found.indices, at_once.indices[:k])
            np.testing.assert_array_equal(found.radii, at_once.radii[:k])
            assert found.covering_radius == (at_once.radii[k] if k < free else 0.0)
            # Of the first of infinite radii nothing is known.
            assert found.info["resumed_from"] == (0 if t == 1 and np.isinf(first.covering_radius) else t)
            assert found.info["backend"] == engine.backend
        assert_same(
            farpoint.extend(first, X, free, assign=True, **going_on(options), **engine.arguments), at_once
        )


@pytest.mark.parametrize("eager", ["", "1"])
@every_case
def test_at_every_number_of_picks(
    monkeypatch: pytest.MonkeyPatch, X: Array, options: Options, eager: str
) -> None:
    monkeypatch.setenv("FARPOINT_TEST_EAGER", eager)
    X = X[:40]
    options = {**options, "selected": [3, 20, 9]} if "selected" in options else options
    free = len(X) - len(options.get("selected", []))
    at_once = by_reference(farpoint.select, X, free, **options)
    expected = {k: farpoint.select(X, k, assign=k % 2 == 0, **options) for k in range(1, free + 1, 9)}
    for t in range(1, free + 1):
        for k, selection in expected.items():
            found = farpoint.extend(at_once.prefix(t), X, k, assign=k % 2 == 0, **going_on(options))
            assert_same(found, selection)


@cache
def by_min_distance(metric: str) -> tuple[Array, dict[tuple[float, int | None], farpoint.Selection]]:
    """Return rows, and what the plain loop selects of them by distance and k."""
    X = np.concatenate((normal(200, 12), normal(200, 12)[:40]))
    all_picks = farpoint.select(X, len(X), metric=metric, backend="reference")
    # Between radii, at radii, and beyond both ends.
    distances = [0.0, *all_picks.radii[[2, 50, 150]], all_picks.radii[1] * 2, float("inf")]
    distances += [float(np.nextafter(all_picks.radii[50], up)) for up in (0.0, np.inf)]
    return X, {
        (distance, k): farpoint.select(X, k, min_distance=distance, metric=metric, backend="reference")
        for distance in distances
        for k in (None, 120)
    }


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"])
def test_a_smaller_or_larger_min_distance(engine: Engine, metric: str) -> None:
    X, selections = by_min_distance(metric)
    for first_distance in {distance for distance, _ in selections}:
        first = farpoint.select(X, min_distance=first_distance, metric=metric, **engine.arguments)
        for (distance, k), expected in selections.items():
            found = farpoint.extend(first, X, k, min_distance=distance, **engine.arguments)
            assert_same(found, expected)


def test_infinite_radii_are_less_than_an_infinite_distance() -> None:
    """Squared distances that float64 does not hold are reported as infinite, and are not."""
    X = normal(30, 4, np.float64) * 1e160
    s = farpoint.select(X, 20, metric="sqeuclidean")
    assert np.isinf(s.radii).all()
    for options in ({"min_distance": float("inf")}, {"k": 25}, {"k": 7, "assign": True}):
        assert_same(farpoint.extend(s, X, **options), farpoint.select(X, metric="sqeuclidean", **options))
    kept = farpoint.select(X, 20, metric="sqeuclidean", selected=[4])
    assert len(farpoint.extend(kept, X, min_distance=float("inf"), selected=[4])) == 0


def test_nothing_is_computed_twice_and_little_for_what_is_known() -> None:
    X = normal(4000, 64)
    s = farpoint.select(X, 900)
    assert s.info["resumed_from"] == 0
    found = farpoint.extend(s, X, 600)
    assert found.info["fraction_evaluated"] == 0
    assert found.info["resumed_from"] == 600
    seen: list[tuple[int, int, float]] = []
    farpoint.extend(s, X, 1000, progress=lambda *now: seen.append(now))
    assert seen[-1][:2] == (1000, 1000)
    assert seen[0][0] > 900
    seen.clear()
    farpoint.extend(s, X, 600, progress=lambda *now: seen.append(now))
    assert seen == [(600, 600, s.radii[599])]


def test_an_empty_selection_goes_on() -> None:
    X = normal(50, 4)
    options: Options = {"anchors": X[:5]}
    nothing = farpoint.select(X, min_distance=100.0, **options)
    assert len(nothing) == 0
    assert_same(farpoint.extend(nothing, X, 20, **options), farpoint.select(X, 20, **options))
    with pytest.raises(ValueError, match="give what it was kept away from"):
        farpoint.extend(nothing, X, 20)


def test_saved_and_partly_known_selections_go_on(tmp_path: Path) -> None:
    X = normal(200, 8)
    farpoint.select(X, 40).save(tmp_path / "s.npz")
    loaded = farpoint.Selection.load(tmp_path / "s.npz")
    assert_same(farpoint.extend(loaded, X, 90), farpoint.select(X, 90))
    bare = farpoint.Selection(loaded.indices, loaded.radii, loaded.covering_radius)
    assert_same(farpoint.extend(bare, X, 0.5), farpoint.select(X, 0.5))


def test_what_does_not_belong_together_is_refused() -> None:
    X = normal(200, 8)
    s = farpoint.select(X, 40)
    kept = farpoint.select(X, 40, selected=[3])
    changed = X.copy()
    changed[s.indices[-1]] += 1
    bare = farpoint.Selection(s.indices, s.radii, s.covering_radius)
    twice = farpoint.Selection(np.append(s.indices[:-1], s.indices[0]), s.radii, s.covering_radius)
    for wrong, matrix, options, message in (
        (s, X[:150], {}, "n is 200 there and 150 here"),
        (s, X[:, :7], {}, "d is 8 there and 7 here"),
        (s, X.astype(np.float64), {}, "dtype is float32 there and float64 here"),
        (
            s,
            changed,
            {},
            r"not made from this X with these options: pick 39 has radius \d.* there and \d.*here",
        ),
        (s, X[::-1], {}, "pick 3 has radius"),
        (bare, X[: int(s.indices.max())], {}, f"it holds row {s.indices.max()} of {s.indices.max()}"),
        (twice, X, {}, "a row twice, or one that is in selected"),
        (s, X, {"selected": [int(s.indices[4])]}, "a row twice, or one that is in selected"),
        (s, X, {"selected": [199]}, "pick 0 has radius inf there and .*: leave selected and anchors out"),
        (s, X, {"anchors": X[:2] + 1}, "pick 0 has radius inf there and"),
        (kept, X, {}, "pick 0 has radius .* and inf here; .*: give the same selected and anchors"),
        (kept, X, {"selected": [4]}, "pick"),
    ):
        with pytest.raises(ValueError, match=message):
            farpoint.extend(wrong, matrix, 60, **options)
    with pytest.raises(TypeError, match=r"selection must be a farpoint\.Selection, not list"):
        farpoint.extend([1, 2], X, 60)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k = 201 is more than the 200 rows"):
        farpoint.extend(s, X, 201)
    with pytest.raises(ValueError, match="give k"):
        farpoint.extend(s, X)


# New rows.


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_update_keeps_h_min(engine: Engine, metric: str) -> None:
    X, X_new = normal(300, 10), normal(200, 10, seed=9) * 1.5
    first = farpoint.select(X, 60, metric=metric)
    second = farpoint.update(first, X_new, X=X, **engine.arguments)
    assert_same(
        second,
        farpoint.select(
            X_new,
            metric=metric,
            anchors=X[first.indices],
            min_distance=first.h_min,
            backend="reference",
        ),
    )
    assert len(second) > 0
    together = np.concatenate((X[first.indices], X_new[second.indices]))
    assert farpoint.h_min(together, metric=metric).value >= first.h_min
    few = farpoint.update(first, X_new, 3, X=X, assign=True, **engine.arguments)
    np.testing.assert_array_equal(few.indices, second.indices[:3])


def test_updates_in_a_chain() -> None:
    batches = [normal(300, 6, seed=seed) for seed in range(3)]
    first = farpoint.select(batches[0], 40)
    second = farpoint.update(first, batches[1], X=batches[0])
    third = farpoint.update(
        second,
        batches[2],
        X=batches[1],
        anchors=batches[0][first.indices].astype(np.float64),
        min_distance=first.h_min,
    )
    assert len(third) > 0
    selections = (first, second, third)
    rows = [batch[s.indices] for batch, s in zip(batches, selections, strict=True)]
    assert farpoint.h_min(np.concatenate(rows)).value == first.h_min
    # Every row of the last batch that was left out is too close to what is selected.
    left_out = np.setdiff1d(np.arange(300), third.indices)
    nearest = farpoint.nearest(batches[2][left_out], np.concatenate(rows)).distances
    assert nearest.max() < first.h_min


def test_an_update_may_have_nothing_to_add() -> None:
    X = normal(100, 5)
    s = farpoint.select(X, 30)
    again = farpoint.update(s, X, X=X)
    assert len(again) == 0
    more = farpoint.update(again, X * 3, X=X, anchors=X[s.indices], min_distance=s.h_min)
    assert len(more) > 0


def test_an_update_with_what_does_not_belong_together_is_refused() -> None:
    X = normal(100, 5)
    s = farpoint.select(X, 30)
    one = farpoint.select(X, 1)
    with pytest.raises(ValueError, match="n is 100 there and 90 here"):
        farpoint.update(s, X, X=X[:90])
    with pytest.raises(ValueError, match="anchors has 4 columns where"):
        farpoint.update(s, X, X=X, anchors=X[:, :4])
    with pytest.raises(ValueError, match="has no h_min to keep: it has 1 picks"):
        farpoint.update(one, X, X=X)
    with pytest.raises(TypeError, match="selection must be"):
        farpoint.update(X, X, X=X)  # type: ignore[arg-type]
    assert len(farpoint.update(one, X, 5, X=X)) == 5
