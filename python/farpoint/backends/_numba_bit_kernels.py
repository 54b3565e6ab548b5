"""Numba kernels for packed bits: rows of 64-bit words, and how many bits are set in each.

Every kernel releases the GIL, so that blocks run on Python threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def _bits_of(word):
    # The compiler makes the processor's own instruction of it.
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(nogil=True, cache=True)
def _common(x, y):
    total = np.uint64(0)
    for w in range(x.shape[0]):
        total += _bits_of(x[w] & y[w])
    return np.float64(total)


@njit(nogil=True, cache=True)
def _value(x, x_count, y, y_count, hamming):
    common = _common(x, y)
    if hamming:
        return x_count + y_count - 2.0 * common
    either = x_count + y_count - common
    return 1.0 - common / either if either > 0.0 else 0.0


@njit(nogil=True, cache=True)
def count(rows, out):
    """Bits set in every row."""
    for i in range(rows.shape[0]):
        out[i] = _common(rows[i], rows[i])


@njit(nogil=True, cache=True)
def lower(rows, counts, others, other_counts, values, labels, first_label, hamming):
    """Lower the values of `rows` by all of `others`, in their order, so the earliest keeps a tie."""
    for i in range(rows.shape[0]):
        for p in range(others.shape[0]):
            value = _value(rows[i], counts[i], others[p], other_counts[p], hamming)
            if value < values[i]:
                values[i] = value
                labels[i] = first_label if first_label < 0 else first_label + p


@njit(nogil=True, cache=True)
def lower_pairs(rows, counts, first_row, values, labels, hamming):
    """Lower the values of rows `first_row` and on by the rows that come after each of them."""
    for i in range(values.shape[0]):
        row = first_row + i
        for other in range(row + 1, rows.shape[0]):
            value = _value(rows[row], counts[row], rows[other], counts[other], hamming)
            if value < values[i]:
                values[i] = value
                labels[i] = other


@njit(nogil=True, cache=True)
def pairwise(x, x_counts, y, y_counts, out, hamming):
    """All values of a block of rows."""
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            out[i, j] = _value(x[i], x_counts[i], y[j], y_counts[j], hamming)
