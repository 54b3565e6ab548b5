"""Bad input: the error names the trouble and the remedy; never a crash, never a silent wrong answer."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import farpoint
from tests.conftest import Array, Engine, every_engine

X = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)


def with_element(value: float, row: int = 7, column: int = 2, dtype: Any = np.float32) -> Array:
    bad = X.astype(dtype)
    bad[row, column] = value
    bad[row + 3, 0] = value
    return bad


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
@every_engine
def test_the_first_bad_element_is_named(engine: Engine, value: float, name: str, dtype: Any) -> None:
    message = f"X must be finite: row 7, column 2 is {name};"
    bad = with_element(value, dtype=dtype)
    with engine.active():
        with pytest.raises(ValueError, match=message):
            farpoint.select(bad, 3, **engine.arguments)
        for function in (farpoint.h_min, farpoint.pairwise_distances):
            with pytest.raises(ValueError, match=message):
                function(bad, **engine.arguments)
        with pytest.raises(ValueError, match="Y must be finite: row 7, column 2"):
            farpoint.nearest(X, bad, **engine.arguments)
        with pytest.raises(ValueError, match="anchors must be finite: row 7"):
            farpoint.select(X, 3, anchors=bad, **engine.arguments)


@every_engine
def test_a_bad_element_far_down_is_found(engine: Engine) -> None:
    big = np.zeros((300_000, 5), dtype=np.float32)
    big[:, 0] = np.arange(len(big))
    big[[299_999, 123_456, 200_000], 3] = np.nan
    with engine.active(), pytest.raises(ValueError, match="row 123456, column 3"):
        farpoint.select(big, 3, **engine.arguments)


@pytest.mark.parametrize(
    "bad, error, message",
    [
        (np.zeros((0, 3)), ValueError, "X is empty: it has shape (0, 3)"),
        (np.zeros((3, 0)), ValueError, "X is empty: it has shape (3, 0)"),
        ([], ValueError, "must be 2-D"),
        (np.zeros(5), ValueError, "must be 2-D (rows, columns); it has shape (5,) (reshape(-1, 1)"),
        (np.zeros((2, 2, 2)), ValueError, "must be 2-D (rows, columns); it has shape (2, 2, 2)"),
        (np.array(3.0), ValueError, "must be 2-D"),
        (np.array([[1, "a"]], dtype=object), TypeError, "X has dtype object"),
        (np.zeros((2, 2), dtype=complex), TypeError, "X has dtype complex128; supported are bfloat16"),
        (np.zeros((2, 2), dtype="U3"), TypeError, "X has dtype <U3"),
        (np.zeros((2, 2), dtype="M8[s]"), TypeError, "X has dtype datetime64[s]"),
        (np.zeros((2, 2), dtype=np.longdouble), TypeError, "supported are"),
        ([[1.0, 2.0], [3.0]], ValueError, "X must be rectangular"),
        ([[1.0, None]], TypeError, "X has dtype object"),
        ("embeddings.npy", FileNotFoundError, "embeddings.npy: no such file"),
        (["a.npy", "b.npy"], FileNotFoundError, "a.npy: no such file"),
        (b"embeddings.npy", TypeError, "must be a 2-D array of numbers, not bytes"),
        (None, TypeError, "X must be a 2-D array of numbers, not NoneType"),
        ({"a": 1}, TypeError, "not dict"),
        (3.5, TypeError, "not float"),
        (np.array([[2**60, 1]]), TypeError, "beyond 2**53"),
        (np.ma.masked_less(np.eye(3), 0.5), TypeError, "masked"),
    ],
    ids=lambda value: str(value)[:25] if not isinstance(value, type) else value.__name__,
)
def test_not_a_matrix(bad: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        farpoint.select(bad, 1)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"k": 0}, ValueError, "k must be at least 1, not 0"),
        ({"k": -3}, ValueError, "k must be at least 1, not -3"),
        ({"k": 21}, ValueError, "k = 21 is more than the 20 rows"),
        (
            {"k": 19, "selected": [1, 2]},
            ValueError,
            "k = 19 is more than the 18 rows that are not in selected",
        ),
        ({"k": 0.0}, ValueError, "a float k is a fraction of the rows, in (0, 1], not 0.0"),
        ({"k": 1.5}, ValueError, "for a count pass an int"),
        ({"k": 2.0}, ValueError, "for a count pass an int"),
        ({"k": float("nan")}, ValueError, "not nan"),
        ({"k": "3"}, TypeError, "k must be an integer, not '3'"),
        ({"k": True}, TypeError, "not a bool"),
        ({"k": [3]}, TypeError, "k must be an integer"),
        ({"k": None}, ValueError, "give k (how many rows), min_distance (how far apart), or both"),
        ({"k": 10**30}, ValueError, "more than the 20 rows"),
        ({"start": 20}, ValueError, "start = 20 is not a row; rows are 0 to 19"),
        ({"start": -1}, ValueError, "start = -1 is not a row"),
        ({"start": 1.0}, TypeError, "start must be an integer"),
        ({"start": "middle"}, ValueError, 'start must be a row number, "center" or "random"'),
        ({"start": 3, "selected": [1]}, ValueError, "start = 3 has no meaning together with selected"),
        ({"start": "center", "anchors": X[:1]}, ValueError, "has no meaning together with"),
        ({"seed": "x"}, TypeError, "seed must be None, an int or a numpy Generator"),
        ({"seed": -1}, TypeError, "seed must be"),
        ({"selected": [1, 5, 1]}, ValueError, "selected holds row 1 more than once"),
        ({"selected": [3, 20]}, ValueError, "selected holds row 20; rows are 0 to 19"),
        ({"selected": [-1]}, ValueError, "selected holds row -1"),
        ({"selected": [1.0]}, TypeError, "selected must be integers (row numbers), not float64"),
        ({"selected": np.ones(20, dtype=bool)}, TypeError, "numpy.flatnonzero(mask)"),
        ({"selected": [[1, 2]]}, ValueError, "selected must be 1-D"),
        ({"selected": [[1], [1, 2]]}, ValueError, "selected must be a flat list"),
        ({"k": 1, "selected": range(20)}, ValueError, "k = 1 is more than the 0 rows"),
        ({"anchors": np.zeros((2, 5))}, ValueError, "anchors has 5 columns where X has 4"),
        ({"anchors": np.zeros(4)}, ValueError, "anchors must be 2-D"),
        ({"anchors": np.zeros((0, 4))}, ValueError, "anchors is empty"),
        ({"min_distance": -1}, ValueError, "min_distance must be at least 0"),
        ({"min_distance": float("nan")}, ValueError, "min_distance must be at least 0"),
        ({"min_distance": 10**400}, ValueError, "min_distance must be a number that float64 holds"),
        ({"k": 0.1, "selected": range(20)}, ValueError, "k = 0.1 of the 20 rows is at least one, and"),
        ({"min_distance": "1"}, TypeError, "min_distance must be a number"),
        (
            {"metric": "euclid"},
            ValueError,
            "unknown metric 'euclid'; the known ones are 'euclidean', 'sqeuclidean', 'cosine', "
            "'manhattan', 'chebyshev'",
        ),
        ({"metric": 3}, ValueError, "unknown metric 3"),
        (
            {"backend": "gpu"},
            ValueError,
            "unknown backend 'gpu'; the known ones are 'auto', 'cpu', 'cuda', 'numba', 'reference'",
        ),
        ({"threads": 0}, ValueError, "threads must be at least 1, not 0"),
        ({"threads": 1.5}, TypeError, "threads must be an integer"),
        ({"progress": "yes"}, TypeError, "progress must be a bool or a callable"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
@every_engine
def test_options(engine: Engine, options: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"k": 3, **engine.arguments, **options}
    with engine.active(), pytest.raises(error, match=re.escape(message)):
        farpoint.select(X, **arguments)


@every_engine
def test_zero_rows_have_no_cosine_distance(engine: Engine) -> None:
    bad = X.copy()
    bad[[5, 11]] = 0
    with engine.active():
        with pytest.raises(ValueError, match="X: row 5 is all zeros"):
            farpoint.select(bad, 3, metric="cosine", **engine.arguments)
        with pytest.raises(ValueError, match="anchors: row 5 is all zeros"):
            farpoint.select(X, 3, anchors=bad, metric="cosine", **engine.arguments)
        assert len(farpoint.select(bad, 3, **engine.arguments)) == 3


def test_opposite_directions_have_no_center() -> None:
    with pytest.raises(ValueError, match="cancel"):
        farpoint.select([[1.0, 0.0], [-1.0, 0.0]], 1, metric="cosine", start="center")


def test_anchors_that_the_dtype_cannot_hold() -> None:
    points = np.arange(12, dtype=np.int8).reshape(6, 2)
    with pytest.raises(TypeError, match="cannot hold; convert X to a floating type"):
        farpoint.select(points, 2, anchors=[[0.5, 1.0]])
    assert len(farpoint.select(points, 2, anchors=[[1.0, 2.0]])) == 2
    with pytest.raises(ValueError, match="anchors must be finite"):
        farpoint.select(X.astype(np.float16), 2, anchors=[[1e30, 0, 0, 0]])


def test_one_row_has_no_closest_pair() -> None:
    with pytest.raises(ValueError, match="at least two"):
        farpoint.h_min(X[:1])


@pytest.mark.parametrize(
    "out, error, message",
    [
        (np.zeros((20, 19)), ValueError, "out has shape (20, 19) where the distances have (20, 20)"),
        (np.zeros((20, 20), dtype=int), TypeError, "out must be float32 or float64"),
        ([[0.0] * 20] * 20, TypeError, "out must be a numpy array"),
        (np.broadcast_to(np.zeros(20), (20, 20)), ValueError, "out is read-only"),
    ],
)
def test_out(out: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        farpoint.pairwise_distances(X, out=out)


def test_a_simd_level_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("farpoint._cpu")
    monkeypatch.setenv("FARPOINT_SIMD", "mmx")
    with pytest.raises(ValueError, match="SIMD level 'mmx' cannot be used here; .*: baseline"):
        farpoint.select(X, 2, backend="cpu")
    with pytest.raises(ValueError, match="SIMD level 'mmx'"):
        farpoint.select(X, 2)
    found = farpoint.show_config("dict")
    assert "mmx" in found["backends"]["cpu"]["reason"]
    assert found["auto"] is None
    assert "mmx" in found["auto_reason"]
    # Others have no SIMD level.
    for backend in ("numba", "reference"):
        assert len(farpoint.select(X, 2, backend=backend)) == 2


def test_the_extension_checks_what_would_crash() -> None:
    """Private, but wrong arguments must not reach memory that is not theirs."""
    _cpu = pytest.importorskip("farpoint._cpu")
    nothing = np.empty(0, dtype=np.int64)

    def run(
        points: Array = X,
        prior: Array = np.array([0]),  # noqa: B008
        selected: Array = nothing,
        anchors: Array | None = None,
        dtype: Any = "float32",
        **extra: Any,
    ) -> dict[str, Any]:
        arguments = {
            "metric": "squared", "scale": 1.0, "largest": 10.0, "k": 2, "minimum_value": 0.0,
            "assign": False, "threads": 1, "simd": "", "eager": False, "listener": None,
            "prior_value": np.inf, "memory_limit": None, "spill_folder": "", "excluded": nothing,
            "weights": np.empty(0), "of_roots": False, "groups": np.empty(0, dtype=np.int32),
            "at_least": nothing, "at_most": nothing, **extra,
        }  # fmt: skip
        found: dict[str, Any] = _cpu.select(
            points=points, dtype=dtype, prior=prior, selected=selected, anchors=anchors, **arguments
        )
        return found

    assert len(run()["indices"]) == 2
    for wrong in (
        {"points": X.T},
        {"points": X[0]},
        {"dtype": "float64"},
        {"dtype": "float13"},
        {"prior": np.array([20])},
        {"prior": np.array([-1])},
        {"prior": nothing},
        {"prior": np.array([3, 3])},
        {"prior": np.array([0, 1, 2])},
        {"prior": np.array([1]), "selected": np.array([1])},
        {"prior": nothing, "selected": np.array([20])},
        {"prior": nothing, "anchors": np.zeros((2, 3), dtype=np.float32)},
        {"metric": "l7"},
        {"k": -1},
        {"k": 21},
        {"prior": nothing, "selected": np.array([1, 1])},
        {"excluded": np.array([0])},
        {"excluded": np.array([1, 1])},
        {"excluded": np.array([20])},
        {"excluded": np.arange(1, 20)},
        {"weights": np.ones(19)},
        {"groups": np.zeros(19, dtype=np.int32), "at_least": np.array([0]), "at_most": np.array([9])},
        {"groups": np.zeros(20, dtype=np.int32)},
        {"groups": np.zeros(20, dtype=np.int32), "at_least": np.array([0]), "at_most": nothing},
        {"groups": np.full(20, -1, dtype=np.int32), "at_least": np.array([0]), "at_most": np.array([9])},
    ):
        with pytest.raises((ValueError, IndexError)):
            run(**wrong)
