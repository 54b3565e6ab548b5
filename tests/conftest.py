"""One test, every engine: backends, SIMD levels and thread counts are parameters."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import farpoint
from farpoint.backends import BACKENDS, supported
from farpoint.backends._engine import EAGER_VARIABLE
from farpoint.backends.cpu import SIMD_VARIABLE
from tests.answers import by_reference

# OpenMP's threads (scikit-learn's, torch's) that wait for each other do not keep processors from other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

Array = npt.NDArray[Any]
Check = Callable[..., farpoint.Selection]

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "wordnet_minilm_f16.npy"


@dataclass(frozen=True)
class Engine:
    """A way to compute, as arguments of the public functions and values of the environment."""

    backend: str
    simd: str = ""
    threads: int = 1
    eager: bool = False  # the compiled engines take up every stage at once

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


def _load_cuda_extension() -> None:
    """Take the CUDA extension from the folder that FARPOINT_CUDA_EXTENSION names: the emulated one."""
    folder = os.environ.get("FARPOINT_CUDA_EXTENSION")
    if folder:
        path = next(Path(folder).glob("_cuda.*.so"))
        spec = importlib.util.spec_from_file_location("farpoint._cuda", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["farpoint._cuda"] = module


def _engines() -> list[Engine]:
    found = []
    if BACKENDS["cpu"].unavailable() is None:
        from farpoint import _cpu

        for level in _cpu.simd_levels():
            found += [Engine("cpu", level, threads) for threads in (1, 3)]
            found.append(Engine("cpu", level, 2, eager=True))
    if NO_DEVICE is None:
        found += [Engine("cuda"), Engine("cuda", eager=True)]
    found += [Engine("numba", threads=threads) for threads in (1, 2)]
    found.append(Engine("reference"))
    wanted = os.environ.get("FARPOINT_TEST_ENGINES")
    if wanted:
        found = [engine for engine in found if engine.backend in wanted.split(",")]
        if not found:
            raise pytest.UsageError(f"no engine is called as FARPOINT_TEST_ENGINES={wanted} says")
    return found


_load_cuda_extension()
NO_DEVICE = BACKENDS["cuda"].unavailable()
# Kernels that run thread by thread are some thousand times slower.
EMULATED = "emulate" in os.environ.get("FARPOINT_CUDA_EXTENSION", "")
# Under `make sanitize` everything is several times slower and takes several times the memory.
SANITIZED = any(name in os.environ.get("LD_PRELOAD", "") for name in ("libasan", "libtsan"))
# Seconds that a busy machine, whose processors tests share, may add to what is promised.
BUSY = 10.0 if SANITIZED else 0.3
EVERY_ENGINE = _engines()
ENGINES = [engine for engine in EVERY_ENGINE if engine.backend != "reference"]

every_engine = pytest.mark.parametrize("engine", EVERY_ENGINE, ids=str)


gpu = pytest.mark.gpu


def pytest_report_header() -> str:
    return "engines: " + ", ".join(map(str, EVERY_ENGINE))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot be run here. What needs a device fails instead where one must be."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    engine, options = parameters.get("engine"), parameters.get("options", {})
    metric = parameters.get("metric") or (options.get("metric") if isinstance(options, dict) else None)
    if isinstance(engine, Engine) and isinstance(metric, str):
        metrics = BACKENDS[engine.backend].capabilities.metrics
        if metric not in metrics and metric in supported("metrics"):
            pytest.skip(f"{engine.backend} does not support {metric}")
    if SANITIZED and item.get_closest_marker("memory"):
        pytest.skip("sanitizers take memory of their own")
    if item.get_closest_marker("gpu") and NO_DEVICE is not None:
        message = f"no CUDA device: {NO_DEVICE}"
        if os.environ.get("FARPOINT_REQUIRE_GPU"):
            pytest.fail(message)
        pytest.skip(message)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where pytest-xdist sees no groups: every worker would compute for minutes what tests share."""
    if not hasattr(session.config, "workerinput") or not session.config.getoption("loadgroup", False):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(f"pytest-xdist does not group tests under pytest {pytest.__version__}")


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
        expected = by_reference(farpoint.select, X, k, **options)
        actual = farpoint.select(X, k, **options, **engine.arguments)
        assert actual.info["backend"] == engine.backend
        assert_same(actual, expected)
        return actual

    return run
