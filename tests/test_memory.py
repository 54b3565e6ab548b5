"""Limits on memory: the least that works works, what spills gives the same bits, and failures are errors."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint import _validation as check
from farpoint.backends import BACKENDS
from farpoint.cli import main
from tests.conftest import EVERY_ENGINE, Array, Engine, assert_same
from tests.soak import difference
from tests.soak_instances import draw, least_memory

# Beyond the limit: what Python and the C library keep for themselves (docs/memory.md).
SLACK = 16_000_000

host_engine = pytest.mark.parametrize(
    "engine", [engine for engine in EVERY_ENGINE if engine.backend != "cuda"], ids=str
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux measures it")
compiled = pytest.mark.skipif(BACKENDS["cpu"].unavailable() is not None, reason="only the extension spills")


def rows(n: int, d: int, seed: int = 0) -> Array:
    """Make lumps, as embeddings have them."""
    random = np.random.default_rng(seed)
    centres = 3 * random.standard_normal((50, d))
    return (centres[random.integers(50, size=n)] + random.standard_normal((n, d))).astype(np.float32)


def least_for(X: Array, k: int, **options: Any) -> int:
    with pytest.raises(ValueError, match="too little") as refused:
        farpoint.select(X, k, memory_limit=1, **options)
    least = least_memory(refused.value)
    assert least is not None
    return least


def run_python(script: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=check,
    )


# What is refused, and what is not.


@host_engine
def test_the_least_that_works_works_and_a_byte_less_is_refused(engine: Engine) -> None:
    """Over calls with everything about them drawn at random: shape, dtype, layout, metric, options."""
    limited = 0
    with engine.active():
        for number in range(12 if engine.backend == "reference" else 40):
            instance = draw(55, number)
            refused = instance.run(engine.backend, engine.threads, 1)
            least = least_memory(refused) if isinstance(refused, ValueError) else None
            if instance.function == "pairwise_distances" or least is None:
                continue
            limited += 1
            expected = instance.run(engine.backend, engine.threads)
            actual = instance.run(engine.backend, engine.threads, least)
            assert difference(actual, expected) == "", instance.about
            again = instance.run(engine.backend, engine.threads, least - 1)
            assert isinstance(again, ValueError), instance.about
            assert least_memory(again) == least, instance.about
            if isinstance(actual, farpoint.Selection):
                assert (actual.info["bytes_work"] or 0) <= least, instance.about
    assert limited >= 8


@compiled
def test_what_a_refusal_says() -> None:
    X = rows(2000, 48)
    least = least_for(X, 300, threads=1)
    message = (
        "memory_limit = 1,024 bytes is too little for 2,000 rows of 48 columns and k = 300: at least "
        f"{least:,} bytes are needed"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        farpoint.select(X, 300, threads=1, memory_limit="1KiB")
    with pytest.raises(ValueError, match="too little for 2,000 rows of 48 columns: at least"):
        farpoint.h_min(X, memory_limit=1)
    for function in (farpoint.nearest, farpoint.covering_radius):
        with pytest.raises(ValueError, match="2,000 rows of 48 columns and 700 rows of Y: at least"):
            function(X, X[:700], memory_limit=1)


@compiled
def test_copies_count() -> None:
    X = rows(3000, 40)
    least = least_for(X, 100, threads=1)
    assert least_for(np.asfortranarray(X), 100, threads=1) == least + X.nbytes
    assert least_for(X.tolist(), 100, threads=1) >= least + X.nbytes
    wide = X.astype(np.float64)
    huge = np.ldexp(wide, 600)  # squares leave float64: a power of two is taken out of a copy
    assert least_for(huge, 100, threads=1) == least_for(wide, 100, threads=1) + wide.nbytes
    view = np.empty((3000, 50), dtype=np.float32)[:, :40]
    view[:] = X
    assert least_for(view, 100, threads=1) == least


@pytest.mark.parametrize(
    "text, size",
    [
        ("1", 1),
        ("2e9", 2_000_000_000),
        ("800MB", 800_000_000),
        ("512MiB", 512 << 20),
        ("1.5 GiB", 3 << 29),
        (" 4gib ", 4 << 30),
        ("7kB", 7000),
        ("3 TiB", 3 << 40),
        ("1e99", 1 << 62),
        (10**30, 1 << 62),
        (np.int64(12), 12),
        (None, None),
    ],
)
def test_sizes(text: Any, size: int | None) -> None:
    assert check.check_memory_limit(text) == size


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"memory_limit": "lots"}, ValueError, "memory_limit = 'lots' is not a size"),
        ({"memory_limit": "4 apples"}, ValueError, "kB, MB, GB, TB, KiB, MiB, GiB, TiB"),
        ({"memory_limit": "-4GiB"}, ValueError, "is not a size"),
        ({"memory_limit": ""}, ValueError, "is not a size"),
        ({"memory_limit": 0}, ValueError, "memory_limit must be at least 1 byte, not 0"),
        ({"memory_limit": -5}, ValueError, "must be at least 1 byte, not -5"),
        ({"memory_limit": "0.1"}, ValueError, "must be at least 1 byte"),
        ({"memory_limit": 1e9}, TypeError, "memory_limit must be an integer, not 1000000000.0"),
        ({"memory_limit": True}, TypeError, "memory_limit must be an integer, not a bool"),
        ({"memory_limit": [4]}, TypeError, "memory_limit must be an integer"),
        ({"spill_folder": "/nowhere/at/all"}, ValueError, "spill_folder = '/nowhere/at/all' is not a folder"),
        ({"spill_folder": __file__}, ValueError, "is not a folder"),
        ({"spill_folder": 3}, TypeError, "spill_folder must be a path, not int"),
    ],
    ids=str,
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        farpoint.select(np.eye(4, dtype=np.float32), 2, **options)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "x.npy")
    np.save(path, rows(500, 30))
    assert main(["select", path, "-k", "20", "--quiet"]) == 0
    expected = capsys.readouterr().out
    limited = ["select", path, "-k", "20", "--memory-limit", "1GB", "--spill-folder", str(tmp_path)]
    assert main([*limited, "--quiet"]) == 0
    assert capsys.readouterr().out == expected
    for command in (["select", path, "-k", "20"], ["hmin", path]):
        assert main([*command, "--memory-limit", "1kB"]) == 2
        assert "memory_limit = 1,000 bytes is too little" in capsys.readouterr().err


# Spilling.


@compiled
@pytest.mark.parametrize("options", [{}, {"metric": "cosine", "assign": True}], ids=["plain", "cosine"])
def test_spilling_gives_the_same_bits_and_leaves_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    X = rows(30_000, 96)
    expected = farpoint.select(X, 1500, **options)
    seen: list[int] = []
    files: list[Path] = []

    def look(done: int, *_: object) -> None:
        seen.append(done)
        files.extend(tmp_path.iterdir())

    limit = least_for(X, 1500, threads=2, **options)
    actual = farpoint.select(
        X, 1500, threads=2, memory_limit=limit, spill_folder=tmp_path, progress=look, **options
    )
    assert_same(actual, expected)
    assert actual.info["bytes_spilled"] >= X.size  # int8 codes of all rows
    assert actual.info["bytes_work"] == limit
    assert len(seen) > 1
    assert files == []  # a file that has no name cannot stay
    assert expected.info["bytes_spilled"] == 0
    assert expected.info["bytes_work"] > limit


@compiled
def test_what_saves_time_is_taken_where_it_fits() -> None:
    X = rows(30_000, 96)
    free = farpoint.select(X, 3000, threads=2)
    least = least_for(X, 3000, threads=2)
    roomy = farpoint.select(X, 3000, threads=2, memory_limit=least + 4_000_000)
    tight = farpoint.select(X, 3000, threads=2, memory_limit=least)
    assert free.info["pairs_looked_up"] > 0
    assert roomy.info["pairs_looked_up"] > 0  # cells
    assert roomy.info["bytes_spilled"] > 0
    assert tight.info["pairs_looked_up"] == 0
    for limited in (roomy, tight):
        assert_same(limited, free)


@compiled
def test_few_columns_do_without_the_copy() -> None:
    X = rows(50_000, 3)
    free = farpoint.select(X, 500, threads=2)
    least = least_for(X, 500, threads=2)
    tight = farpoint.select(X, 500, threads=2, memory_limit=least)
    assert free.info["bytes_work"] > least
    assert tight.info["bytes_work"] <= least
    assert_same(tight, free)


@compiled
def test_a_folder_that_takes_no_files_is_named() -> None:
    X = rows(30_000, 96)
    limit = least_for(X, 500)
    with pytest.raises(OSError, match=r"cannot make a temporary file for work memory .*: '/proc'"):
        farpoint.select(X, 500, memory_limit=limit, spill_folder="/proc")


@compiled
@linux
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for it."""
    found = run_python(
        """
        import re, resource, sys
        import numpy as np, farpoint
        X = np.random.default_rng(0).standard_normal((30_000, 96), dtype=np.float32)
        try:
            farpoint.select(X, 500, threads=2, memory_limit=1)
        except ValueError as error:
            limit = int(re.search(r"at least ([\\d,]+)", str(error))[1].replace(",", ""))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            farpoint.select(X, 500, threads=2, memory_limit=limit, spill_folder=sys.argv[1])
        except OSError as error:
            print(type(error).__name__, error)
        print(len(farpoint.select(X, 500, threads=2)))  # all is well without
        """,
        tmp_path,
    )
    assert "OSError [Errno 27] farpoint cannot write" in found.stdout
    assert "memory_limit leaves no room for, to a temporary file" in found.stdout
    assert f"(File too large): '{tmp_path}'" in found.stdout
    assert found.stdout.splitlines()[-1] == "500"
    assert list(tmp_path.iterdir()) == []


