"""Datasets of many files: order, formats side by side, where picks are, temporary files, and errors."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

import farpoint
from farpoint import _spool
from farpoint._files import open_files
from farpoint._parts import PartedMatrix
from farpoint.cli import main
from tests.conftest import Array, Engine, assert_same, every_engine

X = np.random.default_rng(0).standard_normal((300, 7)).astype(np.float32)


def table(array: Array) -> Any:
    flat = pa.array(np.ascontiguousarray(array).ravel())
    return pa.table(
        {"id": range(len(array)), "embedding": pa.FixedSizeListArray.from_arrays(flat, array.shape[1])}
    )


def write_ipc(path: Path, array: Array, compression: str | None = None, stream: bool = False) -> None:
    rows = table(array)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink:
        writer = pa.ipc.new_stream if stream else pa.ipc.new_file
        with writer(sink, rows.schema, options=options) as out:
            out.write_table(rows, max_chunksize=11)


def write_zarr(path: Path, array: Array, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    made = zarr.open(
        str(path), mode="w", shape=array.shape, chunks=(13, 5), dtype=array.dtype, zarr_format=version
    )
    made[:] = array


Writer = Callable[[Path, Array], None]
FORMATS: dict[str, tuple[str, Writer]] = {
    "npy": ("npy", lambda path, array: np.save(path, array)),
    "npy in Fortran's order": ("npy", lambda path, array: np.save(path, np.asfortranarray(array))),
    "npz": ("npz", lambda path, array: np.savez(path, array)),
    "npz, aligned": ("npz", lambda path, array: np.savez(path, embeddings=array)),
    "npz, compressed": ("npz", lambda path, array: np.savez_compressed(path, array)),
    "npz in Fortran's order": ("npz", lambda path, array: np.savez(path, np.asfortranarray(array))),
    "safetensors": ("safetensors", lambda path, array: safetensors.numpy.save_file({"e": array}, path)),
    "arrow": ("arrow", write_ipc),
    "arrow stream": ("arrow", lambda path, array: write_ipc(path, array, stream=True)),
    "feather, lz4": ("feather", lambda path, array: write_ipc(path, array, "lz4")),
    "feather, zstd": ("feather", lambda path, array: write_ipc(path, array, "zstd")),
    "parquet": ("parquet", lambda path, array: pq.write_table(table(array), path, row_group_size=17)),
    "zarr 2": ("zarr", lambda path, array: write_zarr(path, array, 2)),
    "zarr 3": ("zarr", lambda path, array: write_zarr(path, array, 3)),
}  # fmt: skip
# What reads where the file lies, and what has to be decoded.
MAPPED = {"npy", "npz, aligned", "safetensors", "arrow", "arrow stream"}


@pytest.fixture(params=["in memory", "in a file"])
def spooled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Decoded rows are kept in memory, or, but for the first hundred bytes, in a temporary file."""
    if request.param == "in a file":
        monkeypatch.setattr(_spool, "_IN_MEMORY_BYTES", 100)
    return str(request.param)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.int64])
def test_every_format_and_type(tmp_path: Path, kind: str, dtype: Any, spooled: str) -> None:
    suffix, write = FORMATS[kind]
    array = (X * 20).astype(np.int8).astype(dtype)
    one = tmp_path / f"one.{suffix}"
    write(one, array)
    for i, rows in enumerate(np.split(array, [1, 100, 180])):
        write(tmp_path / f"many{i}.{suffix}", np.ascontiguousarray(rows))
    expected = farpoint.select(array, 50)
    for source in (one, str(tmp_path / "many*")):
        found = farpoint.select(source, 50)
        assert_same(found, expected)
        assert found.info["dtype"] == expected.info["dtype"]
    files = {mapped_file(part) for part in open_files(one).parts}
    # Bytes are aligned wherever they lie.
    in_place = kind in MAPPED or (kind == "npz" and array.itemsize == 1)
    if in_place and dtype not in (np.int16, np.int64):
        assert files == {str(one)}
    else:
        assert str(one) not in files
        assert (files == {""}) == (spooled == "in memory")


