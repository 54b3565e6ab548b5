"""The result object: values, prefixes, files."""

from __future__ import annotations

import copy
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import farpoint
from tests.conftest import Engine, every_engine

X = np.random.default_rng(3).standard_normal((80, 5)).astype(np.float32)


@pytest.fixture
def selection() -> farpoint.Selection:
    return farpoint.select(X, 25, assign=True)


def test_what_it_says(selection: farpoint.Selection) -> None:
    assert selection.radii[0] == math.inf
    assert selection.h_min == selection.radii[-1]
    assert selection.labels is not None
    assert selection.distances is not None
    assert selection.covering_radius == selection.distances.max()
    assert selection.h_min <= selection.upper_bound <= 2.000001 * selection.h_min
    assert selection.covering_radius == farpoint.select(X, 26).radii[25]
    assert len(selection) == 25
    assert "k=25" in repr(selection)
    np.testing.assert_array_equal(selection.labels[selection.indices], np.arange(25))


@every_engine
def test_info_has_the_same_keys_for_every_engine(engine: Engine) -> None:
    with engine.active():
        for options in ({}, {"selected": range(60)}, {"anchors": X[:70] + 1}):
            info = farpoint.select(X, 5, **options, **engine.arguments).info
            assert info["backend"] == engine.backend
            assert info["simd"] == (engine.simd or None)
            assert info["threads"] == engine.threads
            assert (info["n"], info["d"], info["dtype"]) == (80, 5, "float32")
            assert info["version"] == farpoint.__version__
            assert info["seconds"] > 0
            # Rows kept away from are looked at too.
            assert 0 < info["fraction_evaluated"] <= 1


def test_one_pick_has_no_neighbour() -> None:
    s = farpoint.select(X, 1)
    assert s.h_min == s.upper_bound == math.inf
    assert s.radii.tolist() == [math.inf]
    assert json.loads(json.dumps(s.to_dict()))["h_min"] is None


def test_arrays_are_read_only(selection: farpoint.Selection) -> None:
    for array in (selection.indices, selection.radii, selection.labels, selection.distances):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy, copy.copy])
def test_copies_are_read_only_too(
    selection: farpoint.Selection, copied: Callable[[farpoint.Selection], farpoint.Selection]
) -> None:
    again = copied(selection)
    np.testing.assert_array_equal(again.indices, selection.indices)
    assert again.info == selection.info
    test_arrays_are_read_only(again)


def test_the_arrays_of_a_caller_stay_writeable() -> None:
    indices, radii = np.array([3, 1]), np.array([np.inf, 2.0])
    s = farpoint.Selection(indices=indices, radii=radii, covering_radius=1.0)
    assert np.shares_memory(s.indices, indices)
    assert indices.flags.writeable
    assert radii.flags.writeable
    assert not s.indices.flags.writeable
    assert not s.radii.flags.writeable


@pytest.mark.parametrize("t", [0, -1, 26, 2.0, True, "3"])
def test_prefix_out_of_range(selection: farpoint.Selection, t: Any) -> None:
    with pytest.raises(ValueError, match="t must be an integer from 1 to 25"):
        selection.prefix(t)


@pytest.mark.parametrize("assign", [False, True])
def test_save_and_load(tmp_path: Path, assign: bool) -> None:
    original = farpoint.select(X, 30, metric="cosine", assign=assign)
    path = tmp_path / "s.npz"
    original.save(path)
    loaded = farpoint.Selection.load(path)
    assert loaded.metric == "cosine"
    assert loaded.info == original.info
    assert loaded.covering_radius == original.covering_radius
    for name in ("indices", "radii", "labels", "distances"):
        ours, theirs = getattr(original, name), getattr(loaded, name)
        assert (ours is None and theirs is None) or np.array_equal(ours, theirs)
    assert list(tmp_path.iterdir()) == [path]
    with zipfile.ZipFile(path) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())


def test_save_is_all_or_nothing(
    tmp_path: Path, selection: farpoint.Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.npz"
    selection.save(path)
    before = path.read_bytes()

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        selection.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        selection.save(tmp_path / "no" / "s.npz")


def test_load_refuses_what_is_not_a_selection(tmp_path: Path, selection: farpoint.Selection) -> None:
    good = tmp_path / "good.npz"
    selection.save(good)
    content = good.read_bytes()
    arrays = dict(np.load(good))
    bad = tmp_path / "bad.npz"
    with pytest.raises(FileNotFoundError):
        farpoint.Selection.load(tmp_path / "missing.npz")
    for damaged in (b"", b"hello", content[:100], content[: len(content) // 2], content[:-30]):
        bad.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"bad\.npz"):
            farpoint.Selection.load(bad)
    for name, value in {
        "farpoint_selection": np.array(99),
        "metric": np.array("nonsense"),
        "radii": arrays["radii"][::-1],
        "indices": np.zeros_like(arrays["indices"]),
        "info": np.array("[1]"),
        "covering_radius": np.array(np.nan),
        "labels": arrays["labels"][:-1],
        "distances": arrays["distances"][:, None],
    }.items():
        np.savez(bad, **{**arrays, name: value})
        with pytest.raises(ValueError, match="is not a saved selection"):
            farpoint.Selection.load(bad)
    for changed in (
        {"covering_radius": np.array(-1.0)},
        {"covering_radius": arrays["radii"][1]},
        {"covering_radius": arrays["radii"]},
        {"labels": arrays["labels"].astype(np.int32)},
        {"labels": arrays["labels"] + 1},
        {"labels": arrays["labels"] - 2},
        {"distances": -arrays["distances"]},
        {"distances": arrays["distances"] * np.nan},
        {"labels": arrays["labels"][None], "distances": arrays["distances"][None]},
    ):
        np.savez(bad, **{**arrays, **changed})
        with pytest.raises(ValueError, match="is not a saved selection"):
            farpoint.Selection.load(bad)
    np.savez(bad, **{name: array for name, array in arrays.items() if name != "labels"})
    with pytest.raises(ValueError, match="there is no array 'labels'"):
        farpoint.Selection.load(bad)
    np.savez(bad, **{**arrays, "indices": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ValueError, match="is not a saved selection"):
        farpoint.Selection.load(bad)


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path, selection: farpoint.Selection) -> None:
    path = tmp_path / "s.npz"
    selection.save(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 300):
        damaged = content.copy()
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            loaded = farpoint.Selection.load(path)
        except ValueError:
            continue
        # Bytes that hold no data (names and dates of the archive) may change.
        np.testing.assert_array_equal(loaded.indices, selection.indices)
        np.testing.assert_array_equal(loaded.radii, selection.radii)


def test_to_frame(selection: farpoint.Selection) -> None:
    frame = selection.to_frame()
    assert frame.columns.tolist() == ["order", "index", "radius"]
    assert frame["index"].tolist() == selection.indices.tolist()
