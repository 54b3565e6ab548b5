"""Runs that are killed, interrupted or cannot write, and go on to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import farpoint
from farpoint import _atomic, _checkpoint, selection
from farpoint.cli import main
from tests.conftest import Array, Engine, assert_same

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def rows(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.npz"


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write whenever there are new picks."""
    monkeypatch.setattr(_checkpoint, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint, "LARGEST_SHARE", 1e9)


def hidden_files(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if file.name.startswith(".")]


# Going on, undisturbed.


def test_the_same_call_returns_the_same_and_a_larger_one_goes_on(engine: Engine, path: Path) -> None:
    X = rows(1500, 20)
    for k, known in ((100, 0), (100, 100), (60, 60), (400, 100), (1500, 400), (1, 1)):
        for assign in (False, True):
            found = farpoint.select(X, k, checkpoint=path, assign=assign, **engine.arguments)
            assert_same(found, farpoint.select(X, k, assign=assign))
            assert found.info["resumed_from"] == (min(k, 1500) if assign and k > known else known)
    assert len(farpoint.Selection.load(path)) == 1500
    assert hidden_files(path) == []


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "cosine"},
        {"metric": "sqeuclidean", "start": 7},
        {"metric": "manhattan"},
        {"metric": "chebyshev", "start": "center"},
        {"start": "center"},
        {"start": "random", "seed": 3},
        {"selected": [5, 2, 600]},
        {"anchors": rows(4, 20, seed=8).astype(np.float64)},
        {"selected": [5], "anchors": rows(4, 20, seed=8)},
    ],
    ids=str,
)
def test_every_option_is_kept(path: Path, options: dict[str, Any]) -> None:
    X = rows(800, 20)
    for arguments in ({"k": 50}, {"k": 200, "assign": True}, {"min_distance": 3.0}, {"k": 20}):
        assert_same(
            farpoint.select(X, checkpoint=path, **arguments, **options),
            farpoint.select(X, **arguments, **options),
        )


def test_a_finished_checkpoint_is_a_selection(path: Path) -> None:
    X = rows(500, 20)
    s = farpoint.select(X, 80, checkpoint=path)
    loaded = farpoint.Selection.load(path)
    assert_same(loaded, s)
    assert loaded.info == s.info
    assert_same(farpoint.extend(loaded, X, 120), farpoint.select(X, 120))


def test_what_decides_nothing_may_change(path: Path) -> None:
    X = rows(1500, 20)
    farpoint.select(X, 100, checkpoint=path, backend="numba")
    farpoint.select(X, 150, checkpoint=path, threads=1)
    farpoint.select(np.asfortranarray(X), 200, checkpoint=path, backend="reference")
    found = farpoint.select(X, 250, checkpoint=path, selected=[])
    assert found.info["resumed_from"] == 200
    assert_same(found, farpoint.select(X, 250))


def test_a_smaller_call_takes_nothing_from_the_file(path: Path) -> None:
    X = rows(500, 20)
    farpoint.select(X, 80, checkpoint=path, assign=True)
    before = path.read_bytes()
    for options in ({"k": 80}, {"k": 30, "assign": True}, {"k": 80, "min_distance": 5.0}, {"k": 1}):
        farpoint.select(X, checkpoint=path, **options)
        assert path.read_bytes() == before


def test_a_start_at_random_is_that_of_the_checkpoint(path: Path) -> None:
    X = rows(500, 20)
    first = farpoint.select(X, 10, start="random", checkpoint=path)
    for _ in range(3):
        again = farpoint.select(X, 30, start="random", checkpoint=path)
        assert_same(again.prefix(10), first)
    other = (int(first.indices[0]) + 1) % 500
    with pytest.raises(ValueError, match=f"start is {first.indices[0]} there and {other} here"):
        farpoint.select(X, 10, start=other, checkpoint=path)


def test_few_picks_leave_nothing_and_none_are_kept(path: Path) -> None:
    X = rows(300, 6)
    with pytest.raises(ValueError):
        farpoint.select(X * np.nan, 20, checkpoint=path)
    assert not path.exists()
    options: dict[str, Any] = {"selected": [3], "min_distance": 1e9}
    for _ in range(2):
        assert len(farpoint.select(X, checkpoint=path, **options)) == 0
    assert_same(farpoint.select(X, 20, checkpoint=path, selected=[3]), farpoint.select(X, 20, selected=[3]))


