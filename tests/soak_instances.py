"""The instances of the soak test (tests/soak.py): calls with everything about them drawn at random."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import farpoint
from farpoint._parts import PartedMatrix

try:
    import ml_dtypes

    BFLOAT16: list[np.dtype[Any]] = [np.dtype(ml_dtypes.bfloat16)]
except ImportError:
    BFLOAT16 = []

Rows = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
Random = np.random.Generator

METRICS = ("euclidean", "sqeuclidean", "cosine")
DIFFERENCE_METRICS = ("manhattan", "chebyshev")
DTYPES = [np.dtype(name) for name in ("float16", "float32", "float32", "float64", "int8", "uint8")] + BFLOAT16
# Around the widths that engines work in: 16 accumulators, vectors of 4 to 64 elements.
EDGE_DIMENSIONS = (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)


# Kinds of data. Each takes (random, n, d) and returns float64 rows, which are then brought to a dtype.


def normal(random: Random, n: int, d: int) -> Rows:
    return random.standard_normal((n, d))


def skewed(random: Random, n: int, d: int) -> Rows:
    return random.uniform(0, 1, (n, d)) ** 8


def integer_grid(random: Random, n: int, d: int) -> Rows:
    """Ties everywhere."""
    side = int(random.integers(2, 12))
    return random.integers(-(side // 2), side, (n, d)).astype(np.float64)


def one_hot(random: Random, n: int, d: int) -> Rows:
    """Few distinct rows, all equally far apart."""
    return np.eye(d)[random.integers(0, d, n)] * random.integers(1, 3, (n, 1))


def duplicates(random: Random, n: int, d: int) -> Rows:
    """Few distinct rows, each many times."""
    distinct: Rows = random.standard_normal((int(random.integers(1, n + 1)), d))
    return distinct[random.integers(0, len(distinct), n)]


def near_duplicates(random: Random, n: int, d: int) -> Rows:
    """Copies that differ in the last bits, of float64 or of float32."""
    rows = duplicates(random, n, d)
    unit = 2.0 ** float(random.choice([-52, -23, -22, -12]))
    return np.asarray(rows * (1 + unit * random.integers(-2, 3, (n, d))))


def constant_rows(random: Random, n: int, d: int) -> Rows:
    """One value a row: all on a line."""
    return np.repeat(random.standard_normal((n, 1)), d, axis=1)


def all_equal(random: Random, n: int, d: int) -> Rows:
    return np.tile(random.standard_normal((1, d)), (n, 1))


def huge_offset(random: Random, n: int, d: int) -> Rows:
    """Small differences between large numbers, in all columns or in some."""
    offset = 10.0 ** random.uniform(1, 8) * random.standard_normal(d)
    return np.asarray(random.standard_normal((n, d)) + offset * random.integers(0, 2, d))


def tight_clusters(random: Random, n: int, d: int) -> Rows:
    """Few clusters far apart, of very different sizes and widths."""
    count = int(random.integers(1, 20))
    centres = random.standard_normal((count, d)) * 10.0 ** random.uniform(0, 4)
    which = (random.uniform(0, 1, n) ** 3 * count).astype(np.int64)
    widths = 10.0 ** random.uniform(-4, 0, count)
    return np.asarray(centres[which] + random.standard_normal((n, d)) * widths[which, None])


def huge_element(random: Random, n: int, d: int) -> Rows:
    """One element a row is far larger than the rest, in any column or in the same."""
    rows = random.standard_normal((n, d))
    columns = random.integers(0, d, n) if random.integers(2) else int(random.integers(d))
    rows[np.arange(n), columns] = 10.0 ** random.uniform(2, 7) * (random.standard_normal(n) + 2)
    return rows


def one_huge_row(random: Random, n: int, d: int) -> Rows:
    """A few outliers set the scale for all."""
    rows = random.standard_normal((n, d))
    rows[random.integers(0, n, int(random.integers(1, 4)))] *= 10.0 ** random.uniform(1, 9)
    return rows


def subnormal(random: Random, n: int, d: int) -> Rows:
    """Elements below the smallest normal float32 or float16, alone or among others, and both zeros."""
    tiny = float(random.choice([1e-45, 1e-42, 1e-39, 1e-7, 1e-310]))
    rows = random.standard_normal((n, d)) * tiny * 20
    if random.integers(2):
        rows[:, random.integers(0, 2, d) == 1] += 1
    rows[random.uniform(0, 1, (n, d)) < 0.1] = -0.0
    return rows


def scaled(random: Random, n: int, d: int) -> Rows:
    return np.asarray(random.standard_normal((n, d)) * 10.0 ** random.uniform(-30, 30))


def scaled_columns(random: Random, n: int, d: int) -> Rows:
    """Columns of very different scale; some constant."""
    rows = random.standard_normal((n, d)) * 10.0 ** random.uniform(-6, 6, d)
    rows[:, random.uniform(0, 1, d) < 0.2] = 1.0
    return rows


def heavy_norms(random: Random, n: int, d: int) -> Rows:
    """Row norms over many orders of magnitude."""
    exponents = np.clip(random.standard_cauchy((n, 1)) * float(random.choice([0.3, 1, 4])), -15, 15)
    return random.standard_normal((n, d)) * 10.0**exponents


def low_rank(random: Random, n: int, d: int) -> Rows:
    """A few directions hold nearly everything, as in embeddings."""
    rank = int(random.integers(1, min(d, 8) + 1))
    strength = 10.0 ** -np.linspace(0, float(random.uniform(0, 3)), rank)
    rows = (random.standard_normal((n, rank)) * strength) @ random.standard_normal((rank, d))
    noise = 10.0 ** random.uniform(-6, -1)
    return np.asarray(rows + noise * random.standard_normal((n, d)))


def sphere(random: Random, n: int, d: int) -> Rows:
    rows = random.standard_normal((n, d)) + 1e-9
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def code_edges(random: Random, n: int, d: int) -> Rows:
    """Halfway between the codes of an 8-bit quantiser: the largest rounding error in every element."""
    step = 10.0 ** random.uniform(-3, 3)
    codes = random.integers(-126, 126, (n, d)).astype(np.float64)
    codes[0, 0] = 127
    rows = step * (codes + 0.5 * (1 + 1e-6 * random.integers(-1, 2, (n, d))))
    rows[0, 0] = 127 * step
    return np.asarray(rows)


def curve(random: Random, n: int, d: int) -> Rows:
    """A smooth path, in order: neighbours in memory are neighbours in space."""
    t = np.sort(random.uniform(0, 1, n))[:, None]
    return np.sin(t * random.uniform(0, 20, d) + random.uniform(0, 6, d))


def geometric(random: Random, n: int, d: int) -> Rows:
    """Distances to the origin that halve again and again: every pick halves the radius."""
    size = 2.0 ** -random.uniform(0, 40, (n, 1))
    return sphere(random, n, d) * size


def mixture(random: Random, n: int, d: int) -> Rows:
    """Two kinds side by side, shuffled."""
    first, second = random.choice(len(SINGLE_KINDS), 2)
    half = n // 2
    parts = [SINGLE_KINDS[first](random, n - half, d)]
    if half:
        parts.append(SINGLE_KINDS[second](random, half, d))
    return random.permutation(np.concatenate(parts))


Kind = Callable[[Random, int, int], Rows]
SINGLE_KINDS: tuple[Kind, ...] = (
    normal, skewed, integer_grid, one_hot, duplicates, near_duplicates, constant_rows, all_equal,
    huge_offset, tight_clusters, huge_element, one_huge_row, subnormal, scaled, scaled_columns, heavy_norms,
    low_rank, sphere, code_edges, curve, geometric,
)  # fmt: skip
KINDS: tuple[Kind, ...] = (*SINGLE_KINDS, mixture)


def as_dtype(rows: Rows, dtype: np.dtype[Any]) -> Array:
    """Bring rows to an element type, scaled where it could not hold them."""
    largest = float(np.abs(rows).max())
    if dtype.kind in "iu":
        low = -127.0 if dtype.kind == "i" else 0.0
        whole = bool((rows == np.rint(rows)).all()) and rows.min() >= low and rows.max() <= 127
        if not whole and largest > 0:
            rows = rows / largest * 127 if dtype.kind == "i" else (rows / largest + 1) * 127.5
        return np.rint(rows).astype(dtype)
    limit = {"float16": 6e4, "float64": 1e300}.get(dtype.name, 1e38)
    return (rows / largest * limit if largest > limit else rows).astype(dtype)


def without_zero_rows(rows: Array) -> Array:
    """Return the rows with something in each: cosine distances need it."""
    rows = rows.copy()
    rows[~(rows != 0).any(axis=1), 0] = 1
    return rows


def laid_out(random: Random, rows: Array) -> tuple[Array | PartedMatrix, str]:
    """Return the same values in another memory layout, and its name."""
    n, d = rows.shape
    match int(random.integers(12)):
        case 0:
            return np.asfortranarray(rows), "Fortran order"
        case 1:
            wide = np.zeros((n, 2 * d), dtype=rows.dtype)
            wide[:, ::2] = rows
            return wide[:, ::2], "every other column"
        case 2:
            tall = np.zeros((2 * n, d + 9), dtype=rows.dtype)
            tall[::2, 3 : 3 + d] = rows
            return tall[::2, 3 : 3 + d], "rows of a larger matrix"
        case 3:
            return np.ascontiguousarray(rows[::-1])[::-1], "reversed rows"
        case 4:
            padded = np.frombuffer(b"\0" + rows.tobytes(), dtype=np.uint8)[1:]
            return padded.view(rows.dtype).reshape(rows.shape), "unaligned, read-only"
        case 5 if rows.dtype.kind == "f":
            return rows.astype(rows.dtype.newbyteorder()), "swapped bytes"
        case 6 | 7:
            cuts = np.sort(random.integers(0, n + 1, int(random.integers(1, 30))))
            pieces = [(f"piece {i}", [piece.copy()]) for i, piece in enumerate(np.split(rows, cuts))]
            return PartedMatrix(pieces, "X"), f"cut at {len(cuts)} places"
        case _:
            return rows, "C order"


# Instances.


@dataclass(frozen=True)
class Instance:
    """A call, and what is worth knowing about it."""

    function: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    about: str

    def run(self, backend: str, threads: int, memory_limit: int | None = None) -> Any:
        """Make the call; an error that it raises is a result like any other."""
        options = dict(self.options, backend=backend, threads=threads)
        if memory_limit is not None:
            options["memory_limit"] = memory_limit
        try:
            return getattr(farpoint, self.function)(*self.arguments, **options)
        except (ValueError, TypeError) as error:
            return error

    def run_in(self, spare: int, backend: str, threads: int) -> Any:
        """Make the call with so much more memory than the least that a refusal names."""
        if self.function == "pairwise_distances":  # keeps nothing
            return self.run(backend, threads)
        refused = self.run(backend, threads, 1)
        least = least_memory(refused) if isinstance(refused, ValueError) else None
        return refused if least is None else self.run(backend, threads, least + spare)

    @property
    def _is_of_one_k(self) -> bool:
        """Whether fewer picks would be others, or may be more than there can be."""
        quotas = self.options.get("quotas", {})
        return any(least for least, _ in quotas.values()) or (
            "k" not in self.options and ("exclude" in self.options or bool(quotas))
        )

    def run_in_two(self, backend: str, threads: int, share: float) -> Any:
        """Select a share of the rows first, and go on from these: what `run` does, the long way round."""
        if self.function != "select" or self._is_of_one_k:
            return self.run(backend, threads)
        k = self.options.get("k")
        X = self.arguments[0]
        free = len(X) - len(self.options.get("selected", ()))
        first = max(1, round(share * (k if isinstance(k, int) else free)))
        going_on = {name: value for name, value in self.options.items() if name not in _OF_THE_FIRST}
        computing: dict[str, Any] = {"backend": backend, "threads": threads}
        try:
            selection = farpoint.select(X, **{**self.options, "k": first, "assign": False}, **computing)
            return farpoint.extend(selection, X, **going_on, **computing)
        except (ValueError, TypeError) as error:
            return error


def least_memory(refused: Exception) -> int | None:
    """Return what the refusal of a memory limit names as the least, if it is one."""
    found = re.search(r"^memory_limit = .* at least ([\d,]+) bytes are needed$", str(refused))
    return None if found is None else int(found[1].replace(",", ""))


# Options of a selection that one which goes on from it takes over.
_OF_THE_FIRST = ("metric", "start", "seed")


@dataclass(frozen=True)
class Shape:
    """How large an instance is; `work` bounds the elements that the reference may look at."""

    n: int
    d: int
    k: int
    work: float


def draw_shape(random: Random) -> Shape:
    """Most are small and odd; some need hundreds of picks, or rows that outgrow what a level holds."""
    size = random.uniform()
    d = int(random.choice(EDGE_DIMENSIONS)) if random.integers(2) else int(random.integers(1, 71))
    if size < 0.01:  # deep: many picks
        n, k, work = int(random.integers(2500, 6001)), int(random.integers(300, 1001)), 1.5e8
    elif size < 0.022:  # wide: many bytes, so several levels
        d = int(random.integers(100, 601))
        n, k, work = int(random.integers(1000, 4501)), int(random.integers(100, 1001)), 3e8
    elif size < 0.027:  # a point cloud: many rows in few dimensions
        d = int(random.integers(1, 9))
        n, k, work = int(random.integers(4000, 20_001)), int(random.integers(200, 1501)), 3e8
    elif size < 0.12:
        n, k, work = int(random.integers(200, 2001)), int(random.integers(1, 501)), 2e7
    else:
        n, work = int(np.exp(random.uniform(0, np.log(400)))), 4e6
        k = n if random.integers(3) == 0 else int(random.integers(1, n + 1))
        if random.integers(25) == 0:
            d = int(random.integers(200, 601))
    k = max(1, min(k, n, int(work / (n * max(d, 16)))))
    return Shape(n, d, k, work)


def draw(seed: int, number: int) -> Instance:
    """Return the instance of this number."""
    random = np.random.default_rng([seed, number])
    shape = draw_shape(random)
    kind = KINDS[int(random.integers(len(KINDS)))]
    dtype = DTYPES[int(random.integers(len(DTYPES)))]
    metric = METRICS[int(random.choice(3, p=(0.6, 0.1, 0.3)))]
    # A stream of its own, one that leaves alone what test_soak.py has from before these metrics.
    later = np.random.default_rng([seed, number, 5])
    if later.integers(3) == 0:
        metric = DIFFERENCE_METRICS[int(later.integers(2))]

    def rows(count: int) -> Array:
        made = as_dtype(kind(random, count, shape.d), dtype)
        return without_zero_rows(made) if metric == "cosine" and random.integers(25) else made

    function = str(
        random.choice(
            ["select", "nearest", "h_min", "covering_radius", "pairwise_distances"],
            p=(0.7, 0.12, 0.1, 0.03, 0.05),
        )
    )
    options: dict[str, Any] = {"metric": metric}
    if function == "select":
        X = rows(shape.n)
        arguments: tuple[Any, ...] = (X,)
        options |= draw_select_options(random, X, shape, metric, rows)
    elif function == "h_min":
        # All pairs: n^2 d / 2 elements.
        arguments = (rows(max(2, min(shape.n, int(np.sqrt(2 * shape.work / max(shape.d, 16)))))),)
    else:
        X = rows(shape.n)
        most = max(1, min(int(shape.work / (shape.n * max(shape.d, 16))), 600 if shape.work < 1e8 else 3000))
        arguments = (X, draw_others(random, X, int(random.integers(1, most + 1)), rows))

    main, layout = laid_out(random, arguments[0])
    shapes = " and ".join("x".join(map(str, a.shape)) for a in arguments)
    shown = {name: _short(value) for name, value in options.items()}
    about = f"{function}, {shapes} {dtype.name}, {kind.__name__}, {layout}, {shown}"
    return Instance(function, (main, *arguments[1:]), options, about)


def draw_others(random: Random, X: Array, count: int, rows: Callable[[int], Array]) -> Array:
    """Rows to compare X with: of the same kind, of X itself, or nearly."""
    match int(random.integers(3)):
        case 0:
            return rows(count)
        case 1:
            return X[random.integers(0, len(X), count)]
        case _:
            chosen = X[random.integers(0, len(X), count)]
            if chosen.dtype.kind in "iu":
                return chosen
            unit = float(random.choice([1e-7, 1e-3]))
            noise = 1 + unit * random.standard_normal(chosen.shape)
            return as_dtype(chosen.astype(np.float64) * noise, chosen.dtype)


def draw_select_options(
    random: Random, X: Array, shape: Shape, metric: str, rows: Callable[[int], Array]
) -> dict[str, Any]:
    """Draw k, start, what to keep away from, when to stop, and whether to assign."""
    n, k = len(X), shape.k
    options: dict[str, Any] = {"assign": bool(random.integers(2))}
    if random.integers(5) == 0 and n > 2:
        most = min(n - 2, int(shape.work / (n * max(shape.d, 16))))
        options["selected"] = random.permutation(n)[: int(random.integers(1, max(1, most) + 1))]
        k = min(k, n - len(options["selected"]))
    if random.integers(6) == 0:
        options["anchors"] = draw_others(random, X, int(random.integers(1, 60)), rows)
    # From a generator of their own.
    constraints, most = draw_constraints(random.spawn(2)[1], n, options.get("selected", ()))
    k = min(k, most)
    if len(options) == 1 and random.integers(2):
        options["start"] = (None if constraints else int(random.integers(n)), "center", "random")[
            int(random.choice(3, p=(0.7, 0.2, 0.1)))
        ]
        options["seed"] = int(random.integers(100))
    options |= constraints
    # The reference takes as long as there are picks: only a small one may run until min_distance ends it.
    all_fit = n * n * max(shape.d, 16) <= shape.work
    if random.integers(6) == 0:
        i, j = random.integers(0, n, 2)
        try:
            between = farpoint.pairwise_distances(
                X[i : i + 1], X[j : j + 1], metric=metric, backend="reference"
            )
            distance = float(between[0, 0])
        except ValueError:  # a zero row, which select refuses too
            distance = 1.0
        options["min_distance"] = distance * float(random.choice([1, 1 - 1e-9, 1 + 1e-9, 0.5]))
        if all_fit and random.integers(2):
            return options
    whole_share = k / n if all_fit and not constraints and random.integers(10) == 0 else None
    options["k"] = k if whole_share is None else whole_share
    return options


def draw_constraints(random: Random, n: int, selected: Sequence[int]) -> tuple[dict[str, Any], int]:
    """Draw weights, groups with quotas, and excluded rows; and return the most picks that they allow."""
    options: dict[str, Any] = {}
    free = np.ones(n, dtype=np.bool_)
    free[np.asarray(selected, dtype=np.int64)] = False
    if random.integers(8) == 0:
        mask = random.uniform(0, 1, n) < random.uniform(0, 1)
        if (free & ~mask).any():
            options["exclude"] = mask
            free &= ~mask
    if random.integers(5) == 0:
        options["weights"] = (
            random.uniform(0, 1, n),
            random.choice([0.5, 1, 1, 2], n),
            np.where(random.uniform(0, 1, n) < 0.3, 0, random.uniform(0.1, 1, n)),
            10.0 ** random.uniform(-80, 9, n),
        )[int(random.integers(4))]
        if not options["weights"].any():
            options["weights"][0] = 1
    most = int(np.count_nonzero(free))
    if random.integers(6) == 0:
        groups = random.integers(0, int(random.choice([1, 2, 7, n])), n)
        labels = np.unique(groups).tolist()
        available = [int(np.count_nonzero(free & (groups == label))) for label in labels]
        limits = [there if random.integers(2) else int(random.integers(0, there + 1)) for there in available]
        if any(limits):
            most = sum(limits)
            options["groups"] = groups
            options["quotas"] = {
                # Minima, which a small k may not meet: then that is what all say.
                label: (int(random.integers(0, limit + 1)) if random.integers(20) == 0 else None, limit)
                for label, limit in zip(labels, limits, strict=True)
            }
    return options, most


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return f"{len(value)} groups"
    return f"{len(value)} rows" if isinstance(value, np.ndarray) else value
