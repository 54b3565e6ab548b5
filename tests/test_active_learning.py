"""The query strategy with the interface of google/active-learning."""

from __future__ import annotations

import doctest
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import farpoint
import farpoint.active_learning
from farpoint.active_learning import KCenterGreedy

X = np.random.default_rng(3).standard_normal((200, 6))


def plain_loop(features: npt.NDArray[Any], labeled: list[int], count: int) -> list[int]:
    """What the strategy is defined by."""
    distances = np.linalg.norm(features[:, None] - features[labeled], axis=2).min(axis=1)
    picks = []
    for _ in range(count):
        picks.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(features - features[picks[-1]], axis=1))
    return picks


def test_examples_run() -> None:
    assert doctest.testmod(farpoint.active_learning, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("labeled", [[5], [0, 19, 7], list(range(60))], ids=len)
def test_the_rows_farthest_from_what_has_labels(labeled: list[int]) -> None:
    strategy = KCenterGreedy(X, None, seed=1)
    found = strategy.select_batch_(model=None, already_selected=labeled, N=25)
    assert found == plain_loop(X, labeled, 25)
    assert strategy.already_selected == labeled
    np.testing.assert_array_equal(strategy.selection.indices, found)
    # The next batch is kept away from this one too, and from nothing that an earlier call was told.
    assert strategy.select_batch(model=None, already_selected=np.array(found), N=9) == plain_loop(X, found, 9)


def test_without_labels_the_seed_decides() -> None:
    batches = [KCenterGreedy(X, None, seed=seed).select_batch_(None, [], 12) for seed in (0, 0, 1, 2, 3)]
    assert batches[0] == batches[1]
    assert len({batch[0] for batch in batches}) > 1
    for first, *rest in batches:
        assert rest == plain_loop(X, [first], 11)


def test_distances_are_those_of_the_model() -> None:
    model = SimpleNamespace(transform=lambda rows: rows.reshape(len(rows), -1)[:, :2] * [1.0, 5.0])
    images = X.reshape(200, 3, 2)
    strategy = KCenterGreedy(images, None, seed=0, threads=1)
    assert strategy.select_batch_(model, [4], 10) == plain_loop(model.transform(images), [4], 10)
    # One that has no transform, such as a classifier, leaves the rows as they are.
    assert strategy.select_batch_(object(), [4], 10) == plain_loop(X, [4], 10)


def test_metric() -> None:
    expected = farpoint.select(X, 8, metric="cosine", selected=[3]).indices.tolist()
    assert KCenterGreedy(X, None, 0, metric="cosine").select_batch_(None, [3], 8) == expected


def test_nothing_more_is_wanted() -> None:
    assert KCenterGreedy(X, None, seed=0).select_batch_(None, [1], 0) == []


def test_bad_input() -> None:
    strategy = KCenterGreedy(X, None, seed=0)
    with pytest.raises(ValueError, match="selected holds row 200; rows are 0 to 199"):
        strategy.select_batch_(None, [200], 1)
    with pytest.raises(ValueError, match="k = 200 is more than the 199 rows"):
        strategy.select_batch_(None, [1], 200)
    with pytest.raises(ValueError, match="unknown metric"):
        KCenterGreedy(X, None, 0, metric="l2").select_batch_(None, [1], 1)
