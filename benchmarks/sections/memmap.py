"""Selection from a memory-mapped float16 file that would not fit as float32."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import data
import farpoint
import memory
import peers
from measure import Bench, agreement, evaluated
from report import Row

ABOUT = "selection from a memory-mapped float16 file"
SPEED_FLOOR = 40.0
MEMORY_CEILING = 4 * 2**30


def run(bench: Bench) -> None:
    """Measure."""
    n, d, k = (50_000, 768, 500) if bench.quick else (1_000_000, 768, 10_000)
    bench.section.data = f"clustered (benchmarks/data.py), {n:,} x {d} float16 .npy, in the page cache"
    bench.measure_sgemm()
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder) / "x.npy", Path(folder) / "selection.npz"
        bench.say("making the file")
        data.write_clustered(path, n, d, np.float16)
        bench.say(f"farpoint, k = {k:,}, in a process of its own")
        peak = memory.measure(path, k, bench.threads, mapped=True, output=kept)
        selection = farpoint.Selection.load(kept)
        X = np.load(path, mmap_mode="r")
        bench.check_selection(X, selection, f"k = {k:,}")
        part = k // 10
        bench.check_same(farpoint.select(X, part, threads=1), selection, f"k = {part:,}, 1 thread")

        bench.check_levels(X, selection, part // 5, "first picks")

        rows = [row(bench, "farpoint, memory-mapped", k, peak.seconds, n, d, "bits")]
        rows[0].figures["pairs evaluated"] = evaluated(selection)
        with peers.threads(bench.threads):
            bench.say("numpy loop, rows converted again each pick")
            blocks = peers.numpy_loop_in_blocks(X, k, bench.limit)
            bench.say("numpy loop, all rows converted to float32 beforehand")
            converted = np.empty((n, d), dtype=np.float32)
            converted[:] = X
            given = peers.numpy_loop(converted, k, bench.limit)
        for what, picks in (
            (f"numpy loop, on a float32 copy of {converted.nbytes / 2**30:.1f} GiB", given),
            ("numpy loop, rows converted in blocks each pick", blocks),
        ):
            agrees = agreement(selection.indices, picks.indices)
            rows.append(row(bench, what, k, picks.seconds_a_pick * k, n, d, agrees))
            rows[-1].figures["picks given time for"] = f"{len(picks.indices):,}"
    loop = given.seconds_a_pick * k
    for line in rows:
        line.figures["x numpy loop"] = f"{loop / line.seconds:.2f}"
    bench.section.tables[f"{n:,} x {d} float16, k = {k:,}"] = rows
    bench.section.notes.append(
        f"Anonymous memory of the process: {peak.anonymous_before / 2**20:.0f} MiB before the call, "
        f"{peak.anonymous / 2**20:.0f} MiB at most during it; the file has "
        f"{peak.input_bytes / 2**20:.0f} MiB. The making of the float32 copy is not counted."
    )
    bench.section.target(
        f"k = {k:,}: memory beyond the page cache at most {MEMORY_CEILING / 2**30:g} GiB",
        f"{peak.anonymous / 2**30:.2f} GiB",
        peak.anonymous <= MEMORY_CEILING,
    )
    bench.section.at_least(
        f"k = {k:,}: speed of the numpy loop on a float32 copy", loop / peak.seconds, SPEED_FLOOR
    )


def row(bench: Bench, what: str, k: int, seconds: float, n: int, d: int, agrees: str) -> Row:
    """Make a line of the table."""
    figures = {
        "ms a pick": f"{seconds / k * 1000:.3f}",
        "x-peak": f"{bench.x_peak(n, k, d, seconds):.3f}",
    }
    return Row(what, seconds, figures, agrees)
