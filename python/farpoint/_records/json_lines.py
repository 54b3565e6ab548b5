"""Records in JSON lines: what is picked is copied as it lies in the file, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._json_lines import is_compressed, open_lines, parse_object, read_lines
from farpoint._records._file import IndexArray, PlacedLines, temporary_file
from farpoint._records.text import TextTemplate


class JsonLinesFile:
    """A file of JSON lines, compressed or not; see RecordFile."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self, text: TextTemplate | None, added: Sequence[str]) -> int:
        """Parse every line."""
        count = 0
        for line in read_lines(self.path):
            record = parse_object(line, self.path)
            if text is not None:
                self._text(text, record, line.number)
            for name in added:
                if name in record:
                    raise ValueError(
                        f"{self.path}: line {line.number} has a field {name!r} already; choose another name"
                    )
            count += 1
        return count

    def texts(self, text: TextTemplate) -> Iterator[str]:
        """Parse every line once more."""
        for line in read_lines(self.path):
            yield self._text(text, parse_object(line, self.path), line.number)

    def _text(self, text: TextTemplate, record: dict[str, Any], number: int) -> str:
        try:
            return text.of(record)
        except ValueError as error:
            raise ValueError(f"{self.path}: line {number} {error}") from None

    def lines(self, rows: IndexArray, spill_folder: str) -> PlacedLines:
        """Find where the lines lie; of a compressed file, in which nothing is found again, keep a copy."""
        copy = temporary_file(spill_folder) if is_compressed(self.path) else None
        offsets = np.empty(len(rows), dtype=np.int64)
        lengths = np.empty(len(rows), dtype=np.int64)
        try:
            numbered = enumerate(read_lines(self.path))
            for i, row in enumerate(rows.tolist()):
                line = next((line for number, line in numbered if number == row), None)
                if line is None:
                    raise ValueError(f"{self.path} has fewer records than when it was read before")
                offsets[i] = line.offset if copy is None else copy.tell()
                lengths[i] = len(line.content)
                if copy is not None:
                    copy.write(line.content)
            return PlacedLines(open_lines(self.path) if copy is None else copy, offsets, lengths)
        except BaseException:
            if copy is not None:
                copy.close()
            raise
