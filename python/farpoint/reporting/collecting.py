"""How the facts of a report are found: by the public functions, from a selection and its matrix."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint._loading import host_matrix
from farpoint._neighbours import nearest_others, rows_of
from farpoint._parts import PartedMatrix
from farpoint._selecting import check_belongs, check_selection
from farpoint._validation import check_sampling
from farpoint.reporting.facts import Cluster, Clusters, Facts, Neighbours, Pair, Projection
from farpoint.reporting.projection import PrincipalAxes
from farpoint.selection import Selection

Progress = Callable[[int, int, str], object]
IntArray = npt.NDArray[np.int64]

# Rows of a set whose nearest others are looked for, of the picks and of the random subset; of more, so many.
_MOST_ROWS = 20_000
# Of more picks also those with the smallest radii, so that the nearest pairs are among what is looked at.
_SMALLEST_RADII = 200
# What of a selection's `info` is shown, of what type, and how many characters at most.
_INFO = {
    "n": int,
    "d": int,
    "dtype": str,
    "backend": str,
    "simd": str,
    "threads": int,
    "seconds": float,
    "version": str,
}
_LONGEST = 200
# What a picture of a few hundred pixels can show.
_CURVE_POINTS = 400
_BINS = 60
_BACKGROUND_POINTS = 1500
_PICK_POINTS, _FIRST_POINTS = 1200, 300
# Sizes of a random subset whose h_min is computed, and the largest of them.
_RANDOM_SIZES = 8
_LARGEST_RANDOM = 20_000
# Rows of tables.
_PREFIXES = 4
_PAIRS = 8
_LARGEST_CLUSTERS = 8


def collect(
    selection: Selection,
    X: Any = None,
    *,
    sample: int = 4000,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Find out what a report shows; `farpoint.report` says what the arguments are.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> facts = collect(farpoint.select(X, 3), X)
    >>> facts.selection["h_min"], facts.pairs["selection"][0]
    (4.0, Pair(distance=4.0, rows=(2, 3)))
    """
    check_selection(selection)
    sample, seed = check_sampling(sample, seed, least=1)
    if not len(selection):
        raise ValueError("the selection has no picks: there is nothing to show")
    facts = Facts(_said(selection), _curve(selection), _prefixes(selection))
    if X is None:
        return facts
    matrix = host_matrix(X, "X")
    check_belongs(selection, matrix)
    found = _Comparison(selection, matrix, sample, seed, threads, progress or _silent)
    said = {**facts.selection, "n": len(matrix), "d": int(matrix.shape[1]), "dtype": str(matrix.dtype)}
    facts = dataclasses.replace(facts, selection=said, **found.facts())
    return dataclasses.replace(facts, places=_places(selection, facts.rows()))


def _silent(_done: int, _total: int, _what: str) -> None:
    pass


def _said(selection: Selection) -> dict[str, Any]:
    """Return what the selection itself knows."""
    h_min, bound = selection.h_min, selection.upper_bound
    return {
        "k": len(selection),
        "metric": selection.metric,
        "h_min": h_min,
        "covering_radius": selection.covering_radius,
        "upper_bound": bound,
        "share": h_min / bound if 0 < bound < math.inf else math.nan,
        "farthest_first": selection.farthest_first,
        "refined": selection.is_refined,
        "kept_away": bool(np.isfinite(selection.radii[0])),
        "files": len(selection.info.get("files", ())),
        **{name: _of_type(kind, selection.info.get(name)) for name, kind in _INFO.items()},
    }


def _of_type(kind: type, value: Any) -> Any:
    """Return what a selection says, if it is of the right type: it may be from a file that anyone wrote."""
    if kind is str and isinstance(value, str):
        return value[:_LONGEST]
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return value if type(value) is kind is int else None


def _places(selection: Selection, rows: list[int]) -> dict[int, tuple[str, int]]:
    """Return the file, and the row in it, of each row, where there are several files."""
    files = selection.info.get("files", ())
    if len(files) < 2:
        return {}
    starts = np.cumsum([0, *(file["rows"] for file in files)], dtype=np.int64)
    owners = (np.searchsorted(starts, rows, side="right") - 1).tolist()
    return {
        row: (str(files[owner]["name"])[-_LONGEST:], row - int(starts[owner]))
        for row, owner in zip(rows, owners, strict=True)
    }


