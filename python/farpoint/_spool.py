"""Rows that had to be decoded or converted: in memory while they are few, then in a temporary file.

The file has no name: it is unlinked before anything is written to it, and gone with the last array that is
mapped from it, however the process ends. It is written by write calls and mapped afterwards, so that a full
disk is an error of a write and not a fault of a mapping.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from farpoint._mapped import Rows, map_array

# What all rows of a spool may take in memory. Beyond, they are the page cache's business.
_IN_MEMORY_BYTES = 1 << 28


def check_spill_folder(folder: object, *, needed: bool) -> str:
    """Return the folder for temporary files: the system's, if none is named and one is needed."""
    if folder is None:
        if not needed:
            return ""
        import tempfile

        return tempfile.gettempdir()
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"spill_folder must be a path, not {type(folder).__name__}")
    path = Path(os.fsdecode(folder)).absolute()
    if not path.is_dir():
        raise ValueError(f"spill_folder = {str(path)!r} is not a folder")
    return str(path)


class Spool:
    """A place for rows.

    Parameters
    ----------
    folder : path-like, optional
        Where the temporary file goes. Default: the system's folder for them.
    in_memory : bool
        Whether a few rows may stay in memory.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, in_memory: bool = True) -> None:
        self._folder = check_spill_folder(folder, needed=True)
        self._file: IO[bytes] | None = None
        self._room = _IN_MEMORY_BYTES if in_memory else 0
        self._in_memory = 0
        self._in_file = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is mapped stays.
        if self._file is not None:
            self._file.close()

    def gather(self, blocks: Iterable[Rows]) -> list[Rows]:
        """Return blocks of rows, of one dtype and as many columns, as one array; none, if there are none.

        Raises
        ------
        OSError
            They do not fit where the temporary file is.
        """
        kept: deque[Rows] = deque()
        kept_bytes = 0
        rest = iter(blocks)
        for block in rest:
            kept.append(block)
            kept_bytes += block.nbytes
            if self._in_memory + kept_bytes > self._room:
                return [self._written(chain(_drained(kept), rest))]
        self._in_memory += kept_bytes
        return list(kept) if len(kept) < 2 else [np.concatenate(kept)]

    def _written(self, blocks: Iterator[Rows]) -> Rows:
        file = self._opened()
        # A mapping begins at a page.
        begin = self._in_file = self._in_file + -self._in_file % mmap.ALLOCATIONGRANULARITY
        file.seek(begin)
        rows = 0
        for block in blocks:
            self._write(file, np.ascontiguousarray(block).reshape(-1).view(np.uint8))
            rows += len(block)
        return map_array(file, block.dtype, (rows, block.shape[1]), begin)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            import tempfile

            try:
                # Closed at the end of the spool.
                self._file = tempfile.TemporaryFile(  # noqa: SIM115
                    dir=self._folder, prefix="farpoint-", buffering=0
                )
            except OSError as error:
                raise OSError(
                    error.errno, f"no temporary file can be made in {self._folder}: {error.strerror}"
                ) from None
        return self._file

    def _write(self, file: IO[bytes], content: npt.NDArray[np.uint8]) -> None:
        wanted = self._in_file + len(content)
        try:
            while self._in_file < wanted:
                self._in_file += file.write(content[len(content) - (wanted - self._in_file) :].data)
        except OSError as error:
            raise OSError(
                error.errno,
                f"a temporary file in {self._folder} cannot grow to {wanted:,} bytes: {error.strerror}; make "
                "room there, or name another folder as spill_folder",
            ) from None


def _drained(blocks: deque[Rows]) -> Iterator[Rows]:
    """Give each block away, so that it is held no longer than it is used."""
    while blocks:
        yield blocks.popleft()
