"""Every operation of the CUDA engine once, small, against the reference; for compute-sanitizer.

python tools/gpu_small.py
python tools/gpu_small.py --under "compute-sanitizer --tool racecheck"

Sizes straddle what kernels work in; each is run plainly and with every stage taken up at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint

SHAPES = ((1, 1), (33, 3), (300, 17), (700, 64), (1100, 130))
DTYPES = ("float16", "float32", "float64", "int8", "uint8")
METRICS = ("euclidean", "cosine")


def compare(X: npt.NDArray[np.generic], metric: str) -> None:
    """Raise where an answer differs."""
    n = len(X)
    k = max(1, n // 3)
    options: dict[str, Any] = {"metric": metric, "backend": "cuda"}
    judge: dict[str, Any] = {"metric": metric, "backend": "reference"}
    kept_away: tuple[dict[str, Any], ...] = ({}, {"selected": [0]}, {"anchors": X[: max(1, n // 4)]})
    for more in kept_away:
        picks = min(k, n - len(more.get("selected", ())))
        if picks:
            ours = farpoint.select(X, picks, assign=True, **more, **options)
            theirs = farpoint.select(X, picks, assign=True, **more, **judge)
            np.testing.assert_array_equal(ours.indices, theirs.indices)
            np.testing.assert_array_equal(ours.radii, theirs.radii)
            np.testing.assert_array_equal(ours.labels, theirs.labels)
            np.testing.assert_array_equal(ours.distances, theirs.distances)
    Y = X[::3]
    found, expected = farpoint.nearest(X, Y, **options), farpoint.nearest(X, Y, **judge)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    np.testing.assert_array_equal(
        farpoint.pairwise_distances(X, Y, **options), farpoint.pairwise_distances(X, Y, **judge)
    )
    if n > 1:
        assert farpoint.h_min(X, **options) == farpoint.h_min(X, **judge)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--under", metavar="COMMAND", help="run under this command")
    under = parser.parse_args().under
    if under:
        return subprocess.run([*shlex.split(under), sys.executable, __file__], check=False).returncode
    generator = np.random.default_rng(0)
    compared = 0
    for eager in ("", "1"):
        os.environ["FARPOINT_TEST_EAGER"] = eager
        for n, d in SHAPES:
            for dtype in DTYPES:
                X = (np.abs(generator.standard_normal((n, d))) * 20 + 1).astype(dtype)
                for metric in METRICS:
                    compare(X, metric)
                    compared += 1
    print(f"{compared} instances agree with the reference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
