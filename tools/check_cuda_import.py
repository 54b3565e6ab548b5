"""Import the CUDA extension of a build folder, with or without a driver; exit status 1 if that goes wrong.

python tools/check_cuda_import.py BUILD_FOLDER

It must load on any machine, and say in one sentence why no device can be used, if none can.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    sys.path.insert(0, str(parser.parse_args().folder.resolve()))
    extension = importlib.import_module("_cuda")
    print(f"_cuda: {extension.compiler}, {extension.architectures}, runtime {extension.runtime_version()}")
    reason = extension.unavailable()
    if not reason:
        print(f"devices: {extension.devices()}")
        return 0
    print(f"unavailable: {reason}")
    one_sentence = "\n" not in reason and ". " not in reason and 10 < len(reason) < 200
    if not one_sentence:
        print("that is not one clear sentence", file=sys.stderr)
    if Path("/proc/driver/nvidia/version").exists():
        print("and there is a driver", file=sys.stderr)
        return 1
    return 0 if one_sentence else 1


if __name__ == "__main__":
    sys.exit(main())
