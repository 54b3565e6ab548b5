"""RDKit's MaxMinPicker on farpoint: the same picks of bit vectors, faster.

Fingerprints are compared by their Tanimoto distance, which is farpoint's metric "jaccard". RDKit itself is
needed only where its bit vectors are given: rows of packed bits do without.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint

__all__ = ["MaxMinPicker", "packed_bits"]

_Bits = npt.NDArray[np.uint8]
_Rows = npt.NDArray[np.int64]
_Distances = npt.NDArray[np.float64]

# ExplicitBitVect.ToBinary: version, bits, bits set, as 32-bit numbers; then the number of zeros before each
# set bit and after the last, each in 1 to 4 bytes, lowest first. Their lowest bits, 0, 01, 011 or 111, say
# how many bytes; what is left of them counts on from what fewer bytes hold. By the three lowest bits:
_VERSION = -32
_HEADER_BYTES = 12
_BYTES = np.array([1, 2, 1, 3, 1, 2, 1, 4], dtype=np.int64)
_MASK = ((1 << 8 * _BYTES) - 1).astype(np.uint32)
_SHIFT = np.array([1, 2, 1, 3, 1, 2, 1, 3], dtype=np.uint32)
_FIRST = np.array([0, 0, 1 << 7, (1 << 7) + (1 << 14), (1 << 7) + (1 << 14) + (1 << 21)], dtype=np.int64)[
    _BYTES
]
_BIT = (1 << np.arange(8)).astype(np.uint8)
# Vectors that are decoded at a time.
_BLOCK = 1 << 14


def packed_bits(vectors: Sequence[Any]) -> _Bits:
    """Return RDKit's bit vectors as rows of packed bits, for `farpoint.select` with metric "jaccard".

    Parameters
    ----------
    vectors : sequence of ExplicitBitVect
        All of the same number of bits, at least one.

    Returns
    -------
    (n, ceil(bits / 8)) uint8 array
        Bit i of a vector is bit i % 8, counted from the lowest, of byte i // 8:
        ``numpy.unpackbits(rows, axis=1, bitorder="little")`` unpacks them.

    Raises
    ------
    TypeError, ValueError
        Not bit vectors, or of different lengths.

    Notes
    -----
    RDKit hands over a vector at a time, in Python: that is most of what this costs. Where fingerprints are
    computed, rows of packed bits are cheaper: ``numpy.packbits(generator.GetFingerprintAsNumPy(molecule))``.

    Examples
    --------
    >>> from rdkit import DataStructs
    >>> packed_bits([DataStructs.CreateFromBitString("1100000001")])
    array([[3, 2]], dtype=uint8)
    """
    texts: list[bytes] = []
    for vector in vectors:
        if type(vector).__name__ != "ExplicitBitVect":
            raise TypeError(
                f"object {len(texts)} is a {type(vector).__name__}; pass ExplicitBitVects, or a matrix of "
                "packed bits, uint8"
            )
        texts.append(vector.ToBinary())
    if not texts:
        raise ValueError("there are no bit vectors")
    headers = np.frombuffer(b"".join(text[:_HEADER_BYTES] for text in texts), dtype="<i4").reshape(-1, 3)
    bits = headers[:, 1]
    if (bits != bits[0]).any():
        other = int(np.argmax(bits != bits[0]))
        raise ValueError(f"bit vector {other} has {bits[other]} bits where the first has {bits[0]}")
    columns = -(-int(bits[0]) // 8)
    if (headers[:, 0] != _VERSION).any():
        return _slowly_packed(vectors, columns)
    rows = np.zeros((len(texts), columns), dtype=np.uint8)
    for begin in range(0, len(texts), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        _decode(texts[block], headers[block, 2].astype(np.int64), rows[block])
    return rows


def _decode(texts: list[bytes], set_bits: _Rows, rows: _Bits) -> None:
    """Set the bits of texts in rows of zeros, one bit of every vector at a time."""
    # Four bytes can be read anywhere: the last text is padded.
    data = b"".join(texts) + bytes(3)
    words: npt.NDArray[np.uint32] = np.ndarray(len(data) - 3, dtype="<u4", buffer=data, strides=(1,))
    ends = np.cumsum([len(text) for text in texts])
    place = np.concatenate(([0], ends[:-1])) + _HEADER_BYTES
    # Those with the most bits first: the vectors that still have one are a prefix.
    order = np.argsort(-set_bits, kind="stable")
    place, left = place[order], set_bits[order]
    before = order * (8 * rows.shape[1]) - 1  # the last bit that was set, of all rows' bits
    flat = rows.reshape(-1)
    for count in np.searchsorted(-left, -np.arange(1, left[0] + 1), side="right"):
        word = words[place[:count]]
        kind = word & 7
        before[:count] += (((word & _MASK[kind]) >> _SHIFT[kind]) + _FIRST[kind]) + 1
        bit = before[:count]
        flat[bit >> 3] |= _BIT[bit & 7]
        place[:count] += _BYTES[kind]


def _slowly_packed(vectors: Sequence[Any], columns: int) -> _Bits:
    """Pack vectors of an RDKit whose texts are of another version than ours."""
    from rdkit import DataStructs

    text = b"".join(DataStructs.BitVectToBinaryText(vector) for vector in vectors)
    return np.frombuffer(text, dtype=np.uint8).reshape(len(vectors), columns)


class MaxMinPicker:
    """In place of rdkit.SimDivFilters.rdSimDivPickers.MaxMinPicker, for bit vectors.

    Parameters
    ----------
    backend, threads
        As for `farpoint.select`.

    Notes
    -----
    The picks are those of RDKit, ties and vectors without bits included: RDKit holds two empty vectors to be
    at distance 1, farpoint's metric "jaccard" at 0. From a seed of 0 or more the first pick is RDKit's too;
    from -1 both draw it at random.

    Examples
    --------
    >>> bits = np.array([[0b1111], [0b0111], [0b110000], [0b1000]], dtype=np.uint8)
    >>> MaxMinPicker().LazyBitVectorPick(bits, 4, 3, firstPicks=(0,))
    [0, 2, 3]
    >>> MaxMinPicker().LazyBitVectorPickWithThreshold(bits, 4, 4, 0.5, firstPicks=(0,))
    ([0, 2, 3], 0.75)
    """

    def __init__(self, *, backend: str = "auto", threads: int | None = None) -> None:
        self.backend = backend
        self.threads = threads

    def LazyBitVectorPick(  # noqa: N802
        self,
        objects: Any,
        poolSize: int,
        pickSize: int,
        firstPicks: Iterable[int] = (),
        seed: int = -1,
        useCache: object = None,
    ) -> list[int]:
        """Pick diverse bit vectors: each the one farthest from all picks so far.

        Parameters
        ----------
        objects : sequence of ExplicitBitVect, or (n, d) uint8 array
            What to pick from: bit vectors of one length, or rows of packed bits.
        poolSize : int
            Pick among the first so many.
        pickSize : int
            How many picks, those of `firstPicks` among them.
        firstPicks : iterable of int
            Picks that are made.
        seed : int
            For the first pick where there are no `firstPicks`; -1: a random one.
        useCache
            Ignored, as by RDKit.

        Returns
        -------
        list of int

        Raises
        ------
        ValueError, TypeError, IndexError
            With the argument and what is wrong with it.
        """
        del useCache
        return self._pick(objects, poolSize, pickSize, -1.0, firstPicks, seed)[0]

    def LazyBitVectorPickWithThreshold(  # noqa: N802
        self,
        objects: Any,
        poolSize: int,
        pickSize: int,
        threshold: float,
        firstPicks: Iterable[int] = (),
        seed: int = -1,
    ) -> tuple[list[int], float]:
        """Pick diverse bit vectors until the next would be at `threshold` or nearer.

        Parameters
        ----------
        objects, poolSize, pickSize, firstPicks, seed
            As for `LazyBitVectorPick`.
        threshold : float
            Stop before a pick whose distance to an earlier one is at most this; below 0: never.

        Returns
        -------
        picks : list of int
        threshold : float
            The distance of the last pick to its nearest earlier one; -1 where none was made beyond the first.

        Raises
        ------
        ValueError, TypeError, IndexError
            With the argument and what is wrong with it.
        """
        return self._pick(objects, poolSize, pickSize, float(threshold), firstPicks, seed)

    def _pick(
        self,
        objects: Any,
        pool_size: int,
        pick_size: int,
        threshold: float,
        first_picks: Iterable[int],
        seed: int,
    ) -> tuple[list[int], float]:
        pool, wanted = operator.index(pool_size), operator.index(pick_size)
        if pool < 1:
            raise ValueError(f"poolSize must be at least 1, not {pool}")
        if not 0 <= wanted <= pool:
            raise ValueError(f"pickSize must be from 0 to poolSize = {pool}, not {wanted}")
        if len(objects) < pool:
            raise IndexError(f"poolSize = {pool}, but there are {len(objects)} objects")
        if math.isnan(threshold):
            raise ValueError("threshold must be a number, not nan")
        picks = [operator.index(row) for row in first_picks] or [_first_pick(seed, pool)]
        outside = [row for row in picks if not 0 <= row < pool]
        if outside:
            raise ValueError(f"firstPicks holds {outside[0]}; the pool is 0 to {pool - 1}")
        if wanted <= len(picks):
            return picks, -1.0
        if isinstance(objects, np.ndarray):
            if objects.dtype != np.uint8 or objects.ndim != 2:
                raise TypeError(
                    "an array of objects must be rows of packed bits, 2-D uint8; this one has shape "
                    f"{objects.shape} and dtype {objects.dtype} "
                    "(numpy.packbits(objects, axis=1) packs booleans)"
                )
            rows: _Bits = objects[:pool]
        else:
            rows = packed_bits([objects[i] for i in range(pool)])
        # RDKit stops at the threshold, not below it.
        closest = math.nextafter(threshold, math.inf) if threshold >= 0 else 0.0
        found, distances = self._farthest(rows, wanted - len(picks), picks, closest)
        kept = int(np.count_nonzero(distances >= closest))
        return [*picks, *found[:kept].tolist()], float(distances[kept - 1]) if kept else -1.0

    def _farthest(
        self, rows: _Bits, count: int, picks: list[int], closest: float
    ) -> tuple[_Rows, _Distances]:
        """Return up to `count` rows after `picks`, and their distances to what comes before.

        All that are at `closest` or farther, and perhaps more.
        """
        made = np.unique(picks)
        has_bits = _has_bits(rows)
        empty = np.flatnonzero(~has_bits)
        if len(empty) == 0:
            selection = self._select(rows, count, closest, selected=made)
            return selection.indices, selection.radii
        # A row without bits is at 1 from all others, more than which none is, and lowers no other's distance.
        # So those with bits follow each other as without it, and it comes in before the first that is nearer.
        full = np.flatnonzero(has_bits)
        numbers = np.searchsorted(full, np.setdiff1d(made, empty))
        free = len(full) - len(numbers)
        found, distances = np.empty(0, dtype=np.int64), np.empty(0)
        if free:
            # Where nothing is near yet, the lowest is the first.
            first: dict[str, Any] = {"selected": numbers} if len(numbers) else {"start": 0}
            selection = self._select(rows[full], min(count, free), closest, **first)
            found, distances = selection.indices, np.minimum(selection.radii, 1.0)
        found = full[found]
        waiting = np.setdiff1d(empty, made)
        at_one = int(np.count_nonzero(distances == 1.0))
        # Among those at distance 1 the lowest comes first, which need not be the next in the order of the
        # others: these keep theirs.
        order: list[int] = []
        ahead = list(found[:at_one])
        for row in waiting.tolist():
            while ahead and ahead[0] < row:
                order.append(int(ahead.pop(0)))
            order.append(row)
        merged = np.array([*order, *ahead, *found[at_one:]], dtype=np.int64)
        values = np.concatenate((np.ones(len(waiting) + at_one), distances[at_one:]))
        return merged[:count], values[:count]

    def _select(self, rows: _Bits, count: int, closest: float, **options: Any) -> farpoint.Selection:
        return farpoint.select(
            rows,
            count,
            metric="jaccard",
            min_distance=closest,
            backend=self.backend,
            threads=self.threads,
            **options,
        )


def _has_bits(rows: _Bits) -> npt.NDArray[np.bool_]:
    """Return which rows have any bit set."""
    if rows.shape[1] % 8 == 0 and rows.flags.c_contiguous:
        rows = rows.view(np.uint64)  # eight times as fast
    return np.asarray(rows.any(axis=1))


def _first_pick(seed: int, pool: int) -> int:
    """Return the row that RDKit draws: boost's mt19937, and its uniform_int over the pool."""
    seed = operator.index(seed)
    if not -(1 << 31) <= seed < 1 << 31:
        raise ValueError(f"seed must fit into 32 bits with a sign, as RDKit's; {seed} does not")
    if seed < 0:
        return int(np.random.default_rng().integers(pool))
    if pool == 1:
        return 0
    largest = (1 << 32) - 1
    # Equal buckets of the generator's 2^32 numbers; what is left over is drawn again.
    size = largest // pool + (largest % pool == pool - 1)
    generator = np.random.RandomState(seed)
    while True:
        drawn = int(generator.randint(0, 1 << 32, dtype=np.uint32)) // size
        if drawn < pool:
            return drawn
