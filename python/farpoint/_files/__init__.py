"""Matrices from files (.npy, .npz, .safetensors, Arrow, Parquet, JSON lines, Zarr), one or several.

What can be mapped is mapped. Every failure is a ValueError, TypeError, OSError or ImportError whose message
names the file and the trouble. Pickles are never loaded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files._errors import errors_of
from farpoint._files.arrow import read_arrow, read_parquet
from farpoint._files.json_lines import read_json_lines
from farpoint._files.npy import read_npy, read_npz
from farpoint._files.paths import Source, expand, is_source, name_of
from farpoint._files.safetensors import read_safetensors
from farpoint._files.zarr import read_zarr
from farpoint._inputs import bfloat16, check_shape, has_contiguous_rows, supported_type
from farpoint._json_lines import SUFFIXES as _JSON_LINES
from farpoint._mapped import Rows
from farpoint._parts import PartedMatrix
from farpoint._spool import Spool

__all__ = ["find_files", "is_source", "name_of", "open_file", "open_files", "open_matrix", "read_npy"]

# Bytes that are converted at a time.
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class _Format:
    """How a file is read, and what names one of its matrices: "key", "column" or nothing."""

    read: Callable[[Path, str | None, Spool], list[Rows]]
    option: str | None


_FORMATS = {
    ".npy": _Format(lambda path, _, __: [read_npy(path)], None),
    ".npz": _Format(read_npz, "key"),
    ".parquet": _Format(read_parquet, "column"),
    ".arrow": _Format(read_arrow, "column"),
    ".feather": _Format(read_arrow, "column"),
    ".safetensors": _Format(lambda path, key, _: [read_safetensors(path, key)], "key"),
    **dict.fromkeys(_JSON_LINES, _Format(read_json_lines, "column")),
}
_ZARR = _Format(read_zarr, "key")


def open_matrix(
    source: Source,
    *,
    key: str | None = None,
    column: str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
) -> Rows | PartedMatrix:
    """Open the matrix that is in a file, or in the files of a dataset, for any function of farpoint.

    Functions take paths as they are; this is for what they have no argument for, and for opening once what is
    used several times.

    Parameters
    ----------
    source : path-like, or list of path-like
        A file (.npy, .npz, .safetensors, .arrow, .feather, .parquet, .jsonl or .ndjson, also with .gz, or the
        folder of a Zarr store; the suffix says the format), a pattern such as ``"data/*.npy"``, a folder, or
        several of these. Files of a folder or pattern are taken in the order of their sorted names ("10.npy"
        before "9.npy"), of a folder those with a known suffix that are not hidden; JSON lines, which often
        lie beside a matrix and hold none, only if `column` is given.
    key : str, optional
        Which array of .npz, .safetensors and Zarr; needed where there are several.
    column : str, optional
        Which column of Arrow and Parquet, or field of JSON lines; needed where several hold lists.
    spill_folder : path-like, optional
        Where what has to be decoded or converted is kept, in an unnamed temporary file, if it takes more than
        256 MiB. Default: the system's folder for temporary files.

    Returns
    -------
    (n, d) array, or PartedMatrix
        An array where there is one, mapped into memory if the file's format allows it; else a matrix that
        keeps its rows in several (``numpy.asarray`` copies them into one).

    Raises
    ------
    FileNotFoundError
        There is no such file, or none that matches.
    ValueError, TypeError
        A file is not what its suffix says, is damaged, holds no such matrix, or not one of numbers; or files
        differ in their number of columns.
    OSError
        A file cannot be read, or the temporary file has no room.
    ImportError
        A format needs a package that is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> np.save(os.path.join(folder, "a.npy"), np.eye(3))
    >>> np.save(os.path.join(folder, "b.npy"), 2 * np.eye(3))
    >>> X = farpoint.open_matrix(folder)
    >>> X.shape
    (6, 3)
    >>> farpoint.select(X, 2).locate().row
    array([0, 1])
    """
    matrix = open_files(source, key=key, column=column, spill_folder=spill_folder)
    return matrix.parts[0] if len(matrix.parts) == len(matrix.files) == 1 else matrix


def open_files(
    source: Source,
    *,
    key: str | None = None,
    column: str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    in_memory: bool = True,
) -> PartedMatrix:
    """Open as `open_matrix` does, and keep the names of the files where there is one array, too.

    `in_memory` says whether a little that has to be decoded or converted may stay in memory.
    """
    paths = find_files(source, key=key, column=column)
    with Spool(spill_folder, in_memory=in_memory) as spool:
        files = [(str(path), _read(path, key, column, spool)) for path in paths]
        return PartedMatrix(_alike(files, name_of(source), spool), name_of(source))


def find_files(source: Source, *, key: str | None = None, column: str | None = None) -> list[Path]:
    """Return the files of a dataset, all of a known format, one of which at least has what is named."""
    if not is_source(source):
        raise TypeError(f"source must be a path or a list of paths, not {source!r:.80}")
    listed = [suffix for suffix in _FORMATS if column is not None or suffix not in _JSON_LINES]
    paths = expand(source, listed)
    formats = [_format_of(path) for path in paths]
    for option, value in (("key", key), ("column", column)):
        if value is not None and all(form.option != option for form in formats):
            raise ValueError(f"{paths[0]}: a {paths[0].suffix} file has no {option}s; leave {option} out")
    return paths


def open_file(
    path: Path,
    *,
    key: str | None = None,
    column: str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    in_memory: bool = True,
) -> list[Rows]:
    """Open one file of a dataset, which may have no rows: arrays of one supported type, none empty."""
    with Spool(spill_folder, in_memory=in_memory) as spool:
        parts = _read(path, key, column, spool)
        for part in parts:
            check_shape(part, str(path), may_have_no_rows=True)
        filled = [part for part in parts if len(part)]
        return _alike([(str(path), filled)], str(path), spool)[0][1] if filled else []


def _format_of(path: Path) -> _Format:
    if path.is_dir():
        return _ZARR
    for suffix, form in _FORMATS.items():
        if path.name.lower().endswith(suffix):
            return form
    known = ", ".join(_FORMATS)
    raise ValueError(f"{path}: unknown suffix {path.suffix!r}; the known ones are {known}")


def _read(path: Path, key: str | None, column: str | None, spool: Spool) -> list[Rows]:
    """Read the matrix of a file; whatever goes wrong is said of the file."""
    form = _format_of(path)
    wanted = {"key": key, "column": column, None: None}[form.option]
    with errors_of(path):
        if not path.is_dir():
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # a pipe, whose opening would wait
                raise ValueError("is not a regular file")
            if status.st_size == 0:
                raise ValueError("is empty")
        return form.read(path, wanted, spool)


def _alike(files: Sequence[tuple[str, list[Rows]]], name: str, spool: Spool) -> list[tuple[str, list[Rows]]]:
    """Check that files make one matrix; convert what is of another type, or cannot be read as it lies."""
    for file, parts in files:
        for part in parts:
            check_shape(part, file, may_have_no_rows=True)
    filled = [(file, part) for file, parts in files for part in parts if len(part)]
    if not filled:
        raise ValueError(f"{name} is empty: there are no rows")
    first_file, first = filled[0]
    for file, part in filled:
        if part.shape[1] != first.shape[1]:
            raise ValueError(f"{file} has {part.shape[1]} columns where {first_file} has {first.shape[1]}")
    types = {supported_type(part, file) for file, part in filled}
    if len(types) > 1:
        types = {"float64" if "float64" in types else "float32"}
    target = types.pop()
    dtype = bfloat16(name) if target == "bfloat16" else np.dtype(target)

    def converted(part: Rows) -> list[Rows]:
        if part.dtype == dtype and part.dtype.isnative and has_contiguous_rows(part):
            return [part]
        return spool.gather(_converted_blocks(part, dtype))

    return [(file, [new for part in parts if len(part) for new in converted(part)]) for file, parts in files]


def _converted_blocks(part: Rows, dtype: np.dtype[Any]) -> Iterator[Rows]:
    step = max(1, _BLOCK_BYTES // (part.shape[1] * dtype.itemsize))
    for begin in range(0, len(part), step):
        # A copy, so that elements are aligned.
        yield np.array(part[begin : begin + step], dtype=dtype, order="C")
