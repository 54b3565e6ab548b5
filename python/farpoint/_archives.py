"""Arrays from .npz archives, whoever made them.

zipfile and numpy believe what an archive says of itself. Here nothing is unpickled, no member's name is ever
the name of a file, and what an array takes is known, and checked against a limit, before any of it is
decompressed: the size in the .npy header, the size in the archive's directory and what the compressed bytes
can hold must agree.

Whatever is wrong is a ValueError that does not name the file: the caller does, who knows what it was to be.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from farpoint._mapped import map_array
from farpoint._npy_header import HEADER_BYTES, NpyHeader, parse_header

# How many bytes one byte of a member can become. Deflate does no better; other methods have no such bound and
# are not what numpy writes.
_LARGEST_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
# What the arrays of an archive may take where the caller sets no limit: numbers that mean something are not
# compressed a hundredfold, small archives may be.
_USUAL_EXPANSION = 100
_SMALL = 1 << 28
# Bytes that are decompressed, or summed, at a time.
_CHUNK_BYTES = 1 << 20
# Bits of a member's flags: encrypted, patch data, strongly encrypted, with a masked directory.
_UNREADABLE_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000
# What comes before a member: at its end the lengths of the name and of the extra field that follow.
_LOCAL_HEADER = struct.Struct("<26xHH")


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
            yield ArrayArchive(archive, stream, size=size, limit=limit)


class ArrayArchive:
    """The arrays of an open archive.

    Attributes
    ----------
    names : list of str
        In the order of the archive. Members that are no .npy files are not arrays and are left alone.
    """

    def __init__(self, archive: zipfile.ZipFile, file: IO[bytes], *, size: int, limit: int) -> None:
        self._archive = archive
        self._file = file
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

    def header(self, name: str) -> NpyHeader:
        """Return what an array says of itself; its archive says the same of its size."""
        member = self._member(name)
        with _damage(f"array {name!r} is damaged"), self._archive.open(member) as stream:
            start = stream.read(HEADER_BYTES)
        try:
            header = parse_header(start)
        except ValueError as error:
            raise ValueError(f"array {name!r} {error}") from error
        if header.size + header.payload != member.file_size:
            raise ValueError(
                f"array {name!r} says that it takes {header.size + header.payload} bytes, "
                f"its archive that it takes {member.file_size}"
            )
        return header

    def mapped(self, name: str) -> npt.NDArray[Any] | None:
        """Map an array that lies in the file as it would in memory: neither compressed nor unaligned.

        Its checksum has been compared. It remains when the archive is closed.
        """
        member, header = self._member(name), self.header(name)
        if member.compress_type != zipfile.ZIP_STORED or not header.payload:
            return None
        begin = self._begin(name, member)
        if (begin + header.size) % header.dtype.alignment:
            return None
        content = map_array(self._file, np.dtype(np.uint8), (member.file_size,), begin)
        found = 0
        for chunk in range(0, len(content), _CHUNK_BYTES):
            found = zlib.crc32(content[chunk : chunk + _CHUNK_BYTES].data, found)
        if found != member.CRC:
            raise ValueError(f"array {name!r} is damaged: its checksum is another")
        return map_array(self._file, header.dtype, header.shape, begin + header.size, header.order)

    def blocks(self, name: str) -> Iterator[npt.NDArray[Any]]:
        """Return the elements of an array in the order that they are kept in, a megabyte or so at a time."""
        header = self.header(name)
        if self._taken + header.payload > self._limit:
            raise ValueError(
                f"array {name!r} expands to {header.payload} bytes, where the arrays of this file may take "
                f"{self._limit} bytes together"
            )
        self._taken += header.payload
        return self._decompressed(name, header)

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
        header = self.header(name)
        native = header.dtype.newbyteorder("=")
        if dtype is not None and native != np.dtype(dtype):
            raise ValueError(f"array {name!r} is {header.dtype}, not {np.dtype(dtype)}")
        if dimensions is not None and len(header.shape) != dimensions:
            raise ValueError(f"array {name!r} has shape {header.shape}, not {dimensions} dimensions")
        blocks = self.blocks(name)
        elements = np.empty(header.payload // native.itemsize, dtype=native)
        filled = 0
        for block in blocks:
            elements[filled : filled + len(block)] = block
            filled += len(block)
        return elements.reshape(header.shape, order=header.order)

    def text(self, name: str, *, longest: int) -> str:
        """Read a text, kept as an array without dimensions, of at most so many characters."""
        header = self.header(name)
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

    def _begin(self, name: str, member: zipfile.ZipInfo) -> int:
        """Find where the content of a member begins, behind a header of its own."""
        with _damage(f"array {name!r} is damaged"):
            self._file.seek(member.header_offset)
            local = self._file.read(_LOCAL_HEADER.size)
            name_bytes, extra_bytes = _LOCAL_HEADER.unpack(local)
            return int(self._file.tell() + name_bytes + extra_bytes)

    def _decompressed(self, name: str, header: NpyHeader) -> Iterator[npt.NDArray[Any]]:
        item = header.dtype.itemsize
        step = max(1, _CHUNK_BYTES // item) * item
        with _damage(f"array {name!r} is damaged"), self._archive.open(self._member(name)) as stream:
            stream.read(header.size)
            for begin in range(0, header.payload, step):
                wanted = min(step, header.payload - begin)
                block = stream.read(wanted)
                if len(block) != wanted:
                    raise ValueError("it is shorter than it says")
                yield np.frombuffer(block, dtype=header.dtype)
            # The checksum is compared where the member ends.
            if stream.read(1):
                raise ValueError("it is longer than it says")


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
