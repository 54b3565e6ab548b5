"""The summary of a matrix: each number against the plain way to it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint.cli import main
from tests.conftest import Array


def rows(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


def on_sphere(n: int, d: int, seed: int = 0) -> Array:
    X = rows(n, d, seed)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X


def test_numbers_are_those_of_the_plain_way() -> None:
    X = rows(300, 5)
    found = farpoint.uniformity(X, k=40)
    distances = farpoint.pairwise_distances(X)
    pairs = distances[np.triu_indices(300, 1)]
    np.fill_diagonal(distances, np.inf)
    assert (found.n, found.d, found.sampled) == (300, 5, 300)
    assert found.h_min == pairs.min() == distances[found.pair]
    assert found.typical_distance == np.median(pairs)
    assert found.nearest_neighbour == np.median(distances.min(axis=1))
    assert found.near == found.nearest_neighbour / 4
    selection = farpoint.select(X, 40)
    assert (found.k, found.covering_radius, found.selected_h_min) == (
        40,
        selection.covering_radius,
        selection.h_min,
    )
    assert not found.normalised


def test_a_sample_sees_all_rows() -> None:
    """The nearest other row is of the whole matrix, not of the sample."""
    X = np.repeat(rows(400, 6), 2, axis=0)
    found = farpoint.uniformity(X, sample=50)
    assert found.sampled == 50
    assert found.nearest_neighbour == 0
    assert found.near_duplicates == 1
    assert farpoint.uniformity(X, sample=50, seed=1).typical_distance != found.typical_distance
    assert farpoint.uniformity(X, sample=50) == found


@pytest.mark.parametrize("dimension", [1, 2, 3, 6])
def test_intrinsic_dimension(dimension: int) -> None:
    """Of a cube of few dimensions within many; walls make it a little smaller."""
    cube = np.random.default_rng(dimension).random((2000, dimension))
    X = cube @ np.linalg.qr(rows(30, 30))[0][:dimension]
    assert farpoint.uniformity(X).intrinsic_dimension == pytest.approx(dimension, rel=0.15)


def test_uniform_points_have_the_h_min_that_is_expected() -> None:
    found = [farpoint.uniformity(on_sphere(400, 3, seed)) for seed in range(40)]
    assert all(u.normalised for u in found)
    mean = np.mean([u.h_min for u in found])
    assert mean == pytest.approx(found[0].expected_h_min, rel=0.25)
    assert mean == pytest.approx(np.mean([u.expected_h_min_intrinsic for u in found]), rel=0.25)
    balls = [
        on_sphere(400, 3, seed) * np.random.default_rng(seed).random((400, 1)) ** (1 / 3)
        for seed in range(40)
    ]
    found = [farpoint.uniformity(7 + 5 * ball) for ball in balls]
    assert not any(u.normalised for u in found)
    assert np.mean([u.h_min for u in found]) == pytest.approx(
        np.mean([u.expected_h_min for u in found]), rel=0.25
    )


def test_near_duplicates() -> None:
    X = rows(500, 8)
    X[100:150] = X[:50] + 1e-3
    found = farpoint.uniformity(X)
    assert found.near_duplicates == 0.2
    assert found.h_min < 0.1 * found.expected_h_min_intrinsic
    assert farpoint.uniformity(X, near=1e-4).near_duplicates == 0
    assert farpoint.uniformity(X, near=100).near_duplicates == 1


@pytest.mark.parametrize(
    "X",
    [np.zeros((5, 2)), [[1.0], [2.0]], [[0.0, 1.0]] * 3, np.eye(3), np.full((4, 3), 7.0)],
    ids=["zeros", "two rows", "equal rows", "corners", "constant"],
)
def test_small_and_degenerate(X: Any) -> None:
    found = farpoint.uniformity(X)
    assert found.h_min == farpoint.h_min(X).value
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found).count("\n") == 8
    assert found.expected_h_min >= 0


def test_float16_rows_are_normalised_but_for_rounding() -> None:
    X = on_sphere(300, 64).astype(np.float16)
    found = farpoint.uniformity(X)
    assert found.normalised
    assert found.expected_h_min == pytest.approx(
        farpoint.theory.expected_h_min(300, 64, domain="sphere"), rel=2e-3
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sample": 2}, "sample must be an integer of at least 3, not 2"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"near": -1.0}, "near must be at least 0"),
        ({"near": math.nan}, "near must be at least 0"),
        ({"k": 0}, "k must be"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        farpoint.uniformity(rows(20, 3), **arguments)


def test_one_row_has_no_distances() -> None:
    with pytest.raises(ValueError, match="has one row"):
        farpoint.uniformity([[1.0, 2.0]])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X = rows(300, 4).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    assert main(["hmin", str(tmp_path / "x.npy"), "--full", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        **farpoint.uniformity(X).to_dict(),
        "pair": list(farpoint.h_min(X)[1:]),
    }
    assert main(["hmin", str(tmp_path / "x.npy"), "--full"]) == 0
    assert capsys.readouterr().out.startswith("rows x columns ")
    for option in (["--metric", "cosine"], ["--device", "0"]):
        assert main(["hmin", str(tmp_path / "x.npy"), "--full", *option]) == 2
        assert "--full" in capsys.readouterr().err
