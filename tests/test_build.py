"""The package as it is installed: from an sdist, in isolation, with and without a compiler."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USE = """
import json, farpoint
s = farpoint.select([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [0.0, 9.0]], 3)
print(json.dumps({"indices": s.indices.tolist(), "backend": s.info["backend"]}))
"""


def pip(*arguments: str, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        env={**os.environ, **environment},
        timeout=900,
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """Build from tracked files only, as a release would."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    script = "import sys; from scikit_build_core.build import build_sdist; print(build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", script, str(folder)], cwd=tree, check=True, capture_output=True)
    found: list[Path] = list(folder.glob("farpoint-*.tar.gz"))
    return found[0]


def install(wheel: Path, folder: Path) -> str:
    """Unpack beside the installed packages, and use it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    # Without site, so that the editable install's import hook does not answer instead of the wheel.
    paths = [str(folder), *site.getsitepackages()]
    script = f"import sys; sys.path[:0] = {paths!r}; import farpoint; "
    script += f"assert farpoint.__file__.startswith({paths[0]!r})"
    found = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", script + "\n" + USE],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip()


def test_sdist_holds_the_project_and_nothing_else(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "LICENSE",
        "README.md",
        "csrc/core/select.cpp",
        "python/farpoint/py.typed",
        "CMakeLists.txt",
    ):
        assert wanted in names
    assert not [name for name in names if ".venv" in name or name.startswith("build/")]


def test_wheel_from_sdist_in_isolation(sdist, tmp_path):
    pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(sdist))
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("farpoint/_cpu.") and name.endswith(".so") for name in names)
    assert "none-any" not in wheel.name
    for wanted in ("farpoint/py.typed", "farpoint/_cpu.pyi", "farpoint/demo/embeddings.npy"):
        assert wanted in names
    assert wheel.stat().st_size < 8e6
    assert install(wheel, tmp_path / "site") == '{"indices": [0, 3, 2], "backend": "cpu"}'


def test_without_a_compiler_the_install_succeeds_and_numba_computes(sdist, tmp_path):
    pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(sdist), CXX="/bin/false", CC="/bin/false")
    wheel = next(tmp_path.glob("*.whl"))
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    assert install(wheel, tmp_path / "site") == '{"indices": [0, 3, 2], "backend": "numba"}'
