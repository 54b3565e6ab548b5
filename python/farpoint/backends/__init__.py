"""The backends: one table, one protocol, and the choice among them."""

from __future__ import annotations

import warnings

from farpoint.backends._protocol import Backend
from farpoint.backends.cpu import BACKEND as _CPU
from farpoint.backends.numba import BACKEND as _NUMBA
from farpoint.backends.reference import BACKEND as _REFERENCE

# In the order in which "auto" prefers them; "auto" never takes the reference.
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (_CPU, _NUMBA, _REFERENCE)}
_AUTOMATIC = ("cpu", "numba")


def choose_backend(name: str, metric: str, dtype: str) -> Backend:
    """Return the backend called `name`, or the best one there is for "auto".

    A backend that was named is returned or refused with the reason, never replaced.

    Raises
    ------
    ValueError
        No backend has that name, or it does not support the metric or the element type.
    RuntimeError
        It is known but cannot be used here.
    """
    if name == "auto":
        reasons = []
        for candidate in (BACKENDS[n] for n in _AUTOMATIC):
            reason = candidate.unavailable()
            if reason is None:
                return candidate
            reasons.append(f"{candidate.name}: {reason}")
        raise RuntimeError("no fast backend can be used here. " + "; ".join(reasons))
    if not isinstance(name, str) or name not in BACKENDS:
        known = ", ".join(repr(n) for n in ("auto", *BACKENDS))
        raise ValueError(f"unknown backend {name!r}; the known ones are {known}")
    backend = BACKENDS[name]
    reason = backend.unavailable()
    if reason is not None:
        raise RuntimeError(f"backend {name!r} cannot be used here: {reason}")
    if metric not in backend.capabilities.metrics:
        raise ValueError(
            f"backend {name!r} does not support metric {metric!r}; it supports "
            f"{', '.join(sorted(backend.capabilities.metrics))}"
        )
    if dtype not in backend.capabilities.dtypes:
        raise ValueError(
            f"backend {name!r} does not support dtype {dtype}; it supports "
            f"{', '.join(sorted(backend.capabilities.dtypes))}"
        )
    return backend


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
