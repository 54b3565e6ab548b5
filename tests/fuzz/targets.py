"""What is fuzzed: a reader of ours, valid files to start from, and a reader that is trusted.

A file may be refused with an error that names it. If it is taken instead, what was read must be what the
trusted reader makes of the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy

import farpoint
from farpoint import open_matrix
from farpoint._checkpoint import read_checkpoint
from farpoint._files import open_files
from farpoint._inputs import as_matrix
from farpoint._records import open_records
from farpoint.backends import supported
from farpoint.reporting.texts import read_texts
from tests.conftest import Array
from tests.fuzz.mutations import Random, mutate, mutate_gzip, mutate_header, mutate_member

Arrays = dict[str, Array]

_SAFETENSORS_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_X = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)


@dataclass(frozen=True)
class Seed:
    """A valid file."""

    suffix: str
    content: bytes
    options: dict[str, str]  # of open_matrix


@dataclass(frozen=True)
class Target:
    """A reader."""

    seeds: list[Seed]
    read: Callable[[Path, dict[str, str]], Arrays]
    trusted: Callable[[Path, dict[str, str]], Arrays]
    mutations: tuple[Callable[[Random, bytes, list[bytes]], bytes], ...] = (mutate,)


# Ours.


def _read_matrix(path: Path, options: dict[str, str]) -> Arrays:
    """Open, and use: what was mapped is only read by what comes after."""
    matrix = as_matrix(open_matrix(path, **options), str(path))
    assert matrix.ndim == 2
    assert matrix.dtype.name in supported("dtypes")
    try:
        farpoint.select(matrix, min(3, len(matrix)))
    except ValueError as error:  # elements that are not finite
        assert "must be finite" in str(error)  # noqa: PT017
    return {"matrix": matrix}


def _read_shards(path: Path, options: dict[str, str]) -> Arrays:
    """Open the file between two others, and what has to be decoded in a temporary file."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        np.save(Path(folder, "a.npy"), _X)
        shutil.copy(path, folder)
        np.save(Path(folder, "z.npy"), _X)
        matrix = open_files(folder, in_memory=False, **options)
        try:
            farpoint.select(matrix, 3)
        except ValueError as error:
            assert "must be finite" in str(error)  # noqa: PT017
        assert [Path(name).name for name, _ in matrix.files] == ["a.npy", path.name, "z.npy"]
        return {"matrix": np.asarray(matrix)}


def _read_selection(path: Path, options: dict[str, str]) -> Arrays:
    s = farpoint.Selection.load(path)
    # Whatever was accepted can be used.
    s.to_dict()
    for t in range(1, len(s)):
        assert s.prefix(t).h_min == s.radii[t - 1]
    again = path.with_name("again.npz")
    s.save(again)
    farpoint.Selection.load(again)
    found = {"indices": s.indices, "radii": s.radii, "metric": np.array(s.metric)}
    if s.labels is not None and s.distances is not None:
        found |= {"labels": s.labels, "distances": s.distances}
    return found


def _read_checkpoint(path: Path, options: dict[str, str]) -> Arrays:
    s, problem = read_checkpoint(path)
    # Whatever was accepted can be gone on from, if it is of these rows.
    copy = path.with_name("copy.npz")
    shutil.copy(path, copy)
    try:
        found = farpoint.select(_X, 7, checkpoint=copy, backend="reference")
    except ValueError as error:
        assert copy.name in str(error)  # noqa: PT017
    else:
        expected = farpoint.select(_X, 7, backend="reference")
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.radii, expected.radii)
    return {"indices": s.indices, "radii": s.radii, "problem": np.array(json.dumps(problem))}


def _read_texts(path: Path, options: dict[str, str]) -> Arrays:
    return {"texts": np.array(json.dumps(read_texts(path, None)))}


def _read_records(path: Path, options: dict[str, str]) -> Arrays:
    """Copy the records, last first, as lines or as a table."""
    records = open_records(path)
    last_first = np.arange(records.scan())[::-1]
    output = path.with_name(f"out{_RECORDS[path.name.partition('.')[2]][0]}")
    records.write(last_first, output, output)
    return {"records": _bytes(output.read_bytes() if output.suffix == ".jsonl" else _shown(output))}


def _bytes(content: bytes) -> Array:
    return np.frombuffer(content, dtype=np.uint8)


def _shown(path: Path) -> bytes:
    """Return the rows of a table as text."""
    table = (
        pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path.read_bytes()).read_all()
    )
    table.validate(full=True)
    return repr(table.to_pylist()).encode("utf-8", "backslashreplace")


# Trusted.


def _numpy_matrix(path: Path, options: dict[str, str]) -> Arrays:
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return {"matrix": found}
    with found:
        return {"matrix": found[options.get("key", "arr_0")]}


def _numpy_selection(path: Path, options: dict[str, str]) -> Arrays:
    with np.load(path, allow_pickle=False) as found:
        names = {"indices", "radii", "metric", "labels", "distances"}
        return {name: found[name] for name in names & set(found.files)}


