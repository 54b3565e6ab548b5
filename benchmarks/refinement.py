"""What refinement gains over the greedy selection, and over the best of its starts in the same time.

python benchmarks/refinement.py [--share S] [NAME ...]

prints the table of docs/refine.md; NAME picks cases, a share of the seconds makes it shorter. Every set that
is found is checked: its smallest distance is computed anew from all of its pairs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import farpoint
from data import REAL_DATA

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """Rows, how many of them, and for how long."""

    name: str
    rows: Callable[[], Matrix]
    k: int
    seconds: float
    seeds: int = 2


def embeddings(n: int) -> Matrix:
    """Rows of the real data, evenly spaced."""
    data = np.load(REAL_DATA, mmap_mode="r")
    rows: Matrix = data[:: len(data) // n][:n].astype(np.float32)
    return rows


def uniform(n: int, d: int) -> Matrix:
    """Rows of a cube."""
    return np.random.default_rng(5).random((n, d), dtype=np.float32)


def clusters() -> Matrix:
    """Forty normal clusters whose centres are twice as spread as their rows."""
    generator = np.random.default_rng(5)
    centres = 2 * generator.standard_normal((40, 16))
    rows = centres[generator.integers(40, size=6000)] + generator.standard_normal((6000, 16))
    return rows.astype(np.float32)


CASES = (
    *(Case("embeddings", lambda: embeddings(6000), k, 10) for k in (60, 300, 1500)),
    *(Case("many-embeddings", lambda: embeddings(58_829), k, 30, 1) for k in (300, 1500, 5000)),
    Case("clusters", clusters, 300, 10),
    Case("cube", lambda: uniform(10_000, 3), 300, 10),
    Case("square", lambda: uniform(5000, 2), 50, 10),
    *(Case("square", lambda: uniform(20_000, 2), k, 10) for k in (300, 2000)),
)


def best_of_starts(X: Matrix, k: int, seconds: float, seed: int) -> float:
    """Return the largest h_min of the greedy from random rows, one after another."""
    generator = np.random.default_rng(seed)
    best, deadline = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        best = max(best, farpoint.select(X, k, start=int(generator.integers(len(X)))).h_min)
    return best


def refined(X: Matrix, greedy: farpoint.Selection, seconds: float, seed: int) -> float:
    """Return the h_min of a refined selection."""
    found = farpoint.refine(greedy, X, seconds=seconds, seed=seed)
    assert farpoint.h_min(X[np.sort(found.indices)]).value == found.h_min >= greedy.h_min
    return found.h_min


def gains(case: Case, seconds: float) -> str:
    """Measure one case, and return its row of the table."""
    X = case.rows()
    greedy = farpoint.select(X, case.k)

    def column(h_mins: list[float]) -> str:
        return ", ".join(f"{h_min / greedy.h_min - 1:+.1%}" for h_min in h_mins)

    seeds = range(case.seeds)
    better = column([refined(X, greedy, seconds, seed) for seed in seeds])
    starts = column([best_of_starts(X, case.k, seconds, seed) for seed in seeds])
    n, d = X.shape
    return f"| {case.name} | {n:,} | {d} | {case.k:,} | {seconds:g} | {better} | {starts} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of cases")
    parser.add_argument("--share", type=float, default=1.0, help="of the seconds")
    options = parser.parse_args()
    print("| data | n | d | k | seconds | refined | best of the starts |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for case in CASES:
        if not options.names or case.name in options.names:
            print(gains(case, case.seconds * options.share), flush=True)


if __name__ == "__main__":
    main()
