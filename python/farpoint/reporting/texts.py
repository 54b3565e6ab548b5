"""Texts of rows from a file: one a line, plain or as JSON, compressed or not."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

_JSON_LINES = (".jsonl", ".ndjson")


def read_texts(path: Path, field: str | None) -> list[str]:
    """Return the texts in a file.

    Parameters
    ----------
    path : Path
        ``.jsonl`` and ``.ndjson`` hold an object a line, all others a text a line; after either ``.gz`` may
        follow.
    field : str or None
        Which field of the objects the text is.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is damaged, not UTF-8, or an object has no such field; with the file and the line.
    """
    packed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    as_json = suffix in _JSON_LINES
    if as_json and field is None:
        raise ValueError(f"{path}: which field of its objects is the text? Name it (--text-field)")
    if field is not None and not as_json:
        raise ValueError(
            f"{path} has no fields: that is for {' and '.join(_JSON_LINES)}; leave --text-field out"
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8") as file:
            # Not splitlines, which would split at characters that are in texts, too.
            lines = [line.rstrip("\n") for line in file]
    except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return [_field(path, number, line, field) for number, line in enumerate(lines, 1)] if field else lines


def _field(path: Path, number: int, line: str, field: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, line {number} is not JSON: {error}") from None
    value = record.get(field) if isinstance(record, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"{path}, line {number} has no string {field!r}")
    return value
