"""A tensor of a .safetensors file, mapped."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files._choice import choose
from farpoint._mapped import Rows, map_array

# The longest header that is taken for one: beyond, the file is something else or damaged.
_HEADER_LIMIT = 100_000_000
_DTYPES = {
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


def read_safetensors(path: Path, key: str | None) -> Rows:
    """Map a tensor of the file: a JSON header with dtype, shape and place, then the data.

    Read here and not by the safetensors package because that copies every tensor it returns, and a matrix of
    embeddings may be larger than memory; the format is eight bytes of length and a JSON object.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise ValueError("not a complete .safetensors file")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"not a .safetensors file: {error}") from error
        if not isinstance(header, dict):
            raise ValueError("not a .safetensors file: its header is not an object")
        header.pop("__metadata__", None)
        name = choose(list(header), key, "tensor", "key")
        entry = header[name]
        if not isinstance(entry["shape"], list) or not isinstance(entry["data_offsets"], list):
            raise ValueError(f"tensor {name!r}: shape and data_offsets must be lists")
        dtype_name = _DTYPES.get(entry["dtype"])
        if dtype_name is None:
            raise ValueError(f"tensor {name!r} has dtype {entry['dtype']}, which is not supported")
        dtype = _bfloat16() if dtype_name == "bfloat16" else np.dtype(dtype_name)
        shape = tuple(int(extent) for extent in entry["shape"])
        begin, end = (int(offset) for offset in entry["data_offsets"])
        expected = math.prod(shape) * dtype.itemsize
        if any(extent < 0 for extent in shape) or begin < 0 or end - begin != expected:
            raise ValueError(f"tensor {name!r}: shape and size disagree")
        return map_array(file, dtype, shape, 8 + length + begin)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError('bfloat16 needs ml_dtypes: pip install "farpoint[io]"') from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found
