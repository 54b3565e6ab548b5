"""Small selections, as active learning makes them: never slower than the numpy loop."""

from __future__ import annotations

from functools import partial

import data
import farpoint
import peers
from measure import Bench, agreement, median
from report import Row

ABOUT = "small selections, k = n / 10"
CEILING_MS = 1.0


def run(bench: Bench) -> None:
    """Measure."""
    sizes = (1_000, 5_000) if bench.quick else (1_000, 2_000, 5_000, 10_000, 20_000)
    dimensions = (64, 384) if bench.quick else (64, 384, 768)
    budget = 0.5 if bench.quick else 2.0
    bench.section.data = "clustered (benchmarks/data.py), float32; medians of as many calls as fit"
    worst, where = float("inf"), ""
    for d in dimensions:
        rows = []
        for n in sizes:
            X, k = data.clustered(n, d), n // 10
            bench.say(f"n = {n:,}, d = {d}")
            selection = farpoint.select(X, k)
            bench.check_same(farpoint.select(X, k, backend="numba"), selection, f"n = {n:,}, d = {d}, Numba")
            bench.check_levels(X, selection, k, f"n = {n:,}, d = {d}")
            row = Row(f"n = {n:,}, k = {k:,}", 0.0)
            for threads in sorted({1, bench.threads}):
                # Turns, so that what else the machine does falls on both.
                ours, loop = float("inf"), float("inf")
                for _ in range(3):
                    ours = min(ours, median(partial(farpoint.select, X, k, threads=threads), budget / 6))
                    with peers.threads(threads):
                        loop = min(loop, loop_seconds(X, k, budget / 6))
                bench.check_same(
                    farpoint.select(X, k, threads=threads),
                    selection,
                    f"n = {n:,}, d = {d}, {threads} threads",
                )
                name = f"{threads} thread{'s' * (threads > 1)}"
                row.figures[f"ms, {name}"] = f"{ours * 1e3:.2f}"
                row.figures[f"numpy loop ms, {name}"] = f"{loop * 1e3:.2f}"
                row.figures[f"x numpy loop, {name}"] = f"{loop / ours:.2f}"
                row.seconds = ours
                if loop / ours < worst:
                    worst, where = loop / ours, f"n = {n:,}, d = {d}, {name}"
            row.agrees = (
                f"bits; numpy loop: {agreement(selection.indices, peers.numpy_loop(X, k, 60.0).indices)}"
            )
            rows.append(row)
        bench.section.tables[f"d = {d}"] = rows
    bench.section.target(
        "never slower than the numpy loop with as many threads",
        f"{worst:.2f} x at {where}",
        worst >= 1,
    )
    one_call(bench)


def loop_seconds(X: data.Matrix, k: int, seconds: float) -> float:
    """Return the median seconds of the numpy loop; where one call takes long, from its cost a pick."""
    given = peers.numpy_loop(X, k, 1.0)
    if len(given.indices) < k:
        return given.seconds_a_pick * k
    return median(partial(peers.numpy_loop, X, k, 60.0), seconds)


def one_call(bench: Bench) -> None:
    """Time a call that is small: n = 1,000, d = 64, k = 100."""
    X = data.clustered(1_000, 64)
    ours = min(median(lambda: farpoint.select(X, 100), 1.0) for _ in range(3)) * 1e3
    bench.section.target(
        f"n = 1,000, d = 64, k = 100 under {CEILING_MS:g} ms (median)", f"{ours:.2f} ms", ours < CEILING_MS
    )
