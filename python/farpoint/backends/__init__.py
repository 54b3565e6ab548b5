"""The backends: one table, one protocol, and the choice among them."""

from __future__ import annotations

import warnings

from farpoint.backends._protocol import Backend
from farpoint.backends.cpu import BACKEND as _CPU
from farpoint.backends.numba import BACKEND as _NUMBA
from farpoint.backends.reference import BACKEND as _REFERENCE

# In the order in which "auto" prefers them; "auto" never takes the reference.
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (_CPU, _NUMBA, _REFERENCE)}
AUTOMATIC = ("cpu", "numba")


def supported(feature: str) -> list[str]:
    """Return all that any backend supports of "metrics", "dtypes" or "devices", sorted."""
    return sorted(set().union(*(getattr(backend.capabilities, feature) for backend in BACKENDS.values())))


def choose_backend(name: str, metric: str, dtype: str | None = None, device: str = "cpu") -> Backend:
    """Return the backend called `name`, or the best one there is for "auto".

    Without `dtype` the element type does not matter yet. A backend that was named is returned or refused with
    the reason, never replaced.

    Raises
    ------
    ValueError
        No backend has that name, or it does not support the metric, the element type or the device.
    RuntimeError
        It is known but cannot be used here.
    """
    if not isinstance(name, str) or name not in ("auto", *BACKENDS):
        known = ", ".join(repr(n) for n in ("auto", *BACKENDS))
        raise ValueError(f"unknown backend {name!r}; the known ones are {known}")
    if name == "auto":
        reasons = []
        for candidate in (BACKENDS[n] for n in AUTOMATIC):
            reason = candidate.unavailable() or _unsupported(candidate, metric, dtype, device)
            if reason is None:
                return candidate
            reasons.append(f"{candidate.name}: {reason}")
        raise RuntimeError("no fast backend can be used here. " + "; ".join(reasons))
    backend = BACKENDS[name]
    reason = backend.unavailable()
    if reason is not None:
        raise RuntimeError(f"backend {name!r} cannot be used here: {reason}")
    reason = _unsupported(backend, metric, dtype, device)
    if reason is not None:
        raise ValueError(f"backend {name!r} {reason}")
    return backend


def _unsupported(backend: Backend, metric: str, dtype: str | None, device: str) -> str | None:
    can = backend.capabilities
    for kind, wanted, there in (
        ("metric", metric, can.metrics),
        ("dtype", dtype, can.dtypes),
        ("device", device, can.devices),
    ):
        if wanted is not None and wanted not in there:
            return f"does not support {kind} {wanted!r}; it supports {', '.join(sorted(there))}"
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