# What the system measures.

MEASURE = """
    import ctypes, re, sys, threading
    import numpy as np, farpoint

    def anonymous():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

    def peak(call):
        ctypes.CDLL(None).malloc_trim(0)
        before = most = anonymous()
        done = threading.Event()
        def sample():
            nonlocal most
            while not done.wait(0.002):
                most = max(most, anonymous())
        thread = threading.Thread(target=sample)
        thread.start()
        call()
        done.set()
        thread.join()
        return most - before

    def least(call):
        try:
            call(1)
        except ValueError as error:
            return int(re.search(r"at least ([\\d,]+)", str(error))[1].replace(",", ""))
"""


@compiled
@linux
@pytest.mark.parametrize(
    "make, call",
    [
        ("normal((400_000, 48))", "select(X, 1000, threads=2, memory_limit=m)"),
        ("normal((400_000, 48))", "select(X, 100, assign=True, metric='cosine', threads=2, memory_limit=m)"),
        ("integers(0, 4, (400_000, 12)).astype(np.uint8)", "select(X, 500, threads=2, memory_limit=m)"),
        ("normal((600_000, 3))", "select(X, 3000, assign=True, threads=2, memory_limit=m)"),
        ("normal((2000, 6000))", "select(X, 100, threads=2, memory_limit=m)"),
        ("normal((30_000, 48))", "h_min(X, threads=2, memory_limit=m)"),
        ("normal((200_000, 48))", "nearest(X, X[:3000] + 1, threads=2, memory_limit=m)"),
        ("normal((48, 200_000)).T", "select(X, 100, threads=2, memory_limit=m)"),
        ("normal((40_000, 48))", "select(X, 200, threads=2, memory_limit=m, backend='numba')"),
        ("normal((100_000, 8))", "select(X, 10, memory_limit=m, backend='reference')"),
    ],
    ids=["normal", "cosine", "ties", "points", "wide", "h_min", "nearest", "copied", "numba", "reference"],
)
def test_the_limit_is_kept(make: str, call: str) -> None:
    found = run_python(
        MEASURE
        + f"""
    random = np.random.default_rng(0)
    normal = lambda shape: random.standard_normal(shape, dtype=np.float32)
    X = {make if make.startswith("normal") else "random." + make}
    call = lambda m: farpoint.{call}
    whole, X = X, X[:4000]
    call(None)  # what is loaded and compiled once
    X = whole
    for spare in (0, 10_000_000):
        limit = least(call) + spare
        print(limit, peak(lambda: call(limit)))
    """
    )
    for line in found.stdout.splitlines():
        limit, took = map(int, line.split())
        assert took <= limit + SLACK


