"""What `make wheel` and `make lint` look at in wheels."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
MINIMAL = Path(__file__).parent / "minimal.py"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "tag, file, complaint",
    [
        ("manylinux_2_34_x86_64", "farpoint/_cpu.so", None),
        ("manylinux2014_aarch64.manylinux_2_17_aarch64", "farpoint/_cpu.so", None),
        ("manylinux_2_36_x86_64", "farpoint/lib/libfarpoint.so.0", "has no compiled extension"),
        ("manylinux_2_39_x86_64", "farpoint/_cpu.so", "is not for manylinux_2_36 or older"),
        ("linux_x86_64", "farpoint_cuda13/_cuda.so", "is not for manylinux_2_36 or older"),
    ],
)
def test_wheels_for_few_systems_or_without_an_engine_are_refused(
    tag: str, file: str, complaint: str | None, tmp_path: Path
) -> None:
    wheel = tmp_path / f"farpoint-0-cp311-cp311-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(file, b"")
    found = load(TOOLS / "check_wheel.py").complaints_about(wheel)
    assert found == ([] if complaint is None else [f"{wheel.name} {complaint}"])


def test_wheels_bring_no_libraries_of_others_along(tmp_path: Path) -> None:
    wheel = tmp_path / "farpoint-0-cp311-cp311-manylinux_2_34_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("farpoint/_cpu.so", b"")
        archive.writestr("farpoint.libs/libgomp-24e2ab19.so.1", b"")
    found = load(TOOLS / "check_wheel.py").complaints_about(wheel)
    assert found == [f"{wheel.name} had to bring farpoint.libs/libgomp-24e2ab19.so.1 along"]


def test_the_minimal_test_fails_without_the_compiled_engine() -> None:
    script = f"""
import importlib.util, runpy, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "farpoint._cpu" else real(name, *rest)
sys.argv = ["minimal.py", "--compiled"]
runpy.run_path({str(MINIMAL)!r}, run_name="__main__")
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert found.stderr.startswith("the C++ engine cannot be used: farpoint was installed without")