def mapped_file(array: Array) -> str:
    """Return the file that the elements are mapped from, "" if they are not."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, _, _, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(part, 16) for part in place.split("-"))
        if begin <= address < end:
            return name[0] if name and name[0].startswith("/") else ""
    raise AssertionError("the elements are nowhere")


def write_mixed(folder: Path, rows: Array = X) -> list[Path]:
    """Write a folder of one matrix: shards in all formats, and what is no shard."""
    kinds = [kind for kind in FORMATS if "zarr" not in kind]
    bounds = np.linspace(0, len(rows), len(kinds) + 1).astype(int)
    paths = []
    for i, kind in enumerate(kinds):
        suffix, write = FORMATS[kind]
        paths.append(folder / f"{i:02}.{suffix}")
        write(paths[-1], rows[bounds[i] : bounds[i + 1]])
    np.save(folder / ".hidden.npy", rows)
    (folder / "README.md").write_text("shards")
    (folder / "more").mkdir()
    np.save(folder / "more" / "a.npy", rows)
    return paths


@every_engine
def test_a_folder_of_all_formats(tmp_path: Path, engine: Engine) -> None:
    paths = write_mixed(tmp_path)
    with engine.active():
        for options in (
            {},
            {"metric": "cosine"},
            {"start": "center"},
            {"selected": [3, 299], "assign": True},
        ):
            expected = farpoint.select(X, 30, **options, **engine.arguments)
            assert_same(farpoint.select(tmp_path, 30, **options, **engine.arguments), expected)
        expected = farpoint.select(X, 30, anchors=X[:40] + 1, **engine.arguments)
        np.save(tmp_path / "more" / "a.npy", X[:25] + 1)
        np.save(tmp_path / "more" / "b.npy", X[25:40] + 1)
        anchors = f"{tmp_path}/more/?.npy"
        assert_same(farpoint.select(paths, 30, anchors=anchors, **engine.arguments), expected)
        assert farpoint.h_min(tmp_path, **engine.arguments) == farpoint.h_min(X, **engine.arguments)
        nearest = farpoint.nearest(X, X[:25] + 1, **engine.arguments)
        found = farpoint.nearest(tmp_path, tmp_path / "more" / "a.npy", **engine.arguments)
        np.testing.assert_array_equal(found.distances, nearest.distances)
        np.testing.assert_array_equal(found.indices, nearest.indices)
        radius = farpoint.covering_radius(str(tmp_path), str(tmp_path / "more" / "a.npy"), **engine.arguments)
        assert radius == nearest.distances.max()
        distances = farpoint.pairwise_distances(tmp_path, **engine.arguments)
        np.testing.assert_array_equal(distances, farpoint.pairwise_distances(X, **engine.arguments))


@every_engine
def test_a_hundred_shards_some_without_rows(tmp_path: Path, engine: Engine) -> None:
    bounds = np.sort(np.random.default_rng(3).integers(0, len(X), 99))
    for i, rows in enumerate(np.split(X, bounds)):
        np.save(tmp_path / f"{i:03}.npy", rows)
    with engine.active():
        found = farpoint.select(tmp_path, 60, **engine.arguments)
        assert_same(found, farpoint.select(X, 60, **engine.arguments))
    assert len(found.info["files"]) == 100
    assert 0 in {file["rows"] for file in found.info["files"]}
    check_locations(found)


def check_locations(selection: farpoint.Selection) -> None:
    files, file, row = selection.locate()
    for index, i, r in zip(selection.indices, file, row, strict=True):
        np.testing.assert_array_equal(np.load(files[i])[r], X[index])


def test_order_is_by_sorted_names_and_lists_are_as_given(tmp_path: Path) -> None:
    for name, rows in (("10", X[:100]), ("9", X[100:120]), ("a", X[120:])):
        np.save(tmp_path / f"{name}.npy", rows)
    assert [Path(name).name for name, _ in open_files(tmp_path).files] == ["10.npy", "9.npy", "a.npy"]
    turned = [tmp_path / "a.npy", str(tmp_path / "10.npy"), tmp_path / "9.npy"]
    assert_same(farpoint.select(turned, 40), farpoint.select(np.vstack((X[120:], X[:120])), 40))
    twice = (tmp_path / "a.npy", tmp_path / "a.npy")
    found = farpoint.select(twice, 200)
    assert_same(found, farpoint.select(np.vstack((X[120:], X[120:])), 200))
    assert found.locate().file.max() == 1
    nested: list[Any] = [tmp_path, f"{tmp_path}/[9]*"]
    assert open_files(nested).shape == (320, 7)
    assert open_files(nested).name == f"{tmp_path} and 1 more"


def test_shards_of_different_types_become_one_that_holds_all(tmp_path: Path) -> None:
    whole = (X * 20).round()
    for types, common in (
        ((np.float16, np.float32), np.float32),
        ((np.int8, np.uint8), np.float32),
        ((np.float16, np.int16), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float32, np.int32), np.float64),
        ((np.dtype(">f4"), np.float32), np.float32),
        ((np.dtype(">f8"), np.dtype(">f8")), np.float64),
    ):
        array = np.abs(whole) if np.uint8 in types else whole
        for name, rows, dtype in zip("ab", (array[:90], array[90:]), types, strict=True):
            np.save(tmp_path / f"{name}.npy", rows.astype(dtype))
        found = farpoint.select(tmp_path, 20)
        assert found.info["dtype"] == np.dtype(common).name
        assert_same(found, farpoint.select(array.astype(common), 20))


def test_bfloat16_shards(tmp_path: Path, spooled: str) -> None:
    bits = X.astype(ml_dtypes.bfloat16)
    for name, rows in (("a", bits[:20]), ("b", bits[20:])):
        safetensors.numpy.save_file({"e": rows}, tmp_path / f"{name}.safetensors")
    found = farpoint.select(tmp_path, 30)
    assert found.info["dtype"] == "bfloat16"
    assert_same(found, farpoint.select(bits, 30))
    # Rows that are not where an element of their size may be, have to be copied.
    path = tmp_path / "a.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little") + 1
    path.write_bytes(length.to_bytes(8, "little") + b" " + content[8:])
    assert_same(farpoint.select(tmp_path, 30), farpoint.select(bits, 30))


def test_large_files_are_not_read_into_memory(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((300_000, 100), dtype=np.float32)
    np.savez(tmp_path / "a.npz", rows)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 100)
    pq.write_table(pa.table({"e": flat}), tmp_path / "a.parquet", row_group_size=1 << 14)
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(sink, pa.schema([("e", flat.type)]), options=options) as out:
            out.write_table(pa.table({"e": flat}), max_chunksize=1 << 14)
    np.save(tmp_path / "a.npy", np.asfortranarray(rows))
    np.savez(tmp_path / "b.npz", np.asfortranarray(rows))
    for name in ("a.npz", "b.npz", "a.parquet", "a.arrow", "a.npy"):
        found = run(
            f"""
            {IN_A_FILE}
            import pyarrow.parquet
            def anonymous():
                lines = [line for line in open("/proc/self/status") if line.startswith("RssAnon")]
                return int(lines[0].split()[1]) * 1024
            before = anonymous()
            X = farpoint.open_matrix({str(tmp_path / name)!r}, spill_folder={str(tmp_path)!r})
            assert X.shape == (300_000, 100), X.shape
            assert X[299_999].tolist() == {rows[-1].tolist()}
            print(anonymous() - before)
            """
        )
        assert found.returncode == 0, found.stderr
        assert int(found.stdout) < rows.nbytes / 2, name


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# The beginning of a script in which decoded rows are kept in a file.
IN_A_FILE = "import os, time, farpoint; from farpoint import _spool; _spool._IN_MEMORY_BYTES = 100"


def test_the_temporary_file_goes_with_what_is_mapped_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_spool, "_IN_MEMORY_BYTES", 100)
    pq.write_table(table(X), tmp_path / "a.parquet")
    spill = tmp_path / "spill"
    spill.mkdir()

    def open_files_there() -> list[str]:
        folder = Path("/proc/self/fd")
        links = [os.readlink(fd) for fd in folder.iterdir() if fd.exists() or fd.is_symlink()]
        return [link for link in links if link.startswith(str(spill))]

    matrix = farpoint.open_matrix(tmp_path / "a.parquet", spill_folder=spill)
    assert list(spill.iterdir()) == []
    np.testing.assert_array_equal(np.asarray(matrix), X)
    assert mapped_file(matrix[290:291]).startswith(str(spill))
    del matrix
    assert open_files_there() == []
    assert_same(farpoint.select(tmp_path / "a.parquet", 9, spill_folder=spill), farpoint.select(X, 9))
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"a\.parquet"):
        farpoint.open_matrix(tmp_path / "a.parquet", spill_folder=spill)
    assert open_files_there() == []
    assert list(spill.iterdir()) == []


def test_the_temporary_file_is_gone_after_a_kill(tmp_path: Path) -> None:
    pq.write_table(table(X), tmp_path / "a.parquet")
    spill = tmp_path / "spill"
    spill.mkdir()
    script = textwrap.dedent(
        f"""
        {IN_A_FILE}
        X = farpoint.open_matrix({str(tmp_path / "a.parquet")!r}, spill_folder={str(spill)!r})
        print("opened", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        assert str(spill) in Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGKILL)
    assert list(spill.iterdir()) == []


