# Made by tools/stub.py; do not edit.
"""
farpoint's CPU engine. Private: the public interface is the package farpoint.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['closest_pair', 'compiler', 'nearest', 'pairwise', 'scan', 'select', 'simd_level', 'simd_levels', 'version']
def closest_pair(x: numpy.ndarray, dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str) -> tuple:
    """
    (stored value, i, j): the closest two rows.
    """
def nearest(x: numpy.ndarray, y: numpy.ndarray, dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str) -> tuple:
    """
    (stored values, rows of y): nearest row of y for each row of x.
    """
def pairwise(x: numpy.ndarray, y: numpy.ndarray, dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str) -> numpy.typing.NDArray[numpy.float64]:
    """
    Stored values of all pairs.
    """
def scan(points: numpy.ndarray, dtype: str, threads: typing.SupportsInt | typing.SupportsIndex, simd: str) -> tuple:
    """
    (first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest non-zero row maximum).
    """
def select(points: numpy.ndarray, dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, k: typing.SupportsInt | typing.SupportsIndex, first: typing.SupportsInt | typing.SupportsIndex, selected: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], anchors: numpy.ndarray | None, minimum_value: typing.SupportsFloat | typing.SupportsIndex, assign: bool, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str, progress: collections.abc.Callable | None) -> dict:
    """
    Farthest-point selection; stored values, not distances.
    """
def simd_level(name: str) -> str:
    """
    The level that `name` (empty: the best) stands for; ValueError if it cannot be used.
    """
def simd_levels() -> list[str]:
    """
    Usable SIMD levels, rising.
    """
compiler: str
version: str
