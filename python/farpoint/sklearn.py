"""For scikit-learn: selectors of rows, with the interface of `skmatter.sample_selection.FPS`.

>>> from farpoint.sklearn import FarthestPointSelector
>>> X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
>>> FarthestPointSelector(n_to_select=3).fit(X).selected_idx_
array([0, 2, 3])
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

import farpoint

__all__ = ["FarthestPointResampler", "FarthestPointSelector"]

IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Rows of `initialize` whose distances to those before them are computed at a time.
_BLOCK_ROWS = 1024


class _RowSelector(BaseEstimator):  # type: ignore[misc]
    """What both selectors are but for the method of pipelines, of which each can have one only."""

    selected_idx_: IndexArray
    support_: npt.NDArray[np.bool_]
    hausdorff_: FloatArray
    hausdorff_at_select_: FloatArray
    selection_: farpoint.Selection
    _n_initial: int

    def __init__(
        self,
        initialize: int | list[int] | npt.NDArray[Any] | str = 0,
        n_to_select: int | float | None = None,
        score_threshold: float | None = None,
        score_threshold_type: str = "absolute",
        progress_bar: bool = False,
        full: bool = False,
        random_state: Any = 0,
        *,
        metric: str = "sqeuclidean",
        backend: str = "auto",
        threads: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        self.initialize = initialize
        self.n_to_select = n_to_select
        self.score_threshold = score_threshold
        self.score_threshold_type = score_threshold_type
        self.progress_bar = progress_bar
        self.full = full
        self.random_state = random_state
        self.metric = metric
        self.backend = backend
        self.threads = threads
        self.memory_limit = memory_limit

    def fit(self, X: Any, y: Any = None, warm_start: bool = False) -> _RowSelector:
        """Select rows.

        Parameters
        ----------
        X : (n, d) array_like
            Without NaN and infinities. Sparse matrices are refused.
        y : (n,) or (n, outputs) array_like, optional
            Targets, which decide nothing.
        warm_start : bool
            Go on from the selection of an earlier fit to the same X, after `n_to_select` was raised.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            With the parameter, or the place in X, and what is wrong with it.
        """
        # Finiteness is checked by farpoint, which names the row and the column.
        options: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False}
        if y is None:
            X = validate_data(self, X, **options)
        else:
            X, y = validate_data(self, X, y, multi_output=True, **options)
        self._check_parameters()
        n = len(X)
        if not warm_start:
            initial = self._initial_rows(n)
        elif hasattr(self, "selected_idx_"):
            initial = self.selected_idx_[: self._n_initial]
        else:
            raise ValueError("warm_start=True goes on from an earlier fit, and there was none")
        if warm_start and self.metric != self.selection_.metric:
            raise ValueError(
                f"warm_start=True goes on with the metric of the earlier fit, {self.selection_.metric!r}, "
                f"not {self.metric!r}"
            )
        count = self._count(n)
        if len(initial) > count:
            raise ValueError(f"initialize names {len(initial)} rows, more than n_to_select = {count}")
        self.selection_ = self._selected(X, initial, count, warm_start)
        self._n_initial = len(initial)
        self._describe(X, y, initial)
        return self

    def get_support(self, indices: bool = False, ordered: bool = False) -> npt.NDArray[Any]:
        """Return which rows are selected.

        Parameters
        ----------
        indices : bool
            Their numbers instead of a mask.
        ordered : bool
            In the order of selection; otherwise numbers rise.

        Returns
        -------
        (n,) bool array, or (k,) int64 array
        """
        check_is_fitted(self)
        if not indices:
            return self.support_
        return self.selected_idx_ if ordered else np.sort(self.selected_idx_)

    def get_distance(self) -> FloatArray:
        """Return `hausdorff_`: each row's distance to its nearest selected row.

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        return self.hausdorff_

    def get_select_distance(self) -> FloatArray:
        """Return each selected row's distance to the nearest one selected before it.

        Returns
        -------
        (k,) float64 array
            In the order of selection; the first is infinite.
        """
        check_is_fitted(self)
        distances: FloatArray = self.hausdorff_at_select_[self.selected_idx_]
        return distances

    def _check_parameters(self) -> None:
        if self.score_threshold_type not in ("absolute", "relative"):
            raise ValueError(
                f'score_threshold_type must be "absolute" or "relative", not {self.score_threshold_type!r}'
            )
        threshold: object = self.score_threshold
        if threshold is None:
            return
        if not isinstance(threshold, (int, float, np.integer, np.floating)) or not threshold >= 0:
            raise ValueError(f"score_threshold must be None or a number of at least 0, not {threshold!r}")
        if self.full:
            raise ValueError("score_threshold and full=True exclude each other: full selects below it too")

    def _initial_rows(self, n: int) -> IndexArray:
        if isinstance(self.initialize, str) and self.initialize == "random":
            return np.array([check_random_state(self.random_state).randint(n)], dtype=np.int64)
        rows = np.atleast_1d(np.asarray(self.initialize))
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or not len(rows):
            raise ValueError(
                f'initialize must be a row number, several, or "random", not {self.initialize!r}'
            )
        outside = (rows < 0) | (rows >= n)
        if outside.any():
            raise ValueError(f"initialize names row {rows[np.argmax(outside)]}; rows are 0 to {n - 1}")
        if len(np.unique(rows)) != len(rows):
            raise ValueError(f"initialize names a row more than once: {self.initialize!r}")
        return rows.astype(np.int64)

    def _count(self, n: int) -> int:
        """Return how many rows to select, those of `initialize` included."""
        wanted: object = self.n_to_select
        if wanted is None:
            return max(1, n // 2)
        if isinstance(wanted, (int, np.integer)) and wanted is not True and 1 <= wanted <= n:
            return int(wanted)
        if isinstance(wanted, (float, np.floating)) and 0 < wanted <= 1:
            return max(1, int(n * wanted))
        raise ValueError(
            f"n_to_select must be None, a count from 1 to {n} (the rows of X), or a fraction as a float in "
            f"(0, 1], not {wanted!r}"
        )

    def _selected(
        self, X: npt.NDArray[Any], initial: IndexArray, count: int, warm_start: bool
    ) -> farpoint.Selection:
        """Return the selection: from a single initial row on, or of what comes after several."""
        options: dict[str, Any] = {
            "backend": self.backend,
            "threads": self.threads,
            "memory_limit": self.memory_limit,
        }
        kept = initial if len(initial) > 1 else None
        threshold = self.score_threshold
        if threshold is not None and self.score_threshold_type == "relative" and len(initial) < len(X):
            first = farpoint.select(X, 1, selected=initial, metric=self.metric, **options)
            threshold = threshold * float(first.radii[0])
        wanted: int | None = count if kept is None else count - len(initial)
        if wanted == 0:
            # Nothing is that far: no picks, but each row's distance to what was named.
            wanted, threshold = None, math.inf
        options |= {
            "selected": kept,
            "min_distance": threshold,
            "assign": True,
            "progress": bool(self.progress_bar),
        }
        if warm_start:
            return farpoint.extend(self.selection_, X, wanted, **options)
        start = int(initial[0]) if kept is None else 0
        return farpoint.select(X, wanted, metric=self.metric, start=start, **options)

    def _describe(self, X: npt.NDArray[Any], y: npt.NDArray[Any] | None, initial: IndexArray) -> None:
        """Set the attributes that follow from the selection."""
        rows, radii = self.selection_.indices, self.selection_.radii
        if len(initial) > 1:
            rows = np.concatenate((initial, rows))
            radii = np.concatenate((self._distances_to_earlier(X[initial]), radii))
        self.selected_idx_ = rows.copy()
        self.n_selected_ = len(rows)
        self.n_samples_in_ = len(X)
        self.support_ = np.zeros(len(X), dtype=bool)
        self.support_[rows] = True
        self.X_selected_ = X[rows]
        if y is not None:
            self.y_selected_ = y[rows].reshape(len(rows), -1)
        elif hasattr(self, "y_selected_"):
            del self.y_selected_
        assert self.selection_.distances is not None
        self.hausdorff_ = self.selection_.distances.copy()
        self.hausdorff_at_select_ = np.full(len(X), np.inf)
        self.hausdorff_at_select_[rows] = radii

    def _distances_to_earlier(self, points: npt.NDArray[Any]) -> FloatArray:
        """Return each row's distance to the nearest of the rows before it."""
        found = np.full(len(points), np.inf)
        for begin in range(1, len(points), _BLOCK_ROWS):
            end = min(begin + _BLOCK_ROWS, len(points))
            distances = farpoint.pairwise_distances(points[begin:end], points[:end], metric=self.metric)
            distances[np.arange(end) >= np.arange(begin, end)[:, None]] = np.inf
            found[begin:end] = distances.min(axis=1)
        return found


class FarthestPointSelector(_RowSelector):
    """Select the rows of X that are farthest from each other, one after the other.

    Parameters and attributes are those of scikit-matter's ``FPS`` for samples; docs/drop-ins.md says what
    differs. There is no ``transform``, for a choice of rows of one matrix says nothing about another: in a
    pipeline this is the last step, and selects from what those before it make of X. For other steps after it
    see `FarthestPointResampler`.

    Parameters
    ----------
    initialize : int, list of int or "random"
        The first pick, or several of them in their order.
    n_to_select : int or float, optional
        How many rows, those of `initialize` included: a count, or a fraction of the rows as a float in
        (0, 1], rounded down but at least one. Default: half of them.
    score_threshold : float, optional
        Stop before a pick whose score, its distance in `metric` to the nearest pick before it, is below this.
    score_threshold_type : {"absolute", "relative"}
        "relative": the threshold is this share of the score of the first pick after `initialize`.
    progress_bar : bool
        Show one (needs tqdm).
    full : bool
        Without effect: all rows can be selected, duplicates last and in their order. As in scikit-matter
        it excludes `score_threshold`.
    random_state : int, numpy.random.RandomState or None
        For ``initialize="random"``.
    metric : {"sqeuclidean", "euclidean", "cosine", "manhattan", "chebyshev"}
        What scores are measured in. "sqeuclidean" and "euclidean" select the same rows.
    backend, threads, memory_limit
        As for `farpoint.select`.

    Attributes
    ----------
    selected_idx_ : (k,) int64 array
        Row numbers in the order of selection.
    X_selected_ : (k, d) array
        The rows, in that order.
    y_selected_ : (k, outputs) array
        Their targets, if there were any.
    n_selected_ : int
    support_ : (n,) bool array
        Which rows are selected.
    hausdorff_ : (n,) float64 array
        Each row's distance in `metric` to its nearest selected row.
    hausdorff_at_select_ : (n,) float64 array
        What it was when the row was selected; infinite for the first, and for rows that are not selected.
    selection_ : farpoint.Selection
        With `h_min` and `upper_bound`: the whole selection, or that of the picks after `initialize` where
        this names several rows.
    n_features_in_, n_samples_in_ : int
    feature_names_in_ : array of str
        Where X has column names.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
    >>> selector = FarthestPointSelector(n_to_select=0.75, initialize=1).fit(X)
    >>> selector.selected_idx_, selector.get_select_distance()
    (array([1, 2, 3]), array([inf, 81., 37.]))
    >>> selector.selection_.h_min
    37.0
    """

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Select rows, and return them.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) or (n, outputs) array_like, optional
            As for `fit`.

        Returns
        -------
        (k, d) array, data frame or list
            Rows of X in the order of selection, in a container of the kind that X is.
        """
        return _safe_indexing(X, self.fit(X, y).selected_idx_)


class FarthestPointResampler(_RowSelector):
    """`FarthestPointSelector` for imbalanced-learn: what follows in a pipeline is fitted to the selection.

    Parameters and attributes are those of `FarthestPointSelector`; ``sample_indices_``, imbalanced-learn's
    name, is `selected_idx_`.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [10.0]]), np.array(["a", "b", "c"])
    >>> FarthestPointResampler(n_to_select=2).fit_resample(X, y)
    (array([[ 0.],
           [10.]]), array(['a', 'c'], dtype='<U1'))
    """

    @property
    def sample_indices_(self) -> IndexArray:
        """Row numbers in the order of selection."""
        check_is_fitted(self)
        return self.selected_idx_

    def fit_resample(self, X: Any, y: Any = None) -> tuple[Any, Any]:
        """Select rows, and return them with their targets, as imbalanced-learn's samplers do.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) or (n, outputs) array_like, optional
            As for `fit`.

        Returns
        -------
        X, y : arrays, data frames or lists
            In the order of selection, in containers of the kind that were given; None without `y`.
        """
        rows = self.fit(X, y).selected_idx_
        return _safe_indexing(X, rows), None if y is None else _safe_indexing(y, rows)
