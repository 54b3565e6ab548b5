"""Matrices from files: .npy (memory-mapped), .npz, .parquet, .arrow/.feather, .safetensors.

Every failure is a ValueError, FileNotFoundError or ImportError whose message names the file and the trouble.
Pickles are never loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._archives import open_archive
from farpoint._safetensors import read_header

_Loader = Callable[[Path, str | None, str | None], Any]

_SAFETENSORS_DTYPES = {
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


def load_matrix(path: str | os.PathLike[str], *, key: str | None = None, column: str | None = None) -> Any:
    """Open the matrix in a file.

    Parameters
    ----------
    path : path-like
        The suffix says the format.
    key : str, optional
        Which array of an .npz or .safetensors file; needed when there are several.
    column : str, optional
        Which column of a Parquet or Arrow file; needed when several hold lists.

    Returns
    -------
    array_like
        What `farpoint.select` takes; memory-mapped where the format allows it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not what its suffix says, is damaged, or holds no such array.
    ImportError
        The format needs a package that is not installed.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    if file.is_dir():
        raise ValueError(f"{file} is a folder, not a file")
    loader = _LOADERS.get(file.suffix.lower())
    if loader is None:
        known = ", ".join(_LOADERS)
        raise ValueError(f"{file}: unknown suffix {file.suffix!r}; the known ones are {known}")
    if file.stat().st_size == 0:
        raise ValueError(f"{file} is empty")
    try:
        return loader(file, key, column)
    except ImportError:
        raise
    except ValueError as error:
        message = str(error)
        raise ValueError(message if str(file) in message else f"{file}: {message}") from error
    except Exception as error:  # whatever a library raises on a damaged file
        raise ValueError(f"{file} cannot be read: {error}".splitlines()[0]) from error


def _load_npy(path: Path, key: str | None, column: str | None) -> Any:
    _refuse(path, key=key, column=column)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "Python objects" in str(error) or "pickle" in str(error).lower():
            raise ValueError("not a plain .npy array (pickled data are not loaded)") from error
        raise ValueError(f"not a complete .npy array: {error}") from error


def _load_npz(path: Path, key: str | None, column: str | None) -> Any:
    _refuse(path, column=column)
    with open_archive(path) as archive:
        return archive.array(_choose(archive.names, key, "array", "key"))


def _load_safetensors(path: Path, key: str | None, column: str | None) -> Any:
    _refuse(path, column=column)
    tensors = read_header(path)
    name = _choose(list(tensors), key, "tensor", "key")
    tensor = tensors[name]
    dtype_name = _SAFETENSORS_DTYPES.get(tensor.dtype)
    if dtype_name is None:
        raise ValueError(f"tensor {name!r} has dtype {tensor.dtype}, which is not supported")
    dtype = _bfloat16() if dtype_name == "bfloat16" else np.dtype(dtype_name)
    if tensor.size == 0:
        return np.empty(tensor.shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=tensor.offset, shape=tensor.shape)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError('bfloat16 needs ml_dtypes: pip install "farpoint[io]"') from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _load_parquet(path: Path, key: str | None, column: str | None) -> Any:
    _refuse(path, key=key)
    pa = _pyarrow()
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        name = _choose_column(pa, file.schema_arrow, column)
        return _validated(file.read(columns=[name]).column(0))


def _load_arrow(path: Path, key: str | None, column: str | None) -> Any:
    _refuse(path, key=key)
    pa = _pyarrow()
    source = pa.memory_map(str(path))
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        reader = pa.ipc.open_stream(source)
    table = reader.read_all()
    return _validated(table.column(_choose_column(pa, table.schema, column)))


def _validated(column: Any) -> Any:
    """Check offsets, lengths and counts of nulls, which Arrow believes: damage would end the process."""
    column.validate(full=True)
    return column


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise ImportError('this format needs pyarrow: pip install "farpoint[io]"') from None
    return pa


def _choose_column(pa: Any, schema: Any, wanted: str | None) -> str:
    if wanted is None:
        lists = [
            field.name
            for field in schema
            if isinstance(field.type, pa.FixedShapeTensorType)
            or pa.types.is_fixed_size_list(field.type)
            or pa.types.is_list(field.type)
            or pa.types.is_large_list(field.type)
        ]
        if not lists:
            raise ValueError(f"no column holds lists of numbers; the columns are {', '.join(schema.names)}")
        return _choose(lists, None, "list column", "column")
    return _choose(schema.names, wanted, "column", "column")


def _choose(names: list[str], wanted: str | None, kind: str, option: str) -> str:
    listed = ", ".join(names)
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"no {kind} {wanted!r}; there are {listed}")
        return wanted
    if not names:
        raise ValueError(f"holds no {kind}")
    if len(names) > 1:
        raise ValueError(f"holds several {kind}s ({listed}); say which with {option}")
    return names[0]


def _refuse(path: Path, *, key: str | None = None, column: str | None = None) -> None:
    for option, value in (("key", key), ("column", column)):
        if value is not None:
            raise ValueError(f"a {path.suffix} file has no {option}s; leave {option} out")


_LOADERS: dict[str, _Loader] = {
    ".npy": _load_npy,
    ".npz": _load_npz,
    ".parquet": _load_parquet,
    ".arrow": _load_arrow,
    ".feather": _load_arrow,
    ".safetensors": _load_safetensors,
}
