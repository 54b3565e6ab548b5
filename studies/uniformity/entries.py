"""The dictionary entries that the studies of real data take: their texts and their embeddings."""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint import demo

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_REAL_DATA = Path(__file__).parents[3] / "shared" / "data" / "wordnet_minilm_f16.npy"


def embeddings(data: str) -> FloatArray:
    """Return the embeddings of WordNet's 117,659 entries ("all") or of the package's 3,600 ("demo")."""
    if data == "demo":
        return demo.load()[0].astype(np.float32)
    _there(_REAL_DATA)
    rows: FloatArray = np.load(_REAL_DATA).astype(np.float32)
    return rows


def texts(data: str) -> list[str]:
    """Return the entries themselves, "lemma, lemma: gloss", a row of `embeddings` each."""
    if data == "demo":
        return list(demo.load()[1])
    path = _REAL_DATA.with_name("wordnet.txt.gz")
    _there(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def _there(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not beside the checkout; --small takes the package's rows")


@dataclass(frozen=True)
class Records:
    """Instruction-like records, "define: lemma -> gloss": a pool to choose from, and others, held out.

    Parameters
    ----------
    texts : list of str
        The pool's records, then those that are held out.
    embeddings : (records, d) float32 array
        Of the entries they were made of.
    pool : int
        How many records the pool has.
    spread : (held out / 2,) int64 array
        The half of those held out that farthest-first selection takes, their numbers among these.
    """

    texts: list[str]
    embeddings: FloatArray
    pool: int
    spread: IntArray

    @property
    def held_out(self) -> IntArray:
        """The rows that are held out."""
        return np.arange(self.pool, len(self.texts))


@functools.cache
def draw(data: str, pool: int, held_out: int) -> Records:
    """Draw entries, the same every time, and make records of them."""
    lines = texts(data)
    chosen = np.random.default_rng(0).permutation(len(lines))[: pool + held_out]
    X = embeddings(data)[chosen]
    spread = farpoint.select(X[pool:], held_out // 2).indices
    return Records([_record(lines[row]) for row in chosen], X, pool, spread)


def _record(entry: str) -> str:
    lemmas, _, gloss = entry.partition(": ")
    return f"define: {lemmas.split(', ')[0]} -> {gloss}"
