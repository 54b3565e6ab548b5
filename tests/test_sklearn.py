"""Selectors and query strategies for scikit-learn, beside scikit-matter's and scikit-activeml's."""

from __future__ import annotations

import doctest
import inspect
import pickle
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn", reason='needs "farpoint[sklearn]"')

from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import farpoint
import farpoint.sklearn
from farpoint.sklearn import FarthestPointResampler, FarthestPointSelector

Array = npt.NDArray[Any]

# Whole numbers: scikit-matter's norms and products are exact, and ties are many.
GRID = np.random.default_rng(5).integers(-9, 10, (90, 4)).astype(float)
CLOUD = np.random.default_rng(6).standard_normal((300, 7))
TARGETS = np.arange(90.0)


def scikit_matter(**parameters: Any) -> Any:
    sample_selection = pytest.importorskip("skmatter.sample_selection")
    return sample_selection.FPS(**parameters)


def test_examples_run() -> None:
    assert doctest.testmod(farpoint.sklearn, extraglobs={"np": np}).failed == 0


def estimator_checks() -> list[Any]:
    estimators = [FarthestPointSelector(), FarthestPointResampler("random", 0.3, metric="euclidean")]
    return [check for estimator in estimators for check in estimator_checks_generator(estimator)]


@pytest.mark.parametrize(
    "estimator, check",
    estimator_checks(),
    ids=lambda part: getattr(getattr(part, "func", None), "__name__", ""),
)
def test_estimator_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_constructor_begins_as_that_of_scikit_matter() -> None:
    theirs = inspect.signature(type(scikit_matter())).parameters
    ours = inspect.signature(FarthestPointSelector).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(ours)[len(theirs) :])


@pytest.mark.parametrize("X", [GRID, CLOUD, GRID.astype(np.float32)], ids=["grid", "cloud", "float32"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_to_select": 1},
        {"n_to_select": 40},
        {"n_to_select": 0.35},
        {"n_to_select": 1.0},
        {"initialize": 17},
        {"initialize": [11, 3, 29], "n_to_select": 30},
        {"initialize": np.array([5, 80])},
        {"initialize": "random"},
        {"initialize": "random", "random_state": 12},
        {"full": True},
    ],
    ids=str,
)
def test_the_same_rows_as_scikit_matter(X: Array, parameters: dict[str, Any]) -> None:
    if len(np.unique(X, axis=0)) < len(X) and parameters.get("n_to_select") == 1.0:
        X = np.unique(X, axis=0)  # it picks duplicates by rounding errors
    theirs = scikit_matter(**parameters).fit(X)
    ours = FarthestPointSelector(**parameters).fit(X)
    np.testing.assert_array_equal(ours.selected_idx_, theirs.selected_idx_)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_array_equal(ours.X_selected_, theirs.X_selected_)
    assert ours.n_selected_ == theirs.n_selected_
    assert (ours.n_samples_in_, ours.n_features_in_) == (theirs.n_samples_in_, theirs.n_features_in_)
    np.testing.assert_allclose(ours.get_select_distance(), theirs.get_select_distance(), rtol=1e-5)
    np.testing.assert_allclose(
        ours.hausdorff_at_select_[ours.selected_idx_],
        theirs.hausdorff_at_select_[ours.selected_idx_],
        rtol=1e-5,
    )
    # It marks what is selected by -inf.
    np.testing.assert_allclose(
        ours.get_distance(), np.maximum(theirs.get_distance(), 0), rtol=1e-5, atol=1e-4
    )
    for arguments in ({}, {"indices": True}, {"indices": True, "ordered": True}):
        np.testing.assert_array_equal(ours.get_support(**arguments), theirs.get_support(**arguments))


@pytest.mark.parametrize("targets", [TARGETS, np.stack((TARGETS, -TARGETS), axis=1)], ids=["1-D", "2-D"])
def test_targets_go_along(targets: Array) -> None:
    theirs, ours = scikit_matter().fit(GRID, targets), FarthestPointSelector().fit(GRID, targets)
    np.testing.assert_array_equal(ours.y_selected_, theirs.y_selected_)
    assert not hasattr(ours.fit(GRID), "y_selected_")


