"""What a run does to the process around it: progress, signals, threads, forks, memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import numpy as np
import pytest

import farpoint
from tests.conftest import BUSY, Array, Engine, gpu


def rows(n: int, d: int = 64, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def test_progress_rises_and_reports_the_radius(engine: Engine) -> None:
    X = rows(30_000, 128)
    seen = []
    s = farpoint.select(X, 3000, progress=lambda *now: seen.append(now), **engine.arguments)
    done = [now[0] for now in seen]
    assert done == sorted(done)
    assert all(now[1] == 3000 for now in seen)
    assert len(set(done)) == len(done) > 1
    assert done[-1] == 3000
    for count, _, radius in seen:
        assert radius == (s.radii[count - 1] if count else np.inf)


def test_an_error_in_progress_ends_the_run_and_is_raised(engine: Engine) -> None:
    class MineError(Exception):
        pass

    def fail(done: int, total: int, radius: float) -> NoReturn:
        raise MineError

    began = time.perf_counter()
    with pytest.raises(MineError):
        farpoint.select(rows(40_000, 200), 20_000, progress=fail, **engine.arguments)
    assert time.perf_counter() - began < 5


def test_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    farpoint.select(rows(2000), 500, progress=True)
    assert "500/500" in capsys.readouterr().err


INTERRUPTED = """
    import os, signal, threading, time
    import numpy as np, farpoint
    everything = np.random.default_rng(0).standard_normal((120_000, 256), dtype=np.float32)
    calls = {
        "select": lambda X: farpoint.select(X, len(X) // 2, **options),
        "assign": lambda X: farpoint.select(X, len(X) // 2, assign=True, **options),
        "h_min": lambda X: farpoint.h_min(X, **options),
        "nearest": lambda X: farpoint.nearest(X, X + 1, **options),
        "pairwise": lambda X: farpoint.pairwise_distances(X[:4000], X[:40_000], **options),
    }
    def interrupt():
        time.sleep(0.7)
        global sent
        sent = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)
    for name, call in calls.items():
        call(everything[:100])  # what Numba has to compile, it compiles here
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            call(everything)
            print(name, "finished")
            break  # the signal would come during the next call
        except KeyboardInterrupt:
            print(name, time.perf_counter() - sent)
"""


@pytest.mark.alone
@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no signals")
@pytest.mark.parametrize(
    "backend, threads", [("cpu", 1), ("cpu", 2), pytest.param("cuda", 1, marks=gpu), ("numba", 2)]
)
def test_ctrl_c_ends_a_run_at_once(backend: str, threads: int) -> None:
    """One function after the other, in one process: each also finds what the interrupt before has left."""
    script = f"options = {{'backend': {backend!r}, 'threads': {threads}}}\n" + textwrap.dedent(INTERRUPTED)
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    took = dict(line.split() for line in found.stdout.splitlines())
    assert list(took) == ["select", "assign", "h_min", "nearest", "pairwise"], found.stdout
    assert [name for name, seconds in took.items() if float(seconds) >= 0.2 + BUSY] == [], found.stdout


@pytest.mark.alone
def test_python_stays_responsive(engine: Engine) -> None:
    """The GIL is released: another thread runs on while a selection does."""
    if engine.threads > 1:
        pytest.skip("with every processor taken, waiting for one proves nothing")
    X = rows(40_000, 256)
    farpoint.select(X[:2000], 100, **engine.arguments)
    done = threading.Event()
    longest = 0.0

    def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.perf_counter()
    farpoint.select(X, 2500, **engine.arguments)
    took = time.perf_counter() - began
    done.set()
    ticker.join()
    assert longest < max(0.1, took / 3)


def test_selections_at_once_do_not_meet(engine: Engine) -> None:
    X = rows(3000)
    expected = [farpoint.select(X, 400, start=start) for start in range(4)]
    with ThreadPoolExecutor(4) as pool:
        actual = pool.map(lambda start: farpoint.select(X, 400, start=start, **engine.arguments), range(4))
        for ours, theirs in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(ours.indices, theirs.indices)
            np.testing.assert_array_equal(ours.radii, theirs.radii)