def test_a_full_disk_is_an_error_that_says_where(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((20_000, 7)).astype(np.float32)
    pq.write_table(table(rows), tmp_path / "a.parquet")
    spill = tmp_path / "spill"
    spill.mkdir()
    found = run(
        f"""
        {IN_A_FILE}
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            farpoint.select({str(tmp_path / "a.parquet")!r}, 9, spill_folder={str(spill)!r})
        except OSError as error:
            print(error)
        print(os.listdir({str(spill)!r}))
        """
    )
    lines = found.stdout.splitlines()
    assert re.fullmatch(
        rf".*a\.parquet: a temporary file in {spill} cannot grow to [\d,]+ bytes: File too large; make room "
        "there, or name another folder as spill_folder",
        lines[0],
    ), found.stdout + found.stderr
    assert lines[1] == "[]"


def test_places_that_are_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    for place in (tmp_path / "none", tmp_path / "a.npy"):
        for function in (partial(farpoint.select, k=3), farpoint.open_matrix):
            with pytest.raises(ValueError, match=f"spill_folder = '{place}' is not a folder"):
                function(tmp_path / "a.npy", spill_folder=place)
    with pytest.raises(TypeError, match="spill_folder must be a path, not int"):
        farpoint.open_matrix(tmp_path / "a.npy", spill_folder=3)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="mappings keep no descriptors")
