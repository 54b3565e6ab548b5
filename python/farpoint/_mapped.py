"""Arrays in files, mapped into memory: read when they are looked at, and dropped when memory is wanted."""

from __future__ import annotations

import math
import mmap
import os
import sys
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]


def map_array(
    file: IO[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    offset: int,
    order: Literal["C", "F"] = "C",
) -> Rows:
    """Return the array at `offset` of an open file, read-only; the file may be closed afterwards.

    Raises
    ------
    ValueError
        The file ends before the array does.
    """
    size = math.prod(shape) * dtype.itemsize
    end = os.fstat(file.fileno()).st_size
    if any(extent < 0 for extent in shape) or offset + size > end:
        raise ValueError(
            f"truncated: {offset + size:,} bytes are needed for shape {shape}, there are {end:,}"
        )
    if size == 0:
        return np.empty(shape, dtype=dtype)
    # A mapping begins at a page, and keeps a file descriptor where Python cannot be told not to.
    before = offset % mmap.ALLOCATIONGRANULARITY
    options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    memory = mmap.mmap(
        file.fileno(), before + size, access=mmap.ACCESS_READ, offset=offset - before, **options
    )
    array: Rows = np.ndarray(shape, dtype=dtype, buffer=memory, offset=before, order=order)
    return array
