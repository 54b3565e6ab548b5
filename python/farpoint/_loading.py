"""How the matrices of a call come in: opened, read, brought to one element type and one place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farpoint._device_inputs import (
    AnyMatrix,
    as_device_matrix,
    as_element_type,
    element_type,
    is_on_cuda,
    upload,
)
from farpoint._files import is_source, open_files
from farpoint._inputs import as_host_matrix, given_type
from farpoint._metrics import Metric
from farpoint._parts import PartedMatrix
from farpoint._spool import check_spill_folder
from farpoint._validation import check_device, check_memory_limit, check_metric, check_threads
from farpoint.backends import choose_backend, cuda
from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._protocol import HostMatrix, Matrix


@dataclass(frozen=True)
class Loaded:
    """Matrices of one call, of one element type and in one place, and what was asked for."""

    matrices: list[AnyMatrix]
    names: list[str]
    files: list[tuple[str, int]] | None  # name and rows of each, where the first is from files
    metric: Metric
    backend: str
    threads: int
    device: int | None  # that was named, or that the matrices are on
    memory_limit: int | None
    spill_folder: str
    copied: int  # bytes of matrices that had to be copied; they count against the limit
    constraints: frozenset[str] = frozenset()  # those of a selection that the backend must support


def load(
    sources: Sequence[tuple[object, str]],
    metric: str,
    backend: str,
    threads: int | None,
    device: int | None = None,
    *,
    convert_to_first: bool = False,
    memory_limit: int | str | None = None,
    spill_folder: str | os.PathLike[str] | None = None,
    constraints: frozenset[str] = frozenset(),
) -> Loaded:
    """Bring the matrices of a call to one element type and one place.

    Parameters
    ----------
    sources : sequence of (array_like or paths, name)
        The first is the main one.
    convert_to_first : bool
        Bring the others to the element type of the first, instead of all to the type that holds all.
    memory_limit, spill_folder
        As `select` takes them.
    constraints : frozenset of str
        Those of "weights", "groups" and "exclude" that a selection has.

    Raises
    ------
    TypeError, ValueError
        With the name of the argument, what is wrong and where.
    RuntimeError
        The backend that was named, or that the device needs, cannot be used here.
    """
    chosen_metric = check_metric(metric)
    thread_count = check_threads(threads)
    named = check_device(device, backend)
    limit = check_memory_limit(memory_limit)
    folder = check_spill_folder(spill_folder, needed=limit is not None)
    if backend != "auto" or named is not None:
        # An unknown or unusable backend is refused before any data is read; a device is one.
        choose_backend(backend if named is None else cuda.BACKEND.name, metric, constraints=constraints)
    if named is not None:
        there = cuda.BACKEND.device_count()
        if named >= there:
            raise ValueError(f"device {named} does not exist; there {'is' if there == 1 else 'are'} {there}")
    opened = [_open(source, name, folder or None, limit) for source, name in sources]
    main = opened[0][0]
    files = main.files if isinstance(main, PartedMatrix) and main.in_files else None
    if chosen_metric.of_bits:
        for source, name in opened:
            check_bits(source, name, chosen_metric)
    matrices = _read(opened, metric, backend, constraints)
    names = [name for _, name in opened]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        if matrix.shape[1] != matrices[0].shape[1]:
            raise ValueError(
                f"{name} has {matrix.shape[1]} columns where {names[0]} has {matrices[0].shape[1]}"
            )
    matrices = _in_one_place(common_dtype(matrices, names, convert_to_first), names)
    main = matrices[0]
    if isinstance(main, DeviceMatrix):
        if named not in (None, main.device):
            raise ValueError(
                f"device = {named}, but {names[0]} is on device {main.device}; leave device out, or copy "
                f"{names[0]} to the host"
            )
        named = main.device
    copied = sum(_copied_bytes(matrix, source) for matrix, (source, _) in zip(matrices, opened, strict=True))
    return Loaded(
        *(matrices, names, files, chosen_metric, backend, thread_count, named, limit, folder, copied),
        constraints,
    )


def _open(source: object, name: str, spill_folder: str | None, limit: int | None) -> tuple[object, str]:
    """Return what the files that are named hold, if they are named, and what messages call it."""
    if is_source(source):
        source = open_files(source, spill_folder=spill_folder, in_memory=limit is None)
    return source, source.name if isinstance(source, PartedMatrix) else name


def host_matrix(source: object, name: str) -> HostMatrix:
    """Return one matrix on the host, from files too, for what works on it by the public functions.

    Raises
    ------
    TypeError, ValueError
        With the name of the argument, what is wrong and where.
    """
    opened, called = _open(source, name, None, None)
    return as_host_matrix(opened, called)


def check_bits(source: object, name: str, metric: Metric) -> None:
    """Raise unless what is given has elements of uint8, for a metric of packed bits."""
    check_bit_type(given_type(source, name), name, metric)


def check_bit_type(found: str, name: str, metric: Metric) -> None:
    """Raise unless the element type is uint8."""
    if found != "uint8":
        raise TypeError(
            f"{name} has dtype {found}; metric {metric.name!r} takes packed bits, uint8: "
            f"numpy.packbits({name}, axis=1) makes them of a matrix of booleans or of 0 and 1"
        )


def _copied_bytes(matrix: AnyMatrix, source: object) -> int:
    """Bytes of host memory that a matrix takes beside what it was made from."""
    if isinstance(matrix, DeviceMatrix):
        return 0
    given = source.parts if isinstance(source, PartedMatrix) else [source]
    held = matrix.parts if isinstance(matrix, PartedMatrix) else [matrix]
    return sum(
        _owned_bytes(ours)
        for ours, theirs in zip(held, given, strict=True)
        if not isinstance(theirs, np.ndarray) or not np.may_share_memory(ours, theirs)
    )


def _owned_bytes(array: Matrix) -> int:
    """Bytes of memory, not mapped, that an array keeps."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return int(array.nbytes) if array.flags.owndata else 0


