"""As much of CuPy as farpoint uses, in the host's memory: what needs no device is tested without one.

Stricter than CuPy where that shows a fault: an operation on an array whose device is not the current one is
an error, and so is any attempt to read an array as numpy's without `get`.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

_current = [0]
# What happened to streams: ("wait", stream, for) and ("exchange", stream).
log: list[tuple[Any, ...]] = []


class Device:
    def __init__(self, index: int) -> None:
        self.id = index

    def __enter__(self) -> Device:
        _current.append(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        _current.pop()


class Stream:
    def __init__(self, ptr: int) -> None:
        self.ptr = ptr

    def record(self) -> int:
        return self.ptr

    def wait_event(self, event: int) -> None:
        log.append(("wait", self.ptr, event))


def _stream() -> Stream:
    return Stream(0x1000 + _current[-1])


cuda = SimpleNamespace(Device=Device, ExternalStream=Stream, get_current_stream=_stream)


class ndarray:  # noqa: N801
    def __init__(self, host: np.ndarray[Any, Any], device: int | None = None) -> None:
        self._host = host
        self.device = Device(_current[-1] if device is None else device)

    @property
    def host(self) -> np.ndarray[Any, Any]:
        assert self.device.id == _current[-1], "the array's device is not current"
        return self._host

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    dtype = property(lambda self: self._host.dtype)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))

    def __array__(self, *_: object, **__: object) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return interface(self._host)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device.id

    def get(self) -> np.ndarray[Any, Any]:
        copied: np.ndarray[Any, Any] = self.host.copy()
        return copied

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(self._host[key.host if isinstance(key, ndarray) else key], self.device.id)

    def __setitem__(self, key: Any, value: ndarray) -> None:
        assert isinstance(value, ndarray)
        self.host[key] = value.host

    def astype(self, dtype: Any) -> ndarray:
        return ndarray(self.host.astype(dtype))

    def view(self, dtype: Any) -> ndarray:
        return ndarray(self._host.view(dtype), self.device.id)

    def min(self, axis: int | None = None) -> Any:
        found = self.host.min(axis=axis)
        return found if axis is None else ndarray(found)

    def max(self, axis: int | None = None) -> Any:
        found = self.host.max(axis=axis)
        return found if axis is None else ndarray(found)

    def __lshift__(self, bits: Any) -> ndarray:
        return ndarray(self.host << bits)

    def __neg__(self) -> ndarray:
        return ndarray(-self.host)


def interface(host: np.ndarray[Any, Any], stream: int | None = None) -> dict[str, Any]:
    return {
        "shape": host.shape,
        "strides": host.strides,
        "typestr": host.dtype.str,
        "data": (host.ctypes.data, False),
        "version": 3,
        "stream": stream,
    }


def at(pointer: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return the memory at an address, as device code would read it."""
    reach = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    buffer = (ctypes.c_byte * (high - low + np.dtype(dtype).itemsize)).from_address(pointer + low)
    found: np.ndarray[Any, Any] = np.ndarray(shape, dtype, buffer, offset=-low, strides=strides)
    return found


def asarray(source: Any) -> ndarray:
    if isinstance(source, ndarray):
        return source
    if hasattr(source, "__cuda_array_interface__"):
        found = source.__cuda_array_interface__
        shape, dtype = found["shape"], np.dtype(found["typestr"])
        strides = found["strides"] or (shape[1] * dtype.itemsize, dtype.itemsize)
        return ndarray(at(found["data"][0], shape, strides, dtype), getattr(source, "index", 0))
    return ndarray(np.array(source))


def from_dlpack(source: Any) -> ndarray:
    _, index = source.__dlpack_device__()
    with Device(index):
        log.append(("exchange", _stream().ptr))
        return ndarray(source.__dlpack__(stream=_stream().ptr))


def ascontiguousarray(array: ndarray) -> ndarray:
    return ndarray(np.ascontiguousarray(array.host))


def ldexp(array: ndarray, exponent: Any) -> ndarray:
    return ndarray(np.ldexp(array.host, exponent.host if isinstance(exponent, ndarray) else exponent))


def frexp(array: ndarray) -> tuple[ndarray, ndarray]:
    mantissa, exponent = np.frexp(array.host)
    return ndarray(mantissa), ndarray(exponent)


def abs(array: ndarray) -> ndarray:  # noqa: A001
    return ndarray(np.abs(array.host))
