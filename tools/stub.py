"""Write the extension's type stub, or check that the committed one is what the extension says.

python tools/stub.py           write python/farpoint/_cpu.pyi
python tools/stub.py --check   exit 1 and show the difference if it is out of date
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).parents[1] / "python" / "farpoint" / "_cpu.pyi"


def generate() -> str:
    """Return what the extension that is installed says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pybind11_stubgen", "farpoint._cpu", "-o", folder, "--exit-code"],
            check=True,
        )
        text = (Path(folder) / "farpoint" / "_cpu.pyi").read_text()
    # Values of attributes are this build's, not the interface's.
    text = re.sub(r"^(\w+: str) = .*$", r"\1", text, flags=re.M)
    return "# Made by tools/stub.py; do not edit.\n" + text


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = generate()
    if not check:
        STUB.write_text(text)
        return 0
    committed = STUB.read_text()
    difference = list(
        difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "extension", lineterm="")
    )
    print("\n".join(difference) or "the stub matches the extension")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
