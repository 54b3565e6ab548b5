"""Selection from real embeddings: every k, peer, number of threads and SIMD level."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import data
import farpoint
import memory
import peers
from measure import Bench, agreement, evaluated, settled, simd_level, timed, usable_simd
from report import Row

ABOUT = "selection from real sentence embeddings"
# k: how many times the numpy loop's speed. The middle one also has variants and the floor for x-peak.
FLOORS = {5_000: 60.0, 20_000: 120.0, 58_829: 160.0}
X_PEAK_FLOOR = 6.0


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 20_000 if bench.quick else None)
    n, d = X.shape
    counts = [min(k, n // 2) for k in FLOORS] if not bench.quick else [500, 2_000, n // 2]
    bench.measure_sgemm()

    given: dict[str, peers.Picks] = {}
    with peers.threads(bench.threads):
        for name, select in peers.SELECTORS.items():
            bench.say(name)
            select(X[:100], 2, 1.0)  # loaded before it is timed
            given[name] = select(X, max(counts), bench.limit)
    numpy_cost = given["numpy loop"].seconds_a_pick

    def row(what: str, k: int, seconds: float, picks: int, pairs: str, agrees: str) -> Row:
        figures = {
            "ms a pick": f"{seconds / k * 1000:.3f}",
            "x numpy loop": f"{numpy_cost * k / seconds:.2f}",
            "x-peak": f"{bench.x_peak(n, k, d, seconds):.3f}",
            "picks given time for": f"{picks:,}",
            "pairs evaluated": pairs,
        }
        return Row(what, seconds, figures, agrees)

    farpoint.select(X[:1000], 10)  # what is loaded once is not the call's
    for k, floor in zip(counts, FLOORS.values(), strict=True):
        bench.say(f"farpoint, k = {k:,}")
        selection, seconds = settled(partial(farpoint.select, X, k))
        rows = [row("farpoint", k, seconds, k, evaluated(selection), "bits")]
        bench.check_selection(X, selection, f"k = {k:,}")
        bench.section.at_least(f"k = {k:,}: speed of the numpy loop", numpy_cost * k / seconds, floor)
        if k == counts[1]:
            reached = bench.x_peak(n, k, d, seconds)
            bench.section.target(
                f"k = {k:,}: x-peak at least {X_PEAK_FLOOR:g}", f"{reached:.2f}", reached >= X_PEAK_FLOOR
            )
            for name, other, took in variants(bench, X, selection, seconds):
                rows.append(row(name, k, took, k, evaluated(other), "bits"))
        if k == counts[0]:
            bench.say(f"farpoint, Numba, k = {k:,}")
            farpoint.select(X[:3000], 50, backend="numba")  # compiled once, then cached
            other, took = timed(partial(farpoint.select, X, k, backend="numba"))
            bench.check_same(other, selection, "Numba")
            rows.append(row("farpoint, Numba", k, took, k, evaluated(other), "bits"))
        for name, picks in given.items():
            made = picks.indices[:k]
            agrees = agreement(selection.indices, made)
            rows.append(row(name, k, picks.seconds_a_pick * k, len(made), "100%", agrees))
        bench.section.tables[f"{n:,} x {d} float32, k = {k:,}"] = rows
        phases = selection.info.get("seconds_by_phase", {})
        bench.section.notes.append(
            f"Seconds a phase, k = {k:,}: "
            + ", ".join(f"{phase} {spent:.2f}" for phase, spent in phases.items())
            + f"; {selection.info.get('levels', '?')} levels."
        )
    extra_memory(bench, X, counts[1])


def variants(
    bench: Bench, X: data.Matrix, selection: farpoint.Selection, seconds: float
) -> list[tuple[str, farpoint.Selection, float]]:
    """Time other numbers of threads and SIMD levels, with the same bits."""
    k = len(selection)
    found = []
    wanted: list[tuple[str, dict[str, Any], str]] = []
    if bench.threads > 1:
        wanted.append(("farpoint, 1 thread", {"threads": 1}, ""))
    levels = usable_simd()
    wanted += [(f"farpoint, {level}", {}, level) for level in reversed(levels[:-1])]
    taken: dict[str, float] = {}
    for name, options, level in wanted:
        bench.say(f"{name}, k = {k:,}")
        with simd_level(level):
            other, took = settled(partial(farpoint.select, X, k, **options))
        bench.check_same(other, selection, name)
        found.append((name, other, took))
        taken[level or name] = took
    if bench.threads > 1:
        ratio = taken["farpoint, 1 thread"] / seconds
        bench.section.at_least(f"k = {k:,}: {bench.threads} threads against 1", ratio, 1.7)
    what = f"k = {k:,}: AVX2 against AVX-512: at least 0.4 x its speed"
    if levels[-1:] == ["avx2"] or not levels:
        bench.section.target(what, "this processor has no AVX-512", None)
    elif "avx2" in taken:
        ratio = seconds / taken["avx2"]
        bench.section.target(what, f"{ratio:.2f} x", ratio >= 0.4)
    if levels:
        shares = ", ".join(f"{level} {seconds / taken[level]:.2f}" for level in levels[:-1])
        bench.section.notes.append(
            f"Speed of SIMD levels, as a share of {levels[-1]}'s: {shares or 'no other'}."
        )
    return found


def memory_row(name: str, peak: memory.Peak) -> Row:
    """One selector's peak."""
    share = f"{peak.beyond_input / peak.input_bytes:.2f}"
    figures = {"MB beyond the input": f"{peak.beyond_input / 1e6:.0f}", "share of the input": share}
    return Row(name, peak.seconds, figures, "compared above")


def extra_memory(bench: Bench, X: data.Matrix, k: int) -> None:
    """Measure what a call takes beyond its input."""
    bench.say("memory")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, X)
        peak = memory.measure(path, k, bench.threads)
        rows = [memory_row("farpoint", peak)]
        rows += [
            memory_row(name, memory.measure(path, k, bench.threads, selector=name))
            for name in peers.SELECTORS
        ]
    bench.section.tables[f"Peak memory beyond the input, k = {k:,} (peers: as many picks as fit 5 s)"] = rows
    allowed = 0.3 * peak.input_bytes + 64e6
    bench.section.target(
        f"k = {k:,}: memory beyond the input at most 0.3 x the input + 64 MB = {allowed / 1e6:.0f} MB",
        f"{peak.beyond_input / 1e6:.0f} MB",
        peak.beyond_input <= allowed,
    )
