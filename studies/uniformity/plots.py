"""Pictures of the studies. Colours are told apart by the colour-blind; lines by their markers too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
_MARKERS = "os^Dv"


def bias(found: dict[str, Any], path: Path) -> None:
    """Median h_min against the number of points, a line a bias, a panel a density and dimension."""
    rows = found["rows"]
    panels = list(dict.fromkeys((row["density"], row["d"]) for row in rows))
    columns = 3
    figure, axes = plt.subplots(
        -(-len(panels) // columns), columns, figsize=(10, 9), sharex=True, layout="constrained"
    )
    for axis, (density, d) in zip(axes.flat, panels, strict=True):
        here = [row for row in rows if (row["density"], row["d"]) == (density, d)]
        for i, level in enumerate(dict.fromkeys(row["bias"] for row in here)):
            line = [row for row in here if row["bias"] == level]
            n = [row["n"] for row in line]
            quantiles = [row["quantiles"] for row in line]
            axis.fill_between(
                n, [q[0] for q in quantiles], [q[4] for q in quantiles], color=_COLOURS[i], alpha=0.1
            )
            axis.plot(
                n, [q[2] for q in quantiles], color=_COLOURS[i], marker=_MARKERS[i], label=f"bias {level:g}"
            )
        uniform = [row for row in here if row["bias"] == 0]
        axis.plot(
            [row["n"] for row in uniform],
            [row["bounds"]["0.05"] for row in uniform],
            "k--",
            linewidth=1,
            label="bound, uniform, delta 0.05",
        )
        axis.set(xscale="log", yscale="log", title=f"{density}, d = {d}")
        axis.legend(fontsize=7)
    figure.supxlabel("points")
    figure.supylabel("h_min: median, and 5 to 95 %")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
