"""The demo's picture: how the radius falls, and where random subsets are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint import demo
from farpoint._atomic import atomic_write
from farpoint.selection import Selection

# Okabe and Ito's colours: told apart with any colour vision, and in grey.
_SELECTION = "#0072B2"
_RANDOM = "#D55E00"
_SIZES = 8


def radii(embeddings: npt.NDArray[Any], selection: Selection, path: Path) -> None:
    """Draw h_min of the first t picks, and of random subsets of t rows, against t."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = np.unique(np.geomspace(2, len(selection), _SIZES).round().astype(int))
    drawn = [demo.random_subsets(embeddings, int(size)) for size in sizes]

    # No pyplot: it would choose a window system and keep the figure in a global list.
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picks = np.arange(2, len(selection) + 1)
    axes.plot(picks, selection.radii[1:], color=_SELECTION, linewidth=2, label="farpoint: exact selection")
    low, high = [values.min() for values in drawn], [values.max() for values in drawn]
    axes.fill_between(sizes, low, high, color=_RANDOM, alpha=0.25, linewidth=0)
    axes.plot(
        sizes,
        [np.median(values) for values in drawn],
        color=_RANDOM,
        linewidth=2,
        linestyle="--",
        marker="o",
        label=f"random subsets (median and range of {demo.RANDOM_SUBSETS})",
    )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("number of picks")
    axes.set_ylabel("h_min: smallest distance between two picks")
    axes.set_title(f"{selection.info['n']:,} dictionary entries, {selection.info['d']}-d sentence embeddings")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=150, format="png")
