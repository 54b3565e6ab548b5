"""MaxMinPicker beside RDKit's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farpoint.chem import MaxMinPicker, _slowly_packed, packed_bits
from tests.conftest import Array

rdkit = pytest.importorskip("rdkit", reason="rdkit is not installed: pip install rdkit")

from rdkit import Chem, DataStructs, RDConfig, rdBase  # noqa: E402
from rdkit.Chem import rdFingerprintGenerator  # noqa: E402
from rdkit.SimDivFilters.rdSimDivPickers import MaxMinPicker as Original  # noqa: E402


def bit_vectors(bits: Array) -> list[Any]:
    """ExplicitBitVects of rows of booleans."""
    texts = (np.asarray(bits, dtype=np.uint8) + ord("0")).view("S1")
    return [DataStructs.CreateFromBitString(row.tobytes().decode()) for row in texts]


def smiles() -> Iterator[str]:
    """Of the molecules that RDKit ships."""
    for line in (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines():
        yield line.split()[0]


@pytest.fixture(scope="module")
def molecules() -> list[Any]:
    """Morgan fingerprints of molecules, 2,048 bits."""
    rdBase.DisableLog("rdApp.*")
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    found = [mol for mol in map(Chem.MolFromSmiles, smiles()) if mol is not None]
    assert len(found) > 3000
    return [generator.GetFingerprint(mol) for mol in found]


def both(vectors: list[Any], *arguments: Any, **options: Any) -> list[int]:
    expected = list(Original().LazyBitVectorPick(vectors, *arguments, **options))
    actual = MaxMinPicker().LazyBitVectorPick(vectors, *arguments, **options)
    assert actual == expected
    return actual


def both_with_threshold(vectors: list[Any], *arguments: Any, **options: Any) -> None:
    picks, threshold = Original().LazyBitVectorPickWithThreshold(vectors, *arguments, **options)
    ours, distance = MaxMinPicker().LazyBitVectorPickWithThreshold(vectors, *arguments, **options)
    assert ours == list(picks)
    assert distance == threshold


def test_molecules(molecules: list[Any]) -> None:
    n = len(molecules)
    both(molecules, n, 400, seed=42)
    both(molecules, 500, 500, seed=0)
    picks = both(molecules, n, 50, seed=7)
    both(molecules, n, 200, firstPicks=picks[10:40])
    for threshold in (0.0, 0.85, 1.0):
        both_with_threshold(molecules, n, 200, threshold, seed=3)
        both_with_threshold(molecules, n, 200, threshold, firstPicks=(5, 9))


def test_packed_rows_are_the_vectors(molecules: list[Any]) -> None:
    rows = packed_bits(molecules[:300])
    unpacked = np.unpackbits(rows, axis=1, bitorder="little")
    for vector, row in zip(molecules[:300], unpacked, strict=True):
        assert list(vector.GetOnBits()) == np.flatnonzero(row).tolist()
    picks = MaxMinPicker().LazyBitVectorPick(rows, 300, 100, seed=1)
    assert picks == list(Original().LazyBitVectorPick(molecules, 300, 100, seed=1))
    # Which bit is where does not matter.
    again = np.packbits(unpacked, axis=1)
    assert MaxMinPicker().LazyBitVectorPick(again, 300, 100, seed=1) == picks


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 64, 300, 2048, 40000])
@pytest.mark.parametrize("density", [0.0, 0.0005, 0.02, 0.5, 1.0])
def test_all_lengths_of_gaps_are_read(bits: int, density: float) -> None:
    """A gap takes one byte up to 127 zeros, three from 16,512 on."""
    rng = np.random.default_rng(bits)
    rows = rng.random((9, bits)) < density
    rows[0] = False
    rows[1] = True
    rows[2, -1] = True
    vectors = bit_vectors(rows)
    packed = packed_bits(vectors)
    np.testing.assert_array_equal(packed, np.packbits(rows, axis=1, bitorder="little"))
    np.testing.assert_array_equal(packed, _slowly_packed(vectors, packed.shape[1]))


def test_the_longest_gaps_are_read() -> None:
    size = (1 << 22) + 5
    vector = DataStructs.ExplicitBitVect(size)
    for bit in (0, 1, 129, 16642, size - 1):
        vector.SetBit(bit)
    row = np.unpackbits(packed_bits([vector])[0], bitorder="little")
    assert np.flatnonzero(row).tolist() == [0, 1, 129, 16642, size - 1]


@pytest.mark.parametrize("seed", range(12))
def test_ties_duplicates_and_empty_vectors(seed: int) -> None:
    """Short vectors: ties everywhere; RDKit holds empty ones to be at distance 1 from each other."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    rows = rng.random((n, int(rng.choice([1, 5, 8, 30])))) < rng.choice([0.05, 0.3, 0.6])
    vectors = bit_vectors(rows)
    both(vectors, n, n, seed=seed)
    both(vectors, n, int(rng.integers(0, n + 1)), seed=seed + 1000)
    first = rng.integers(0, n, int(rng.integers(1, 6))).tolist()  # some twice
    both(vectors, n, int(rng.integers(0, n + 1)), firstPicks=first)
    for threshold in (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0):
        both_with_threshold(vectors, n, n, threshold, seed=seed)
        both_with_threshold(vectors, n, n, threshold, firstPicks=first[:1])


