"""Selection by manhattan and chebyshev distances."""

from __future__ import annotations

from functools import partial

import data
import farpoint
import peers
from measure import Bench, agreement, evaluated, settled
from report import Row

ABOUT = "selection by manhattan and chebyshev distances from real embeddings"
SPEED_FLOOR = 20.0


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 20_000 if bench.quick else None)
    k = 200 if bench.quick else 2000
    loops = {
        "scipy cdist, a row a pick": peers.cdist_loop,
        "numpy loop": peers.difference_loop,
    }
    for metric in ("manhattan", "chebyshev"):
        bench.say(f"{metric}, k = {k:,}")
        selection, seconds = settled(partial(farpoint.select, X, k, metric=metric))
        one, one_seconds = settled(partial(farpoint.select, X, k, metric=metric, threads=1))
        bench.check_selection(X, selection, metric)
        bench.check_same(one, selection, f"{metric}, 1 thread")
        bench.check_levels(X, selection, k // 5, f"{metric}, first picks")
        rows = [
            Row("farpoint", seconds, {"picks given time for": f"{k:,}"}, "bits"),
            Row("farpoint, 1 thread", one_seconds, {"picks given time for": f"{k:,}"}, "bits"),
        ]
        for name, loop in loops.items():
            bench.say(f"{metric}, {name}")
            given = loop(X, k, bench.limit, metric)
            figures = {"picks given time for": f"{len(given.indices):,}"}
            rows.append(
                Row(name, given.seconds_a_pick * k, figures, agreement(selection.indices, given.indices))
            )
            # One thread against one: these loops have no more.
            bench.section.at_least(
                f"{metric}: speed of {name}", given.seconds_a_pick * k / one_seconds, SPEED_FLOOR
            )
        for row in rows:
            row.figures["x farpoint's time, 1 thread"] = f"{row.seconds / one_seconds:.2f}"
        bench.section.tables[f"{metric}, k = {k:,} of {X.shape[0]:,} x {X.shape[1]}"] = rows
        bench.section.notes.append(f"{metric}: {evaluated(selection)} of the pairs evaluated.")
