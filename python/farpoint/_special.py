"""Logarithms of the incomplete beta and gamma functions, where these are far below the smallest float64.

SciPy has the functions themselves; farpoint needs numpy alone. The logarithms are right to 1e-11 (measured
against SciPy, tests/test_theory.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

_TINY = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 100_000  # reached for no parameters below 1e9: some square root of them is enough


def log_incomplete_beta(x: float, a: float, b: float) -> float:
    """Return log I_x(a, b), the regularised incomplete beta function, for x in [0, 1].

    By its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22), on the side where
    that converges fast.
    """
    if x <= 0:
        return -math.inf
    if x >= 1:
        return 0.0
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    if x <= (a + 1) / (a + b + 2):
        return front - math.log(a) + math.log(_fraction(_beta_terms(x, a, b)))
    other = front - math.log(b) + math.log(_fraction(_beta_terms(1 - x, b, a)))
    return math.log1p(-math.exp(other)) if other < 0 else -math.inf


def log_incomplete_gamma(a: float, x: float) -> float:
    """Return log P(a, x), the regularised lower incomplete gamma function, for x >= 0.

    By its series (ibid. 8.11.4) below a + 1, else by the continued fraction of the upper function (8.9.2).
    """
    if x <= 0:
        return -math.inf
    front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        for i in range(1, _MOST_TERMS):
            term *= x / (a + i)
            total += term
            if term < total * _PRECISION:
                break
        return min(0.0, front + math.log(total))
    upper = front - math.log(x + 1 - a) + math.log(_fraction(_gamma_terms(x, a)))
    return math.log1p(-math.exp(upper)) if upper < 0 else -math.inf


def _beta_terms(x: float, a: float, b: float) -> Iterator[tuple[float, float]]:
    for i in range(1, _MOST_TERMS):
        m = i // 2
        if i % 2:
            yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        else:
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0


def _gamma_terms(x: float, a: float) -> Iterator[tuple[float, float]]:
    # Divided by the first denominator, x + 1 - a, so that the fraction begins with 1.
    before = x + 1 - a
    for i in range(1, _MOST_TERMS):
        here = x + 2 * i + 1 - a
        yield i * (a - i) / (before * here), 1.0
        before = here


def _fraction(terms: Iterator[tuple[float, float]]) -> float:
    """Return 1 / (1 + n1 / (d1 + n2 / (d2 + ...))), by Lentz's method as Thompson and Barnett have it."""
    value = c = 1.0
    d = 0.0
    for numerator, denominator in terms:
        d = denominator + numerator * d
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = denominator + numerator / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return 1 / value
