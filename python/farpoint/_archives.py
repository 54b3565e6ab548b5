"""Arrays from .npz archives, whoever made them.

zipfile and numpy believe what an archive says of itself. Here nothing is unpickled, no member's name is ever
the name of a file, and what an array takes is known, and checked against a limit, before any of it is
decompressed: the size in the .npy header, the size in the archive's directory and what the compressed bytes
can hold must agree.

Whatever is wrong is a ValueError that does not name the file: the caller does, who knows what it was to be.
"""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

# How many bytes one byte of a member can become. Deflate does no better; other methods have no such bound and
# are not what numpy writes.
_LARGEST_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
# What the arrays of an archive may take where the caller sets no limit: numbers that mean something are not
# compressed a hundredfold, small archives may be.
_USUAL_EXPANSION = 100
_SMALL = 1 << 28
# The header of an .npy file: numpy writes 128 bytes for all but structured types, which are no matrices.
_HEADER_BYTES = 4096
_CHUNK_BYTES = 1 << 20
# Bits of a member's flags: encrypted, patch data, strongly encrypted, with a masked directory.
_UNREADABLE_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000


@dataclass(frozen=True)
class _Header:
    """What an .npy file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    size: int  # of the header itself

    @property
    def payload(self) -> int:
        """Bytes that the elements take."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count * self.dtype.itemsize


@contextmanager
def open_archive(path: str | os.PathLike[str], *, limit: int | None = None) -> Iterator[ArrayArchive]:
    """Open an .npz file whose directory has been checked.

    Parameters
    ----------
    path : path-like
        A regular file.
    limit : int, optional
        How many bytes the arrays that are read from it may take together. Default: 256 MiB or a hundred times
        the size of the file, whichever is more.

    Raises
    ------
    ValueError
        It is no .npz archive, is damaged, or was not written by numpy.
    OSError
        It cannot be opened.
    """
    file = Path(path)
    # Opening a pipe would wait for a writer.
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("not a regular file")
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if limit is None:
            limit = max(_SMALL, _USUAL_EXPANSION * size)
        with _damage("not a complete .npz archive"):
            if stream.read(2) != b"PK":
                raise ValueError("it does not begin as one")
            archive = zipfile.ZipFile(stream)
        with archive:
            yield ArrayArchive(archive, size=size, limit=limit)