def test_a_link_stays_a_link(path: Path) -> None:
    X = rows(300, 6)
    link = path.with_name("link.npz")
    link.symlink_to(path)
    farpoint.select(X, 20, checkpoint=link)
    assert link.is_symlink()
    assert farpoint.select(X, 30, checkpoint=path).info["resumed_from"] == 20


# During a run.


class StopError(Exception):
    """Raised by a test to end a run."""


def stop_at(pick: int) -> Callable[[int, int, float], None]:
    def progress(done: int, total: int, radius: float) -> None:
        if done >= pick:
            raise StopError

    return progress


@pytest.mark.parametrize("assign", [False, True])
def test_an_error_leaves_what_was_picked(engine: Engine, path: Path, assign: bool) -> None:
    X = rows(20_000, 64)
    expected = farpoint.select(X, 1200, assign=assign)
    known = 0
    for pick in (2, 300, 700):
        with pytest.raises(StopError):
            farpoint.select(
                X, 1200, checkpoint=path, progress=stop_at(pick), assign=assign, **engine.arguments
            )
        if pick > 2:
            kept = farpoint.Selection.load(path)
            assert known <= len(kept) < 1200  # the same where a busy machine makes all picks at once
            assert len(kept) >= pick - 1
            known = len(kept)
            assert_same(kept, expected.prefix(known))
            assert kept.info["seconds"] is None
    found = farpoint.select(X, 1200, checkpoint=path, assign=assign, **engine.arguments)
    assert found.info["resumed_from"] == known
    assert_same(found, expected)
    assert hidden_files(path) == []


@pytest.mark.usefixtures("_often")
def test_the_file_is_a_right_selection_at_any_moment(engine: Engine, path: Path) -> None:
    X = rows(20_000, 64)
    expected = farpoint.select(X, 1000)
    seen = []

    def look(done: int, total: int, radius: float) -> None:
        if path.exists():
            kept = farpoint.Selection.load(path)
            if 1 <= len(kept) < 1000:
                assert_same(kept, expected.prefix(len(kept)))
            seen.append(len(kept))

    farpoint.select(X, 1000, checkpoint=path, progress=look, **engine.arguments)
    assert len(set(seen)) > 1
    assert seen == sorted(seen)


