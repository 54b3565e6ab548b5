"""Where the CUDA extension is found: built into farpoint, or beside it in farpoint-cuda13."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint.backends import BACKENDS, cuda

ROOT = Path(__file__).parents[1]
X = np.eye(4)
EXTENSION = 'def unavailable():\n    return "this stand-in has no device"\n'
Install = Callable[[str], None]


@pytest.fixture
def not_built_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "farpoint._cuda", None)
    cuda._package.cache_clear()
    yield
    monkeypatch.undo()
    cuda._package.cache_clear()


@pytest.fixture
def install(not_built_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a farpoint-cuda13 of a version, whose extension is a stand-in."""
    for name in ("farpoint_cuda13", "farpoint_cuda13._cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def of(version: str) -> None:
        package = tmp_path / "farpoint_cuda13"
        package.mkdir()
        real = ROOT / "distributions" / "cuda13" / "farpoint_cuda13" / "__init__.py"
        (package / "__init__.py").write_text(real.read_text())
        (package / "_cuda.py").write_text(EXTENSION)
        information = tmp_path / f"farpoint_cuda13-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: farpoint-cuda13\nVersion: {version}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        # Registered, so that it is taken away again.
        for name in ("farpoint_cuda13", "farpoint_cuda13._cuda"):
            monkeypatch.setitem(sys.modules, name, None)
            del sys.modules[name]

    return of


def test_without_either_it_says_how_to_get_one(not_built_in: None) -> None:
    with pytest.raises(RuntimeError, match="built without CUDA.*farpoint-cuda13.*nvcc"):
        farpoint.select(X, 2, backend="cuda")


def test_the_engine_beside_farpoint_is_found(install: Install) -> None:
    install(farpoint.__version__)
    with pytest.raises(RuntimeError, match="backend 'cuda' cannot be used here: this stand-in has no device"):
        farpoint.select(X, 2, backend="cuda")
    assert farpoint.show_config("dict")["backends"]["cuda"] == {
        "available": False,
        "reason": "this stand-in has no device",
    }


def test_one_of_another_version_is_refused(install: Install) -> None:
    install("0.0.7")
    message = (
        f"farpoint-cuda13 0.0.7 is installed with farpoint {farpoint.__version__}, and both must be of one"
    )
    with pytest.raises(RuntimeError, match=message):
        farpoint.select(X, 2, backend="cuda")
    assert f'pip install "farpoint-cuda13=={farpoint.__version__}"' in str(BACKENDS["cuda"].unavailable())
    assert "farpoint_cuda13._cuda" not in sys.modules


def test_one_that_is_built_in_comes_first(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("0.0.7")
    built_in: Any = types.ModuleType("farpoint._cuda")
    built_in.__spec__ = importlib.machinery.ModuleSpec("farpoint._cuda", None)
    built_in.unavailable = lambda: "the one that is built in has none either"
    monkeypatch.setitem(sys.modules, "farpoint._cuda", built_in)
    assert BACKENDS["cuda"].unavailable() == "the one that is built in has none either"


def test_a_broken_one_raises(install: Install, tmp_path: Path) -> None:
    install(farpoint.__version__)
    (tmp_path / "farpoint_cuda13" / "_cuda.py").write_text(
        'raise ImportError("libcudart.so.13 is missing")\n'
    )
    with pytest.raises(ImportError, match=r"libcudart\.so\.13 is missing"):
        farpoint.select(X, 2, backend="cuda")


def test_importing_farpoint_imports_none_of_it(install: Install, tmp_path: Path) -> None:
    install(farpoint.__version__)
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import farpoint
farpoint.select([[0.0], [1.0]], 2, backend="reference")
print([name for name in sys.modules if name.startswith("farpoint_cuda13")])
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_its_metadata_follow_farpoints() -> None:
    tomllib = pytest.importorskip("tomllib", reason="it is of Python 3.11")
    main = tomllib.loads((ROOT / "pyproject.toml").read_text())
    other = tomllib.loads((ROOT / "distributions" / "cuda13" / "pyproject.toml").read_text())
    assert "version" in other["project"]["dynamic"]
    assert main["project"]["requires-python"] == other["project"]["requires-python"]
    assert main["tool"]["cibuildwheel"]["build"] == other["tool"]["cibuildwheel"]["build"]
    assert other["tool"]["scikit-build"]["cmake"]["define"]["FARPOINT_CUDA_PACKAGE"] == cuda.PACKAGES[1]
