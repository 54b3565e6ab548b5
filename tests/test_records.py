"""Files of records: what is picked comes out as it was, in order, and whatever is wrong is said before."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import farpoint
import farpoint.datasets
from farpoint import _json_lines
from farpoint._records import _writing, convert, open_records, tables
from farpoint.cli import main
from tests import soak_records

X = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
PICKS = farpoint.select(X, 60)
KINDS = ("jsonl", "ndjson", "jsonl.gz", "parquet", "arrow", "feather")


def record(i: int) -> dict[str, Any]:
    """Make a record with what makes lines and columns hard."""
    said = f'line\u2028separator {i}, a "quote", a\nfeed, an é and \U0001f600'
    return {"id": i, "text": said * (i % 4), "tags": ["a"] * (i % 3), "meta": {"score": i / 7, "by": None}}


RECORDS = [record(i) for i in range(len(X))]


def line_of(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=content["id"] % 2 == 0).encode() + b"\n"


def write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write records in the format that the suffix says."""
    name = path.name
    if name.endswith((".jsonl", ".ndjson")):
        path.write_bytes(b"".join(map(line_of, records)))
    elif name.endswith(".gz"):
        with gzip.open(path, "wb") as file:
            file.write(b"".join(map(line_of, records)))
    elif name.endswith(".parquet"):
        pq.write_table(table(records), path, row_group_size=70)
    elif name.endswith(".feather"):
        with pa.ipc.new_stream(str(path), table(records).schema) as out:
            out.write_table(table(records), max_chunksize=33)
    else:
        with pa.ipc.new_file(str(path), table(records).schema) as out:
            out.write_table(table(records), max_chunksize=50)


SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("text", pa.large_string()),
        ("tags", pa.list_(pa.field("element", pa.string()))),  # as Parquet calls it
        ("meta", pa.struct([("score", pa.float64()), ("by", pa.string())])),
    ],
    metadata={"made by": "us"},
)


def table(records: Sequence[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(list(records), schema=SCHEMA)


def read(path: Path) -> list[dict[str, Any]]:
    """Read them back by what others read them with."""
    if path.name.endswith((".jsonl", ".ndjson")):
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    if path.name.endswith(".gz"):
        return [json.loads(line) for line in gzip.open(path).read().split(b"\n")[:-1]]
    rows: list[dict[str, Any]] = (
        pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(str(path)).read_all()
    ).to_pylist()
    return rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "data.jsonl", RECORDS)
    np.save(tmp_path / "emb.npy", X)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["large pieces", "small pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is done some records at a time is done a few at a time."""
    if request.param == "small pieces":
        monkeypatch.setattr(_writing, "_ROWS_AT_A_TIME", 7)
        monkeypatch.setattr(_writing, "_GROUP_ROWS", 20)
        monkeypatch.setattr(tables, "_BATCH_ROWS", 9)
        monkeypatch.setattr(convert, "_BLOCK_BYTES", 300)


def select(*arguments: str) -> list[str]:
    return ["select", "data.jsonl", "--embeddings", "emb.npy", "-k", "60", "--quiet", *arguments]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# What comes out.


def test_the_selected_lines_byte_by_byte_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "select data.jsonl --embeddings emb.npy -k 60 -o subset.jsonl"
    assert main(command.split()) == 0
    lines = (folder / "data.jsonl").read_bytes().split(b"\n")
    expected = b"".join(lines[i] + b"\n" for i in PICKS.indices)
    assert (folder / "subset.jsonl").read_bytes() == expected
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"60 of 400 rows of data.jsonl: h_min {PICKS.h_min:.6g}")


# What others take for ends of lines; line feeds are escaped.
LINE_ENDS = ["\u2028", "a\u2029b", "\x85", "\x0b\x0c", "\x1c\x1d\x1e", "\r", "\n", "\r\n"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(LINE_ENDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
json_lines = st.tuples(
    st.dictionaries(st.text(), json_values, max_size=4),
    st.booleans(),  # escape what is not ASCII
    st.sampled_from(["", " ", "\t"]),  # around the object
    st.sampled_from([b"\n", b"\r\n", b" \t\n", b"\n\n", b"\n \r\n"]),  # ends it, with blank lines
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(json_lines, min_size=1, max_size=12),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_json_lines(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[dict[str, Any], bool, str, bytes]],
    mark: bool,
    ended: bool,
    compressed: bool,
    chance: random.Random,
) -> None:
    bodies = []
    for content, escape, space, _ in drawn:
        text = space + json.dumps(content, ensure_ascii=escape) + space
        bodies.append(text.encode())
    ends = [end for _, _, _, end in drawn]
    if not ended:
        ends[-1] = b""
    whole = b"\xef\xbb\xbf" * mark + b"".join(map(bytes.__add__, bodies, ends))
    folder = tmp_path_factory.mktemp("lines")
    path = folder / ("a.jsonl.gz" if compressed else "a.jsonl")
    path.write_bytes(gzip.compress(whole) if compressed else whole)
    records = open_records(path)
    assert records.scan() == len(drawn)
    picked = chance.sample(range(len(drawn)), chance.randint(1, len(drawn)))
    records.write(np.array(picked), folder / "out", folder / "out.jsonl")
    # What belongs to a line ends with its first line feed; blank lines belong to none.
    lines = [
        body + (end[: end.index(b"\n")] + b"\n" if end else b"\n")
        for body, end in zip(bodies, ends, strict=True)
    ]
    assert (folder / "out").read_bytes() == b"".join(lines[i] for i in picked)


def test_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"i": i, "text": "é" * (i * 700_001)}, ensure_ascii=False) for i in range(6)]
    path.write_text("\n".join(lines), encoding="utf-8")
    farpoint.datasets.select_file(path, tmp_path / "b.jsonl", 3, embeddings=[[0], [1], [2], [3], [4], [9]])
    found = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    assert found == [lines[0], lines[5], lines[4]]


