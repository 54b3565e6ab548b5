"""The package as it is installed: from an sdist, in isolation, with and without a compiler."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USE = """
import json, farpoint
s = farpoint.select([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [0.0, 9.0]], 3)
print(json.dumps({"indices": s.indices.tolist(), "backend": s.info["backend"]}))
"""

DECOYS = (
    ".venv/x/LICENSE",
    ".venv-bench/x/csrc/a.cpp",
    "build/x/csrc/a.o",
    "dist/python/a.py",
    "farpoint-demo/picks.txt",
    "python/farpoint/__pycache__/a.pyc",
)


NO_COMPILER = {"CXX": "/bin/false", "CC": "/bin/false"}


def pip(*arguments: str, python: str = sys.executable, **environment: str) -> None:
    subprocess.run(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        env={**os.environ, **environment},
        timeout=900,
    )


def hook(name: str, folder: Path, tree: Path, **environment: str) -> Path:
    """Call the build backend as installers do, and return the file that it made."""
    script = (
        f"import sys; sys.path.insert(0, 'tools'); import build_backend as b; print(b.{name}(sys.argv[1]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return folder / found.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what is tracked, with what lies around in a checkout that was used."""
    folder = Path(tmp_path_factory.mktemp("tree"))
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in DECOYS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("not part of the project")
    return folder


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hook("build_sdist", tmp_path_factory.mktemp("sdist"), tree)


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


def test_sdist_holds_the_project_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "LICENSE",
        "README.md",
        "csrc/c/farpoint.h",
        "csrc/core/levels.h",
        "examples/c/select.c",
        "python/farpoint/py.typed",
        "CMakeLists.txt",
        "cmake/cuda.cmake",
        "distributions/cuda13/pyproject.toml",
        "tests/conftest.py",
        "tools/build_backend.py",
    ):
        assert wanted in names
    assert not names & set(DECOYS)
    assert not [name for name in names if name.startswith((".venv", "build/", "dist/"))]


def test_wheel_from_sdist_in_isolation(sdist: Path, tmp_path: Path) -> None:
    # The CUDA engine, which takes minutes, is built by `make cuda-check`. With a developer's warnings, what
    # ccache has of a developer's build is found again.
    options = "-DFARPOINT_CUDA=OFF -DFARPOINT_WERROR=ON"
    pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(sdist), CMAKE_ARGS=options)
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("farpoint/_cpu.") and name.endswith(".so") for name in names)
    assert "none-any" not in wheel.name
    for wanted in (
        "py.typed",
        "_cpu.pyi",
        "demo/embeddings.npy",
        "include/farpoint.h",
        "lib/libfarpoint.so",
        "lib/libfarpoint.so.1",
        "lib/cmake/farpoint/farpointConfig.cmake",
        "lib/pkgconfig/farpoint.pc",
    ):
        assert f"farpoint/{wanted}" in names
    assert wheel.stat().st_size < 8e6
    assert [text.partition(">")[0] for text in requirements(wheel)] == ["numpy"]
    assert install(wheel, tmp_path / "site") == '{"indices": [0, 3, 2], "backend": "cpu"}'
    link_and_run(tmp_path / "site" / "farpoint", tmp_path)


def link_and_run(package: Path, folder: Path) -> None:
    """Compile the example in C with what is in the package, which checks its own answers."""
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    search = (f"-I{package}/include", f"-L{package}/lib", f"-Wl,-rpath,{package}/lib")
    program = str(folder / "select")
    subprocess.run(
        ["cc", "-std=c99", str(ROOT / "examples/c/select.c"), *search, "-lfarpoint", "-o", program],
        check=True,
    )
    subprocess.run([program], check=True, capture_output=True)


def requirements(wheel: Path) -> list[str]:
    """Return what a wheel requires without any extra; its RECORD must be true."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert sorted(row[0] for row in rows) == sorted(archive.namelist())
        for name, digest, size in rows:
            if name != record:
                content = archive.read(name)
                expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, int(size)) == (f"sha256={expected}", len(content)), name
        metadata = email.message_from_bytes(archive.read(record.replace("RECORD", "METADATA")))
    return [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]


def test_without_a_compiler_numba_is_installed_and_computes(sdist: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = str(tmp_path / "bin" / "python")
    pip("install", str(sdist), python=python, **NO_COMPILER)
    found = subprocess.run([python, "-c", USE], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == '{"indices": [0, 3, 2], "backend": "numba"}'
    assert found.stderr.count("compiled extension is not installed; computing with Numba") == 1
    asked = "import farpoint; farpoint.get_include()"
    found = subprocess.run(
        [python, "-W", "ignore", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (
        "RuntimeError: farpoint was installed without farpoint.h: no C++20 compiler was found" in found.stderr
    )


def test_an_editable_install_without_a_compiler_requires_numba_too(tree: Path, tmp_path: Path) -> None:
    wheel = hook("build_editable", tmp_path, tree, **NO_COMPILER)
    assert wheel.name.endswith("-none-any.whl")
    assert [text.partition(">")[0] for text in requirements(wheel)] == ["numpy", "numba", "threadpoolctl"]


@pytest.mark.parametrize("value", ["", "MAYBE", "on"])
def test_an_unknown_value_of_farpoint_cuda_is_refused(value: str, tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cmake is None:
        pytest.skip("CMake is not installed")
    options = (f"-DFARPOINT_CUDA={value}", "-DFARPOINT_PYTHON=OFF")
    found = subprocess.run(
        [cmake, "-S", str(ROOT), "-B", str(tmp_path), *options], capture_output=True, text=True, check=False
    )
    assert found.returncode != 0
    assert f"FARPOINT_CUDA must be AUTO, ON, OFF or EMULATE, not '{value}'" in " ".join(found.stderr.split())