@pytest.mark.parametrize("kind, threshold", [("absolute", 60.0), ("absolute", 61.5), ("relative", 0.2)])
@pytest.mark.parametrize("initialize", [0, [4, 8]], ids=str)
def test_a_threshold_stops_where_scikit_matter_stops(kind: str, threshold: float, initialize: Any) -> None:
    parameters = {"n_to_select": 80, "initialize": initialize}
    parameters |= {"score_threshold": threshold, "score_threshold_type": kind}
    theirs, ours = scikit_matter(**parameters), FarthestPointSelector(**parameters).fit(GRID)
    with pytest.warns(UserWarning, match="Score threshold"):
        theirs.fit(GRID)
    np.testing.assert_array_equal(ours.X_selected_, theirs.X_selected_)
    assert ours.n_selected_ == theirs.n_selected_ < 80
    # Its list of rows lacks as many at the end as `initialize` names.
    lost = theirs.n_selected_ - len(theirs.selected_idx_)
    assert lost == np.size(initialize)
    np.testing.assert_array_equal(ours.selected_idx_[:-lost], theirs.selected_idx_)
    np.testing.assert_array_equal(GRID[ours.selected_idx_], ours.X_selected_)
    scores = ours.get_select_distance()[lost:]
    limit = threshold * (scores[0] if kind == "relative" else 1)
    assert scores[-1] >= limit > ours.hausdorff_.max()


@pytest.mark.parametrize("initialize", [3, [7, 2], "random"], ids=str)
def test_warm_start_goes_on(initialize: Any) -> None:
    ours = FarthestPointSelector(initialize=initialize, n_to_select=10).fit(CLOUD)
    first = ours.selected_idx_
    theirs = scikit_matter(initialize=initialize, n_to_select=10).fit(CLOUD)
    for selector in (ours, theirs):
        selector.set_params(n_to_select=60).fit(CLOUD, warm_start=True)
    np.testing.assert_array_equal(ours.selected_idx_, theirs.selected_idx_)
    np.testing.assert_array_equal(ours.selected_idx_[:10], first)
    assert ours.selection_.info["resumed_from"] > 0
    at_once = FarthestPointSelector(initialize=initialize, n_to_select=60).fit(CLOUD)
    np.testing.assert_array_equal(ours.hausdorff_at_select_, at_once.hausdorff_at_select_)
    np.testing.assert_array_equal(ours.hausdorff_, at_once.hausdorff_)


def test_warm_start_after_nothing_but_what_was_named() -> None:
    selector = FarthestPointSelector(initialize=[7, 2], n_to_select=2).fit(CLOUD)
    np.testing.assert_array_equal(selector.selected_idx_, [7, 2])
    np.testing.assert_array_equal(
        selector.hausdorff_, farpoint.nearest(CLOUD, CLOUD[[7, 2]], metric="sqeuclidean").distances
    )
    selector.set_params(n_to_select=9).fit(CLOUD, warm_start=True)
    expected = FarthestPointSelector(initialize=[7, 2], n_to_select=9).fit(CLOUD)
    np.testing.assert_array_equal(selector.selected_idx_, expected.selected_idx_)


def test_many_rows_that_were_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farpoint.sklearn, "_BLOCK_ROWS", 7)
    rows = np.random.default_rng(1).permutation(300)[:40]
    found = FarthestPointSelector(initialize=rows, n_to_select=50).fit(CLOUD)
    expected = scikit_matter(initialize=rows, n_to_select=50).fit(CLOUD)
    np.testing.assert_array_equal(found.selected_idx_, expected.selected_idx_)
    np.testing.assert_allclose(found.get_select_distance(), expected.get_select_distance())


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev"])
def test_it_is_the_selection_of_farpoint(metric: str) -> None:
    selector = FarthestPointSelector(2, 0.1, metric=metric, threads=1, backend="reference").fit(CLOUD)
    expected = farpoint.select(CLOUD, 30, start=2, metric=metric, assign=True)
    np.testing.assert_array_equal(selector.selected_idx_, expected.indices)
    np.testing.assert_array_equal(selector.get_select_distance(), expected.radii)
    np.testing.assert_array_equal(selector.hausdorff_, expected.distances)
    assert selector.selection_.h_min == expected.h_min
    assert selector.selection_.info["backend"] == "reference"


