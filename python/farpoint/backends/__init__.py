"""The backends: one table, one protocol, and the choice among them."""

from __future__ import annotations

import warnings
from collections.abc import Collection

from farpoint.backends._protocol import Backend
from farpoint.backends.cpu import BACKEND as _CPU
from farpoint.backends.cuda import BACKEND as _CUDA
from farpoint.backends.numba import BACKEND as _NUMBA
from farpoint.backends.reference import BACKEND as _REFERENCE

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (_CPU, _CUDA, _NUMBA, _REFERENCE)}
# What "auto" takes for matrices on the host, the first that can be used. Never the reference; cuda first
# where there is so much work.
AUTOMATIC = ("cpu", "numba")
# n d k above which "auto" takes a device for matrices on the host. Below, some seconds of two cores, or less
# than one of many, the driver's start and the copies are felt. An estimate: not yet measured on a device.
DEVICE_WORK = 1e12


def supported(feature: str) -> list[str]:
    """Return all that any backend supports of "metrics", "dtypes" or "devices", sorted."""
    return sorted(set().union(*(getattr(backend.capabilities, feature) for backend in BACKENDS.values())))


def choose_backend(
    name: str,
    metric: str,
    dtype: str | None = None,
    device: str = "cpu",
    work: float = 0.0,
    constraints: Collection[str] = (),
) -> Backend:
    """Return the backend called `name`, or the best one there is for "auto".

    Without `dtype` the element type does not matter yet; `device` is where the matrices are, `constraints`
    those of "weights", "groups" and "exclude" that a selection has. A backend that was named is returned or
    refused with the reason, never replaced.

    Raises
    ------
    ValueError
        No backend has that name, or it does not support the metric, the element type, the device or a
        constraint.
    RuntimeError
        It is known but cannot be used here.
    """
    if not isinstance(name, str) or name not in ("auto", *BACKENDS):
        known = ", ".join(repr(n) for n in ("auto", *BACKENDS))
        raise ValueError(f"unknown backend {name!r}; the known ones are {known}")
    if name == "auto":
        if device == "cpu" and work >= DEVICE_WORK and _CUDA.present():
            reason = _CUDA.unavailable() or _unsupported(_CUDA, metric, dtype, device, constraints)
            if reason is None:
                return _CUDA
        reasons = []
        for candidate in (BACKENDS[n] for n in (AUTOMATIC if device == "cpu" else (_CUDA.name,))):
            reason = candidate.unavailable() or _unsupported(candidate, metric, dtype, device, constraints)
            if reason is None:
                return candidate
            reasons.append(f"{candidate.name}: {reason}")
        raise RuntimeError("no fast backend can be used here. " + "; ".join(reasons))
    backend = BACKENDS[name]
    reason = backend.unavailable()
    if reason is not None:
        raise RuntimeError(f"backend {name!r} cannot be used here: {reason}")
    reason = _unsupported(backend, metric, dtype, device, constraints)
    if reason is not None:
        raise ValueError(f"backend {name!r} {reason}")
    return backend


def _unsupported(
    backend: Backend, metric: str, dtype: str | None, device: str, constraints: Collection[str]
) -> str | None:
    can = backend.capabilities
    for kind, wanted, there in (
        ("metric", metric, can.metrics),
        ("dtype", dtype, can.dtypes),
        ("device", device, can.devices),
    ):
        if wanted is not None and wanted not in there:
            return f"does not support {kind} {wanted!r}; it supports {', '.join(sorted(there))}"
    missing = sorted(set(constraints) - can.constraints)
    if missing:
        able = [
            name for name, other in BACKENDS.items() if set(constraints) <= other.capabilities.constraints
        ]
        return f"does not support {' and '.join(missing)}; {', '.join(able)} do"
    return None


def warn_if_pure_python() -> None:
    """Say once, at import, that there is no compiled extension."""
    if _CPU.unavailable() is None:
        return
    numba_missing = _NUMBA.unavailable()
    remedy = (
        "computing with Numba"
        if numba_missing is None
        else 'and Numba is missing too: pip install "farpoint[numba]"'
    )
    warnings.warn(
        f"farpoint's compiled extension is not installed; {remedy}. Install a C++20 compiler and "
        "reinstall farpoint for full speed.",
        RuntimeWarning,
        stacklevel=3,
    )
