"""What h_min to expect, against SciPy's functions and against points that are drawn."""

from __future__ import annotations

import doctest
import inspect
import itertools
import math

import numpy as np
import pytest
import scipy.special

import farpoint
from farpoint import theory
from farpoint._special import log_incomplete_beta, log_incomplete_gamma
from tests.conftest import Array

SIZES = (0.5, 1, 3, 50, 200, 2000)


def draw(domain: str, n: int, d: int, rng: np.random.Generator) -> Array:
    if domain == "torus":
        return rng.random((n, d))
    points = rng.standard_normal((n, d))
    if domain == "normal":
        return points
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points if domain == "sphere" else points * rng.random((n, 1)) ** (1 / d)


def h_min(domain: str, points: Array) -> float:
    if domain != "torus":
        return farpoint.h_min(points).value
    # Beside itself in every direction: the closest pair across a wall is there too, copies of a row are not.
    shifts = np.array(list(itertools.product((0, 1), repeat=points.shape[1])), dtype=float)
    return farpoint.h_min(np.concatenate([points + shift for shift in shifts])).value


def test_incomplete_beta() -> None:
    for a, b, x in itertools.product(SIZES, SIZES, (1e-6, 0.01, 0.3, 0.5, 0.7, 0.9, 0.999)):
        expected = scipy.special.betainc(a, b, x)
        if expected > 1e-290:
            assert log_incomplete_beta(x, a, b) == pytest.approx(math.log(expected), abs=1e-11)
    assert log_incomplete_beta(0.0, 2, 3) == -math.inf
    assert log_incomplete_beta(1.0, 2, 3) == 0
    # x^a, where float64 has no such number.
    assert log_incomplete_beta(1e-3, 1000, 1) == pytest.approx(1000 * math.log(1e-3))


def test_incomplete_gamma() -> None:
    for a, x in itertools.product(SIZES, (1e-3, 0.1, 1, 3, 40, 60, 180, 220, 1900, 2100, 5000)):
        expected = scipy.special.gammainc(a, x)
        if expected > 1e-290:
            assert log_incomplete_gamma(a, x) == pytest.approx(math.log(expected), abs=1e-11)
    assert log_incomplete_gamma(2.0, 0.0) == -math.inf


def test_ball_volume() -> None:
    assert [theory.ball_volume(d) for d in (1, 2, 3, 4)] == pytest.approx(
        [2, math.pi, 4 / 3 * math.pi, math.pi**2 / 2]
    )
    assert theory.ball_volume(1000) == 0


@pytest.mark.parametrize("d", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("domain", theory.DOMAINS)
def test_pair_probability(domain: str, d: int) -> None:
    if domain == "sphere" and d == 1:
        pytest.skip("two points")
    rng = np.random.default_rng(d)
    differences = np.abs(draw(domain, 40_000, d, rng) - draw(domain, 40_000, d, rng))
    if domain == "torus":
        differences = np.minimum(differences, 1 - differences)
    distances = np.linalg.norm(differences, axis=1)
    for q in (0.001, 0.05, 0.3, 0.8, 0.99):
        r = float(np.quantile(distances, q))
        if domain != "torus" or r <= 0.5:
            found = theory.pair_probability(3 * r, d, domain=domain, scale=3.0)
            assert abs(found - q) < 5 * math.sqrt(q * (1 - q) / len(distances))  # five standard errors


@pytest.mark.parametrize("n, d", [(2, 3), (300, 2), (300, 3), (300, 40)])
@pytest.mark.parametrize("domain", theory.DOMAINS)
def test_h_min_of_uniform_points(domain: str, n: int, d: int) -> None:
    if domain == "torus" and (n == 2 or d == 40):
        with pytest.raises(ValueError, match="too few for the torus"):
            theory.expected_h_min(n, d, domain=domain)
        return
    rng = np.random.default_rng(0)
    found = np.array([h_min(domain, draw(domain, n, d, rng)) for _ in range(200)])
    error = found.std() / math.sqrt(len(found))
    # Where points are not uniform, close pairs come in clusters: the law is a little less good.
    tolerance = 0.02 if domain in ("normal", "ball") else 0
    expected = theory.expected_h_min(n, d, domain=domain)
    assert abs(expected - found.mean()) < 4 * error + tolerance * expected
    for q in (0.1, 0.5, 0.9):
        below = np.mean(found <= theory.h_min_quantile(n, d, q, domain=domain))
        assert abs(below - q) < 4 * math.sqrt(q * (1 - q) / len(found)) + tolerance
    # Uniform points keep what the union bound promises.
    if domain == "ball":
        bound = theory.h_min_bound(n, d, delta=0.1, max_density=1 / theory.ball_volume(d))
        assert np.mean(found < bound) < 0.1 + 4 * math.sqrt(0.09 / len(found))


def test_scaling() -> None:
    """h_min falls as n^(-2/d), and the units are those of the points."""
    for d in (2, 5):
        few, many = (theory.expected_h_min(n, d, domain="torus") for n in (10_000, 80_000))
        assert few / many == pytest.approx(8 ** (2 / d), rel=1e-3)
        assert theory.h_min_bound(10_000, d) / theory.h_min_bound(80_000, d) == pytest.approx(
            8 ** (2 / d), rel=1e-3
        )
    assert theory.expected_h_min(50, 3, scale=7.0) == pytest.approx(7 * theory.expected_h_min(50, 3))
    assert theory.h_min_bound(50, 3, max_density=2.0) == pytest.approx(
        theory.h_min_bound(50, 3) / 2 ** (1 / 3)
    )
    # As many dimensions and points as there are.
    assert 1 < theory.expected_h_min(10**9, 4096, domain="sphere") < math.sqrt(2)
    assert theory.h_min_bound(10**9, 4096) > 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: theory.expected_h_min(1, 2), "n must be an integer of 2 or more, not 1"),
        (lambda: theory.expected_h_min(5, 1, domain="sphere"), "d must be an integer of 2 or more, not 1"),
        (
            lambda: theory.expected_h_min(5, 2, domain="cube"),
            "unknown domain 'cube'; the known ones are 'ball'",
        ),
        (lambda: theory.expected_h_min(5, 2, scale=0.0), "scale must be above 0 and finite"),
        (lambda: theory.h_min_quantile(5, 2, 1.0), "q must be above 0 and below 1"),
        (lambda: theory.h_min_bound(5, 2, delta=0), "delta must be above 0 and at most 1"),
        (lambda: theory.h_min_bound(5, 2, max_density=math.nan), "max_density must be above 0 and finite"),
        (lambda: theory.pair_probability(-1.0, 2), "r must be 0 or more"),
        (lambda: theory.pair_probability(0.6, 2, domain="torus"), "at most half of the torus's edge, 0.5"),
        (lambda: theory.ball_volume(0), "d must be an integer of 1 or more"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("name", theory.__all__)
def test_documented(name: str) -> None:
    text = inspect.getdoc(getattr(theory, name))
    assert text is not None
    assert "Examples\n--------" in text


def test_docstring_examples_run() -> None:
    result = doctest.testmod(theory, extraglobs={"np": np, "farpoint": farpoint})
    assert (result.failed, result.attempted > 4) == (0, True)
