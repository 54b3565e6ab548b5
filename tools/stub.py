"""Write an extension's type stub, or check that the committed one is what the extension says.

python tools/stub.py                 write python/farpoint/_cpu.pyi, from the extension that is installed
python tools/stub.py --cuda FOLDER   write python/farpoint/_cuda.pyi, from the extension in a folder
python tools/stub.py --check         exit 1 and show the difference if it is out of date
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "python" / "farpoint"


def generate(module: str, found_in: Path | None) -> str:
    """Return what an extension that is installed, or is in a folder, says of itself."""
    path = [str(found_in)] if found_in else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pybind11_stubgen", module, "-o", folder, "--exit-code"],
            check=True,
            env=environment,
        )
        text = Path(folder, *module.split(".")).with_suffix(".pyi").read_text()
    # Values of attributes are this build's, not the interface's.
    text = re.sub(r"^(\w+: str) = .*$", r"\1", text, flags=re.M)
    return "# Made by tools/stub.py; do not edit.\n" + text


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--cuda", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.cuda:
        text, stub = generate("_cuda", options.cuda), PACKAGE / "_cuda.pyi"
    else:
        text, stub = generate("farpoint._cpu", None), PACKAGE / "_cpu.pyi"
    if not options.check:
        stub.write_text(text)
        return 0
    committed = stub.read_text()
    difference = list(
        difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "extension", lineterm="")
    )
    print("\n".join(difference) or "the stub matches the extension")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