def test_writing_waits_for_its_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[float] = []
    write = _checkpoint.Checkpoint._write

    def timed_write(self: Any, selection: Any) -> None:
        began = time.monotonic()
        write(self, selection)
        written.append(time.monotonic() - began)

    savez = np.savez

    def slow_savez(*arguments: Any, **arrays: Any) -> None:
        time.sleep(0.05)
        savez(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", slow_savez)
    monkeypatch.setattr(_checkpoint.Checkpoint, "_write", timed_write)
    X = rows(300, 30)
    # The default interval is longer than the run: only the result is written.
    farpoint.select(X, 300, checkpoint=path, backend="reference")
    assert len(written) == 1
    path.unlink()
    written.clear()
    # The reference tells every pick: with no interval, writing takes its share and no more.
    monkeypatch.setattr(_checkpoint, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint, "LARGEST_SHARE", 0.25)
    began = time.monotonic()
    farpoint.select(X, 300, checkpoint=path, backend="reference")
    took = time.monotonic() - began
    # The first and the last are written whatever the share.
    assert sum(written[1:-1]) <= 0.25 * took


def test_a_second_attempt_of_a_backend_is_heard_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a device has too little memory, the CPU begins again."""
    from farpoint import _preparing
    from farpoint.backends import BACKENDS

    class Exhausted:
        name = "numba"

        def select(self, problem: Any) -> NoReturn:
            full = BACKENDS["reference"].select(problem)
            problem.listener(full.indices[:20], full.values[:20])
            raise MemoryError

    def plan(*_: object) -> _preparing.Plan:
        return _preparing.Plan(Exhausted(), lambda: BACKENDS["reference"])  # type: ignore[arg-type]

    X = rows(300, 6)
    expected = farpoint.select(X, 60)
    monkeypatch.setattr(_preparing, "_plan", plan)
    monkeypatch.setattr(_preparing, "scan", lambda *_, **__: (-1, -1, 10.0, 0.1))
    seen: list[int] = []
    found = farpoint.select(X, 60, checkpoint=path, progress=lambda done, *_: seen.append(done))
    assert_same(found, expected)
    assert_same(farpoint.Selection.load(path), expected)
    assert seen == sorted(set(seen))
    assert found.info["backend"] == "reference"


# Killed.


def child_of(run: Callable[[], object]) -> int:
    """Run in a process that is a copy of this one."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return child


@needs_fork
@pytest.mark.usefixtures("_often")
def test_fifty_kills_at_random_moments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing is made slow, so that some of them hit a write."""
    random = np.random.default_rng(5)
    X = rows(6000, 48)
    k = 2500
    expected = farpoint.select(X, k, threads=1)
    flush = _atomic._flush

    def slow_flush(target: Path) -> None:
        time.sleep(0.02)
        flush(target)

    def run() -> None:
        monkeypatch.setattr(_atomic, "_flush", slow_flush)
        farpoint.select(X, k, checkpoint=path, threads=1)

    kills = kept_some = partials = 0
    while kills < 50:
        child = child_of(run)
        time.sleep(random.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
        if path.exists():
            kept = farpoint.Selection.load(path)
            assert_same(kept, expected.prefix(len(kept)) if len(kept) < k else expected)
            kept_some += 1
            if len(kept) == k:
                path.unlink()
        partials += len(hidden_files(path))
        for name in hidden_files(path):
            (path.parent / name).unlink()
    assert partials > 0
    assert kept_some > 0
    assert_same(farpoint.select(X, k, checkpoint=path), expected)


@needs_fork
@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("point", ["in the file", "before it is flushed", "before the rename", "after it"])
@pytest.mark.parametrize("write", [1, 3])
def test_a_kill_inside_a_write(path: Path, monkeypatch: pytest.MonkeyPatch, point: str, write: int) -> None:
    X = rows(300, 6)
    writes = 0

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(file: Any, **arrays: Any) -> None:
        file.write(b"PK\x03\x04 half a file")
        file.flush()
        die()

    def run() -> None:
        savez, flush, replace = np.savez, _atomic._flush, Path.replace

        def counted(file: Any, **arrays: Any) -> None:
            nonlocal writes
            writes += 1
            (half if writes == write and point == "in the file" else savez)(file, **arrays)

        def flushed(target: Path) -> None:
            flushed_point = "after it" if target.is_dir() else "before it is flushed"
            if writes == write and point == flushed_point:
                die()
            flush(target)

        def renamed(partial: Path, target: Path) -> None:
            if writes == write and point == "before the rename":
                die()
            replace(partial, target)

        monkeypatch.setattr(np, "savez", counted)
        monkeypatch.setattr(_atomic, "_flush", flushed)
        monkeypatch.setattr(Path, "replace", renamed)
        farpoint.select(X, 200, checkpoint=path, backend="reference")

    child = child_of(run)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    expected = farpoint.select(X, 200)
    whole = write if point == "after it" else write - 1
    assert path.exists() == (whole > 0)
    if whole:
        assert_same(farpoint.Selection.load(path), expected.prefix(whole))
    assert len(hidden_files(path)) == (point != "after it")
    # What the dead writer left stays while it could be alive, and then goes.
    assert_same(farpoint.select(X, 100, checkpoint=path), expected.prefix(100))
    assert len(hidden_files(path)) == (point != "after it")
    for name in hidden_files(path):
        os.utime(path.parent / name, (0, 0))
    (path.parent / ".another.partial").touch()
    os.utime(path.parent / ".another.partial", (0, 0))
    assert_same(farpoint.select(X, 200, checkpoint=path), expected)
    assert hidden_files(path) == [".another.partial"]


# Interrupted.

INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np, farpoint
backend, threads, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
X = np.random.default_rng(0).standard_normal((30_000, 64), dtype=np.float32)
options = {"backend": backend, "threads": threads}
farpoint.select(X[:100], 50, **options)  # what Numba has to compile, it compiles here
whole = time.perf_counter()
farpoint.select(X, 4000, **options)
whole = time.perf_counter() - whole
random = np.random.default_rng(1)
handler = signal.getsignal(signal.SIGTERM)
longest, interrupts, kept = 0.0, 0, 0
while True:
    cancelled = threading.Event()
    number = (signal.SIGINT, signal.SIGTERM)[interrupts % 2]
    def interrupt(delay):
        global sent
        # From then on there is something to keep: making the state again is interrupted too.
        while signal.getsignal(signal.SIGTERM) is handler:
            time.sleep(0.001)
        if not cancelled.wait(delay):
            sent = time.perf_counter()
            os.kill(os.getpid(), number)
    delay = random.uniform(0, 0.6 * whole) if interrupts < 8 else 1e6
    thread = threading.Thread(target=interrupt, args=(delay,))
    thread.start()
    try:
        s = farpoint.select(X, 4000, checkpoint=path, **options)
        cancelled.set()
        thread.join()
        if interrupts == 8:
            break
        os.unlink(path)  # it was faster than the interrupt: once more
    except KeyboardInterrupt:
        longest = max(longest, time.perf_counter() - sent)
        interrupts += 1
        kept += os.path.exists(path)
        thread.join()
    assert signal.getsignal(signal.SIGTERM) is handler
print(longest, kept)
"""


@pytest.mark.alone
@pytest.mark.parametrize("backend, threads", [("cpu", 1), ("cpu", 2), ("numba", 2)])
def test_interrupts_at_random_moments(path: Path, backend: str, threads: int) -> None:
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, backend, str(threads), str(path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    longest, kept = found.stdout.split()
    assert int(kept) > 0
    # 0.2 s is the promise, for a quiet machine; writing the checkpoint is in it.
    assert float(longest) < 0.2 + 0.5
    X = np.random.default_rng(0).standard_normal((30_000, 64), dtype=np.float32)
    assert_same(farpoint.Selection.load(path), farpoint.select(X, 4000))


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["cpu", "numba"])
def test_a_command_that_is_interrupted_goes_on(
    path: Path, capsys: pytest.CaptureFixture[str], number: int, backend: str
) -> None:
    n, k = (60_000, 12_000) if backend == "cpu" else (40_000, 6000)
    X = rows(n, 64)
    file, out = path.with_name("x.npy"), path.with_name("out.npy")
    np.save(file, X)
    command = ["select", str(file), "-k", str(k), "--backend", backend, "-o", str(out), "--json"]
    command += ["--checkpoint", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "farpoint", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    done = 0
    while done < 20:
        done = json.loads(process.stderr.readline())["done"]
    time.sleep(float(np.random.default_rng(number).uniform(0, 0.1)))
    sent = time.perf_counter()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    took = time.perf_counter() - sent
    assert process.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1] == "farpoint: interrupted"
    assert took < 0.2 + 1.3  # the process ends, too, on a busy machine
    assert not out.exists()
    kept = farpoint.Selection.load(path)
    expected = farpoint.select(X, k)
    assert done - 1 <= len(kept) < k
    assert_same(kept, expected.prefix(len(kept)))
    assert main([*command, "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["info"]["resumed_from"] == len(kept)
    np.testing.assert_array_equal(np.load(out), expected.indices)


def test_sigterm_is_left_alone_where_it_is_not_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(*_: object) -> None: ...

    seen = []

    def look(*_: object) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))

    X = rows(300, 6)
    before = signal.signal(signal.SIGTERM, mine)
    try:
        farpoint.select(X, 20, checkpoint=path, progress=look)
        assert seen
        assert all(handler is mine for handler in seen)
    finally:
        signal.signal(signal.SIGTERM, before)
    seen.clear()
    # Without a checkpoint there is nothing to keep; on another thread handlers cannot be set.
    farpoint.select(X, 20, progress=look)
    thread = threading.Thread(target=lambda: farpoint.select(X, 40, checkpoint=path, progress=look))
    thread.start()
    thread.join()
    assert len(farpoint.Selection.load(path)) == 40
    assert all(handler == before for handler in seen)


# Refused.


def test_another_problem_is_refused_and_named(path: Path) -> None:
    X = rows(3000, 8)
    kept: dict[str, Any] = {"selected": [1, 2], "anchors": X[:3] + 1}
    farpoint.select(X, 50, checkpoint=path)
    kept_path = path.with_name("kept.npz")
    farpoint.select(X, 50, checkpoint=kept_path, **kept)
    before = path.read_bytes()
    sampled, unsampled = X.copy(), X.copy()
    sampled[-1, 3] += 0.001
    pick = int(farpoint.select(X, 50).indices[49])
    unsampled[pick] *= 1.01
    for file, matrix, options, message in (
        (path, X[:2999], {}, "rows is 3000 there and 2999 here"),
        (path, X[:, :7], {}, "columns is 8 there and 7 here"),
        (path, X.astype(np.float64), {}, "element type is 'float32' there and 'float64' here"),
        (path, X, {"metric": "cosine"}, "metric is 'euclidean' there and 'cosine' here"),
        (path, X, {"start": 4}, "start is 0 there and 4 here"),
        (path, X, {"start": "random", "seed": 1}, "start is 0 there and"),
        (path, X, {"selected": [3]}, "start is 0 there and None here; selected differ"),
        (path, X, {"anchors": X[:2]}, "start is 0 there and None here; anchors differ"),
        (path, sampled, {}, "rows of X differ"),
        (
            path,
            X[:2999],
            {"metric": "cosine", "start": 4},
            "rows is 3000 there and 2999 here; metric is 'euclidean' there and 'cosine' here; start is",
        ),
        (kept_path, X, {**kept, "selected": [1, 3]}, "selected differ$"),
        (kept_path, X, {**kept, "anchors": X[:4] + 1}, "anchors differ$"),
        (kept_path, X, {}, "start is None there and 0 here; selected differ; anchors differ"),
    ):
        with pytest.raises(
            ValueError, match=f"checkpoint .*/{file.name} belongs to another problem: .*{message}"
        ):
            farpoint.select(matrix, 60, checkpoint=file, **options)
    assert path.read_bytes() == before
    if pick not in np.linspace(0, 2999, 1024).round():
        # Seen by the radii of picks, where the hash does not look.
        with pytest.raises(ValueError, match=r"checkpoint .*run\.npz was not made from this X"):
            farpoint.select(unsampled, 60, checkpoint=path)


def test_a_file_that_was_changed_is_refused(path: Path) -> None:
    X = rows(3000, 8)
    file = path.with_name("x.npy")
    np.save(file, X)
    os.utime(file, ns=(10**18, 10**18))

    def mapped() -> Array:
        loaded: Array = np.load(file, mmap_mode="r")
        return loaded

    farpoint.select(mapped(), 30, checkpoint=path)
    assert farpoint.select(mapped(), 40, checkpoint=path).info["resumed_from"] == 30
    # An array says nothing of files, and a file may move with its name and time.
    assert farpoint.select(X, 50, checkpoint=path).info["resumed_from"] == 40
    farpoint.select(mapped(), 60, checkpoint=path)
    moved = path.parent / "elsewhere" / "x.npy"
    moved.parent.mkdir()
    file.rename(moved)
    file = moved
    assert farpoint.select(mapped(), 60, checkpoint=path).info["resumed_from"] == 60
    os.utime(file, ns=(10**18 + 10**9, 10**18 + 10**9))
    with pytest.raises(ValueError, match=r"x\.npy was last changed 2001-.* there and 2001-.* here"):
        farpoint.select(mapped(), 60, checkpoint=path)
    os.utime(file, ns=(10**18, 10**18))
    with file.open("ab") as appended:
        appended.write(b"more")
    with pytest.raises(ValueError, match=r"x\.npy has \d+ bytes there and \d+ here"):
        farpoint.select(mapped(), 60, checkpoint=path)
    file = file.rename(file.with_name("y.npy"))
    with pytest.raises(ValueError, match=r"the files are x\.npy there and y\.npy here"):
        farpoint.select(mapped(), 60, checkpoint=path)


def test_what_is_no_checkpoint_is_refused_and_stays(path: Path, tmp_path: Path) -> None:
    X = rows(300, 6)
    farpoint.select(X, 30, checkpoint=path)
    content = path.read_bytes()
    arrays = dict(np.load(path))
    for damaged in (b"", b"my thesis", content[:100], content[: len(content) // 2], content[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"checkpoint .*run\.npz cannot be used, and is not overwritten"):
            farpoint.select(X, 60, checkpoint=path)
        assert path.read_bytes() == damaged
    right = json.loads(str(arrays["problem"]))
    for problem, message in (
        (np.array("[1]"), "run.npz is not a checkpoint: text 'problem' is not a JSON object"),
        (np.array("{"), "run.npz is not a checkpoint: text 'problem' is not JSON"),
        (np.array({"a": 1}, dtype=object), "array 'problem' holds Python objects"),
        *(
            (np.array(json.dumps({key: right[key] for key in right if key != name})), f"say what {name} is")
            for name in right
        ),
        *(
            (np.array(json.dumps({**right, name: value})), f"its problem does not say what {name} is")
            for name, value in (("rows", [300]), ("columns", True), ("metric", None), ("start", 0.0))
        ),
        *(
            (np.array(json.dumps({**right, "files": files})), "its problem does not say what files are")
            for files in ([3], [["x.npy", 1]], [["x.npy", 1, 2.0]], [["x.npy", 2**63, 0]])
        ),
        (np.array(json.dumps({**right, "files": {}})), "its problem does not say what files is"),
        (np.array(json.dumps({**right, "rows": 301})), "another problem: rows is 301 there and 300 here"),
    ):
        np.savez(path, **{**arrays, "problem": problem})
        with pytest.raises(ValueError, match=message):
            farpoint.select(X, 60, checkpoint=path)
    farpoint.select(X, 30).save(path)
    with pytest.raises(ValueError, match=r"is a saved selection and .*; farpoint\.extend goes on from it"):
        farpoint.select(X, 60, checkpoint=path)
    # Right in form, and not what these rows give.
    other = farpoint.select(X, 30, start=1)
    changed = {**arrays, "covering_radius": np.array(other.covering_radius), "radii": other.radii}
    for forged, message in (
        ({**changed, "indices": other.indices}, "is damaged: its picks are not of the problem"),
        (changed, "was not made from this X"),
        ({**arrays, "metric": np.array("sqeuclidean")}, "is damaged: its picks are not of the problem"),
    ):
        np.savez(path, **forged)
        with pytest.raises(ValueError, match=message):
            farpoint.select(X, 60, checkpoint=path)
    with pytest.raises(ValueError, match="is a folder; give a file to write"):
        farpoint.select(X, 60, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        farpoint.select(X, 60, checkpoint=tmp_path / "no" / "c.npz")
    with pytest.raises(ValueError, match=r"/proc/c\.npz cannot be written"):
        farpoint.select(X, 60, checkpoint="/proc/c.npz")
    with pytest.raises(ValueError, match="/dev/null"):
        farpoint.select(X, 60, checkpoint="/dev/null")
    with pytest.raises(TypeError, match="checkpoint must be a path, not int"):
        farpoint.select(X, 60, checkpoint=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("longest, what", [(100, "problem"), (500, "info")])
def test_more_files_than_a_checkpoint_can_name_are_refused_at_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int, what: str
) -> None:
    file = tmp_path / ("x" * 250) / ("y" * 250) / "x.npy"  # info holds whole names
    file.parent.mkdir(parents=True)
    np.save(file, rows(300, 6))
    monkeypatch.setattr(selection, "LONGEST_JSON", longest)
    with pytest.raises(
        ValueError, match=rf"run\.npz cannot be kept: its {what} takes \d+ characters as JSON"
    ):
        farpoint.select(file, 60, checkpoint=path, progress=stop_at(1))
    assert not path.exists()


def test_every_flipped_byte_is_noticed_or_harmless(path: Path) -> None:
    X = rows(300, 6)
    expected = farpoint.select(X, 30, checkpoint=path)
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    refused = unharmed = 0
    for position in random.integers(0, len(content), 200):
        damaged = content.copy()
        damaged[position] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            found = farpoint.select(X, 30, checkpoint=path)
        except ValueError as error:
            refused += "run.npz" in str(error)
        else:
            unharmed += 1
            assert_same(found, expected)
    assert refused + unharmed == 200
    assert refused > 100


# A full disk.


def test_a_full_disk_is_an_error_and_the_checkpoint_before_stays(path: Path) -> None:
    resource = pytest.importorskip("resource")
    X = rows(3000, 16)
    farpoint.select(X, 400, checkpoint=path)
    limit = len(path.read_bytes()) + 1000
    script = textwrap.dedent(
        f"""
        import resource, numpy as np, farpoint
        from farpoint import _checkpoint
        _checkpoint.INTERVAL_SECONDS = 0.0
        X = np.random.default_rng(0).standard_normal((3000, 16)).astype(np.float32)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        for backend in ("cpu", "numba", "reference"):
            try:
                farpoint.select(X, 900, checkpoint={str(path)!r}, backend=backend)
            except OSError as error:
                print(type(error).__name__, error)
        """
    )
    assert hasattr(resource, "RLIMIT_FSIZE")
    found = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    message = f"checkpoint {path} cannot be written (File too large); the one before is intact"
    assert found.stdout.splitlines() == 3 * [f"OSError [Errno 27] {message}"]
    assert hidden_files(path) == []
    # What still fitted was written.
    kept, expected = farpoint.Selection.load(path), farpoint.select(X, 900)
    assert 400 <= len(kept) < 900
    assert_same(kept, expected.prefix(len(kept)))
    assert_same(farpoint.select(X, 900, checkpoint=path), expected)


def test_an_interrupt_is_not_hidden_by_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StopError):
        farpoint.select(rows(300, 6), 60, checkpoint=path, progress=stop_at(9), backend="reference")
    assert "cannot be written (No space left on device)" in caplog.text
    assert list(path.parent.iterdir()) == []
