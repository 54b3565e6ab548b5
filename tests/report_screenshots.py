"""The pictures of a report in the docs: ``python -m tests.report_screenshots`` makes them, from the demo."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from farpoint import demo
from tests.browser import browser

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1280, 1640


def main() -> None:
    """Write both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo.run(200, folder)
        with browser(folder / "profile") as shown:
            for scheme in ("light", "dark"):
                shown.open(folder / "report.html", width=WIDTH, dark=scheme == "dark")
                shown.screenshot(folder / "page.png", height=HEIGHT)
                path = IMAGES / f"report-{scheme}.png"
                with Image.open(folder / "page.png") as picture:
                    picture.convert("RGB").save(path, optimize=True)
                print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