def test_too_many_files_are_an_error_that_says_what_to_raise(tmp_path: Path) -> None:
    for i in range(100):
        np.save(tmp_path / f"{i}.npy", X[i : i + 1])
    found = run(
        f"""
        import resource
        import farpoint
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))
        try:
            farpoint.select({str(tmp_path)!r}, 9)
        except OSError as error:
            print(error)
        """
    )
    assert re.search(r"\d+\.npy: Too many open files; .*ulimit -n", found.stdout), found.stdout + found.stderr


def save(path: Path, array: Array) -> Path:
    np.save(path, array)
    return path


def test_troubles_name_the_file_and_its_row(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.npy", X[:100]), tmp_path / "b.npy"
    bad = X[100:].copy()
    bad[17, 3] = np.nan
    save(b, bad)
    message = rf"^{b} must be finite: row 17, column 3 is NaN; drop or impute such rows$"
    for source in (tmp_path, [a, b], b, f"{tmp_path}/*.npy", farpoint.open_matrix(tmp_path)):
        with pytest.raises(ValueError, match=message):
            farpoint.select(source, 3)
    with pytest.raises(ValueError, match=message):
        farpoint.select(X, 3, anchors=tmp_path)
    bad[17] = 0
    save(b, bad)
    with pytest.raises(ValueError, match=rf"^{b}: row 17 is all zeros, which has no cosine distance"):
        farpoint.h_min(tmp_path, metric="cosine")
    save(b, bad[:, :4])
    with pytest.raises(ValueError, match=rf"^{b} has 4 columns where {a} has 7$"):
        farpoint.select(tmp_path, 3)
    with pytest.raises(ValueError, match=rf"^{b} has 4 columns where {a} has 7$"):
        farpoint.nearest(a, b)
    save(b, bad[:0])
    with pytest.raises(ValueError, match=rf"^{b} is empty: there are no rows"):
        farpoint.select(b, 3)
    assert_same(farpoint.select([b, a], 5), farpoint.select(X[:100], 5))
    for array, error, message in (
        (bad[0], ValueError, "must be 2-D"),
        (bad[:, :0], ValueError, "is empty: it has shape"),
        (bad.astype(complex), TypeError, "has dtype complex128; supported are"),
        (np.full((2, 7), 2**60), TypeError, r"has dtype int64 with elements beyond 2\*\*53"),
    ):
        save(b, array)
        with pytest.raises(error, match=rf"^{b} {message}"):
            farpoint.select(tmp_path, 3)


def test_nulls_name_the_file_and_its_row(tmp_path: Path) -> None:
    rows: list[Any] = X.tolist()
    path = tmp_path / "a.parquet"
    kind = pa.list_(pa.float32())
    for at, value, message in (
        (117, None, "must not have nulls: row 117 is null"),
        (117, [1.0, None, *[0.0] * 5], "must not have nulls: row 117, column 1 is null"),
        (117, [1.0], "has lists of different lengths"),
    ):
        bad = [*rows[:at], value, *rows[at + 1 :]]
        pq.write_table(pa.table({"e": pa.array(bad, type=kind)}), path, row_group_size=10)
        with pytest.raises(ValueError, match=rf"^{path} {message}"):
            farpoint.select(path, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_or_missing_shard_is_named(tmp_path: Path, kind: str) -> None:
    suffix, write = FORMATS[kind]
    save(tmp_path / "a.npy", X[:100])
    write(tmp_path / f"b.{suffix}", X[100:])
    shards = [tmp_path / "a.npy", tmp_path / f"b.{suffix}"]
    assert_same(farpoint.select(shards, 9), farpoint.select(X, 9))
    if suffix == "zarr":
        for chunk in (path for path in shards[1].rglob("*") if path.is_file() and "0" in path.name):
            chunk.write_bytes(b"no chunk")
    else:
        shards[1].write_bytes(shards[1].read_bytes()[:-200])
    with pytest.raises(ValueError, match=rf"b\.{suffix}"):
        farpoint.select(shards, 9)
    with pytest.raises(FileNotFoundError, match=rf"c\.{suffix}: no such file"):
        farpoint.select([*shards, tmp_path / f"c.{suffix}"], 9)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind.startswith("npz")])
