"""The metrics: what the engines compute for each, and how that becomes a distance.

Engines work with *stored values* (docs/contract.md): squared, manhattan or chebyshev distances in a
power-of-two unit, cosine distances, or what is counted of packed bits. Everything that turns values into what
users see, and back, is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from farpoint.backends._protocol import BIT_KINDS

FloatArray = npt.NDArray[np.float64]

# Stored values are rounded (to float32 for most element types), so a bound computed from one could be short
# by an ulp or two. Certificates are rounded outwards by this much, several times what is needed.
_CERTIFICATE_SLACK = 2.0**-22
_COSINE_SLACK = 2.0**-40


@dataclass(frozen=True)
class Unit:
    """How stored values relate to (squared) distances: value * 2**exponent.

    Even for squared distances.
    """

    exponent: int

    @property
    def scale(self) -> float:
        """What the engines multiply float64 totals with before rounding them."""
        return math.ldexp(1.0, -self.exponent)


def _root(values: FloatArray, unit: Unit) -> FloatArray:
    # The exponent is even, so it is halved after the root: squares of the largest float64 would overflow.
    return np.ldexp(np.sqrt(values), unit.exponent // 2)


def _scaled(values: FloatArray, unit: Unit) -> FloatArray:
    return np.ldexp(values, unit.exponent)


def _identity(values: FloatArray, _unit: Unit) -> FloatArray:
    return values


def _double(radius: float) -> float:
    return 2.0 * radius * (1 + _CERTIFICATE_SLACK)


def _quadruple(radius: float) -> float:
    return 4.0 * radius * (1 + _CERTIFICATE_SLACK)


def _double_angle(radius: float) -> float:
    # Angles obey the triangle inequality: with radius = 1 - cos(t), two points of one cell are
    # at most 1 - cos(2 t) = 2 r (2 - r) apart while 2 t <= pi, and never more than 2.
    slack = radius * (1 + _CERTIFICATE_SLACK) + _COSINE_SLACK
    return 2.0 if slack >= 1.0 else min(2.0, 2.0 * slack * (2.0 - slack))


def _twice(radius: float) -> float:
    # Whole numbers of bits, which nothing rounded.
    return 2.0 * radius


def _double_at_most_one(radius: float) -> float:
    # The Jaccard distance obeys the triangle inequality and is never above 1.
    return min(1.0, _double(radius))


@dataclass(frozen=True)
class Metric:
    """A metric of the public interface."""

    name: str
    kind: str  # what the engines compute: "squared", "cosine", "manhattan", "chebyshev", "hamming", "jaccard"
    from_values: Callable[[FloatArray, Unit], FloatArray]
    largest_spread: Callable[[float], float]  # of two points within a covering radius of one centre

    @property
    def degree(self) -> int:
        """Values are multiplied by c**degree where all elements are multiplied by c."""
        return {"squared": 2, "manhattan": 1, "chebyshev": 1}.get(self.kind, 0)

    @property
    def of_bits(self) -> bool:
        """Whether rows are packed bits."""
        return self.kind in BIT_KINDS

    def distances(self, values: npt.ArrayLike, unit: Unit) -> FloatArray:
        """Distances of an array of stored values; infinite where float64 does not hold them."""
        with np.errstate(over="ignore", under="ignore"):
            return self.from_values(np.asarray(values, dtype=np.float64), unit)

    def distance(self, value: float, unit: Unit) -> float:
        """The distance of one stored value."""
        return float(self.distances(value, unit))

    def smallest_value(self, distance: float, unit: Unit, stored: type[np.floating]) -> float:
        """Return the smallest stored value whose distance is at least `distance`.

        Engines compare values; a comparison with this one decides as a comparison of distances would.
        """
        if distance <= 0 or math.isinf(distance):
            return max(distance, 0.0)
        try:
            if self.from_values is _identity:
                guess = distance
            elif self.name == "euclidean":
                guess = math.ldexp(distance, -unit.exponent // 2) ** 2
            else:
                guess = math.ldexp(distance, -unit.exponent)
        except OverflowError:
            return math.inf
        # Values of one sign are in the order of their bits. The rounded inverse is within a few ulps of the
        # answer, but for subnormal distances, of which each is that of very many values.
        bits = np.dtype(f"u{np.dtype(stored).itemsize}").type

        def value(place: int) -> float:
            return float(bits(place).view(stored))

        def reaches(place: int) -> bool:
            return self.distance(value(place), unit) >= distance

        with np.errstate(over="ignore", under="ignore"):
            below = above = int(stored(guess).view(bits))
        step = 1
        if reaches(above):
            while reaches(below):
                below, above, step = max(below - step, 0), below, 2 * step
        else:
            infinity = int(stored(np.inf).view(bits))
            while not reaches(above):
                below, above, step = above, min(above + step, infinity), 2 * step
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (below, middle) if reaches(middle) else (middle, above)
        return value(above)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("euclidean", "squared", _root, _double),
        Metric("sqeuclidean", "squared", _scaled, _quadruple),
        Metric("cosine", "cosine", _identity, _double_angle),
        Metric("manhattan", "manhattan", _scaled, _double),
        Metric("chebyshev", "chebyshev", _scaled, _double),
        Metric("hamming", "hamming", _identity, _twice),
        Metric("jaccard", "jaccard", _identity, _double_at_most_one),
    )
}
