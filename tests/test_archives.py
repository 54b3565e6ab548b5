"""Archives that someone made to do harm, or that are damaged: refused before they cost anything."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint import open_matrix
from farpoint._archives import open_archive
from tests.conftest import Array

X = np.random.default_rng(0).standard_normal((40, 3))


def npy(array: Array, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def header(text: str, payload: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Return an .npy file with any text as its header."""
    encoded = text.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(encoded)) + encoded + payload


def described(shape: str, descr: str = "'<f8'", payload: bytes = b"") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n", payload)


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def patched(path: Path, offset: int, value: int, form: str) -> Path:
    """Change a field of the first entry of an archive's directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, content.index(b"PK\x01\x02") + offset, value)
    path.write_bytes(content)
    return path


@contextmanager
def refused(message: str, *, megabytes: float = 8) -> Iterator[None]:
    """Expect a ValueError that names the file, without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            yield
        assert "x.npz" in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    "array",
    [X, X.T.copy(order="F"), X[:0], X.astype(">f4"), X.astype(np.float16), np.arange(4.0), np.array(3)],
    ids=["plain", "fortran", "empty", "big-endian", "float16", "one dimension", "scalar"],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(path: Path, array: Array, save: Callable[..., None]) -> None:
    save(path, x=array, other=X)
    with open_archive(path) as opened:
        assert opened.names == ["x", "other"]
        read = opened.array("x")
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.f_contiguous == array.flags.f_contiguous
    np.testing.assert_array_equal(read, array)


def test_more_than_a_chunk(path: Path) -> None:
    big = np.random.default_rng(1).standard_normal((50_000, 7))
    np.savez_compressed(path, big)
    np.testing.assert_array_equal(open_matrix(path), big)


def test_names_are_never_names_of_files(path: Path) -> None:
    outside = ["../outside.npy", "/tmp/outside.npy", "a/../../outside.npy", "c:\\outside.npy"]
    archive(path, dict.fromkeys(outside, npy(X)) | {"README.txt": b"hello"})
    with open_archive(path) as opened:
        for name in opened.names:
            np.testing.assert_array_equal(opened.array(name), X)
        assert len(opened.names) == 4
    assert os.listdir(path.parent) == ["x.npz"]
    assert not (path.parent.parent / "outside.npy").exists()


