"""What a measurement was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

import farpoint

PACKAGES = (
    "farpoint",
    "numpy",
    "numba",
    "torch",
    "fpsample",
    "skmatter",
    "rdkit",
    "scikit-learn",
    "faiss-cpu",
    "cupy-cuda13x",
)

# How run.py tells itself what it started again without.
REMOVED_VARIABLE = "FARPOINT_BENCH_REMOVED"


def describe() -> dict[str, Any]:
    """Return processor, memory, system, compiler, versions, commit and load."""
    config = farpoint.show_config("dict")
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu_model(),
        "cores": config["threads"],
        "simd": config["backends"]["cpu"].get("simd", "none"),
        "compiler": config["backends"]["cpu"].get("compiler", "none"),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "commit": _commit(),
        "blas": blas(),
        "removed": os.environ.get(REMOVED_VARIABLE, ""),
        "versions": versions,
    }


def blas() -> str:
    """Say which library, kernels and threads numpy's matrix products have."""
    from threadpoolctl import threadpool_info

    found = [
        f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'unknown')} kernels, "
        f"{pool['num_threads']} threads"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return "; ".join(found) or "unknown"


def sgemm_flops(size: int = 3072, repeats: int = 6) -> float:
    """Return the best rate of numpy's float32 matrix product here and now, all threads."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal((size, size), dtype=np.float32)
    b = generator.standard_normal((size, size), dtype=np.float32)
    out = np.empty_like(a)
    best = np.inf
    for _ in range(repeats):
        began = time.perf_counter()
        np.matmul(a, b, out=out)
        best = min(best, time.perf_counter() - began)
    return float(2 * size**3 / best)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
