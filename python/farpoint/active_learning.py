"""Active learning with the interface of google/active-learning: which rows to label next.

For scikit-activeml see `farpoint.skactiveml`.

>>> from farpoint.active_learning import KCenterGreedy
>>> X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
>>> KCenterGreedy(X, None, seed=0).select_batch_(model=None, already_selected=[0], N=2)
[2, 3]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint

__all__ = ["KCenterGreedy"]


class KCenterGreedy:
    """Choose rows to label, each the farthest from what has labels or was chosen (Sener and Savarese, 2018).

    With the constructor and methods of ``kCenterGreedy`` in google/active-learning; docs/drop-ins.md says
    what differs.

    Parameters
    ----------
    X : (n, ...) array
        One row an item.
    y : ignored
        Labels decide nothing.
    seed : int, optional
        For the first row, where none has a label yet.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"}
    **options
        As for `farpoint.select`: `threads`, `progress`, `memory_limit`, ...

    Attributes
    ----------
    features : (n, d) array
        What the last batch was chosen by.
    already_selected : list of int
        What the last batch was kept away from.
    selection : farpoint.Selection
        The last batch, with its radii.

    Examples
    --------
    >>> strategy = KCenterGreedy(np.array([[0.0], [1.0], [5.0], [9.0]]), None, seed=0)
    >>> strategy.select_batch(model=None, already_selected=[3], N=2)
    [0, 2]
    """

    name = "kcenter"

    def __init__(
        self, X: npt.NDArray[Any], y: Any, seed: int | None, metric: str = "euclidean", **options: Any
    ) -> None:
        self.X = X
        self.y = y
        self.seed = seed
        self.metric = metric
        self.flat_X = self.features = _flat(X)
        self.n_obs = len(X)
        self.already_selected: list[int] = []
        self._options = options

    def select_batch(self, **arguments: Any) -> list[int]:
        """Choose rows: `select_batch_` with its arguments by name.

        Parameters
        ----------
        **arguments
            Those of `select_batch_`.

        Returns
        -------
        list of int
        """
        return self.select_batch_(**arguments)

    def select_batch_(
        self,
        model: Any,
        already_selected: npt.ArrayLike,
        N: int,
        **_others: Any,
    ) -> list[int]:
        """Choose rows.

        Parameters
        ----------
        model : object
            If it has a method `transform`, distances are those of ``model.transform(X)``.
        already_selected : (s,) array_like of int
            Rows that have labels.
        N : int
            How many rows to choose.
        **_others
            What other strategies take; ignored.

        Returns
        -------
        list of int
            In the order of selection; none is in `already_selected`.

        Raises
        ------
        ValueError, TypeError
            With the argument and what is wrong with it.
        """
        self.features = _flat(model.transform(self.X)) if hasattr(model, "transform") else self.flat_X
        labeled: list[int] = np.asarray(already_selected).tolist()
        where: dict[str, Any] = {"selected": labeled} if labeled else {"start": "random", "seed": self.seed}
        if N == 0:
            return []
        self.selection = farpoint.select(self.features, N, metric=self.metric, **where, **self._options)
        self.already_selected = labeled
        picks: list[int] = self.selection.indices.tolist()
        return picks


def _flat(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return X.reshape(len(X), -1) if X.ndim > 2 else X