def test_in_pipelines_of_scikit_learn_it_is_the_last_step() -> None:
    pipeline = make_pipeline(StandardScaler(), PCA(3), FarthestPointSelector(n_to_select=12))
    rows = pipeline.fit_transform(GRID)
    reduced = make_pipeline(StandardScaler(), PCA(3)).fit_transform(GRID)
    expected = farpoint.select(reduced, 12).indices
    np.testing.assert_array_equal(pipeline.fit(GRID)[-1].selected_idx_, expected)
    np.testing.assert_array_equal(rows, reduced[expected])
    with pytest.raises(TypeError, match="should be transformers and implement fit and transform"):
        make_pipeline(FarthestPointSelector(), KMeans(2)).fit(GRID)


def test_in_pipelines_of_imbalanced_learn_what_follows_is_fitted_to_the_selection() -> None:
    pipeline = pytest.importorskip("imblearn.pipeline")
    labels = np.where(GRID[:, 0] > 0, "right", "left")
    both = pipeline.make_pipeline(StandardScaler(), FarthestPointResampler(n_to_select=30), GaussianNB()).fit(
        GRID, labels
    )
    scaled = StandardScaler().fit_transform(GRID)
    rows = farpoint.select(scaled, 30).indices
    np.testing.assert_array_equal(both[1].sample_indices_, rows)
    expected = GaussianNB().fit(scaled[rows], labels[rows])
    np.testing.assert_array_equal(both[-1].theta_, expected.theta_)
    assert len(both.predict(GRID)) == len(GRID)


def test_rows_come_in_what_they_were_given_in() -> None:
    pandas = pytest.importorskip("pandas")
    names = [f"item {i}" for i in range(len(GRID))]
    frame = pandas.DataFrame(GRID, columns=list("abcd"), index=names)
    targets = pandas.Series(TARGETS, index=names)
    rows = farpoint.select(GRID, 10).indices
    selector = FarthestPointSelector(n_to_select=10)
    found = selector.fit_transform(frame)
    pandas.testing.assert_frame_equal(found, frame.iloc[rows])
    assert list(selector.feature_names_in_) == list("abcd")
    resampler = FarthestPointResampler(n_to_select=10)
    X, y = resampler.fit_resample(frame, targets)
    pandas.testing.assert_frame_equal(X, frame.iloc[rows])
    pandas.testing.assert_series_equal(y, targets.iloc[rows])
    assert resampler.fit_resample(GRID.tolist(), None) == (GRID[rows].tolist(), None)


def test_parameters_clones_and_pickles() -> None:
    selector = FarthestPointSelector(n_to_select=7, initialize=[3, 1]).set_params(metric="cosine")
    assert clone(selector).get_params() == selector.get_params()
    assert repr(clone(selector)) == (
        "FarthestPointSelector(initialize=[3, 1], metric='cosine', n_to_select=7)"
    )
    with pytest.raises(NotFittedError):
        selector.get_support()
    again = pickle.loads(pickle.dumps(selector.fit(GRID + 0.5)))
    np.testing.assert_array_equal(again.selected_idx_, selector.selected_idx_)


