"""How things are measured: time, answers, and what a section is told."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

import farpoint
import machine
from report import Section

Result = TypeVar("Result")
# What checking one pick may cost: some seconds of the Numba backend's. A pair costs it _PAIR_ELEMENTS
# elements beside its d.
_CHECK_ELEMENTS = 2e11
_PAIR_ELEMENTS = 64


@dataclass
class Bench:
    """What a section is told, and where it reports."""

    section: Section
    quick: bool = False
    limit: float = 30.0
    data: Path | None = None
    results: Path = field(default_factory=Path)
    stem: str = ""
    threads: int = field(default_factory=lambda: int(farpoint.show_config("dict")["threads"]))

    def say(self, what: str) -> None:
        """Say what runs, on standard error."""
        print(f"... {self.section.name}: {what}", file=sys.stderr, flush=True)

    def measure_sgemm(self) -> None:
        """Measure what x-peak is relative to."""
        self.say("sgemm")
        self.section.sgemm_gflops = machine.sgemm_flops() / 1e9

    def x_peak(self, n: int, k: int, d: int, seconds: float) -> float:
        """Return the figure of merit."""
        return 2 * n * k * d / seconds / (self.section.sgemm_gflops * 1e9)

    def check_same(self, actual: farpoint.Selection, expected: farpoint.Selection, what: str) -> None:
        """Two selections by farpoint must be equal to the bit; the shorter one is the start of the other."""
        k = min(len(actual), len(expected))
        if not (
            np.array_equal(actual.indices[:k], expected.indices[:k])
            and np.array_equal(actual.radii[:k], expected.radii[:k])
        ):
            self.section.wrong.append(f"{what}: differs from farpoint's other answer")

    def check_levels(self, X: npt.NDArray[Any], selection: farpoint.Selection, k: int, what: str) -> None:
        """The first k picks must be the same at every lower SIMD level."""
        for level in usable_simd()[:-1]:
            self.say(f"checking {what}, {level}")
            with simd_level(level):
                self.check_same(farpoint.select(X, k, metric=selection.metric), selection, f"{what}, {level}")

    def check_selection(self, X: npt.NDArray[Any], selection: farpoint.Selection, what: str) -> None:
        """Check sampled picks against canonical distances that another backend computes.

        The radius of the pick must be its distance to the picks before it, and no other row may be farther,
        or as far with a lower number. Where that is too much for all rows, a sample of them is checked.
        """
        self.say(f"checking {what}")
        generator = np.random.default_rng(0)
        n, d = X.shape
        late = generator.integers(1, len(selection), 3).tolist() if len(selection) > 1 else []
        for t in sorted({*late, *range(1, min(2, len(selection))), len(selection) - 1} - {0}):
            picks = X[selection.indices[:t]]
            pick, radius = int(selection.indices[t]), float(selection.radii[t])
            count = int(min(n, max(100, _CHECK_ELEMENTS / (t * (d + _PAIR_ELEMENTS)))))
            rows = np.arange(n)
            if count < n:
                rows = np.unique(np.append(generator.choice(n, count, replace=False), pick))
            looked_at = X if len(rows) == n else X[rows]
            distances = farpoint.nearest(looked_at, picks, backend="numba", metric=selection.metric).distances
            distances[np.isin(rows, selection.indices[:t])] = -1
            best = int(np.argmax(distances))
            if rows[best] != pick or distances[best] != radius:
                self.section.wrong.append(f"{what}: pick {t}")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return what it returns, and the seconds it took."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def settled(call: Callable[[], Result], seconds: float = 15.0) -> tuple[Result, float]:
    """Return what it returns, and the median seconds of three calls; of fewer if they take long."""
    result, took = timed(call)
    taken = [took]
    while len(taken) < 3 and sum(taken) < seconds:
        taken.append(timed(call)[1])
    return result, statistics.median(taken)


def median(call: Callable[[], Any], seconds: float, most: int = 400) -> float:
    """Return the median seconds of as many calls as fit, after one that is not counted; at least three."""
    call()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or (len(taken) < most and time.perf_counter() < end):
        taken.append(timed(call)[1])
    return statistics.median(taken)


def agreement(ours: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]) -> str:
    """Say how many of a peer's picks are ours, in order."""
    same = ours[: len(theirs)] == theirs[: len(ours)]
    if same.all():
        return f"all {len(same):,} picks"
    return f"first {int(np.argmin(same)):,} of {len(same):,} picks (float32 rounding)"


def usable_simd() -> list[str]:
    """Return the SIMD levels of this machine, lowest first."""
    config = farpoint.show_config("dict")
    return list(config["backends"]["cpu"].get("simd_usable", []))


@contextmanager
def simd_level(level: str) -> Iterator[None]:
    """Force a SIMD level; the empty string forces nothing."""
    before = os.environ.get("FARPOINT_SIMD", "")
    os.environ["FARPOINT_SIMD"] = level or before
    try:
        yield
    finally:
        os.environ["FARPOINT_SIMD"] = before


def evaluated(selection: farpoint.Selection) -> str:
    """Return the share of the pairs that was evaluated, for a table."""
    share = selection.info.get("fraction_evaluated")
    return "" if share is None else f"{share:.1%}"
