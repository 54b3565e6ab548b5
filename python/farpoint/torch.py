"""For PyTorch: selection from tensors, samplers, and what point clouds and PatchCore use.

>>> import torch
>>> from farpoint.torch import fps, select
>>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
>>> select(x, k=3).indices
tensor([0, 2, 3])
>>> fps(x, torch.tensor([0, 0, 1, 1]), ratio=0.5, random_start=False)
tensor([0, 2])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, Subset

import farpoint

__all__ = [
    "FarthestPointSampler",
    "KCenterGreedy",
    "TensorSelection",
    "fps",
    "sample_farthest_points",
    "select",
    "subset",
]


_LARGEST = torch.iinfo(torch.int64).max
# Options of farpoint.select that farpoint.pairwise_distances has too.
_OF_ALL_PAIRS = ("metric", "backend", "device", "threads")


class TensorSelection(NamedTuple):
    """A selection as tensors on the device of what was selected from.

    Attributes
    ----------
    indices : (k,) int64 tensor
        Row numbers in the order of selection.
    radii : (k,) float64 tensor
        Distance of each pick to the nearest earlier one; infinite for the first.
    selection : farpoint.Selection
        The same in numpy arrays, with `h_min`, `upper_bound` and what else is known.
    """

    indices: Tensor
    radii: Tensor
    selection: farpoint.Selection


def select(x: Tensor, k: int | float | None = None, **options: Any) -> TensorSelection:
    """Select the most evenly spread rows of a tensor.

    Parameters
    ----------
    x : (n, d) tensor
        On the CPU, or on a CUDA device (needs CuPy and farpoint's CUDA engine). Read where it lies if its
        rows are contiguous, without gradients.
    k : int or float, optional
        How many rows, or what fraction of them; may be left out when `min_distance` is given.
    **options
        As for `farpoint.select`: `metric`, `start`, `selected`, `anchors`, `min_distance`, `threads`, ...

    Returns
    -------
    TensorSelection
        Named tuple ``(indices, radii, selection)``; ``x[indices]`` are the rows.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    >>> found = select(x, 3)
    >>> found.indices, found.selection.h_min
    (tensor([0, 3, 2]), 4.0)
    """
    _check_tensor(x, "x")
    found = farpoint.select(x, k, **options)
    return TensorSelection(
        torch.tensor(found.indices, device=x.device), torch.tensor(found.radii, device=x.device), found
    )


class FarthestPointSampler(Sampler[int]):  # type: ignore[misc]
    """Draw the most evenly spread items of a data set, for `torch.utils.data.DataLoader`.

    Parameters
    ----------
    embeddings : (n, d) tensor or array_like, or paths
        One row an item of the data set, as for `farpoint.select`.
    k : int or float, optional
        How many items, or what fraction of them.
    shuffle : bool
        In a random order, another one in each epoch, instead of the order of selection.
    generator : torch.Generator, optional
        For `shuffle`.
    **options
        As for `farpoint.select`.

    Attributes
    ----------
    selection : farpoint.Selection
        What is drawn.

    Examples
    --------
    >>> list(FarthestPointSampler(torch.tensor([[0.0], [1.0], [5.0], [9.0]]), 3))
    [0, 3, 2]
    """

    def __init__(
        self,
        embeddings: Any,
        k: int | float | None = None,
        *,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        self.selection = farpoint.select(embeddings, k, **options)
        self.shuffle = shuffle
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        picks: list[int] = self.selection.indices.tolist()
        if not self.shuffle:
            return iter(picks)
        order: list[int] = torch.randperm(len(picks), generator=self.generator).tolist()
        return (picks[position] for position in order)

    def __len__(self) -> int:
        return len(self.selection)


def subset(
    dataset: Dataset[Any], embeddings: Any, k: int | float | None = None, **options: Any
) -> Subset[Any]:
    """Return the most evenly spread items of a data set, as a data set.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With a length.
    embeddings : (n, d) tensor or array_like, or paths
        One row an item, as for `farpoint.select`.
    k : int or float, optional
        How many items, or what fraction of them.
    **options
        As for `farpoint.select`.

    Returns
    -------
    torch.utils.data.Subset
        Its `indices` are in the order of selection.

    Raises
    ------
    ValueError, TypeError
        As for `farpoint.select`; and there is not one embedding an item.

    Examples
    --------
    >>> texts = ["a", "b", "c", "d"]
    >>> list(subset(texts, torch.tensor([[0.0], [1.0], [5.0], [9.0]]), 3))
    ['a', 'd', 'c']
    """
    found = farpoint.select(embeddings, k, **options)
    items, rows = len(dataset), found.info["n"]
    if items != rows:
        raise ValueError(
            f"dataset has {items} items and embeddings has {rows} rows; one row an item is needed"
        )
    return Subset(dataset, found.indices.tolist())


def fps(
    src: Tensor,
    batch: Tensor | None = None,
    ratio: float | Tensor | None = None,
    random_start: bool = True,
    batch_size: int | None = None,
    ptr: Tensor | Sequence[int] | None = None,
    *,
    threads: int | None = None,
) -> Tensor:
    """Farthest-point sampling of a batch of point clouds that lie one after the other, as torch_cluster's.

    Parameters
    ----------
    src : (n, ...) tensor
        One point a row; further dimensions are flattened.
    batch : (n,) int64 tensor, optional
        The cloud of each point, in rising order. Default: one cloud.
    ratio : float or tensor, optional
        What share of the points of each cloud to select, in (0, 1], rounded up; a tensor of one number, or of
        one a cloud. Default: 0.5.
    random_start : bool
        Start at a random point of each cloud, drawn by `torch.randint`, instead of its first.
    batch_size : int, optional
        The number of clouds, for `batch`; those without points yield none.
    ptr : (clouds + 1,) int64 tensor or list, optional
        Where each cloud begins, and the end of the last, instead of `batch`.
    threads : int, optional
        Default: the processors that this process may use.

    Returns
    -------
    int64 tensor
        Rows of `src`, cloud after cloud, each in the order of selection.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    No point is selected twice: duplicates come last, in their order. docs/drop-ins.md says what else differs.

    Examples
    --------
    >>> src = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    >>> fps(src, torch.tensor([0, 0, 0, 0]), ratio=0.5, random_start=False)
    tensor([0, 3])
    """
    _check_tensor(src, "src")
    if src.ndim == 0 or src.numel() == 0:
        raise ValueError(f"src must have points and columns; it has shape {tuple(src.shape)}")
    points = src.reshape(len(src), -1)
    sizes = _cloud_sizes(len(src), batch, batch_size, ptr)
    picks: list[Tensor] = []
    begin = 0
    for size, count in zip(sizes.tolist(), _counts(sizes, ratio, src.dtype), strict=True):
        if size:
            start = _first(size, random_start)
            picks.append(begin + _picked(points[begin : begin + size], count, start, threads))
            begin += size
    return torch.cat(picks).to(src.device)


def sample_farthest_points(
    points: Tensor,
    lengths: Tensor | None = None,
    K: int | Sequence[int] | Tensor = 50,
    random_start_point: bool = False,
    *,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Farthest-point sampling of a padded batch of point clouds, as pytorch3d's.

    Parameters
    ----------
    points : (N, P, D) tensor
        A cloud an entry.
    lengths : (N,) int64 tensor, optional
        How many of its P points are of the cloud. Default: all.
    K : int, list of int or (N,) int64 tensor
        How many points to select, of all clouds or of each. Where a cloud has fewer, all of them.
    random_start_point : bool
        Start at a random point of each cloud, drawn by `torch.randint`, instead of its first.
    threads : int, optional
        Default: the processors that this process may use.

    Returns
    -------
    selected_points : (N, max(K), D) tensor
        In the order of selection, then zeros. Gradients flow through it to `points`.
    selected_indices : (N, max(K)) int64 tensor
        Their positions in the cloud, then -1.

    Raises
    ------
    ValueError, TypeError
        With the argument and what is wrong with it.

    Notes
    -----
    Of points of another type than float32 distances are computed as they are, and the points returned have
    that type, where pytorch3d converts both. No point is selected twice: duplicates come last, in order.

    Examples
    --------
    >>> clouds = torch.tensor([[[0.0], [1.0], [5.0]], [[0.0], [2.0], [9.0]]])
    >>> sample_farthest_points(clouds, torch.tensor([3, 2]), K=3)[1]
    tensor([[ 0,  2,  1],
            [ 0,  1, -1]])
    """
    _check_tensor(points, "points")
    if points.ndim != 3 or points.numel() == 0:
        raise ValueError(f"points must be (clouds, points, columns); it has shape {tuple(points.shape)}")
    clouds, most, columns = points.shape
    sizes = _one_a_cloud(most if lengths is None else lengths, "lengths", clouds, 0, most)
    wanted = _one_a_cloud(K, "K", clouds, 1, _LARGEST)
    indices = torch.full((clouds, max(wanted)), -1, dtype=torch.int64)
    for cloud, (size, count) in enumerate(zip(sizes, wanted, strict=True)):
        if size:
            start = _first(size, random_start_point)
            picked = _picked(points[cloud, :size], min(size, count), start, threads)
            indices[cloud, : len(picked)] = picked
    indices = indices.to(points.device)
    rows = indices.clamp(min=0)[:, :, None].expand(-1, -1, columns)
    return points.gather(1, rows).masked_fill(indices[:, :, None] < 0, 0), indices


class KCenterGreedy:
    """The coreset of PatchCore's memory bank, with anomalib's constructor and methods.

    Parameters
    ----------
    embedding : (n, ...) tensor
        One row a patch; further dimensions are flattened.
    sampling_ratio : float
        What share of the rows to select, rounded down.
    model : object with `fit` and `transform`, optional
        Projects a 2-D `embedding` before anything is selected. anomalib always does so, by its
        ``SparseRandomProjection(eps=0.9)``, to some 270 columns and distances that are 4 % off on average;
        given here, the same rows are selected. Default: none, with the distances of the embedding.
    **options
        As for `farpoint.select`: `threads`, `progress`, `memory_limit`, ...

    Attributes
    ----------
    embedding, coreset_size, model, features, min_distances, n_observations
        As anomalib's. `features` are what distances are computed of: `embedding` flattened, or what `model`
        made of it in the last selection.

    Examples
    --------
    >>> sampler = KCenterGreedy(embedding=torch.randn(500, 16), sampling_ratio=0.1)
    >>> sampler.sample_coreset().shape
    torch.Size([50, 16])
    """

    def __init__(
        self, embedding: Tensor, sampling_ratio: float, *, model: Any = None, **options: Any
    ) -> None:
        _check_tensor(embedding, "embedding")
        n = len(embedding)
        self.coreset_size = int(n * sampling_ratio)
        if not 1 <= self.coreset_size <= n:
            raise ValueError(
                f"sampling_ratio = {sampling_ratio} of {n} rows is a coreset of {self.coreset_size}; it must "
                f"have 1 to {n}"
            )
        self.embedding = embedding
        self.model = model
        self.features = embedding.reshape(n, -1)
        self.min_distances: Tensor | None = None
        self.n_observations = n
        self._options = options

    def reset_distances(self) -> None:
        """Forget the distances to the centers."""
        self.min_distances = None

    def update_distances(self, cluster_center: int | Tensor | None) -> None:
        """Take a row of `features` as a center: lower all rows' distances to what they are from it.

        Parameters
        ----------
        cluster_center : int or tensor of one int, optional
        """
        if cluster_center is None:
            return
        center = int(cluster_center)
        if not 0 <= center < self.n_observations:
            raise ValueError(
                f"cluster_center = {center} is not a row; rows are 0 to {self.n_observations - 1}"
            )
        options = {name: self._options[name] for name in _OF_ALL_PAIRS if name in self._options}
        distances = farpoint.pairwise_distances(self.features, self.features[center : center + 1], **options)
        found = torch.tensor(distances, dtype=self.features.dtype, device=self.features.device)
        self.min_distances = found if self.min_distances is None else found.minimum(self.min_distances)

    def get_new_idx(self) -> Tensor:
        """Return the row farthest from the centers, the lowest of several.

        Returns
        -------
        int64 tensor of one number
        """
        if self.min_distances is None:
            raise TypeError("there are no distances to centers yet: call update_distances first")
        # Unlike argmax, this says which of equal ones it is.
        return (self.min_distances == self.min_distances.max()).flatten().nonzero()[0, 0]

    def select_coreset_idxs(self) -> list[int]:
        """Select the coreset, from a random row on, which `torch.randint` draws.

        Returns
        -------
        list of int
            Rows in the order of selection. Unlike anomalib's, the call leaves no `min_distances` behind.
        """
        self.reset_distances()
        if self.model is not None and self.embedding.ndim == 2:
            self.model.fit(self.embedding)
            self.features = self.model.transform(self.embedding)
        start = int(torch.randint(high=self.n_observations, size=(1,), device=self.features.device))
        found = farpoint.select(self.features, self.coreset_size, start=start, **self._options)
        picks: list[int] = found.indices.tolist()
        return picks

    def sample_coreset(self) -> Tensor:
        """Select the coreset, and return its rows of `embedding`.

        Returns
        -------
        (coreset_size, ...) tensor
        """
        return self.embedding[self.select_coreset_idxs()]


def _check_tensor(x: object, name: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, not {type(x).__name__}")


def _picked(points: Tensor, count: int, start: int, threads: int | None) -> Tensor:
    """Return the rows picked from one cloud, on the host."""
    return torch.tensor(farpoint.select(points, count, start=start, threads=threads).indices)


def _first(size: int, is_random: bool) -> int:
    return int(torch.randint(high=size, size=(1,))) if is_random else 0


def _cloud_sizes(
    n: int, batch: Tensor | None, batch_size: int | None, ptr: Tensor | Sequence[int] | None
) -> Tensor:
    """Return how many points each cloud has, on the host."""
    if ptr is not None:
        starts = torch.as_tensor(ptr).cpu()
        is_vector = starts.ndim == 1 and len(starts) > 1 and not starts.dtype.is_floating_point
        if not is_vector or starts[0] != 0 or starts[-1] != n or (starts.diff() < 0).any():
            raise ValueError(f"ptr must rise from 0 to {n}, the points of src, not be {starts.tolist()}")
        return starts.to(torch.int64).diff()
    if batch is None:
        return torch.tensor([n])
    _check_tensor(batch, "batch")
    if batch.dtype.is_floating_point or batch.shape != (n,):
        raise ValueError(
            f"batch must be whole numbers, one a point of src, ({n},); it is {batch.dtype} of shape "
            f"{tuple(batch.shape)}"
        )
    batch = batch.cpu().to(torch.int64)
    if batch[0] < 0 or (batch.diff() < 0).any():
        raise ValueError(
            "batch must be in rising order from 0: the points of a cloud lie one after the other"
        )
    clouds = int(batch[-1]) + 1
    if batch_size is not None and batch_size < clouds:
        raise ValueError(f"batch_size = {batch_size}, but batch names cloud {clouds - 1}")
    return batch.bincount(minlength=clouds if batch_size is None else batch_size)


def _counts(sizes: Tensor, ratio: float | Tensor | None, dtype: torch.dtype) -> list[int]:
    """Return how many points to pick from each cloud."""
    shares = torch.as_tensor(0.5 if ratio is None else ratio).cpu()
    if not isinstance(ratio, Tensor) and dtype.is_floating_point:
        # As torch_cluster does: the rounding decides where a share is a whole number of points.
        shares = shares.to(dtype)
    if shares.ndim > 1 or shares.numel() not in (1, len(sizes)):
        raise ValueError(f"ratio must be one number, or one for each of the {len(sizes)} clouds")
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"ratio must be in (0, 1], not {shares.tolist()}")
    # float32 holds the size of a large cloud only nearly.
    counts: list[int] = (sizes.to(torch.float32) * shares).ceil().to(torch.int64).minimum(sizes).tolist()
    return counts


def _one_a_cloud(
    given: int | Sequence[int] | Tensor, name: str, clouds: int, least: int, most: int
) -> list[int]:
    """Return a number for each cloud."""
    numbers = torch.as_tensor(given)
    if numbers.ndim == 0 and not isinstance(given, Tensor):
        numbers = numbers.expand(clouds)
    if numbers.dtype.is_floating_point or numbers.dtype == torch.bool or numbers.shape != (clouds,):
        raise ValueError(f"{name} must be whole numbers, one for each of the {clouds} clouds, not {given!r}")
    if numbers.min() < least or numbers.max() > most:
        limits = f"at least {least}" if most == _LARGEST else f"from {least} to {most}"
        raise ValueError(f"{name} must be {limits}, not {given!r}")
    found: list[int] = numbers.tolist()
    return found
