"""Make a folder that holds the package as an install would, from what was built in another folder.

python tools/site_folder.py BUILD_FOLDER      makes BUILD_FOLDER/site; PYTHONPATH=BUILD_FOLDER/site uses it
python tools/site_folder.py --python BUILD_FOLDER
    also makes BUILD_FOLDER/python, an environment of that package and what else this Python has installed:
    without the hook of an editable install, which comes before PYTHONPATH, in child processes too
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def install_c_interface(folder: Path, site: Path) -> None:
    """Install the C interface as a wheel has it, if it was built."""
    cache = (folder / "CMakeCache.txt").read_text()
    if re.search(r"^FARPOINT_C:BOOL=ON$", cache, re.M):
        found = re.search(r"^CMAKE_COMMAND:INTERNAL=(.*)$", cache, re.M)
        assert found is not None
        subprocess.run(
            [found[1], "--install", str(folder), "--prefix", str(site), "--component", "c"], check=True
        )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", action="store_true")
    options = parser.parse_args()
    folder = options.folder.absolute()
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(
        ROOT / "python" / "farpoint", site / "farpoint", ignore=shutil.ignore_patterns("__pycache__")
    )
    for extension in (*folder.glob("_cpu.*.so"), *folder.glob("_cuda.*.so")):
        shutil.copy2(extension, site / "farpoint")
    install_c_interface(folder, site)
    found = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert found is not None
    info = site / f"farpoint-{found[1]}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: farpoint\nVersion: {found[1]}\n")
    if options.python:
        venv.create(folder / "python", clear=True)
        packages = sysconfig.get_path("purelib", vars={"base": str(folder / "python")})
        # Paths that come from a .pth file are not searched for such files, which hooks need.
        Path(packages, "farpoint.pth").write_text(f"{site}\n{sysconfig.get_path('purelib')}\n")
    print(site)


if __name__ == "__main__":
    main()
