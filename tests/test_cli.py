"""The command line, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

import farpoint
from farpoint.cli import main

X = np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "anchors.npy", X[:4] + 1)
    (tmp_path / "rows.txt").write_text("3\n7\n")
    np.save(tmp_path / "rows.npy", np.array([3, 7]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rows_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "x.npy", "-k", "25"]) == 0
    out, err = capsys.readouterr()
    s = farpoint.select(X, 25)
    assert [int(line) for line in out.splitlines()] == s.indices.tolist()
    assert f"h_min {s.h_min:.6g}" in err
    assert "25 of 300 rows" in err
    assert main(["select", "x.npy", "-k", "25", "-o", "-", "--quiet"]) == 0
    assert capsys.readouterr() == (out, "")


@pytest.mark.parametrize("k, expected", [("0.1", 30), ("1.0", 300), ("1", 1), ("30", 30)])
def test_counts_and_fractions(
    folder: Path, capsys: pytest.CaptureFixture[str], k: str, expected: int
) -> None:
    assert main(["select", "x.npy", "-k", k]) == 0
    assert len(capsys.readouterr().out.splitlines()) == expected


def test_output_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    s = farpoint.select(X, 20, assign=True)
    for suffix in ("npz", "npy", "csv", "json", "txt"):
        assert main(["select", "x.npy", "-k", "20", "--assign", "-o", f"out.{suffix}", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    loaded = farpoint.Selection.load("out.npz")
    np.testing.assert_array_equal(loaded.indices, s.indices)
    np.testing.assert_array_equal(loaded.labels, s.labels)
    np.testing.assert_array_equal(np.load("out.npy"), s.indices)
    assert (folder / "out.txt").read_text().split() == [str(i) for i in s.indices]
    rows = (folder / "out.csv").read_text().splitlines()
    assert rows[:2] == ["order,index,radius", "0,0,inf"]
    assert [float(row.split(",")[2]) for row in rows[1:]] == s.radii.tolist()
    assert s.labels is not None
    record = json.loads((folder / "out.json").read_text())
    assert record["indices"] == s.indices.tolist()
    assert record["labels"] == s.labels.tolist()
    assert record["radii"] == [None, *s.radii[1:].tolist()]


def test_options_reach_the_selection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, options in (
        (["--metric", "cosine"], {"metric": "cosine"}),
        (["--start", "17"], {"start": 17}),
        (["--start", "center"], {"start": "center"}),
        (["--start", "random", "--seed", "5"], {"start": "random", "seed": 5}),
        (["--selected", "rows.txt"], {"selected": [3, 7]}),
        (["--selected", "rows.npy"], {"selected": [3, 7]}),
        (["--anchors", "anchors.npy"], {"anchors": X[:4] + 1}),
        (["--min-distance", "2.5"], {"min_distance": 2.5}),
        (["--backend", "reference"], {}),
        (["--threads", "1"], {}),
    ):
        assert main(["select", "x.npy", "-k", "30", "--json", "--quiet", *arguments]) == 0
        record = json.loads(capsys.readouterr().out)
        s = farpoint.select(X, 30, **options)
        assert record["indices"] == s.indices.tolist()
        assert record["h_min"] == s.h_min
        assert record["upper_bound"] == s.upper_bound


def test_a_saved_selection_is_kept_away_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "x.npy", "-k", "10", "-o", "first.npz", "--quiet"]) == 0
    assert main(["select", "x.npy", "-k", "10", "--selected", "first.npz", "--quiet"]) == 0
    more = [int(line) for line in capsys.readouterr().out.splitlines()]
    both = farpoint.select(X, 20).indices.tolist()
    assert more == both[10:]


def test_json_and_a_file_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "x.npy", "-k", "4", "--json", "-o", "o.txt", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["k"] == 4
    assert (folder / "o.txt").exists()


def test_hmin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = farpoint.h_min(X)
    assert main(["hmin", "x.npy"]) == 0
    assert f"rows {pair.i} and {pair.j}" in capsys.readouterr().out
    assert main(["hmin", "x.npy", "--json", "--metric", "sqeuclidean"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {
        **record,
        "h_min": farpoint.h_min(X, metric="sqeuclidean").value,
        "i": pair.i,
        "j": pair.j,
    }


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert "backends" in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["farpoint"] == farpoint.__version__


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"farpoint {farpoint.__version__}\n"
    assert main(["select", "--help"]) == 0
    assert "--min-distance" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["select", "x.npy"], "give k (how many rows)"),
        (["select", "none.npy", "-k", "3"], "none.npy: no such file"),
        (
            ["select", "x.npy", "-k", "three"],
            "argument -k: must be a count such as 500 or a fraction such as 0.1, not 'three'",
        ),
        (
            ["select", "x.npy", "-k", "3", "--start", "foo"],
            "must be a row number, center or random, not 'foo'",
        ),
        (["select", "x.npy", "-k", "0"], "k must be at least 1"),
        (["select", "x.npy", "-k", "301"], "k = 301 is more than the 300 rows"),
        (["select", "x.npy", "-k", "1.5"], "a float k is a fraction"),
        (["select", "x.npy", "-k", "3", "--metric", "l7"], "invalid choice: 'l7'"),
        (["select", "x.npy", "-k", "3", "-o", "out.xls"], "unknown suffix '.xls'"),
        (["select", "x.npy", "-k", "3", "-o", "no/out.npy"], "there is no folder no"),
        (["select", "x.npy", "-k", "3", "-o", "."], "unknown suffix"),
        (["select", "x.npy", "-k", "3", "--selected", "none.txt"], "none.txt: no such file"),
        (["select", "x.npy", "-k", "3", "--selected", "words.txt"], "words.txt must hold row numbers"),
        (["select", "x.npy", "-k", "3", "--selected", "x.npy"], "x.npy must be integers (row numbers)"),
        (["select", "x.npy", "-k", "3", "--anchors", "rows.npy"], "rows.npy must be 2-D"),
        (["select", "x.npy", "-k", "3", "--threads", "0"], "threads must be at least 1"),
        (["select", "x.npy", "-k", "3", "--start", "-4"], "start = -4 is not a row"),
        (["select", "nan.npy", "-k", "3"], "nan.npy must be finite: row 2, column 1 is NaN"),
        (["select", "flat.npy", "-k", "3"], "flat.npy must be 2-D"),
        (["hmin", "flat.npy"], "flat.npy must be 2-D"),
        (["select", "complex.npy", "-k", "3"], "complex.npy has dtype complex64; supported are"),
        (["select", "x.npy", "-k", "3", "--anchors", "wide.npy"], "wide.npy has 16 columns where"),
        (["select", "x.npy", "-k", "3", "-o", "/proc/out.npy"], "/proc/out.npy cannot be written: "),
        (
            ["select", "x.npy", "-k", "3", "--checkpoint", "x.npy"],
            "checkpoint x.npy cannot be used, and is not overwritten: ",
        ),
        (["select", "x.npy", "-k", "3", "--checkpoint", "no/c.npz"], "there is no folder"),
        (["select", "x.npy", "-k", "3", "--checkpoint", "/proc/c.npz"], "/proc/c.npz cannot be written: "),
        (["demo", "-o", "/proc/out/demo"], "/proc/out/demo cannot be written: "),
        (["select", "cut.npy", "-k", "3"], "cut.npy"),
        (["select", "objects.npy", "-k", "3"], "not loaded"),
        (["hmin", "one.npy"], "one.npy has one row; a pairwise distance needs at least two"),
        (["hmin", "nan.npy"], "nan.npy must be finite: row 2, column 1 is NaN"),
        (["demo", "-k", "1"], "k must be from 2"),
        (["demo", "-o", "x.npy"], "x.npy is a file; give a folder"),
    ],
    ids=" ".join,
)
def test_mistakes_are_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    bad = X.copy()
    bad[2, 1] = np.nan
    np.save(folder / "nan.npy", bad)
    np.save(folder / "flat.npy", X[0])
    np.save(folder / "one.npy", X[:1])
    np.save(folder / "complex.npy", X.astype(np.complex64))
    np.save(folder / "wide.npy", np.hstack((X, X)))
    np.save(folder / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:-5])
    (folder / "words.txt").write_text("three\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if arguments[:1] == ["select"] and "-o" not in arguments:
        arguments = [*arguments, "-o", "result.npz"]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("farpoint: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_result_that_cannot_be_finished_leaves_the_old_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["select", "x.npy", "-k", "5", "-o", "out.npy", "--quiet"]) == 0
    before = (folder / "out.npy").read_bytes()

    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert main(["select", "x.npy", "-k", "9", "-o", "out.npy", "--quiet"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert (folder / "out.npy").read_bytes() == before
    assert not list(folder.glob("*.partial"))
    assert not list(folder.glob(".*"))


def test_a_place_that_cannot_be_written_is_noticed_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farpoint, "select", lambda *_, **__: pytest.fail("worked"))

    def read_only(*_: object, **__: object) -> NoReturn:
        raise OSError(30, "Read-only file system", "/tmp/x.partial")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    assert main(["select", "x.npy", "-k", "5", "-o", "out.npy"]) == 2
    assert capsys.readouterr().err == "farpoint: error: out.npy cannot be written: Read-only file system\n"
    assert main(["demo", "-o", "new"]) == 2
    assert capsys.readouterr().err == "farpoint: error: new cannot be written: Read-only file system\n"


def test_ctrl_c(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(farpoint, "select", interrupt)
    assert main(["select", "x.npy", "-k", "5", "-o", "out.npy"]) == 130
    assert not (folder / "out.npy").exists()
    assert capsys.readouterr().err == "farpoint: interrupted\n"


def test_as_a_process(folder: Path) -> None:
    """Installed script, module, pipes."""
    found = subprocess.run(
        [sys.executable, "-m", "farpoint", "select", "x.npy", "-k", "200"], capture_output=True, text=True
    )
    assert found.returncode == 0
    assert len(found.stdout.splitlines()) == 200
    assert "\r" not in found.stderr  # no bar in a pipe
    bad = subprocess.run([sys.executable, "-m", "farpoint", "hmin", "no.npy"], capture_output=True, text=True)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "Traceback" not in bad.stderr
    piped = subprocess.run(
        f"{sys.executable} -m farpoint select x.npy -k 300 --quiet | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert (piped.stdout, piped.stderr) == ("0\n", "")


def test_dedup(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("twice.npy", np.concatenate((X, X[:20] + np.float32(1e-3))))
    found = farpoint.deduplicate("twice.npy", 0.1)
    assert len(found) <= 300
    assert main(["dedup", "twice.npy", "--distance", "0.1"]) == 0
    out, err = capsys.readouterr()
    assert [int(line) for line in out.splitlines()] == found.kept.tolist()
    assert f"{len(found)} of 320 rows of twice.npy kept, {len(found.dropped)} dropped: within 0.1" in err
    assert main(["dedup", "twice.npy", "--distance", "0", "--quiet"]) == 0
    assert capsys.readouterr() == ("".join(f"{row}\n" for row in range(320)), "")
    for suffix in ("npy", "csv", "json", "txt"):
        assert main(["dedup", "twice.npy", "--distance", "0.1", "-o", f"out.{suffix}", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    np.testing.assert_array_equal(np.load("out.npy"), found.kept)
    assert (folder / "out.txt").read_text() == out
    rows = (folder / "out.csv").read_text().splitlines()
    assert rows[0] == "row,representative,distance"
    assert rows[301] == f"300,{found.representatives[300]},{found.distances[300]}"
    assert len(rows) == 321
    record = json.loads((folder / "out.json").read_text())
    assert record["representatives"] == found.representatives.tolist()
    assert main(["dedup", "twice.npy", "--distance", "0.1", "--json", "--metric", "cosine"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["metric"] == "cosine"
    assert record["kept"] == farpoint.deduplicate("twice.npy", 0.1, metric="cosine").kept.tolist()
    assert json.loads(err.splitlines()[-1])["done"] == len(record["kept"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["x.npy", "--distance", "-1"], "distance must be at least 0"),
        (["x.npy", "--distance", "inf"], "distance must be finite"),
        (["x.npy", "--distance", "1", "-o", "out.npz"], "unknown suffix '.npz'"),
        (["x.npy"], "--distance"),
    ],
)
def test_dedup_refuses(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["dedup", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_refine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "x.npy", "-k", "25", "--refine", "0.5", "-o", "out.npz"]) == 0
    s = farpoint.Selection.load("out.npz")
    assert s.is_refined
    assert s.h_min >= farpoint.select(X, 25).h_min
    assert "refined: +" in capsys.readouterr().err
    assert main(["select", "x.npy", "-k", "1", "--refine", "0.1", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["info"]["refinement"]["h_min_before"] is None
    assert main(["select", "x.npy", "-k", "25", "--refine", "0"]) == 2
    assert "refine must be a finite number of seconds above 0" in capsys.readouterr().err
    assert main(["select", "x.npy", "-k", "25", "--refine", "1", "--ray", "local"]) == 2
    assert "--refine has no meaning with --ray" in capsys.readouterr().err
