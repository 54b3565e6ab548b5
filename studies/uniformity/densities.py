"""Densities of one support with a growing bias: how to draw from them, and their largest values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special
import scipy.stats

Array = npt.NDArray[np.float64]

_EDGE = 0.5  # of the small cube in which a mixture has more


@dataclass(frozen=True)
class Density:
    """A family of densities on one support.

    Attributes
    ----------
    biases : tuple of float
        From 0, uniform, upwards.
    dimensions : tuple of int
        Of the vectors.
    local : function of d
        Dimensions of the support: one less on a sphere.
    maximum : function of (bias, d)
        Largest value of the density.
    draw : function of (bias, n, d, generator)
        (n, d) points.
    """

    biases: tuple[float, ...]
    dimensions: tuple[int, ...]
    local: Callable[[int], int]
    maximum: Callable[[float, int], float]
    draw: Callable[[float, int, int, np.random.Generator], Array]


def _mixture_maximum(share: float, d: int) -> float:
    return 1 - share + share / _EDGE**d


def _draw_mixture(share: float, n: int, d: int, random: np.random.Generator) -> Array:
    points = random.random((n, d))
    inside = random.random(n) < share
    points[inside] = (1 - _EDGE) / 2 + _EDGE * points[inside]
    return points


def _gaussian_deviation(bias: float) -> float:
    """Standard deviation in edges of the cube: 1 / bias, so that 0 is uniform."""
    return 1 / bias


def _gaussian_maximum(bias: float, d: int) -> float:
    if bias == 0:
        return 1.0
    sigma = _gaussian_deviation(bias)
    inside = math.erf(0.5 / (sigma * math.sqrt(2)))
    return (1 / (sigma * math.sqrt(2 * math.pi) * inside)) ** d


def _draw_gaussian(bias: float, n: int, d: int, random: np.random.Generator) -> Array:
    points = random.random((n, d))
    if bias == 0:
        return points
    # By the inverse distribution function, coordinate by coordinate.
    sigma = _gaussian_deviation(bias)
    low = scipy.stats.norm.cdf(-0.5 / sigma)
    drawn: Array = 0.5 + sigma * scipy.stats.norm.ppf(low + (1 - 2 * low) * points)
    return drawn


def _von_mises_fisher_maximum(kappa: float, d: int) -> float:
    """The density at the mean direction, with respect to the area of the sphere."""
    if kappa == 0:
        return math.exp(math.lgamma(d / 2) - math.log(2) - d / 2 * math.log(math.pi))
    order = d / 2 - 1
    # ive is exp(-kappa) I: the exponential of the density at the mean cancels.
    return float(kappa**order / ((2 * math.pi) ** (d / 2) * scipy.special.ive(order, kappa)))


def _draw_von_mises_fisher(kappa: float, n: int, d: int, random: np.random.Generator) -> Array:
    if kappa == 0:
        points = random.standard_normal((n, d))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return points
    mean = np.eye(d)[0]
    drawn: Array = scipy.stats.vonmises_fisher(mean, kappa).rvs(n, random_state=random)
    return drawn


DENSITIES = {
    "mixture": Density(
        (0.0, 0.25, 0.5, 0.75, 1.0 - 2**-4), (2, 4, 8), lambda d: d, _mixture_maximum, _draw_mixture
    ),
    "truncated Gaussian": Density(
        (0.0, 2.0, 4.0, 8.0, 16.0), (2, 4, 8), lambda d: d, _gaussian_maximum, _draw_gaussian
    ),
    "von Mises-Fisher": Density(
        (0.0, 1.0, 4.0, 16.0, 64.0),
        (3, 5, 9),
        lambda d: d - 1,
        _von_mises_fisher_maximum,
        _draw_von_mises_fisher,
    ),
}