class ArrayArchive:
    """The arrays of an open archive.

    Attributes
    ----------
    names : list of str
        In the order of the archive. Members that are no .npy files are not arrays and are left alone.
    """

    def __init__(self, archive: zipfile.ZipFile, *, size: int, limit: int) -> None:
        self._archive = archive
        self._limit = limit
        self._taken = 0
        self._members: dict[str, zipfile.ZipInfo] = {}
        members = archive.infolist()
        seen = set()
        for member in members:
            if member.filename in seen:
                raise ValueError(f"member {member.filename!r} is there twice")
            seen.add(member.filename)
            _check_member(member)
            if member.filename.endswith(".npy"):
                self._members[member.filename.removesuffix(".npy")] = member
        if sum(member.compress_size for member in members) > size:
            raise ValueError("its members overlap, or are longer than the file")

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def array(
        self, name: str, *, dtype: npt.DTypeLike | None = None, dimensions: int | None = None
    ) -> npt.NDArray[Any]:
        """Read an array into memory.

        Parameters
        ----------
        name : str
            One of `names`.
        dtype : dtype, optional
            What it must be, in either byte order; returned in the machine's.
        dimensions : int, optional
            How many it must have.
        """
        member = self._member(name)
        header = self._header(name, member)
        native = header.dtype.newbyteorder("=")
        if dtype is not None and native != np.dtype(dtype):
            raise ValueError(f"array {name!r} is {header.dtype}, not {np.dtype(dtype)}")
        if dimensions is not None and len(header.shape) != dimensions:
            raise ValueError(f"array {name!r} has shape {header.shape}, not {dimensions} dimensions")
        if self._taken + header.payload > self._limit:
            raise ValueError(
                f"array {name!r} expands to {header.payload} bytes, where the arrays of this file may take "
                f"{self._limit} bytes together"
            )
        self._taken += header.payload
        flat = self._elements(name, member, header).astype(native, copy=False)
        with _damage(f"array {name!r}"):  # numpy has limits of its own on shapes
            return flat.reshape(header.shape, order="F" if header.fortran_order else "C")

    def text(self, name: str, *, longest: int) -> str:
        """Read a text, kept as an array without dimensions, of at most so many characters."""
        header = self._header(name, self._member(name))
        if header.dtype.kind != "U" or header.shape != ():
            raise ValueError(f"array {name!r} is not a text")
        characters = header.dtype.itemsize // 4
        if characters > longest:
            raise ValueError(f"text {name!r} has {characters} characters, where {longest} are the most")
        elements = self.array(name)
        if (elements.reshape(1).view(np.uint32) > sys.maxunicode).any():
            raise ValueError(f"text {name!r} has characters that do not exist")
        return str(elements[()])

    def json_object(self, name: str, *, longest: int) -> dict[str, Any]:
        """Read a JSON object, kept as a text of at most so many characters."""
        text = self.text(name, longest=longest)
        with _damage(f"text {name!r} is not JSON"):
            found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"text {name!r} is not a JSON object")
        return found

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = self._members.get(name)
        if member is None:
            raise ValueError(f"there is no array {name!r} in it")
        return member

    def _header(self, name: str, member: zipfile.ZipInfo) -> _Header:
        with _damage(f"array {name!r} is damaged"), self._archive.open(member) as stream:
            start = stream.read(_HEADER_BYTES)
        with _damage(f"array {name!r} is not a complete .npy array"):
            header = _parse_header(start)
        if header.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects (pickled), which are not loaded")
        if header.dtype.kind == "V" and header.dtype.names is not None:
            raise ValueError(f"array {name!r} is structured, not of numbers or texts")
        if header.size + header.payload != member.file_size:
            raise ValueError(
                f"array {name!r} says that it takes {header.size + header.payload} bytes, "
                f"its archive that it takes {member.file_size}"
            )
        return header

    def _elements(self, name: str, member: zipfile.ZipInfo, header: _Header) -> npt.NDArray[Any]:
        """Decompress the elements into one dimension."""
        content = np.empty(header.payload, dtype=np.uint8)
        view = content.data
        with _damage(f"array {name!r} is damaged"), self._archive.open(member) as stream:
            stream.read(header.size)
            for begin in range(0, len(view), _CHUNK_BYTES):
                _fill(stream, view[begin : begin + _CHUNK_BYTES])
            # The checksum is compared where the member ends.
            if stream.read(1):
                raise ValueError("it is longer than it says")
        return content.view(header.dtype)


@contextmanager
def _damage(trouble: str) -> Iterator[None]:
    """Say of whatever a damaged archive makes zipfile, zlib, numpy and json raise that it is damage."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{trouble}: {reason}") from error


def _check_member(member: zipfile.ZipInfo) -> None:
    """Refuse what numpy would not have written and what cannot be true."""
    if member.flag_bits & _UNREADABLE_FLAGS:
        raise ValueError(f"member {member.filename!r} is encrypted or patched")
    expansion = _LARGEST_EXPANSION.get(member.compress_type)
    if expansion is None:
        raise ValueError(f"member {member.filename!r} has an unknown compression ({member.compress_type})")
    if member.file_size > expansion * member.compress_size:
        raise ValueError(
            f"member {member.filename!r} says that it expands from {member.compress_size} to "
            f"{member.file_size} bytes, which is not possible"
        )


def _parse_header(start: bytes) -> _Header:
    """Read the header at the start of an .npy file."""
    stream = io.BytesIO(start)
    version = np.lib.format.read_magic(stream)
    # Version 3 is for names of fields; there are none in what is read here.
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, fortran_order, dtype = readers[version](stream, max_header_size=_HEADER_BYTES)
    if any(extent < 0 for extent in shape) or dtype.itemsize == 0 or dtype.subdtype is not None:
        raise ValueError(f"shape {shape} of {dtype}")
    return _Header(shape, dtype, fortran_order, stream.tell())


def _fill(stream: IO[bytes], view: memoryview) -> None:
    """Read exactly so many bytes."""
    while len(view):
        read = stream.read(len(view))
        if not read:
            raise ValueError("it is shorter than it says")
        view[: len(read)] = read
        view = view[len(read) :]
