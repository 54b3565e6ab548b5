"""The matrices that are measured on: real, clustered, uniform. Everything is seeded.

Clustered rows stand for embeddings of many topics, of any number and width:

- 2,000 centres (fewer where there are few rows) with weights from a Pareto distribution of shape 1.2: a few
  topics hold a large share of the rows, most hold a few hundred of a million;
- centre and noise have the same spectrum: the standard deviation of principal axis j falls as j^-1/2, and a
  random rotation hides the axes from anything that looks at columns;
- the noise of a cluster is 0.3 to 0.7 of the spread of the centres, drawn once a cluster, so radii differ
  from cluster to cluster;
- rows come in random order, in chunks that each have their own generator, so that a file can be written in
  pieces and any chunk made again alone.

The rotation is a matrix product: its last bits follow the machine's BLAS, so radii of two machines agree to
about six digits, not to the bit. Answers are checked within a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "wordnet_minilm_f16.npy"
CLUSTERS = 2000
CHUNK_ROWS = 50_000


def clustered_chunks(n: int, d: int, seed: int = 0) -> Iterator[Matrix]:
    """Yield the rows of the clustered matrix, a chunk at a time."""
    generator = np.random.default_rng(seed)
    clusters = max(1, min(CLUSTERS, n // 20))
    spectrum = (np.arange(1, d + 1) ** -0.5).astype(np.float32)
    spectrum /= np.linalg.norm(spectrum)
    rotation = np.linalg.qr(generator.standard_normal((d, d)))[0].astype(np.float32)
    centres = generator.standard_normal((clusters, d), dtype=np.float32) * spectrum
    weights = 1 + generator.pareto(1.2, clusters)
    noise = generator.uniform(0.3, 0.7, clusters).astype(np.float32)
    for number, begin in enumerate(range(0, n, CHUNK_ROWS)):
        generator = np.random.default_rng([seed, number])
        count = min(CHUNK_ROWS, n - begin)
        which = generator.choice(clusters, count, p=weights / weights.sum())
        rows = generator.standard_normal((count, d), dtype=np.float32)
        rows *= spectrum
        rows *= noise[which, None]
        rows += centres[which]
        yield rows @ rotation


def clustered(n: int, d: int, seed: int = 0) -> Matrix:
    """Return the clustered matrix."""
    rows = np.empty((n, d), dtype=np.float32)
    begin = 0
    for chunk in clustered_chunks(n, d, seed):
        rows[begin : begin + len(chunk)] = chunk
        begin += len(chunk)
    return rows


def write_clustered(path: Path, n: int, d: int, dtype: npt.DTypeLike, seed: int = 0) -> None:
    """Write the clustered matrix to an .npy file, without holding it."""
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(n, d))
    begin = 0
    for chunk in clustered_chunks(n, d, seed):
        file[begin : begin + len(chunk)] = chunk
        begin += len(chunk)
    file.flush()


def uniform(n: int, d: int, seed: int = 0) -> Matrix:
    """Return a uniform point cloud."""
    return np.random.default_rng(seed).uniform(size=(n, d)).astype(np.float32)


def real(path: Path | None, n: int | None = None) -> tuple[Matrix, str]:
    """Return real embeddings and what they are: `path`, else those beside the checkout, else clustered rows.

    `n` takes so many of them, evenly.
    """
    path = path or REAL_DATA
    if path.exists():
        rows = np.load(path, mmap_mode="r")
        name = f"real embeddings ({path.name})"
    else:
        rows = clustered(117_659, 384)
        name = "seeded clusters (the real embeddings are not there)"
    if n is not None and n < len(rows):
        rows = rows[:: len(rows) // n][:n]
    taken = np.ascontiguousarray(rows, dtype=np.float32)
    return taken, f"{name}, {taken.shape[0]:,} x {taken.shape[1]} float32"
