"""Compare the wheels that cibuildwheel would build with those that are promised; status 1 if they differ.

cibuildwheel reads its options from pyproject.toml, refuses those that it does not know, and lists what they
ask for. Nothing is built, and no network is needed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("310", "311", "312", "313", "314")
TARGETS = {
    ".": {"linux": ("manylinux_x86_64", "manylinux_aarch64"), "macos": ("macosx_x86_64", "macosx_arm64")},
    "distributions/cuda13": {"linux": ("manylinux_x86_64", "manylinux_aarch64")},
}


def main() -> int:
    """Run."""
    if importlib.util.find_spec("cibuildwheel") is None:
        print("the wheels to build are not checked: cibuildwheel needs Python 3.11 or later", file=sys.stderr)
        return 0
    wrong = 0
    for package, platforms in TARGETS.items():
        for platform, tags in platforms.items():
            wanted = {f"cp{version}-{tag}" for version in PYTHONS for tag in tags}
            command = [
                sys.executable,
                "-m",
                "cibuildwheel",
                "--print-build-identifiers",
                "--platform",
                platform,
            ]
            found = subprocess.run(
                [*command, "--platform", platform, package],
                cwd=ROOT,
                check=False,
                stdout=subprocess.PIPE,
                text=True,
            )
            if found.returncode or set(found.stdout.split()) != wanted:
                different = sorted(wanted.symmetric_difference(found.stdout.split()))
                print(f"{package}, {platform}: not as promised: {' '.join(different)}", file=sys.stderr)
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