def _numpy_checkpoint(path: Path, options: dict[str, str]) -> Arrays:
    with np.load(path, allow_pickle=False) as found:
        problem = json.dumps(json.loads(str(found["problem"])))
        return {"indices": found["indices"], "radii": found["radii"], "problem": np.array(problem)}


def _trusted_shards(path: Path, options: dict[str, str]) -> Arrays:
    found = _MATRICES[path.suffix.removeprefix(".")](path, options)["matrix"]
    return {"matrix": np.vstack((_X, *([found] if len(found) else []), _X))}


def _safetensors_matrix(path: Path, options: dict[str, str]) -> Arrays:
    tensors = dict(safetensors.deserialize(path.read_bytes()))
    found = tensors[options["key"]] if "key" in options else next(iter(tensors.values()))
    flat = np.frombuffer(found["data"], dtype=_SAFETENSORS_DTYPES[found["dtype"]])
    return {"matrix": flat.reshape(found["shape"])}


def _parquet_matrix(path: Path, options: dict[str, str]) -> Arrays:
    source, columns = io.BytesIO(path.read_bytes()), [options["column"]]
    table = pq.read_table(source, columns=columns, page_checksum_verification=True)
    return {"matrix": _column(table, options)}


def _arrow_matrix(path: Path, options: dict[str, str]) -> Arrays:
    content = path.read_bytes()
    try:
        reader, schema = pa.ipc.open_file, pa.ipc.open_file(content).schema
    except pa.ArrowInvalid:
        reader, schema = pa.ipc.open_stream, pa.ipc.open_stream(content).schema
    # Damage to other columns harms nobody.
    wanted = pa.ipc.IpcReadOptions(included_fields=[schema.names.index(options["column"])])
    return {"matrix": _column(reader(content, options=wanted).read_all(), options)}


def _lines(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r")]


def _json_matrix(path: Path, options: dict[str, str]) -> Arrays:
    rows = [json.loads(line.decode())[options["column"]] for line in _lines(path)]
    return {"matrix": np.array(rows, dtype=np.float64)}


def _json_records(path: Path, options: dict[str, str]) -> Arrays:
    lines = _lines(path)
    assert all(isinstance(json.loads(line.decode()), dict) for line in lines)
    return {"records": _bytes(b"".join(line + b"\n" for line in reversed(lines)))}


def _table_records(path: Path, options: dict[str, str]) -> Arrays:
    content = path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
    else:
        try:
            table = pa.ipc.open_file(content).read_all()
        except pa.ArrowInvalid:
            table = pa.ipc.open_stream(content).read_all()
    table.validate(full=True)
    return {"records": _bytes(repr(table.to_pylist()[::-1]).encode("utf-8", "backslashreplace"))}


# By suffix: that of the output, and who is trusted.
_RECORDS = {
    "jsonl": (".jsonl", _json_records),
    "jsonl.gz": (".jsonl", _json_records),
    "parquet": (".arrow", _table_records),
    "arrow": (".arrow", _table_records),
}


def _trusted_records(path: Path, options: dict[str, str]) -> Arrays:
    return _RECORDS[path.name.partition(".")[2]][1](path, options)


def _column(table: Any, options: dict[str, str]) -> Array:
    column = table.column(options["column"])
    column.validate(full=True)
    if isinstance(column.type, pa.FixedShapeTensorType):
        return np.array([row.as_py() for chunk in column.chunks for row in chunk.storage])
    return np.array(column.to_pylist())


def _decoded_texts(path: Path, options: dict[str, str]) -> Arrays:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = lines[:-1] if not lines[-1] else lines
    return {"texts": np.array(json.dumps(lines))}


_MATRICES = {
    "npy": _numpy_matrix,
    "npz": _numpy_matrix,
    "safetensors": _safetensors_matrix,
    "parquet": _parquet_matrix,
    "arrow": _arrow_matrix,
}


# Valid files.


def _npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npy_seeds() -> Iterator[Seed]:
    for array in (_X, np.asfortranarray(_X), _X.astype(">f8"), _X.astype(np.float16), _X.astype(np.int8)):
        yield Seed("npy", _npy(array), {})


def _npz_seeds() -> Iterator[Seed]:
    for save in (np.savez, np.savez_compressed):
        for arrays in ({"arr_0": _X}, {"a": _X, "b": _X[:2].astype(np.float64)}):
            stream = io.BytesIO()
            save(stream, **arrays)
            yield Seed("npz", stream.getvalue(), {"key": next(iter(arrays))})


def _selection_seeds() -> Iterator[Seed]:
    for options in ({}, {"assign": True}, {"metric": "cosine", "anchors": _X[:2] + 1, "assign": True}):
        s = farpoint.select(_X, 5, backend="reference", **options)
        s = replace(s, info={"backend": "reference", "n": 9, "d": 3})  # without seconds: the same every time
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "s.npz"
            s.save(path)
            yield Seed("npz", path.read_bytes(), {})


def _checkpoint_seeds() -> Iterator[Seed]:
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder, "c.npz"), Path(folder, "x.npy")
        np.save(rows, _X)
        os.utime(rows, ns=(10**18, 10**18))
        for source, options in ((_X, {}), (_X, {"assign": True}), (rows, {"start": 3})):
            farpoint.select(source, 5, checkpoint=path, backend="reference", **options)
            with np.load(path) as archive:
                arrays = dict(archive)
            arrays["info"] = np.array('{"n": 9}')  # without seconds: the same every time
            stream = io.BytesIO()
            np.savez(stream, **arrays)
            yield Seed("npz", stream.getvalue(), {})
            path.unlink()