@compiled
@linux
def test_a_large_file_in_little_memory(tmp_path: Path) -> None:
    """2 GB, memory-mapped, with the address space that docs/memory.md says."""
    path = tmp_path / "x.npy"
    n, d, k = 1_000_000, 1000, 150
    try:
        X = np.lib.format.open_memmap(path, "w+", np.float16, (n, d))
        # In a subspace, so that distances differ much and codes tell them apart from the start.
        block = (rows(20_000, 8) @ rows(8, d)).astype(np.float16)
        for begin in range(0, n, len(block)):
            X[begin : begin + len(block)] = block
            X[begin : begin + len(block), 0] += begin // len(block)
        del X
        found = run_python(
            MEASURE
            + """
    import os, resource
    path, folder, k, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), 2
    X = np.load(path, mmap_mode="r")
    call = lambda m: farpoint.select(X, k, threads=threads, memory_limit=m, spill_folder=folder)
    limit = least(call)
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")  # with the mapped file
    (n, d), padded = X.shape, -(-X.shape[1] // 32) * 32
    spilled = (n + 4096) * (padded + 24) + k * 4 * (d + 8) + 2**22
    space = taken + limit + spilled + threads * (128 + 8) * 2**20 + 16_000_000
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    anonymous_bytes = peak(lambda: globals().update(selection=call(limit)))
    print(limit, anonymous_bytes, selection.info["bytes_spilled"], *selection.indices)
    """,
            path,
            tmp_path,
            k,
        )
        limit, took, spilled, *indices = map(int, found.stdout.split())
        assert took <= limit + SLACK
        assert limit < 50_000_000
        assert spilled > n * d
        assert list(tmp_path.iterdir()) == [path]
        expected = farpoint.select(np.load(path, mmap_mode="r"), k)
        assert indices == expected.indices.tolist()
    finally:
        path.unlink()