def _curve(selection: Selection) -> list[tuple[int, float, float]]:
    """Return radii, and the smallest so far, at numbers of picks evenly spaced on a logarithmic axis."""
    first, last = 1 if np.isfinite(selection.radii[0]) else 2, len(selection)
    if first > last:
        return []
    smallest = np.minimum.accumulate(selection.radii)
    return [
        (t, float(selection.radii[t - 1]), float(smallest[t - 1]))
        for t in _spaced(first, last, _CURVE_POINTS)
    ]


def _prefixes(selection: Selection) -> list[tuple[int, float, float]]:
    """Return h_min and covering radius of the first half of the picks, the first quarter and so on."""
    if not selection.farthest_first or selection.is_refined:
        return []
    halved = [selection.prefix(t) for t in (len(selection) >> by for by in range(_PREFIXES)) if t >= 2]
    return [(len(prefix), prefix.h_min, prefix.covering_radius) for prefix in halved]


def _spaced(first: int, last: int, most: int) -> list[int]:
    """Return up to so many whole numbers from first to last, evenly spaced on a logarithmic axis."""
    return [int(t) for t in np.unique(np.geomspace(first, last, most).round())]


class _Comparison:
    """A selection beside its matrix and a random subset; a method a fact."""

    def __init__(
        self,
        selection: Selection,
        X: npt.NDArray[Any] | PartedMatrix,
        sample: int,
        seed: int,
        threads: int | None,
        progress: Progress,
    ) -> None:
        self.selection = selection
        self.X = X
        self.computation: dict[str, Any] = {"metric": selection.metric, "threads": threads}
        self.progress = progress
        self.picks = rows_of(X, selection.indices)
        self.generator = np.random.default_rng(seed)
        self.sampled = self._choose(len(X), sample)
        subset = self.generator.choice(len(X), len(selection), replace=False)
        self.random = rows_of(X, subset) if len(selection) < len(X) else None

    def facts(self) -> dict[str, Any]:
        """Return the fields of `Facts` that tell of the matrix."""
        found: dict[str, Any] = {}
        steps: list[tuple[str, Callable[[], dict[str, Any]]]] = [
            ("nearest neighbours", self._neighbours),
            ("random subsets", self._random_h_min),
            ("projection", self._projection),
            ("nearest pick of every row", self._clusters),
        ]
        for done, (what, step) in enumerate(steps):
            self.progress(done, len(steps), what)
            found |= step()
        self.progress(len(steps), len(steps), "done")
        return found

    def _choose(self, rows: int, most: int) -> IntArray:
        """Return so many row numbers, rising; all where there are no more."""
        if rows <= most:
            return np.arange(rows)
        return np.sort(self.generator.choice(rows, most, replace=False)).astype(np.int64)

    def _neighbours(self) -> dict[str, Any]:
        k = len(self.selection)
        chosen = self._choose(k, _MOST_ROWS)
        if len(chosen) < k:
            last = np.argsort(self.selection.radii, kind="stable")[:_SMALLEST_RADII]
            chosen = np.union1d(chosen, last)
        of_picks = nearest_others(self.picks, chosen, **self.computation)
        self._check_spread(float(of_picks.distances.min()))
        of_all = nearest_others(self.X, self.sampled, **self.computation)
        distances = {"selection": (of_picks.distances, k)}
        if self.random is not None and len(self.random) > 1:
            of_random = nearest_others(self.random, self._choose(k, _MOST_ROWS), **self.computation)
            distances["random"] = (of_random.distances, k)
        distances["all"] = (of_all.distances, len(self.X))
        rows = self.selection.indices
        pairs = {
            "selection": _nearest_pairs(
                of_picks.distances, rows[chosen], np.where(of_picks.indices < 0, -1, rows[of_picks.indices])
            ),
            "all": _nearest_pairs(of_all.distances, self.sampled, of_all.indices),
        }
        edges = _edges(
            [values for values, _ in distances.values()], self.selection.metric, self.selection.h_min
        )
        neighbours = {name: _summary(values, of, edges) for name, (values, of) in distances.items()}
        return {"bins": edges.tolist(), "neighbours": neighbours, "pairs": pairs}

    def _check_spread(self, nearest: float) -> None:
        """Raise if the picks are not as far apart in X as the selection says."""
        # What was kept away from may be nearer to a pick than any other pick.
        h_min = self.selection.h_min
        alone = not np.isfinite(self.selection.radii[0])
        if nearest != h_min if alone else nearest < h_min:
            raise ValueError(
                f"selection was not made from this X: h_min is {h_min!r} there, and the picks are "
                f"{nearest!r} apart here ({self.selection.metric})"
            )

    def _random_h_min(self) -> dict[str, Any]:
        if self.random is None or len(self.random) < 2:
            return {}
        sizes = _spaced(2, min(len(self.random), _LARGEST_RANDOM), _RANDOM_SIZES)
        return {
            "random_h_min": [
                (size, farpoint.h_min(self.random[:size], **self.computation).value) for size in sizes
            ]
        }

    def _projection(self) -> dict[str, Any]:
        rows = rows_of(self.X, self.sampled)
        axes = PrincipalAxes(rows, self.selection.metric)
        k = len(self.picks)
        evenly = np.linspace(1, k, min(k, _PICK_POINTS)).round().astype(np.int64)
        # The first picks are few, and tell most.
        shown = np.union1d(evenly, _spaced(1, k, _FIRST_POINTS)).astype(np.int64) - 1
        background = axes.project(rows[:: -(-len(rows) // _BACKGROUND_POINTS)])
        return {
            "projection": Projection(
                axes.shares,
                len(rows),
                [(x, y) for x, y in background.tolist()],
                [(x, y) for x, y in axes.project(self.picks[shown]).tolist()],
                [order + 1 for order in shown.tolist()],
            )
        }

    def _clusters(self) -> dict[str, Any]:
        labels = self.selection.labels
        if labels is None:
            labels = farpoint.nearest(self.X, self.picks, **self.computation).indices
        sizes = np.bincount(labels[labels >= 0], minlength=len(self.picks))
        falling = np.argsort(-sizes, kind="stable")
        ranks = _spaced(1, len(sizes), _CURVE_POINTS)
        return {
            "clusters": Clusters(
                ranks,
                [int(sizes[falling[rank - 1]]) for rank in ranks],
                [
                    Cluster(pick + 1, int(self.selection.indices[pick]), int(sizes[pick]))
                    for pick in falling[:_LARGEST_CLUSTERS].tolist()
                ],
                float(np.median(sizes)),
                int((sizes <= 1).sum()),
                int((labels < 0).sum()),
            )
        }


def _nearest_pairs(distances: npt.NDArray[np.float64], rows: IntArray, others: IntArray) -> list[Pair]:
    """Return the nearest of the pairs of rows and their nearest others, each once."""
    found = sorted(
        {
            (distance, min(row, other), max(row, other))
            for distance, row, other in zip(distances.tolist(), rows.tolist(), others.tolist(), strict=True)
            if other >= 0
        }
    )
    return [Pair(distance, (row, other)) for distance, row, other in found[:_PAIRS]]


def _edges(sets: list[npt.NDArray[np.float64]], metric: str, h_min: float) -> npt.NDArray[np.float64]:
    """Return the edges of bins that hold every finite distance; h_min is one of them."""
    distances = np.concatenate(sets)
    largest = float(distances[np.isfinite(distances)].max(initial=0.0))
    if metric == "hamming":
        # Whole numbers, as many in each bin.
        bits = int(largest) // _BINS + 1
        return np.arange(0.0, largest + 1 + bits, bits) - 0.5
    width = largest / _BINS or 1.0
    mark = h_min if h_min <= largest else 0.0
    below, above = math.ceil(mark / width), math.floor((largest - mark) / width) + 1
    return mark + width * np.arange(-below, above + 1, dtype=np.float64)


def _summary(distances: npt.NDArray[np.float64], of: int, edges: npt.NDArray[np.float64]) -> Neighbours:
    counts, _ = np.histogram(distances[np.isfinite(distances)], edges)
    smallest, median, largest = np.quantile(distances, (0, 0.5, 1), method="lower").tolist()
    return Neighbours(len(distances), of, smallest, median, largest, (counts / len(distances)).tolist())
