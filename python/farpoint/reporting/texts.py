"""What each row stands for: a text a line of a plain file, or the text of each record."""

from __future__ import annotations

import zlib
from pathlib import Path

from farpoint._records import SUFFIXES, TextTemplate, holds_records, open_records


def read_texts(path: Path, text: str | None) -> list[str]:
    """Return the texts in a file.

    Parameters
    ----------
    path : Path
        Records (JSON lines, Parquet, Arrow), or a file of any other name: a text a line, in UTF-8, compressed
        if the name ends in ``.gz``.
    text : str or None
        The field of the records that is the text, or a template of several.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is damaged, not UTF-8, or a record has no such field; with the file and the line.
    """
    if holds_records(path):
        if text is None:
            raise ValueError(f"{path}: which field of the records is the text? Name it (--text)")
        template = TextTemplate(text)
        records = open_records(path)
        records.scan(text=template)
        return list(records.texts(template))
    if text is not None:
        raise ValueError(
            f"{path} has no fields: those with fields are {', '.join(SUFFIXES)}; leave --text out"
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    return _lines(path)


def _lines(path: Path) -> list[str]:
    import gzip

    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8") as file:
            # Not splitlines, which would split at characters that are in texts, too.
            return [line.rstrip("\n") for line in file]
    except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
