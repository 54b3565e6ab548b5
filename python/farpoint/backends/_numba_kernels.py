"""Numba kernels of the fallback. Never compiled with fastmath: that would reorder the contract's sums.

Every kernel releases the GIL, so that blocks run on Python threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EXHAUSTED = 0
BELOW_MINIMUM = 1
FULL = 2

# Frame.kind, as the kernels take it.
SQUARED, COSINE, MANHATTAN, CHEBYSHEV = range(4)
KINDS = {"squared": SQUARED, "cosine": COSINE, "manhattan": MANHATTAN, "chebyshev": CHEBYSHEV}

_TAKEN = -1.0


@njit(nogil=True, cache=True)
def _halving_sum(sums):
    for width in (8, 4, 2, 1):
        for lane in range(width):
            sums[lane] += sums[lane + width]
    return sums[0]


@njit(nogil=True, cache=True)
def _squared_total(x, y, sums):
    d = x.shape[0]
    sums[:] = 0.0
    whole = d - d % 16
    for start in range(0, whole, 16):
        for lane in range(16):
            difference = np.float64(x[start + lane]) - np.float64(y[start + lane])
            sums[lane] += difference * difference
    for j in range(whole, d):
        difference = np.float64(x[j]) - np.float64(y[j])
        sums[j - whole] += difference * difference
    return _halving_sum(sums)


@njit(nogil=True, cache=True)
def _dot_total(x, y, sums):
    d = x.shape[0]
    sums[:] = 0.0
    whole = d - d % 16
    for start in range(0, whole, 16):
        for lane in range(16):
            sums[lane] += np.float64(x[start + lane]) * np.float64(y[start + lane])
    for j in range(whole, d):
        sums[j - whole] += np.float64(x[j]) * np.float64(y[j])
    return _halving_sum(sums)


@njit(nogil=True, cache=True)
def _absolute_total(x, y, sums):
    d = x.shape[0]
    sums[:] = 0.0
    whole = d - d % 16
    for start in range(0, whole, 16):
        for lane in range(16):
            sums[lane] += abs(np.float64(x[start + lane]) - np.float64(y[start + lane]))
    for j in range(whole, d):
        sums[j - whole] += abs(np.float64(x[j]) - np.float64(y[j]))
    return _halving_sum(sums)


@njit(nogil=True, cache=True)
def _largest_difference(x, y):
    largest = 0.0
    for j in range(x.shape[0]):
        largest = max(largest, abs(np.float64(x[j]) - np.float64(y[j])))
    return largest


@njit(nogil=True, cache=True)
def _value(x, x_dot, y, y_dot, kind, scale, double, sums):
    if kind == COSINE:
        value = 1.0 - _dot_total(x, y, sums) / np.sqrt(x_dot * y_dot)
        if not value > 0.0:
            value = 0.0
    elif kind == MANHATTAN:
        value = _absolute_total(x, y, sums) * scale
    elif kind == CHEBYSHEV:
        value = _largest_difference(x, y) * scale
    else:
        value = _squared_total(x, y, sums) * scale
    return value if double else np.float64(np.float32(value))


@njit(nogil=True, cache=True)
def _bias(norm, value, usable, shrink, absolute, to_packed):
    if value <= 0.0:
        return np.inf
    if not usable or np.isinf(value):
        return -np.inf
    return 0.5 * (norm * shrink - value * to_packed * (1.0 + 2.0**-21) - absolute)


@njit(nogil=True, cache=True)
def self_dots(rows, out):
    """x.x of every row."""
    sums = np.empty(16)
    for i in range(rows.shape[0]):
        out[i] = _dot_total(rows[i], rows[i], sums)


@njit(nogil=True, cache=True)
def lower_block(
    products,
    rows,
    dots,
    norms,
    other_rows,
    other_dots,
    other_bias,
    values,
    labels,
    first_label,
    usable,
    shrink,
    absolute,
    to_packed,
    kind,
    scale,
    double,
):
    """Refine what the bound lets through; picks in their order, so the earliest keeps a tie."""
    sums = np.empty(16)
    for i in range(rows.shape[0]):
        bias = _bias(norms[i], values[i], usable, shrink, absolute, to_packed)
        for p in range(other_rows.shape[0]):
            if products[i, p] > bias + other_bias[p]:
                value = _value(
                    rows[i],
                    dots[i] if kind == COSINE else 0.0,
                    other_rows[p],
                    other_dots[p] if kind == COSINE else 0.0,
                    kind,
                    scale,
                    double,
                    sums,
                )
                if value < values[i]:
                    values[i] = value
                    labels[i] = first_label if first_label < 0 else first_label + p
                    bias = _bias(norms[i], value, usable, shrink, absolute, to_packed)


@njit(nogil=True, cache=True)
def lower_pairs(
    products,
    rows,
    dots,
    norms,
    other_norms,
    first_row,
    first_column,
    values,
    labels,
    usable,
    shrink,
    absolute,
    to_packed,
    kind,
    scale,
    double,
):
    """Same within one matrix, for columns above the row only."""
    sums = np.empty(16)
    for i in range(products.shape[0]):
        row = first_row + i
        bias = _bias(norms[i], values[i], usable, shrink, absolute, to_packed)
        for c in range(max(0, row + 1 - first_column), products.shape[1]):
            if products[i, c] > bias + 0.5 * other_norms[c] * shrink:
                column = first_column + c
                value = _value(
                    rows[row],
                    dots[row] if kind == COSINE else 0.0,
                    rows[column],
                    dots[column] if kind == COSINE else 0.0,
                    kind,
                    scale,
                    double,
                    sums,
                )
                if value < values[i]:
                    values[i] = value
                    labels[i] = column
                    bias = _bias(norms[i], value, usable, shrink, absolute, to_packed)


@njit(nogil=True, cache=True)
def lower_block_plainly(rows, other_rows, values, labels, first_label, kind, scale, double):
    """Lower as lower_block does where there is no bound: every pair gets its distance."""
    sums = np.empty(16)
    for i in range(rows.shape[0]):
        for p in range(other_rows.shape[0]):
            value = _value(rows[i], 0.0, other_rows[p], 0.0, kind, scale, double, sums)
            if value < values[i]:
                values[i] = value
                labels[i] = first_label if first_label < 0 else first_label + p


@njit(nogil=True, cache=True)
def lower_pairs_plainly(rows, first_row, first_column, columns, values, labels, kind, scale, double):
    """Lower as lower_pairs does where there is no bound."""
    sums = np.empty(16)
    for i in range(values.shape[0]):
        row = first_row + i
        for column in range(max(first_column, row + 1), first_column + columns):
            value = _value(rows[row], 0.0, rows[column], 0.0, kind, scale, double, sums)
            if value < values[i]:
                values[i] = value
                labels[i] = column


@njit(nogil=True, cache=True)
def pairwise(x, y, out, kind, scale, double):
    """All values of a block of rows."""
    sums = np.empty(16)
    x_dots = np.zeros(x.shape[0])
    y_dots = np.zeros(y.shape[0])
    if kind == COSINE:
        self_dots(x, x_dots)
        self_dots(y, y_dots)
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            out[i, j] = _value(x[i], x_dots[i], y[j], y_dots[j], kind, scale, double, sums)


@njit(nogil=True, cache=True)
def pick(
    rows,
    dots,
    living,
    values,
    cut_value,
    cut_row,
    wanted,
    minimum_value,
    picked_rows,
    picked_values,
    kind,
    scale,
    double,
):
    """Run the plain loop over the candidates; those below the cut are marked in `values`.

    Returns how many were picked, the best value left, and why it ended.
    """
    sums = np.empty(16)
    count = 0
    while True:
        best = -1
        for c in range(living.shape[0]):
            if values[c] == _TAKEN:
                continue
            if (
                best < 0
                or values[c] > values[best]
                or (values[c] == values[best] and living[c] < living[best])
            ):
                best = c
        if best < 0:
            return count, 0.0, EXHAUSTED
        best_value = values[best]
        if best_value < minimum_value:
            return count, best_value, BELOW_MINIMUM
        if count == wanted:
            return count, best_value, FULL
        picked_rows[count] = living[best]
        picked_values[count] = best_value
        count += 1
        values[best] = _TAKEN
        for c in range(living.shape[0]):
            if values[c] == _TAKEN or values[c] == 0.0:
                continue
            value = _value(
                rows[c],
                dots[c] if kind == COSINE else 0.0,
                rows[best],
                dots[best] if kind == COSINE else 0.0,
                kind,
                scale,
                double,
                sums,
            )
            if value < values[c]:
                values[c] = value
                if value < cut_value or (value == cut_value and living[c] > cut_row):
                    values[c] = _TAKEN
