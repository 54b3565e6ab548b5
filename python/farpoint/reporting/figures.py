"""The plots of a report and of `Selection.plot`: one function a plot, on axes that it is given.

What is drawn is told apart by line style, marker or place too, not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from farpoint.reporting.facts import Facts
from farpoint.reporting.palette import DARK, LIGHT, Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: at the width of a phone a figure is drawn somewhat smaller, with text that can still be read.
_WIDTH, _HEIGHT = 5.2, 3.7
# Where an axis of counts spans more than this factor it is logarithmic.
_WIDE = 20
# Where it spans more than this, its numbers are powers of ten alone.
_MANY = 200


def available(facts: Facts) -> list[str]:
    """Return the names of the plots that the facts are enough for."""
    has = {
        "radii": bool(facts.curve),
        "neighbours": facts.neighbours is not None,
        "projection": facts.projection is not None,
        "clusters": facts.clusters is not None,
    }
    return [name for name in PLOTS if has[name]]


def check_kind(kind: str | None) -> None:
    """Raise unless it is the name of a plot, or None."""
    if kind is not None and kind not in PLOTS:
        raise ValueError(f"kind must be one of {', '.join(PLOTS)}, not {kind!r}")


def plot(facts: Facts, kind: str | None, *, dark: bool) -> Figure:
    """Return a figure with one plot, or with all that there are facts for."""
    names = available(facts)
    if not names or kind not in (None, *names):
        drawn = "nothing can be drawn" if kind is None else f"{kind} cannot be drawn"
        reason = "a lone pick has no radius" if kind in (None, "radii") else "that takes the matrix"
        raise ValueError(f"{drawn}: {reason}; give X, which the selection was made from")
    chosen = names if kind is None else [kind]
    palette = DARK if dark else LIGHT
    with _style(palette):
        return _figure(facts, chosen, palette, palette.surface)


def draw(facts: Facts, name: str, palette: Palette, path: Any, **options: Any) -> None:
    """Write one plot to a file (object), without background; `options` are those of ``Figure.savefig``."""
    with _style(palette, salt=name):
        _figure(facts, [name], palette, "none").savefig(path, **options)


@contextmanager
def _style(palette: Palette, salt: str = "") -> Iterator[None]:
    """Set matplotlib to its own defaults, but for what a report needs: the user's settings do not leak in."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.size": 11,
                "axes.titlesize": 11,
                "text.color": palette.ink,
                "axes.labelcolor": palette.ink,
                "axes.edgecolor": palette.muted,
                "xtick.color": palette.muted,
                "ytick.color": palette.muted,
                "xtick.labelcolor": palette.ink,
                "ytick.labelcolor": palette.ink,
                "grid.color": palette.grid,
                "grid.linewidth": 0.8,
                "axes.axisbelow": True,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "legend.frameon": False,
                "legend.fontsize": 10,
                "svg.fonttype": "none",
                # Identifiers are hashes with this: others in each plot of a page, the same in each run.
                "svg.hashsalt": f"farpoint-{salt}",
            }
        )
        yield