def test_archives_that_lie(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    FORMATS[kind][1](path, X)
    content = bytearray(path.read_bytes())
    if kind != "npz, compressed":
        # An element: the checksum tells.
        flipped = content.copy()
        flipped[len(content) // 2] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"a\.npz.*(CRC|checksum)"):
            farpoint.select(path, 3)
        # The shape in the header of the array, and not the size in the archive's directory.
        path.write_bytes(content.replace(b"(300, 7)", b"(900, 7)"))
        with pytest.raises(ValueError, match=r"a\.npz.* says that it takes"):
            farpoint.select(path, 3)


def test_which_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\*\.npy: no file matches this pattern"):
        farpoint.select(f"{tmp_path}/*.npy", 3)
    with pytest.raises(ValueError, match="holds no file of a known suffix"):
        farpoint.select(tmp_path, 3)
    (tmp_path / "sub").mkdir()
    save(tmp_path / "a.npy", X)
    with pytest.raises(ValueError, match=r"sub, which .*\* matches, is a folder, not a file"):
        farpoint.select(f"{tmp_path}/*", 3)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"notes\.txt: unknown suffix '\.txt'"):
        farpoint.select(f"{tmp_path}/*.*", 3)
    for source in ([], 3, [X], None):
        with pytest.raises(TypeError, match="source must be a path or a list of paths"):
            farpoint.open_matrix(source)  # type: ignore[arg-type]
    np.savez(tmp_path / "b.npz", x=X, y=X[:5])
    assert_same(
        farpoint.select(farpoint.open_matrix(tmp_path, key="y"), 9), farpoint.select(np.vstack((X, X[:5])), 9)
    )
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ValueError, match=r"pipe\.npy: is not a regular file"):
        farpoint.select(tmp_path / "pipe.npy", 3)
    # A file whose name is also a pattern.
    save(tmp_path / "[a].npy", X)
    assert_same(farpoint.select(tmp_path / "[a].npy", 9), farpoint.select(X, 9))


