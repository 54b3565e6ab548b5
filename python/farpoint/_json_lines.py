"""JSON lines: one JSON object a line, in UTF-8; where the lines lie in a file, and what is wrong with one.

A line ends with a line feed, and with nothing else: JSON may hold U+2028 and other characters that Python
takes for ends of lines. Lines of nothing but white space are no records, as pandas, pyarrow and datasets have
it. A byte order mark at the beginning is not part of the first record. NaN and Infinity, which JSON does not
have and Python's json writes, are read.
"""

from __future__ import annotations

import codecs
import json
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from gzip import GzipFile

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
# What JSON takes for white space.
WHITE_SPACE = b" \t\r\n"
# The longest line that is taken for a record. Beyond, the file is something else, and not read on.
_LONGEST_LINE = 1 << 26
# UTF-32's first: its mark begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class Line(NamedTuple):
    """A line that is not blank."""

    number: int  # of all lines, from 1
    offset: int  # in the file's content, decompressed
    content: bytes  # with what ends it, if it is ended


def is_json_lines(path: Path) -> bool:
    """Whether a file's name says that it holds JSON lines."""
    return path.name.lower().endswith(SUFFIXES)


def is_compressed(path: Path) -> bool:
    """Whether a file's name says that it is compressed by gzip."""
    return path.suffix.lower() == ".gz"


def open_lines(path: Path) -> BinaryIO | GzipFile:
    """Open the content of a file of lines.

    Raises
    ------
    ValueError
        It is a pipe or the like, which is read only once.
    OSError
        It cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a regular file; it is read more than once")
    if not is_compressed(path):
        return path.open("rb")
    import gzip

    return gzip.GzipFile(path, "rb")


def read_lines(path: Path) -> Iterator[Line]:
    """Return the lines of a file that are not blank, one at a time.

    Raises
    ------
    ValueError
        It is in another encoding, damaged, or has a line that is too long for a record.
    """
    with open_lines(path) as file:
        number = offset = 0
        while content := _read_line(file, path, number + 1):
            number += 1
            begin = offset
            offset += len(content)
            if number == 1:
                _check_encoding(content, path)
                if content.startswith(codecs.BOM_UTF8):
                    content = content[len(codecs.BOM_UTF8) :]
                    begin = len(codecs.BOM_UTF8)
            if content[:1] == b"{" or content.strip(WHITE_SPACE):
                yield Line(number, begin, content)


def _read_line(file: BinaryIO | GzipFile, path: Path, number: int) -> bytes:
    try:
        content = file.readline(_LONGEST_LINE + 1)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, f"{path}: {error.strerror}") from error
        raise ValueError(f"{path} is damaged: {error}") from error  # how gzip says so
    if len(content) > _LONGEST_LINE:
        raise ValueError(
            f"{path}: line {number} is longer than {_LONGEST_LINE:,} bytes, the most that a record may have; "
            "JSON lines hold one object a line"
        )
    return content


def _check_encoding(content: bytes, path: Path) -> None:
    for mark, name in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(
                f"{path} is in {name}, where JSON lines are in UTF-8; convert it: "
                f"iconv -f {name} -t UTF-8 {path} > converted.jsonl"
            )


def parse_object(line: Line, path: Path) -> dict[str, Any]:
    """Return the object on a line.

    Raises
    ------
    ValueError
        With the line's number: it is not UTF-8, not JSON, or not an object.
    """
    where = f"{path}: line {line.number}"
    try:
        text = line.content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8: byte 0x{line.content[error.start]:02x} at byte {error.start + 1};"
            f" convert the file, from Latin-1 for example: iconv -f LATIN1 -t UTF-8 {path} > converted.jsonl"
        ) from None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not a JSON object: {_reason(error, text)}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists a thousand deep
        raise ValueError(f"{where} is not a JSON object that can be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{where} holds {_KINDS[type(found)]}, where each line is to hold an object {{...}}")
    return found


_KINDS = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    type(None): "null",
}


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg == "Extra data":
        return f"something follows it at character {error.pos + 1}"
    if not text[error.pos :].strip():
        return f"it ends too early ({error.msg.lower()})"
    hint = "; zero bytes are those of UTF-16" if "\0" in text[:4] else ""
    return f"{error.msg.removesuffix(' at').lower()} at character {error.pos + 1}{hint}"
