"""Make a folder that holds the package as an install would, for machines where nothing can be installed.

python tools/site_folder.py BUILD_FOLDER      makes BUILD_FOLDER/site; PYTHONPATH=BUILD_FOLDER/site uses it
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(
        ROOT / "python" / "farpoint", site / "farpoint", ignore=shutil.ignore_patterns("__pycache__")
    )
    for extension in (*folder.glob("_cpu.*.so"), *folder.glob("_cuda.*.so")):
        shutil.copy2(extension, site / "farpoint")
    found = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert found is not None
    info = site / f"farpoint-{found[1]}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: farpoint\nVersion: {found[1]}\n")
    print(site)


if __name__ == "__main__":
    main()
