"""Peak memory of one call beyond its input, in a process of its own (Linux).

python benchmarks/memory.py DATA.npy K THREADS    prints bytes beyond the input and the input's bytes
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np


def measure(data: Path, k: int, threads: int) -> tuple[int, int]:
    """Return (peak bytes beyond the input, bytes of the input) of a selection from a float32 .npy file."""
    # A fresh process: a fork would start with its parent's peak.
    found = subprocess.run(
        [sys.executable, __file__, str(data), str(k), str(threads)],
        capture_output=True,
        text=True,
        check=True,
    )
    beyond, size = found.stdout.split()
    return int(beyond), int(size)


def _status(field: str) -> int:
    """Return a size of this process in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {field} in /proc/self/status")


def main() -> None:
    """Run the call and print."""
    import farpoint

    data, k, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    X = np.load(data)
    farpoint.select(X[:100].copy(), 10)  # what is loaded once is not the call's
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    farpoint.select(X, k, threads=threads)
    print(_status("VmHWM") - before, X.nbytes)


if __name__ == "__main__":
    main()
