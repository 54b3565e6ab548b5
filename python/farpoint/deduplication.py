"""Near-duplicates: the rows that can be kept at a distance from each other, and which stands for which."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint import _validation as check
from farpoint._api import select
from farpoint._progress import Progress
from farpoint._read_only import ReadOnlyArrays

# The least number above 0: every positive distance is at least this.
_ABOVE_ZERO = float(np.nextafter(0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Deduplication(ReadOnlyArrays):
    """Which rows of a matrix are kept, and which kept row each dropped one is nearest to.

    Attributes
    ----------
    kept : (k,) int64 array
        Row numbers, rising: ``X[kept]`` is X without its near-duplicates. No two are nearer to each other
        than `distance`.
    representatives : (n,) int64 array
        The kept row that is nearest to each row; a kept row's is itself.
    distances : (n,) float64 array
        Distance of each row to its representative: below `distance`, or 0.
    distance : float
        What was asked for.
    metric : str
        The metric that distances are in.
    info : dict
        As `Selection.info`.

    Examples
    --------
    >>> farpoint.deduplicate([[0.0], [0.1], [5.0], [5.0]], 0.5)
    Deduplication(kept=2, dropped=2, distance=0.5, metric='euclidean')
    """

    kept: npt.NDArray[np.int64]
    representatives: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]
    distance: float
    metric: str = "euclidean"
    info: dict[str, Any] = field(default_factory=dict)

    _ARRAYS = ("kept", "representatives", "distances")

    @property
    def dropped(self) -> npt.NDArray[np.int64]:
        """The rows that are not kept, rising."""
        return np.flatnonzero(self.representatives != np.arange(len(self.representatives)))

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return len(self.kept)

    def __repr__(self) -> str:
        return (
            f"Deduplication(kept={len(self)}, dropped={len(self.representatives) - len(self)}, "
            f"distance={self.distance:.6g}, metric={self.metric!r})"
        )


def deduplicate(
    X: Any,
    distance: float,
    *,
    metric: str = "euclidean",
    backend: str = "auto",
    device: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    progress: Progress = False,
) -> Deduplication:
    """Drop near-duplicates: rows nearer than a distance to a row that is kept.

    Parameters
    ----------
    X : (n, d) array_like, or paths
        As for `select`.
    distance : float
        Kept rows are at least this far from each other, and every other row is nearer than this to one of
        them. 0 drops only rows at distance 0 from another: exact duplicates (for cosine, of its direction).
    metric, backend, device, threads, memory_limit, spill_folder
        As for `select`.
    progress : bool or callable
        As for `select`; how many rows will be kept is not known before the end.

    Returns
    -------
    Deduplication
        `kept`, `representatives`, `distances` and more.

    Raises
    ------
    ValueError, TypeError
        `distance` is not a finite number of at least 0; and as for `select`.

    Notes
    -----
    The rows are those of ``select(X, min_distance=distance)``, farthest first from row 0. Of exact duplicates
    the first is kept. Going through the rows in order and keeping what is far enough from those before would
    leave gaps elsewhere; either way none can be added. Unlike clusters of near pairs, which can be chained
    from row to row over any length, a dropped row is always within `distance` of what stands for it.

    Costs what that selection costs, which is most where most rows are kept.

    Examples
    --------
    >>> X = np.array([[0.0], [5.0], [0.1], [5.0], [5.2]])
    >>> d = farpoint.deduplicate(X, 0.15)
    >>> d.kept
    array([0, 1, 4])
    >>> d.representatives
    array([0, 1, 0, 1, 4])
    >>> farpoint.deduplicate(X, 0).dropped
    array([3])
    """
    least = check.check_distance(distance)
    found = select(
        X,
        metric=metric,
        min_distance=max(least, _ABOVE_ZERO),
        assign=True,
        backend=backend,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        spill_folder=spill_folder,
        progress=progress,
    )
    assert found.labels is not None
    assert found.distances is not None
    return Deduplication(
        kept=np.sort(found.indices),
        representatives=found.indices[found.labels],
        distances=found.distances,
        distance=least,
        metric=metric,
        info=found.info,
    )