@pytest.mark.parametrize("kind", ["jsonl.gz", "parquet"])
def test_temporary_files_go_where_they_are_told_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write(folder / f"in.{kind}", RECORDS)
    os.mkdir("big")
    makes, places = tempfile.TemporaryFile, []

    def make(*arguments: Any, dir: Any = None, **options: Any) -> Any:  # noqa: A002
        places.append(dir)
        return makes(*arguments, dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    arguments = ["--embeddings", "emb.npy", "-k", "60", "--quiet", "--spill-folder", "big"]
    assert main(["select", f"in.{kind}", "-o", "out.jsonl", *arguments]) == 0
    assert "big" in places
    assert read(folder / "out.jsonl") == [RECORDS[i] for i in PICKS.indices]
    assert list((folder / "big").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("into", KINDS)
def test_every_format_into_every_other(folder: Path, pieces: None, kind: str, into: str) -> None:
    write(folder / f"in.{kind}", RECORDS)
    s = farpoint.datasets.select_file(f"in.{kind}", f"out.{into}", 60, embeddings=X)
    np.testing.assert_array_equal(s.indices, PICKS.indices)
    assert read(folder / f"out.{into}") == [RECORDS[i] for i in PICKS.indices]
    is_table = kind in ("parquet", "arrow", "feather")
    if into == "parquet" and is_table:
        found = pq.read_schema(folder / "out.parquet")
        assert found.equals(SCHEMA, check_metadata=True)
    if into in ("arrow", "feather") and is_table:
        assert pa.ipc.open_file(f"out.{into}").schema.equals(SCHEMA, check_metadata=True)


@pytest.mark.parametrize("into", KINDS)
def test_several_files_are_one_sequence(folder: Path, pieces: None, into: str) -> None:
    os.mkdir("shards")
    kinds = ["jsonl", "ndjson", "jsonl.gz"] if into != "parquet" else ["parquet", "arrow", "feather"]
    for i, kind in enumerate(kinds):
        write(folder / "shards" / f"{i}.{kind}", RECORDS[i * 150 : (i + 1) * 150])
    for source in ("shards", "shards/*", ["shards/0.*", "shards/1.*", "shards/2.*"]):
        arguments = source if isinstance(source, list) else [source]
        np.save("a.npy", X[:10])
        np.save("b.npy", X[10:])
        embeddings = ["--embeddings", "a.npy", "--embeddings", "b.npy"]
        assert main(["select", *arguments, *embeddings, "-k", "60", "-o", f"out.{into}", "--quiet"]) == 0
        assert read(folder / f"out.{into}") == [RECORDS[i] for i in PICKS.indices]


def test_tables_and_lines_together_are_written_as_lines(folder: Path) -> None:
    write(folder / "a.parquet", RECORDS[:150])
    write(folder / "b.jsonl.gz", RECORDS[150:])
    source: list[Any] = ["a.parquet", "b.jsonl.gz"]
    farpoint.datasets.select_file(source, "out.jsonl", 60, embeddings=X)
    assert read(folder / "out.jsonl") == [RECORDS[i] for i in PICKS.indices]
    with pytest.raises(ValueError, match=r"a\.parquet has a schema and b\.jsonl\.gz has none: .* \.jsonl"):
        farpoint.datasets.select_file(source, "out.parquet", 60, embeddings=X)
    pq.write_table(pa.table({"id": range(250)}), "c.parquet")
    with pytest.raises(
        ValueError, match=r"c\.parquet has columns \(id: int64\) that are not those of a\.parq"
    ):
        farpoint.datasets.select_file([source[0], "c.parquet"], "out.parquet", 60, embeddings=X)
    assert not (folder / "out.parquet").exists()


def test_more_columns(folder: Path, pieces: None) -> None:
    columns = ["--order-column", "o", "--radius-column", 'a "radius"']
    write(folder / "data.parquet", RECORDS)
    for source in ("data.jsonl", "data.parquet"):
        for into in ("jsonl", "parquet"):
            options = ["--embeddings", "emb.npy", "-k", "60", "-o", f"out.{into}", "--quiet", *columns]
            assert main(["select", source, *options]) == 0
            found = read(folder / f"out.{into}")
            assert [row.pop("o") for row in found] == list(range(60))
            radii = [row.pop('a "radius"') for row in found]
            assert radii == [None if into == "jsonl" else np.inf, *PICKS.radii[1:].tolist()]
            assert found == [RECORDS[i] for i in PICKS.indices]


@pytest.mark.parametrize(
    "line, expected",
    [
        (b"{}", b'{"o": 1}'),
        (b" { } \r\n", b' {"o": 1} \r\n'),
        (b'{"a": {}}\n', b'{"a": {}, "o": 1}\n'),
        (b'{"a": "}" \t}\t\n', b'{"a": "}", "o": 1}\t\n'),
        (b'{"a": "{"}', b'{"a": "{", "o": 1}'),
    ],
)
def test_fields_are_added_at_the_end_of_an_object(line: bytes, expected: bytes) -> None:
    assert _writing.with_fields(line, {"o": 1}) == expected


def test_standard_output(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without -o row numbers, as of a matrix; records if they are asked for, as JSON lines."""
    assert main(select()) == 0
    assert [int(line) for line in capfdbinary.readouterr().out.split()] == PICKS.indices.tolist()
    assert main(select("-o", "-")) == 0
    lines = (folder / "data.jsonl").read_bytes().split(b"\n")
    assert capfdbinary.readouterr().out == b"".join(lines[i] + b"\n" for i in PICKS.indices)
    write(folder / "data.parquet", RECORDS)
    assert main(["select", "data.parquet", "--embeddings", "emb.npy", "-k", "60", "-o", "-", "--quiet"]) == 0
    found = [json.loads(line) for line in capfdbinary.readouterr().out.split(b"\n")[:-1]]
    assert found == [RECORDS[i] for i in PICKS.indices]


def test_the_selection_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(select("-o", "out.jsonl", "--save-selection", "s.npz", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["indices"] == PICKS.indices.tolist()
    np.testing.assert_array_equal(farpoint.Selection.load("s.npz").indices, PICKS.indices)
    for suffix in ("npz", "npy", "csv", "json", "txt"):
        assert main(select("-o", f"out.{suffix}")) == 0
    np.testing.assert_array_equal(np.load("out.npy"), PICKS.indices)
    assert (folder / "out.txt").read_text().split() == [str(i) for i in PICKS.indices]
    assert main(["select", "emb.npy", "-k", "60", "--save-selection", "t.npz", "--quiet"]) == 0
    np.testing.assert_array_equal(farpoint.Selection.load("t.npz").indices, PICKS.indices)


def test_dedup_keeps_records_in_their_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = farpoint.deduplicate(X, 1.5).kept
    command = ["dedup", "data.jsonl", "--embeddings", "emb.npy", "--distance", "1.5"]
    assert main([*command, "-o", "kept.parquet"]) == 0
    assert f"{len(kept)} of 400 rows of data.jsonl kept" in capsys.readouterr().err
    assert read(folder / "kept.parquet") == [RECORDS[i] for i in kept]
    assert main([*command, "-o", "kept.csv", "--quiet"]) == 0
    assert (folder / "kept.csv").read_text().startswith("row,representative,distance\n")


def test_lines_as_a_table(folder: Path, pieces: None) -> None:
    """Fields that some records lack, whole numbers beside others, and strings that look like dates."""
    rows: list[dict[str, Any]] = [
        {"b": 1, "when": "2020-01-01"},
        {"when": "2020-01-01T00:00:00Z", "b": 1.5, "a": [{"x": 1}]},
        {"a": [{"y": "s"}, {"x": 2}], "c": None},
        {},
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    farpoint.datasets.select_file("in.jsonl", "out.parquet", 4, embeddings=[[0], [9], [1], [5]])
    found = pq.read_table("out.parquet")
    assert found.column_names == ["b", "when", "a", "c"]
    assert found.column("when").type == pa.string()
    assert found.column("b").to_pylist() == [1.0, 1.5, None, None]
    assert found.column("a").to_pylist()[1] == [{"x": 1, "y": None}]
    assert found.column("a").to_pylist()[3] == [{"x": None, "y": "s"}, {"x": 2, "y": None}]


@pytest.mark.parametrize("values", ['1, "a"', "[1], 2", f"{2**70}, 1"])
def test_lines_that_are_no_table(folder: Path, values: str) -> None:
    lines = [f'{{"a": {value}}}\n' for value in values.split(", ")]
    (folder / "in.jsonl").write_text("".join(lines))
    with pytest.raises(ValueError, match=r"do not fit into one table \(.*\); write \.jsonl"):
        farpoint.datasets.select_file("in.jsonl", "out.parquet", 2, embeddings=[[0], [1]])


def test_rows_as_lines(folder: Path) -> None:
    """What JSON does not have becomes what others write for it, or is refused."""
    day = dt.datetime(2020, 1, 2, 3, 4, 5)
    rows = pa.table(
        {
            "when": [day, None],
            "day": [day.date(), None],
            "much": [decimal.Decimal("1.50"), None],
            "x": [float("nan"), float("inf")],
            "xs": [[1.0, float("-inf")], []],
        }
    )
    pq.write_table(rows, "in.parquet")
    farpoint.datasets.select_file("in.parquet", "out.jsonl", 2, embeddings=[[0], [1]])
    assert read(folder / "out.jsonl") == [
        {"when": "2020-01-02T03:04:05", "day": "2020-01-02", "much": "1.50", "x": None, "xs": [1.0, None]},
        {"when": None, "day": None, "much": None, "x": None, "xs": []},
    ]
    pq.write_table(pa.table({"image": [b"a", b"b"]}), "in.parquet")
    with pytest.raises(ValueError, match=r"in\.parquet: row 0 cannot be written as JSON: JSON has no bytes"):
        farpoint.datasets.select_file("in.parquet", "out.jsonl", 2, embeddings=[[0], [1]])


def test_dictionaries_and_tensors_of_tables(folder: Path, pieces: None) -> None:
    words = pa.chunked_array(
        [pa.array(["a", "b"] * 100).dictionary_encode(), pa.array(["c"] * 200).dictionary_encode()]
    )
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(X)
    rows = pa.table({"word": words, "e": tensors})
    pq.write_table(rows, "in.parquet", row_group_size=64)
    for into in ("out.parquet", "out.arrow"):
        farpoint.datasets.select_file("in.parquet", into, 60, column="e")
        found = pq.read_table(into) if into.endswith("parquet") else pa.ipc.open_file(into).read_all()
        assert found.schema.equals(rows.schema)
        assert found.column("word").to_pylist() == ["ab"[i % 2] if i < 200 else "c" for i in PICKS.indices]
        tensor = found.column("e").combine_chunks().storage.flatten().to_numpy().reshape(-1, 6)
        np.testing.assert_array_equal(tensor, X[PICKS.indices])


# Embeddings in the records.


def test_embeddings_in_the_records(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Y = X.astype(np.float64)
    expected = farpoint.select(Y, 60).indices
    rows = [{**row, "e": y, "n": [1]} for row, y in zip(RECORDS, Y.tolist(), strict=True)]
    (folder / "e.jsonl").write_bytes(b"".join(map(line_of, rows)))
    (folder / "e.jsonl.gz").write_bytes(gzip.compress((folder / "e.jsonl").read_bytes()))
    for name in ("e.jsonl", "e.jsonl.gz"):
        assert main(["select", name, "--column", "e", "-k", "60", "-o", "out.jsonl", "--quiet"]) == 0
        assert read(folder / "out.jsonl") == [rows[i] for i in expected]
    pair = farpoint.h_min(Y)
    assert main(["hmin", "e.jsonl", "--column", "e", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["h_min"] == pair.value
    np.testing.assert_array_equal(np.asarray(farpoint.open_matrix("e.jsonl", column="e")), Y)
    pq.write_table(pa.Table.from_pylist(rows), "e.parquet")
    assert main(["select", "e.parquet", "--column", "e", "-k", "60", "-o", "out.parquet", "--quiet"]) == 0
    assert read(folder / "out.parquet") == [rows[i] for i in expected]
    with pytest.raises(
        ValueError, match=r"e\.jsonl: holds several array fields \(e, n\); say which with column"
    ):
        farpoint.open_matrix("e.jsonl")


def test_the_only_field_of_arrays_need_not_be_named(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('\n{"t": "a", "e": [1, 2.5]}\n{"e": [3, -1e3]}\n')
    found = farpoint.open_matrix(path)
    np.testing.assert_array_equal(np.asarray(found), [[1, 2.5], [3, -1000]])
    assert np.asarray(found).dtype == np.float64


def test_lines_in_a_folder_are_a_matrix_only_by_column(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    write(tmp_path / "b.jsonl", RECORDS)
    assert farpoint.open_matrix(tmp_path).shape == X.shape
    with pytest.raises(ValueError, match=r"b\.jsonl: line 1: no field 'e'; there are id, text, tags, meta"):
        farpoint.open_matrix(tmp_path, column="e")


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"f": 1}', "line 3: no field 'e'; there are f"),
        ('{"e": null}', "line 3: field 'e' is null; drop or fill such records first"),
        ('{"e": "1 2"}', "line 3: field 'e' must be an array of numbers, not '1 2'"),
        ('{"e": [1, true]}', "line 3: field 'e' must be an array of numbers; its element 1 is True"),
        ('{"e": [1, null]}', "line 3: field 'e' must be an array of numbers; its element 1 is None"),
        ('{"e": [[1, 2]]}', r"line 3: field 'e' must be an array of numbers; its element 0 is \[1, 2\]"),
        ('{"e": [1]}', "line 3: field 'e' holds 1 numbers where line 1 has 2"),
        (f'{{"e": [1, {10**400}]}}', "line 3: field 'e' holds a number that float64 does not hold"),
        ('{"e": [1, 1e400]}', "must be finite: row 1, column 1 is inf"),
        ('{"e": [NaN, 1]}', "must be finite: row 1, column 0 is NaN"),
    ],
)
def test_embeddings_that_are_none(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(f'{{"e": [1, 2]}}\n\n{line}\n')
    with pytest.raises(ValueError, match=rf"^{path}:? {message}"):
        farpoint.select(farpoint._files.open_files(path, column="e"), 1)


def test_of_a_folder_the_files_with_records_are_the_matrix_too(folder: Path) -> None:
    os.mkdir("mixed")
    rows = [{"id": i, "e": y} for i, y in enumerate(X.tolist())]
    (folder / "mixed" / "a.jsonl").write_bytes(b"".join(map(line_of, rows)))
    np.save("mixed/b.npy", X)
    assert main(["select", "mixed", "--column", "e", "-k", "9", "-o", "out.jsonl", "--quiet"]) == 0
    expected = farpoint.select(X.astype(np.float64), 9).indices
    assert [row["id"] for row in read(folder / "out.jsonl")] == expected.tolist()
    pq.write_table(pa.Table.from_pylist(rows), "e.parquet")
    command = "select data.jsonl --embeddings e.parquet --column e -k 9 -o out.jsonl --quiet"
    assert main(command.split()) == 0
    assert [row["id"] for row in read(folder / "out.jsonl")] == expected.tolist()


# What is refused.


@pytest.mark.parametrize(
    "line, message",
    [
        (b"[1]", "holds an array, where each line is to hold an object {...}"),
        (b'"a"', "holds a string"),
        (b"3", "holds a number"),
        (b"true", "holds a truth value"),
        (b"null", "holds null"),
        (b'{"a": 1', "is not a JSON object: it ends too early (expecting ',' delimiter)"),
        (b"{'a': 1}", "expecting property name enclosed in double quotes at character 2"),
        (b'{"a": 1}{"b": 2}', "something follows it at character 9"),
        (b'{"a": 1}\r{"b": 2}', "something follows it"),
        (b'{"a": "\t"}', "invalid control character at character 8"),
        (b'{"a": 1,}', "is not a JSON object"),
        (b"text", "expecting value at character 1"),
        (b"\x00\x00", "is not a JSON object"),
        (
            b'{"a": "\xe9"}',
            "is not UTF-8: byte 0xe9 at byte 8; convert the file, from Latin-1 for example: iconv",
        ),
        (b'{"a": ' + b"[" * 100_000, "is not a JSON object that can be read"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not a JSON object that can be read: Exceeds the limit"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_bad_lines(tmp_path: Path, line: bytes, message: str, compressed: bool) -> None:
    path = tmp_path / ("a.jsonl.gz" if compressed else "a.jsonl")
    content = b'{"a": 0}\n\n{"b": 1}\n' + line + b'\n{"c": 2}\n'
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(ValueError) as refused:
        open_records(path).scan()
    assert str(refused.value).startswith(f"{path}: line 4 ")
    assert message in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"é": "à"}\r\n{"é": "ü"}'.encode(encoding))
    records = open_records(path)
    if encoding == "utf-8-sig":
        assert records.scan() == 2
        records.write(np.array([1, 0]), tmp_path / "out", Path("out.jsonl"))
        assert (tmp_path / "out").read_bytes() == '{"é": "ü"}\n{"é": "à"}\r\n'.encode()
        return
    with pytest.raises(ValueError) as refused:
        records.scan()
    found = str(refused.value)
    if encoding in ("utf-16", "utf-32"):
        name = encoding.upper()
        assert f"{path} is in {name}, where JSON lines are in UTF-8" in found
        assert f"iconv -f {name} -t UTF-8 {path}" in found
    else:
        assert f"{path}: line 1 is not" in found


def test_lines_that_are_too_long_are_not_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_json_lines, "_LONGEST_LINE", 1000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "' + b"x" * 989 + b'"}\n')
    assert open_records(path).scan() == 1
    path.write_bytes(b'{"a": "' + b"x" * 991 + b'"}\n')
    with pytest.raises(
        ValueError, match=r"line 1 is longer than 1,000 bytes, the most that a record may have"
    ):
        open_records(path).scan()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b'{"a": 1}\n' * 999, mtime=0)[:-12],
        b'{"a": 1}\n',
        b"\x1f\x8b\x08\x00" + b"\xff" * 40,
    ],
    ids=["cut", "not compressed", "nonsense"],
)
def test_damaged_gzip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path} is damaged: "):
        open_records(path).scan()


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_damaged_tables(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    write(path, RECORDS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"^{path}"):
        open_records(path).scan()


def test_records_and_embeddings_that_differ_in_number(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before anything is selected, with both numbers and both names."""
    np.save("short.npy", X[:-1])
    before = files_in(folder)
    monkeypatch.setattr(farpoint, "select", lambda *_, **__: pytest.fail("selected"))
    monkeypatch.setattr(farpoint, "deduplicate", lambda *_, **__: pytest.fail("deduplicated"))
    for command in (["select", "-k", "3"], ["dedup", "--distance", "1"]):
        assert main([*command, "data.jsonl", "--embeddings", "short.npy", "-o", "out.jsonl"]) == 2
        assert "data.jsonl has 400 records and short.npy has 399 rows" in capsys.readouterr().err
    with pytest.raises(ValueError, match="data.jsonl has 400 records and embeddings has 399 rows"):
        farpoint.datasets.select_file("data.jsonl", "out.jsonl", 3, embeddings=X[1:])
    assert files_in(folder) == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-o", "data.jsonl"], "data.jsonl is a file that is read, or written twice"),
        (["-o", "link.jsonl"], "link.jsonl is a file that is read"),
        (["-o", "./x/../data.jsonl"], "data.jsonl is a file that is read"),
        (["-o", "out.jsonl", "--save-selection", "emb.npy"], "emb.npy is a file that is read"),
        (["-o", "s.npz", "--save-selection", "s.npz"], "s.npz is a file that is read, or written twice"),
        (["-o", "out.jsonl", "--save-selection", "s.jsonl"], "s.jsonl: unknown suffix '.jsonl'"),
        (["-o", "out.jsonl", "--save-selection", "no/s.npz"], "there is no folder no"),
        (["-o", "out.bz2"], "unknown suffix '.bz2'; the known ones are .npz"),
        (["-o", "no/out.jsonl"], "there is no folder no"),
        (["-o", "-", "--json"], "--json and -o - both write to standard output"),
        (["-o", "out.jsonl", "--order-column", "text"], "line 1 has a field 'text' already"),
        (
            ["-o", "out.jsonl", "--order-column", "a", "--radius-column", "a"],
            "'a' is the name of two columns",
        ),
        (["-o", "out.jsonl", "--text", "text"], "--text has no meaning without --embed"),
        (
            ["-o", "out.jsonl", "--save-embeddings", "e.npy"],
            "--save-embeddings has no meaning without --embed",
        ),
        (["-o", "out.jsonl", "--batch-size", "3"], "--batch-size has no meaning without --embed"),
        (["-o", "out.jsonl", "--embeddings", "none.npy"], "none.npy: no such file"),
    ],
    ids=" ".join,
)
def test_mistakes(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    os.symlink("data.jsonl", "link.jsonl")
    os.mkdir("x")
    before = files_in(folder)
    assert main(select(*arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert files_in(folder) == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["emb.npy", "-o", "out.jsonl"],
            "emb.npy holds no records by its suffix; those with records are .jsonl",
        ),
        (["a.json", "--embeddings", "emb.npy"], "of a JSON array jq makes lines: jq -c '.[]'"),
        (["a.csv", "--embeddings", "emb.npy"], "pandas or polars convert it"),
        (["empty.jsonl", "--embeddings", "emb.npy"], "empty.jsonl holds no records"),
        (["data.jsonl", "-o", "out.jsonl"], "no field holds an array of numbers; the fields are id, text"),
        (["emb.npy", "--order-column", "o"], "column 'o' can be added to records alone, and IN is a matrix"),
        (["pipe.jsonl", "--embeddings", "emb.npy"], "pipe.jsonl is not a regular file"),
    ],
    ids=" ".join,
)
def test_what_is_no_file_of_records(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder / "a.json").write_text("[{}]")
    (folder / "a.csv").write_text("a\n1\n")
    (folder / "empty.jsonl").write_text("\n \n")
    os.mkfifo("pipe.jsonl")
    assert main(["select", *arguments, "-k", "1"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out.jsonl").exists()


@pytest.mark.parametrize("into", ["jsonl", "jsonl.gz", "parquet", "arrow"])
def test_nothing_is_written_on_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], into: str
) -> None:
    """Neither the records nor the selection, and what was there before still is."""
    output = folder / f"out.{into}"
    output.write_bytes(b"before")
    before = files_in(folder)
    read_lines = _writing._lines

    def full(*arguments: Any) -> Iterator[bytes]:
        for i, line in enumerate(read_lines(*arguments)):
            if i == 30:
                raise OSError(28, "No space left on device")
            yield line

    monkeypatch.setattr(_writing, "_lines", full)
    assert main(select("-o", output.name, "--save-selection", "s.npz")) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert files_in(folder) == before

    def unsaved(*_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(farpoint.Selection, "save", unsaved)
    assert main(select("-o", output.name, "--save-selection", "s.npz")) == 2
    assert files_in(folder) == before


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet"])
def test_a_file_that_is_changed_meanwhile(folder: Path, kind: str) -> None:
    path = folder / f"in.{kind}"
    write(path, RECORDS)

    def change(*_: object) -> None:
        write(path, RECORDS[1:])

    with pytest.raises(ValueError, match=rf"in\.{kind} was changed while it was used"):
        farpoint.datasets.select_file(path, "out.jsonl", 60, embeddings=X, progress=change)
    assert not (folder / "out.jsonl").exists()


def test_as_a_process(folder: Path) -> None:
    command = [sys.executable, "-m", "farpoint", *select("-o", "-")]
    found = subprocess.run(f"{' '.join(command)} | head -n 1", shell=True, capture_output=True)
    assert found.stdout == line_of(RECORDS[PICKS.indices[0]])
    assert found.stderr == b""


@pytest.mark.memory
@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux measures it")
@pytest.mark.parametrize("into", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_records(tmp_path: Path, into: str) -> None:
    """As `make soak` does with a gigabyte."""
    peaks = []
    for megabytes in (3, 90):
        folder = tmp_path / str(megabytes)
        folder.mkdir()
        files = soak_records.make(folder, megabytes)
        output = folder / f"out.{into}"
        peaks.append(soak_records.select(files, output, 1000)[0])
        assert soak_records.check(files, output, 1000) == ""
    assert peaks[1] - peaks[0] < 45  # of 87 that there are more


# The public function.


def test_select_file_takes_what_select_takes(folder: Path) -> None:
    expected = farpoint.select(X, 20, metric="cosine", exclude=[0], weights=np.arange(1, 401))
    found = farpoint.datasets.select_file(
        "data.jsonl",
        "out.jsonl",
        20,
        embeddings="emb.npy",
        metric="cosine",
        exclude=[0],
        weights=np.arange(1, 401),
    )
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert [row["id"] for row in read(folder / "out.jsonl")] == expected.indices.tolist()
    np.savez("two.npz", a=X, b=X[:, :2])
    found = farpoint.datasets.select_file("data.jsonl", "out.jsonl", 20, embeddings="two.npz", key="b")
    np.testing.assert_array_equal(found.indices, farpoint.select(np.ascontiguousarray(X[:, :2]), 20).indices)


def test_select_file_refuses(folder: Path) -> None:
    def call(output: str = "out.jsonl", **options: Any) -> None:
        farpoint.datasets.select_file("data.jsonl", output, 3, **{"embeddings": X, **options})

    with pytest.raises(ValueError, match="key and column have no meaning with embeddings that are no paths"):
        call(column="e")
    with pytest.raises(ValueError, match=r"out\.txt: unknown suffix '\.txt'; records are written as \.jsonl"):
        call("out.txt")
    with pytest.raises(ValueError, match="emb.npy is a file that is read|unknown suffix"):
        call("emb.npy", embeddings="emb.npy")
    with pytest.raises(TypeError, match="records must be a path or a list of paths, not 3"):
        farpoint.datasets.select_file(3, "out.jsonl", 3, embeddings=X)  # type: ignore[arg-type]
    np.save("e.npy", X)
    os.link("data.jsonl", "hard.jsonl")
    with pytest.raises(ValueError, match="hard.jsonl is a file that is read"):
        call("hard.jsonl")