def test_zarr_groups(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "store"), mode="w")
    for name, rows in (("a", X), ("b", X[:4])):
        group.create_array(name, shape=rows.shape, chunks=(5, 7), dtype="float32")[:] = rows
    with pytest.raises(ValueError, match=r"store: holds several arrays \(a, b\); say which with key"):
        farpoint.open_matrix(tmp_path / "store")
    np.testing.assert_array_equal(np.asarray(farpoint.open_matrix(tmp_path / "store", key="a")), X)
    write_zarr(tmp_path / "array", X, 3)
    with pytest.raises(ValueError, match="array: is one array and has no keys; leave key out"):
        farpoint.open_matrix(tmp_path / "array", key="a")
    assert_same(farpoint.select([tmp_path / "array"], 9), farpoint.select(X, 9))


def test_zarr_never_loads_pickles(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (exec, ("raise SystemExit('a pickle was loaded')",))

    write_zarr(tmp_path / "bomb.zarr", X, 2)
    path = tmp_path / "bomb.zarr" / ".zarray"
    metadata = json.loads(path.read_text())
    for chunk in path.parent.glob("*.*"):
        chunk.write_bytes(pickle.dumps(Bomb()))
    for stage, codec in (("compressor", {"id": "pickle"}), ("filters", [{"id": "pickle"}])):
        path.write_text(json.dumps({**metadata, "compressor": None, "filters": None, stage: codec}))
        with pytest.raises(ValueError, match=r"bomb\.zarr"):
            farpoint.open_matrix(path.parent)


def test_locations_survive(tmp_path: Path) -> None:
    for name, rows in (("a", X[:120]), ("b", X[:0]), ("c", X[120:])):
        save(tmp_path / f"{name}.npy", rows)
    s = farpoint.select(tmp_path, 40)
    assert s.info["files"] == [
        {"name": str(tmp_path / f"{name}.npy"), "rows": rows}
        for name, rows in (("a", 120), ("b", 0), ("c", 180))
    ]
    check_locations(s)
    s.save(tmp_path / "s.npz")
    for other in (farpoint.Selection.load(tmp_path / "s.npz"), s.prefix(13)):
        check_locations(other)
        np.testing.assert_array_equal(other.locate().row, s.locate().row[: len(other)])
    frame = s.to_frame()
    files, file, row = s.locate()
    assert list(frame.columns) == ["order", "index", "radius", "file", "row"]
    assert frame["row"].tolist() == row.tolist() == s.to_dict()["row"]
    assert frame["file"].tolist() == [files[i] for i in file] == s.to_dict()["file"]
    single = farpoint.select(tmp_path / "a.npy", 5)
    np.testing.assert_array_equal(single.locate().row, single.indices)
    assert list(single.to_frame().columns) == ["order", "index", "radius"]
    with pytest.raises(ValueError, match="made from an array, not from files"):
        farpoint.select(X, 3).locate()


@pytest.mark.parametrize(
    "files",
    [3, "ab", [3], [{"name": "a"}], [{"name": 3, "rows": 300}], [{"name": "a", "rows": True}],
     [{"name": "a", "rows": -1}, {"name": "b", "rows": 400}], [{"name": "a", "rows": 2}], [],
     [{"name": "a", "rows": 2**63}]],
)  # fmt: skip
def test_locations_that_lie(tmp_path: Path, files: Any) -> None:
    s = farpoint.select(X, 5)
    s.info["files"] = files
    with pytest.raises(ValueError, match="info.*files"):
        s.locate()
    s.save(tmp_path / "s.npz")
    with pytest.raises(ValueError, match=r"s\.npz.*info.*files"):
        farpoint.Selection.load(tmp_path / "s.npz")


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shards").mkdir()
    save(Path("shards/a.npy"), X[:120])
    pq.write_table(table(X[120:]), "shards/b.parquet")
    save(Path("more.npy"), X[:3] + 1)
    save(Path("others.npy"), X[:5] - 1)
    expected = farpoint.select(X, 30)
    for source in (["shards"], ["shards/*"], ["shards/a.npy", "shards/b.parquet"]):
        assert main(["select", *source, "-k", "30"]) == 0
        out, err = capsys.readouterr()
        assert [int(line) for line in out.splitlines()] == expected.indices.tolist()
        assert "30 of 300 rows of shards" in err
    assert main(["select", "shards", "-k", "30", "-o", "s.csv", "--quiet", "--spill-folder", "shards"]) == 0
    lines = [line.split(",") for line in Path("s.csv").read_text().splitlines()]
    assert lines[0] == ["order", "index", "radius", "file", "row"]
    for order, index, _, file, row in lines[1:]:
        assert int(index) == expected.indices[int(order)]
        assert int(index) == int(row) + (120 if file == "shards/b.parquet" else 0)
    assert {line[3] for line in lines[1:]} == {"shards/a.npy", "shards/b.parquet"}
    assert main(["select", "shards", "-k", "30", "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [record["row"], record["file"]] == [
        [int(line[4]) for line in lines[1:]],
        [line[3] for line in lines[1:]],
    ]
    assert main(["select", "more.npy", "-k", "2", "-o", "one.csv", "--quiet"]) == 0
    assert Path("one.csv").read_text().startswith("order,index,radius\n")
    arguments = ["--anchors", "more.npy", "--anchors", "others.npy", "shards", "-k", "9", "--quiet"]
    assert main(["select", *arguments]) == 0
    away = farpoint.select(X, 9, anchors=np.vstack((X[:3] + 1, X[:5] - 1)))
    assert [int(line) for line in capsys.readouterr().out.splitlines()] == away.indices.tolist()
    pair = farpoint.h_min(X)
    assert main(["hmin", "shards", "--column", "embedding"]) == 0
    assert f"between rows {pair.i} and {pair.j}: row " in capsys.readouterr().out
    assert main(["hmin", "shards", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [record["i"], record["j"]] == [pair.i, pair.j]
    places = zip(record["files"], record["rows"], strict=True)
    assert [row + 120 * (file == "shards/b.parquet") for file, row in places] == [pair.i, pair.j]
    for arguments, message in (
        (["select", "shards", "none", "-k", "3"], "none: no such file"),
        (["select", "shards", "-k", "3", "--key", "x"], "shards/a.npy: a .npy file has no keys"),
        (
            ["select", "shards", "-k", "3", "--column", "x"],
            "shards/b.parquet: no column 'x'; there are id, embedding",
        ),
        (["select", "shards", "-k", "3", "--spill-folder", "none"], "none' is not a folder"),
        (["hmin", "shards", "--anchors", "x"], "unrecognized arguments"),
    ):
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err


def test_what_is_opened_is_an_array_or_parts(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", X)
    one = farpoint.open_matrix(path)
    assert isinstance(one, np.ndarray)
    assert_same(farpoint.select(one, 9), farpoint.select(X, 9))
    several = farpoint.open_matrix([path, path])
    assert isinstance(several, PartedMatrix)
    assert several.name == f"{path} and 1 more"
    assert several.files == [(str(path), 300), (str(path), 300)]
    found = farpoint.select(several, 9)
    assert_same(found, farpoint.select(np.vstack((X, X)), 9))
    assert found.locate().files == [str(path), str(path)]
