"""What a report shows, as plain data of bounded size: computed in one place, drawn in another."""

from __future__ import annotations

import dataclasses
from typing import Any

from farpoint._json_values import finite


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Distances of rows to the nearest other row of their set."""

    rows: int  # that were looked at
    of: int  # that the set has
    smallest: float
    median: float
    largest: float
    shares: list[float]  # of the rows looked at, in each bin of `Facts.bins`


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two rows and their distance."""

    distance: float
    rows: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Projection:
    """Rows and picks along the two principal axes."""

    shares: tuple[float, float]  # of the variance
    sampled: int  # rows that the axes were computed from
    background: list[tuple[float, float]]
    picks: list[tuple[float, float]]
    orders: list[int]  # which picks: 1 is the first


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The rows that have one pick as the nearest."""

    order: int  # of the pick: 1 is the first
    row: int
    size: int


@dataclasses.dataclass(frozen=True)
class Clusters:
    """How the rows are shared among the picks."""

    ranks: list[int]  # of the sizes shown: 1 is the largest
    sizes: list[int]
    largest: list[Cluster]
    median: float
    single: int  # picks that are nearest to themselves alone
    elsewhere: int  # rows that are as near to what the selection was kept away from


@dataclasses.dataclass(frozen=True)
class Facts:
    """Everything that a report says of a selection. Of a matrix, where one is given; else those are None.

    Attributes
    ----------
    selection : dict
        k, metric, h_min, covering_radius, upper_bound, share (of the bound, that h_min is), farthest_first,
        refined, kept_away (whether the first pick has a radius, for there was something to keep away from),
        files (their number, 0 for an array), and of its `info` n, d, dtype, backend, simd, threads, seconds,
        version.
    curve : list of (int, float, float)
        Numbers of picks t, the radius of the t-th pick, and h_min of the first t: some hundreds of them, from
        the second pick (the first, if that has a radius).
    prefixes : list of (int, float, float)
        Numbers of picks t, h_min and covering radius of the first t: some halvings of k. None where the first
        picks are no selection of their own.
    random_h_min : list of (int, float), or None
        Sizes of a random subset, and its h_min.
    bins : list of float, or None
        Edges of the histogram's bins.
    neighbours : dict of Neighbours, or None
        Of the "selection", a "random" subset of its size, and "all" rows.
    pairs : dict of list of Pair, or None
        Nearest pairs, of the "selection" and of "all" rows that were looked at.
    projection : Projection or None
    clusters : Clusters or None
    places : dict of (str, int)
        File, and row in it, of each row that is named, by row; where the selection is of several files.
    """

    selection: dict[str, Any]
    curve: list[tuple[int, float, float]]
    prefixes: list[tuple[int, float, float]]
    random_h_min: list[tuple[int, float]] | None = None
    bins: list[float] | None = None
    neighbours: dict[str, Neighbours] | None = None
    pairs: dict[str, list[Pair]] | None = None
    projection: Projection | None = None
    clusters: Clusters | None = None
    places: dict[int, tuple[str, int]] = dataclasses.field(default_factory=dict)

    def rows(self) -> list[int]:
        """Return the rows that are named, rising: those whose texts are shown."""
        named = {row for pairs in (self.pairs or {}).values() for pair in pairs for row in pair.rows}
        named |= {cluster.row for cluster in (self.clusters.largest if self.clusters else [])}
        return sorted(named)

    def record(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them (None stands for infinity and for what is unknown)."""
        found: dict[str, Any] = finite(dataclasses.asdict(self))
        return found
