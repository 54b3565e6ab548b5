"""Ways to choose a half of a pool by its embeddings, and the pool itself.

all             no choice
farthest        farthest-first
own             farthest-first, by the embeddings of a model that has learned the pool
random          drawn, several times
nearest         those whose nearest other record is nearest: the smallest distances
per cluster     half of each cluster of k-means, drawn
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

import farpoint
from studies.uniformity.entries import FloatArray, IntArray

_CLUSTERS = 50
_ROWS_AT_A_TIME = 1000


@dataclass(frozen=True)
class Chosen:
    """Records that a model is trained on, the way they were chosen, and what to seed the model with."""

    way: str
    rows: IntArray
    h_min: float
    seed: int

    def record(self) -> dict[str, Any]:
        """Return what is told of it."""
        return {"way": self.way, "seed": self.seed, "records": len(self.rows), "h_min": self.h_min}


def choose(X: FloatArray, models: int, draws: int, own: FloatArray | None = None) -> list[Chosen]:
    """Choose in every way: `models` seeds of each, of random halves `draws`, each with its own seed.

    Seeds count from 0 in every way, so that no way is lucky with the models' first weights.
    """
    half = len(X) // 2
    ways = [("all", np.arange(len(X))), ("farthest", farpoint.select(X, half).indices)]
    if own is not None:
        ways.append(("own", farpoint.select(own, half).indices))
    ways += [("nearest", _nearest(X, half)), ("per cluster", _per_cluster(X))]
    chosen = [(way, rows, range(models)) for way, rows in ways]
    for draw in range(draws):
        rows = np.random.default_rng((draw, 1)).choice(len(X), half, replace=False)
        chosen.append(("random", rows, range(draw, draw + 1)))
    return [
        Chosen(way, rows, h_min, seed)
        for way, rows, seeds in chosen
        for h_min in (float(farpoint.h_min(X[rows]).value),)
        for seed in seeds
    ]


def _nearest(X: FloatArray, half: int) -> IntArray:
    to_nearest = np.empty(len(X))
    for rows in np.array_split(np.arange(len(X)), -(-len(X) // _ROWS_AT_A_TIME)):
        distances = farpoint.pairwise_distances(X[rows], X)
        distances[np.arange(len(rows)), rows] = np.inf
        to_nearest[rows] = distances.min(axis=1)
    return np.argsort(to_nearest, kind="stable")[:half]


def _per_cluster(X: FloatArray) -> IntArray:
    labels = KMeans(_CLUSTERS, n_init=1, random_state=0).fit_predict(X)
    random = np.random.default_rng(2)
    parts = [random.permutation(np.flatnonzero(labels == label)) for label in range(_CLUSTERS)]
    return np.concatenate([part[: (len(part) + 1) // 2] for part in parts])
