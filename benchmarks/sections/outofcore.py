"""Selection from a file with little memory, against selection in memory."""

from __future__ import annotations

import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import data
import farpoint
from measure import Bench, evaluated, settled
from report import Row

ABOUT = "selection from a file with little memory, against selection in memory"
# How many times the time in memory, where the file is in the page cache.
CEILING = 2.5
# Shares of what a call takes without a limit.
SHARES = (0.8, 0.5, 0.3)


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 20_000 if bench.quick else None)
    farpoint.select(X[:1000], 10)  # what is loaded once is not the call's
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        for k in (500, 2000) if bench.quick else (5_000, 20_000):
            case(bench, X, mapped, k)
            bench.section.notes.append(
                f"k = {k:,}: the file and the temporary file are in the page cache; the temporary file is in "
                f"{tempfile.gettempdir()}."
            )


def case(bench: Bench, X: data.Matrix, mapped: data.Matrix, k: int) -> None:
    """Measure one k with falling limits."""
    n, d = X.shape
    bench.say(f"in memory, k = {k:,}")
    selection, in_memory = settled(partial(farpoint.select, X, k))
    bench.check_selection(X, selection, f"k = {k:,}")
    free = int(selection.info["bytes_work"])
    least = least_memory(mapped, k)
    rows = [row("in memory, no limit", selection, in_memory, in_memory)]
    slowest = 0.0
    limits = [int(share * free) for share in SHARES if share * free > least]
    for limit in (None, *limits, least):
        name = "mapped file, " + ("no limit" if limit is None else f"limit {limit / 1e6:.1f} MB")
        name += " (the least)" if limit == least else ""
        bench.say(f"{name}, k = {k:,}")
        other, seconds = settled(partial(farpoint.select, mapped, k, memory_limit=limit))
        bench.check_same(other, selection, name)
        rows.append(row(name, other, seconds, in_memory))
        slowest = max(slowest, seconds)
    bench.section.tables[f"{n:,} x {d} float32, k = {k:,}"] = rows
    ratio = slowest / in_memory
    bench.section.target(
        f"k = {k:,}: from a file, with any limit, at most {CEILING:g} x the time in memory",
        f"{ratio:.2f} x",
        ratio <= CEILING,
    )


def least_memory(X: data.Matrix, k: int) -> int:
    """Return the least limit that works, as the refusal of a smaller one says it."""
    try:
        farpoint.select(X, k, memory_limit=1)
    except ValueError as error:
        found = re.search(r"at least ([\d,]+) bytes", str(error))
        if found:
            return int(found[1].replace(",", ""))
        raise
    raise AssertionError("a limit of one byte was not refused")


def row(name: str, selection: farpoint.Selection, seconds: float, in_memory: float) -> Row:
    """Make a line of the table."""
    info = selection.info
    figures = {
        "x in memory": f"{seconds / in_memory:.2f}",
        "MB counted": f"{info['bytes_work'] / 1e6:.1f}",
        "MB spilled": f"{info['bytes_spilled'] / 1e6:.1f}",
        "looked up": "yes" if info["pairs_looked_up"] else "no",
        "pairs evaluated": evaluated(selection),
    }
    return Row(name, seconds, figures, "bits")
