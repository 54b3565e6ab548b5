"""What replaces a class of another package, beside that class: the same call, the same data."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

import data
import farpoint.sklearn
import farpoint.torch
import peers
from measure import Bench, agreement, settled
from report import Row

ABOUT = "classes that replace those of other packages, on real embeddings"
CORESET_FLOOR = 80.0


def run(bench: Bench) -> None:
    """Measure."""
    X, bench.section.data = data.real(bench.data, 5_000 if bench.quick else 50_000)
    farpoint.select(X[:1000], 10)  # what is loaded once is not the call's
    peers.torch_loop(X[:100], 10, 1.0)
    with peers.threads(bench.threads):
        coreset(bench, X)
        selector(bench, X[: len(X) * 2 // 5])


def coreset(bench: Bench, X: data.Matrix) -> None:
    """Time PatchCore's coreset of a tenth of the rows."""
    n, d = X.shape
    bench.say("KCenterGreedy")

    def ours() -> list[int]:
        torch.manual_seed(0)
        return farpoint.torch.KCenterGreedy(torch.from_numpy(X), 0.1).select_coreset_idxs()

    picks, seconds = settled(ours)
    k = len(picks)
    bench.check_selection(X, farpoint.select(X, k, start=picks[0]), f"k = {k:,}")
    bench.say("anomalib's loop")
    theirs = peers.torch_loop(X, k, bench.limit, start=picks[0])
    theirs_seconds = theirs.seconds / len(theirs.indices) * k
    rows = [
        Row("farpoint.torch.KCenterGreedy", seconds, {"picks given time for": f"{k:,}"}, "bits"),
        Row(
            "anomalib's KCenterGreedy, without its projection",
            theirs_seconds,
            {"picks given time for": f"{len(theirs.indices):,}"},
            agreement(np.array(picks), theirs.indices),
        ),
    ]
    ratio_of(rows, seconds)
    bench.section.tables[f"Coreset of a tenth of {n:,} x {d}"] = rows
    bench.section.at_least(
        f"KCenterGreedy, a tenth of {n:,} x {d}: speed of anomalib's loop",
        theirs_seconds / seconds,
        CORESET_FLOOR,
    )


def selector(bench: Bench, X: data.Matrix) -> None:
    """Time scikit-matter's selector of rows and ours."""
    n, d = X.shape
    k = n // 10
    bench.say("FarthestPointSelector")
    make = partial(farpoint.sklearn.FarthestPointSelector, n_to_select=k, initialize=0)
    fitted, seconds = settled(lambda: make().fit(X))
    bench.say("scikit-matter's FPS")
    theirs = peers.skmatter_fps(X, k, bench.limit)
    rows = [
        Row("farpoint.sklearn.FarthestPointSelector", seconds, {"picks given time for": f"{k:,}"}, "bits"),
        Row(
            "skmatter.sample_selection.FPS",
            theirs.seconds / len(theirs.indices) * k,
            {"picks given time for": f"{len(theirs.indices):,}"},
            agreement(fitted.selected_idx_, theirs.indices),
        ),
    ]
    ratio_of(rows, seconds)
    bench.section.tables[f"Selector of {k:,} of {n:,} x {d}"] = rows


def ratio_of(rows: list[Row], seconds: float) -> None:
    """Give each row its time as a multiple of ours."""
    for row in rows:
        row.figures["x farpoint's time"] = f"{row.seconds / seconds:.1f}"
