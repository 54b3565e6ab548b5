"""What a file of records does, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from farpoint._records.text import TextTemplate

if TYPE_CHECKING:
    from gzip import GzipFile

IndexArray = npt.NDArray[np.int64]


class RecordFile(Protocol):
    """Records in a file, which is read in passes: of its records none but those picked are kept anywhere."""

    path: Path

    def scan(self, text: TextTemplate | None, added: Sequence[str]) -> int:
        """Check every record, and return how many there are.

        Parameters
        ----------
        text : TextTemplate, optional
            What each must have the fields of.
        added : sequence of str
            Names of new fields, which none may have.
        """
        ...

    def texts(self, text: TextTemplate) -> Iterator[str]:
        """Return the text of each record, in order."""
        ...

    def lines(self, rows: IndexArray, spill_folder: str) -> PlacedLines:
        """Return the records with these numbers, which rise, as JSON lines."""
        ...


class PlacedLines:
    """Lines that lie somewhere in an open file: the records' own, or a temporary one.

    Parameters
    ----------
    file : binary file
        Closed by `close`.
    offsets, lengths : (n,) int64 arrays
    """

    def __init__(
        self, file: BinaryIO | IO[bytes] | GzipFile, offsets: IndexArray, lengths: IndexArray
    ) -> None:
        self._file = file
        self._offsets = offsets
        self._lengths = lengths

    def __getitem__(self, i: int) -> bytes:
        self._file.seek(int(self._offsets[i]))
        return self._file.read(int(self._lengths[i]))

    def close(self) -> None:
        """Close the file; what was temporary is gone."""
        self._file.close()


def temporary_file(spill_folder: str) -> IO[bytes]:
    """Return a file without a name, which is gone when it is closed; "" is the system's folder for them."""
    import tempfile

    return tempfile.TemporaryFile(dir=spill_folder or None, prefix="farpoint-")
