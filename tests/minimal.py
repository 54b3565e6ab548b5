"""The least that an installed farpoint must do, with numpy and nothing else: a test for wheels.

python -I tests/minimal.py [--compiled] [--cuda]

Every engine and SIMD level that can be used here returns the bits of the reference, the command line runs,
and `show_config` says what there is. Exit status 1, and what went wrong, where that is not so. With -I Python
takes the package that is installed, not one that lies around.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import farpoint

K = 40


def problems() -> Iterator[tuple[str, Any, str]]:
    """What is selected from: a name, a matrix and a metric."""
    random = np.random.default_rng(0)
    X = random.standard_normal((1500, 70))
    for metric in ("euclidean", "cosine", "manhattan", "chebyshev"):
        for dtype in (np.float16, np.float32, np.float64):
            yield f"{metric}, {np.dtype(dtype).name}", X.astype(dtype), metric
    yield "euclidean, int8", (X * 30).astype(np.int8), "euclidean"
    yield "euclidean, three columns", X[:, :3].astype(np.float32), "euclidean"
    yield "euclidean, ties", (X[:, :5] * 2).round().astype(np.float32), "euclidean"
    for metric in ("hamming", "jaccard"):
        yield f"{metric}, bits", random.integers(0, 256, (1500, 24), np.uint8), metric


def engines(backends: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """What computes: backend, SIMD level, threads."""
    for name, backend in backends.items():
        if backend["available"] and name != "reference":
            for level in backend.get("simd_usable", [""]):
                for threads in (1, 2):
                    yield name, level, threads


def check_engines(backends: dict[str, Any]) -> int:
    """Compare the engines with the reference, and return how many calls that took."""
    calls = 0
    for problem, X, metric in problems():
        expected = farpoint.select(X, K, metric=metric, backend="reference", assign=True)
        distances, nearest = farpoint.nearest(X, X[expected.indices], metric=metric, backend="reference")
        for backend, level, threads in engines(backends):
            if backend == "cuda" and metric not in ("euclidean", "cosine"):
                continue
            where = f"{problem}: {backend} {level} with {threads} threads"
            os.environ["FARPOINT_SIMD"] = level
            how: Any = {"metric": metric, "backend": backend, "threads": threads}
            found = farpoint.select(X, K, assign=True, **how)
            for part in ("indices", "radii", "labels", "distances"):
                equal(getattr(found, part), getattr(expected, part), f"{where}: {part}")
            for actual, wanted in zip(
                farpoint.nearest(X, X[expected.indices], **how), (distances, nearest), strict=True
            ):
                equal(actual, wanted, f"{where}: nearest")
            calls += 2
    os.environ.pop("FARPOINT_SIMD", None)
    return calls


def equal(actual: Any, expected: Any, what: str) -> None:
    """Fail where two arrays differ."""
    if not np.array_equal(actual, expected):
        raise SystemExit(f"{what} are not the reference's")


def check_command_line() -> None:
    """Select from a file by the command that was installed, and by the module."""
    X = np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32)
    expected = farpoint.select(X, 7)
    for command in (
        [str(Path(sysconfig.get_path("scripts"), "farpoint"))],
        [sys.executable, "-m", "farpoint"],
    ):
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder, "X.npy"), X)
            subprocess.run(
                [*command, "select", "X.npy", "-k", "7", "-o", "picks.npz"], cwd=folder, check=True
            )
            equal(farpoint.Selection.load(Path(folder, "picks.npz")).indices, expected.indices, f"{command}")
            subprocess.run([*command, "--version"], cwd=folder, check=True)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compiled", action="store_true", help="the C++ engine must be there")
    parser.add_argument(
        "--cuda", action="store_true", help="the CUDA engine must be there, with a device or not"
    )
    options = parser.parse_args()
    farpoint.show_config()
    backends = farpoint.show_config("dict")["backends"]
    if options.compiled and not backends["cpu"]["available"]:
        raise SystemExit(f"the C++ engine cannot be used: {backends['cpu']['reason']}")
    if options.cuda:
        check_cuda(backends["cuda"])
    calls = check_engines(backends)
    if calls == 0:
        raise SystemExit("no engine can be used but the reference")
    check_command_line()
    print(f"{calls} calls returned the bits of the reference; the command line runs")


def check_cuda(backend: dict[str, Any]) -> None:
    """Fail where the CUDA engine is missing or broken; that there is no device must be said."""
    if backend["available"]:
        return
    reason = backend["reason"]
    if "built without CUDA" in reason or "Error" in reason or "is installed with farpoint" in reason:
        raise SystemExit(f"the CUDA engine cannot be used: {reason}")
    try:
        farpoint.select(np.eye(3), 2, backend="cuda")
    except RuntimeError as error:
        if reason not in str(error):
            raise SystemExit(f"backend='cuda' is refused with {error}, not with {reason}") from error
        return
    raise SystemExit("backend='cuda' computes, but show_config says that it cannot be used")


if __name__ == "__main__":
    main()
