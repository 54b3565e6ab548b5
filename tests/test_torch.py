"""What stands in for PyTorch's kind of samplers: beside torch_cluster, pytorch3d and anomalib.

These are too heavy to install, or have no wheels. The loops here do what their sources do, and say which;
where one is there (`make peers`), it is asked too.
"""

from __future__ import annotations

import doctest
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs "farpoint[torch]"')

import torch

import farpoint
import farpoint.torch
from farpoint.backends import BACKENDS
from farpoint.backends import cuda as cuda_backend
from farpoint.torch import FarthestPointSampler, KCenterGreedy, fps, sample_farthest_points, select, subset
from tests import fake_cupy
from tests.fake_cuda import FakeCuda

POINTS = torch.from_numpy(np.random.default_rng(4).standard_normal((240, 3)).astype(np.float32))
# Whole numbers: distances are exact whoever computes them, and ties are many.
GRID = torch.from_numpy(np.random.default_rng(5).integers(-9, 10, (240, 3)).astype(np.float32)).unique(dim=0)


def test_examples_run() -> None:
    assert doctest.testmod(farpoint.torch, extraglobs={"np": np, "farpoint": farpoint}).failed == 0


class TestSelect:
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "uint8"])
    def test_the_selection_of_farpoint(self, dtype: str) -> None:
        x = (POINTS * 20).abs().to(getattr(torch, dtype))
        found = select(x, 30, start=3, metric="cosine")
        expected = farpoint.select(x.to(torch.float64).numpy(), 30, start=3, metric="cosine")
        assert found.indices.dtype == torch.int64
        assert found.radii.dtype == torch.float64
        np.testing.assert_array_equal(found.indices.numpy(), expected.indices)
        np.testing.assert_array_equal(found.radii.numpy(), found.selection.radii)
        assert found.selection.h_min == float(found.radii[-1])

    @pytest.mark.parametrize("view", [lambda x: x, lambda x: x[10:200:2], lambda x: x[:, :2]], ids=range(3))
    def test_rows_are_read_where_they_lie(
        self, view: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kind = type(BACKENDS["reference"])
        select_of_kind = kind.select
        seen: list[Any] = []

        def spy(backend: Any, problem: Any) -> Any:
            seen.append(problem.points)
            return select_of_kind(backend, problem)

        monkeypatch.setattr(kind, "select", spy)
        x = POINTS.clone().requires_grad_()
        select(view(x), 5, backend="reference")
        assert seen[0].ctypes.data == view(x).data_ptr()
        assert np.shares_memory(seen[0], x.detach().numpy())

    def test_on_a_cuda_device(self, cuda: CudaStandIn) -> None:
        x = cuda.tensor(POINTS)
        found = select(x, 20)
        expected = farpoint.select(POINTS.numpy(), 20)
        assert found.selection.info["backend"] == "cuda"
        np.testing.assert_array_equal(found.indices.numpy(), expected.indices)
        assert cuda.brought == 2

    def test_bad_input(self) -> None:
        with pytest.raises(TypeError, match=r"x must be a torch.Tensor, not ndarray"):
            select(POINTS.numpy(), 3)
        with pytest.raises(ValueError, match="row 2, column 1 is inf"):
            select(POINTS.clone().index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(torch.inf)), 3)
        with pytest.raises(ValueError, match="k = 241 is more than the 240 rows"):
            select(POINTS, 241)


class CudaStandIn:
    """Tensors that say that they are on a device; what would bring others there is counted."""

    device = SimpleNamespace(type="cuda", index=0)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.extension = FakeCuda()
        self.brought = 0
        monkeypatch.setattr(cuda_backend, "_present", lambda: True)
        monkeypatch.setattr(cuda_backend, "_extension", lambda: self.extension)
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
        for owner, name in ((torch, "tensor"), (torch.Tensor, "to")):
            monkeypatch.setattr(owner, name, self._without_device(getattr(owner, name)))

    def tensor(self, values: Any) -> Any:
        return values.as_subclass(OnDevice)

    def _without_device(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(*arguments: Any, **options: Any) -> Any:
            if options.get("device") is self.device or arguments[1:] == (self.device,):
                self.brought += 1
                options.pop("device", None)
                arguments = arguments[:1]
                return real(*arguments, **options) if real is not real_to else arguments[0]
            return real(*arguments, **options)

        return function


real_to = torch.Tensor.to


class OnDevice(torch.Tensor):  # type: ignore[misc]
    device = CudaStandIn.device

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: int) -> Any:
        return torch.Tensor.numpy(self.as_subclass(torch.Tensor))

    def numpy(self, *_: object, **__: object) -> Any:
        pytest.fail("copied to the host")


