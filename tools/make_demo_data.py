"""Make the demo's data: every so-many-th row of a matrix of embeddings, with its text.

python tools/make_demo_data.py EMBEDDINGS.npy TEXTS.txt.gz
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

ROWS = 3600
FOLDER = Path(__file__).parents[1] / "python" / "farpoint" / "demo"


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("texts", type=Path)
    options = parser.parse_args()
    embeddings = np.load(options.embeddings, mmap_mode="r")
    with gzip.open(options.texts, "rt", encoding="utf-8") as file:
        texts = file.read().splitlines()
    if len(texts) != len(embeddings):
        parser.error(f"{len(texts)} texts for {len(embeddings)} embeddings")
    rows = np.arange(ROWS) * len(texts) // ROWS
    np.save(FOLDER / "embeddings.npy", np.ascontiguousarray(embeddings[rows], dtype=np.float16))
    content = "".join(texts[row] + "\n" for row in rows)
    # No time stamp: the same input gives the same file.
    (FOLDER / "texts.txt.gz").write_bytes(gzip.compress(content.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
