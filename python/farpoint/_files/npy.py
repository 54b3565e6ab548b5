"""numpy's files: .npy, mapped; .npz, mapped where its members are neither compressed nor unaligned.

Pickles are never loaded.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from farpoint._files._choice import choose
from farpoint._mapped import Rows, map_array
from farpoint._spool import Spool

# The parts of a member's local header: its length without name and extra field, and where their lengths are.
_LOCAL_HEADER_BYTES = 30
_LOCAL_LENGTHS = slice(26, 30)
# Bytes that are decompressed, or summed, at a time.
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    bytes: int  # of the header itself


def read_npy(path: Path) -> Rows:
    """Map the array of an .npy file, of any shape."""
    with path.open("rb") as file:
        header = _read_header(file)
        return map_array(file, header.dtype, header.shape, header.bytes, header.order)


def read_npz(path: Path, key: str | None, spool: Spool) -> list[Rows]:
    """Return an array of an archive: where it lies, or decompressed into the spool."""
    if not zipfile.is_zipfile(path):
        raise ValueError("not a complete .npz archive")
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        member = archive.getinfo(members[choose(list(members), key, "array", "key")])
        with archive.open(member) as content:
            header = _read_header(content)
            expected = header.bytes + math.prod(header.shape) * header.dtype.itemsize
            if member.file_size != expected:
                raise ValueError(
                    f"array {member.filename!r} says that it takes {expected:,} bytes, the archive says "
                    f"{member.file_size:,}"
                )
            if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
                begin = _data_offset(file, member)
                if (begin + header.bytes) % header.dtype.alignment == 0:
                    _check_sum(map_array(file, np.dtype(np.uint8), (member.file_size,), begin), member.CRC)
                    return [map_array(file, header.dtype, header.shape, begin + header.bytes, header.order)]
            if len(header.shape) == 2 and header.order == "C" and expected > header.bytes:
                return spool.gather(_blocks(content, header))
            elements = np.frombuffer(content.read(), dtype=header.dtype)
            return [elements.reshape(header.shape, order=header.order)]


def _read_header(file: IO[bytes]) -> _Header:
    try:
        version = np.lib.format.read_magic(file)
        # Version 3 is for structured arrays.
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        shape, fortran_order, dtype = readers[version](file)
    except ValueError as error:
        raise ValueError(f"not a complete .npy array: {error}") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects (pickled), which are not loaded")
    if any(extent < 0 for extent in shape):
        raise ValueError(f"not a complete .npy array: shape {shape}")
    return _Header(shape, "F" if fortran_order else "C", dtype, file.tell())


def _data_offset(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Find where a stored member begins: its local header may be longer than the directory's entry."""
    position = file.tell()
    file.seek(member.header_offset)
    local = file.read(_LOCAL_HEADER_BYTES)
    file.seek(position)
    name, extra = np.frombuffer(local[_LOCAL_LENGTHS], dtype="<u2").tolist()
    return int(member.header_offset + _LOCAL_HEADER_BYTES + name + extra)


def _check_sum(content: Rows, expected: int) -> None:
    found = 0
    for begin in range(0, len(content), _BLOCK_BYTES):
        found = zlib.crc32(content[begin : begin + _BLOCK_BYTES].data, found)
    if found != expected:
        raise ValueError("the archive is damaged: a checksum is wrong")


def _blocks(content: IO[bytes], header: _Header) -> Iterator[Rows]:
    """Rows of a member, as many at a time as make a block."""
    rows, columns = header.shape
    row_bytes = columns * header.dtype.itemsize
    step = max(1, _BLOCK_BYTES // row_bytes)
    for begin in range(0, rows, step):
        wanted = min(step, rows - begin) * row_bytes
        block = content.read(wanted)
        if len(block) != wanted:
            raise ValueError("truncated")
        yield np.frombuffer(block, dtype=header.dtype).reshape(-1, columns)
    if content.read(1):  # where the member ends, its checksum is compared
        raise ValueError("an array is longer than it says")
