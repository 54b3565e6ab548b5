"""What decides which rows are picked beside their distances: weights, groups with quotas, excluded rows.

Arguments become what backends take (backends/_protocol.py, OrderRequest); what that means is in
docs/constraints.md and backends/_order.py.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from farpoint._fingerprint import digest
from farpoint._metrics import FloatArray, Metric
from farpoint._validation import check_row_numbers
from farpoint.backends._order import PickOrder
from farpoint.backends._protocol import IndexArray, OrderRequest

# A quota: exactly so many, or at least and at most so many, None for no limit.
Quota = int | tuple[int | None, int | None]
Quotas = Quota | Mapping[Any, Quota]

# No weight but 0 is smaller than this share of the largest: no product with a distance becomes 0, but where
# the distance itself is at the end of float64.
_SMALLEST_EXPONENT = -300
# Selection.info counts the picks of groups if there are no more than so many.
_MOST_COUNTED = 1000


@dataclass(frozen=True)
class Groups:
    """Groups of rows and their quotas, by number."""

    labels: list[Any]  # rising
    numbers: IndexArray  # of each row
    available: IndexArray  # rows that may be picked
    at_least: IndexArray
    at_most: IndexArray  # no more than are available

    @property
    def decide_nothing(self) -> bool:
        """Whether every row may be picked at any time."""
        return not self.at_least.any() and bool((self.at_most == self.available).all())

    def check_count(self, count: int) -> None:
        """Raise where no selection of so many rows meets the quotas."""
        least, most = int(self.at_least.sum()), int(self.at_most.sum())
        if least > count:
            raise ValueError(
                f"quotas ask for at least {least} rows ({self._shown(self.at_least)}), which is more than "
                f"k = {count}"
            )
        if most < count:
            raise ValueError(
                f"quotas allow at most {most} rows ({self._shown(self.at_most)}), which is less than "
                f"k = {count}"
            )

    def _shown(self, numbers: IndexArray) -> str:
        """Name the groups that matter, a few of them."""
        wanted = np.flatnonzero(numbers)
        shown = ", ".join(f"{numbers[i]} of group {self.labels[i]!r}" for i in wanted[:5])
        return shown + (f" and so on for {len(wanted) - 5} more" if len(wanted) > 5 else "")

    def counts(self, rows: IndexArray) -> dict[str, int]:
        """Return how many of some rows are in each group; nothing where there are very many groups."""
        if len(self.labels) > _MOST_COUNTED:
            return {}
        counts = np.bincount(self.numbers[rows], minlength=len(self.labels)).tolist()
        return {str(label): count for label, count in zip(self.labels, counts, strict=True)}


@dataclass(frozen=True)
class Constraints:
    """What a call's weights, groups, quotas and exclude come to, for n rows."""

    n: int
    selected: IndexArray
    excluded: IndexArray  # none of them is in `selected`
    weights: FloatArray | None = None  # none where all are equal; the largest is in [1/2, 1)
    of_roots: bool = False
    groups: Groups | None = None

    @property
    def free(self) -> int:
        """How many rows may be picked at all."""
        return self.n - len(self.selected) - len(self.excluded)

    @property
    def most(self) -> int:
        """How many picks there can be."""
        return self.free if self.groups is None else int(self.groups.at_most.sum())

    @cached_property
    def order(self) -> OrderRequest | None:
        """What backends are asked for; None where rows are picked by distance alone."""
        groups = None if self.groups is None or self.groups.decide_nothing else self.groups
        if self.weights is None and groups is None:
            return None
        none = np.empty(0, dtype=np.int64)
        return OrderRequest(
            weights=self.weights,
            of_roots=self.of_roots,
            groups=None if groups is None else groups.numbers,
            at_least=none if groups is None else groups.at_least,
            at_most=none if groups is None else groups.at_most,
        )

    @property
    def bytes_held(self) -> int:
        """What is kept of the arguments, in memory."""
        arrays = [self.excluded, self.weights, None if self.groups is None else self.groups.numbers]
        return sum(array.nbytes for array in arrays if array is not None)

    def check_count(self, count: int) -> None:
        """Raise where quotas cannot be met by so many picks."""
        if self.groups is not None:
            self.groups.check_count(count)

    def may_be_first(self, count: int) -> npt.NDArray[np.bool_]:
        """Return which rows can be the first of so many picks. Raises where there is none."""
        rows = PickOrder(self.order, count, 0.0).open_rows(self.n)
        rows[self.selected] = False
        rows[self.excluded] = False
        if not rows.any():
            raise ValueError("exclude and quotas leave no row that may be picked")
        return rows

    def best_first(self, count: int) -> int:
        """Return the row of the largest weight that may be the first pick; the lowest of several."""
        may_be = self.may_be_first(count)
        if self.weights is None:
            return int(np.argmax(may_be))
        return int(np.argmax(np.where(may_be, self.weights, -1.0)))

    def check_first(self, row: int, count: int) -> None:
        """Raise where a row cannot be the first of so many picks."""
        if self.may_be_first(count)[row]:
            return
        reason = "it is in exclude"
        if row not in self.excluded:
            assert self.groups is not None
            label = self.groups.labels[self.groups.numbers[row]]
            reason = f"the quotas leave no pick for its group, {label!r}"
        raise ValueError(
            f"start = {row} cannot be the first pick: {reason}; give another row, or leave start out"
        )

    def record(self, count: int, min_distance: float) -> dict[str, Any]:
        """Return what must be the same where a selection goes on, as digests, as JSON can hold it."""
        found: dict[str, Any] = {}
        if len(self.excluded):
            found["exclude"] = digest(np.sort(self.excluded).tobytes())
        if self.order is None:
            return found
        if self.weights is not None:
            found["weights"] = digest(self.weights.tobytes())
        if self.order.groups is not None:
            assert self.groups is not None
            names = repr(self.groups.labels).encode()
            found["groups"] = digest(names, self.groups.numbers.tobytes())
            found["quotas"] = digest(self.groups.at_least.tobytes(), self.groups.at_most.tobytes())
            if self.groups.at_least.any():
                # How many picks are left decides when the minima take over.
                found["k"] = count
        if min_distance > 0:
            # Picks that are too close are passed over, and the next farthest of them made.
            found["min_distance"] = min_distance
        return found


