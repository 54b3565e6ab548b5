"""Matrices on the host, from whatever users hold: numpy, memory maps, torch, Arrow, anything with a protocol.

`as_matrix` ends with a 2-D numpy array of a supported element type whose rows are contiguous, copying only
where the layout or the type makes it necessary.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from farpoint._parts import PartedMatrix
from farpoint.backends import supported
from farpoint.backends._protocol import HostMatrix, Matrix

# Types that a supported one holds exactly.
_PROMOTIONS = {
    "bool": "uint8",
    "int16": "float32",
    "uint16": "float32",
    "int32": "float64",
    "uint32": "float64",
    "int64": "float64",
    "uint64": "float64",
}
_EXACT_IN_FLOAT64 = 2**53

# Device types of DLPack: memory that the host reads (its own, and pinned), and names for others.
_DLPACK_HOST = (1, 3, 11)
DLPACK_CUDA = (2, 13)
_DLPACK_DEVICES = {2: "cuda", 8: "metal", 10: "rocm", 13: "cuda (managed)", 14: "oneapi"}


def as_matrix(source: object, name: str) -> Matrix:
    """Return `source` as an (n, d) array with contiguous rows.

    Parameters
    ----------
    source : array_like
        See `farpoint.select`.
    name : str
        What to call it in messages.

    Raises
    ------
    TypeError
        Not an array of numbers, or numbers that no supported type holds.
    ValueError
        Not 2-D, or without rows or columns.
    """
    array = _as_array(source, name)
    check_shape(array, name)
    matrix: Matrix = as_supported(array, name)
    if matrix.dtype.byteorder == ">" or not matrix.dtype.isnative:
        matrix = matrix.astype(matrix.dtype.newbyteorder("="))
    # Not numpy.ascontiguousarray: it takes elements that are not aligned as they are.
    return matrix if has_contiguous_rows(matrix) else matrix.copy(order="C")


def as_host_matrix(source: object, name: str) -> HostMatrix:
    """Return `source` as `as_matrix` does, or as it is where it is a matrix in several parts."""
    if isinstance(source, PartedMatrix):
        return source if len(source.parts) > 1 else source.parts[0]
    return as_matrix(source, name)


def given_type(source: object, name: str) -> str:
    """Return the name of the element type of an array_like, before it is brought to a supported one."""
    dtype = getattr(source, "dtype", None)
    return str(_as_array(source, name).dtype if dtype is None else dtype).removeprefix("torch.")


def _as_array(source: object, name: str) -> np.ndarray[Any, Any]:
    if isinstance(source, np.ma.MaskedArray):
        if np.ma.getmaskarray(source).any():
            raise TypeError(f"{name} is a masked array with masked elements; fill or drop them first")
        return np.asarray(source.data)
    if isinstance(source, np.ndarray):
        return np.asarray(source)
    if source is None or isinstance(source, (str, bytes, dict, set, int, float, complex)):
        raise TypeError(f"{name} must be a 2-D array of numbers, not {type(source).__name__}")
    module = type(source).__module__.partition(".")[0]
    if module == "torch":
        return _from_torch(source, name)
    only_arrow = not hasattr(source, "__array__") and (
        hasattr(source, "__arrow_c_array__") or hasattr(source, "__arrow_c_stream__")
    )
    if module == "pyarrow" or only_arrow:
        return from_arrow(source, name)
    if hasattr(source, "__dlpack__") and not hasattr(source, "__array__"):
        return _from_dlpack(source, name)
    try:
        return np.asarray(source)
    except ValueError as error:
        raise ValueError(f"{name} must be rectangular: every row of the same length ({error})") from None


def _refuse_device(name: str, device: str, remedy: str) -> NoReturn:
    raise TypeError(
        f"{name} is on device {device}; backends of this version read {', '.join(supported('devices'))}; "
        f"{remedy}"
    )


def _from_dlpack(source: Any, name: str) -> np.ndarray[Any, Any]:
    """Look at the device first: for other memory than the host's, libraries raise whatever they like."""
    if hasattr(source, "__dlpack_device__"):
        kind = int(source.__dlpack_device__()[0])
        if kind not in _DLPACK_HOST:
            device = _DLPACK_DEVICES.get(kind, f"type {kind} of DLPack")
            _refuse_device(name, device, "copy it to the host first")
    try:
        return np.asarray(np.from_dlpack(source))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TypeError(
            f"{name} cannot be read through DLPack ({reason}); pass a numpy array, or plain float32 data"
        ) from error


def _from_torch(tensor: Any, name: str) -> np.ndarray[Any, Any]:
    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    if tensor.device.type != "cpu":
        _refuse_device(name, str(tensor.device), f"pass {name}.cpu()")
    dtype = None
    if str(tensor.dtype) == "torch.bfloat16":
        # numpy has no bfloat16 of its own: the bits travel as integers.
        dtype = bfloat16(name)
    try:
        # Negative and conjugate views are marks that numpy does not know: they become data.
        tensor = tensor.detach().resolve_conj().resolve_neg()
        if dtype is not None:
            import torch

            return np.asarray(tensor.view(torch.int16).numpy()).view(dtype)
        return np.asarray(tensor.numpy())
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise TypeError(f"{name} is a tensor that numpy cannot read ({reason}); pass a dense one") from error