def _safetensors_seeds() -> Iterator[Seed]:
    yield Seed("safetensors", safetensors.numpy.save({"e": _X}), {})
    yield Seed("safetensors", safetensors.numpy.save({"e": _X, "f": _X[:3]}, {"by": "us"}), {"key": "f"})
    yield Seed("safetensors", safetensors.numpy.save({"e": _X.astype(np.float16)}), {"key": "e"})


def _tables() -> Iterator[Any]:
    flat = pa.array(_X.ravel())
    rows = pa.FixedSizeListArray.from_arrays(flat, 3)
    offsets = pa.array(np.arange(0, 28, 3, dtype=np.int32))
    yield pa.table({"text": [str(i) for i in range(9)], "e": rows})
    yield pa.table({"e": pa.ListArray.from_arrays(offsets, flat)})
    yield pa.table({"e": pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), flat.cast(pa.float64()))})
    yield pa.table({"e": pa.FixedShapeTensorArray.from_numpy_ndarray(_X)})


def _parquet_seeds() -> Iterator[Seed]:
    for table in _tables():
        for options in (
            {"compression": "none"},
            {"compression": "snappy", "write_page_checksum": True, "row_group_size": 4},
            {"compression": "zstd", "data_page_version": "2.0", "use_dictionary": False},
        ):
            stream = io.BytesIO()
            pq.write_table(table, stream, **options)
            yield Seed("parquet", stream.getvalue(), {"column": "e"})


def _arrow_seeds() -> Iterator[Seed]:
    for table in _tables():
        for writer in (pa.ipc.new_file, pa.ipc.new_stream):
            for compression in (None, "zstd", "lz4"):
                stream = io.BytesIO()
                with writer(
                    stream, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
                ) as out:
                    out.write_table(table, max_chunksize=4)
                yield Seed("arrow", stream.getvalue(), {"column": "e"})


def _text_seeds() -> Iterator[Seed]:
    lines = "".join(
        f"{text}\n" for text in ("plain", "", "\u00e4\u2028\x85\x00 \U0001f600", "x" * 300)
    ).encode()
    yield Seed("txt", lines, {})
    yield Seed("txt.gz", gzip.compress(lines, mtime=0), {})


def _json_seeds() -> Iterator[Seed]:
    rows = [
        {"t": f"é \u2028 {i}", "e": row, "m": {"n": None, "l": [True]}} for i, row in enumerate(_X.tolist())
    ]
    for ends, options in (
        ("\n", {}),
        ("\r\n", {"ensure_ascii": False}),
        (" \n\n", {"separators": (",", ":")}),
    ):
        content = ends.join(json.dumps(row, **options) for row in rows).encode()
        yield Seed("jsonl", content, {"column": "e"})
        yield Seed("jsonl", b"\xef\xbb\xbf" + content + ends.encode(), {"column": "e"})
        yield Seed("jsonl.gz", gzip.compress(content, mtime=0), {"column": "e"})


def targets() -> dict[str, Target]:
    """Return every reader by its name."""
    zipped = (mutate, mutate_member, mutate_member)
    found = {
        "selection": Target(list(_selection_seeds()), _read_selection, _numpy_selection, zipped),
        "checkpoint": Target(list(_checkpoint_seeds()), _read_checkpoint, _numpy_checkpoint, zipped),
        "npy": Target(list(_npy_seeds()), _read_matrix, _numpy_matrix),
        "npz": Target(list(_npz_seeds()), _read_matrix, _numpy_matrix, zipped),
        "safetensors": Target(
            list(_safetensors_seeds()), _read_matrix, _safetensors_matrix, (mutate, mutate_header)
        ),
        "arrow": Target(list(_arrow_seeds()), _read_matrix, _arrow_matrix),
        "parquet": Target(list(_parquet_seeds()), _read_matrix, _parquet_matrix),
        "texts": Target(list(_text_seeds()), _read_texts, _decoded_texts),
        "json lines": Target(list(_json_seeds()), _read_matrix, _json_matrix, (mutate, mutate_gzip)),
        "records": Target(list(_json_seeds()), _read_records, _trusted_records, (mutate, mutate_gzip)),
        "tables of records": Target([*_parquet_seeds(), *_arrow_seeds()], _read_records, _trusted_records),
    }
    files = [seed for name in _MATRICES for seed in found[name].seeds]
    return {**found, "shards": Target(files, _read_shards, _trusted_shards)}
