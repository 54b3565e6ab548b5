"""How the cost grows with n and with k, and what a second thread gives; as tables and as plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

import data
import farpoint
import peers
from measure import Bench, evaluated, settled
from report import Row

ABOUT = "cost against n and against k"
_D = 384
_THREADS_FLOOR = 1.7


@dataclass
class Series:
    """Seconds along one axis."""

    axis: str
    fixed: str
    sizes: list[int] = field(default_factory=list)
    farpoint: dict[int, list[float]] = field(default_factory=dict)  # by threads
    loop: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def run(bench: Bench) -> None:
    """Measure."""
    sizes = (
        [2_000, 5_000, 10_000, 20_000]
        if bench.quick
        else [10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000]
    )
    counts = [100, 300, 1_000, 3_000] if bench.quick else [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000]
    fixed_k, fixed_n = (500, 10_000) if bench.quick else (2_000, 200_000)
    bench.section.data = f"clustered (benchmarks/data.py), d = {_D}, float32"
    bench.say("making the data")
    X = data.clustered(max(*sizes, fixed_n), _D)
    farpoint.select(X[:1000], 10)

    against_n = Series("n", f"k = {fixed_k:,}")
    for n in sizes:
        measure(bench, against_n, n, X[:n], fixed_k)
    against_k = Series("k", f"n = {fixed_n:,}")
    for k in counts:
        measure(bench, against_k, k, X[:fixed_n], k)

    for series in (against_n, against_k):
        bench.section.tables[f"Against {series.axis}, {series.fixed}, d = {_D}"] = series.rows
        bench.section.plots.append(plot(bench, series))
        if bench.threads > 1:
            ratio = series.farpoint[1][-1] / series.farpoint[bench.threads][-1]
            bench.section.at_least(
                f"{series.axis} = {series.sizes[-1]:,}, {series.fixed}: {bench.threads} threads against 1",
                ratio,
                _THREADS_FLOOR,
            )


def measure(bench: Bench, series: Series, size: int, X: data.Matrix, k: int) -> None:
    """Add a point to a series."""
    bench.say(f"{series.axis} = {size:,}")
    series.sizes.append(size)
    row = Row(f"{series.axis} = {size:,}", 0.0)
    first: farpoint.Selection | None = None
    for threads in sorted({1, bench.threads}):
        selection, seconds = settled(partial(farpoint.select, X, k, threads=threads), 5.0)
        first = first or selection
        bench.check_same(selection, first, f"{row.what}, {threads} threads")
        series.farpoint.setdefault(threads, []).append(seconds)
        row.figures[f"s, {threads} thread{'s' * (threads > 1)}"] = f"{seconds:.3g}"
        row.seconds = seconds
        row.figures["pairs evaluated"] = evaluated(selection)
    with peers.threads(bench.threads):
        loop = peers.numpy_loop(X, k, bench.limit / 10).seconds_a_pick * k
    series.loop.append(loop)
    row.figures["threads' gain"] = f"{series.farpoint[1][-1] / row.seconds:.2f}"
    row.figures["numpy loop s"] = f"{loop:.3g}"
    row.figures["x numpy loop"] = f"{loop / row.seconds:.1f}"
    row.agrees = "bits"
    series.rows.append(row)


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Return the exponent of a power law through the points, least squares over the larger half."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def plot(bench: Bench, series: Series) -> str:
    """Draw a series; return the file's name."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), constrained_layout=True)
    for threads, seconds in sorted(series.farpoint.items()):
        exponent = slope(series.sizes, seconds)
        name = f"farpoint, {threads} thread{'s' * (threads > 1)}: {series.axis}^{exponent:.2f}"
        axes.loglog(series.sizes, seconds, "o-", label=name)
    exponent = slope(series.sizes, series.loop)
    axes.loglog(
        series.sizes, series.loop, "--", color="0.5", label=f"numpy loop: {series.axis}^{exponent:.2f}"
    )
    axes.set_xlabel(series.axis)
    axes.set_ylabel("seconds")
    axes.set_title(f"Selection, {series.fixed}, d = {_D}, clustered float32")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    name = f"{bench.stem}-cost-against-{series.axis}.png"
    bench.results.mkdir(parents=True, exist_ok=True)
    figure.savefig(bench.results / name, dpi=150)
    plt.close(figure)
    return name
