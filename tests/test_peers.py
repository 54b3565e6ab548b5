"""Packages that need no drop-in: farpoint.select takes their data and makes their picks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import farpoint

Array = npt.NDArray[Any]


def clouds() -> dict[str, Array]:
    """Point clouds whose float32 distances do not tie but where the points do."""
    random = np.random.default_rng(0)
    sphere = random.standard_normal((3000, 3))
    lumps = random.standard_normal((20, 3))[random.integers(20, size=3000)]
    return {
        "uniform": random.random((3000, 3)).astype(np.float32),
        "sphere": (sphere / np.linalg.norm(sphere, axis=1, keepdims=True)).astype(np.float32),
        "lumps": (lumps + 0.01 * random.standard_normal((3000, 3))).astype(np.float32),
        "plane": random.random((3000, 2)).astype(np.float32),
        "six columns": random.standard_normal((2000, 6)).astype(np.float32),
    }


@pytest.mark.parametrize("name", clouds())
def test_the_picks_of_fpsample(name: str) -> None:
    fpsample = pytest.importorskip("fpsample")
    cloud = clouds()[name]
    for start in (0, 1234):
        theirs = fpsample.fps_sampling(cloud, 300, start_idx=start)
        np.testing.assert_array_equal(farpoint.select(cloud, 300, start=start).indices, theirs)


@pytest.mark.parametrize("name", clouds())
def test_the_picks_of_fpsample_by_buckets(name: str) -> None:
    """There `start_idx` counts in the order of a tree; the first pick says which row it was."""
    fpsample = pytest.importorskip("fpsample")
    cloud = clouds()[name]
    found = [
        fpsample.bucket_fps_kdline_sampling(cloud, 300, h=5, start_idx=0),
        fpsample.bucket_fps_kdtree_sampling(cloud, 300, start_idx=0),
    ]
    for theirs in found:
        ours = farpoint.select(cloud, 300, start=int(theirs[0])).indices
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("form", ["lists", "numpy", "torch"])
def test_columns_of_datasets(form: str) -> None:
    """As embeddings are kept beside the records: a column of lists, whatever the format it is read in."""
    datasets = pytest.importorskip("datasets")
    if form == "torch":
        pytest.importorskip("torch")
    X = np.random.default_rng(0).standard_normal((500, 24)).astype(np.float32)
    features = datasets.Features(
        {"text": datasets.Value("string"), "embedding": datasets.List(datasets.Value("float32"), length=24)}
    )
    records = {"text": [str(i) for i in range(500)], "embedding": X.tolist()}
    dataset = datasets.Dataset.from_dict(records, features=features)
    shown = dataset if form == "lists" else dataset.with_format(form)
    as_read = X.astype(np.float64) if form == "lists" else X  # Python's numbers are float64
    for column, same in ((shown["embedding"], as_read), (dataset.data.column("embedding"), X)):
        found, expected = farpoint.select(column, 50), farpoint.select(same, 50)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.radii, expected.radii)
    assert list(dataset.select(found.indices)["text"]) == [str(i) for i in found.indices]
