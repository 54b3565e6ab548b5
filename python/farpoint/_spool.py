"""Rows that had to be decoded or converted: in memory while they are few, then in a temporary file.

The file has no name: it is unlinked before anything is written to it, and gone with the last array that is
mapped from it, however the process ends. It is written by write calls and mapped afterwards, so that a full
disk is an error of a write and not a fault of a mapping.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from farpoint._mapped import Rows, map_array

# What all rows of a spool may take in memory. Beyond, they are the page cache's business.
_IN_MEMORY_BYTES = 1 << 28


class Spool:
    """A place for rows.

    Parameters
    ----------
    folder : path-like, optional
        Where the temporary file goes. Default: the system's folder for them.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(tempfile.gettempdir() if folder is None else folder)
        if not self._folder.is_dir():
            raise ValueError(f"spill_folder: {self._folder} is not a folder that exists")
        self._file: IO[bytes] | None = None
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
        """Keep blocks of rows, of one dtype and as many columns, and return them as one or two arrays.

        Raises
        ------
        OSError
            They do not fit where the temporary file is.
        """
        first: Rows | None = None
        kept: list[Rows] = []
        begin, rows_in_file = 0, 0
        for block in blocks:
            if first is None:
                first = block[:0]
            if rows_in_file == 0 and self._in_memory + block.nbytes <= _IN_MEMORY_BYTES:
                kept.append(block)
                self._in_memory += block.nbytes
                continue
            if rows_in_file == 0:
                begin = self._next_page()
            self._write(np.ascontiguousarray(block).reshape(-1).view(np.uint8))
            rows_in_file += len(block)
        found = kept if len(kept) < 2 else [np.concatenate(kept)]
        if rows_in_file and first is not None and self._file is not None:
            found.append(map_array(self._file, first.dtype, (rows_in_file, first.shape[1]), begin))
        return found

    def _next_page(self) -> int:
        """Open the file, or go on to where a mapping may begin."""
        if self._file is None:
            # Closed at the end of the spool.
            try:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115
                    dir=self._folder, prefix="farpoint-", buffering=0
                )
            except OSError as error:
                raise OSError(
                    error.errno, f"no temporary file can be made in {self._folder}: {error.strerror}"
                ) from None
        self._in_file += -self._in_file % mmap.ALLOCATIONGRANULARITY
        return self._file.seek(self._in_file)

    def _write(self, content: npt.NDArray[np.uint8]) -> None:
        assert self._file is not None
        wanted = self._in_file + len(content)
        try:
            while self._in_file < wanted:
                self._in_file += self._file.write(content[len(content) - (wanted - self._in_file) :].data)
        except OSError as error:
            raise OSError(
                error.errno,
                f"a temporary file in {self._folder} cannot grow to {wanted:,} bytes: {error.strerror}; make "
                "room there, or name another folder as spill_folder",
            ) from None