def test_a_name_twice(path: Path) -> None:
    archive(path, {"x.npy": npy(X)})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("x.npy", npy(X + 1))
    with refused("member 'x.npy' is there twice"):
        open_matrix(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(path: Path, method: int) -> None:
    archive(path, {"x.npy": npy(X)}, method)
    with refused(f"member 'x.npy' has an unknown compression ({method})"):
        open_matrix(path)


def test_encrypted(path: Path) -> None:
    patched(archive(path, {"x.npy": npy(X)}), 8, 1, "<H")
    with refused("member 'x.npy' is encrypted or patched"):
        open_matrix(path)


@pytest.mark.parametrize("by", [-100, -1, 1, 100])
def test_the_directory_contradicts_the_header(path: Path, by: int) -> None:
    content = npy(np.tile(X, (10, 1)))
    patched(archive(path, {"x.npy": content}), 24, len(content) + by, "<I")
    with refused(f"says that it takes {len(content)} bytes, its archive that it takes {len(content) + by}"):
        open_matrix(path)


@pytest.mark.parametrize("rows", [39, 41])
def test_header_and_directory_agree_and_lie(path: Path, rows: int) -> None:
    """Both claim more or fewer rows than there are."""
    lie = described(f"({rows}, 3)", payload=X.tobytes())
    patched(archive(path, {"x.npy": lie}), 24, len(lie) + (rows - 40) * 24, "<I")
    with refused("array 'x' is damaged: "):
        open_matrix(path)


def test_an_expansion_that_deflate_has_not(path: Path) -> None:
    lie = described("(100000000, 30)", "'|i1'")
    patched(archive(path, {"x.npy": lie}), 24, 3_000_000_000 + len(lie), "<I")
    with refused("to 3000000077 bytes, which is not possible"):
        open_matrix(path)


def test_a_bomb(path: Path) -> None:
    """A thousandfold expansion that is what the archive says; refused without expanding it."""
    np.savez_compressed(path, np.zeros(300_000_000, dtype=np.int8))
    assert path.stat().st_size < 400_000
    with refused(
        "array 'arr_0' expands to 300000000 bytes, where the arrays of this file may take 268435456"
    ):
        open_matrix(path)
    with open_archive(path, limit=300_000_000) as opened:
        assert opened.array("arr_0").shape == (300_000_000,)


def test_the_limit_is_for_all_arrays_together(path: Path) -> None:
    np.savez(path, a=X, b=X)
    with open_archive(path, limit=2 * X.nbytes - 1) as opened:
        opened.array("a")
        with pytest.raises(ValueError, match="array 'b' expands to 960 bytes"):
            opened.array("b")


def test_members_that_overlap(path: Path) -> None:
    """Many names for the same compressed bytes."""
    content = npy(X)
    archive(path, {f"{i}.npy": content for i in range(3)}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    at = 0
    for _ in range(3):
        at = raw.index(b"PK\x01\x02", at) + 1
        struct.pack_into("<II", raw, at - 1 + 20, len(raw), len(raw))
    path.write_bytes(raw)
    with refused("its members overlap, or are longer than the file"):
        open_matrix(path, key="0")


HEADERS = {
    "objects": (npy(np.array([[{}]]), allow_pickle=True), "holds Python objects (pickled), which are not"),
    "structured": (npy(np.zeros(3, dtype=[("a", "f4")])), "is structured"),
    "a version to come": (npy(X).replace(b"NUMPY\x01", b"NUMPY\x09"), "is not a complete .npy array"),
    "version 3": (npy(X, version=(3, 0)), "version (3, 0) of the format"),
    "no header": (b"\x93NUMPY\x01\x00", "is not a complete .npy array"),
    "nothing": (b"", "is not a complete .npy array"),
    "text": (b"hello" * 100, "is not a complete .npy array"),
    "no dictionary": (header("[1, 2]\n"), "is not a complete .npy array"),
    "an expression": (header("__import__('os').abort()\n"), "is not a complete .npy array"),
    "deep": (header("(" * 3000 + "\n"), "is not a complete .npy array"),
    "many signs": (header("-" * 3900 + "1\n"), "is not a complete .npy array"),
    "a long header": (header(" " * 60_000 + "\n"), "is not a complete .npy array"),
    "no such dtype": (described("(3,)", "'<q9'"), "is not a complete .npy array"),
    "negative": (described("(-1, -8)", payload=bytes(64)), "shape (-1, -8)"),
    "huge": (described("(1 << 62, 1 << 62)"), "is not a complete .npy array"),
    "astronomic": (described(f"({10**18}, {10**18})"), f"shape ({10**18}, {10**18})"),
    "empty and huge": (described(f"(0, {2**70})"), f"shape (0, {2**70})"),
    "many dimensions": (described("(" + "1," * 200 + ")", payload=bytes(8)), "shape (1, 1"),
    "no width": (described(f"({2**60},)", "'<U0'"), "shape (1152921504606846976,) of <U0"),
    "an array of arrays": (described("(2,)", "('<f8', (2, 2))", bytes(64)), "array 'x' "),
    "truth": (described("(True, 8.0)", payload=bytes(64)), "is not a complete .npy array"),
}


@pytest.mark.parametrize("content, message", HEADERS.values(), ids=HEADERS)
def test_headers(path: Path, content: bytes, message: str) -> None:
    archive(path, {"x.npy": content})
    with refused(message):
        open_matrix(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"PK\x05\x06" + bytes(17), b"\x93NUMPY" + bytes(80), b"x" * 5000],
    ids=["empty", "letters", "short end", "npy", "text"],
)
def test_no_archive(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with refused("is not a saved selection: not a complete .npz archive"):
        farpoint.Selection.load(path)


def test_an_archive_of_nothing(path: Path) -> None:
    archive(path, {})
    with refused("is not a saved selection: it holds no arrays"):
        farpoint.Selection.load(path)


def test_an_archive_behind_something_else(path: Path) -> None:
    content = archive(path, {"x.npy": npy(X)}).read_bytes()
    path.write_bytes(b"#!/bin/sh\n" + content)
    with refused("not a complete .npz archive: it does not begin as one"):
        open_matrix(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with refused("is not a saved selection: not a regular file"):
        farpoint.Selection.load(path)


def test_a_folder_is_no_selection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a saved selection: not a regular file"):
        farpoint.Selection.load(tmp_path)


# What a selection says.


@pytest.fixture
def saved(path: Path) -> dict[str, Array]:
    farpoint.select(X, 6, assign=True).save(path)
    return dict(np.load(path))


def loads(path: Path, arrays: dict[str, Any]) -> farpoint.Selection:
    np.savez(path, **arrays)
    return farpoint.Selection.load(path)


def test_a_checkpoint_is_a_selection(path: Path, saved: dict[str, Array]) -> None:
    loaded = loads(path, {**saved, "problem": np.array('{"rows": 40}')})
    np.testing.assert_array_equal(loaded.indices, saved["indices"])


def test_selections_of_machines_of_the_other_byte_order(path: Path, saved: dict[str, Array]) -> None:
    loaded = loads(path, {name: array.astype(array.dtype.newbyteorder("S")) for name, array in saved.items()})
    np.testing.assert_array_equal(loaded.indices, saved["indices"])
    assert loaded.indices.dtype == np.int64
    assert loaded.info["n"] == 40


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("more", X, "it holds covering_radius, distances, "),
        ("farpoint_selection", np.array(1.5), "'farpoint_selection' is float64, not int64"),
        ("farpoint_selection", np.array([1]), "has shape (1,), not 0 dimensions"),
        ("farpoint_selection", np.array(2), "format 2, where this version of farpoint reads 1"),
        ("indices", np.arange(6.0), "array 'indices' is float64, not int64"),
        ("indices", np.array([0, 1, 2, 3, 4, 40]), "not rows of the 40 that info tells of"),
        ("indices", np.array([0, 1, 2, 3, 4, -1]), "indices are not distinct rows"),
        ("radii", np.ones(5), "indices and radii differ in length"),
        ("metric", np.array("x" * 101), "text 'metric' has 101 characters, where 100 are the most"),
        ("metric", np.array(b"euclidean"), "array 'metric' is not a text"),
        ("metric", np.array(0x110000, dtype=np.uint32).view("<U1"), "characters that do not"),
        ("info", np.array("{"), "text 'info' is not JSON"),
        ("info", np.array("[" * 100_000), "text 'info' is not JSON"),
        ("info", np.array("3"), "text 'info' is not a JSON object"),
        ("info", np.array(json.dumps({"n": 41})), "there are 40 labels for the 41 rows"),
        ("info", np.array(json.dumps({"n": 3})), "not rows of the 3 that info tells of"),
        ("labels", np.zeros(39, dtype=np.int64), "there are 39 labels for the 40 rows"),
        ("distances", np.full(40, 1e9), "distances are not distances within covering_radius"),
    ],
)
def test_what_no_selection_says(
    path: Path, saved: dict[str, Array], name: str, value: Any, message: str
) -> None:
    np.savez(path, **{**saved, name: value})
    with refused(message):
        farpoint.Selection.load(path)


def test_a_text_without_end(path: Path, saved: dict[str, Array]) -> None:
    np.savez_compressed(path, **{**saved, "info": np.zeros((), dtype=f"<U{(1 << 24) + 1}")})  # type: ignore[arg-type]
    with refused("text 'info' has 16777217 characters, where 16777216 are the most"):
        farpoint.Selection.load(path)


def test_what_is_missing_is_named(path: Path, saved: dict[str, Array]) -> None:
    del saved["radii"]
    with refused(
        "it holds covering_radius, distances, farpoint_selection, indices, info, labels, metric, where"
    ):
        loads(path, saved)


def test_save_refuses_what_load_would(path: Path) -> None:
    indices, radii = np.array([0]), np.array([np.inf])
    long = farpoint.Selection(indices, radii, 1.0, info={"note": "x" * (1 << 24)})
    with pytest.raises(ValueError, match="info takes 16777228 characters as JSON, where 16777216 are the"):
        long.save(path)
    assert not path.exists()
