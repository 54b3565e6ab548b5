"""Selection from a million clustered rows, and the memory that it takes."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import data
import farpoint
import memory
import peers
from measure import Bench, agreement, evaluated, settled, timed
from report import Row

ABOUT = "selection from a million clustered rows"
SPEED_FLOOR = 200.0
X_PEAK_FLOOR = 10.0
MEMORY_SHARE = 0.4


def run(bench: Bench) -> None:
    """Measure."""
    n, d, k = (50_000, 384, 2_500) if bench.quick else (1_000_000, 384, 50_000)
    bench.say("making the data")
    X = data.clustered(n, d)
    bench.section.data = f"clustered (benchmarks/data.py), {n:,} x {d} float32"
    bench.measure_sgemm()
    bench.say("numpy loop")
    with peers.threads(bench.threads):
        given = peers.numpy_loop(X, k, bench.limit)
    loop = given.seconds_a_pick * k

    farpoint.select(X[:1000], 10)
    bench.say(f"farpoint, k = {k:,}")
    selection, seconds = timed(partial(farpoint.select, X, k))
    bench.check_selection(X, selection, f"k = {k:,}")
    # The first picks by one thread must be the same; all of them would double the section's time.
    part = k // 10
    bench.say(f"farpoint, k = {part:,}, 1 and {bench.threads} threads")
    one, one_seconds = settled(partial(farpoint.select, X, part, threads=1))
    all_threads, all_seconds = settled(partial(farpoint.select, X, part))
    bench.check_same(one, selection, "1 thread")
    bench.check_same(all_threads, selection, f"k = {part:,}")

    bench.check_levels(X, selection, part // 5, "first picks")

    rows = []
    for what, count, taken, pairs, agrees in (
        (f"farpoint, k = {k:,}", k, seconds, evaluated(selection), "bits"),
        (f"farpoint, k = {part:,}", part, all_seconds, evaluated(all_threads), "bits"),
        (f"farpoint, k = {part:,}, 1 thread", part, one_seconds, evaluated(one), "bits"),
        (f"numpy loop, k = {k:,}", k, loop, "100%", agreement(selection.indices, given.indices)),
    ):
        figures = {
            "ms a pick": f"{taken / count * 1000:.3f}",
            "x numpy loop": f"{given.seconds_a_pick * count / taken:.2f}",
            "x-peak": f"{bench.x_peak(n, count, d, taken):.3f}",
            "pairs evaluated": pairs,
        }
        rows.append(Row(what, taken, figures, agrees))
    rows[-1].figures["picks given time for"] = f"{len(given.indices):,}"
    bench.section.tables[f"{n:,} x {d} float32"] = rows
    phases = selection.info.get("seconds_by_phase", {})
    bench.section.notes.append(
        "Seconds a phase: "
        + ", ".join(f"{phase} {spent:.2f}" for phase, spent in phases.items())
        + f"; {selection.info.get('levels', '?')} levels."
    )
    bench.section.at_least(f"k = {k:,}: speed of the numpy loop", loop / seconds, SPEED_FLOOR)
    reached = bench.x_peak(n, k, d, seconds)
    bench.section.target(
        f"k = {k:,}: x-peak at least {X_PEAK_FLOOR:g}", f"{reached:.2f}", reached >= X_PEAK_FLOOR
    )

    bench.say("memory")
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder) / "x.npy", Path(folder) / "selection.npz"
        np.save(path, X)
        del X
        peak = memory.measure(path, k, bench.threads, output=kept)
        bench.check_same(farpoint.Selection.load(kept), selection, "in another process")
    allowed = MEMORY_SHARE * peak.input_bytes
    bench.section.target(
        f"k = {k:,}: memory beyond the input at most {MEMORY_SHARE:g} x the input = {allowed / 1e6:.0f} MB",
        f"{peak.beyond_input / 1e6:.0f} MB",
        peak.beyond_input <= allowed,
    )
