"""How evenly spread a whole matrix is: its distances in a few numbers, beside those of uniform points."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint import _validation as check
from farpoint import theory
from farpoint._api import h_min, pairwise_distances, select
from farpoint._json_values import finite
from farpoint._loading import host_matrix
from farpoint._neighbours import nearest_others, rows_of
from farpoint._parts import PartedMatrix

_DEFAULT_PICKS = 1000
_SAMPLE = 2000
# Near-duplicates: not farther than so much of the median distance to the nearest other row.
_NEAR = 0.25
# Of a row's norm: rows that differ less in it are normalised, but for their rounding to float16.
_UNIT_TOLERANCE = 2e-3
# And those that are copies, but for rounding or an edit: of locally uniform points on a line 2 % are so near.
_DUPLICATE = 0.025
# The two-NN estimate leaves out the rows whose second neighbour is the farthest, beside the first.
_TWO_NN_KEPT = 0.9

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Uniformity:
    """How evenly spread the rows of a matrix are. Printed, it is a summary to read.

    Attributes
    ----------
    n, d : int
        Rows and columns.
    h_min : float
        The smallest distance of two rows.
    pair : (int, int)
        The rows that have it.
    sampled : int
        Rows that the next four were estimated from, drawn without replacement.
    nearest_neighbour : float
        Median distance of a row to the nearest other row (of all n).
    typical_distance : float
        Median distance of two rows.
    near_duplicates : float
        Share of the rows whose nearest other row is not farther than `near`.
    intrinsic_dimension : float
        Of how many dimensions the data look locally: the two-NN estimate. NaN where it cannot be told.
    near : float
        What counts as near.
    k : int
        Picks of a farthest-point selection,
    covering_radius : float
        their covering radius,
    selected_h_min : float
        and their h_min.
    normalised : bool
        Whether all rows have the same norm, but for rounding.
    expected_h_min : float
        Of n uniform points: on the sphere of that norm where rows are normalised, else in the ball whose
        points have the same root-mean-square distance to their mean.
    expected_h_min_intrinsic : float
        Of points that are locally uniform, of the intrinsic dimension, and as dense as these. A `h_min` far
        below it is no chance: there are duplicates.
    """

    n: int
    d: int
    h_min: float
    pair: tuple[int, int]
    sampled: int
    nearest_neighbour: float
    typical_distance: float
    near_duplicates: float
    intrinsic_dimension: float
    near: float
    k: int
    covering_radius: float
    selected_h_min: float
    normalised: bool
    expected_h_min: float
    expected_h_min_intrinsic: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, as JSON can hold them (None stands for infinity and for NaN)."""
        found: dict[str, Any] = finite(asdict(self))
        return found

    def __str__(self) -> str:
        uniform = "on the sphere" if self.normalised else "in a ball"
        lines = [
            ("rows x columns", f"{self.n:,} x {self.d:,}"),
            ("h_min", f"{self.h_min:.6g}, rows {self.pair[0]:,} and {self.pair[1]:,}"),
            (f"  of uniform points {uniform}", f"{self.expected_h_min:.6g} expected"),
            ("  of as dense, locally uniform ones", f"{self.expected_h_min_intrinsic:.6g} expected"),
            ("intrinsic dimension (two-NN)", f"{self.intrinsic_dimension:.1f}"),
            ("distance of two rows, median", f"{self.typical_distance:.6g}"),
            ("to the nearest other row, median", f"{self.nearest_neighbour:.6g}"),
            (f"rows with another within {self.near:.3g}", f"{self.near_duplicates:.2%}"),
            (
                f"{self.k:,} rows that farpoint selects",
                f"h_min {self.selected_h_min:.6g}, covering radius {self.covering_radius:.6g}",
            ),
        ]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def uniformity(
    X: Any,
    *,
    k: int | float | None = None,
    near: float | None = None,
    sample: int = _SAMPLE,
    seed: int = 0,
    backend: str = "auto",
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> Uniformity:
    """Say how evenly spread the rows of a matrix are, by euclidean distances.

    Parameters
    ----------
    X : (n, d) array_like, or paths
        At least two rows; as for `select`.
    k : int or float, optional
        Picks whose covering radius is given; as for `select`. Default: 1,000, or half of fewer than 2,000
        rows.
    near : float, optional
        What counts as near. Default: a quarter of `nearest_neighbour`.
    sample : int
        Rows that medians, the share of near-duplicates and the intrinsic dimension are estimated from; of
        fewer rows, all. `h_min` is that of all rows.
    seed : int
        For the sample.
    backend, threads, memory_limit, spill_folder
        As for `select`. The limit is that of the closest pair and of the selection; the sample's distances
        take ``8 sample^2`` bytes beside it.

    Returns
    -------
    Uniformity
        Numbers, which print as a summary.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Costs what `h_min` does, n^2 d / 2 multiply-adds, most of which are skipped, and a selection. The two-NN
    estimate (Facco et al., Scientific Reports 7, 2017) is made within the sample, so at its distances. For
    cosine distances give normalised rows: their squares are twice these.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((500, 3))
    >>> u = farpoint.uniformity(X / np.linalg.norm(X, axis=1, keepdims=True))
    >>> print(u)  # doctest: +ELLIPSIS
    rows x columns                       500 x 3
    h_min                                0.00...
    """
    sample, seed = check.check_sampling(sample, seed, least=3)
    near = check.check_min_distance(near, "near")
    matrix = host_matrix(X, "X")
    n, d = len(matrix), int(matrix.shape[1])
    computation: dict[str, Any] = {"backend": backend, "threads": threads}
    limits: dict[str, Any] = {"memory_limit": memory_limit, "spill_folder": spill_folder}
    pair = h_min(matrix, **computation, **limits)
    selection = select(matrix, min(_DEFAULT_PICKS, (n + 1) // 2) if k is None else k, **computation, **limits)

    rows = np.sort(np.random.default_rng(seed).choice(n, min(n, sample), replace=False))
    to_nearest = nearest_others(matrix, rows, metric="euclidean", **computation).distances
    among: FloatArray = pairwise_distances(rows_of(matrix, rows), **computation)
    typical = float(np.median(among[np.triu_indices(len(rows), 1)]))
    median = float(np.median(to_nearest))
    threshold = _NEAR * median if near is None else near
    dimension = _two_nn(among, _DUPLICATE * median)
    norms = _Norms(matrix)
    return Uniformity(
        n=n,
        d=d,
        h_min=pair.value,
        pair=(pair.i, pair.j),
        sampled=len(rows),
        nearest_neighbour=median,
        typical_distance=typical,
        near_duplicates=float(np.mean(to_nearest <= threshold)),
        intrinsic_dimension=dimension,
        near=threshold,
        k=len(selection),
        covering_radius=selection.covering_radius,
        selected_h_min=selection.h_min,
        normalised=norms.equal and d > 1,
        expected_h_min=_expected(n, d, norms),
        expected_h_min_intrinsic=_expected_from_neighbours(n, dimension, median),
    )


def _two_nn(distances: FloatArray, duplicate: float) -> float:
    """Return the intrinsic dimension that the nearest two neighbours of each row tell of.

    The ratio of their distances has the distribution function ``1 - ratio^-dimension`` where points are
    locally uniform. A line through the origin is fitted to its logarithm, without the largest ratios, and
    without rows that have another within `duplicate`, for these are not.
    """
    count = len(distances)
    if count < 3:
        return math.nan
    two = np.sort(np.partition(distances + np.diag(np.full(count, np.inf)), 1, axis=1)[:, :2], axis=1)
    two = two[two[:, 0] > duplicate]
    logarithms = np.sort(np.log(two[:, 1] / two[:, 0]))
    kept = int(_TWO_NN_KEPT * len(logarithms))
    x = logarithms[:kept]
    y = -np.log1p(-np.arange(1, kept + 1) / max(1, len(logarithms)))
    return float(x @ y / (x @ x)) if x.any() else math.nan


class _Norms:
    """Lengths of rows: whether all are the same, and the root-mean-square distance to the mean row."""

    def __init__(self, X: npt.NDArray[Any] | PartedMatrix) -> None:
        step = max(1, (1 << 22) // X.shape[1])
        total, squares = np.zeros(X.shape[1]), 0.0
        least, most = math.inf, 0.0
        for begin in range(0, len(X), step):
            block = X[begin : begin + step].astype(np.float64)
            lengths = np.sqrt((block * block).sum(axis=1))
            least, most = min(least, float(lengths.min())), max(most, float(lengths.max()))
            total += block.sum(axis=0)
            squares += float((lengths * lengths).sum())
        self.typical = (least + most) / 2
        self.equal = most > 0 and most - least <= _UNIT_TOLERANCE * most
        mean = total / len(X)
        self.spread = math.sqrt(max(0.0, squares / len(X) - float(mean @ mean)))


def _expected(n: int, d: int, norms: _Norms) -> float:
    if norms.equal and d > 1:
        return theory.expected_h_min(n, d, domain="sphere", scale=norms.typical)
    # Points of the unit ball are at a root-mean-square distance of sqrt(d / (d + 2)) from its centre.
    radius = norms.spread * math.sqrt((d + 2) / d)
    return theory.expected_h_min(n, d, scale=radius) if radius > 0 else 0.0


def _expected_from_neighbours(n: int, dimension: float, median: float) -> float:
    """Return the expected h_min of points so dense that the median distance to the nearest other is this.

    With c r^dimension the number of points within r of one, the median solves c r^dimension = log 2, and the
    number of pairs within r is n c r^dimension / 2.
    """
    if not dimension > 0:
        return math.nan
    expected: float = median * (2 / (n * math.log(2))) ** (1 / dimension) * math.gamma(1 + 1 / dimension)
    return expected
