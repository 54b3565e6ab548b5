"""What is done to a valid file: flipped bytes, cuts, splices, other numbers where numbers are.

Blind mutations seldom get past a checksum or a length: so files of parts (archives, headers with a length
before them) are also taken apart, mutated inside and put together again.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from typing import Literal

import numpy as np

Random = np.random.Generator

_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
_ENDS = 400  # bytes at either end, where headers and directories are


def mutate(random: Random, content: bytes, donors: list[bytes]) -> bytes:
    """Return a file with one to four mutations; `donors` are valid files that pieces may come from."""
    for _ in range(int(random.integers(1, 5))):
        if not content:
            break
        how = _WAYS[int(random.integers(len(_WAYS)))]
        content = how(random, content, donors[int(random.integers(len(donors)))])
    return content


def _place(random: Random, content: bytes) -> int:
    """Draw a position, the ends more often than the middle."""
    end = len(content)
    low, high = [(0, end), (0, min(end, _ENDS)), (max(0, end - _ENDS), end)][int(random.integers(3))]
    return int(random.integers(low, high))


def _piece(random: Random, content: bytes) -> tuple[int, int]:
    begin = _place(random, content)
    return begin, begin + int(random.integers(1, 2 ** int(random.integers(1, 11))))


def _flip_bits(random: Random, content: bytes, donor: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        changed[_place(random, content)] ^= 1 << int(random.integers(8))
    return bytes(changed)


def _set_bytes(random: Random, content: bytes, donor: bytes) -> bytes:
    begin, end = _piece(random, content)
    length = min(end, len(content)) - begin
    filled = [bytes(length), b"\xff" * length, random.bytes(length)][int(random.integers(3))]
    return content[:begin] + filled + content[begin + length :]


def _cut(random: Random, content: bytes, donor: bytes) -> bytes:
    return content[: _place(random, content)]


def _drop(random: Random, content: bytes, donor: bytes) -> bytes:
    begin, end = _piece(random, content)
    return content[:begin] + content[end:]


def _repeat(random: Random, content: bytes, donor: bytes) -> bytes:
    begin, end = _piece(random, content)
    return content[:end] + content[begin:]


def _splice(random: Random, content: bytes, donor: bytes) -> bytes:
    begin, end = _piece(random, donor)
    at = _place(random, content)
    over = int(random.integers(2)) * (end - begin)
    return content[:at] + donor[begin:end] + content[at + over :]


def _tail(random: Random, content: bytes, donor: bytes) -> bytes:
    return content[: _place(random, content)] + donor[_place(random, donor) :]


def _number(random: Random, content: bytes, donor: bytes) -> bytes:
    """Overwrite what may be the field of a size, or change it by little."""
    width = 2 ** int(random.integers(4))
    at = min(_place(random, content), max(0, len(content) - width))
    order: Literal["big", "little"] = "big" if random.random() < 0.1 else "little"
    old = int.from_bytes(content[at : at + width], order)
    new = old + int(random.integers(-16, 17)) if random.random() < 0.4 else _draw(random, len(content))
    field = int(new % (1 << 8 * width)).to_bytes(width, order)
    return content[:at] + field + content[at + width :]


def _digits(random: Random, content: bytes, donor: bytes) -> bytes:
    """Replace a number that is written out, in JSON or in the header of an .npy file."""
    found = list(re.finditer(rb"\d+", content[: 4 * _ENDS]))
    if not found:
        return _number(random, content, donor)
    chosen = found[int(random.integers(len(found)))]
    old = int(chosen[0][:18])
    new = old + int(random.integers(-2, 3)) if random.random() < 0.4 else _draw(random, len(content))
    text = f"{new:0{len(chosen[0])}d}" if random.random() < 0.5 else str(new)
    return content[: chosen.start()] + text.encode() + content[chosen.end() :]


def _draw(random: Random, length: int) -> int:
    numbers = (*_NUMBERS, length, length - 1, length + 1, 2 * length)
    return numbers[int(random.integers(len(numbers)))]


_WAYS: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip_bits,
    _set_bytes,
    _cut,
    _drop,
    _repeat,
    _splice,
    _tail,
    _number,
    _number,
    _digits,
)


def mutate_member(random: Random, content: bytes, donors: list[bytes]) -> bytes:
    """Mutate a member of a zip archive, and write the archive anew: lengths and checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    chosen = int(random.integers(len(members)))
    name, inside = members[chosen]
    others = [other for _, other in members]
    how = random.random()
    if how < 0.8:
        members[chosen] = (name, mutate(random, inside, others))
    elif how < 0.9:
        members[chosen] = (members[int(random.integers(len(members)))][0], inside)
    else:
        del members[chosen]
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice
        method = zipfile.ZIP_DEFLATED if random.random() < 0.5 else zipfile.ZIP_STORED
        with zipfile.ZipFile(made, "w", method) as archive:
            for name, inside in members:
                archive.writestr(zipfile.ZipInfo(name), inside, method)  # not with today's date
    return made.getvalue()


def mutate_gzip(random: Random, content: bytes, donors: list[bytes]) -> bytes:
    """Mutate what a .gz file holds, and compress it again; other files as they are."""
    if not content.startswith(b"\x1f\x8b"):
        return mutate(random, content, donors)
    others = [gzip.decompress(donor) for donor in donors if donor.startswith(b"\x1f\x8b")]
    return gzip.compress(mutate(random, gzip.decompress(content), others), mtime=0)


def mutate_header(random: Random, content: bytes, donors: list[bytes]) -> bytes:
    """Mutate the JSON header of a .safetensors file; the length before it is right."""
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    if random.random() < 0.5:
        header = _mutate_json(random, header)
    else:
        header = mutate(random, header, [donor[8:] for donor in donors])
    return len(header).to_bytes(8, "little") + header + data


def _mutate_json(random: Random, text: bytes) -> bytes:
    """Change a value of a JSON object, or of an object in it, to another that is well-formed."""
    outer = json.loads(text)
    name = list(outer)[int(random.integers(len(outer)))]
    inner = outer[name] if isinstance(outer[name], dict) and random.random() < 0.9 else outer
    key = list(inner)[int(random.integers(len(inner)))]
    old = inner[key]
    if isinstance(old, list) and random.random() < 0.8:
        old[int(random.integers(len(old)))] = _draw(random, 100)
    else:
        values: tuple[object, ...] = (
            None,
            -1,
            1.5,
            True,
            "",
            "F64",
            "BF16",
            "I8",
            [],
            [1],
            [9, 3],
            [0, 54],
            [0, 108],
            {},
            2**70,
        )
        inner[key] = values[int(random.integers(len(values)))]
    return json.dumps(outer).encode()
