"""Point clouds, against fpsample's buckets."""

from __future__ import annotations

from functools import partial

import data
import farpoint
import peers
from measure import Bench, agreement, evaluated, settled
from report import Row

ABOUT = "point clouds, against fpsample's buckets"
# (n, d, k, floor with one thread, floor with all)
CASES = (
    (1_000_000, 3, 10_000, 1.0, 2.0),
    (1_000_000, 3, 100_000, 1.0, 2.0),
    (200_000, 8, 5_000, None, 2.0),
)
QUICK_CASES = (
    (50_000, 3, 500, 1.0, 2.0),
    (50_000, 3, 5_000, 1.0, 2.0),
    (20_000, 8, 500, None, 2.0),
)
# Picks compared with a peer: enough to see where rounding parts them.
_COMPARED = 10_000


def run(bench: Bench) -> None:
    """Measure."""
    bench.section.data = "uniform in a cube, float32"
    farpoint.select(data.uniform(1000, 3), 10)
    for n, d, k, floor_one, floor_all in QUICK_CASES if bench.quick else CASES:
        case(bench, n, d, k, floor_one, floor_all)
    bench.section.notes.append(
        "fpsample has no threads. Its bucket variants take start_idx for a position in the order of their "
        "tree, not for a row, so their picks are compared with farpoint's from the row that they started at."
    )


def case(bench: Bench, n: int, d: int, k: int, floor_one: float | None, floor_all: float) -> None:
    """Measure one cloud and k."""
    X = data.uniform(n, d)
    what = f"{n:,} x {d}, k = {k:,}"
    rows, taken = [], {}
    selection: farpoint.Selection | None = None
    for threads in sorted({1, bench.threads}, reverse=True):
        name = f"farpoint, {threads} thread{'s' * (threads > 1)}"
        bench.say(f"{name}, {what}")
        other, seconds = settled(partial(farpoint.select, X, k, threads=threads))
        if selection is None:
            selection = other
            bench.check_selection(X, selection, what)
            bench.check_levels(X, selection, k // 10, what)
        bench.check_same(other, selection, f"{what}, {threads} threads")
        taken[threads] = seconds
        rows.append(Row(name, seconds, {"pairs evaluated": evaluated(other)}, "bits"))
    best = float("inf")
    for name, select in peers.BUCKETS.items():
        bench.say(f"{name}, {what}")
        picks, seconds = settled(partial(select, X, k))
        compared = min(k, _COMPARED)
        ours = farpoint.select(X, compared, start=int(picks.indices[0]))
        rows.append(Row(name, seconds, {}, agreement(ours.indices, picks.indices[:compared])))
        best = min(best, seconds)
    bench.say(f"numpy loop, {what}")
    assert selection is not None
    loop = peers.numpy_loop(X, k, bench.limit / 3)
    rows.append(Row("numpy loop", loop.seconds_a_pick * k, {}, agreement(selection.indices, loop.indices)))
    for row in rows:
        row.figures["us a pick"] = f"{row.seconds / k * 1e6:.1f}"
        row.figures["x fpsample's best"] = f"{best / row.seconds:.2f}"
    bench.section.tables[what] = rows
    if floor_one is not None:
        bench.section.at_least(f"{what}: speed of fpsample's best, 1 thread", best / taken[1], floor_one)
    bench.section.at_least(
        f"{what}: speed of fpsample's best, {bench.threads} threads", best / taken[bench.threads], floor_all
    )
