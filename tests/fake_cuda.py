"""A stand-in for the extension farpoint._cuda that computes with the reference, in the host's memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from farpoint.backends import BACKENDS
from farpoint.backends._protocol import Frame, PairProblem, SelectProblem
from tests.conftest import Array
from tests.fake_cupy import at

REFERENCE = BACKENDS["reference"]


class DeviceMatrix(NamedTuple):
    pointer: int
    rows: int
    columns: int
    row_stride: int


class FakeCuda:
    """What the backend calls, with a note of where each call was to run."""

    DeviceMatrix = DeviceMatrix
    compiler = "none"
    architectures = "none"
    version = "0"

    def __init__(self) -> None:
        self.reason = ""
        self.full: set[str] = set()  # functions for which the device has too little memory
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def unavailable(self) -> str:
        return self.reason

    def devices(self) -> list[dict[str, Any]]:
        return [
            {"name": f"Fake {index}", "compute": "9.0", "memory": 2**36, "multiprocessors": 4}
            for index in range(2)
        ]

    def runtime_version(self) -> str:
        return "13.0"

    def driver_version(self) -> str:
        return "13.0"

    def _began(self, name: str, device: int, memory_limit: int, ready_after: int) -> None:
        self.calls.append((name, {"device": device, "memory": memory_limit, "after": ready_after}))
        if name in self.full:
            raise MemoryError("the device has too little memory")

    def scan(self, points: Any, dtype: str, **where: int) -> tuple[int, int, float, float]:
        self._began("scan", **where)
        rows = matrix(points, dtype).astype(np.float64)
        maxima = np.abs(rows).max(axis=1)
        bad, zero = ~np.isfinite(maxima), maxima == 0
        good = maxima[~bad & ~zero]
        return (
            int(np.argmax(bad)) if bad.any() else -1,
            int(np.argmax(zero)) if zero.any() else -1,
            float(good.max(initial=0.0)),
            float(good.min(initial=np.inf)),
        )

    def select(
        self,
        points: Any,
        anchors: Any,
        k: int,
        prior: Any,
        prior_value: float,
        selected: Any,
        minimum_value: float,
        assign: bool,
        listener: Any,
        eager: bool,
        **rest: Any,
    ) -> dict[str, Any]:
        frame = self._frame("select", rest)
        found = REFERENCE.select(
            SelectProblem(
                points=matrix(points, frame.dtype),
                frame=frame,
                k=k,
                prior=prior,
                prior_value=prior_value,
                selected=selected,
                anchors=None if anchors is None else matrix(anchors, frame.dtype),
                minimum_value=minimum_value,
                assign=assign,
                listener=listener,
            )
        )
        counted = ("levels", "pairs_screened", "pairs_looked_up", "pairs_confirmed", "pairs_refined")
        phases = ("seed", "certify", "catch_up", "pick", "assign")
        return {
            "indices": np.concatenate((prior, found.indices)),
            "values": np.concatenate((np.full(len(prior), np.inf), found.values)),
            "next_value": found.next_value,
            "labels": found.labels,
            "label_values": found.label_values,
            **dict.fromkeys((*counted, "pairs_improved"), 1),
            **{f"seconds_{phase}": 0.0 for phase in phases},
        }

    def nearest(self, x: Any, y: Any, eager: bool, **rest: Any) -> Any:
        return REFERENCE.nearest(self._pair("nearest", x, y, rest))

    def closest_pair(self, x: Any, eager: bool, **rest: Any) -> Any:
        return REFERENCE.closest_pair(self._pair("closest_pair", x, x, rest))

    def pairwise(self, x: Any, y: Any, **rest: Any) -> Any:
        return REFERENCE.pairwise(self._pair("pairwise", x, y, rest))

    def _pair(self, name: str, x: Any, y: Any, rest: dict[str, Any]) -> PairProblem:
        frame = self._frame(name, rest)
        return PairProblem(matrix(x, frame.dtype), matrix(y, frame.dtype), frame)

    def _frame(self, name: str, rest: dict[str, Any]) -> Frame:
        where = {key: rest.pop(key) for key in ("device", "memory_limit", "ready_after")}
        self._began(name, **where)
        return Frame(rest.pop("metric"), rest.pop("dtype"), rest.pop("scale"), rest.pop("largest"), 1)


def matrix(argument: Any, dtype: str) -> Array:
    """Return what an argument describes."""
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if isinstance(argument, DeviceMatrix):
        shape = (argument.rows, argument.columns)
        return at(argument.pointer, shape, (argument.row_stride, kind.itemsize), kind)
    assert argument.dtype.itemsize == kind.itemsize
    return argument.view(kind)  # type: ignore[no-any-return]
