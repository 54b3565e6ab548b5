"""Farpoint among threads, forks, pools of processes and signals: right, prompt, and leaving nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import farpoint
from farpoint.backends import BACKENDS
from tests.conftest import BUSY, Array, Engine, gpu

numba = pytest.mark.skipif(BACKENDS["numba"].unavailable() is not None, reason="Numba is not installed")
BACKENDS_ON_THE_HOST = ["cpu", pytest.param("numba", marks=numba)]
PROMISED = 0.2  # what Ctrl-C may take

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def rows(n: int, d: int = 32, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


X, Y = rows(3000), rows(500, seed=1)


def everything(backend: str, threads: int) -> dict[str, Any]:
    """Return what every public function makes of the same matrices."""
    options: dict[str, Any] = {"backend": backend, "threads": threads}
    s = farpoint.select(X, 300, assign=True, **options)
    cosine = farpoint.select(X, 100, metric="cosine", anchors=Y[:50], selected=[7, 9], **options)
    return {
        "indices": s.indices,
        "radii": s.radii,
        "labels": s.labels,
        "cosine": cosine.indices,
        "h_min": np.array(farpoint.h_min(X, **options)),
        "nearest": np.array(farpoint.nearest(X, Y, **options)),
        "covering_radius": np.array(farpoint.covering_radius(X, Y, **options)),
        "pairwise": farpoint.pairwise_distances(Y, X[:100], **options),
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return everything("reference", 1)


def assert_equal(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


# Threads.


def test_calls_from_many_threads_do_not_meet(engine: Engine, expected: dict[str, Any]) -> None:
    """All functions at once, each with its own threads."""
    with ThreadPoolExecutor(3) as pool:
        for actual in pool.map(lambda _: everything(engine.backend, engine.threads), range(6)):
            assert_equal(actual, expected)


@numba
def test_numba_leaves_blas_as_it_was() -> None:
    """Calls that overlap restore the number of its threads when the last has ended, and not before."""
    from threadpoolctl import threadpool_info

    def blas() -> set[int]:
        return {int(found["num_threads"]) for found in threadpool_info() if found["user_api"] == "blas"}

    first_is_in, second_is_in = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def first_to_come_first_to_go(done: int, total: int, radius: float) -> None:
        first_is_in.set()
        second_is_in.wait(60)

    def last_to_go(done: int, total: int, radius: float) -> None:
        second_is_in.set()
        first.result(60)
        seen.append(blas())

    before = blas()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(farpoint.select, X, 100, backend="numba", progress=first_to_come_first_to_go)
        assert first_is_in.wait(60)
        farpoint.select(X, 100, backend="numba", progress=last_to_go)
    assert seen[0] == {1}
    assert blas() == before


# Forks and pools.


def in_a_fork(work: Callable[[], None]) -> None:
    """Run in a forked child, which must end well, and soon."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that waits for what only its parent has
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@forks
@pytest.mark.parametrize("backend", BACKENDS_ON_THE_HOST)
def test_a_child_of_a_process_that_has_selected_can_select(backend: str, expected: dict[str, Any]) -> None:
    assert_equal(everything(backend, 2), expected)
    in_a_fork(lambda: assert_equal(everything(backend, 2), expected))
    assert_equal(everything(backend, 2), expected)


@forks
@pytest.mark.parametrize("backend", BACKENDS_ON_THE_HOST)
def test_a_child_made_while_a_selection_runs_can_select(backend: str, expected: dict[str, Any]) -> None:
    everything(backend, 2)  # what has to be compiled is not compiled during the fork
    big = rows(20_000, 64)
    runs, go_on = threading.Event(), threading.Event()

    def progress(done: int, total: int, radius: float) -> None:
        runs.set()
        if done > total // 2 and not go_on.wait(0):
            time.sleep(0.001)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(farpoint.select, big, 2000, backend=backend, threads=2, progress=progress)
        assert runs.wait(60)
        in_a_fork(lambda: assert_equal(everything(backend, 2), expected))
        go_on.set()
        np.testing.assert_array_equal(other.result().indices, farpoint.select(big, 2000).indices)


def select_in_a_worker(backend: str) -> farpoint.Selection:
    return farpoint.select(X, 300, backend=backend, threads=2, assign=True)


@pytest.mark.parametrize("backend", BACKENDS_ON_THE_HOST)
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_select(method: str, backend: str, expected: dict[str, Any]) -> None:
    select_in_a_worker(backend)  # forked workers inherit a process that has selected
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        found = list(executor.map(select_in_a_worker, [backend] * 3))
    with context.Pool(2) as pool:
        found += pool.map(select_in_a_worker, [backend] * 3)
    for s in found:
        assert_equal(
            {"indices": s.indices, "radii": s.radii, "labels": s.labels},
            {name: expected[name] for name in ("indices", "radii", "labels")},
        )


# What a process keeps.


class EnoughError(Exception):
    pass


def enough(done: int, total: int, radius: float) -> NoReturn:
    raise EnoughError


def interrupt(done: int, total: int, radius: float) -> NoReturn:
    raise KeyboardInterrupt


