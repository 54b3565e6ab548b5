"""What h_min to expect: of uniform points, and at least, of any points whose density is bounded.

h_min, the smallest distance among n points that were drawn independently, is a matter of how likely two of
them are close. With F(r) the probability that two points are within r of each other, and n (n - 1) / 2 pairs:

- The union bound: ``P(h_min < r) <= n (n - 1) / 2 F(r)``, always. A density of at most ``max_density`` puts
  at most ``max_density V_d r^d`` into any ball of radius r, V_d the volume of the unit ball. So with
  probability ``1 - delta`` or more, h_min is at least
  ``(2 delta / (max_density n (n - 1) V_d))^(1/d)``: `h_min_bound`.
- Close pairs are rare and nearly independent: ``P(h_min > r) ~ (1 - F(r))^(n (n - 1) / 2)``, exact for two
  points, with an error that vanishes as n grows. `h_min_quantile` and `expected_h_min` are this law's, for
  domains whose F is known exactly.

Both fall with n as ``n^(-2/d)``: in high dimension hardly at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from farpoint._special import log_incomplete_beta, log_incomplete_gamma

__all__ = ["ball_volume", "expected_h_min", "h_min_bound", "h_min_quantile", "pair_probability"]

_LogProbability = Callable[[float], float]

# Steps of Simpson's rule over the law of h_min, and the probability that is left out at both of its ends.
_STEPS = 400
_LEFT_OUT = 1e-12


def ball_volume(d: int) -> float:
    """Return the volume of the unit ball in d dimensions; 0 where it is below 1e-308.

    Parameters
    ----------
    d : int
        1 or more.

    Returns
    -------
    float

    Examples
    --------
    >>> farpoint.theory.ball_volume(2) == np.pi
    True
    """
    return math.exp(_log_ball_volume(_check_count("d", d, 1)))


def h_min_bound(n: int, d: int, *, delta: float = 0.05, max_density: float = 1.0) -> float:
    """Return what h_min of n independent points is at least, with probability 1 - delta.

    Parameters
    ----------
    n : int
        Points, 2 or more.
    d : int
        Dimensions, 1 or more.
    delta : float
        Above 0, at most 1.
    max_density : float
        The largest value of the points' density: 1 / volume for uniform points, more for any others of the
        same support. The denser the densest place, the smaller the bound.

    Returns
    -------
    float
        ``(2 delta / (max_density n (n - 1) V_d))^(1/d)`` in the units of the points, by the union bound.

    Raises
    ------
    ValueError
        An argument is out of its range.

    Examples
    --------
    >>> round(farpoint.theory.h_min_bound(1000, 2, delta=0.05), 6)
    0.000179
    """
    _check_count("n", n, 2)
    _check_count("d", d, 1)
    if not 0 < delta <= 1:
        raise ValueError(f"delta must be above 0 and at most 1, not {delta!r}")
    _check_positive("max_density", max_density)
    logarithm = math.log(delta) - math.log(max_density) - math.log(n * (n - 1) / 2) - _log_ball_volume(d)
    return math.exp(logarithm / d)


def expected_h_min(n: int, d: int, *, domain: str = "ball", scale: float = 1.0) -> float:
    """Return the h_min to expect of n independent uniform points.

    Parameters
    ----------
    n : int
        Points, 2 or more.
    d : int
        Dimensions: of the space that the points are vectors of, 1 or more; 2 or more for the sphere.
    domain : {"ball", "sphere", "torus", "normal"}
        The unit ball; the unit sphere, where normalised embeddings are (distances are straight); the unit
        cube without its walls, whose opposite sides meet; and, though it is not uniform, the standard normal
        distribution.
    scale : float
        The radius of the ball or the sphere, the edge of the cube, the standard deviation.

    Returns
    -------
    float
        In the units of `scale`.

    Raises
    ------
    ValueError
        An argument is out of its range.

    Notes
    -----
    The mean of the law that `h_min_quantile` has the quantiles of.

    Examples
    --------
    >>> round(farpoint.theory.expected_h_min(20_000, 384, domain="sphere"), 3)
    1.191
    """
    _check_count("n", n, 2)
    largest, log_probability = _pairs_within(domain, d)
    _check_positive("scale", scale)
    # The mean is the integral of P(h_min > r): 1 up to `low`, and 0 from `high` on.
    low = _radius_at(n, _LEFT_OUT, largest, log_probability)
    high = _radius_at(n, 1 - _LEFT_OUT, largest, log_probability)
    step = (high - low) / _STEPS
    total = 0.0
    for i in range(_STEPS + 1):
        weight = 1 if i in (0, _STEPS) else 2 + 2 * (i % 2)
        total += weight * _survival(n, log_probability(low + i * step))
    return scale * (low + total * step / 3)


def h_min_quantile(n: int, d: int, q: float, *, domain: str = "ball", scale: float = 1.0) -> float:
    """Return the h_min that n independent uniform points stay below with probability q, about.

    Parameters
    ----------
    n, d, domain, scale
        As for `expected_h_min`.
    q : float
        Above 0 and below 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An argument is out of its range.

    Notes
    -----
    ``(1 - F(r))^(n (n - 1) / 2) = 1 - q`` solved for r, F the exact probability that two points are within r
    (`pair_probability`).

    Examples
    --------
    >>> low, high = (farpoint.theory.h_min_quantile(1000, 2, q, domain="torus") for q in (0.025, 0.975))
    >>> round(low, 6), round(high, 6)
    (0.000127, 0.001533)
    """
    _check_count("n", n, 2)
    largest, log_probability = _pairs_within(domain, d)
    if not 0 < q < 1:
        raise ValueError(f"q must be above 0 and below 1, not {q!r}")
    _check_positive("scale", scale)
    return scale * _radius_at(n, q, largest, log_probability)


def pair_probability(r: float, d: int, *, domain: str = "ball", scale: float = 1.0) -> float:
    """Return the probability that two independent uniform points are within r of each other.

    Parameters
    ----------
    r : float
        0 or more.
    d, domain, scale
        As for `expected_h_min`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An argument is out of its range; on the torus also r above half of the edge.

    Examples
    --------
    >>> round(farpoint.theory.pair_probability(1.0, 3, domain="sphere"), 12)
    0.25
    """
    largest, log_probability = _pairs_within(domain, d)
    _check_positive("scale", scale)
    if not r >= 0:
        raise ValueError(f"r must be 0 or more, not {r!r}")
    if r == 0:
        return 0.0
    if r / scale >= largest and domain != "torus":
        return 1.0
    if r / scale > largest:
        raise ValueError(f"r must be at most half of the torus's edge, {scale / 2}, not {r!r}")
    return math.exp(log_probability(r / scale))


def _pairs_within(domain: str, d: int) -> tuple[float, _LogProbability]:
    """Return the largest radius that the law of a domain is known for, and the logarithm of F below it."""
    if domain not in DOMAINS:
        known = ", ".join(repr(name) for name in DOMAINS)
        raise ValueError(f"unknown domain {domain!r}; the known ones are {known}")
    _check_count("d", d, 2 if domain == "sphere" else 1)
    return DOMAINS[domain](d)


def _sphere(d: int) -> tuple[float, _LogProbability]:
    # The cap of chord r around a point: half of I_x((d - 1) / 2, 1 / 2) with x the squared sine of its angle,
    # up to a right angle; beyond, what the opposite cap leaves.
    a = (d - 1) / 2

    def log_probability(r: float) -> float:
        cosine = 1 - r * r / 2
        sine_squared = r * r * (1 - r * r / 4)
        cap = math.log(0.5) + log_incomplete_beta(sine_squared, a, 0.5)
        return cap if cosine >= 0 else math.log1p(-math.exp(cap))

    return 2.0, log_probability


def _ball(d: int) -> tuple[float, _LogProbability]:
    # Lord, "The distribution of distance in a hypersphere", 1954, as its distribution function.
    a = (d + 1) / 2

    def log_probability(r: float) -> float:
        quarter = r * r / 4
        near = d * math.log(r) + log_incomplete_beta(1 - quarter, a, 0.5)
        far = log_incomplete_beta(quarter, a, a)
        return min(0.0, _log_sum(near, far))

    return 2.0, log_probability


def _torus(d: int) -> tuple[float, _LogProbability]:
    log_volume = _log_ball_volume(d)
    return 0.5, lambda r: log_volume + d * math.log(r)


def _normal(d: int) -> tuple[float, _LogProbability]:
    # Half of the squared distance has the chi-squared distribution of d degrees of freedom.
    return math.inf, lambda r: log_incomplete_gamma(d / 2, r * r / 4)


DOMAINS: dict[str, Callable[[int], tuple[float, _LogProbability]]] = {
    "ball": _ball,
    "normal": _normal,
    "sphere": _sphere,
    "torus": _torus,
}


def _survival(n: int, log_probability: float) -> float:
    """Return the probability that no pair is within a radius, from the logarithm of one pair's."""
    if log_probability >= 0:
        return 0.0
    return math.exp(n * (n - 1) / 2 * math.log1p(-math.exp(log_probability)))


def _radius_at(n: int, q: float, largest: float, log_probability: _LogProbability) -> float:
    """Return the radius within which some pair is with probability q."""
    wanted = math.log(-math.expm1(math.log1p(-q) / (n * (n - 1) / 2)))
    low, high = 0.0, largest
    if math.isinf(largest):
        high = 1.0
        while log_probability(high) < wanted:
            high *= 2
    elif log_probability(largest) < wanted:
        raise ValueError(
            f"{n} points are too few for the torus: their h_min can be above half of its edge, where its law "
            "is not known here"
        )
    while low < (middle := (low + high) / 2) < high:
        if log_probability(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def _log_ball_volume(d: int) -> float:
    return d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)


def _log_sum(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _check_count(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of {least} or more, not {value!r}")
    return value


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, not {value!r}")
