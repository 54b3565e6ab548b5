"""The driver of a distributed selection, with shards of this process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
from farpoint import _loading, _preparing
from farpoint import _validation as check
from farpoint.backends import BACKENDS
from farpoint.backends._protocol import Frame, IndexArray, RawSelection, Sharding, ShardProblem, ValueArray
from farpoint.distributed import _levels
from farpoint.distributed._levels import LevelProblem, run_levels
from farpoint.distributed._messages import Answer, Entries, Question
from farpoint.distributed._shard import NumberedShard
from tests.answers import by_reference
from tests.conftest import Array, Engine

METRICS = ("euclidean", "cosine", "manhattan", "chebyshev")
# The best SIMD level of the compiled engine, and the plain shards of the others.
ENGINES = [
    *([Engine("cpu"), Engine("cpu", threads=2, eager=True)] if BACKENDS["cpu"].unavailable() is None else []),
    *([Engine("numba", threads=2)] if BACKENDS["numba"].unavailable() is None else []),
    Engine("reference"),
]


class LocalShards:
    """Shards without anything between them and the driver."""

    def __init__(self, shards: list[NumberedShard]) -> None:
        self._shards = shards

    @property
    def count(self) -> int:
        return len(self._shards)

    def ask(self, entries: Sequence[Entries], questions: Sequence[Question]) -> list[Answer]:
        self._tell(entries)
        return [shard.answer(question) for shard, question in zip(self._shards, questions, strict=True)]

    def free_rows(self, count: int) -> IndexArray:
        return np.concatenate([shard.free_rows(count) for shard in self._shards])[:count]

    def assign(self, entries: Sequence[Entries]) -> tuple[IndexArray, ValueArray]:
        self._tell(entries)
        found = [shard.assign() for shard in self._shards]
        return np.concatenate([labels for labels, _ in found]), np.concatenate([v for _, v in found])

    def _tell(self, entries: Sequence[Entries]) -> None:
        for block in entries:
            for shard in self._shards:
                shard.see(block)


@dataclass
class Spread:
    """A matrix in shards that begin at `starts`, and the frame of all."""

    X: Array
    starts: list[int]
    frame: Frame
    backend: Sharding

    @classmethod
    def of(cls, X: Array, sizes: Sequence[int], metric: str, engine: Engine) -> Spread:
        assert sum(sizes) == len(X)
        loaded = _loading.load([(X, "X")], metric, engine.backend, engine.threads)
        prepared = _preparing.prepare(loaded, len(X))
        starts = np.cumsum([0, *sizes[:-1]]).tolist()
        matrix, backend = prepared.matrices[0], BACKENDS[engine.backend]
        assert isinstance(matrix, np.ndarray)
        assert isinstance(backend, Sharding)
        return cls(matrix, starts, prepared.frame, backend)

    def shards(self, assign: bool) -> LocalShards:
        ends = [*self.starts[1:], len(self.X)]
        return LocalShards(
            [
                NumberedShard(
                    self.X[begin:end],
                    begin,
                    self.backend.shard(ShardProblem(self.X[begin:end], self.frame, 100, assign)),
                )
                for begin, end in zip(self.starts, ends, strict=True)
                if end > begin
            ]
        )

    def entries(self, rows: Sequence[int], values: ValueArray | None) -> Entries:
        numbers = np.array(rows, dtype=np.int64)
        return Entries(self.X[numbers], numbers, values)

    def run(self, k: int, entries: list[Entries], assign: bool = False, **options: Any) -> RawSelection:
        problem = LevelProblem(
            frame=self.frame,
            rows=len(self.X),
            k=k,
            entries=entries,
            largest=options.get("largest", math.inf),
            minimum_value=options.get("minimum_value", 0.0),
            assign=assign,
            listener=options.get("listener"),
        )
        return run_levels(problem, self.shards(assign), self.backend.pick_among)


def assert_equals_reference(
    spread: Spread, k: int, metric: str, first: int = 0, assign: bool = True
) -> RawSelection:
    """Selecting from `first` on gives the bits of the reference."""
    expected = by_reference(farpoint.select, spread.X, k, metric=metric, start=first, assign=assign)
    picks = spread.run(k - 1, [spread.entries([first], np.array([math.inf]))], assign)
    np.testing.assert_array_equal([first, *picks.indices], expected.indices)
    unit = _preparing.prepare(_loading.load([(spread.X, "X")], metric, "reference", 1), 1).unit
    chosen = check.check_metric(metric)
    np.testing.assert_array_equal(chosen.distances(picks.values, unit), expected.radii[1:])
    assert chosen.distance(picks.next_value, unit) == expected.covering_radius
    if assign:
        assert picks.label_values is not None
        np.testing.assert_array_equal(picks.labels, expected.labels)
        np.testing.assert_array_equal(chosen.distances(picks.label_values, unit), expected.distances)
    return picks


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    chosen: Engine = request.param
    with chosen.active():
        yield chosen


@pytest.fixture(params=[64, 2048], ids=lambda count: f"{count}-candidates")
def candidates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Few candidates make many rounds, in which shards' capacities cut answers short."""
    count: int = request.param
    monkeypatch.setattr(_levels, "_CANDIDATES", count)
    monkeypatch.setattr(_levels, "_LEAST_CAPACITY", min(count, _levels._LEAST_CAPACITY) // 4)
    monkeypatch.setattr(_levels, "_SAMPLE", count)
    return count


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("metric", METRICS)
def test_equals_the_reference(engine: Engine, metric: str, dtype: Any, candidates: int) -> None:
    X = (np.random.default_rng(0).standard_normal((420, 21)) * 20 + 50).astype(dtype)
    for sizes in ([420], [1, 0, 300, 118, 1], [140] * 3):
        assert_equals_reference(Spread.of(X, sizes, metric, engine), 130, metric, first=70)


def test_sorted_rows(engine: Engine, candidates: int) -> None:
    """All candidates of a level are in one shard."""
    X = np.sort(np.random.default_rng(1).pareto(1.5, (600, 1)), axis=0).astype(np.float32) * np.ones(30)
    X = X.astype(np.float32)
    assert_equals_reference(Spread.of(X, [100, 200, 150, 150], "euclidean", engine), 200, "euclidean")


@pytest.mark.parametrize("k", [1, 2, 150, 299, 300, 301, 600])
def test_duplicates_across_shards(engine: Engine, k: int, candidates: int) -> None:
    unique = np.random.default_rng(2).standard_normal((300, 20)).astype(np.float32)
    X = np.concatenate((unique, unique))[np.random.default_rng(3).permutation(600)]
    assert_equals_reference(Spread.of(X, [7, 293, 200, 100], "euclidean", engine), k, "euclidean", first=599)


def test_all_rows_equal(engine: Engine, candidates: int) -> None:
    X = np.full((500, 9), 0.3, dtype=np.float32)
    picks = assert_equals_reference(Spread.of(X, [250, 250], "euclidean", engine), 400, "euclidean", first=3)
    assert picks.statistics["rounds"] <= 2


@pytest.mark.parametrize("d", [2, 3, 5])
def test_ties(engine: Engine, d: int, candidates: int) -> None:
    side = {2: 20, 3: 7, 5: 4}[d]
    grid = np.stack(np.meshgrid(*[np.arange(side)] * d), -1).reshape(-1, d)
    X = np.random.default_rng(d).permutation(grid).astype(np.float32)
    n = len(X)
    assert_equals_reference(
        Spread.of(X, [n // 2, n // 8, n - n // 2 - n // 8], "euclidean", engine), n, "euclidean"
    )


def test_all_distances_equal(engine: Engine, candidates: int) -> None:
    X = np.eye(350, dtype=np.float32)
    assert_equals_reference(Spread.of(X, [100, 250], "euclidean", engine), 350, "euclidean")


@pytest.mark.parametrize("made", [1, 2, 57, 199])
def test_goes_on_from_picks_that_are_made(engine: Engine, made: int, candidates: int) -> None:
    X = np.random.default_rng(4).standard_normal((500, 24)).astype(np.float32)
    spread = Spread.of(X, [123, 377], "euclidean", engine)
    whole = spread.run(200, [spread.entries([9], np.array([math.inf]))])
    numbers = np.array([9, *whole.indices])
    values = np.array([math.inf, *whole.values])
    rest = spread.run(
        201 - made, [spread.entries(numbers[:made].tolist(), values[:made])], largest=values[made - 1]
    )
    np.testing.assert_array_equal(rest.indices, numbers[made:])
    np.testing.assert_array_equal(rest.values, values[made:])
    assert rest.next_value == whole.next_value


def test_keeps_away_from_rows_and_anchors(engine: Engine, candidates: int) -> None:
    X = np.random.default_rng(5).standard_normal((300, 17)).astype(np.float32)
    anchors = np.random.default_rng(6).standard_normal((40, 17)).astype(np.float32)
    expected = farpoint.select(
        X, 80, metric="sqeuclidean", selected=[200, 4], anchors=anchors, assign=True, backend="reference"
    )
    spread = Spread.of(X, [90, 210], "sqeuclidean", engine)
    kept_away = [spread.entries([200, 4], None), Entries(anchors, np.full(40, -1), None)]
    picks = spread.run(80, kept_away, assign=True)
    np.testing.assert_array_equal(picks.indices, expected.indices)
    np.testing.assert_array_equal(picks.labels, expected.labels)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_stops_before_a_value(engine: Engine, share: float, candidates: int) -> None:
    X = np.random.default_rng(7).standard_normal((400, 12)).astype(np.float32)
    spread = Spread.of(X, [200, 200], "euclidean", engine)
    first = [spread.entries([0], np.array([math.inf]))]
    whole = spread.run(399, first)
    minimum = float(np.quantile(whole.values, share, method="higher"))
    picks = spread.run(399, first, minimum_value=minimum)
    np.testing.assert_array_equal(picks.values, whole.values[whole.values >= minimum])
    assert picks.next_value == (0.0 if share == 0 else whole.values[len(picks.values)])


def test_the_listener_hears_every_pick_once(engine: Engine, candidates: int) -> None:
    X = np.random.default_rng(8).standard_normal((400, 12)).astype(np.float32)
    X[300:] = X[0]
    spread = Spread.of(X, [200, 200], "euclidean", engine)
    heard: list[int] = []

    def listen(numbers: IndexArray, values: ValueArray) -> None:
        assert len(numbers) == len(values)
        heard.extend(numbers.tolist())

    picks = spread.run(370, [spread.entries([0], np.array([math.inf]))], listener=listen)
    assert heard == picks.indices.tolist()


def test_rounds_are_far_fewer_than_picks() -> None:
    X = np.random.default_rng(9).standard_normal((20_000, 16)).astype(np.float32)
    spread = Spread.of(
        X, [5_000] * 4, "euclidean", Engine("cpu" if BACKENDS["cpu"].unavailable() is None else "numba")
    )
    picks = spread.run(5_000, [spread.entries([0], np.array([math.inf]))])
    assert picks.statistics["rounds"] < 5_000 / 50
