# Made by tools/stub.py; do not edit.
"""
farpoint's CPU engine. Private: the public interface is the package farpoint.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['Shard', 'closest_pair', 'compiler', 'nearest', 'pairwise', 'pick_among', 'scan', 'select', 'simd_level', 'simd_levels', 'version']
class Shard:
    """
    One shard of a selection that is spread over several engines.
    """
    def __init__(self, points: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, entries: typing.SupportsInt | typing.SupportsIndex, assign: bool, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str) -> None:
        ...
    def assign(self) -> tuple:
        """
        (labels, stored values) of all rows.
        """
    def level(self, value: typing.SupportsFloat | typing.SupportsIndex, capacity: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        (rows, stored values, last value, last row): the candidates of a level.
        """
    def sample(self, size: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        (upper bounds of sampled rows, of all rows).
        """
    def see(self, rows: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], own: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None) -> None:
        """
        Append entries: picks at `values`, or what is kept away from.
        """
    def statistics(self) -> dict:
        """
        As `select` returns them, and whether codes are used.
        """
    @property
    def free_rows(self) -> int:
        ...
def closest_pair(x: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str) -> tuple:
    """
    (stored value, i, j): the closest two rows.
    """
def nearest(x: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], y: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str) -> tuple:
    """
    (stored values, rows of y): nearest row of y for each row of x.
    """
def pairwise(x: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], y: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str) -> numpy.typing.NDArray[numpy.float64]:
    """
    Stored values of all pairs.
    """
def pick_among(points: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], k: typing.SupportsInt | typing.SupportsIndex, last_value: typing.SupportsFloat | typing.SupportsIndex, last_row: typing.SupportsInt | typing.SupportsIndex, minimum_value: typing.SupportsFloat | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool) -> tuple:
    """
    (rows, stored values, value of the next or None): picks among candidates alone.
    """
def scan(points: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, threads: typing.SupportsInt | typing.SupportsIndex, simd: str) -> tuple:
    """
    (first row with NaN or infinity or -1, first zero row or -1, largest |element|, smallest non-zero row maximum).
    """
def select(points: numpy.ndarray | collections.abc.Sequence[numpy.ndarray], dtype: str, metric: str, scale: typing.SupportsFloat | typing.SupportsIndex, largest: typing.SupportsFloat | typing.SupportsIndex, k: typing.SupportsInt | typing.SupportsIndex, prior: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], prior_value: typing.SupportsFloat | typing.SupportsIndex, selected: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], excluded: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], anchors: numpy.ndarray | collections.abc.Sequence[numpy.ndarray] | None, weights: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], of_roots: bool, groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], at_least: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], at_most: typing.Annotated[numpy.typing.ArrayLike, numpy.int64], minimum_value: typing.SupportsFloat | typing.SupportsIndex, assign: bool, threads: typing.SupportsInt | typing.SupportsIndex, simd: str, eager: bool, memory_limit: typing.SupportsInt | typing.SupportsIndex | None, spill_folder: str, listener: collections.abc.Callable | None) -> dict:
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
