"""20,000 rows of real embeddings, every engine, against the reference."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pytest

import farpoint
from tests.conftest import REAL_DATA, Array, Engine, assert_same

pytestmark = [
    pytest.mark.skipif(
        not REAL_DATA.exists() and "CI" not in os.environ, reason=f"{REAL_DATA.name} is not there"
    ),
    pytest.mark.xdist_group("real data"),  # what all compare with takes half a minute
]


@cache
def rows() -> Array:
    everything = np.load(REAL_DATA, mmap_mode="r")
    return np.ascontiguousarray(everything[:: len(everything) // 20_000][:20_000]).astype(np.float32)


@cache
def expected() -> farpoint.Selection:
    return farpoint.select(rows(), 2000, backend="reference")


def test_real_rows(engine: Engine) -> None:
    actual = farpoint.select(rows(), 2000, **engine.arguments)
    assert_same(actual, expected())
    if engine.backend == "cpu":
        assert actual.info["fraction_evaluated"] < 1
        assert actual.info["pairs_looked_up"] > 0  # every stage had work
