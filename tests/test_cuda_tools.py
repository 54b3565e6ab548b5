"""What `make cuda-check` looks at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN8farpoint4cuda11pick_kernelEPf' for 'sm_80'
ptxas info    : Function properties for _ZN8farpoint4cuda11pick_kernelEPf
    {stack} bytes stack frame, {spilled} bytes spill stores, {spilled} bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers, 1024 bytes smem, 360 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN8farpoint4cuda9set_oddlyEPf' for 'sm_90'
ptxas info    : Function properties for _ZN8farpoint4cuda9set_oddlyEPf
    64 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 255 registers, 360 bytes cmem[0]
"""


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    script = str(TOOLS / "check_cuda_resources.py")
    return subprocess.run([sys.executable, script, str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "stack, spilled, registers, complaint",
    [
        (0, 0, 128, ""),
        (16, 0, 128, "keeps 16 bytes in local memory"),
        (16, 12, 255, "spills 12 bytes"),
        (0, 0, 255, "takes every register"),
    ],
)
def test_hot_kernels_must_not_spill(
    tmp_path: Path, stack: int, spilled: int, registers: int, complaint: str
) -> None:
    text = REPORT.format(stack=stack, spilled=spilled, registers=registers)
    (tmp_path / "a.cu.o.ptxas").write_text(text)
    found = check(tmp_path)
    assert found.returncode == bool(complaint), found.stdout + found.stderr
    assert complaint in found.stdout
    assert "sm_80" in found.stdout
    assert "1024" in found.stdout
    assert "2 kernels; 1 hot (*)" in found.stdout


def test_no_report_is_no_success(tmp_path: Path) -> None:
    found = check(tmp_path)
    assert found.returncode == 1
    assert "no kernel is reported" in found.stderr


def test_the_launcher_keeps_what_the_compiler_says(tmp_path: Path) -> None:
    target = tmp_path / "a.o"
    says = "import sys; print('ptxas info : x\\nwarning: y', file=sys.stderr); sys.exit(3)"
    command = [
        sys.executable,
        str(TOOLS / "keep_ptxas_report.py"),
        sys.executable,
        "-c",
        says,
        "-o",
        str(target),
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert found.stderr == "warning: y\n"
    assert (tmp_path / "a.o.ptxas").read_text() == "ptxas info : x\nwarning: y\n"
