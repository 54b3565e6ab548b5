"""Weights, groups with quotas, and excluded rows: every engine against the plain loop; what is refused."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint.backends import BACKENDS
from tests.answers import by_reference
from tests.conftest import Array, Check, Engine, assert_same, every_engine

METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev")
CONSTRAINED = [name for name, backend in BACKENDS.items() if backend.capabilities.constraints]


@pytest.fixture(autouse=True)
def _skip_engines_without_constraints(request: pytest.FixtureRequest) -> None:
    """What `cuda` answers has a test of its own."""
    engine = getattr(request.node, "callspec", None) and request.node.callspec.params.get("engine")
    if isinstance(engine, Engine) and engine.backend not in CONSTRAINED:
        pytest.skip(f"{engine.backend} takes no constraints")


def normal(n: int, d: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    rows = np.random.default_rng(seed).standard_normal((n, d))
    if np.dtype(dtype).kind in "iu":
        return (rows * 20 + 100).clip(0, 127).astype(dtype)
    return rows.astype(dtype)


def grid(n: int, d: int, seed: int = 1) -> Array:
    """Ties everywhere, and duplicates."""
    return np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)


def uniform(n: int, low: float = 0.0, seed: int = 2) -> Array:
    return np.random.default_rng(seed).uniform(low, 1, n)


def draw(seed: int) -> tuple[Array, dict[str, Any]]:
    """Return rows and options of a selection: any mixture of constraints, most of which can be met."""
    random = np.random.default_rng(seed)
    n, d = int(random.integers(2, 150)), int(random.integers(1, 40))
    match int(random.integers(4)):
        case 0:
            X = random.standard_normal((n, d))
        case 1:
            X = random.integers(0, 3, (n, d)).astype(np.float64)
        case 2:
            X = np.repeat(random.standard_normal((n // 4 + 1, d)), 4, axis=0)[:n]
        case _:
            X = random.standard_normal((n, d)) * 10.0 ** random.uniform(-4, 4)
    X = X.astype(str(random.choice(["float16", "float32", "float64"])))
    X[~(X != 0).any(axis=1), 0] = 1
    options: dict[str, Any] = {
        "metric": METRICS[int(random.integers(len(METRICS)))],
        "assign": bool(random.integers(2)),
    }
    if random.integers(4) == 0:
        options["selected"] = random.permutation(n)[: int(random.integers(1, n // 2 + 1))]
    if random.integers(5) == 0:
        options["anchors"] = X[random.integers(0, n, 3)]
    if random.integers(2):
        options["weights"] = (
            random.choice([0, 1, 1, 2, 0.5], n),
            10.0 ** random.uniform(-60, 20, n),
            random.uniform(0, 1, n),
        )[int(random.integers(3))]
    if random.integers(2):
        mask = random.uniform(size=n) < float(random.choice([0.1, 0.5, 0.9]))
        options["exclude"] = mask if random.integers(2) else np.flatnonzero(mask)
    if random.integers(2):
        groups = random.integers(0, int(random.choice([1, 2, 5, n])), n)
        options["groups"] = groups if random.integers(2) else np.array([f"g{i}" for i in groups])
        quotas: dict[Any, Any] = {}
        for label in np.unique(options["groups"]).tolist():
            match int(random.integers(5)):
                case 0:
                    quotas[label] = int(random.integers(0, 3))
                case 1:
                    quotas[label] = (int(random.integers(0, 3)), None)
                case 2:
                    quotas[label] = (None, int(random.integers(0, 6)))
        options["quotas"] = quotas if random.integers(8) else (None, 1)
    if random.integers(5) == 0:
        pair = farpoint.pairwise_distances(X[:1], X[-1:], metric=options["metric"], backend="reference")
        options["min_distance"] = float(pair[0, 0]) * float(random.choice([1, 0.5]))
    options["k"] = int(random.integers(1, n + 1))
    return X, options


def attempt(X: Array, options: dict[str, Any], **computing: Any) -> farpoint.Selection | str:
    """Return the selection, or what the error says."""
    try:
        return farpoint.select(X, **options, **computing)
    except ValueError as error:
        return str(error)


def outcome(X: Array, options: dict[str, Any], **computing: Any) -> farpoint.Selection | str:
    """The same; where k is too large, with as many as there are."""
    for _ in range(3):
        found = attempt(X, options, **computing)
        pattern = r"is more than the ([1-9]\d*) rows|quotas allow at most ([1-9]\d*) rows"
        most = re.search(pattern, found) if isinstance(found, str) else None
        if most is None:
            break
        options = {**options, "k": int(most[1] or most[2])}
    return found


@cache
def expected_of(case: int) -> farpoint.Selection | str:
    """What the plain loop makes of it, for all engines."""
    X, options = draw(case)
    return outcome(X, options, backend="reference")


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_random_mixtures(engine: Engine, seed: int) -> None:
    selected = 0
    for case in range(seed, seed + (40 if engine.backend == "cpu" else 8)):
        X, options = draw(case)
        expected = expected_of(case)
        actual = outcome(X, options, **engine.arguments)
        if isinstance(expected, str) or isinstance(actual, str):
            assert actual == expected, case
        else:
            assert_same(actual, expected)
            assert actual.farthest_first == expected.farthest_first
            selected += 1
    assert selected > 4  # the others are errors


# The reference itself, against the definition written down another way.


def by_definition(
    X: Array,
    k: int,
    metric: str,
    weights: Array,
    groups: Array,
    quotas: dict[Any, tuple[int, int]],
    first: int,
) -> list[int]:
    """Return the picks by comparing all rows at every step, with distances of pairwise_distances."""
    distances = farpoint.pairwise_distances(X, metric=metric, backend="reference")
    picks = [first]
    while len(picks) < k:
        best, best_key = -1, -1.0
        for row in range(len(X)):
            counts = {g: int((groups[picks] == g).sum()) for g in quotas}
            counts[groups[row]] += 1
            feasible = (
                counts[groups[row]] <= quotas[groups[row]][1]
                and sum(max(0, low - counts[g]) for g, (low, _) in quotas.items()) <= k - len(picks) - 1
            )
            key = float(weights[row]) * float(distances[row, picks].min())
            if row not in picks and feasible and key > best_key:
                best, best_key = row, key
        picks.append(best)
    return picks


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_the_reference_is_the_definition(metric: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    X = normal(40, 5, seed)
    weights = random.choice([0.25, 0.5, 1.0, 3.0], 40)
    groups = random.integers(0, 4, 40)
    quotas = {0: (3, 3), 1: (2, 40), 2: (0, 4), 3: (5, 6)}
    s = farpoint.select(
        X, 14, metric=metric, weights=weights, groups=groups, quotas=quotas, start=7, backend="reference"
    )
    assert s.indices.tolist() == by_definition(X, 14, metric, weights, groups, quotas, 7)
    counts = np.bincount(groups[s.indices], minlength=4)
    assert all(low <= count <= high for count, (low, high) in zip(counts, quotas.values(), strict=True))


# Weights.


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_weights(check: Check, metric: str, dtype: Any) -> None:
    X = normal(400, 37, dtype=dtype)
    s = check(X, 90, metric=metric, weights=uniform(400, 0.1), assign=True)
    assert not s.farthest_first
    assert s.upper_bound == np.inf
    assert s.h_min == s.radii.min() < s.radii[-1]
    found = farpoint.covering_radius(X, X[s.indices], metric=metric)
    assert s.covering_radius == found


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_constraints_on_packed_bits(check: Check, metric: str) -> None:
    """Whole numbers of bits tie everywhere, weights part them."""
    bits = np.random.default_rng(5).random((700, 96)) < 0.2
    bits[500:] = bits[:200]
    X = np.packbits(bits, axis=1)
    groups = np.arange(700) % 7
    quotas = {0: 3, 1: (20, None), 2: (None, 5)}
    exclude = np.arange(0, 700, 11)
    for weights in (None, uniform(700), np.arange(700) % 3):
        check(
            X, 150, metric=metric, weights=weights, groups=groups, quotas=quotas, exclude=exclude, assign=True
        )
    check(X, 650, metric=metric, weights=uniform(700))
    check(X, 620, metric=metric, exclude=exclude, assign=True)
    check(X, 200, metric=metric, groups=groups, quotas={3: (None, 0)}, anchors=X[3::7])


@pytest.mark.parametrize("weight", [1, 0.3, 7e200, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_weights_are_none(check: Check, weight: float, dtype: Any) -> None:
    X = grid(200, 3).astype(dtype)
    assert_same(check(X, 150, weights=np.full(200, weight)), by_reference(farpoint.select, X, 150))


@pytest.mark.parametrize("factor", [2.0**-900, 0.1, 3e150])
def test_only_ratios_of_weights_matter(engine: Engine, factor: float) -> None:
    X = normal(300, 20)
    weights = np.random.default_rng(0).choice([1.0, 2.0, 4.0, 8.0], 300)
    expected = by_reference(farpoint.select, X, 80, weights=weights)
    assert_same(farpoint.select(X, 80, weights=weights * factor, **engine.arguments), expected)


def test_rows_of_weight_zero_come_last_in_their_order(check: Check) -> None:
    X = np.concatenate((normal(300, 20), normal(100, 20)))  # the last 100 are duplicates
    weights = uniform(400, 0.5)
    weights[::3] = 0
    s = check(X, 400, weights=weights, assign=True)
    keys = weights[s.indices] * s.radii
    first = int(np.argmax(keys == 0))
    assert 0 < first <= 400 - 134
    assert not keys[first:].any()
    assert (np.diff(s.indices[first:]) > 0).all()
    # They are not duplicates, all the same.
    assert (s.radii[first:] > 0).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_very_different_size(check: Check, dtype: Any) -> None:
    weights = 10.0 ** np.random.default_rng(3).uniform(-90, 0, 300)
    check(normal(300, 17, dtype=dtype) * dtype(1e-3), 200, weights=weights, assign=True)
    check(normal(300, 17, dtype=dtype), 300, metric="sqeuclidean", weights=weights)


@pytest.mark.parametrize("exponent", [-290, -160, 150, 290])
def test_weights_with_extreme_distances(check: Check, exponent: int) -> None:
    """Keys are made of scaled values, so they stay in float64 where distances are at its ends."""
    X = normal(200, 9, dtype=np.float64) * 10.0**exponent
    for metric in METRICS:
        check(X, 60, metric=metric, weights=uniform(200, 0.1))


def test_the_first_pick_is_the_row_of_the_largest_weight(check: Check) -> None:
    X = normal(50, 6)
    weights = np.ones(50)
    weights[[11, 30]] = 2
    assert check(X, 5, weights=weights).indices[0] == 11
    assert check(X, 5, weights=weights, exclude=[11]).indices[0] == 30
    assert check(X, 5, weights=weights, start=4).indices[0] == 4
    assert check(X, 5, exclude=[0, 1]).indices[0] == 2


# Groups and quotas.


def test_a_quota_of_one_for_each_of_many_groups(check: Check) -> None:
    X = normal(600, 24)
    groups = np.random.default_rng(0).permutation(np.arange(600) % 200)
    s = check(X, 200, groups=groups, quotas=1, assign=True)
    assert sorted(groups[s.indices]) == list(range(200))
    assert s.info["picked_per_group"] == {str(i): 1 for i in range(200)}


def test_exact_quotas_of_all_groups_in_forced_order(check: Check) -> None:
    """All far rows are in one group: the minima of the others are made up for at the end."""
    X = np.concatenate((normal(300, 12) * 100, normal(300, 12)))
    groups = np.repeat(["far", "near"], 300)
    s = check(X, 100, groups=groups, quotas={"far": 40, "near": 60}, assign=True)
    assert s.info["picked_per_group"] == {"far": 40, "near": 60}
    assert (groups[s.indices[:40]] == "far").all()
    s = check(X, 100, groups=groups, quotas={"near": (90, None)})
    assert (groups[s.indices[-90:]] == "near").all()


def test_quotas_with_duplicates_and_ties(check: Check) -> None:
    X = grid(500, 2)
    groups = np.random.default_rng(1).integers(0, 7, 500)
    s = check(X, 210, groups=groups, quotas=30, assign=True)
    assert set(s.info["picked_per_group"].values()) == {30}
    s = check(X, 100, groups=groups, quotas={3: (60, None), 4: 0})
    assert s.info["picked_per_group"]["3"] == 60
    assert s.info["picked_per_group"]["4"] == 0


def test_quotas_that_allow_everything_change_nothing(check: Check) -> None:
    X = normal(100, 8)
    groups = np.arange(100) % 3
    s = check(X, 60, groups=groups, quotas={0: (None, 34)})
    assert_same(s, by_reference(farpoint.select, X, 60))
    assert s.farthest_first
    assert sum(s.info["picked_per_group"].values()) == 60


def test_selected_rows_do_not_count(check: Check) -> None:
    X = normal(60, 5)
    groups = np.arange(60) % 2
    s = check(X, 10, groups=groups, quotas=5, selected=np.arange(0, 40, 2))
    assert s.info["picked_per_group"] == {"0": 5, "1": 5}


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("d", [48, 400])
def test_large_enough_for_several_threads_and_levels(
    monkeypatch: pytest.MonkeyPatch, threads: int, d: int
) -> None:
    pytest.importorskip("farpoint._cpu")
    X = normal(4000, d)
    options: dict[str, Any] = {
        "weights": uniform(4000, 0.3),
        "groups": np.arange(4000) % 150,
        "quotas": {**dict.fromkeys(range(100), 2), ...: (None, 3)},
        "exclude": uniform(4000, seed=5) < 0.2,
        "assign": True,
    }
    expected = by_reference(farpoint.select, X, 300, **options)
    assert_same(farpoint.select(X, 300, backend="cpu", threads=threads, **options), expected)
    monkeypatch.setenv("FARPOINT_TEST_EAGER", "1")
    assert_same(farpoint.select(X, 300, backend="cpu", threads=threads, **options), expected)


# Exclusion.


@pytest.mark.parametrize("d", [3, 24])
@pytest.mark.parametrize("assign", [False, True])
def test_excluded_rows_are_as_if_they_were_not_there(check: Check, assign: bool, d: int) -> None:
    X = normal(400, d)
    mask = uniform(400) < 0.4
    mask[0] = True
    s = check(X, 100, exclude=mask, assign=assign)
    kept = np.flatnonzero(~mask)
    alone = farpoint.select(X[kept], 100)
    np.testing.assert_array_equal(s.indices, kept[alone.indices])
    np.testing.assert_array_equal(s.radii, alone.radii)
    assert (s.covering_radius, s.upper_bound) == (alone.covering_radius, alone.upper_bound)
    assert s.farthest_first
    if assign:
        assert s.distances is not None
        near = farpoint.nearest(X, X[s.indices])
        np.testing.assert_array_equal(s.distances, near.distances)


def test_all_but_few_rows_are_excluded(check: Check) -> None:
    X = normal(300, 20)
    rows = np.setdiff1d(np.arange(300), [5, 77, 123])
    s = check(X, 3, exclude=rows, assign=True)
    assert sorted(s.indices) == [5, 77, 123]
    assert s.covering_radius == 0
    assert check(X, min_distance=0.1, exclude=rows).indices.tolist() == s.indices.tolist()


def test_a_row_may_be_selected_and_excluded(check: Check) -> None:
    X = normal(50, 4)
    expected = farpoint.select(X, 10, selected=[3, 4], exclude=[9], backend="reference")
    assert_same(check(X, 10, selected=[3, 4], exclude=[9, 4]), expected)


@pytest.mark.parametrize("start", ["center", "random", None])
def test_where_it_starts_is_not_excluded(check: Check, start: str | None) -> None:
    X = normal(40, 3)
    seed = 1 if start == "random" else None
    first = check(X, 1, start=start, seed=seed).indices[0]
    again = check(X, 2, start=start, seed=seed, exclude=[first])
    assert first not in again.indices
    if start == "center":
        rest = np.setdiff1d(np.arange(40), first)
        distances = ((X[rest].astype(float) - X.astype(float).mean(axis=0)) ** 2).sum(axis=1)
        assert again.indices[0] == rest[np.argmin(distances)]


# With min_distance.


def test_rows_that_are_too_close_are_passed_over(check: Check) -> None:
    X = np.array([[0.0], [1.0], [5.0], [9.0]])
    # Row 1 has the largest key, and is too close.
    s = check(X, min_distance=2, weights=[1, 100, 1, 1], start=0)
    assert s.indices.tolist() == [0, 3, 2]
    assert s.covering_radius == 1
    assert check(X, min_distance=0.5, weights=[1, 100, 1, 1], start=0).indices.tolist() == [0, 1, 3, 2]


def test_min_distance_with_quotas_ends_when_no_row_is_left(check: Check) -> None:
    X = normal(300, 6)
    groups = np.arange(300) % 3
    s = check(X, 200, groups=groups, quotas={0: 30, 1: (50, None)}, min_distance=2.0)
    assert len(s) < 200
    assert s.h_min >= 2.0
    left = np.setdiff1d(np.arange(300), s.indices)
    distances = farpoint.nearest(X[left], X[s.indices]).distances
    counts = s.info["picked_per_group"]
    assert (distances[groups[left] == 1] < 2.0).all()
    assert counts["0"] == 30 or (distances[groups[left] == 0] < 2.0).all()


# Going on.

GOING_ON: dict[str, dict[str, Any]] = {
    "weights": {"weights": uniform(300, 0.2)},
    "weights of zero": {"weights": np.where(np.arange(300) % 2, uniform(300), 0)},
    "at most": {"groups": np.arange(300) % 40, "quotas": (None, 6)},
    "exclude": {"exclude": np.arange(0, 300, 3)},
    "all": {
        "weights": uniform(300, 0.2),
        "groups": np.arange(300) % 40,
        "quotas": (None, 6),
        "exclude": np.arange(0, 300, 5),
        "selected": np.arange(1, 300, 50),
    },
    "min_distance": {"weights": uniform(300, 0.2), "min_distance": 1.0},
}


@pytest.mark.parametrize("eager", ["", "1"])
@pytest.mark.parametrize("rows", [normal(300, 16), grid(300, 4)], ids=["normal", "ties"])
@pytest.mark.parametrize("options", GOING_ON.values(), ids=GOING_ON)
def test_extend_from_any_pick(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], rows: Array, eager: str
) -> None:
    monkeypatch.setenv("FARPOINT_TEST_EAGER", eager)
    backend = "auto"
    most = 150
    at_once = by_reference(farpoint.select, rows, most, assign=True, **options)
    for t in range(1, len(at_once) + 1, 7):
        first = farpoint.select(rows, t, backend=backend, **options)
        np.testing.assert_array_equal(first.indices, at_once.indices[:t])
        assert_same(farpoint.extend(first, rows, most, backend=backend, assign=True, **options), at_once)
        prefix = at_once.prefix(t)
        if t < len(at_once):
            assert_same(farpoint.extend(prefix, rows, most, backend=backend, assign=True, **options), at_once)


@every_engine
def test_checkpoint_goes_on(engine: Engine, tmp_path: Path) -> None:
    X = normal(300, 16)
    path = tmp_path / "run.npz"
    options = GOING_ON["all"]
    expected = by_reference(farpoint.select, X, 120, **options)
    with engine.active():
        farpoint.select(X, 50, checkpoint=path, **options, **engine.arguments)
        kept = farpoint.Selection.load(path)
        assert not kept.farthest_first
        s = farpoint.select(X, 120, checkpoint=path, **options, **engine.arguments)
    assert s.info["resumed_from"] == 50
    assert_same(s, expected)
    for name, other in (
        ("weights", uniform(300, 0.3)),
        ("exclude", [7]),
        ("groups", np.arange(300) % 41),
        ("quotas", (None, 5)),
    ):
        with pytest.raises(ValueError, match=f"{name} differ"):
            farpoint.select(X, 120, checkpoint=path, **{**options, name: other}, **engine.arguments)
    with pytest.raises(ValueError, match="min_distance is not given there and 0.5 here"):
        farpoint.select(X, 120, checkpoint=path, min_distance=0.5, **options, **engine.arguments)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    X = normal(2000, 300)
    path = tmp_path / "run.npz"
    options: dict[str, Any] = {"weights": uniform(2000, 0.2)}

    def stop(done: int, _total: int, _radius: float) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        farpoint.select(X, 400, checkpoint=path, progress=stop, backend="reference", **options)
    kept = farpoint.Selection.load(path)
    assert len(kept) >= 20
    assert np.isnan(kept.covering_radius)  # that is another distance than the next pick's
    s = farpoint.select(X, 400, checkpoint=path, **options)
    assert s.info["resumed_from"] == len(kept)
    assert_same(s, by_reference(farpoint.select, X, 400, **options))


def test_minima_bind_k() -> None:
    X = normal(100, 5)
    options: dict[str, Any] = {"groups": np.arange(100) % 2, "quotas": {0: (5, None)}}
    s = farpoint.select(X, 20, **options)
    assert_same(farpoint.extend(s.prefix(6), X, 20, **options), s)
    with pytest.raises(ValueError, match="k is 20 there and 30 here"):
        farpoint.extend(s, X, 30, **options)
    with pytest.raises(ValueError, match="selection was made otherwise: groups differ; k is"):
        farpoint.extend(s, X, 30)


# The result.


def test_save_load_and_prefix(tmp_path: Path) -> None:
    X = normal(200, 8)
    s = farpoint.select(X, 40, weights=uniform(200, 0.1), exclude=[3, 4], assign=True)
    s.save(tmp_path / "s.npz")
    loaded = farpoint.Selection.load(tmp_path / "s.npz")
    assert_same(loaded, s)
    assert not loaded.farthest_first
    assert loaded.info["constraints"] == s.info["constraints"]
    p = s.prefix(10)
    assert p.h_min == s.radii[:10].min()
    assert np.isnan(p.covering_radius)
    assert p.upper_bound == np.inf
    p.save(tmp_path / "p.npz")
    assert np.isnan(farpoint.Selection.load(tmp_path / "p.npz").covering_radius)
    assert p.to_dict()["covering_radius"] is None
    plain = farpoint.select(X, 40, exclude=[3, 4])
    assert_same(plain.prefix(10), farpoint.select(X, 10, exclude=[3, 4]))


def test_a_file_whose_radii_rise_is_refused_where_they_cannot(tmp_path: Path) -> None:
    s = farpoint.select(normal(200, 8), 40, weights=uniform(200, 0.1))
    s.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != "farthest_first"}
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(ValueError, match="radii are not non-increasing"):
        farpoint.Selection.load(tmp_path / "t.npz")


def test_a_file_whose_constraints_are_no_dictionary_is_refused(tmp_path: Path) -> None:
    s = farpoint.select(normal(20, 8), 4)
    s.info["constraints"] = "none"
    s.save(tmp_path / "s.npz")
    with pytest.raises(ValueError, match="constraints.* is not a dictionary"):
        farpoint.Selection.load(tmp_path / "s.npz")


# What is refused.

X20 = normal(20, 3)
LETTERS = np.array(list("abcdefghijklmnopqrst"))
HALVES = np.repeat(["a", "b"], 10)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"weights": np.ones(19)}, ValueError, "weights has shape (19,) where there are 20 rows"),
        ({"weights": np.ones((20, 1))}, ValueError, "weights has shape (20, 1)"),
        ({"weights": ["1"] * 20}, TypeError, "weights must be numbers"),
        ({"weights": np.ones(20, dtype=bool)}, TypeError, "exclude takes a mask"),
        ({"weights": np.ones(20, dtype=complex)}, TypeError, "weights must be numbers"),
        ({"weights": [1, np.nan] * 10}, ValueError, "weights must be finite: that of row 1 is nan"),
        ({"weights": [1] * 19 + [np.inf]}, ValueError, "weights must be finite: that of row 19 is inf"),
        ({"weights": [1, 1, -2] + [1] * 17}, ValueError, "that of row 2 is -2"),
        ({"weights": np.zeros(20)}, ValueError, "weights are all 0"),
        (
            {"weights": [1.0] * 19 + [1e-91]},
            ValueError,
            "at least 2**-300 of the largest, 1.0: that of row 19",
        ),
        ({"weights": [[1], [1, 2]]}, ValueError, "weights must be a number for each row"),
        ({"exclude": [20]}, ValueError, "exclude holds row 20; rows are 0 to 19"),
        ({"exclude": [-1]}, ValueError, "exclude holds row -1"),
        ({"exclude": [0.5]}, TypeError, "exclude must be integers (row numbers) or a mask of bool"),
        ({"exclude": [[1]]}, ValueError, "exclude must be 1-D"),
        ({"exclude": [True] * 19}, ValueError, "exclude is a mask of shape (19,) where there are 20 rows"),
        (
            {"exclude": range(18)},
            ValueError,
            "k = 3 is more than the 2 rows that are not in selected or exclude",
        ),
        ({"exclude": [4], "start": 4}, ValueError, "start = 4 cannot be the first pick: it is in exclude"),
        ({"groups": HALVES}, ValueError, "groups needs quotas"),
        ({"quotas": {"a": 1}}, ValueError, "quotas needs groups"),
        ({"groups": HALVES[:19], "quotas": 1}, ValueError, "groups has shape (19,) where there are 20 rows"),
        ({"groups": [None, "a"] * 10, "quotas": 1}, TypeError, "groups must be labels that can be sorted"),
        ({"groups": [1.0, np.nan] * 10, "quotas": 1}, ValueError, "that of row 1 is missing"),
        ({"groups": np.ones(20, dtype=complex), "quotas": 1}, TypeError, "not complex128"),
        (
            {"groups": HALVES, "quotas": {"c": 1}},
            ValueError,
            "group 'c', which no row is in; the groups are 'a', 'b'",
        ),
        (
            {"groups": LETTERS, "quotas": {"z": 1}},
            ValueError,
            "the groups are 'a', 'b', 'c', 'd', 'e' and 15 more",
        ),
        ({"groups": HALVES, "quotas": {"a": -1}}, ValueError, "the quota of group 'a' must not be negative"),
        (
            {"groups": HALVES, "quotas": {"a": (3, 2)}},
            ValueError,
            "group 'a' asks for at least 3 and at most 2",
        ),
        (
            {"groups": HALVES, "quotas": {"a": "3"}},
            TypeError,
            "the quota of group 'a' must be a number of rows",
        ),
        (
            {"groups": HALVES, "quotas": {"a": None}},
            TypeError,
            "the quota of group 'a' must be a number of rows",
        ),
        (
            {"groups": HALVES, "quotas": {"a": True}},
            TypeError,
            "the quota of group 'a' must be a number of rows",
        ),
        ({"groups": HALVES, "quotas": {"a": (1, 2, 3)}}, TypeError, "must be a number of rows, or (at least"),
        ({"groups": HALVES, "quotas": {"a": 1.5}}, TypeError, "the quota of group 'a'"),
        ({"groups": HALVES, "quotas": {...: "x"}}, TypeError, "the quota of the other groups"),
        ({"groups": HALVES, "quotas": "x"}, TypeError, "the quota of all groups"),
        (
            {"groups": HALVES, "quotas": {"b": 11}},
            ValueError,
            "at least 11 rows of group 'b', which has 10 that",
        ),
        (
            {"groups": HALVES, "quotas": {"b": 9}, "exclude": [10], "selected": [11]},
            ValueError,
            "at least 9 rows of group 'b', which has 8 that may be picked",
        ),
        (
            {"groups": HALVES, "quotas": {"a": 2, "b": 2}},
            ValueError,
            "quotas ask for at least 4 rows (2 of group 'a', 2 of group 'b'), which is more than k = 3",
        ),
        (
            {"groups": HALVES, "quotas": 1},
            ValueError,
            "quotas allow at most 2 rows (1 of group 'a', 1 of group 'b'), which is less than k = 3",
        ),
        (
            {"groups": HALVES, "quotas": {"b": 0}, "start": 12},
            ValueError,
            "start = 12 cannot be the first pick: the quotas leave no pick for its group, 'b'",
        ),
        (
            {"groups": HALVES, "quotas": {"b": 3}, "start": 0},
            ValueError,
            "the quotas leave no pick for its group, 'a'",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for backend in CONSTRAINED:
        if BACKENDS[backend].unavailable() is None:
            with pytest.raises(error, match=re.escape(message)):
                farpoint.select(X20, 3, backend=backend, **options)


def test_no_row_is_left_for_the_first_pick() -> None:
    with pytest.raises(ValueError, match="exclude and quotas leave no row"):
        farpoint.select(X20, min_distance=1, exclude=np.ones(20, dtype=bool))
    # Nothing is asked for by number, and something is kept away from: none is an answer.
    assert len(farpoint.select(X20, min_distance=1, exclude=np.arange(1, 20), selected=[0])) == 0


@pytest.mark.parametrize(
    "options, named",
    [
        ({"weights": np.arange(20)}, "weights"),
        ({"groups": HALVES, "quotas": 2}, "groups"),
        ({"exclude": [1], "weights": np.arange(20)}, "exclude and weights"),
    ],
)
def test_what_a_backend_cannot_is_refused(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], named: str
) -> None:
    monkeypatch.setattr(type(BACKENDS["cuda"]), "unavailable", lambda _self: None)
    with pytest.raises(ValueError, match=f"'cuda' does not support {named}; .*reference"):
        farpoint.select(X20, 3, backend="cuda", **options)


@pytest.mark.parametrize("seed", range(10))
def test_excluded_rows_meet_picks_at_distance_0(check: Check, seed: int) -> None:
    """Rounded distances of 0 are not transitive: such a pick may be the nearest to an excluded row."""
    X = np.random.default_rng(seed).standard_normal((300, 1))
    expected = check(X, 80, metric="cosine", exclude=uniform(300, seed=seed) < 0.7, assign=True)
    assert expected.radii[-1] == 0
    labels = expected.labels
    assert labels is not None
    assert labels.max() > np.count_nonzero(expected.radii)


# The command line.


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from farpoint.cli import main

    X = normal(60, 4)
    weights = uniform(60, 0.1)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "w.npy", weights)
    np.save(tmp_path / "mask.npy", np.arange(60) < 5)
    (tmp_path / "w.txt").write_text("".join(f"{w!r}\n" for w in weights.tolist()))
    (tmp_path / "g.txt").write_text("".join(f"{i % 3}\n" for i in range(60)))
    (tmp_path / "names.txt").write_text("".join(f"{'ab'[i % 2]}\n" for i in range(60)))

    def run(*arguments: str) -> list[int]:
        assert main(["select", str(tmp_path / "X.npy"), "-k", "12", "--quiet", *arguments]) == 0
        return [int(line) for line in capsys.readouterr().out.split()]

    expected = farpoint.select(X, 12, weights=weights, exclude=range(5)).indices.tolist()
    mask = str(tmp_path / "mask.npy")
    assert run("--weights", str(tmp_path / "w.npy"), "--exclude", mask) == expected
    assert run("--weights", str(tmp_path / "w.txt"), "--exclude", mask) == expected
    numbers = np.arange(60) % 3
    expected = farpoint.select(
        X, 12, groups=numbers, quotas={0: 6, 1: (3, None), 2: (None, 3)}
    ).indices.tolist()
    for quotas in ("0=6,1=3:,2=:3", '{"0": 6, "1": [3, null], "2": [null, 3]}'):
        assert run("--groups", str(tmp_path / "g.txt"), "--quotas", quotas) == expected
    names = np.array(["ab"[i % 2] for i in range(60)])
    expected = farpoint.select(X, 12, groups=names, quotas={"a": 2, ...: (5, 10)}).indices.tolist()
    assert run("--groups", str(tmp_path / "names.txt"), "--quotas", "a=2,*=5:10") == expected
    for wrong, message in (
        (["--quotas", "a=2"], "quotas needs groups"),
        (["--groups", str(tmp_path / "names.txt"), "--quotas", "a"], "--quotas must be name=10"),
        (["--groups", str(tmp_path / "names.txt"), "--quotas", "a=:"], "--quotas must be name=10"),
        (["--groups", str(tmp_path / "names.txt"), "--quotas", "{"], "--quotas is not JSON"),
        (["--groups", str(tmp_path / "g.txt"), "--quotas", "a=1"], "group 'a', which no row is in"),
        (["--weights", str(tmp_path / "names.txt")], "must hold weights, one a line"),
        (["--weights", str(tmp_path / "absent")], "no such file"),
        (["--exclude", str(tmp_path / "w.npy")], "must be integers"),
        (["--ray", "local", "--exclude", mask], "--exclude cannot be used with --ray"),
    ):
        assert main(["select", str(tmp_path / "X.npy"), "-k", "12", *wrong]) == 2
        assert message in capsys.readouterr().err
