"""The peers, each as its own users run it, on the same float32 rows and from the same first pick.

A loop is given a time limit and makes as many of the first picks as fit: its cost a pick is constant, so its
time for all k is that cost times k. A peer that cannot be stopped gets a number of picks that fits, from
a small pilot.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
_PILOT_PICKS = 20


@dataclass(frozen=True)
class Picks:
    """What a peer did in the time that it was given."""

    indices: npt.NDArray[np.int64]
    seconds: float

    @property
    def seconds_a_pick(self) -> float:
        """The constant cost of a pick."""
        return self.seconds / len(self.indices)


Selector = Callable[[Matrix, int, float], Picks]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give numpy, torch, faiss and scikit-learn so many threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count):
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(count)
        if "faiss" in sys.modules:
            sys.modules["faiss"].omp_set_num_threads(count)
        yield


def numpy_loop(X: Matrix, k: int, limit: float) -> Picks:
    """One matrix-vector product a pick, norms precomputed, nothing allocated in the loop."""
    began = time.perf_counter()
    norms = np.einsum("ij,ij->i", X, X)
    nearest = np.full(len(X), np.inf, dtype=np.float32)
    squares = np.empty_like(nearest)
    indices = [0]
    while True:
        row = indices[-1]
        np.dot(X, X[row], out=squares)
        np.multiply(squares, -2, out=squares)
        np.add(squares, norms, out=squares)
        np.add(squares, norms[row], out=squares)
        np.minimum(nearest, squares, out=nearest)
        if len(indices) == k or time.perf_counter() - began > limit:
            return Picks(np.array(indices), time.perf_counter() - began)
        indices.append(int(np.argmax(nearest)))


def difference_loop(X: Matrix, k: int, limit: float, metric: str) -> Picks:
    """The absolute differences of all rows from the pick, and their sums or maxima; one thread."""
    began = time.perf_counter()
    nearest = np.full(len(X), np.inf, dtype=np.float32)
    differences, distances = np.empty_like(X), np.empty_like(nearest)
    indices = [0]
    while True:
        np.subtract(X, X[indices[-1]], out=differences)
        np.abs(differences, out=differences)
        if metric == "manhattan":
            differences.sum(axis=1, out=distances)
        else:
            differences.max(axis=1, out=distances)
        np.minimum(nearest, distances, out=nearest)
        if len(indices) == k or time.perf_counter() - began > limit:
            return Picks(np.array(indices), time.perf_counter() - began)
        indices.append(int(np.argmax(nearest)))


def cdist_loop(X: Matrix, k: int, limit: float, metric: str) -> Picks:
    """SciPy's distances of all rows to the pick, in float64, which it computes in; one thread."""
    from scipy.spatial.distance import cdist

    rows = X.astype(np.float64)
    name = {"manhattan": "cityblock"}.get(metric, metric)
    began = time.perf_counter()
    nearest = np.full(len(X), np.inf)
    indices = [0]
    while True:
        row = indices[-1]
        np.minimum(nearest, cdist(rows[row : row + 1], rows, name)[0], out=nearest)
        if len(indices) == k or time.perf_counter() - began > limit:
            return Picks(np.array(indices), time.perf_counter() - began)
        indices.append(int(np.argmax(nearest)))


def numpy_loop_in_blocks(X: npt.NDArray[Any], k: int, limit: float, rows: int = 65_536) -> Picks:
    """The numpy loop where the rows cannot all be float32 in memory: converted in blocks, each pick."""
    began = time.perf_counter()
    n = len(X)
    blocks = [slice(begin, min(begin + rows, n)) for begin in range(0, n, rows)]
    norms = np.empty(n, dtype=np.float32)
    for block in blocks:
        x = X[block].astype(np.float32)
        norms[block] = np.einsum("ij,ij->i", x, x)
    nearest = np.full(n, np.inf, dtype=np.float32)
    indices = [0]
    while True:
        row = indices[-1]
        y = X[row].astype(np.float32)
        for block in blocks:
            squares = X[block].astype(np.float32) @ y
            squares *= -2
            squares += norms[block]
            squares += norms[row]
            np.minimum(nearest[block], squares, out=nearest[block])
        if len(indices) == k or time.perf_counter() - began > limit:
            return Picks(np.array(indices), time.perf_counter() - began)
        indices.append(int(np.argmax(nearest)))