def _figure(facts: Facts, names: list[str], palette: Palette, surface: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    # No pyplot: it would choose a window system and keep the figure in a global list.
    figure = Figure(figsize=(columns * _WIDTH, rows * _HEIGHT), layout="constrained", facecolor=surface)
    FigureCanvasAgg(figure)
    panels = [figure] if len(names) == 1 else figure.subfigures(rows, columns).flat
    for panel, name in zip(panels, names, strict=False):
        panel.set_facecolor(surface)
        PLOTS[name](panel, facts, palette)
    return figure


def _axes(panel: Any) -> Any:
    axes = panel.add_subplot()
    axes.set_facecolor("none")
    axes.grid(True)
    return axes


def _counts(axis: Any, smallest: float, largest: float) -> None:
    """Number an axis with counts, on a logarithmic scale where they span much."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if largest > _WIDE * smallest:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
        few_decades = largest < _MANY * smallest
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,), numticks=8))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        if largest - smallest < 2:
            getattr(axis.axes, f"set_{axis.axis_name}lim")(smallest - 1, largest + 1)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _radii(panel: Any, facts: Facts, palette: Palette) -> None:
    """h_min and covering radius against the number of picks, and h_min of random subsets."""
    said = facts.selection
    axes = _axes(panel)
    picks = [t for t, _, _ in facts.curve]
    falling = said["farthest_first"] and not said["refined"]
    if falling:
        # The covering radius of t picks is the radius of the next one.
        covered = [(t - 1, radius) for t, radius, _ in facts.curve if t > 1]
        if math.isfinite(said["covering_radius"]):
            covered.append((said["k"], said["covering_radius"]))
        axes.plot(
            *zip(*covered, strict=True),
            color=palette.everything,
            linewidth=4,
            alpha=0.55,
            solid_capstyle="butt",
            label="covering radius",
        )
    else:
        radii = [radius for _, radius, _ in facts.curve]
        axes.plot(picks, radii, ".", color=palette.everything, markersize=4, label="radius of each pick")
        if math.isfinite(said["covering_radius"]):
            label = "covering radius of all picks"
            axes.axhline(said["covering_radius"], color=palette.muted, linestyle=":", label=label)
    smallest = [value for _, _, value in facts.curve]
    marker = "o" if len(picks) == 1 else None
    axes.plot(
        picks, smallest, color=palette.selection, linewidth=1.8, marker=marker, label="h_min of the selection"
    )
    if facts.random_h_min:
        axes.plot(
            *zip(*facts.random_h_min, strict=True),
            color=palette.random,
            linewidth=1.4,
            linestyle="--",
            marker="s",
            markersize=4.5,
            label="h_min of a random subset",
        )
    _counts(axes.xaxis, max(1, picks[0] - 1), picks[-1])
    axes.autoscale_view()
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    axes.set_xlabel("number of picks")
    axes.set_ylabel(f"distance ({said['metric']})")
    axes.legend(loc="best")


def _neighbours(panel: Any, facts: Facts, palette: Palette) -> None:
    """Histograms of the distance to the nearest other row: one above the other, on one scale of distances."""
    assert facts.neighbours is not None
    assert facts.bins is not None
    styles = {
        "all": ("all rows", palette.everything, ":"),
        "random": ("random subset", palette.random, "--"),
        "selection": ("selection", palette.selection, "-"),
    }
    shown = [name for name in styles if name in facts.neighbours]
    h_min = facts.selection["h_min"]
    marked = math.isfinite(h_min)
    # The mark's label is on the side of the middle, names are on the other.
    right = marked and h_min > (facts.bins[0] + facts.bins[-1]) / 2
    rows = panel.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, shown, strict=True):
        label, color, line = styles[name]
        shares = facts.neighbours[name].shares
        axes.set_facecolor("none")
        axes.stairs(shares, facts.bins, fill=True, color=color, alpha=0.3)
        axes.stairs(shares, facts.bins, color=color, linewidth=1.4, linestyle=line)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(label, loc="left" if right or not marked else "right", pad=3)
        axes.set_ylim(bottom=0)
        if marked:
            axes.axvline(h_min, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 2)))
    if marked:
        rows[0].annotate(
            f"h_min {h_min:.4g}",
            (h_min, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4 if right else -4, 3),
            textcoords="offset points",
            ha="right" if right else "left",
        )
    rows[-1].set_xlabel(f"distance to the nearest other row ({facts.selection['metric']})")


def _projection(panel: Any, facts: Facts, palette: Palette) -> None:
    """Rows and picks along the two principal axes; the first picks are larger, and on top."""
    import numpy as np
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    assert facts.projection is not None
    found = facts.projection
    axes = _axes(panel)
    axes.grid(False)
    axes.plot(
        *_columns(found.background),
        ".",
        color=palette.everything,
        markersize=3.5,
        alpha=0.5,
        markeredgewidth=0,
    )
    colors = ListedColormap(palette.order)
    last = facts.selection["k"]
    edges = np.geomspace(1, last + 1, colors.N + 1)
    places = np.clip(np.searchsorted(edges, found.orders, side="right") - 1, 0, colors.N - 1)
    for place in range(colors.N - 1, -1, -1):
        here = [point for point, its in zip(found.picks, places, strict=True) if its == place]
        size = 3.2 + 0.35 * (colors.N - 1 - place)
        axes.plot(
            *_columns(here), "o", color=palette.order[place], markersize=size, markeredgewidth=0, alpha=0.9
        )
    axes.plot(
        *_columns(found.picks[:1]),
        "*",
        color=palette.order[0],
        markersize=13,
        markeredgecolor=palette.ink,
        markeredgewidth=0.8,
    )
    axes.annotate("first", found.picks[0], xytext=(8, 4), textcoords="offset points")
    axes.set_xticks([])
    axes.set_yticks([])
    first, second = found.shares
    axes.set_xlabel(f"first principal axis ({first:.1%} of the variance)")
    axes.set_ylabel(f"second ({second:.1%})")
    if last > 1:
        bar = panel.colorbar(
            ScalarMappable(BoundaryNorm(edges, colors.N), colors), ax=axes, label="pick", shrink=0.9, pad=0.02
        )
        ticks = [edge for edge in (1, 10, 100, 1000, 10_000, 100_000, 1_000_000) if edge < last / 2] + [last]
        bar.set_ticks(
            [min(tick * 1.0001, edges[-1]) for tick in ticks], labels=[f"{tick:,}" for tick in ticks]
        )
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _clusters(panel: Any, facts: Facts, palette: Palette) -> None:
    """How many rows have each pick as their nearest, from the largest down."""
    assert facts.clusters is not None
    found = facts.clusters
    axes = _axes(panel)
    # A pick at distance 0 from an earlier one has no rows; a logarithmic axis has no place for that.
    shown = [(rank, size) for rank, size in zip(found.ranks, found.sizes, strict=True) if size > 0]
    marker = "o" if len(shown) == 1 else None
    axes.plot(
        *zip(*shown, strict=True),
        color=palette.selection,
        linewidth=1.8,
        marker=marker,
        label="rows of each pick",
    )
    if found.median > 0:
        axes.axhline(
            found.median,
            color=palette.random,
            linestyle="--",
            linewidth=1.4,
            label=f"median: {found.median:g}",
        )
    _counts(axes.xaxis, 1, found.ranks[-1])
    _counts(axes.yaxis, shown[-1][1], shown[0][1])
    axes.set_xlabel("picks, by the number of their rows")
    axes.set_ylabel("rows nearest to the pick")
    axes.legend(loc="best")


PLOTS: dict[str, Callable[[Any, Facts, Palette], None]] = {
    "radii": _radii,
    "neighbours": _neighbours,
    "projection": _projection,
    "clusters": _clusters,
}
