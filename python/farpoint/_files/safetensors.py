"""A tensor of a .safetensors file, mapped: eight bytes of length, a JSON object, then the tensors' data.

Read here and not by the safetensors package because that copies every tensor it returns, and a matrix of
embeddings may be larger than memory. What that package refuses is refused here too: the format has no
checksum, but its tensors must fill the file without gaps, so that damage to the header seldom goes unnoticed.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import numpy as np

from farpoint._files._choice import choose
from farpoint._inputs import bfloat16
from farpoint._mapped import Rows, map_array

# The longest header that is taken for one: beyond, the file is something else or damaged.
_HEADER_LIMIT = 100_000_000
# numpy has no more.
_MOST_DIMENSIONS = 64
# Bits of an element.
_DTYPES = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
_DTYPES |= dict.fromkeys(("BOOL", "U8", "I8"), 8)
_DTYPES |= dict.fromkeys(("F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8)
_DTYPES |= dict.fromkeys(("I16", "U16", "F16", "BF16"), 16)
_DTYPES |= dict.fromkeys(("I32", "U32", "F32"), 32)
_DTYPES |= dict.fromkeys(("I64", "U64", "F64", "C64"), 64)
# What may be a matrix here, as numpy calls it.
_NUMPY_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


class _Tensor(NamedTuple):
    """Where a tensor lies in its file."""

    dtype: str  # as the format calls it: "F32", "BF16", ...
    shape: tuple[int, ...]
    offset: int  # from the start of the file
    size: int  # in bytes


def read_safetensors(path: Path, key: str | None) -> Rows:
    """Map a tensor of the file."""
    with path.open("rb") as file:
        tensors = _read_header(file)
        name = choose(list(tensors), key, "tensor", "key")
        tensor = tensors[name]
        dtype = _NUMPY_DTYPES.get(tensor.dtype)
        if dtype is None:
            raise ValueError(f"tensor {name!r} has dtype {tensor.dtype}, which is not supported")
        return map_array(
            file,
            bfloat16(str(path)) if dtype == "bfloat16" else np.dtype(dtype),
            tensor.shape,
            tensor.offset,
        )


def _read_header(file: IO[bytes]) -> dict[str, _Tensor]:
    """Return the tensors of a file, in the order of its header."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        raise ValueError("is not a complete .safetensors file")
    header = _parse(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("is not a .safetensors file: its metadata are not texts")
    tensors = {name: _tensor(name, entry, 8 + length) for name, entry in header.items()}
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].size)):
        if tensor.offset != end:
            raise ValueError(f"is damaged: tensor {name!r} does not begin where the one before it ends")
        end += tensor.size
    if end != size:
        what = "truncated" if end > size else "damaged"
        raise ValueError(f"is {what}: its tensors end at byte {end}, the file at byte {size}")
    return tensors


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(
            text.decode(), object_pairs_hook=_without_repetition, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a .safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise ValueError("is not a .safetensors file: its header is not an object")
    return header


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header says something twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _tensor(name: str, entry: Any, start: int) -> _Tensor:
    """Check what a header says of a tensor; `start` is where the data of all begin."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise ValueError(f"tensor {name!r} must have dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"tensor {name!r} has an unknown dtype {str(dtype)[:40]!r}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {name!r}: shape and data_offsets must be lists of sizes")
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(
            f"tensor {name!r} has {len(shape)} dimensions, where {_MOST_DIMENSIONS} are the most"
        )
    begin, end = offsets
    if 8 * (end - begin) != math.prod(shape) * _DTYPES[dtype]:
        raise ValueError(f"tensor {name!r}: shape and size disagree")
    return _Tensor(dtype, tuple(shape), start + begin, end - begin)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**64 for value in values)