def one_of_everything(backend: str, folder: Path) -> None:
    """Call every public function, also with what is refused and what is interrupted; four selections."""
    options: dict[str, Any] = {"backend": backend, "threads": 2}
    small, other = X[:300], Y[:60]
    s = farpoint.select(small, 30, assign=True, **options)
    farpoint.select(small, 30, metric="cosine", anchors=other, selected=[1], **options)
    farpoint.h_min(small, **options)
    farpoint.nearest(small, other, **options)
    farpoint.covering_radius(small, other, **options)
    farpoint.pairwise_distances(small, other, **options)
    farpoint.show_config("dict")
    s.save(folder / "s.npz")
    farpoint.Selection.load(folder / "s.npz").prefix(7).to_dict()
    for bad in (small * np.nan, small[:, :0], "no matrix", 3):
        with pytest.raises((ValueError, TypeError, FileNotFoundError)):
            farpoint.select(bad, 3, **options)
    with pytest.raises(ValueError, match="columns"):
        farpoint.nearest(small, other[:, 1:], **options)
    (folder / "s.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="is not a saved selection"):
        farpoint.Selection.load(folder / "s.npz")
    for progress, error in ((enough, EnoughError), (interrupt, KeyboardInterrupt)):
        with pytest.raises(error):
            farpoint.select(small, 200, progress=progress, **options)


@pytest.mark.memory
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is counted by Linux")
@pytest.mark.parametrize("backend", BACKENDS_ON_THE_HOST)
def test_a_thousand_selections_leave_nothing(backend: str, tmp_path: Path) -> None:
    def held() -> tuple[float, int, int]:
        megabytes = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
        return megabytes, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    for _ in range(30):
        one_of_everything(backend, tmp_path)
    before = held()
    for _ in range(250):
        one_of_everything(backend, tmp_path)
    after = held()
    assert after[0] - before[0] < 8
    # Others' threads come and go in between; ours would be hundreds.
    assert all(now - then < 20 for now, then in zip(after[1:], before[1:], strict=True))


# Signals.


@pytest.mark.alone
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
@pytest.mark.parametrize(
    "backend, threads",
    [("cpu", 1), ("cpu", 2), pytest.param("cuda", 1, marks=gpu), pytest.param("numba", 2, marks=numba)],
)
def test_ctrl_c_at_random_moments(backend: str, threads: int) -> None:
    """At 30 moments of three functions; afterwards the process is as it was.

    The signal comes from a timer, with the handler of Ctrl-C: so its moment is known, whoever holds the GIL.
    """
    script = textwrap.dedent(
        f"""
        import signal, time
        import numpy as np, farpoint

        random = np.random.default_rng()
        options = {{"backend": {backend!r}, "threads": {threads}}}
        X = np.random.default_rng(0).standard_normal((20_000, 96), dtype=np.float32)
        calls = [
            lambda X: farpoint.select(X, len(X) // 4, **options),
            lambda X: farpoint.nearest(X, X[::-1] + 1, **options),
            lambda X: farpoint.h_min(X, **options),
        ]
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        usual = []
        for call in calls:
            call(X[:500])  # what Numba has to compile, it compiles here
            began = time.perf_counter()
            call(X)
            usual.append(time.perf_counter() - began)
        for moment in range(30):
            delay = float(random.uniform(0.001, 0.8 * usual[moment % 3]))
            began = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, delay)
            try:
                calls[moment % 3](X)
                signal.setitimer(signal.ITIMER_REAL, 0)
                usual[moment % 3] = min(usual[moment % 3], time.perf_counter() - began)
                print("finished")
            except KeyboardInterrupt:
                print(time.perf_counter() - began - delay)
        again = farpoint.select(X[:2000], 200, **options).indices
        print(np.array_equal(again, farpoint.select(X[:2000], 200, backend="reference").indices))
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False
    )
    assert found.returncode == 0, found.stderr
    *moments, usable = found.stdout.split()
    assert usable == "True"
    assert len(moments) == 30
    late = [moment for moment in moments if moment != "finished" and float(moment) > PROMISED + BUSY]
    assert late == []
    # Some calls end sooner than those before them, but a signal that gets lost would end none.
    assert moments.count("finished") < 15
    assert "ignored" not in found.stderr


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has minutes to go, and says when it has begun."""
    np.save(tmp_path / "x.npy", rows(100_000, 256))
    script = "import sys, farpoint.cli as cli; print('begins', flush=True); sys.exit(cli.main(sys.argv[1:]))"
    arguments = ["select", str(tmp_path / "x.npy"), "-k", "90000", "-o", str(tmp_path / "out.npz")]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_command_that_is_ended_says_130_and_leaves_nothing(
    number: signal.Signals, command: subprocess.Popen[str], tmp_path: Path
) -> None:
    time.sleep(float(np.random.default_rng().uniform(0.1, 1.0)))
    began = time.perf_counter()
    command.send_signal(number)
    out, err = command.communicate(timeout=60)
    # The promise, and the end of a Python process.
    assert time.perf_counter() - began < PROMISED + BUSY + 1
    assert command.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "farpoint: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_command_leaves_the_handlers_of_signals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a program that calls it, from any of its threads."""
    from farpoint.cli import main

    before = signal.getsignal(signal.SIGTERM)
    assert main(["info"]) == 0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(main, ["info"]).result() == 0
    assert signal.getsignal(signal.SIGTERM) is before