def test_a_bar_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    FarthestPointSelector(n_to_select=20, progress_bar=True).fit(GRID)
    assert "20/20" in capsys.readouterr().err


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_to_select": 0}, r"n_to_select must be None, a count from 1 to 90 .* not 0"),
        ({"n_to_select": 91}, "not 91"),
        ({"n_to_select": 1.5}, "not 1.5"),
        ({"n_to_select": float("nan")}, "not nan"),
        ({"n_to_select": True}, "not True"),
        ({"n_to_select": "many"}, "not 'many'"),
        ({"initialize": 90}, "initialize names row 90; rows are 0 to 89"),
        ({"initialize": -1}, "initialize names row -1"),
        ({"initialize": [1, 2, 1]}, "initialize names a row more than once"),
        ({"initialize": [0.5]}, r"initialize must be a row number, several, or \"random\", not \[0.5\]"),
        ({"initialize": []}, r"not \[\]"),
        ({"initialize": "first"}, "not 'first'"),
        ({"initialize": [1, 2, 3], "n_to_select": 2}, "initialize names 3 rows, more than n_to_select = 2"),
        ({"score_threshold": -1}, "score_threshold must be None or a number of at least 0, not -1"),
        ({"score_threshold": float("nan")}, "not nan"),
        ({"score_threshold": "1"}, "not '1'"),
        ({"score_threshold_type": "squared"}, "score_threshold_type must be"),
        ({"score_threshold": 1.0, "full": True}, "exclude each other"),
        ({"metric": "minkowski"}, "unknown metric 'minkowski'"),
        ({"backend": "abacus"}, "abacus"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FarthestPointSelector(**parameters).fit(GRID)


def test_bad_data() -> None:
    bad = GRID.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="row 3, column 2 is NaN"):
        FarthestPointSelector().fit(bad)
    with pytest.raises(ValueError, match="warm_start=True goes on from an earlier fit"):
        FarthestPointSelector().fit(GRID, warm_start=True)
    selector = FarthestPointSelector(n_to_select=5).fit(GRID)
    with pytest.raises(ValueError, match="was not made from this X"):
        selector.fit(GRID[::-1] + 1, warm_start=True)
    with pytest.raises(ValueError, match="warm_start=True goes on with the metric of the earlier fit"):
        selector.set_params(metric="euclidean").fit(GRID, warm_start=True)


class TestCoreSet:
    """Beside scikit-activeml's."""

    @pytest.fixture(autouse=True)
    def _strategies(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports
            self.theirs = pytest.importorskip("skactiveml.pool").CoreSet
            import farpoint.skactiveml

            self.module = farpoint.skactiveml
            self.ours = farpoint.skactiveml.CoreSet

    def test_examples_run(self) -> None:
        assert doctest.testmod(self.module, extraglobs={"np": np}).failed == 0

    @pytest.mark.parametrize("labeled", [0, 1, 25])
    @pytest.mark.parametrize("candidates", ["unlabeled", "rows", "samples"])
    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_the_same_samples_and_utilities(self, labeled: int, candidates: str, metric: str) -> None:
        y = np.full(300, np.nan)
        y[np.random.default_rng(labeled).permutation(300)[:labeled]] = 1.0
        given = {
            "unlabeled": None,
            "rows": np.flatnonzero(np.isnan(y))[::3],
            "samples": np.random.default_rng(8).standard_normal((50, 7)),
        }[candidates]
        for seed in range(3):
            found, utilities = self.ours(metric=metric, random_state=seed).query(
                CLOUD, y, given, batch_size=20, return_utilities=True
            )
            picks, expected = self.theirs(metric=metric, random_state=seed).query(
                CLOUD, y, given, batch_size=20, return_utilities=True
            )
            np.testing.assert_array_equal(found, picks)
            np.testing.assert_allclose(utilities, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(
            self.ours(metric=metric, random_state=2).query(CLOUD, y, given, batch_size=20), found
        )

    def test_candidates_that_have_labels_are_not_chosen(self) -> None:
        y = np.full(300, np.nan)
        y[[3, 4]] = 0.0
        found = self.ours().query(CLOUD, y, candidates=[2, 3, 4, 5], batch_size=2)
        assert sorted(found) == [2, 5]
        with pytest.raises(ValueError, match="batch_size = 3, but only 2 candidates have no label"):
            self.ours().query(CLOUD, y, candidates=[2, 3, 4, 5], batch_size=3)

    def test_parameters_and_clones(self) -> None:
        strategy = self.ours(missing_label=None, random_state=3, threads=1).set_params(metric="cosine")
        assert clone(strategy).get_params() == strategy.get_params()
        labels = np.array(["a", None, None] * 100, dtype=object)
        found = clone(strategy).query(CLOUD, labels, batch_size=4)
        np.testing.assert_array_equal(
            found, self.theirs(metric="cosine", missing_label=None).query(CLOUD, labels, batch_size=4)
        )

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="unknown metric 'minkowski'"):
            self.ours(metric="minkowski").query(CLOUD, np.full(300, np.nan))
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            self.ours().query(CLOUD, np.full(20, np.nan))