NEAR_THE_LIMIT = """
        import os, resource
        import numpy as np, farpoint
        random = np.random.default_rng(0)
        X = random.standard_normal((120_000, 64), dtype=np.float32)
        P = random.standard_normal((300_000, 3), dtype=np.float32)
        farpoint.select(X[:100], 3)  # loads the extension

        def run(call, spare):
            with open("/proc/self/statm") as statm:
                taken = int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")
            resource.setrlimit(resource.RLIMIT_AS, (taken + spare, -1))
            try:
                call()
                return "enough"
            except MemoryError as error:
                return f"MemoryError {error}"
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

"""


@compiled
@linux
def test_threads_that_find_no_memory_do_not_end_the_process() -> None:
    """A thread that throws first allocates; where it cannot, the loader ends the process."""
    found = run_python(
        NEAR_THE_LIMIT
        + """
        calls = [
            lambda: farpoint.select(X, 500, threads=2, assign=True, metric="cosine"),
            lambda: farpoint.select(P, 2000, threads=2),
        ]
        for call in calls:
            enough = 0
            # From one thread's stack to all that is needed, in steps below what a thread takes to throw.
            for spare in range(8_400_000, 40_000_000, 40_000):
                enough += run(call, spare) == "enough"
                if enough == 3:
                    break
            print(enough)
        """
    )
    assert found.stdout.split() == ["3", "3"]


@compiled
@linux
def test_a_failed_allocation_is_an_error() -> None:
    """Whatever the call has come to when there is no more."""
    found = run_python(
        NEAR_THE_LIMIT
        + """
        calls = [
            lambda: farpoint.select(X, 4000, threads=2),
            lambda: farpoint.select(X, 500, threads=2, assign=True, metric="cosine"),
            lambda: farpoint.select(P, 2000, threads=2),
            lambda: farpoint.nearest(X, X[:2000], threads=2),
            lambda: farpoint.h_min(X[:20_000], threads=2),
        ]
        for call in calls:
            for spare in (1, 2, 4, 7, 10, 14, 20, 30, 60):
                print(run(call, spare * 1_000_000))
        """
    )
    lines = found.stdout.splitlines()
    assert len(lines) == 45
    sizes = [line for line in lines if re.search(r"farpoint needs [\d.]+ [kMG]B for ", line)]
    assert len(sizes) >= 6
    assert all(line == "enough" or re.match(r"MemoryError \w", line) for line in lines), lines