def _read(
    sources: Sequence[tuple[object, str]], metric: str, backend: str, constraints: frozenset[str]
) -> list[AnyMatrix]:
    main, main_name = sources[0]
    on_device = is_on_cuda(main)
    if on_device:
        try:
            choose_backend(backend, metric, device="cuda", constraints=constraints)
        except (RuntimeError, ValueError) as error:
            raise type(error)(
                f"{main_name} is on a CUDA device: {error}; copy it to the host first ({main_name}.get() "
                f"in CuPy, {main_name}.cpu() in PyTorch)"
            ) from error
    for source, name in sources[1:]:
        if is_on_cuda(source) and not on_device:
            raise TypeError(
                f"{name} is on a CUDA device and {main_name} is on the host; copy {name} to the host, or "
                f"{main_name} to the device"
            )
    return [
        as_device_matrix(source, name) if is_on_cuda(source) else as_host_matrix(source, name)
        for source, name in sources
    ]


def _in_one_place(matrices: list[AnyMatrix], names: list[str]) -> list[AnyMatrix]:
    """Upload the others to where the first is."""
    main = matrices[0]
    if not isinstance(main, DeviceMatrix):
        return matrices
    found: list[AnyMatrix] = [main]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        if isinstance(matrix, DeviceMatrix):
            if matrix.device != main.device:
                raise TypeError(
                    f"{name} is on device {matrix.device} and {names[0]} is on device {main.device}; copy "
                    "one to the other's"
                )
            found.append(matrix)
        else:
            found.append(upload(matrix, main))
    return found


def common_dtype(matrices: list[AnyMatrix], names: list[str], convert_to_first: bool) -> list[AnyMatrix]:
    """Bring matrices to the element type of the first, or to one that holds the elements of all."""
    types = [element_type(matrix) for matrix in matrices]
    if len(set(types)) == 1:
        return matrices
    if not convert_to_first:
        target = "float64" if "float64" in types else "float32"
        return [as_element_type(matrix, target) for matrix in matrices]
    target = types[0]
    converted = [matrices[0]]
    for matrix, name in zip(matrices[1:], names[1:], strict=True):
        # Integers cannot hold everything: whether they do is seen on the host.
        source = matrix.host() if isinstance(matrix, DeviceMatrix) and target in ("int8", "uint8") else matrix
        other = as_element_type(source, target)
        if target in ("int8", "uint8") and not np.array_equal(other, source):  # type: ignore[arg-type]
            raise TypeError(
                f"{name} has dtype {element_type(matrix)} with elements that {names[0]}'s dtype {target} "
                f"cannot hold; convert {names[0]} to a floating type first"
            )
        converted.append(other)
    return converted
