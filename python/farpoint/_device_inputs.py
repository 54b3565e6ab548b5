"""Matrices that are on a CUDA device: from CuPy, PyTorch, JAX, Numba, anything with a device protocol.

CuPy reads them where they lie, without a copy where none is needed, and does what has to be done to them on
the device. Streams are honoured: CuPy's current stream waits for what the producer says its data wait for,
and the engine waits for CuPy's current stream.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from farpoint._inputs import DLPACK_CUDA, as_supported, bfloat16, check_shape
from farpoint._parts import PartedMatrix
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._engine import raw
from farpoint.backends._protocol import HostMatrix, IndexArray, Matrix

AnyMatrix = HostMatrix | DeviceMatrix

# Rows of the host that are multiplied at a time.
_BLOCK_ROWS = 4096


def is_on_cuda(source: Any) -> bool:
    """Whether the elements are in a CUDA device's memory; touches neither them nor the driver."""
    if isinstance(source, (np.ndarray, list, tuple)):
        return False
    module = type(source).__module__.partition(".")[0]
    if module == "torch":
        return str(getattr(getattr(source, "device", None), "type", "")) == "cuda"
    if module == "pyarrow":
        return False
    if hasattr(source, "__cuda_array_interface__"):
        return True
    try:
        return int(source.__dlpack_device__()[0]) in DLPACK_CUDA
    except Exception:
        # Not there, or it cannot say: then it is not read as one, and the trouble shows when it is read.
        return False


