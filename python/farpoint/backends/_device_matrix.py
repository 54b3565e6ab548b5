"""A matrix in a CUDA device's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class DeviceMatrix:
    """(n, d) elements on a device, the elements of a row contiguous; the counterpart of a numpy array."""

    array: Any  # cupy.ndarray; bfloat16 as its bits in uint16
    element_type: str
    ready_after: int  # the CUDA stream whose work so far writes the elements

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.array.shape
        return int(rows), int(columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def device(self) -> int:
        """Index of the device."""
        return int(self.array.device.id)

    @property
    def address(self) -> int:
        """Where the first element is, in the device's memory."""
        return int(self.array.data.ptr)

    @property
    def row_stride(self) -> int:
        """Bytes from a row to the next."""
        return int(self.array.strides[0])

    def __getitem__(self, rows: slice) -> DeviceMatrix:
        return DeviceMatrix(self.array[rows], self.element_type, self.ready_after)

    def host(self, begin: int = 0, end: int | None = None) -> npt.NDArray[Any]:
        """Copy rows to the host; bfloat16 comes as float32, which holds it."""
        with self.array.device:
            rows: npt.NDArray[Any] = self.array[begin:end].get()
        if self.element_type == "bfloat16":
            wide: npt.NDArray[Any] = (rows.astype(np.uint32) << np.uint32(16)).view(np.float32)
            return wide
        return rows
