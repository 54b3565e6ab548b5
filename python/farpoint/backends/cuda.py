"""The CUDA engine: the extension _cuda behind the backend protocol.

It is built into farpoint, or comes beside it in a distribution of its own. The extension is imported, and the
driver touched, when something here is asked for: by name, for a device array, or because "auto" meets enough
work (backends/__init__.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from typing import Any

from farpoint.backends._device_matrix import DeviceMatrix
from farpoint.backends._engine import eager, raw, raw_selection
from farpoint.backends._protocol import (
    Capabilities,
    Frame,
    HostMatrix,
    IndexArray,
    PairProblem,
    RawSelection,
    ScanResult,
    SelectProblem,
    ValueArray,
)

# Where the extension may be, the first that has it: in this package, or in that of distributions/cuda13.
PACKAGES = ("farpoint", "farpoint_cuda13")
# For tests: the bytes of device memory that a call may take.
MEMORY_VARIABLE = "FARPOINT_TEST_DEVICE_MEMORY"


@cache
def _package() -> str | None:
    """Return the package that has the extension, if any has."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) and importlib.util.find_spec(f"{package}._cuda"):
            return package
    return None


def _present() -> bool:
    return _package() is not None


def _other_version() -> str | None:
    """Say so if the extension comes in a distribution of its own that is of another version than farpoint."""
    from importlib.metadata import version  # takes as long as a tenth of the package

    package = _package()
    if package in (None, PACKAGES[0]):
        return None
    distribution = str(package).replace("_", "-")
    found, wanted = version(distribution), version("farpoint")
    if found == wanted:
        return None
    return (
        f"{distribution} {found} is installed with farpoint {wanted}, and both must be of one version "
        f'(pip install "{distribution}=={wanted}")'
    )


def _extension() -> Any:
    # An extension that is there but broken raises here, whatever it raises: it is never passed over.
    return importlib.import_module(f"{_package()}._cuda")


def _argument(matrix: HostMatrix | DeviceMatrix) -> Any:
    if isinstance(matrix, DeviceMatrix):
        rows, columns = matrix.shape
        return _extension().DeviceMatrix(
            pointer=matrix.address, rows=rows, columns=columns, row_stride=matrix.row_stride
        )
    return raw(matrix)


def _placement(
    device: int | None, *matrices: HostMatrix | DeviceMatrix | None, memory_limit: int | None = None
) -> dict[str, int]:
    """Where the call runs, with how much memory of the device, and after what."""
    limits = [int(os.environ.get(MEMORY_VARIABLE) or 0), memory_limit or 0]
    streams = [matrix.ready_after for matrix in matrices if isinstance(matrix, DeviceMatrix)]
    return {
        "device": device or 0,
        "memory_limit": min((limit for limit in limits if limit > 0), default=0),
        "ready_after": streams[0] if streams else 0,
    }


def _frame_arguments(frame: Frame) -> dict[str, Any]:
    return {"dtype": frame.dtype, "metric": frame.kind, "scale": frame.scale, "largest": frame.largest}


class CudaBackend:
    """The stages of csrc/core/select.h on a device; the pick loop never leaves it."""

    name = "cuda"
    capabilities = Capabilities(
        metrics=frozenset({"euclidean", "sqeuclidean", "cosine"}),
        dtypes=frozenset({"float16", "bfloat16", "float32", "float64", "int8", "uint8"}),
        devices=frozenset({"cpu", "cuda"}),
    )

    def present(self) -> bool:
        """Whether the extension is there; imports none of it."""
        return _present()

    def unavailable(self) -> str | None:
        """Return why no device can be used here, if none can."""
        if not _present():
            return (
                "farpoint was built without CUDA (the wheel farpoint-cuda13 adds it; with nvcc 12 or later, "
                "pip install --config-settings=cmake.define.FARPOINT_CUDA=ON builds it in)"
            )
        return _other_version() or str(_extension().unavailable()) or None

    def device_count(self) -> int:
        """How many devices there are."""
        return len(_extension().devices())

    def describe(self) -> dict[str, Any]:
        """Devices, and versions of what drives them."""
        extension = _extension()
        return {
            "devices": [
                f"{index}: {device['name']} ({device['compute']}, {device['memory'] / 2**30:.0f} GiB)"
                for index, device in enumerate(extension.devices())
            ],
            "runtime": str(extension.runtime_version()),
            "driver": str(extension.driver_version()),
            "compiler": str(extension.compiler),
            "architectures": str(extension.architectures),
        }

    def scan(self, matrix: HostMatrix | DeviceMatrix, threads: int, device: int | None) -> ScanResult:
        """One pass: (first non-finite row or -1, first zero row or -1, largest and smallest magnitude)."""
        del threads
        dtype = matrix.element_type if isinstance(matrix, DeviceMatrix) else matrix.dtype.name
        bad, zero, largest, smallest = _extension().scan(
            points=_argument(matrix), dtype=dtype, **_placement(device, matrix)
        )
        return bad, zero, largest, smallest

    def select(self, problem: SelectProblem) -> RawSelection:
        """Farthest-point selection."""
        frame = problem.frame
        placement = _placement(frame.device, problem.points, problem.anchors, memory_limit=frame.memory_limit)
        found = _extension().select(
            points=_argument(problem.points),
            k=problem.k,
            prior=problem.prior,
            prior_value=problem.prior_value,
            selected=problem.selected,
            anchors=None if problem.anchors is None else _argument(problem.anchors),
            minimum_value=problem.minimum_value,
            assign=problem.assign,
            listener=problem.listener,
            eager=eager(),
            **placement,
            **_frame_arguments(frame),
        )
        index = placement["device"]
        name = _extension().devices()[index]["name"]
        return raw_selection(found, problem, device=f"cuda:{index} {name}")

    def nearest(self, problem: PairProblem) -> tuple[ValueArray, IndexArray]:
        """Nearest row of y for each row of x."""
        values, indices = _extension().nearest(
            x=_argument(problem.x),
            y=_argument(problem.y),
            eager=eager(),
            **_placement(problem.frame.device, problem.x, problem.y, memory_limit=problem.frame.memory_limit),
            **_frame_arguments(problem.frame),
        )
        return values, indices

    def closest_pair(self, problem: PairProblem) -> tuple[float, int, int]:
        """Return the closest two rows of x."""
        value, i, j = _extension().closest_pair(
            x=_argument(problem.x),
            eager=eager(),
            **_placement(problem.frame.device, problem.x, memory_limit=problem.frame.memory_limit),
            **_frame_arguments(problem.frame),
        )
        return value, i, j

    def pairwise(self, problem: PairProblem) -> ValueArray:
        """All values."""
        values: ValueArray = _extension().pairwise(
            x=_argument(problem.x),
            y=_argument(problem.y),
            **_placement(problem.frame.device, problem.x, problem.y),
            **_frame_arguments(problem.frame),
        )
        return values


BACKEND = CudaBackend()
