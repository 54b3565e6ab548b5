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
    if found.dtype == object or "pickle" in _codecs(found):
        raise ValueError("holds pickled objects, which are not loaded")
    if len(found.shape) != 2 or found.shape[1] == 0:
        raise ValueError(f"must be 2-D (rows, columns); it has shape {found.shape}")
    row_bytes = found.shape[1] * found.dtype.itemsize
    chunk = found.chunks[0]
    step = chunk * max(1, _BLOCK_BYTES // (chunk * row_bytes))
    return spool.gather(np.asarray(found[begin : begin + step]) for begin in range(0, found.shape[0], step))


def _codecs(array: Any) -> set[str]:
    """Return the names of what chunks would be decoded by."""
    if hasattr(array, "metadata"):
        described = array.metadata.to_dict()
        stages = [
            *(described.get(name) or () for name in ("codecs", "filters")),
            [described.get("compressor")],
        ]
        codecs = [codec for stage in stages for codec in stage if codec is not None]
    else:  # of zarr before version 3
        codecs = [
            codec.get_config() for codec in (array.compressor, *(array.filters or ())) if codec is not None
        ]
    # Version 3 of the format calls by "name", with a prefix, what version 2 calls by "id".
    return {str(codec.get("id", codec.get("name"))).rpartition(".")[2] for codec in codecs}