def as_device_matrix(source: Any, name: str) -> DeviceMatrix:
    """Return `source`, of which `is_on_cuda` holds, as a matrix of a supported type with contiguous rows.

    Raises
    ------
    TypeError
        CuPy is missing or cannot read it, or it is not of numbers that a supported type holds.
    ValueError
        Not 2-D, or without rows or columns.
    """
    cupy = _cupy(name)
    is_bfloat16 = str(getattr(source, "dtype", "")) in ("bfloat16", "torch.bfloat16")
    try:
        array = _as_cupy(cupy, source, is_bfloat16)
    except (AttributeError, BufferError, KeyError, NotImplementedError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise TypeError(
            f"{name} is on a CUDA device and cannot be read by CuPy ({reason}); pass a dense array of "
            "numbers, or copy it to the host first"
        ) from error
    with array.device:
        check_shape(array, name)
        if not is_bfloat16:
            array = as_supported(array, name)
        return _matrix(cupy, array, "bfloat16" if is_bfloat16 else array.dtype.name)


def upload(matrix: HostMatrix, to: DeviceMatrix) -> DeviceMatrix:
    """Copy a matrix from the host to where another one is."""
    import cupy

    with to.array.device:
        return _matrix(cupy, cupy.asarray(raw(np.asarray(matrix))), matrix.dtype.name)


def as_element_type(matrix: AnyMatrix, target: str) -> AnyMatrix:
    """Convert elements: on the device where every value has one, by numpy where it takes rounding."""
    if element_type(matrix) == target:
        return matrix
    if not isinstance(matrix, DeviceMatrix):
        dtype = bfloat16("the matrix") if target == "bfloat16" else np.dtype(target)
        with np.errstate(over="ignore", invalid="ignore"):
            if isinstance(matrix, PartedMatrix):
                return matrix.map(lambda part: part.astype(dtype))
            return matrix.astype(dtype)
    source = "float32" if matrix.element_type == "bfloat16" else matrix.element_type
    if target == "bfloat16" or not np.can_cast(source, target):
        # Rounding is numpy's, so that device and host agree.
        host = as_element_type(matrix.host(), target)
        assert not isinstance(host, DeviceMatrix)
        return upload(host, matrix)
    import cupy

    with matrix.array.device:
        array = matrix.array
        if matrix.element_type == "bfloat16":
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return _matrix(cupy, array.astype(target), target)


def element_type(matrix: AnyMatrix) -> str:
    """Return the name of the type of the elements."""
    return matrix.element_type if isinstance(matrix, DeviceMatrix) else str(matrix.dtype.name)


def host_rows(matrix: AnyMatrix, begin: int, end: int) -> Matrix:
    """Return rows on the host, with the values that they have; bfloat16 of a device comes as float32."""
    return matrix.host(begin, end) if isinstance(matrix, DeviceMatrix) else matrix[begin:end]


def taken(matrix: AnyMatrix, rows: IndexArray) -> Matrix | DeviceMatrix:
    """Return a matrix of some rows, in the order given and where `matrix` is."""
    if not isinstance(matrix, DeviceMatrix):
        return matrix.take(rows) if isinstance(matrix, PartedMatrix) else matrix[rows]
    import cupy

    with matrix.array.device:
        return _matrix(cupy, matrix.array[cupy.asarray(rows)], matrix.element_type)


def host_bits(matrix: Matrix | DeviceMatrix) -> Matrix:
    """Return all rows on the host, bit by bit as they are; bfloat16 comes as uint16."""
    if not isinstance(matrix, DeviceMatrix):
        return np.asarray(raw(matrix))
    with matrix.array.device:
        bits: Matrix = matrix.array.get()
    return bits


def write_rows(target: Any, rows: slice, values: Matrix) -> None:
    """Write values to rows of an array of numpy or CuPy."""
    if isinstance(target, np.ndarray):
        target[rows] = values
        return
    import cupy

    with target.device:
        target[rows] = cupy.asarray(values)


def multiplied(matrix: AnyMatrix, exponent: int | None) -> AnyMatrix:
    """Multiply float64 by 2**exponent; None: each row by what brings its largest element near 1."""
    if isinstance(matrix, DeviceMatrix):
        import cupy

        with matrix.array.device:
            return _matrix(cupy, _multiplied(cupy, matrix.array, exponent), matrix.element_type)

    def scaled(part: Matrix) -> Matrix:
        found = np.empty(part.shape)
        # In blocks: looking for largest elements makes a copy.
        for begin in range(0, len(part), _BLOCK_ROWS):
            block = slice(begin, begin + _BLOCK_ROWS)
            found[block] = _multiplied(np, part[block], exponent)
        return found

    return matrix.map(scaled) if isinstance(matrix, PartedMatrix) else scaled(matrix)


def _multiplied(library: Any, array: Any, exponent: int | None) -> Any:
    if exponent is None:
        return library.ldexp(array, -library.frexp(library.abs(array).max(axis=1))[1][:, None])
    return library.ldexp(array, exponent)


def _cupy(name: str) -> Any:
    remedy = f'pip install "farpoint[cuda]" (with CUDA 12: cupy-cuda12x), or copy {name} to the host first'
    if importlib.util.find_spec("cupy") is None:
        raise TypeError(f"{name} is on a CUDA device, which needs CuPy: {remedy}")
    try:
        import cupy
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise TypeError(
            f"{name} is on a CUDA device, and CuPy cannot be imported ({reason}); {remedy}"
        ) from error
    return cupy


def _as_cupy(cupy: Any, source: Any, is_bfloat16: bool) -> Any:
    """Return a CuPy array of the same memory; bfloat16, which CuPy need not know, as uint16."""
    if type(source).__module__.partition(".")[0] == "torch":
        # Negative and conjugate views are marks that no protocol knows: they become data.
        source = source.detach().resolve_conj().resolve_neg()
        if is_bfloat16:
            import torch

            return cupy.from_dlpack(source.view(torch.int16)).view(np.uint16)
        return cupy.from_dlpack(source)
    if is_bfloat16:
        source = source.view(np.uint16)
    if isinstance(source, cupy.ndarray):
        return source
    if hasattr(source, "__dlpack__"):
        # DLPack hands the stream over: the producer makes CuPy's current one wait for its own.
        return cupy.from_dlpack(source)
    stream = source.__cuda_array_interface__.get("stream")
    array = cupy.asarray(source)
    if stream is not None:
        with array.device:
            done = cupy.cuda.ExternalStream(int(stream)).record()
            cupy.cuda.get_current_stream().wait_event(done)
    return array


def _matrix(cupy: Any, array: Any, element_type: str) -> DeviceMatrix:
    """Wrap a CuPy array; call with its device current."""
    contiguous = array.shape[1] == 1 or array.strides[1] == array.itemsize
    aligned = array.strides[0] % array.itemsize == 0 and array.data.ptr % array.itemsize == 0
    if not (contiguous and aligned):
        array = cupy.ascontiguousarray(array)
    return DeviceMatrix(array, element_type, int(cupy.cuda.get_current_stream().ptr))
