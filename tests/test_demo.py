"""The demo, and the data it comes with."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import farpoint
from farpoint import demo
from farpoint.cli import main


def test_the_data() -> None:
    embeddings, texts = demo.load()
    assert embeddings.dtype == np.float16
    assert embeddings.shape == (len(texts), 384)
    assert len(texts) > 3000
    assert len(set(texts)) == len(texts)
    np.testing.assert_allclose(np.linalg.norm(embeddings.astype(np.float64), axis=1), 1, atol=2e-3)


def test_it_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert main(["demo", "-k", "120", "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    embeddings, texts = demo.load()
    s = farpoint.select(embeddings, 120)
    assert f"120 of {len(texts):,} dictionary entries" in out
    assert f"{s.h_min:.3f}" in out
    assert f"{s.upper_bound:.3f}" in out
    assert texts[s.indices[1]].split(":")[0] in out
    assert len(out.splitlines()) < 25
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["picks.txt", "radii.png", "report.html", "selection.npz"]
    np.testing.assert_array_equal(
        farpoint.Selection.load(tmp_path / "out" / "selection.npz").indices, s.indices
    )
    lines = (tmp_path / "out" / "picks.txt").read_text().splitlines()
    assert [int(line.split("\t")[1]) for line in lines] == s.indices.tolist()
    assert (tmp_path / "out" / "radii.png").read_bytes().startswith(b"\x89PNG")
    assert f'data-exact="{s.h_min!r}"' in (tmp_path / "out" / "report.html").read_text()


def test_the_selection_beats_random_subsets_and_json_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "-k", "60", "-o", str(tmp_path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["h_min"] > max(record["random_h_min"])
    assert record["full_h_min"] == farpoint.h_min(demo.load()[0]).value
    assert len(record["texts"]) == 60


def test_without_matplotlib_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name)
    )
    result = demo.run(10, tmp_path)
    assert any("farpoint[report]" in line for line in result.lines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picks.txt", "selection.npz"]


@pytest.mark.parametrize("k", [0, 1, 10**6])
def test_bad_k(tmp_path: Path, k: int) -> None:
    with pytest.raises(ValueError, match="k must be from 2"):
        demo.run(k, tmp_path)