def bfloat16(name: str) -> np.dtype[Any]:
    """Return ml_dtypes' bfloat16; `name` is what needs it."""
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(f"{name} is bfloat16, which needs ml_dtypes: pip install ml_dtypes") from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def from_arrow(source: Any, name: str, first_row: int = 0) -> np.ndarray[Any, Any]:
    """Return lists of equal length as a matrix, without a copy where there is one buffer without nulls.

    `first_row` is the number that messages give to the first row.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise TypeError(f'{name} is Arrow data, which needs pyarrow: pip install "farpoint[io]"') from None
    if isinstance(source, (pa.Table, pa.RecordBatch)):
        raise TypeError(f"{name} is a table; pass the column that holds the embeddings")
    if isinstance(source, pa.Tensor):
        return np.asarray(source.to_numpy())
    if isinstance(source, (pa.Array, pa.ChunkedArray)):
        array = source
    elif hasattr(source, "__arrow_c_array__"):
        array = pa.array(source)
    else:
        array = pa.chunked_array(source)
    if isinstance(array.type, pa.FixedShapeTensorType):
        if len(array.type.shape) != 1:
            shape = (len(array), *array.type.shape)
            raise ValueError(f"{name} must be 2-D (rows, columns); it has shape {shape}")
        # Before chunks are combined: pyarrow does not combine tensors that name an order of dimensions.
        if isinstance(array, pa.ChunkedArray):
            array = pa.chunked_array([chunk.storage for chunk in array.chunks], array.type.storage_type)
        else:
            array = array.storage
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # zero chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    kind = array.type
    if array.null_count:
        row = first_row + _first_null(array)
        raise ValueError(f"{name} must not have nulls: row {row} is null; drop or fill such rows first")
    if pa.types.is_fixed_size_list(kind):
        width = kind.list_size
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.asarray(array.value_lengths().to_numpy(zero_copy_only=False))
        width = int(lengths[0]) if len(lengths) else 0
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise ValueError(
                f"{name} has lists of different lengths ({lengths.min()} to {lengths.max()}): row "
                f"{first_row + row} has {lengths[row]} elements, row {first_row} has {width}"
            )
    else:
        raise TypeError(
            f"{name} must be an Arrow array of (fixed-size) lists or a tensor of numbers, not {kind}"
        )
    flat = array.flatten()
    if flat.null_count:
        row, column = divmod(_first_null(flat), width)
        raise ValueError(
            f"{name} must not have nulls: row {first_row + row}, column {column} is null; drop or fill such "
            "rows first"
        )
    values = np.asarray(flat.to_numpy(zero_copy_only=False))
    return values.reshape(len(array), width)


def _first_null(array: Any) -> int:
    return int(np.argmax(np.asarray(array.is_null().to_numpy(zero_copy_only=False))))


def check_shape(array: Any, name: str, *, may_have_no_rows: bool = False) -> None:
    """Raise unless an array of numpy or CuPy is a matrix with rows and columns."""
    if array.dtype == object:
        raise TypeError(
            f"{name} has dtype object: an array of numbers with rows of equal length is needed "
            f"(numpy.stack(list) makes one)"
        )
    if array.ndim != 2:
        advice = " (reshape(-1, 1) makes a column of it)" if array.ndim == 1 else ""
        raise ValueError(f"{name} must be 2-D (rows, columns); it has shape {array.shape}{advice}")
    if (array.shape[0] == 0 and not may_have_no_rows) or (array.shape[1] == 0 and array.shape[0] > 0):
        raise ValueError(f"{name} is empty: it has shape {array.shape}")


def as_supported(array: Any, name: str) -> Any:
    """Return an array of numpy or CuPy with elements of a supported type that holds all of its own."""
    dtype = array.dtype.name
    target = supported_type(array, name)
    return array if target == dtype else array.astype(target)


def supported_type(array: Any, name: str) -> str:
    """Return the name of the supported type that holds all elements of an array of numpy or CuPy."""
    dtype = str(array.dtype.name)
    if dtype in supported("dtypes"):
        return dtype
    target = _PROMOTIONS.get(dtype)
    if target is None:
        raise TypeError(f"{name} has dtype {array.dtype}; supported are {', '.join(supported('dtypes'))}")
    if dtype in ("int64", "uint64") and 0 not in array.shape:
        low, high = int(array.min()), int(array.max())
        if max(-low, high) > _EXACT_IN_FLOAT64:
            raise TypeError(
                f"{name} has dtype {dtype} with elements beyond 2**53, which float64 does not hold exactly"
            )
    return target


def has_contiguous_rows(array: Matrix) -> bool:
    """Whether backends can read rows where they lie."""
    contiguous = array.shape[1] == 1 or array.strides[1] == array.itemsize
    aligned = array.strides[0] % array.itemsize == 0 and array.flags.aligned
    return bool(contiguous and aligned)
