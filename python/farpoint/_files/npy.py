"""numpy's files: .npy, mapped; .npz, mapped where its members are neither compressed nor unaligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from farpoint._archives import open_archive
from farpoint._files._choice import choose
from farpoint._mapped import Rows, map_array
from farpoint._npy_header import HEADER_BYTES, parse_header
from farpoint._spool import Spool


def read_npy(path: Path) -> Rows:
    """Map the array of an .npy file, of any shape."""
    with path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES))
        return map_array(file, header.dtype, header.shape, header.size, header.order)


def read_npz(path: Path, key: str | None, spool: Spool) -> list[Rows]:
    """Return an array of an archive: where it lies, or decompressed into the spool."""
    with open_archive(path) as archive:
        name = choose(archive.names, key, "array", "key")
        mapped = archive.mapped(name)
        if mapped is not None:
            return [mapped]
        header = archive.header(name)
        # As one column, whose elements are in the order that the array has in memory, whichever that is.
        columns = spool.gather(block[:, np.newaxis] for block in archive.blocks(name))
        elements = columns[0] if columns else np.empty(0, dtype=header.dtype)
        return [elements.reshape(header.shape, order=header.order)]