OnDevice.__module__ = "torch"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> CudaStandIn:
    """A device, for tensors, in place of CuPy and of the extension."""
    return CudaStandIn(monkeypatch)


class TestSamplers:
    def test_a_loader_draws_the_selection(self) -> None:
        data = torch.utils.data.TensorDataset(torch.arange(240))
        sampler = FarthestPointSampler(POINTS, 0.25, threads=1)
        loader = torch.utils.data.DataLoader(data, batch_size=8, sampler=sampler)
        expected = farpoint.select(POINTS.numpy(), 60).indices.tolist()
        for _epoch in range(2):
            assert torch.cat([batch for (batch,) in loader]).tolist() == expected
        assert len(sampler) == 60
        assert sampler.selection.h_min == farpoint.select(POINTS.numpy(), 60).h_min

    def test_shuffled(self) -> None:
        sampler = FarthestPointSampler(
            POINTS.numpy(), 60, shuffle=True, generator=torch.Generator().manual_seed(3)
        )
        epochs = [list(sampler) for _ in range(3)]
        assert len({tuple(epoch) for epoch in epochs}) == 3
        assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(sorted(sampler.selection.indices))}
        sampler.generator = torch.Generator().manual_seed(3)
        assert [list(sampler) for _ in range(3)] == epochs

    def test_subset(self) -> None:
        data = torch.utils.data.TensorDataset(POINTS)
        found = subset(data, POINTS, min_distance=1.5)
        expected = farpoint.select(POINTS.numpy(), min_distance=1.5).indices
        assert isinstance(found, torch.utils.data.Subset)
        assert found.indices == expected.tolist()
        np.testing.assert_array_equal(found[4][0], POINTS[expected[4]])
        with pytest.raises(ValueError, match="dataset has 240 items and embeddings has 239 rows"):
            subset(data, POINTS[1:], 4)


def loop(points: Any, count: int, start: int) -> list[int]:
    """What all of the peers do: a pick a pass, the first of equal maxima."""
    picks = [start]
    distances = ((points - points[start]) ** 2).sum(1)
    while len(picks) < count:
        picks.append(int(distances.argmax()))
        distances = torch.minimum(distances, ((points - points[picks[-1]]) ** 2).sum(1))
    return picks


def fps_loop(src: Any, sizes: list[int], ratio: Any, starts: list[int]) -> list[int]:
    """As csrc/cpu/fps_cpu.cpp of torch_cluster 1.6.3."""
    shares = torch.as_tensor(ratio, dtype=src.dtype)
    counts = (torch.tensor(sizes).to(torch.float32) * shares).ceil().to(torch.int64).tolist()
    picks: list[int] = []
    begin = 0
    for size, count, start in zip(sizes, counts, starts, strict=True):
        picks += [begin + pick for pick in loop(src[begin : begin + size], count, start)]
        begin += size
    return picks