def requested(weights: object, groups: object, quotas: object, exclude: object) -> frozenset[str]:
    """Return what a backend must support: those of "weights", "groups" and "exclude" that are given."""
    if groups is None and quotas is not None:
        raise ValueError("quotas needs groups: the group of each row")
    if groups is not None and quotas is None:
        raise ValueError(
            "groups needs quotas: how many rows of each group, such as {'a': 10, 'b': (5, None)}"
        )
    given = {"weights": weights, "groups": groups, "exclude": exclude}
    return frozenset(name for name, value in given.items() if value is not None)


def check_constraints(
    n: int,
    selected: IndexArray,
    metric: Metric,
    *,
    weights: object = None,
    groups: object = None,
    quotas: object = None,
    exclude: object = None,
) -> Constraints:
    """Check what `select` takes under these names."""
    excluded = np.setdiff1d(_check_exclude(exclude, n), selected)
    constraints = Constraints(n, selected, excluded)
    if weights is not None:
        constraints = replace(
            constraints, weights=_check_weights(weights, n), of_roots=metric.name == "euclidean"
        )
    if groups is not None:
        labels, numbers = _check_groups(groups, n)
        free = np.ones(n, dtype=np.bool_)
        free[selected] = False
        free[excluded] = False
        available = np.bincount(numbers[free], minlength=len(labels))
        at_least, at_most = _check_quotas(quotas, labels, available)
        constraints = replace(
            constraints, groups=Groups(labels, numbers, available, at_least, np.minimum(at_most, available))
        )
    return constraints


def _check_exclude(exclude: object, n: int) -> IndexArray:
    """Return the rows that are excluded, rising: given as row numbers or as a mask."""
    rows = _array(exclude if exclude is not None else [], "exclude", "row numbers or a mask")
    if rows.size == 0 and rows.dtype != np.bool_:
        return np.empty(0, dtype=np.int64)
    if rows.dtype == np.bool_:
        if rows.shape != (n,):
            raise ValueError(
                f"exclude is a mask of shape {rows.shape} where there are {n} rows: it must be ({n},)"
            )
        return np.flatnonzero(rows)
    return np.unique(check_row_numbers(rows, n, "exclude", "integers (row numbers) or a mask of bool"))


