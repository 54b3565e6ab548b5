"""The C interface: the bits of the Python package, errors at the door, and what it exports."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from farpoint.backends import BACKENDS
from tests import c_library as c
from tests.conftest import BUSY, Array, assert_same

pytestmark = pytest.mark.skipif(
    BACKENDS["cpu"].unavailable() is not None, reason="farpoint was installed without its compiled parts"
)

FLOAT_METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev")
DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int8, np.uint8)


def normal(n: int, d: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, d))


X = normal(20, 4).astype(np.float32)

# How the options of the Python function are written in C.
QUOTAS = {"quotas": {0: (3, None), 1: (None, 4), 2: 5}}
C_QUOTAS = {"at_least": [3, 0, 5], "at_most": [10**9, 4, 5]}


def compare(X: Array, k: int | None, metric: str = "euclidean", **options: Any) -> None:
    """Select with both and compare everything, to the bit."""
    expected = farpoint.select(X, k, metric=metric, backend="cpu", **options)
    written = dict(options)
    if "exclude" in written:
        written["excluded"] = written.pop("exclude")
    if "quotas" in written:
        assert written.pop("quotas") == QUOTAS["quotas"]
        written.update(C_QUOTAS)
    if "start" in written:
        start = written.pop("start")
        at_row = {"start": c.START_ROW, "start_row": start}
        written.update({"start": c.START_CENTER} if start == "center" else at_row)
    found = c.select(X, k or 0, metric, **written)
    assert_same(
        farpoint.Selection(
            indices=found.indices,
            radii=found.radii,
            covering_radius=found.covering_radius,
            metric=metric,
            labels=found.labels,
            distances=found.distances,
        ),
        expected,
    )
    assert found.h_min == expected.h_min
    assert found.upper_bound == expected.upper_bound


def compare_distances(X: Array, Y: Array, metric: str) -> None:
    np.testing.assert_array_equal(
        c.pairwise_distances(X, Y, metric), farpoint.pairwise_distances(X, Y, metric=metric)
    )
    for ours, theirs in zip(c.nearest(X, Y, metric), farpoint.nearest(X, Y, metric=metric), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert c.closest_pair(X, metric) == tuple(farpoint.h_min(X, metric=metric))
    assert c.covering_radius(X, Y, metric) == farpoint.covering_radius(X, Y, metric=metric)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: np.dtype(t).name)
@pytest.mark.parametrize("metric", FLOAT_METRICS)
def test_dtypes_and_metrics(metric: str, dtype: Any) -> None:
    points = (normal(400, 37) * 20 + 30).astype(dtype)
    compare(points, 90, metric, assign=True)
    compare(points, 50, metric, start="center")
    compare(points, 50, metric, anchors=(normal(7, 37, seed=1) * 20 + 30).astype(dtype), assign=True)
    compare_distances(points, points[3:50], metric)


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_packed_bits(metric: str) -> None:
    bits = np.packbits(np.random.default_rng(0).random((300, 200)) < 0.1, axis=1)
    compare(bits, 300, metric, assign=True)
    compare(bits, None, metric, min_distance=0.7 if metric == "jaccard" else 20, start=5)
    compare_distances(bits, bits[10:40], metric)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_integer_grid_is_all_ties(metric: str, d: int) -> None:
    side = {1: 300, 2: 17, 3: 7, 5: 4}[d]
    grid = np.stack(np.meshgrid(*[np.arange(side)] * d), -1).reshape(-1, d)
    points = np.random.default_rng(d).permutation(grid).astype(np.float32)
    compare(points, len(points), metric, assign=True)
    compare(points, len(points) // 3, metric, start=len(points) - 1)


@pytest.mark.parametrize(
    "dtype, exponent",
    [*((np.float32, e) for e in (-42, -30, 30, 38)), *((np.float64, e) for e in (-300, -30, 30, 160, 300))],
)
@pytest.mark.parametrize("metric", FLOAT_METRICS)
def test_scales(metric: str, dtype: Any, exponent: int) -> None:
    points = normal(200, 17)
    points = (points / np.abs(points).max() * 10.0**exponent).astype(dtype)
    points = points[np.abs(points).max(axis=1) > 0]
    compare(points, 60, metric, assign=True)
    compare(points, 30, metric, start="center")
    apart = float(farpoint.select(points, 40, metric=metric).h_min)
    for distance in (apart, np.nextafter(apart, 0), np.nextafter(apart, np.inf), apart * 1.001):
        if distance > 0:
            compare(points, None, metric, min_distance=float(distance))
    compare_distances(points, points[5:20], metric)


def test_rows_of_very_different_lengths() -> None:
    lengths = 10.0 ** np.random.default_rng(5).uniform(-280, 280, size=(200, 1))
    compare(normal(200, 12) * lengths, 70, "cosine", start="center")


@pytest.mark.parametrize("d", [1, 7, 8, 9, 130, 300])
def test_the_mean_of_directions_has_numpys_bits(d: int) -> None:
    # Rows along one line from the mean: which is nearest is decided by the last bits.
    base = normal(1, d)
    compare(base + normal(60, d, seed=1) * 1e-12, 20, "cosine", start="center")
    compare(base + normal(60, d, seed=1) * 1e-14, 20, "euclidean", start="center")


@pytest.mark.parametrize("metric", FLOAT_METRICS)
@pytest.mark.parametrize(
    "options",
    [
        {"selected": [5, 17, 3]},
        {"selected": range(300), "anchors": normal(3, 9, seed=4).astype(np.float32)},
        {"exclude": [0, 1, 7, 7, 200]},
        {"exclude": [3, 4], "selected": [4, 5]},
        {"weights": np.arange(400) % 7 + 0.5},
        {"weights": np.full(400, 3.0)},
        {"weights": np.r_[np.zeros(390), np.full(10, 1e-200)], "start": 3},
        {"groups": np.arange(400) % 3, **QUOTAS},
        {"groups": np.arange(400) % 3, **QUOTAS, "start": "center", "exclude": range(0, 400, 2)},
        {"weights": np.arange(400) % 11, "groups": np.arange(400) % 3, **QUOTAS, "min_distance": 0.1},
    ],
    ids=lambda options: "-".join(options),
)
def test_constraints(metric: str, options: dict[str, Any]) -> None:
    points = normal(400, 9, seed=2).astype(np.float32)
    compare(points, 60 if "quotas" not in options else 12, metric, assign=True, **options)


def test_the_stages_of_large_problems() -> None:
    points = (normal(60, 48)[np.arange(9000) % 60] + 0.3 * normal(9000, 48, seed=1)).astype(np.float32)
    compare(points, 2500, assign=True)
    compare_distances(points[:4000], points[4000:7000], "euclidean")


def test_a_selection_goes_on_by_selected() -> None:
    points = normal(500, 12).astype(np.float32)
    whole = c.select(points, 80)
    first = c.select(points, 30)
    following = c.select(points, 50, selected=first.indices)
    np.testing.assert_array_equal(np.r_[first.indices, following.indices], whole.indices)
    np.testing.assert_array_equal(np.r_[first.radii, following.radii], whole.radii)


@pytest.mark.parametrize(
    "view",
    [
        lambda points: points[::3],
        lambda points: points[::-1],
        lambda points: points[:, 2:7],
        lambda points: np.lib.stride_tricks.sliding_window_view(points.ravel(), 5),
    ],
    ids=["every third", "backwards", "some columns", "overlapping"],
)
def test_rows_are_read_where_they_lie(view: Any) -> None:
    points = normal(300, 9).astype(np.float32)
    points.flags.writeable = False
    points = view(points)
    found = c.select(points, 40)
    np.testing.assert_array_equal(found.indices, farpoint.select(np.array(points), 40).indices)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_how_a_call_runs_changes_nothing(threads: int, tmp_path: Path) -> None:
    points = normal(6000, 40).astype(np.float32)
    expected = farpoint.select(points, 300)
    for number, level in enumerate(levels()):
        limit: dict[str, Any] = (
            {"memory_limit": 3_500_000, "spill_folder": str(tmp_path).encode()} if number % 2 else {}
        )
        found = c.select(points, 300, run=c.run_options(threads=threads, simd_level=level.encode(), **limit))
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.radii, expected.radii)
    assert not list(tmp_path.iterdir())


def levels() -> list[str]:
    names = c.library().farpoint_simd_levels()
    found: list[str] = []
    while names[len(found)] is not None:
        found.append(names[len(found)].decode())
    return found


def test_information() -> None:
    assert levels() == list(BACKENDS["cpu"].describe()["simd_usable"])
    assert c.library().farpoint_version().decode() == farpoint.__version__
    assert c.library().farpoint_abi_version() == 1


# --- Errors -----------------------------------------------------------------------------------------------


@contextmanager
def refused(status: int, message: str) -> Iterator[None]:
    """The call inside fails with this status and message."""
    with pytest.raises(c.CError, match=re.escape(message)) as caught:
        yield
    assert caught.value.status == status


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64], ids=lambda t: np.dtype(t).name
)
@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_the_first_bad_element_is_named(value: float, name: str, dtype: Any) -> None:
    bad = X.astype(dtype)
    bad[7, 2] = bad[9, 0] = value
    good = X.astype(dtype)
    with refused(c.INVALID_ARGUMENT, f"points must be finite: row 7, column 2 is {name}; drop or impute"):
        c.select(bad, 3)
    with refused(c.INVALID_ARGUMENT, "anchors must be finite: row 7, column 2"):
        c.select(good, 3, anchors=bad)
    with refused(c.INVALID_ARGUMENT, "y must be finite: row 7, column 2"):
        c.nearest(good, bad)
    for function in (c.closest_pair, lambda x: c.pairwise_distances(x, x)):
        with refused(c.INVALID_ARGUMENT, "x must be finite: row 7, column 2"):
            function(bad)


def test_zero_rows_have_no_cosine_distance() -> None:
    bad = X.copy()
    bad[[5, 11]] = 0
    with refused(c.INVALID_ARGUMENT, "points: row 5 is all zeros, which has no cosine distance"):
        c.select(bad, 3, "cosine")
    assert len(c.select(bad, 3).indices) == 3
    line = np.array([[1.0, 0.0], [-1.0, 0.0]])
    with refused(c.INVALID_ARGUMENT, "the directions of the rows cancel to zero"):
        c.select(line, 1, "cosine", start=c.START_CENTER)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"rows": 0}, "points must have at least one row and one column, not 0 rows of 4 columns"),
        ({"columns": -1}, "not 20 rows of -1 columns"),
        ({"dtype": 0}, "points.dtype = 0 is not one"),
        ({"dtype": 7}, "points.dtype = 7 is not one"),
        ({"data": None}, "points.data must not be NULL"),
        ({"row_stride": 18}, "points.row_stride = 18 must be a multiple of the size of float32, 4 bytes"),
        ({"rows": 2**62}, "points is larger than memory can be"),
        ({"columns": 2**62, "row_stride": 0}, "points is larger than memory can be"),
        ({"row_stride": -(2**63)}, "points is larger than memory can be"),
        ({"data": X.ctypes.data + 2, "rows": 3}, "points.data must be aligned"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_not_a_matrix(wrong: dict[str, Any], message: str) -> None:
    handle = ctypes.c_void_p(1)
    with refused(c.INVALID_ARGUMENT, message):
        c.check(c.library().farpoint_select(c.matrix(X, **wrong), 0, 1, None, None, ctypes.byref(handle)))
    assert handle.value is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": -3}, "k must be at least 1, not -3"),
        ({"k": 0}, "give k (how many rows), min_distance (how far apart), or both"),
        ({"k": 21}, "k = 21 is more than the 20 rows"),
        ({"k": 19, "selected": [1, 2]}, "k = 19 is more than the 18 rows that are not in selected"),
        ({"start": 3}, "start = 3 is not one of"),
        ({"start": c.START_ROW, "start_row": 20}, "start_row = 20 is not a row; rows are 0 to 19"),
        ({"start": c.START_ROW, "start_row": -1}, "start_row = -1 is not a row"),
        ({"start": c.START_ROW, "selected": [1]}, "start has no meaning together with selected or anchors"),
        ({"start": c.START_ROW, "start_row": 4, "excluded": [4]}, "cannot be the first pick: it is in excl"),
        ({"selected": [1, 5, 1]}, "selected holds row 1 more than once"),
        ({"selected": [3, 20]}, "selected holds row 20; rows are 0 to 19"),
        ({"selected": [-1]}, "selected holds row -1"),
        ({"excluded": [20]}, "excluded holds row 20"),
        ({"selected_count": 3}, "selected must not be NULL where selected_count is 3"),
        ({"excluded_count": -1}, "excluded_count must be at least 0"),
        ({"min_distance": -1.0}, "min_distance must be at least 0"),
        ({"min_distance": float("nan")}, "min_distance must be at least 0"),
        ({"anchors": np.zeros((2, 5), dtype=np.float32)}, "anchors has 5 columns where points has 4"),
        ({"anchors": np.zeros((2, 4))}, "anchors has dtype float64 where points has float32"),
        (
            {"weights": [-1] + [1] * 19},
            "weights must be at least 0 (a row of weight 0 comes last): that of row 0",
        ),
        ({"weights": [1] * 19 + [np.inf]}, "weights must be finite: that of row 19 is inf"),
        ({"weights": [0] * 20}, "weights are all 0"),
        ({"weights": [1] * 19 + [1e-100]}, "weights must be 0 or at least 2**-300 of the largest, 1"),
        ({"at_least": [1]}, "need groups"),
        ({"groups": [0] * 20}, "group_count must be at least 1, not 0"),
        ({"groups": [0] * 20, "group_count": 1}, "groups needs at_least or at_most"),
        ({"groups": [0] * 19 + [2], "at_least": [1, 1]}, "groups holds 2 for row 19; groups are 0 to 1"),
        ({"groups": [-1] * 20, "at_least": [1, 1]}, "groups holds -1 for row 0"),
        ({"groups": [0] * 20, "at_least": [0, 1]}, "at_least[1] = 1, but 0 rows of that group may be picked"),
        ({"groups": [0] * 20, "at_least": [-1]}, "at_least[0] = -1 must not be negative"),
        ({"groups": [0] * 20, "at_most": [-5]}, "at_most[0] = -5 must not be negative"),
        (
            {"groups": [0] * 20, "at_least": [3], "at_most": [2]},
            "at_least[0] = 3 is more than at_most[0] = 2",
        ),
        ({"groups": [0] * 20, "at_least": [4]}, "at_least asks for 4 rows, which is more than k = 3"),
        ({"groups": [0] * 20, "at_most": [2]}, "at_most allows 2 rows, which is less than k = 3"),
        ({"k": 0, "min_distance": 1.0, "excluded": range(20)}, "leave no row that may be picked"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_options(options: dict[str, Any], message: str) -> None:
    with refused(c.INVALID_ARGUMENT, message):
        c.select(X, **{"k": 3, **options})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"threads": -1}, "threads must be at least 1, not -1; 0 uses all processors"),
        ({"reserved": 1}, "reserved must be 0, not 1"),
        ({"memory_limit": -1}, "memory_limit must be at least 1 byte"),
        ({"spill_folder": b"/not/there"}, 'spill_folder = "/not/there" is not a folder'),
        ({"simd_level": b"mmx"}, "SIMD level 'mmx' cannot be used here; compiled and supported"),
    ],
)
def test_run_options(options: dict[str, Any], message: str) -> None:
    with refused(c.INVALID_ARGUMENT, message):
        c.select(X, 3, run=c.run_options(**options))


def test_a_metric_that_is_none_and_bits_of_another_dtype() -> None:
    for metric in (-1, 7):
        with refused(c.INVALID_ARGUMENT, f"metric = {metric} is not one"):
            c.check(c.library().farpoint_closest_pair(c.matrix(X), metric, None, None, None, None))
    with refused(
        c.INVALID_ARGUMENT, "points has dtype float32; the metrics hamming and jaccard take packed bits"
    ):
        c.select(X, 3, "jaccard")
    with refused(c.INVALID_ARGUMENT, "FARPOINT_START_CENTER has no meaning for packed bits"):
        c.select(np.eye(9, dtype=np.uint8), 3, "hamming", start=c.START_CENTER)


def test_null_is_refused_or_harmless() -> None:
    lib, points, handle = c.library(), c.matrix(X), ctypes.c_void_p()
    with refused(c.INVALID_ARGUMENT, "points must be a matrix, not NULL"):
        c.check(lib.farpoint_select(None, 0, 1, None, None, ctypes.byref(handle)))
    with refused(c.INVALID_ARGUMENT, "selection, where the result goes, must not be NULL"):
        c.check(lib.farpoint_select(points, 0, 1, None, None, None))
    with refused(c.INVALID_ARGUMENT, "y must be a matrix, not NULL"):
        c.check(lib.farpoint_nearest(points, None, 0, None, None, None))
    with refused(c.INVALID_ARGUMENT, "distances, where the result goes, must not be NULL"):
        c.check(lib.farpoint_pairwise_distances(points, points, 0, None, None))
    with refused(c.INVALID_ARGUMENT, "radius, where the result goes, must not be NULL"):
        c.check(lib.farpoint_covering_radius(points, points, 0, None, None))
    with refused(c.INVALID_ARGUMENT, "x has one row; a pairwise distance needs at least two"):
        c.closest_pair(X[:1])
    # Results that nobody wants.
    c.check(lib.farpoint_nearest(points, points, 0, None, None, None))
    c.check(lib.farpoint_closest_pair(points, 0, None, None, None, None))
    lib.farpoint_selection_free(None)
    assert lib.farpoint_selection_size(None) == 0
    for name in ("indices", "radii", "labels", "distances"):
        assert getattr(lib, f"farpoint_selection_{name}")(None) is None
    for name in ("h_min", "covering_radius", "upper_bound"):
        assert np.isnan(getattr(lib, f"farpoint_selection_{name}")(None))
    c.check(lib.farpoint_select(points, 0, 1, None, None, ctypes.byref(handle)))
    assert lib.farpoint_selection_labels(handle) is None
    lib.farpoint_selection_free(handle)


def test_a_result_is_not_touched_by_a_call_that_fails() -> None:
    bad = X.copy()
    bad[3, 1] = np.nan
    distances, indices = np.full(20, 7.0), np.full(20, 7)
    status = c.library().farpoint_nearest(
        c.matrix(bad), c.matrix(X), 0, None, distances.ctypes.data, indices.ctypes.data
    )
    assert status == c.INVALID_ARGUMENT
    assert (distances == 7).all()
    assert (indices == 7).all()


def test_a_limit_that_is_too_small_says_the_least_that_works() -> None:
    points = normal(3000, 40)
    with pytest.raises(c.CError) as caught:
        c.select(points, 100, run=c.run_options(memory_limit=1000))
    assert caught.value.status == c.LIMIT_TOO_SMALL
    message = str(caught.value)
    assert message.startswith(
        "memory_limit = 1000 bytes is too little for 3000 rows of 40 columns and k = 100"
    )
    least = int(re.findall(r"at least (\d+) bytes", message)[0])
    found = c.select(points, 100, run=c.run_options(memory_limit=least))
    np.testing.assert_array_equal(found.indices, farpoint.select(points, 100).indices)
    with refused(c.LIMIT_TOO_SMALL, "3000 rows of 40 columns and 3000 rows of y"):
        c.nearest(points, points, run=c.run_options(memory_limit=1000))
    with refused(c.LIMIT_TOO_SMALL, "is too little for 3000 rows of 40 columns: at least"):
        c.closest_pair(points, run=c.run_options(memory_limit=1000))


def test_a_temporary_file_that_cannot_be_made() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no folder here in which not even root can write")
    points = normal(20_000, 64).astype(np.float32)
    options = c.run_options(memory_limit=7_000_000, spill_folder=b"/proc")
    with refused(c.SPILL_FAILED, "farpoint cannot make a temporary file for work memory"):
        c.select(points, 2000, run=options)


def test_options_of_other_versions() -> None:
    lib, points, handle = c.library(), c.matrix(X), ctypes.c_void_p()

    def select(options: Any, run: Any = None) -> None:
        as_options = ctypes.cast(ctypes.pointer(options), ctypes.POINTER(c.SelectOptions))
        c.check(lib.farpoint_select(points, 0, 2, as_options, run, ctypes.byref(handle)))
        lib.farpoint_selection_free(handle)

    with refused(
        c.INVALID_ARGUMENT, "select_options.struct_size is 0: it must be sizeof(farpoint_select_options)"
    ):
        select(c.SelectOptions())
    with refused(c.INVALID_ARGUMENT, "run_options.struct_size is 0"):
        select(c.SelectOptions(struct_size=ctypes.sizeof(c.SelectOptions)), c.RunOptions())

    class Newer(c.SelectOptions):
        _fields_ = [("unknown", ctypes.c_int64)]

    newer = Newer(struct_size=ctypes.sizeof(Newer))
    select(newer)  # what the library does not know is left at its default
    newer.unknown = 1
    with refused(c.INVALID_ARGUMENT, "select_options has an option that this version of the library"):
        select(newer)

    # An older program knows fewer: what comes after them is not read.
    older = c.SelectOptions(struct_size=c.SelectOptions.selected.offset, selected_count=99)
    select(older)


# --- Progress, and other threads --------------------------------------------------------------------------


def test_progress_is_heard_and_a_call_ends_when_it_says_so() -> None:
    points = normal(60_000, 96).astype(np.float32)
    heard: list[tuple[int, int, float]] = []
    callers = set()

    def listen(done: int, total: int, radius: float) -> int:
        heard.append((done, total, radius))
        callers.add(threading.get_ident())
        return int(len(heard) == 5)

    with refused(c.CANCELLED, "cancelled by the progress function"):
        c.select(points, 50_000, run=c.run_options(listen))
    assert callers == {threading.get_ident()}
    assert len(heard) == 5
    assert {total for _, total, _ in heard} == {50_000}
    done = [done for done, _, _ in heard]
    assert done == sorted(done)
    assert done[-1] > 1
    expected = farpoint.select(points, done[-1]).radii
    for done_now, _, radius in heard:
        assert radius == (expected[done_now - 1] if done_now else np.inf)


@pytest.mark.parametrize("function", ["select", "center", "nearest", "closest_pair"])
def test_calls_end_promptly(function: str) -> None:
    points = normal(150_000, 128).astype(np.float32)
    began = time.perf_counter()
    stopped_at = [0.0]

    def stop(*_: Any) -> int:
        if time.perf_counter() - began < 0.3:
            return 0
        stopped_at[0] = time.perf_counter()
        return -1

    options = c.run_options(stop)
    calls: dict[str, Callable[[], Any]] = {
        "select": lambda: c.select(points, 150_000, run=options),
        "center": lambda: c.select(points, 150_000, run=options, start=c.START_CENTER),
        "nearest": lambda: c.nearest(points, points, run=options),
        "closest_pair": lambda: c.closest_pair(points, run=options),
    }
    with refused(c.CANCELLED, "cancelled"):
        calls[function]()
    assert time.perf_counter() - stopped_at[0] < 0.2 + BUSY


def test_two_selections_at_once_have_their_own_errors_and_progress() -> None:
    points = normal(20_000, 64).astype(np.float32)
    bad = points.copy()
    bad[19_999, 3] = np.inf
    expected = farpoint.select(points, 510)
    outcomes: dict[int, Any] = {}

    def work(number: int) -> None:
        def listen(_done: int, total: int, _radius: float) -> int:
            return int(total != 500 + number)

        try:
            found = c.select(bad if number % 2 else points, 500 + number, run=c.run_options(listen))
            outcomes[number] = found.indices
        except c.CError as error:
            outcomes[number] = str(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        if number % 2:
            assert "row 19999, column 3 is inf" in outcomes[number]
        else:
            np.testing.assert_array_equal(outcomes[number], expected.indices[: 500 + number])


def test_messages_are_of_the_thread() -> None:
    seen = []
    with refused(c.INVALID_ARGUMENT, "k = 21"):
        c.select(X, 21)
    thread = threading.Thread(target=lambda: seen.append(c.library().farpoint_last_error_message()))
    thread.start()
    thread.join()
    assert seen == [b""]
    c.select(X, 2)
    assert b"k = 21" in c.library().farpoint_last_error_message()


@pytest.mark.memory
def test_handles_are_freed() -> None:
    points = normal(20_000, 3).astype(np.float32)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    c.select(points, 100, assign=True)
    before = resident()
    for _ in range(100):
        c.select(points, 100, assign=True)  # 320 kB of labels and distances
    assert resident() - before < 10e6


# --- The header and the library ---------------------------------------------------------------------------


def test_nothing_but_the_interface_is_exported() -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    found = subprocess.run(
        [nm, "-D", "--defined-only", farpoint.get_library()], check=True, capture_output=True, text=True
    )
    exported = {line.split()[-1] for line in found.stdout.splitlines()}
    declared = set(re.findall(r"^FARPOINT_API .*?(farpoint_\w+)\(", c.header(), re.M))
    assert exported == declared
    assert len(declared) > 15


@pytest.mark.parametrize(
    "language", [("cc", "c", "-std=c99"), ("c++", "c++", "-std=c++11"), ("c++", "c++", "-std=c++20")], ids=str
)
def test_the_header_is_strict_c_and_cpp(language: tuple[str, str, str], tmp_path: Path) -> None:
    compiler, name, standard = language
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    (tmp_path / "use").write_text(
        '#include "farpoint.h"\n#include "farpoint.h"\n'
        "int use(void);\n"
        "int use(void) { return (int)farpoint_default_select_options().struct_size + FARPOINT_JACCARD; }\n"
    )
    warnings = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    subprocess.run(
        [compiler, "-x", name, standard, *warnings, "-fsyntax-only", "-I", farpoint.get_include(), "use"],
        cwd=tmp_path,
        check=True,
    )


def test_the_program_in_the_docs_says_what_python_says(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    text = (Path(__file__).parents[1] / "docs" / "embedding.md").read_text()
    (tmp_path / "program.c").write_text(re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)[0])
    library = Path(farpoint.get_library())
    search = [f"-I{farpoint.get_include()}", str(library), f"-Wl,-rpath,{library.parent}"]
    subprocess.run(["cc", "-std=c99", "program.c", *search, "-o", "program"], cwd=tmp_path, check=True)
    found = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True)
    s = farpoint.select([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]], 3)
    expected = [f"row {row} at radius {radius:g}" for row, radius in zip(s.indices, s.radii, strict=True)]
    assert found.stdout.splitlines() == expected


# The ABI, version 1: what must never change. New fields come at the end; new constants get new numbers.
LAYOUT = {
    "farpoint_matrix": (40, "data 0 rows 8 columns 16 row_stride 24 dtype 32"),
    "farpoint_run_options": (
        56,
        "struct_size 0 threads 8 reserved 12 memory_limit 16 spill_folder 24 simd_level 32 progress 40 "
        "context 48",
    ),
    "farpoint_select_options": (
        112,
        "struct_size 0 min_distance 8 start 16 assign 20 start_row 24 selected 32 selected_count 40 "
        "excluded 48 excluded_count 56 anchors 64 weights 72 groups 80 group_count 88 at_least 96 "
        "at_most 104",
    ),
}
CONSTANTS = (
    "OK 0 INVALID_ARGUMENT 1 OUT_OF_MEMORY 2 LIMIT_TOO_SMALL 3 SPILL_FAILED 4 CANCELLED 5 INTERNAL_ERROR 6 "
    "FLOAT16 1 BFLOAT16 2 FLOAT32 3 FLOAT64 4 INT8 5 UINT8 6 "
    "EUCLIDEAN 0 SQEUCLIDEAN 1 COSINE 2 MANHATTAN 3 CHEBYSHEV 4 HAMMING 5 JACCARD 6 "
    "START_DEFAULT 0 START_ROW 1 START_CENTER 2 ABI_VERSION 1"
)


def test_the_abi_is_what_it_was(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    lines = ['#include "farpoint.h"', "#define HOLDS(name, what) typedef char name[(what) ? 1 : -1]"]
    for structure, (size, fields) in LAYOUT.items():
        words = fields.split()
        lines.append(f"HOLDS({structure}_size, sizeof({structure}) == {size});")
        for field, offset in zip(words[::2], words[1::2], strict=True):
            lines.append(f"HOLDS({structure}_{field}, offsetof({structure}, {field}) == {offset});")
    words = CONSTANTS.split()
    for name, value in zip(words[::2], words[1::2], strict=True):
        lines.append(f"HOLDS(constant_{name}, FARPOINT_{name} == {value});")
    (tmp_path / "abi.c").write_text("\n".join(lines) + "\n")
    subprocess.run(
        ["cc", "-std=c99", "-fsyntax-only", "-I", farpoint.get_include(), "abi.c"], cwd=tmp_path, check=True
    )
    # None is missing above, and what the tests declare is the same.
    named = set(re.findall(r"^  FARPOINT_(\w+) = ", c.header(), re.M))
    assert named | {"ABI_VERSION"} == set(words[::2])
    for structure, kind in (
        ("matrix", c.Matrix),
        ("run_options", c.RunOptions),
        ("select_options", c.SelectOptions),
    ):
        size, fields = LAYOUT[f"farpoint_{structure}"]
        assert ctypes.sizeof(kind) == size
        ours = " ".join(f"{field[0]} {getattr(kind, field[0]).offset}" for field in kind._fields_)
        assert ours == fields