def torch_loop(X: Matrix, k: int, limit: float, start: int = 0) -> Picks:
    """As anomalib's KCenterGreedy: pairwise_distance, minimum, argmax a pick; without its projection."""
    import torch
    from torch.nn import functional

    features = torch.from_numpy(X)
    began = time.perf_counter()
    indices = [start]
    nearest: Any = None
    with torch.no_grad():
        while True:
            distances = functional.pairwise_distance(features, features[[indices[-1]]], p=2).reshape(-1, 1)
            nearest = distances if nearest is None else torch.minimum(nearest, distances)
            if len(indices) == k or time.perf_counter() - began > limit:
                return Picks(np.array(indices), time.perf_counter() - began)
            indices.append(int(torch.argmax(nearest).item()))


def fpsample_vanilla(X: Matrix, k: int, limit: float) -> Picks:
    """fpsample.fps_sampling, the variant for any dimension."""
    import fpsample

    return _piloted(lambda picks: fpsample.fps_sampling(X, picks, start_idx=0), k, limit)


def fpsample_buckets(X: Matrix, k: int, height: int | None) -> Picks:
    """fpsample.bucket_fps_kdline_sampling of a height, or without one bucket_fps_kdtree_sampling.

    Both take start_idx for a position in their tree's order, not for a row: the first pick says where they
    started.
    """
    import fpsample

    began = time.perf_counter()
    if height is None:
        indices = fpsample.bucket_fps_kdtree_sampling(X, k, start_idx=0)
    else:
        indices = fpsample.bucket_fps_kdline_sampling(X, k, height, start_idx=0)
    return Picks(np.asarray(indices).astype(np.int64), time.perf_counter() - began)


BUCKETS: dict[str, Callable[[Matrix, int], Picks]] = {
    **{
        f"fpsample.bucket_fps_kdline_sampling, h = {height}": partial(fpsample_buckets, height=height)
        for height in (5, 7, 9)
    },
    "fpsample.bucket_fps_kdtree_sampling": partial(fpsample_buckets, height=None),
}


def skmatter_fps(X: Matrix, k: int, limit: float) -> Picks:
    """skmatter.sample_selection.FPS."""
    from skmatter.sample_selection import FPS

    return _piloted(lambda picks: FPS(n_to_select=picks, initialize=0).fit(X).selected_idx_, k, limit)


def _piloted(select: Callable[[int], Any], k: int, limit: float) -> Picks:
    pilot = min(_PILOT_PICKS, k)
    began = time.perf_counter()
    select(pilot)
    a_pick = (time.perf_counter() - began) / pilot
    picks = int(np.clip(limit / a_pick, pilot, k))
    began = time.perf_counter()
    indices = np.asarray(select(picks)).astype(np.int64)
    return Picks(indices, time.perf_counter() - began)


def sklearn_nearest(X: Matrix, Y: Matrix) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """sklearn.metrics.pairwise_distances_argmin_min."""
    from sklearn.metrics import pairwise_distances_argmin_min

    indices, distances = pairwise_distances_argmin_min(X, Y)
    return distances, indices


def faiss_nearest(X: Matrix, Y: Matrix, neighbours: int = 1) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """faiss.IndexFlatL2; column `neighbours` - 1 of its result."""
    import faiss

    index = faiss.IndexFlatL2(Y.shape[1])
    index.add(Y)
    squares, indices = index.search(X, neighbours)
    return np.sqrt(squares[:, -1]), indices[:, -1]


SELECTORS: dict[str, Selector] = {
    "numpy loop": numpy_loop,
    "torch loop (anomalib)": torch_loop,
    "fpsample.fps_sampling": fpsample_vanilla,
    "skmatter FPS": skmatter_fps,
}