def _check_weights(weights: object, n: int) -> FloatArray | None:
    """Return weights times a power of two that brings the largest to [1/2, 1); None where all are equal."""
    given = _array(weights, "weights", "a number for each row")
    if given.dtype.kind not in "iuf" and given.dtype.name != "bfloat16":
        hint = "; exclude takes a mask" if given.dtype == np.bool_ else ""
        raise TypeError(f"weights must be numbers, not {given.dtype}{hint}")
    if given.shape != (n,):
        raise ValueError(f"weights has shape {given.shape} where there are {n} rows: it must be ({n},)")
    with np.errstate(over="ignore"):
        wide = given.astype(np.float64)
    for wrong, rule in (
        (~np.isfinite(wide), "finite"),
        (wide < 0, "at least 0 (a row of weight 0 comes last)"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(f"weights must be {rule}: that of row {row} is {given[row]}")
    largest = float(wide.max())
    if largest == 0:
        raise ValueError("weights are all 0; at least one must be larger")
    if (wide == largest).all():
        return None
    exponent = math.frexp(largest)[1]
    small = (wide > 0) & (wide < math.ldexp(largest, _SMALLEST_EXPONENT))
    if small.any():
        row = int(np.argmax(small))
        raise ValueError(
            f"weights must be 0 or at least 2**{_SMALLEST_EXPONENT} of the largest, {largest}: that of row "
            f"{row} is {given[row]}"
        )
    return np.ldexp(wide, -exponent)


def _check_groups(groups: object, n: int) -> tuple[list[Any], IndexArray]:
    """Return the labels of the groups, rising, and the number of each row's group."""
    given = _array(groups, "groups", "a label for each row")
    if given.dtype.kind in "cV":
        raise TypeError(f"groups must be labels such as integers or strings, not {given.dtype}")
    if given.shape != (n,):
        raise ValueError(f"groups has shape {given.shape} where there are {n} rows: it must be ({n},)")
    try:
        missing = given != given
        labels, numbers = np.unique(given, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            f"groups must be labels that can be sorted, all integers or all strings ({error})"
        ) from None
    if np.any(missing):
        raise ValueError(
            f"groups must have a label for each row: that of row {np.argmax(missing)} is missing"
        )
    return labels.tolist(), numbers.astype(np.int64)


def _check_quotas(quotas: object, labels: list[Any], available: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the least and the most picks of each group."""
    numbers = {label: number for number, label in enumerate(labels)}
    named: dict[int, object] = {}
    others: object = (None, None)
    if isinstance(quotas, Mapping):
        for label, quota in quotas.items():
            if label is ...:
                others = quota
                continue
            try:
                number = numbers[label]
            except (KeyError, TypeError):
                shown = ", ".join(map(repr, labels[:5]))
                more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
                raise ValueError(
                    f"quotas names group {label!r}, which no row is in; the groups are {shown}{more}"
                ) from None
            named[number] = quota
    else:
        others = quotas
    default = _check_quota(others, "all groups" if not isinstance(quotas, Mapping) else "the other groups")
    pairs = [default] * len(labels)
    for number, quota in named.items():
        pairs[number] = _check_quota(quota, f"group {labels[number]!r}")
    at_least = np.array([least for least, _ in pairs], dtype=np.int64)
    at_most = np.array([most for _, most in pairs], dtype=np.int64)
    short = at_least > available
    if short.any():
        number = int(np.argmax(short))
        raise ValueError(
            f"quotas ask for at least {at_least[number]} rows of group {labels[number]!r}, which has "
            f"{available[number]} that may be picked"
        )
    return at_least, at_most


_NO_LIMIT = int(np.iinfo(np.int64).max)


def _check_quota(quota: object, whose: str) -> tuple[int, int]:
    """Return the least and the most that a quota allows."""
    pair = quota if isinstance(quota, Sequence) and not isinstance(quota, (str, bytes)) else (quota, quota)
    wrong = TypeError(
        f"the quota of {whose} must be a number of rows, or (at least, at most) with None for no limit, not "
        f"{quota!r}"
    )
    if len(pair) != 2 or (quota is None):
        raise wrong
    limits = []
    for limit, without in zip(pair, (0, _NO_LIMIT), strict=True):
        if isinstance(limit, (bool, np.bool_)):
            raise wrong
        try:
            limits.append(without if limit is None else min(operator.index(limit), _NO_LIMIT))
        except TypeError:
            raise wrong from None
    least, most = limits
    if least < 0 or most < 0:
        raise ValueError(f"the quota of {whose} must not be negative: it is {quota!r}")
    if least > most:
        raise ValueError(f"the quota of {whose} asks for at least {least} and at most {most} rows")
    return least, most


def _array(given: object, name: str, what: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must be {what}, in one dimension ({error})") from None
