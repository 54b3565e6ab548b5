"""One test, every engine: backends, SIMD levels and thread counts are parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import farpoint
from farpoint.backends import BACKENDS
from farpoint.backends.cpu import EAGER_VARIABLE, SIMD_VARIABLE

Array = npt.NDArray[Any]
Check = Callable[..., farpoint.Selection]

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "wordnet_minilm_f16.npy"


@dataclass(frozen=True)
class Engine:
    """A way to compute, as arguments of the public functions and a value of the environment."""

    backend: str
    simd: str = ""
    threads: int = 1
    eager: bool = False  # the C++ engine takes up every stage at once

    def __str__(self) -> str:
        eager = "eager" if self.eager else ""
        return "-".join(part for part in (self.backend, self.simd, f"{self.threads}t", eager) if part)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"backend": self.backend, "threads": self.threads}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Set the environment; for tests that cannot use the fixture, such as Hypothesis's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SIMD_VARIABLE, self.simd)
            patch.setenv(EAGER_VARIABLE, "1" if self.eager else "")
            yield


def _engines() -> list[Engine]:
    found = []
    if BACKENDS["cpu"].unavailable() is None:
        from farpoint import _cpu

        for level in _cpu.simd_levels():
            found += [Engine("cpu", level, threads) for threads in (1, 3)]
            found.append(Engine("cpu", level, 2, eager=True))
    found += [Engine("numba", threads=threads) for threads in (1, 2)]
    return found


ENGINES = _engines()
EVERY_ENGINE = [*ENGINES, Engine("reference")]

every_engine = pytest.mark.parametrize("engine", EVERY_ENGINE, ids=str)


def pytest_report_header() -> str:
    return "engines: " + ", ".join(map(str, EVERY_ENGINE))


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Every engine but the reference, active for the test."""
    chosen: Engine = request.param
    with chosen.active():
        yield chosen


def assert_same(actual: farpoint.Selection, expected: farpoint.Selection) -> None:
    """Equal to the bit, in everything but how it was computed."""
    np.testing.assert_array_equal(actual.indices, expected.indices)
    np.testing.assert_array_equal(actual.radii, expected.radii)
    assert actual.covering_radius == expected.covering_radius
    assert actual.metric == expected.metric
    for ours, theirs in ((actual.labels, expected.labels), (actual.distances, expected.distances)):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def check(engine: Engine) -> Check:
    """Select with this engine, compare with the reference, return the selection."""

    def run(X: Any, k: int | float | None = None, **options: Any) -> farpoint.Selection:
        expected = farpoint.select(X, k, backend="reference", **options)
        actual = farpoint.select(X, k, **options, **engine.arguments)
        assert actual.info["backend"] == engine.backend
        assert_same(actual, expected)
        return actual

    return run
