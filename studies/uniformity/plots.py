"""Pictures of the studies. Colours are told apart by the colour-blind; lines by their markers too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import scipy.stats

mpl.use("agg")

import matplotlib.pyplot as plt

from studies.uniformity.grouping import grouped

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
_MARKERS = "os^Dv"
# Of halves: a colour and a marker each, whichever of them a study has.
_WAYS = {
    "farthest": (_COLOURS[0], "o"),
    "random": ("0.4", "s"),
    "nearest": (_COLOURS[1], "^"),
    "per cluster": (_COLOURS[2], "D"),
    "own": (_COLOURS[4], "v"),
    "all": (_COLOURS[3], "P"),
}


def bias(found: dict[str, Any], path: Path) -> None:
    """Median h_min against the number of points, a line a bias, a panel a density and dimension."""
    rows = found["rows"]
    panels = list(dict.fromkeys((row["density"], row["d"]) for row in rows))
    columns = 3
    figure, axes = plt.subplots(
        -(-len(panels) // columns), columns, figsize=(11, 9), sharex=True, layout="constrained"
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
        sizes = [row["n"] for row in uniform]
        axis.set_xticks(sizes, labels=[f"{n:,}" for n in sizes])
        axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    for row_of_axes in axes:  # a density each, whose biases are its own
        row_of_axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.supxlabel("points")
    figure.supylabel("h_min: median, and 5 to 95 %")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def coverage(found: dict[str, Any], path: Path) -> None:
    """h_min with its bound, covering radius and their ratio against k, of selected and of random rows."""
    selected, random = found["selected"], found["random"]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    k = [row["k"] for row in selected]
    for axis, title in zip(axes, ("h_min", "covering radius", "covering radius / h_min"), strict=True):
        axis.plot(k, _values(selected, title), "o-", color=_COLOURS[0], label="farpoint's selection")
        axis.plot(
            [row["k"] for row in random], _values(random, title), "s", color=_COLOURS[1], label="random rows"
        )
        axis.set(xscale="log", title=title, xlabel="rows")
    axes[0].plot(k, [row["upper_bound"] for row in selected], "k--", label="no rows have more")
    axes[0].axhline(found["full_h_min"], color="0.5", linestyle=":", label=f"all {found['n']:,} rows")
    axes[0].set_ylim(0, 1.35 * max(row["upper_bound"] for row in selected))  # room for the legend
    axes[1].set_ylim(bottom=0)
    axes[2].set_yscale("log")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _values(rows: list[dict[str, Any]], title: str) -> list[float]:
    if title == "h_min":
        return [row["h_min"] for row in rows]
    radii = [row["covering_radius"] for row in rows]
    return radii if title == "covering radius" else [row["covering_radius"] / row["h_min"] for row in rows]


def interpolation(found: dict[str, Any], path: Path) -> None:
    """The error against h_min and against the covering radius, a panel a dimension and approximation."""
    rows = found["rows"]
    panels = list(dict.fromkeys((row["d"], row["approximator"]) for row in rows))
    figure, axes = plt.subplots(
        2, len(panels), figsize=(3 * len(panels), 6), layout="constrained", squeeze=False
    )
    for column, (d, approximator) in enumerate(panels):
        here = [row for row in rows if (row["d"], row["approximator"]) == (d, approximator)]
        for axis, name in zip(axes[:, column], ("h_min", "covering_radius"), strict=True):
            for i, family in enumerate(("spread", "pairs")):
                points = [row for row in here if row["family"] == family]
                axis.plot(
                    [row[name] for row in points],
                    [row["error"] for row in points],
                    _MARKERS[i],
                    color=_COLOURS[i],
                    markersize=4,
                    alpha=0.6,
                    label="ways of spreading" if family == "spread" else "copies of points",
                )
            axis.set(yscale="log", xlabel=name.replace("_r", " r"))
        axes[0, column].set_xscale("log")
        axes[0, column].set_title(f"d = {d}, {approximator}")
    axes[0, 0].legend(fontsize=8)
    figure.supylabel("root-mean-square error, in standard deviations")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def descent(found: dict[str, Any], path: Path) -> None:
    """Training loss against steps: the mean of its logarithm over the seeds, with 95 % confidence bands."""
    rows, steps = found["rows"], found["recorded"]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    panels = [(target, family) for target in ("teacher", "random signs") for family in ("spread", "pairs")]
    figure, axes = plt.subplots(
        len(panels), len(networks), figsize=(11, 12), sharex=True, layout="constrained", squeeze=False
    )
    for line, (target, family) in enumerate(panels):
        here = [row for row in rows if (row["target"], row["family"]) == (target, family)]
        for axis, network in zip(axes[line], networks, strict=True):
            for i, way in enumerate(dict.fromkeys(row["way"] for row in here)):
                logs = np.log10(
                    [row["losses"] for row in here if (row["network"], row["way"]) == (network, way)]
                )
                mean, error = logs.mean(axis=0), logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
                reach = scipy.stats.t.ppf(0.975, len(logs) - 1) * error
                colour = _COLOURS[i % len(_COLOURS)]
                axis.fill_between(steps, 10 ** (mean - reach), 10 ** (mean + reach), color=colour, alpha=0.15)
                axis.plot(
                    steps, 10**mean, color=colour, linestyle="-" if i < len(_COLOURS) else "--", label=way
                )
            axis.set(xscale="log", yscale="log", title=f"{network}; {target}; {family}")
        axes[line, -1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.supxlabel("steps")
    figure.supylabel("training loss, of the variance of the answers")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def training(found: dict[str, Any], path: Path) -> None:
    """Losses less those of random halves against steps, a row of panels a kind of training."""
    kinds = grouped(found["rows"], "trained")
    losses = {"training": "training loss", "held_out": "held-out loss", "spread": "of the spread half"}
    figure, axes = plt.subplots(
        len(kinds), len(losses), figsize=(11, 0.8 + 2.4 * len(kinds)), layout="constrained", squeeze=False
    )
    for line, ((trained,), models) in zip(axes, kinds.items(), strict=True):
        ways = {way: rows for (way,), rows in grouped(models, "way").items()}
        for axis, (loss, title) in zip(line, losses.items(), strict=True):
            random = np.mean([row[loss] for row in ways["random"]], axis=0)
            for way, rows in ways.items():
                apart = np.array([row[loss] for row in rows]) - random
                mean, error = apart.mean(axis=0), apart.std(axis=0, ddof=1) / np.sqrt(len(rows))
                steps, (colour, marker) = rows[0]["steps"], _WAYS[way]
                axis.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.2)
                axis.plot(steps, mean, color=colour, marker=marker, markersize=3, linewidth=1, label=way)
            axis.set_title(title, fontsize=9)
        line[0].set_ylabel(trained, fontsize=8)
    axes[0, -1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.supxlabel("steps", fontsize=9)
    figure.supylabel(
        "cross-entropy less that of random halves\nmean and standard error; below 0 is better", fontsize=9
    )
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
