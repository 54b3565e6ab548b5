"""Two dimensions of many: the principal axes of a sample of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# The side of the largest symmetric matrix whose eigenvectors are computed, which is cubic: a second or two.
_LARGEST_SIDE = 1000


class PrincipalAxes:
    """The mean and the two principal axes of some rows.

    Parameters
    ----------
    rows : (m, d) array
        As the matrix holds them. At most 1,000 of them, evenly spaced, are used where d is larger than that.
    metric : str
        Rows are brought to length 1 for "cosine", and unpacked for metrics of bits: what is drawn is what
        distances are between.

    Attributes
    ----------
    shares : tuple of two float
        Share of the rows' variance along each axis.
    """

    def __init__(self, rows: npt.NDArray[Any], metric: str) -> None:
        self._metric = metric
        self._scale = 1.0
        prepared = _prepare(rows, metric)
        if min(prepared.shape) > _LARGEST_SIDE:
            chosen = np.linspace(0, len(prepared) - 1, _LARGEST_SIDE).round().astype(np.int64)
            prepared = prepared[chosen]
        # Squares of the largest elements are beyond float64, those of the smallest are 0.
        largest = float(np.abs(prepared).max())
        self._scale = largest or 1.0
        prepared /= self._scale
        self._mean = prepared.mean(axis=0)
        prepared -= self._mean
        self._axes, self.shares = _principal(prepared)

    def project(self, rows: npt.NDArray[Any]) -> FloatArray:
        """Return the coordinates of rows along the two axes, (m, 2)."""
        centred = _prepare(rows, self._metric) / self._scale - self._mean
        with np.errstate(over="ignore"):
            return np.asarray(centred @ self._axes.T) * self._scale


def _prepare(rows: npt.NDArray[Any], metric: str) -> FloatArray:
    if metric in ("hamming", "jaccard"):
        return np.unpackbits(rows, axis=1).astype(np.float64)
    prepared = np.array(rows, dtype=np.float64)
    if metric == "cosine":
        prepared /= np.abs(prepared).max(axis=1, keepdims=True)
        prepared /= np.linalg.norm(prepared, axis=1, keepdims=True)
    return prepared


def _principal(centred: FloatArray) -> tuple[FloatArray, tuple[float, float]]:
    """Return two orthonormal axes, (2, d), and the share of the variance along each; zeros for none."""
    rows, columns = centred.shape
    axes = np.zeros((2, columns))
    shares = [0.0, 0.0]
    total = float(np.square(centred).sum())
    if total > 0:
        # The smaller of the two symmetric matrices that have the same eigenvalues.
        small = centred.T @ centred if columns <= rows else centred @ centred.T
        values, vectors = np.linalg.eigh(small)
        for axis in range(min(2, len(values))):
            vector = vectors[:, -1 - axis]
            if columns > rows:
                vector = vector @ centred
            length = float(np.linalg.norm(vector))
            value = float(values[-1 - axis])
            # What rounding leaves of an axis along which there is nothing.
            if length == 0 or value <= 1e-12 * total:
                continue
            axes[axis] = vector / length
            # An eigenvector's sign is arbitrary: the largest element is made positive.
            axes[axis] *= np.sign(axes[axis][np.abs(axes[axis]).argmax()])
            shares[axis] = value / total
    return axes, (shares[0], shares[1])
