"""An array of a Zarr store, decoded by the zarr package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files._choice import choose
from farpoint._mapped import Rows
from farpoint._spool import Spool

# What says that a folder is a store: of version 2, an array or a group; of version 3.
_MARKS = (".zarray", ".zgroup", "zarr.json")
# Bytes that are decoded at a time, or a chunk's rows, if those are more.
_BLOCK_BYTES = 1 << 24


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / mark).is_file() for mark in _MARKS)


def read_zarr(path: Path, key: str | None, spool: Spool) -> list[Rows]:
    """Decode an array into the spool, some chunks at a time."""
    try:
        import zarr
    except ImportError:
        raise ImportError('Zarr needs the zarr package: pip install "farpoint[zarr]"') from None
    found: Any = zarr.open(str(path), mode="r")
    if isinstance(found, zarr.Group):
        found = found[choose(sorted(name for name, _ in found.arrays()), key, "array", "key")]
    elif key is not None:
        raise ValueError("is one array and has no keys; leave key out")
    if len(found.shape) != 2 or 0 in found.shape:
        return [np.empty(found.shape, dtype=found.dtype)] if 0 in found.shape else [np.asarray(found[:])]
    row_bytes = found.shape[1] * found.dtype.itemsize
    chunk = found.chunks[0]
    step = chunk * max(1, _BLOCK_BYTES // (chunk * row_bytes))
    return spool.gather(np.asarray(found[begin : begin + step]) for begin in range(0, found.shape[0], step))
