"""The header of an .npy file, which may come from anyone: it is checked, and nothing is unpickled."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

# Bytes at the start of a file that hold its header: numpy writes 128 for all but structured types, which are
# no matrices.
HEADER_BYTES = 4096


@dataclass(frozen=True)
class NpyHeader:
    """What an .npy file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]
    size: int  # of the header itself

    @property
    def payload(self) -> int:
        """Bytes that the elements take."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse_header(start: bytes) -> NpyHeader:
    """Read the header at the start of an .npy file, of which the first `HEADER_BYTES` are enough.

    Raises
    ------
    ValueError
        It is none, or one of an array that numpy cannot have or that is not of numbers or texts. The message
        names no file: the caller does.
    """
    stream = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        # Version 3 is for names of fields; there are none in what is read here.
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        shape, fortran_order, dtype = readers[version](stream, max_header_size=HEADER_BYTES)
    except Exception as error:  # whatever numpy and its parser of literals raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"is not a complete .npy array: {reason}") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects (pickled), which are not loaded")
    if dtype.names is not None:
        raise ValueError("is structured, not of numbers or texts")
    if dtype.itemsize == 0 or dtype.subdtype is not None or not _can_be(shape, dtype):
        raise ValueError(f"is not a complete .npy array: shape {shape} of {dtype}")
    return NpyHeader(shape, dtype, "F" if fortran_order else "C", stream.tell())


def _can_be(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether numpy can have such an array: dimensions, extents and the size of the whole have limits."""
    try:
        np.broadcast_to(np.uint8(0), (*shape, dtype.itemsize))
    except (ValueError, OverflowError):
        return False
    return True
