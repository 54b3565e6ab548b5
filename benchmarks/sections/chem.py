"""MaxMin picking of fingerprints, against RDKit's LazyBitVectorPick."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint.chem import MaxMinPicker, packed_bits
from measure import Bench, settled
from report import Row

ABOUT = "MaxMin picking of 2,048-bit fingerprints, against RDKit"
BITS = 2048
FLOOR = 5.0
SEEDS = (0, 42)

Bits = npt.NDArray[np.uint8]


def sparse(n: int) -> Bits:
    """Random rows of 1.5 to 4 % set bits."""
    rng = np.random.default_rng(0)
    rows = np.empty((n, BITS // 8), np.uint8)
    for begin in range(0, n, 1000):
        part = rows[begin : begin + 1000]
        share = rng.uniform(0.015, 0.04, (len(part), 1))
        part[:] = np.packbits(rng.random((len(part), BITS)) < share, axis=1, bitorder="little")
    return rows


def molecules(n: int) -> Bits:
    """Morgan fingerprints of the molecules that RDKit ships, and mixtures of two of them up to n rows."""
    from rdkit import Chem, RDConfig, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    rdBase.DisableLog("rdApp.*")
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    found = [Chem.MolFromSmiles(line.split()[0]) for line in lines]
    own = packed_bits([generator.GetFingerprint(molecule) for molecule in found if molecule is not None])[:n]
    rng = np.random.default_rng(0)
    one, other = (own[rng.integers(0, len(own), n)] for _ in range(2))
    kept, taken = (np.packbits(rng.random((n, BITS)) < share, axis=1) for share in (0.7, 0.3))
    rows: Bits = (one & kept) | (other & taken)
    rows[: len(own)] = own
    return rows


def bit_vectors(rows: Bits) -> list[Any]:
    """RDKit's objects."""
    from rdkit import DataStructs

    vectors = []
    for row in rows:
        vector = DataStructs.ExplicitBitVect(BITS)
        vector.SetBitsFromList(np.flatnonzero(np.unpackbits(row, bitorder="little")).tolist())
        vectors.append(vector)
    return vectors


def run(bench: Bench) -> None:
    """Measure."""
    n, k = (10_000, 200) if bench.quick else (100_000, 1000)
    bench.section.data = f"{n:,} fingerprints of {BITS:,} bits"
    for name, make in (("random", sparse), ("molecules", molecules)):
        bench.say(f"making {name}")
        case(bench, name, make(n), k)
    bench.section.notes.append(
        "RDKit's picker has no threads. Packed rows are a matrix of uint8; of ExplicitBitVects farpoint "
        "first asks each for its bits in Python, with one thread."
    )


def case(bench: Bench, name: str, rows: Bits, k: int) -> None:
    """Measure one set of fingerprints."""
    from rdkit.SimDivFilters.rdSimDivPickers import MaxMinPicker as Original

    vectors = bit_vectors(rows)
    n = len(rows)
    farpoint.select(rows[:1000], 10, metric="jaccard")
    bench.say(f"{name}, RDKit")
    theirs, reference = settled(partial(Original().LazyBitVectorPick, vectors, n, k, (), SEEDS[-1]))
    table = [Row("RDKit", reference, {}, "")]
    taken: dict[str, float] = {}
    for what, objects, threads in (
        ("packed rows", rows, bench.threads),
        ("packed rows, 1 thread", rows, 1),
        ("ExplicitBitVects", vectors, bench.threads),
    ):
        bench.say(f"{name}, {what}")
        picker = MaxMinPicker(threads=threads)
        ours, taken[what] = settled(partial(picker.LazyBitVectorPick, objects, n, k, (), SEEDS[-1]))
        if ours != list(theirs):
            bench.section.wrong.append(f"{name}, {what}: other picks than RDKit's")
        table.append(Row(f"farpoint, {what}", taken[what], {}, "the same picks"))
    for row in table:
        row.figures["x RDKit"] = f"{reference / row.seconds:.2f}"
    for seed in SEEDS[:-1]:
        if MaxMinPicker().LazyBitVectorPick(rows, n, k, (), seed) != list(
            Original().LazyBitVectorPick(vectors, n, k, (), seed)
        ):
            bench.section.wrong.append(f"{name}, seed {seed}: other picks than RDKit's")
    bench.section.tables[f"{name}, k = {k:,}"] = table
    bench.section.at_least(f"{name}, packed rows: speed of RDKit", reference / taken["packed rows"], FLOOR)