def test_vectors_without_bits_alone() -> None:
    vectors = bit_vectors(np.zeros((7, 16), bool))
    both(vectors, 7, 7, firstPicks=(3,))
    both(vectors, 7, 3, seed=5)
    both_with_threshold(vectors, 7, 7, 0.5, firstPicks=(3,))


def test_the_first_pick_of_a_seed() -> None:
    vectors = bit_vectors(np.ones((5000, 8), bool))
    rng = np.random.default_rng(0)
    for trial in range(400):
        pool = int(rng.integers(1, 5001))
        seed = trial if trial < 100 else int(rng.integers(0, 1 << 31))
        expected = Original().LazyBitVectorPick(vectors, pool, 1, (), seed)[0]
        assert MaxMinPicker().LazyBitVectorPick(vectors[:pool], pool, 1, (), seed) == [expected]
    drawn = {MaxMinPicker().LazyBitVectorPick(vectors, 5000, 1)[0] for _ in range(20)}
    assert len(drawn) > 10


def test_a_pool_is_the_first_rows(molecules: list[Any]) -> None:
    both(molecules[:90], 40, 40, seed=2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 0), ValueError, "poolSize must be at least 1"),
        ((5, 6), ValueError, "pickSize must be from 0 to poolSize = 5"),
        ((5, -1), ValueError, "pickSize must be from 0"),
        ((9, 2), IndexError, "poolSize = 9, but there are 5 objects"),
        ((5, 3, (7,)), ValueError, "firstPicks holds 7; the pool is 0 to 4"),
        ((5, 3, (-1,)), ValueError, "firstPicks holds -1"),
        ((5, 3, (), 1 << 31), ValueError, "seed must fit into 32 bits"),
    ],
)
def test_errors(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    """RDKit raises for the same arguments."""
    vectors = bit_vectors(np.eye(5, dtype=bool))
    with pytest.raises(error, match=message):
        MaxMinPicker().LazyBitVectorPick(vectors, *arguments)
    with pytest.raises((ValueError, IndexError, OverflowError, TypeError)):
        Original().LazyBitVectorPick(vectors, *arguments)


def test_objects_that_are_none() -> None:
    with pytest.raises(TypeError, match="object 1 is a int; pass ExplicitBitVects"):
        MaxMinPicker().LazyBitVectorPick([bit_vectors(np.eye(1, dtype=bool))[0], 3], 2, 2)
    with pytest.raises(TypeError, match=r"2-D uint8; this one has shape \(3, 4\) and dtype bool"):
        MaxMinPicker().LazyBitVectorPick(np.ones((3, 4), bool), 3, 2)
    mixed = [*bit_vectors(np.ones((2, 9), bool)), *bit_vectors(np.ones((1, 10), bool))]
    with pytest.raises(ValueError, match="bit vector 2 has 10 bits where the first has 9"):
        MaxMinPicker().LazyBitVectorPick(mixed, 3, 2)
    with pytest.raises(ValueError, match="threshold must be a number"):
        MaxMinPicker().LazyBitVectorPickWithThreshold(mixed, 3, 2, float("nan"))
