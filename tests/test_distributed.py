"""Selection on a Ray cluster of this machine: the bits of one process, whatever happens to the actors."""

from __future__ import annotations

import doctest
import inspect
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import farpoint
import farpoint.distributed
from farpoint.backends import BACKENDS
from farpoint.cli import main
from farpoint.distributed import _crew
from farpoint.distributed._pieces import FilePiece, ObjectPiece, Shape, share_out
from farpoint.distributed._worker import Worker
from tests.conftest import Array, assert_same

ray = pytest.importorskip("ray")

# One cluster for all of them.
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One for all tests: it takes seconds to start."""
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=200 << 20,
    )
    yield ray
    ray.shutdown()


def normal(n: int, d: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return (np.random.default_rng(seed).standard_normal((n, d)) * 20 + 50).astype(dtype)


def references(X: Array, *ends: int) -> list[Any]:
    return [ray.put(part) for part in np.split(X, ends)]


def save_shards(folder: Path, X: Array, *ends: int) -> None:
    folder.mkdir(exist_ok=True)
    for i, part in enumerate(np.split(X, ends)):
        np.save(folder / f"{i:03}.npy", part)


def free_processors() -> float:
    return float(ray.available_resources().get("CPU", 0.0))


@pytest.mark.parametrize(
    "metric, dtype",
    [
        ("euclidean", np.float16),
        ("euclidean", np.uint8),
        ("sqeuclidean", np.float64),
        ("cosine", ml_dtypes.bfloat16),
        ("manhattan", np.int8),
        ("chebyshev", np.float16),
    ],
)
def test_equals_one_process(cluster: Any, metric: str, dtype: Any) -> None:
    X = normal(900, 21, dtype=dtype)
    expected = farpoint.select(X, 150, metric=metric, assign=True)
    shards = references(X, 0, 1, 500)  # none, 1, 499 and 400 rows
    s = farpoint.distributed.select(shards, 150, metric=metric, assign=True, actors=3)
    assert_same(s, expected)
    assert s.info["dtype"] == np.dtype(dtype).name
    assert s.info["actors"] == 3


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_backends(cluster: Any, backend: str) -> None:
    X = normal(300, 9)
    s = farpoint.distributed.select(references(X, 100), 60, backend=backend, assign=True)
    assert_same(s, farpoint.select(X, 60, assign=True))
    assert s.info["backend"] == backend


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_packed_bits(cluster: Any, metric: str) -> None:
    X = np.packbits(np.random.default_rng(3).random((700, 200)) < 0.1, axis=1)
    options: dict[str, Any] = {"metric": metric, "assign": True, "anchors": X[:2] ^ 1}
    for backend in ("cpu", "numba"):
        found = farpoint.distributed.select(
            references(X, 300), 150, actors=2, threads=1, backend=backend, **options
        )
        assert_same(found, farpoint.select(X, 150, backend="reference", **options))
    with pytest.raises(TypeError, match=f"dtype float32; metric '{metric}' takes packed bits, uint8"):
        farpoint.distributed.select(references(X.astype(np.float32), 300), 3, metric=metric)
    with pytest.raises(TypeError, match="anchors has dtype int64"):
        farpoint.distributed.select(references(X, 300), 3, metric=metric, anchors=X[:2].astype(np.int64))


def test_sorted_rows_duplicates_and_ties(cluster: Any) -> None:
    rows = np.sort(np.random.default_rng(1).integers(0, 9, (800, 2)), axis=0).astype(np.float32)
    X = np.repeat(rows, 6, axis=1)
    s = farpoint.distributed.select(references(X, 200, 700), 800, assign=True)
    assert_same(s, farpoint.select(X, 800, assign=True))


@pytest.mark.parametrize("metric, exponent", [("euclidean", -700), ("cosine", 700), ("manhattan", 700)])
def test_extreme_float64(cluster: Any, metric: str, exponent: int) -> None:
    X = np.ldexp(normal(300, 12, dtype=np.float64), exponent)
    X[200:] *= 2.0**40
    anchors = X[5:9] * 1.5
    for options in ({"start": "center"}, {"anchors": anchors, "selected": [7, 250]}):
        expected = farpoint.select(X, 40, metric=metric, assign=True, **options)
        s = farpoint.distributed.select(references(X, 190), 40, metric=metric, assign=True, **options)
        assert_same(s, expected)


def test_options(cluster: Any) -> None:
    X = normal(700, 16)
    anchors = normal(30, 16, seed=9, dtype=np.float64)
    radius = float(farpoint.select(X, 100).radii[-1])
    shards = references(X, 350, 600)
    for options in (
        {"k": 0.1, "start": "random", "seed": 3},
        {"k": 80, "selected": [600, 3, 350], "anchors": anchors},
        {"min_distance": radius, "start": 699},
    ):
        s = farpoint.distributed.select(shards, assign=True, **options)
        assert_same(s, farpoint.select(X, assign=True, **options))


def test_files(cluster: Any, tmp_path: Path) -> None:
    X = normal(500, 24, dtype=np.float16)
    expected = farpoint.select(X, 60)
    folder = tmp_path / "shards"
    save_shards(folder, X, 120, 120, 400)
    paths = sorted(folder.iterdir())
    s = farpoint.distributed.select(folder, 60)
    assert_same(s, expected)
    assert s.info["actors"] <= 4
    assert s.info["files"] == [
        {"name": str(path), "rows": rows} for path, rows in zip(paths, (120, 0, 280, 100), strict=True)
    ]
    assert_same(farpoint.distributed.select(str(folder / "*.npy"), 60, actors=1), expected)
    whole = tmp_path / "whole.npy"
    np.save(whole, X)
    for actors in (1, 3):
        s = farpoint.distributed.select(whole, 60, actors=actors)
        assert_same(s, expected)
        assert s.info["actors"] == actors


def test_files_of_several_types(cluster: Any, tmp_path: Path) -> None:
    X = normal(200, 8, dtype=np.float16)
    np.save(tmp_path / "a.npy", X[:80])
    np.savez(tmp_path / "b.npz", emb=X[80:150].astype(np.float64))
    np.save(tmp_path / "c.npy", X[150:].astype(np.int16))
    s = farpoint.distributed.select(tmp_path, 50, key="emb")
    assert_same(s, farpoint.select(tmp_path, 50))
    assert s.info["dtype"] == "float64"


def test_arrays(cluster: Any, tmp_path: Path) -> None:
    X = normal(500, 24)
    expected = farpoint.select(X, 60)
    np.save(tmp_path / "a.npy", X[:77])
    np.save(tmp_path / "b.npy", X[77:])
    for source in (X, farpoint.open_matrix(tmp_path), ray.put(X)):
        assert_same(farpoint.distributed.select(source, 60, actors=2), expected)
    assert farpoint.distributed.select(X, 60).info["actors"] == 1  # one a machine


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own
def test_dataset(cluster: Any) -> None:
    import ray.data

    X = normal(300, 10)
    dataset = ray.data.from_numpy([X[:100], X[100:110], X[110:]])
    (column,) = dataset.columns()
    assert_same(farpoint.distributed.select(dataset, 60, column=column), farpoint.select(X, 60))
    lists = ray.data.from_items([{"id": i, "emb": row.tolist()} for i, row in enumerate(X)])
    s = farpoint.distributed.select(lists, 60, column="emb", actors=2)
    assert_same(s, farpoint.select(X.astype(s.info["dtype"]), 60))
    with pytest.raises(ValueError, match="which column holds the vectors; there are id, emb"):
        farpoint.distributed.select(lists, 60)


def test_elements_that_cannot_be_used_are_named(cluster: Any, tmp_path: Path) -> None:
    X = normal(300, 6)
    X[250, 3] = np.nan
    X[270] = np.inf
    save_shards(tmp_path, X, 100, 200)
    with pytest.raises(ValueError, match=r"002.npy must be finite: row 50, column 3 is NaN"):
        farpoint.distributed.select(tmp_path, 10)
    with pytest.raises(ValueError, match=r"^X must be finite: row 250, column 3 is NaN"):
        farpoint.distributed.select(X, 10, actors=3)
    with pytest.raises(ValueError, match=r"^X\[1\] must be finite: row 150, column 3 is NaN"):
        farpoint.distributed.select(references(X, 100), 10)
    X[250] = X[270] = 1
    X[120] = 0
    with pytest.raises(ValueError, match=r"^X: row 120 is all zeros"):
        farpoint.distributed.select(X, 10, metric="cosine", actors=3)


def test_shards_that_cannot_be_used_are_named(cluster: Any, tmp_path: Path) -> None:
    X = normal(300, 6)
    save_shards(tmp_path, X, 100, 200)
    paths = sorted(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match=r"missing.npy: no such file"):
        farpoint.distributed.select([*paths, tmp_path / "missing.npy"], 10)
    np.save(paths[1], X[:20, :5])
    with pytest.raises(ValueError, match=r"001.npy has 5 columns where .*000.npy has 6"):
        farpoint.distributed.select(tmp_path, 10)
    paths[1].write_bytes(paths[0].read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"001.npy"):
        farpoint.distributed.select(tmp_path, 10)

    def fails() -> None:
        time.sleep(0.5)  # longer than actors need to take all processors
        raise OSError("no such bucket")

    with pytest.raises(ValueError, match=r"X\[1\] cannot be had .*no such bucket"):
        farpoint.distributed.select([ray.put(X), ray.remote(fails).remote()], 10, threads=2)
    with pytest.raises(TypeError, match=r"X\[1\] has dtype complex128"):
        farpoint.distributed.select([ray.put(X), ray.put(X.astype(complex))], 10)


def test_arguments(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X = normal(50, 6)
    with pytest.raises(ValueError, match="processors for 4 actors, not for 5"):
        farpoint.distributed.select(X, 5, actors=5)
    with pytest.raises(ValueError, match="processors for 1 actors of 3 threads each, not for 2"):
        farpoint.distributed.select(X, 5, actors=2, threads=3)
    with pytest.raises(ValueError, match="actors must be at least 1"):
        farpoint.distributed.select(X, 5, actors=0)
    with pytest.raises(ValueError, match="column = 'emb' has no meaning"):
        farpoint.distributed.select(X, 5, column="emb")
    with pytest.raises(ValueError, match="k = 51 is more than the 50 rows"):
        farpoint.distributed.select(X, 51)
    with pytest.raises(ValueError, match="anchors has 5 columns where X has 6"):
        farpoint.distributed.select(X, 5, anchors=X[:, :5])
    with pytest.raises(
        ValueError, match="memory_limit = 1,000 bytes is too little for an actor with 50 rows"
    ):
        farpoint.distributed.select(X, 5, memory_limit=1000)
    with pytest.raises(TypeError, match="progress must be"):
        farpoint.distributed.select(X, 5, progress="yes")  # type: ignore[arg-type]
    monkeypatch.setattr(type(BACKENDS["cuda"]), "unavailable", lambda _self: None)
    with pytest.raises(ValueError, match="backend 'cuda' cannot be one of several engines yet"):
        farpoint.distributed.select(X, 5, backend="cuda")
    deadline = time.monotonic() + 10
    while free_processors() < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert free_processors() == 4  # errors leave no actors behind


def test_reports_rounds_and_bytes(cluster: Any) -> None:
    X = normal(12_000, 16)
    k = 4_000
    heard: list[tuple[int, int, float]] = []
    s = farpoint.distributed.select(references(X, 6_000), k, progress=lambda *now: heard.append(now))
    assert 2 <= s.info["rounds"] < k / 50
    row = X[0].nbytes
    assert k * row * 2 <= s.info["bytes_sent"] <= 2 * k * (row + 16)
    assert (k - 1) * row <= s.info["bytes_received"] <= s.info["rounds"] * (2 * 1024 * (row + 16) + 3 * 65536)
    assert s.info["restarts"] == 0
    assert set(s.info["seconds_by_phase"]) == {"start", "scan", "shards", "pick", "assign"}
    assert heard[-1] == (k, k, s.radii[-1])
    assert [done for done, _, _ in heard] == sorted({done for done, _, _ in heard})


class Murderer(_crew.Crew):
    """A crew whose actors can be killed."""

    made: Murderer | None = None

    def __init__(self, actors: int, threads: int) -> None:
        super().__init__(actors, threads)
        type(self).made = self

    def kill(self, i: int) -> None:
        """End its process; Ray starts it again."""
        if random.random() < 0.5:
            ray.kill(self._actors[i], no_restart=False)
        else:
            os.kill(ray.get(self._actors[i].__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)


def test_killed_actors_change_nothing(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crew, "Crew", Murderer)
    X = normal(9_000, 32, seed=4)
    expected = farpoint.select(X, 3_000, assign=True)
    random.seed(0)
    rounds = 0

    def progress(done: int, total: int, radius: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds in (1, 2, 4, 5):
            assert Murderer.made is not None
            Murderer.made.kill(rounds % 3)

    s = farpoint.distributed.select(references(X, 4_000, 7_000), 3_000, assign=True, progress=progress)
    assert_same(s, expected)
    assert rounds >= 5
    assert s.info["restarts"] == 4


def test_actors_killed_at_random_moments(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crew, "Crew", Murderer)
    X = normal(30_000, 64, seed=5)
    expected = farpoint.select(X, 4_000, start="center")
    random.seed(1)
    done = threading.Event()
    made = Murderer.made

    def kill() -> None:
        kills = 0
        while not done.wait(random.uniform(0.1, 0.8)) and kills < 6:
            crew = Murderer.made
            if crew is not None and crew is not made:
                # The actor may just be started again, or have ended.
                with suppress(ray.exceptions.RayError, ProcessLookupError, IndexError):
                    crew.kill(random.randrange(2))
                    kills += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        s = farpoint.distributed.select(references(X, 15_000), 4_000, start="center", threads=1)
    finally:
        done.set()
        killer.join()
    assert_same(s, expected)


def test_a_shard_that_is_gone_when_its_actor_is_restarted_is_named(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_crew, "Crew", Murderer)
    save_shards(tmp_path, normal(5_000, 16), 2_500)
    told: list[int] = []

    def progress(done: int, total: int, radius: float) -> None:
        if not told:
            assert Murderer.made is not None
            (tmp_path / "001.npy").unlink()
            ray.kill(Murderer.made._actors[1], no_restart=False)
        told.append(done)

    with pytest.raises(FileNotFoundError, match=r"001.npy"):
        farpoint.distributed.select(tmp_path, 3_000, progress=progress)


def test_checkpoints_are_those_of_one_process(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    X = normal(4_000, 16)
    save_shards(tmp_path / "shards", X, 1_500)
    path = tmp_path / "run.npz"

    class StopError(Exception):
        pass

    def stop(done: int, total: int, radius: float) -> None:
        raise StopError

    with pytest.raises(StopError):
        farpoint.distributed.select(tmp_path / "shards", 2_000, checkpoint=path, progress=stop)
    made = len(farpoint.Selection.load(path))
    assert 1 < made < 2_000
    s = farpoint.distributed.select(tmp_path / "shards", 2_000, checkpoint=path, assign=True)
    assert s.info["resumed_from"] == made
    assert_same(s, farpoint.select(X, 2_000, assign=True))
    # The file is of no particular number of machines, and a finished one has nothing left to do.
    further = farpoint.select(tmp_path / "shards", 2_500, checkpoint=path)
    assert further.info["resumed_from"] == 2_000
    assert_same(farpoint.distributed.select(tmp_path / "shards", 2_500, checkpoint=path), further)
    with pytest.raises(ValueError, match="belongs to another problem: metric is 'euclidean' there"):
        farpoint.distributed.select(tmp_path / "shards", 9, metric="cosine", checkpoint=path)


@pytest.mark.alone
def test_interrupt(cluster: Any) -> None:
    X = normal(60_000, 64)
    sent = 0.0

    def progress(done: int, total: int, radius: float) -> None:
        nonlocal sent
        if not sent:
            sent = time.monotonic() + 0.1
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        farpoint.distributed.select(X, 60_000, actors=2, progress=progress)
    assert time.monotonic() - sent < 3
    deadline = time.monotonic() + 10
    while free_processors() < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert free_processors() == 4


def test_command_line(cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X = normal(400, 12)
    save_shards(tmp_path / "shards", X, 150)
    output = tmp_path / "s.npz"
    arguments = ["select", str(tmp_path / "shards"), "-k", "50", "-o", str(output)]
    assert main([*arguments, "--ray", "auto", "--actors", "2", "--assign"]) == 0
    s = farpoint.Selection.load(output)
    assert_same(s, farpoint.select(X, 50, assign=True))
    assert s.info["actors"] == 2
    assert "50 of 400 rows" in capsys.readouterr().err
    assert ray.is_initialized()  # a cluster that was there stays
    records = tmp_path / "records.jsonl"
    records.write_text("".join(f'{{"i": {i}}}\n' for i in range(400)))
    subset = tmp_path / "subset.jsonl"
    command = ["select", str(records), "--embeddings", str(tmp_path / "shards"), "--ray", "auto", "-k", "50"]
    assert main([*command, "-o", str(subset)]) == 0
    assert subset.read_text() == "".join(f'{{"i": {i}}}\n' for i in s.indices)
    records.write_text('{"i": 0}\n')
    assert main([*command, "-o", str(tmp_path / "none.jsonl")]) == 2
    assert "records.jsonl has 1 records and" in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()
    assert main([*arguments, "--actors", "2"]) == 2
    assert "--actors has no meaning without --ray" in capsys.readouterr().err


def test_the_example_runs_and_every_parameter_is_documented(cluster: Any) -> None:
    function = farpoint.distributed.select
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    text = inspect.getdoc(function)
    assert text
    runner.run(parser.get_doctest(text, {"np": np, "farpoint": farpoint}, "select", None, None))
    assert runner.tries > 0
    assert runner.failures == 0
    for name in inspect.signature(function).parameters:
        assert re.search(rf"^(\w+, )*{name}\b", text, re.M), f"{name} is not documented"


def test_without_a_cluster_the_error_says_how_to_get_one() -> None:
    ray.shutdown()
    with pytest.raises(RuntimeError, match="call ray.init"):
        farpoint.distributed.select(np.eye(3), 2)


def test_rows_are_shared_out_evenly_and_at_the_ends_of_files() -> None:
    def shares(rows: list[int], actors: int) -> list[int]:
        pieces = [FilePiece(Path(str(i))) for i in range(len(rows))]
        shapes = [Shape(n, 3, "float32") for n in rows]
        holdings = share_out(pieces, shapes, actors, "float32")
        assert [h.first for h in holdings] == np.cumsum(
            [0, *(sum(p.end - p.begin for p in h.parts) for h in holdings)]
        )[:-1].tolist()
        assert all(part.of == rows[int(part.piece.name)] for h in holdings for part in h.parts)
        return [sum(part.end - part.begin for part in holding.parts) for holding in holdings]

    assert shares([100], 3) == [33, 33, 34]
    assert shares([100, 90, 110], 3) == [100, 90, 110]
    assert shares([0, 100, 0, 100], 2) == [100, 100]
    assert shares([300, 10, 10], 2) == [160, 160]
    assert shares([1, 1], 5) == [1, 1]


def test_a_worker_knows_what_it_has_opened() -> None:
    """Without Ray: pieces are opened once, and another length is an error."""
    opened = []

    class Piece(ObjectPiece):
        def open(self) -> list[Array]:
            opened.append(self.name)
            return [np.zeros((len(opened) + 3, 2), dtype=np.float32)]

    worker = Worker()
    piece = Piece(None, "a")
    shapes = worker.measure([piece])
    (holding,) = share_out([piece], shapes, 1, "float32")
    assert worker.rows(holding, np.array([1])).shape == (1, 2)
    assert opened == ["a"]
    with pytest.raises(ValueError, match="a has 5 rows, and had 4 when the selection began"):
        Worker().rows(holding, np.array([1]))
