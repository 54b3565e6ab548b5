"""Nearest rows and the closest pair."""

from __future__ import annotations

from functools import partial

import numpy as np

import data
import farpoint
import peers
from measure import Bench, settled, simd_level, usable_simd
from report import Row

ABOUT = "nearest rows and the closest pair of real embeddings"
NEAREST_FLOORS = {
    "faiss-cpu IndexFlatL2": 4.0,
    "scikit-learn pairwise_distances_argmin_min": 10.0,
}
H_MIN_FLOOR = 4.0
SEARCHES = {
    "faiss-cpu IndexFlatL2": peers.faiss_nearest,
    "scikit-learn pairwise_distances_argmin_min": peers.sklearn_nearest,
}


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 20_000 if bench.quick else None)
    peers.faiss_nearest(X[:100], X[:100])  # loaded before it is given its threads
    peers.sklearn_nearest(X[:100], X[:100])
    with peers.threads(bench.threads):
        nearest_rows(bench, X)
        closest_pair(bench, X)


def nearest_rows(bench: Bench, X: data.Matrix) -> None:
    """Time nearest rows, for all of them."""
    n, d = X.shape
    Y = X[:: n // (n // 6)][: n // 6 + 1]
    Y = np.ascontiguousarray(Y)
    bench.say("nearest")
    ours, seconds = settled(lambda: farpoint.nearest(X, Y))
    rows = [Row("farpoint.nearest", seconds, {}, "bits")]
    one, one_seconds = settled(lambda: farpoint.nearest(X, Y, threads=1))
    rows.append(Row("farpoint.nearest, 1 thread", one_seconds, {}, "bits"))
    sample = np.random.default_rng(0).choice(n, min(n, 2000), replace=False)
    judged = farpoint.nearest(X[sample], Y, backend="numba")
    looked_at = {
        "nearest": farpoint.Nearest(ours.distances[sample], ours.indices[sample]),
        "nearest, 1 thread": farpoint.Nearest(one.distances[sample], one.indices[sample]),
    }
    for level in usable_simd():
        with simd_level(level):
            looked_at[f"nearest, {level}"] = farpoint.nearest(X[sample], Y)
    for what, found in looked_at.items():
        if not (
            np.array_equal(found.indices, judged.indices)
            and np.array_equal(found.distances, judged.distances)
        ):
            bench.section.wrong.append(f"{what} differs from the Numba backend")
    for name, search in SEARCHES.items():
        bench.say(name)
        (distances, indices), took = settled(partial(search, X, Y))
        same = float((indices == ours.indices).mean())
        error = float(np.abs(distances - ours.distances).max())
        rows.append(Row(name, took, {}, f"{same:.2%} of rows, distances within {error:.1g}"))
        bench.section.at_least(
            f"nearest of {len(Y):,} for {n:,} x {d}: speed of {name}", took / seconds, NEAREST_FLOORS[name]
        )
    for row in rows:
        row.figures["x farpoint's time"] = f"{row.seconds / seconds:.2f}"
    bench.section.tables[f"Nearest of {len(Y):,} rows for {n:,} x {d}"] = rows


def closest_pair(bench: Bench, X: data.Matrix) -> None:
    """Time the closest pair; faiss gets some of the rows as queries."""
    n, d = X.shape
    bench.say("h_min")
    pair, seconds = settled(lambda: farpoint.h_min(X))
    rows = [Row("farpoint.h_min", seconds, {"rows given time for": f"{n:,}"}, "bits")]
    one, one_seconds = settled(lambda: farpoint.h_min(X, threads=1))
    rows.append(Row("farpoint.h_min, 1 thread", one_seconds, {"rows given time for": f"{n:,}"}, "bits"))
    both = farpoint.pairwise_distances(X[pair.i : pair.i + 1], X[pair.j : pair.j + 1], backend="reference")
    if one != pair or both[0, 0] != pair.value:
        bench.section.wrong.append(f"h_min: {pair}, with one thread {one}, by definition {both[0, 0]}")
    queries = min(n, 1000 if bench.quick else 20_000)
    # The pair's own rows are among the queries, so faiss must find the same distance.
    at = np.unique(np.append(np.arange(n)[:: n // queries][:queries], [pair.i, pair.j]))
    bench.say("faiss, 2 nearest")
    (distances, _), took = settled(lambda: peers.faiss_nearest(X[at], X, neighbours=2))
    took *= n / len(at)
    closest = float(distances.min())
    agrees = f"closest {closest:.6g}, ours {pair.value:.6g}"
    # A float32 expansion loses about half the digits of a small distance between unit vectors.
    if abs(closest - pair.value) > 3e-3:
        bench.section.wrong.append(f"h_min: {agrees}")
    rows.append(Row("faiss-cpu, 2 nearest of each", took, {"rows given time for": f"{len(at):,}"}, agrees))
    for row in rows:
        row.figures["x farpoint's time"] = f"{row.seconds / seconds:.2f}"
    bench.section.tables[f"Closest pair of {n:,} x {d}"] = rows
    bench.section.at_least(f"h_min of {n:,} x {d}: speed of faiss-cpu", took / seconds, H_MIN_FLOOR)
