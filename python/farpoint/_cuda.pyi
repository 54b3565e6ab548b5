# Made by tools/stub.py; do not edit.
"""
farpoint's CUDA engine. Private: the public interface is the package farpoint.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['DeviceMatrix', 'architectures', 'closest_pair', 'compiler', 'devices', 'driver_version', 'nearest', 'pairwise', 'runtime_version', 'scan', 'select', 'unavailable', 'version']
class DeviceMatrix:
    """
    A matrix in a device's memory: address, rows, columns, bytes from row to row.
    """
    def __init__(self, pointer: typing.SupportsInt | typing.SupportsIndex, rows: typing.SupportsInt | typing.SupportsIndex, columns: typing.SupportsInt | typing.SupportsIndex, row_stride: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
def closest_pair(x: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, device: typing.SupportsInt | typing.SupportsIndex, memory_limit: typing.SupportsInt | typing.SupportsIndex, ready_after: typing.SupportsInt | typing.SupportsIndex, eager: bool) -> tuple:
    """
    (stored value, i, j): the closest two rows.
    """
def devices() -> list:
    """
    Name, compute capability, bytes of memory and multiprocessors of each device.
    """
def driver_version() -> str:
    """
    The newest CUDA that the driver supports; "none" without a driver.
    """
def nearest(x: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], y: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, device: typing.SupportsInt | typing.SupportsIndex, memory_limit: typing.SupportsInt | typing.SupportsIndex, ready_after: typing.SupportsInt | typing.SupportsIndex, eager: bool) -> tuple:
    """
    (stored values, rows of y): nearest row of y for each row of x.
    """
def pairwise(x: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], y: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, device: typing.SupportsInt | typing.SupportsIndex, memory_limit: typing.SupportsInt | typing.SupportsIndex, ready_after: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.float64]:
    """
    Stored values of all pairs.
    """
def runtime_version() -> str:
    """
    Of the CUDA runtime that was compiled in.
    """
def scan(points: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, device: typing.SupportsInt | typing.SupportsIndex, memory_limit: typing.SupportsInt | typing.SupportsIndex, ready_after: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    (first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest non-zero row maximum).
    """
def select(points: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, k: typing.SupportsInt | typing.SupportsIndex, prior: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], prior_value: typing.SupportsFloat | typing.SupportsIndex, selected: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], anchors: DeviceMatrix | numpy.ndarray | collections.abc.Sequence[numpy.ndarray] | None, minimum_value: typing.SupportsFloat | typing.SupportsIndex, assign: bool, device: typing.SupportsInt | typing.SupportsIndex, memory_limit: typing.SupportsInt | typing.SupportsIndex, ready_after: typing.SupportsInt | typing.SupportsIndex, eager: bool, listener: collections.abc.Callable | None) -> dict:
    """
    Farthest-point selection; stored values, not distances.
    """
def unavailable() -> str:
    """
    Why no device can be used here, in one sentence; empty: there is at least one.
    """
architectures: str
compiler: str
version: str
