"""What a checkpoint belongs to: everything that decides which rows are picked, in a few hundred bytes.

How many picks there are to be, down to which distance, and how they are computed, decide nothing: a run goes
on with another k, backend or number of threads. Of the rows of a large matrix a sample is looked at, and of
the files that they are in the sizes and the times of the last change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from farpoint._device_inputs import AnyMatrix, host_bits, taken
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import IndexArray, Matrix

# Up to so many rows all are looked at; of more, the first, the last and evenly spaced ones.
SAMPLED_ROWS = 1024

Fingerprint = dict[str, Any]

_KINDS = {
    "rows": (int,),
    "columns": (int,),
    "element type": (str,),
    "metric": (str,),
    "start": (int, NoneType),
    "selected": (str, NoneType),
    "anchors": (str, NoneType),
    "content": (str,),
    "files": (list,),
    "constraints": (dict,),
}


def fingerprint(
    shape: tuple[int, int],
    dtype: str,
    rows: Callable[[IndexArray], Matrix | DeviceMatrix],
    *,
    metric: str,
    start: int | None,
    selected: IndexArray,
    anchors: AnyMatrix | None,
    files: Sequence[Path],
    constraints: dict[str, Any],
) -> Fingerprint:
    """Return what decides the picks, as JSON can hold it.

    Parameters
    ----------
    shape : (int, int)
        Of the matrix.
    dtype : str
        Its element type.
    rows : callable
        Returns rows of the matrix by their numbers.
    metric : str
    start : int, optional
        The first pick; None where it follows from what is kept away from.
    selected : array of int
        Rows that are kept away from, in any order.
    anchors : matrix, optional
        Vectors that are kept away from.
    files : sequence of Path
        What the elements are read from, if they are read from files.
    constraints : dict
        Constraints.record of the selection.
    """
    return {
        "rows": shape[0],
        "columns": shape[1],
        "element type": dtype,
        "metric": metric,
        "start": start,
        "selected": digest(np.sort(selected).tobytes()) if len(selected) else None,
        "anchors": None if anchors is None else _sampled(anchors.shape, partial(taken, anchors)),
        "content": _sampled(shape, rows),
        "files": [_file_record(file) for file in files],
        "constraints": constraints,
    }


def check_fingerprint(found: dict[str, Any]) -> None:
    """Refuse what `fingerprint` does not return: it was read from a file that may come from anyone.

    Raises
    ------
    ValueError
        Something is missing, or not of its kind.
    """
    for name, kinds in _KINDS.items():
        if name not in found or type(found[name]) not in kinds:
            raise ValueError(f"its problem does not say what {name} is")
    for record in found["files"]:
        right = isinstance(record, list) and list(map(type, record)) == [str, int, int]
        if not right or max(abs(number) for number in record[1:]) >= 2**63:
            raise ValueError("its problem does not say what files are")


def differences(there: Fingerprint, here: Fingerprint) -> list[str]:
    """Return in what the problem of a checkpoint, `there`, is another one than that of the call, `here`."""
    found = [
        f"{name} is {there[name]!r:.100} there and {here[name]!r} here"
        for name in ("rows", "columns", "element type", "metric", "start")
        if there[name] != here[name]
    ]
    found += [f"{name} differ" for name in ("selected", "anchors") if there[name] != here[name]]
    found += constraint_differences(there["constraints"], here["constraints"])
    same_type = all(there[name] == here[name] for name in ("rows", "columns", "element type"))
    if same_type and there["content"] != here["content"]:
        found.append("rows of X differ")
    if there["files"] and here["files"]:
        found += _changed_files(there["files"], here["files"])
    return found


def constraint_differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return in what two records of constraints differ."""
    found = []
    for name in sorted(there.keys() | here.keys()):
        old, new = (f"{record.get(name, 'not given')!s:.100}" for record in (there, here))
        if name in ("k", "min_distance") and there.get(name) != here.get(name):
            found.append(
                f"{name} is {old} there and {new} here, which decides the picks beside quotas or weights"
            )
        elif there.get(name) != here.get(name):
            found.append(f"{name:.100} differ")
    return found


def memory_mapped_files(source: object) -> list[Path]:
    """Return the file that a numpy memory map shows, if it is one."""
    if isinstance(source, np.memmap) and source.filename is not None:
        return [Path(source.filename)]
    return []


def _file_record(file: Path) -> list[Any]:
    state = file.stat()
    return [file.name, state.st_size, state.st_mtime_ns]


def _sampled(shape: tuple[int, ...], rows: Callable[[IndexArray], Matrix | DeviceMatrix]) -> str:
    sample = np.unique(np.linspace(0, shape[0] - 1, SAMPLED_ROWS).round().astype(np.int64))
    return digest(repr(shape).encode(), host_bits(rows(sample)).tobytes())


def digest(*contents: bytes) -> str:
    """Return a hash of bytes, as text."""
    import hashlib

    found = hashlib.blake2b(digest_size=16)
    for content in contents:
        found.update(content)
    return found.hexdigest()


def _changed_files(there: list[list[Any]], here: list[list[Any]]) -> list[str]:
    names_there, names_here = [file[0] for file in there], [file[0] for file in here]
    if names_there != names_here:
        return [f"the files are {_listed(names_there)} there and {_listed(names_here)} here"]
    found = []
    for (name, old_size, old_time), (_, size, modified) in zip(there, here, strict=True):
        if old_size != size:
            found.append(f"{name} has {old_size} bytes there and {size} here")
        elif old_time != modified:
            found.append(f"{name} was last changed {_when(old_time)} there and {_when(modified)} here")
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name:.100}" for name in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )


def _when(nanoseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(nanoseconds / 1e9))
