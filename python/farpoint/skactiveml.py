"""For scikit-activeml: the core-set query strategy, exact.

>>> from farpoint.skactiveml import CoreSet
>>> X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
>>> y = np.array([1.0, np.nan, np.nan, np.nan])
>>> CoreSet().query(X, y, batch_size=2)
array([2, 3])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skactiveml.base import SingleAnnotatorPoolQueryStrategy
from skactiveml.utils import MISSING_LABEL, is_labeled, rand_argmax

import farpoint

__all__ = ["CoreSet"]

IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class CoreSet(SingleAnnotatorPoolQueryStrategy):  # type: ignore[misc]
    """Query the samples that are farthest from the labeled ones, one after the other (k-center greedy).

    With the interface of `skactiveml.pool.CoreSet`. Ties go to the first candidate instead of a random one.

    Parameters
    ----------
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"}
    missing_label : scalar, str, np.nan or None
        What stands for a label that is missing.
    random_state : int, numpy.random.RandomState or None
        For the first sample, where none has a label.
    backend, threads, memory_limit
        As for `farpoint.select`.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> CoreSet().query(X, [np.nan, np.nan, np.nan, 0.0], batch_size=2, return_utilities=True)
    (array([0, 2]), array([[ 9.,  8.,  4., nan],
           [nan,  1.,  4., nan]]))
    """

    def __init__(
        self,
        metric: str = "euclidean",
        missing_label: Any = MISSING_LABEL,
        random_state: Any = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        super().__init__(missing_label=missing_label, random_state=random_state)
        self.metric = metric
        self.backend = backend
        self.threads = threads
        self.memory_limit = memory_limit

    def query(
        self,
        X: Any,
        y: Any,
        candidates: Any = None,
        batch_size: int = 1,
        return_utilities: bool = False,
    ) -> Any:
        """Say which samples to label next.

        Parameters
        ----------
        X : (n, d) array_like
            All samples.
        y : (n,) array_like
            Their labels, `missing_label` where there is none.
        candidates : (c,) array_like of int or (c, d) array_like, optional
            Which samples of X may be chosen, or others from which to choose. Default: those without a label.
        batch_size : int
            How many to choose.
        return_utilities : bool
            Also return what they were chosen by. Takes batch_size x n numbers.

        Returns
        -------
        query_indices : (batch_size,) int64 array
            Rows of X, or of `candidates` where these are samples, in the order of selection.
        utilities : (batch_size, n or c) float64 array
            With `return_utilities`: before each choice, how far each candidate was from the nearest sample
            that had a label or had been chosen (0 where there was none); NaN for what was no candidate.

        Raises
        ------
        ValueError, TypeError
            With the argument and what is wrong with it.
        """
        X, y, candidates, batch_size, return_utilities = self._validate_data(
            X, y, candidates, batch_size, return_utilities, reset=True
        )
        points, rows = self._transform_candidates(candidates, X, y)
        has_label = is_labeled(y, missing_label=self.missing_label_)
        size = len(points)
        if rows is None:
            rows = np.arange(size)
        else:
            size = len(X)
            rows = rows[~has_label[rows]]
            points = X[rows]
        if batch_size > len(rows):
            raise ValueError(f"batch_size = {batch_size}, but only {len(rows)} candidates have no label")
        labeled = X[has_label] if has_label.any() else None
        picks = self._picked(points, labeled, batch_size, rows, size)
        if not return_utilities:
            return rows[picks]
        utilities = np.full((batch_size, size), np.nan)
        utilities[:, rows] = self._distances(points, labeled, picks)
        return rows[picks], utilities

    def _picked(
        self, points: FloatArray, labeled: FloatArray | None, count: int, rows: IndexArray, size: int
    ) -> IndexArray:
        where: dict[str, Any] = {"anchors": labeled}
        if labeled is None:
            # Drawn as skactiveml.pool.CoreSet does, so that the same state gives the same sample.
            equal = np.full(size, np.nan)
            equal[rows] = 0.0
            drawn = rand_argmax(equal, random_state=self.random_state_)[0]
            where = {"start": int(np.flatnonzero(rows == drawn)[0])}
        found = farpoint.select(
            points,
            count,
            metric=self.metric,
            backend=self.backend,
            threads=self.threads,
            memory_limit=self.memory_limit,
            **where,
        )
        return found.indices

    def _distances(self, points: FloatArray, labeled: FloatArray | None, picks: IndexArray) -> FloatArray:
        """Return, before each pick, every point's distance to what came before; NaN for earlier picks."""
        options: dict[str, Any] = {"metric": self.metric, "backend": self.backend, "threads": self.threads}
        found = np.empty((len(picks), len(points)))
        nearest = np.full(len(points), np.inf)
        if labeled is not None:
            nearest = farpoint.nearest(points, labeled, **options).distances
        for step, pick in enumerate(picks):
            found[step] = nearest if step or labeled is not None else 0.0
            distances = farpoint.pairwise_distances(points, points[pick : pick + 1], **options)
            nearest = np.minimum(nearest, distances[:, 0])
            nearest[pick] = np.nan
        return found