class TestFps:
    SIZES = (1, 30, 7, 100)

    @pytest.mark.parametrize("src", [POINTS[:138], GRID[:138]], ids=["cloud", "grid"])
    @pytest.mark.parametrize("ratio", [0.1, 0.2, 0.3, 0.5, 0.7, 1.0], ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_the_points_of_torch_cluster(self, src: Any, ratio: float, dtype: Any) -> None:
        src = src.to(dtype)
        batch = torch.repeat_interleave(torch.arange(4), torch.tensor(self.SIZES))
        found = fps(src, batch, ratio, random_start=False)
        assert found.dtype == torch.int64
        assert found.tolist() == fps_loop(src, list(self.SIZES), ratio, [0] * 4)
        # Where each cloud begins says the same as which cloud each point is in.
        ends = torch.tensor(self.SIZES).cumsum(0).tolist()
        for ptr in ([0, *ends], torch.tensor([0, *ends])):
            assert torch.equal(fps(src, ratio=ratio, random_start=False, ptr=ptr), found)
        assert torch.equal(fps(src, batch, ratio, False, batch_size=4, threads=1), found)

    def test_its_own_test(self) -> None:
        """The points and the results of torch_cluster's test/test_fps.py."""
        corners = [[-1, -1], [-1, 1], [1, 1], [1, -1], [-2, -2], [-2, 2], [2, 2], [2, -2]]
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            x = torch.tensor(corners, dtype=dtype)
            batch = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
            for ratio in (None, 0.5, torch.tensor(0.5), torch.tensor([0.5, 0.5])):
                assert fps(x, batch, ratio=ratio, random_start=False).tolist() == [0, 2, 4, 6]
            assert fps(x, ptr=[0, 4, 8], ratio=0.5, random_start=False).tolist() == [0, 2, 4, 6]
            for ratio in (None, 0.5, torch.tensor(0.5), torch.tensor([0.5])):
                assert fps(x, ratio=ratio, random_start=False).sort()[0].tolist() == [0, 5, 6, 7]

    def test_a_ratio_for_each_cloud(self) -> None:
        ratios = torch.tensor([1.0, 0.1, 0.5, 0.01])
        batch = torch.repeat_interleave(torch.arange(4), torch.tensor(self.SIZES))
        found = fps(POINTS[:138], batch, ratios, random_start=False)
        assert found.tolist() == fps_loop(POINTS[:138], list(self.SIZES), ratios, [0] * 4)

    def test_random_starts(self) -> None:
        batch = torch.arange(3).repeat_interleave(80)
        torch.manual_seed(7)
        found = fps(POINTS, batch, ratio=0.1).reshape(3, 8)
        starts = (found[:, 0] - torch.tensor([0, 80, 160])).tolist()
        assert found.flatten().tolist() == fps_loop(POINTS, [80] * 3, 0.1, starts)
        torch.manual_seed(7)
        assert torch.equal(fps(POINTS, batch, ratio=0.1).reshape(3, 8), found)
        assert len({int(fps(POINTS, ratio=0.01)[0]) for _ in range(20)}) > 1

    def test_shapes(self) -> None:
        column = POINTS[:, 0]
        expected = loop(column[:, None], 120, 0)
        assert fps(column, random_start=False).tolist() == expected
        blocks = POINTS.reshape(120, 2, 3)
        assert fps(blocks, random_start=False).tolist() == loop(POINTS.reshape(120, 6), 60, 0)

    def test_clouds_without_points(self) -> None:
        batch = torch.tensor([1, 1, 1, 3])
        found = fps(POINTS[:4], batch, ratio=1.0, random_start=False, batch_size=6)
        assert found.tolist() == [*loop(POINTS[:3], 3, 0), 3]

    def test_duplicates_come_last_and_once(self) -> None:
        x = torch.tensor([[0.0], [0.0], [3.0], [3.0]])
        assert fps(x, ratio=1.0, random_start=False).tolist() == [0, 2, 1, 3]

    def test_on_a_cuda_device(self, cuda: CudaStandIn) -> None:
        batch = torch.arange(3).repeat_interleave(80)
        found = fps(cuda.tensor(POINTS), batch, 0.1, random_start=False)
        assert cuda.brought == 1
        assert {name for name, _ in cuda.extension.calls} == {"scan", "select"}
        assert torch.equal(found, fps(POINTS, batch, 0.1, random_start=False))

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ({"ratio": 0.0}, r"ratio must be in \(0, 1\], not 0.0"),
            ({"ratio": 1.5}, "not 1.5"),
            ({"ratio": float("nan")}, "not nan"),
            (
                {"ratio": torch.tensor([0.5, 0.5])},
                "ratio must be one number, or one for each of the 1 clouds",
            ),
            ({"batch": torch.tensor([0, 1, 0, 1])}, "batch must be in rising order from 0"),
            ({"batch": torch.tensor([-1, 0, 0, 1])}, "batch must be in rising order from 0"),
            (
                {"batch": torch.tensor([0, 1])},
                r"one a point of src, \(4,\); it is torch.int64 of shape \(2,\)",
            ),
            ({"batch": torch.zeros(4)}, "batch must be whole numbers"),
            (
                {"batch": torch.tensor([0, 0, 2, 2]), "batch_size": 2},
                "batch_size = 2, but batch names cloud 2",
            ),
            ({"ptr": [0, 3]}, r"ptr must rise from 0 to 4, the points of src, not be \[0, 3\]"),
            ({"ptr": [0, 3, 2, 4]}, "ptr must rise"),
            ({"ptr": [1, 4]}, "ptr must rise"),
            ({"ptr": [4]}, "ptr must rise"),
            ({"ptr": [0, 1.5, 4]}, "ptr must rise"),
            ({"ptr": torch.tensor(4)}, "ptr must rise"),
            ({"ratio": torch.tensor([[0.5]])}, "ratio must be one number"),
            ({"src": torch.zeros(0, 3)}, r"src must have points and columns; it has shape \(0, 3\)"),
            ({"src": torch.full((4, 1), torch.nan)}, "row 0, column 0 is NaN"),
        ],
    )
    def test_bad_input(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            fps(**{"src": POINTS[:4], **arguments})

    def test_beside_the_real_one(self) -> None:
        theirs = pytest.importorskip("torch_cluster", reason="make peers installs it").fps
        assert list(inspect.signature(fps).parameters)[:6] == list(inspect.signature(theirs).parameters)
        for src in (POINTS, GRID, POINTS.to(torch.float64)):
            batch = (torch.arange(len(src)) * 5) // len(src)
            for ratio in (0.1, 0.25, 0.5, 0.9):
                for clouds in (None, batch):
                    found, expected = (one(src, clouds, ratio, False) for one in (fps, theirs))
                    assert torch.equal(found, expected)


def sample_loop(points: Any, lengths: list[int], K: list[int]) -> Any:
    """As sample_farthest_points_naive of pytorch3d's ops/sample_farthest_points.py."""
    indices = torch.full((len(points), max(K)), -1)
    for cloud, (length, count) in enumerate(zip(lengths, K, strict=True)):
        picks = loop(points[cloud, :length], min(length, count), 0)
        indices[cloud, : len(picks)] = torch.tensor(picks)
    return indices


class TestSampleFarthestPoints:
    CLOUDS = POINTS.reshape(4, 60, 3)

    @pytest.mark.parametrize("points", [CLOUDS, GRID[:232].reshape(4, 58, 3)], ids=["cloud", "grid"])
    @pytest.mark.parametrize("lengths", [None, [58, 7, 1, 33]], ids=str)
    @pytest.mark.parametrize("K", [1, 20, 70, [9, 20, 3, 1]], ids=str)
    def test_the_points_of_pytorch3d(self, points: Any, lengths: list[int] | None, K: Any) -> None:
        given = None if lengths is None else torch.tensor(lengths)
        selected, indices = sample_farthest_points(points, given, K)
        sizes = [points.shape[1]] * 4 if lengths is None else lengths
        expected = sample_loop(points, sizes, [K] * 4 if isinstance(K, int) else K)
        assert torch.equal(indices, expected)
        for cloud in range(4):
            there = indices[cloud] >= 0
            assert torch.equal(selected[cloud][there], points[cloud][indices[cloud][there]])
            assert (selected[cloud][~there] == 0).all()
        if isinstance(K, list):
            assert torch.equal(sample_farthest_points(points, given, torch.tensor(K))[1], expected)

    def test_on_a_cuda_device(self, cuda: CudaStandIn) -> None:
        lengths = torch.tensor([60, 7, 1, 33])
        selected, indices = sample_farthest_points(cuda.tensor(self.CLOUDS), lengths, 9)
        expected = sample_farthest_points(self.CLOUDS, lengths, 9)
        assert torch.equal(indices, expected[1])
        assert torch.equal(selected.as_subclass(torch.Tensor), expected[0])
        assert cuda.brought == 1

    def test_gradients_flow_to_the_points(self) -> None:
        points = self.CLOUDS.clone().requires_grad_()
        selected, indices = sample_farthest_points(points, torch.tensor([60, 2, 60, 60]), K=5)
        (selected * 3).sum().backward()
        expected = torch.zeros(4, 60)
        for cloud in range(4):
            expected[cloud, indices[cloud][indices[cloud] >= 0]] = 3.0
        assert torch.equal(points.grad, expected[:, :, None].expand(4, 60, 3))

    def test_random_starts_are_those_of_pytorch3d(self) -> None:
        lengths = torch.tensor([60, 40, 1, 20])
        torch.manual_seed(11)
        expected = [int(torch.randint(high=length, size=(1,))) for length in lengths.tolist()]
        torch.manual_seed(11)
        _, indices = sample_farthest_points(self.CLOUDS, lengths, K=9, random_start_point=True)
        assert indices[:, 0].tolist() == expected
        assert indices[1].tolist() == loop(self.CLOUDS[1, :40], 9, expected[1])

    def test_clouds_without_points(self) -> None:
        selected, indices = sample_farthest_points(self.CLOUDS, torch.tensor([60, 0, 3, 60]), K=4)
        assert indices[1].tolist() == [-1] * 4
        assert (selected[1] == 0).all()

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ({"points": POINTS}, r"points must be \(clouds, points, columns\); it has shape \(240, 3\)"),
            ({"points": torch.zeros(2, 0, 3)}, "it has shape"),
            ({"lengths": torch.tensor([60, 61, 1, 1])}, "lengths must be from 0 to 60"),
            ({"lengths": torch.tensor([60, -1, 1, 1])}, "lengths must be from 0 to 60"),
            (
                {"lengths": torch.tensor([60, 1])},
                "lengths must be whole numbers, one for each of the 4 clouds",
            ),
            ({"K": 0}, "K must be at least 1, not 0"),
            ({"K": [1, 2, 3]}, "K must be whole numbers, one for each of the 4 clouds"),
            ({"K": 0.5}, "K must be whole numbers"),
        ],
    )
    def test_bad_input(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            sample_farthest_points(**{"points": self.CLOUDS, **arguments})


class Halved:
    """A projection, with the methods of anomalib's."""

    def fit(self, embedding: Any) -> Halved:
        self.columns = embedding.shape[1] // 2
        torch.rand(5)  # as anomalib's, it draws before the first row is drawn
        return self

    def transform(self, embedding: Any) -> Any:
        return embedding[:, : self.columns] - embedding[:, self.columns : 2 * self.columns]


def coreset_loop(sampler: KCenterGreedy, model: Any) -> list[int]:
    """As select_coreset_idxs of anomalib's k_center_greedy.py, by the sampler's own methods."""
    if sampler.embedding.ndim == 2 and model is not None:
        sampler.features = model.fit(sampler.embedding).transform(sampler.embedding)
    sampler.reset_distances()
    index = torch.randint(high=sampler.n_observations, size=(1,)).squeeze()
    picks = [index]
    for _ in range(sampler.coreset_size - 1):
        sampler.update_distances(cluster_center=index)
        index = sampler.get_new_idx()
        picks.append(index)
    return [int(pick) for pick in picks]


class TestKCenterGreedy:
    EMBEDDING = torch.from_numpy(np.random.default_rng(9).standard_normal((150, 16)).astype(np.float32))

    @pytest.mark.parametrize("model", [None, Halved()], ids=["none", "model"])
    def test_the_rows_that_its_methods_find_one_by_one(self, model: Any) -> None:
        sampler = KCenterGreedy(embedding=self.EMBEDDING, sampling_ratio=0.3, model=model)
        torch.manual_seed(2)
        found = sampler.select_coreset_idxs()
        assert sampler.min_distances is None
        assert sampler.features.shape == (150, 16 if model is None else 8)
        torch.manual_seed(2)
        assert coreset_loop(sampler, model) == found
        assert len(found) == sampler.coreset_size == 45

    def test_the_documented_behaviour(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What anomalib's tests/unit/models/components/sampling/test_k_center_greedy.py asks for."""
        for rows, columns, ratio, size in ((100, 16, 0.1, 10), (200, 64, 0.05, 10), (50, 8, 0.02, 1)):
            embedding = torch.randn(rows, columns)
            sampler = KCenterGreedy(embedding=embedding, sampling_ratio=ratio)
            found = sampler.select_coreset_idxs()
            assert sampler.coreset_size == len(found) == len(set(found)) == size
            assert all(type(index) is int and 0 <= index < rows for index in found)
            assert sampler.sample_coreset().shape == (size, columns)
            with monkeypatch.context() as patch:
                patch.setattr(torch, "randint", lambda *_args, **_options: torch.tensor(7))
                assert sampler.select_coreset_idxs()[0] == 7

    def test_distances_to_centers(self) -> None:
        sampler = KCenterGreedy(self.EMBEDDING, 0.1)
        with pytest.raises(TypeError, match="there are no distances to centers yet"):
            sampler.get_new_idx()
        sampler.update_distances(None)
        assert not isinstance(sampler.min_distances, torch.Tensor)
        for centers in ([4], [4, 90]):
            sampler.update_distances(torch.tensor([centers[-1]]))
            expected = torch.cdist(self.EMBEDDING, self.EMBEDDING[centers]).min(1, keepdim=True).values
            assert sampler.min_distances is not None
            torch.testing.assert_close(sampler.min_distances, expected, atol=1e-3, rtol=1e-5)
            assert sampler.get_new_idx() == expected.argmax()
        sampler.reset_distances()
        assert sampler.min_distances is None

    def test_more_dimensions_are_flattened(self) -> None:
        images = self.EMBEDDING.reshape(150, 4, 4)
        sampler = KCenterGreedy(images, 0.1, model=Halved(), threads=1)
        torch.manual_seed(1)
        coreset = sampler.sample_coreset()
        torch.manual_seed(1)
        rows = KCenterGreedy(self.EMBEDDING, 0.1).select_coreset_idxs()
        assert torch.equal(coreset, images[rows])

    def test_on_a_cuda_device(self, cuda: CudaStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        sampler = KCenterGreedy(cuda.tensor(self.EMBEDDING), 0.2)
        monkeypatch.setattr(torch, "randint", lambda *_args, **_options: torch.tensor([7]))
        expected = farpoint.select(self.EMBEDDING.numpy(), 30, start=7).indices.tolist()
        assert sampler.select_coreset_idxs() == expected

    def test_bad_input(self) -> None:
        with pytest.raises(TypeError, match=r"embedding must be a torch.Tensor, not ndarray"):
            KCenterGreedy(self.EMBEDDING.numpy(), 0.1)
        for ratio in (0.0, 0.001, 1.1, -1.0):
            with pytest.raises(ValueError, match=f"sampling_ratio = {ratio} of 150 rows is a coreset of"):
                KCenterGreedy(self.EMBEDDING, ratio)
        with pytest.raises(ValueError, match="cluster_center = 150 is not a row; rows are 0 to 149"):
            KCenterGreedy(self.EMBEDDING, 0.1).update_distances(150)

    def test_beside_the_real_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs, projection = real_anomalib(monkeypatch)
        for seed in range(3):
            embedding = torch.from_numpy(
                np.random.default_rng(seed).standard_normal((400, 300)).astype(np.float32)
            )
            picks = []
            for sampler in (
                theirs(embedding=embedding, sampling_ratio=0.2),
                KCenterGreedy(embedding=embedding, sampling_ratio=0.2, model=projection(eps=0.9)),
            ):
                torch.manual_seed(seed)
                np.random.seed(seed)  # noqa: NPY002, what the projection draws from
                picks.append(sampler.select_coreset_idxs())
            assert picks[0] == picks[1]


def real_anomalib(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Load two modules of anomalib, without the package around them and what it needs."""
    pytest.importorskip("sklearn")
    try:
        files = importlib.metadata.files("anomalib") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("make peers installs anomalib")
    modules: dict[str, Any] = {}
    for name, stem in (("dimensionality_reduction", "random_projection"), ("sampling", "k_center_greedy")):
        package = f"anomalib.models.components.{name}"
        path = next(file.locate() for file in files if str(file).endswith(f"components/{name}/{stem}.py"))
        spec = importlib.util.spec_from_file_location(f"{package}.{stem}", str(path))
        assert spec is not None
        assert spec.loader is not None
        modules[stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[stem])
        around = ModuleType(package)
        vars(around).update(vars(modules[stem]))
        monkeypatch.setitem(sys.modules, package, around)
    return modules["k_center_greedy"].KCenterGreedy, modules["random_projection"].SparseRandomProjection
